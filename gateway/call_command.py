"""The `call` subcommand: rings the service as Twilio would, talks to it, and shows what the caller gets."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.util import find_spec
from math import nan
from pathlib import Path
from typing import Final, Protocol

from agents import mulaw
from agents.audio import PCM_RATE_HZ, resampled
from agents.errors import ConfigError, ProviderError
from channels.carrier.address import is_web
from channels.carrier.call import ACCOUNT_SID, Dial, place_call
from channels.carrier.caller import WAIT_S, Script, Utterance
from channels.carrier.network import Network
from channels.carrier.pace import LONGEST_CALL_S
from channels.carrier.recording import read_wav
from channels.carrier.report import CallEvent, CallReport
from channels.carrier.sids import new_call_sid
from channels.carrier.twiml_attributes import MAX_DIGITS
from gateway import run_file
from gateway.call_output import as_json, event_line, summary, summary_of_all

DEFAULT_LINE: Final = "What are your opening hours?"
MAX_CALLS: Final = 500
"""Simultaneous calls of one simulator: one process cannot keep time for more."""

MAX_WAY_MS: Final = 10_000
"""Longest round trip, and longest jitter: a satellite's is 600 ms."""

_ENGINES: Final = ("hibari", "moonshine_voice")
_ENGINES_CURE: Final = "python -m pip install 'voice-gateway[local]'"

GOOD, BROKEN, MISUSED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class SayLine:
    """Words for the caller, to be spoken by our own voice."""

    text: str


@dataclass(frozen=True, slots=True)
class WavLine:
    """A recording for the caller to play."""

    path: Path


class Speech(Protocol):
    """Ears and a mouth, both in `pcm`."""

    async def transcribe(self, pcm: bytes) -> str: ...

    async def synthesize(self, text: str) -> bytes: ...


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `call` to its parser."""
    add = parser.add_argument
    add("--say", dest="lines", action="append", type=SayLine, metavar="TEXT", help="say this (repeatable)")
    add("--wav", dest="lines", action="append", type=_wav_line, metavar="FILE", help="play this (repeatable)")
    add("--dtmf", type=_digits, default="", metavar="DIGITS", help="keys to press after the greeting")
    add(
        "--interrupt-ms",
        type=_milliseconds,
        metavar="MS",
        help="speak so long after the agent began, not when it ended",
    )
    add(
        "--wait-s", type=_seconds, default=WAIT_S, metavar="S", help="wait so long for a greeting (default %(default)g)"
    )
    add("--stay", action="store_true", help="do not hang up at the end: stay on the line, silent, until it is ended")
    add("--hang-up-after-s", type=_seconds, metavar="S", help="hang up so long after dialling")
    add("--from", dest="from_number", default="+15550100100", metavar="NUMBER", help="who calls (default %(default)s)")
    add("--to", dest="to_number", default="+15550100200", metavar="NUMBER", help="who is called (default %(default)s)")
    add("--url", help="where the service is reached (default: the one that runs here)")
    add("--public-url", metavar="URL", help="its address as it publishes it, which is signed (default: the same)")
    add("--auth-token", metavar="TOKEN", help="to sign with (default: the running service's, or TWILIO_AUTH_TOKEN)")
    add("--rtt-ms", type=_way, default=0, metavar="MS", help="put so long a round trip between the two")
    add("--jitter-ms", type=_way, default=0, metavar="MS", help="... and make each message up to so much later")
    add("--output", type=Path, metavar="FILE.wav", help="the recording (default recordings/call-<time>.wav)")
    add("--calls", type=_calls, default=1, metavar="N", help="place so many calls at once; they are not transcribed")
    add("--no-transcribe", action="store_true", help="do not write down what is heard")
    add("--json", action="store_true", help="print one JSON object and nothing else")


def run(args: argparse.Namespace) -> int:
    """Runs the command. 0: every turn was answered and the call went well; 1: it did not; 2: wrong use."""
    try:
        dial = _dial(args, os.environ)
        return asyncio.run(_run(args, dial))
    except ConfigError as error:
        print(f"voice-gateway call: {error}", file=sys.stderr)
        return MISUSED
    except ProviderError as error:
        print(f"voice-gateway call: the caller's own voice failed: {error}", file=sys.stderr)
        return BROKEN


async def _run(args: argparse.Namespace, dial: Dial) -> int:
    lines: Sequence[SayLine | WavLine] = args.lines or [SayLine(DEFAULT_LINE)]
    must_speak = any(isinstance(line, SayLine) for line in lines)
    is_transcribed = not args.no_transcribe and args.calls == 1
    async with AsyncExitStack() as stack:
        speech = await _speech(stack, must_speak) if must_speak or is_transcribed else None
        script = Script(
            utterances=tuple([await _utterance(line, speech, is_transcribed) for line in lines]),
            digits=args.dtmf,
            wait_s=args.wait_s,
            interrupt_ms=args.interrupt_ms,
            stays=args.stay,
            hang_up_after_s=args.hang_up_after_s,
        )
        reports = await _place_all(args, dial, script, speech if is_transcribed else None)
    _show(args, reports)
    return GOOD if all(report.is_good for report in reports) else BROKEN


async def _place_all(args: argparse.Namespace, dial: Dial, script: Script, speech: Speech | None) -> list[CallReport]:
    is_told = args.calls == 1 and not args.json
    is_near = args.rtt_ms == args.jitter_ms == 0
    async with asyncio.TaskGroup() as tasks:
        calls = [
            tasks.create_task(
                place_call(
                    replace(dial, call_sid=new_call_sid()),
                    script,
                    on_event=_print_event if is_told else _ignore,
                    transcribe=speech.transcribe if speech else None,
                    recording=path,
                    network=None if is_near else Network(rtt_ms=args.rtt_ms, jitter_ms=args.jitter_ms, seed=number),
                ),
                name=f"call {number}",
            )
            for number, path in enumerate(_recordings(args), 1)
        ]
    return [call.result() for call in calls]


def _show(args: argparse.Namespace, reports: Sequence[CallReport]) -> None:
    match reports:
        case [report] if args.json:
            print(json.dumps(as_json(report), ensure_ascii=False))
        case [report]:
            print("\n" + summary(report))
        case _ if args.json:
            print(json.dumps({"calls": [as_json(report) for report in reports]}, ensure_ascii=False))
        case _:
            print(summary_of_all(reports))


def _print_event(event: CallEvent) -> None:
    print(event_line(event), flush=True)


def _ignore(event: CallEvent) -> None:
    """Nobody watches."""


# ---- whom to call ----


def _dial(args: argparse.Namespace, environment: Mapping[str, str]) -> Dial:
    """Where to call and what to sign with. Raises ConfigError when that cannot be known."""
    running = _running(args.url)
    local_url = args.url or (running.url if running else "")
    public_url = args.public_url or (running.public_url if running else local_url)
    for name, url in (("--url", local_url), ("--public-url", public_url)):
        if not is_web(url):
            raise ConfigError(f"{name}: found {url!r}; an address like http://127.0.0.1:8080 is needed")
    # Twilio signs with the first of several tokens, the primary one.
    own_token = environment.get("TWILIO_AUTH_TOKEN", "").split(",")[0].strip()
    auth_token = args.auth_token or (running.auth_token if running else None) or own_token
    if not auth_token:
        raise ConfigError("no token to sign with; give --auth-token, or set TWILIO_AUTH_TOKEN as the service has it")
    account_sid = (running.account_sid if running else environment.get("TWILIO_ACCOUNT_SID", "").strip()) or ACCOUNT_SID
    return Dial(
        public_url=public_url,
        local_url=local_url,
        auth_token=auth_token,
        account_sid=account_sid,
        from_number=args.from_number,
        to_number=args.to_number,
    )


def _running(url: str | None) -> run_file.RunFile | None:
    """The service that runs here, if it is the one that is meant."""
    try:
        running = run_file.read()
    except ConfigError:
        if url is None:
            raise
        return None
    return running if url in (None, running.url) else None


# ---- what to say ----


async def _speech(stack: AsyncExitStack, must_speak: bool) -> Speech | None:
    """The voice and ears of the embedded agent; None when they are not installed and only ears were wanted."""
    missing = [engine for engine in _ENGINES if find_spec(engine) is None]
    if not missing:
        from agents.local.speech import speech_workers

        return await stack.enter_async_context(speech_workers())
    if must_speak:
        names = " and ".join(name.replace("_", "-") for name in missing)
        raise ConfigError(f"--say needs a voice: not installed are {names}; give --wav, or run: {_ENGINES_CURE}")
    return None


async def _utterance(line: SayLine | WavLine, speech: Speech | None, is_transcribed: bool) -> Utterance:
    match line:
        case WavLine(path):
            pcm16_8k = await asyncio.to_thread(read_wav, path)
            if speech is None or not is_transcribed:
                return Utterance(pcm16_8k)
            return Utterance(pcm16_8k, await speech.transcribe(resampled(pcm16_8k, mulaw.RATE_HZ, PCM_RATE_HZ)))
        case SayLine(text):
            assert speech is not None
            pcm = await speech.synthesize(text)
            if not pcm:
                raise ConfigError(f"--say {text!r}: there is nothing to pronounce in it")
            return Utterance(resampled(pcm, PCM_RATE_HZ, mulaw.RATE_HZ), text)


def _recordings(args: argparse.Namespace) -> list[Path]:
    """One path for each call, numbered when there are several."""
    path: Path = args.output or Path("recordings") / f"call-{datetime.now():%Y%m%d-%H%M%S}.wav"
    if args.calls == 1:
        return [path]
    return [path.with_stem(f"{path.stem}-{number}") for number in range(1, args.calls + 1)]


# ---- options ----


def _wav_line(text: str) -> WavLine:
    return WavLine(Path(text))


def _digits(text: str) -> str:
    if set(text) - set("0123456789*#ABCD"):
        raise argparse.ArgumentTypeError(f"{text!r} has a key that no telephone has (0-9 * # A-D)")
    return text


def _whole(text: str, least: int, most: int, unit: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {unit} from {least} to {most}")
    return int(text)


def _way(text: str) -> int:
    return _whole(text, 0, MAX_WAY_MS, "milliseconds")


def _milliseconds(text: str) -> int:
    return _whole(text, 0, LONGEST_CALL_S * 1000, "milliseconds")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not 0 <= value <= LONGEST_CALL_S:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to {LONGEST_CALL_S}")
    return value


def _calls(text: str) -> int:
    return _whole(text, 1, MAX_CALLS, "calls")
