"""Hundreds of calls of an hour, on virtual time: memory stays flat, nothing is left, the directions do not drift.

    python -m tests.benchmarks.soak [--calls 200] [--minutes 60] [--jobs 2]

Each process serves its share of the calls all at once, through the whole service and a network of 80 ms with 10 ms of
jitter. Every 20 s the caller speaks for a second; the model answers with six seconds of audio and in every second turn
is interrupted when half of it was sent to be heard. Twenty calls of an hour take about six minutes of a core.
"""

import argparse
import asyncio
import gc
import json
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from agents import RealtimeAgent
from agents.errors import NotSupportedError
from agents.events import (
    AudioInputAppend,
    AudioOutputDelta,
    AudioOutputDone,
    ClientEvent,
    ItemTruncate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SpeechStarted,
    SpeechStopped,
    TranscriptInput,
    TranscriptOutput,
)
from agents.realtime import SPEC, Capabilities, RealtimeAuthenticateOptions, RealtimeConnectOptions, TokenCredential
from channels.carrier.call import ACCOUNT_SID
from channels.carrier.caller import Move
from channels.carrier.in_process import InProcess, started
from channels.carrier.media import open_leg
from channels.carrier.network import Network
from channels.carrier.playout import Tick
from channels.carrier.signature import SIGNATURE_HEADER, sign
from channels.carrier.tally import Tally
from channels.carrier.twiml import parse
from channels.carrier.twiml_verbs import Connect
from channels.carrier.virtual_time import loop_time, run_virtual
from channels.media_streams import Start
from gateway.app import make_app
from gateway.calls import Calls
from gateway.numbers import Numbers
from gateway.settings import read_settings

TOKEN: Final = "test-token-0123456789abcdef"
PUBLIC: Final = "https://gw.example.com"
MEDIA: Final = "wss://gw.example.com/twilio/media"

TURN_MS: Final = 20_000
REPLY_MS: Final = 6_000
CUT_AFTER_MS: Final = 3_000
DELTA_MS: Final = 400
BYTES_PER_MS: Final = 48
SOUND: Final = bytes(range(256)) * (DELTA_MS * BYTES_PER_MS // 256 + 1)


class Partner:
    """A model and its one connection, driven by the audio that it hears: its clock is the caller's."""

    spec = SPEC
    provider = "soak"
    capabilities = Capabilities()
    model_id = "soak"
    session_id = "soak"

    def __init__(self) -> None:
        self.heard_ms = 0.0
        self.cut_at_ms: list[int] = []
        self._turn = 0
        self._events: asyncio.Queue[ServerEvent] = asyncio.Queue()

    async def connect(self, options: RealtimeConnectOptions | None = None) -> Self:
        self._events.put_nowait(SessionCreated("soak"))
        return self

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> TokenCredential:
        raise NotSupportedError("no credentials here")

    async def send(self, event: ClientEvent) -> None:
        if isinstance(event, ItemTruncate):
            self.cut_at_ms.append(event.audio_end_ms)
        if isinstance(event, AudioInputAppend):
            before, self.heard_ms = self.heard_ms, self.heard_ms + len(event.pcm) / BYTES_PER_MS
            self._live(before % TURN_MS, self.heard_ms % TURN_MS)

    def _live(self, before_ms: float, now_ms: float) -> None:
        """One turn: the caller's second begins it; a reply follows; half of the replies are cut off."""
        if before_ms < 1000 <= now_ms:
            self._say(SpeechStarted(f"u{self._turn}"))
        if before_ms < 2000 <= now_ms:
            item = f"u{self._turn}"
            self._say(SpeechStopped(item), TranscriptInput(item, "and what is the next thing that I should know"))
            self._reply(f"r{self._turn}")
        if before_ms < 2000 + CUT_AFTER_MS <= now_ms and self._turn % 2:
            self._say(SpeechStarted(f"c{self._turn}"), SpeechStopped(f"c{self._turn}"))
        if now_ms < before_ms:
            self._turn += 1

    def _reply(self, name: str) -> None:
        self._say(ResponseCreated(name))
        for _ in range(REPLY_MS // DELTA_MS):
            self._say(AudioOutputDelta(name, name, 0, SOUND[: DELTA_MS * BYTES_PER_MS]))
        text = TranscriptOutput(name, name, "there is a good deal to know and it is all in the book that we sent you")
        self._say(AudioOutputDone(name, name, 0), text, ResponseDone(name, "completed"))

    def _say(self, *events: ServerEvent) -> None:
        for event in events:
            self._events.put_nowait(event)

    async def __aiter__(self) -> AsyncIterator[ServerEvent]:
        while True:
            yield await self._events.get()

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        pass


class Partners:
    """The agent's model: a Partner of its own for each call."""

    spec = SPEC
    provider = "soak"
    capabilities = Capabilities()
    model_id = "soak"

    def __init__(self) -> None:
        self.all: list[Partner] = []

    async def connect(self, options: RealtimeConnectOptions | None = None) -> Partner:
        self.all.append(await Partner().connect())
        return self.all[-1]

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> TokenCredential:
        raise NotSupportedError("no credentials here")


@dataclass
class Share:
    """What one process saw. Memory is resident, in MB, at each tenth of the calls' length."""

    calls: int
    memory_mb: list[float] = field(default_factory=list)
    tasks_left: int = 0
    problems: int = 0
    interruptions: int = 0
    worst_drift_in_ms: float = 0.0
    worst_drift_out_ms: float = 0.0
    cpu_s: float = 0.0


async def soak(count: int, seconds: float) -> Share:
    share, model = Share(count), Partners()
    agent = RealtimeAgent(name="soak", model=model, max_duration_s=2 * seconds + 60)
    settings = read_settings({"TWILIO_AUTH_TOKEN": TOKEN, "PUBLIC_URL": PUBLIC, "TWILIO_ACCOUNT_SID": ACCOUNT_SID})
    calls = Calls({"soak": agent}, count, clock=loop_time)
    before, tallies = asyncio.all_tasks(), [Tally() for _ in range(count)]
    async with (
        started(make_app(settings, {"soak": agent}, Numbers("soak", {}), calls)) as app,
        InProcess(app, PUBLIC) as reach,
        asyncio.TaskGroup() as tasks,
    ):
        for number, tally in enumerate(tallies):
            tasks.create_task(one_call(reach, number, tally, seconds))
        for _ in range(10):
            await asyncio.sleep(seconds / 10)
            gc.collect()
            share.memory_mb.append(_resident_mb())
    share.tasks_left = len(asyncio.all_tasks() - before)
    share.problems = sum(len(tally.errors) for tally in tallies)
    for partner, tally in zip(model.all, tallies, strict=True):
        share.worst_drift_in_ms = max(share.worst_drift_in_ms, abs(partner.heard_ms - tally.frames_sent * 20))
        share.interruptions += len(partner.cut_at_ms)
        first, last = partner.cut_at_ms[:5], partner.cut_at_ms[-5:]
        if first:
            drift = abs(sum(last) / len(last) - sum(first) / len(first))
            share.worst_drift_out_ms = max(share.worst_drift_out_ms, drift)
    share.cpu_s = time.process_time()
    return share


async def one_call(reach: InProcess, number: int, tally: Tally, seconds: float) -> None:
    sid = f"CA{number:032x}"
    form = {"CallSid": sid, "AccountSid": ACCOUNT_SID, "From": "+15550100100", "To": "+15550100200"}
    url = f"{PUBLIC}/twilio/voice"
    answer = await reach.post(url, form, {SIGNATURE_HEADER: sign(url, form, TOKEN)})
    (verb, *_) = parse(answer.body)
    assert isinstance(verb, Connect), answer.body
    start = Start("MZ" + secrets.token_hex(16), sid, ACCOUNT_SID, parameters=verb.stream.parameters)
    network = Network(rtt_ms=80, jitter_ms=10, seed=number)
    silence = Move()

    def phone(tick: Tick) -> Move:
        del tally.lateness_ms[:]
        return silence if tick.at_ms < seconds * 1000 else Move(is_hang_up=True)

    async with open_leg(
        MEDIA, start, signature=sign(MEDIA, {}, TOKEN), tally=tally, reach=reach, network=network
    ) as leg:
        await leg.run(phone, loop_time())


def _resident_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return round(int(status.split("VmRSS:")[1].split()[0]) / 1000, 1)


def serve(count: int, seconds: float) -> Share:
    return run_virtual(soak(count, seconds))


def main() -> int:
    """1 when a call met a problem or left a task behind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    counts = [options.calls // options.jobs + (job < options.calls % options.jobs) for job in range(options.jobs)]
    began, is_bad = time.monotonic(), False
    with ProcessPoolExecutor(options.jobs) as pool:
        for share in pool.map(serve, counts, [options.minutes * 60] * options.jobs):
            print(json.dumps(asdict(share)), flush=True)
            is_bad |= bool(share.problems or share.tasks_left)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return int(is_bad)


if __name__ == "__main__":
    raise SystemExit(main())
