"""A simulated call with what traces are looked at for: a tool, an interruption, a handoff. Made for virtual time.

The service, its sessions and lines are the real ones. Two scripted models say what they would say to this caller, as
fast as such models do; the network takes 80 ms there and back.
"""

import asyncio
from collections.abc import Iterator
from typing import Final

import numpy as np

from agents import RealtimeAgent, SessionConfig, TurnDetection, tool
from agents.audio import PCM_BYTES_PER_MS
from agents.events import (
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
    Usage,
)
from agents.handoffs import Handoff
from agents.providers.scripted import ScriptedModel
from agents.providers.scripted.steps import Expect, Step, Wait
from agents.tracing import Telemetry
from channels.carrier import ACCOUNT_SID, CallReport, Dial, Network, Script, loop_time, place_call, started
from gateway.app import make_app
from gateway.calls import Calls
from gateway.numbers import Numbers
from gateway.settings import read_settings

PUBLIC_URL: Final = "https://simulated.invalid"
AUTH_TOKEN: Final = "simulated"
NETWORK: Final = Network(rtt_ms=80)

SILENCE_MS: Final = 500
"""What the models wait for after a voice, as OpenAI's do."""

_LASTS_S: Final = 25.0
_PIECE_MS: Final = 100
_PIECE_TAKES_MS: Final = 30
"""A model's audio comes about three times as fast as it plays."""

_LOUDNESS: Final = 4000


@tool
async def find_times(day: str) -> str:
    """Finds free appointments of a day."""
    await asyncio.sleep(1.1)
    return f"{day}: ten o'clock, three o'clock"


async def place_traced_call(telemetry: Telemetry, call_sid: str = "CA" + "7" * 32) -> CallReport:
    """Makes the call, on the running loop's clock, and returns when it is over and its spans have ended."""
    agents = _agents()
    settings = read_settings(
        {"PUBLIC_URL": PUBLIC_URL, "TWILIO_AUTH_TOKEN": AUTH_TOKEN, "TWILIO_ACCOUNT_SID": ACCOUNT_SID}
    )
    calls = Calls(agents, 1, clock=loop_time, telemetry=telemetry)
    dial = Dial(public_url=PUBLIC_URL, auth_token=AUTH_TOKEN, call_sid=call_sid)
    async with started(make_app(settings, agents, Numbers("desk", {}), calls)) as app:
        return await place_call(dial, Script(stays=True, hang_up_after_s=_LASTS_S), app=app, network=NETWORK)


def _agents() -> dict[str, RealtimeAgent]:
    config = SessionConfig(turn_detection=TurnDetection(silence_duration_ms=SILENCE_MS))
    billing = RealtimeAgent(
        name="billing",
        model=ScriptedModel(tuple(_billing()), model_id="billing-script"),
        greeting="This is billing.",
        config=config,
    )
    desk = RealtimeAgent(
        name="desk",
        model=ScriptedModel(tuple(_desk()), model_id="desk-script"),
        greeting="Lindenhof Clinic, good morning.",
        tools=(find_times,),
        handoffs=(Handoff("billing", billing),),
        config=config,
    )
    return {"desk": desk, "billing": billing}


def _desk() -> Iterator[Step]:
    yield from _answer("greeting", "Lindenhof Clinic, good morning.", think_ms=350, voice_ms=1800)
    yield Wait(2200)
    yield from _speech("u1", "Do you have a time on Tuesday?", ms=1700)
    yield from _asks("ask-1", "find_times", '{"day": "Tuesday"}')
    yield from _answer("offer", "There is ten o'clock, and there is three o'clock.", think_ms=380, voice_ms=4600)
    yield Wait(700)  # the caller breaks in
    yield from _speech("u2", "Three, please.", ms=900)
    yield from _answer("booked", "Three it is. Anything else?", think_ms=420, voice_ms=1900, is_asked=False)
    yield Wait(2300)
    yield from _speech("u3", "A question about my bill.", ms=1500)
    yield from _asks("ask-2", "transfer_to_billing", '{"reason": "a bill"}')


def _billing() -> Iterator[Step]:
    yield from _answer("hello", "This is billing.", think_ms=300, voice_ms=1400)
    yield Wait(2000)
    yield from _speech("u4", "Is it paid?", ms=1000)
    yield from _answer("paid", "It was paid on Monday.", think_ms=450, voice_ms=2000, is_asked=False)


def _speech(item_id: str, text: str, *, ms: int) -> Iterator[Step]:
    """What a model tells of a caller who speaks for so long."""
    yield SpeechStarted(item_id)
    yield Wait(ms + SILENCE_MS)
    yield SpeechStopped(item_id)
    yield AudioInputCommitted(item_id)
    yield Wait(140)
    yield TranscriptInput(item_id, text)


def _asks(response_id: str, name: str, arguments: str) -> Iterator[Step]:
    """A response that calls a tool and waits for what it gives."""
    yield ResponseCreated(response_id)
    yield Wait(320)
    yield ToolCall(response_id, f"call-{response_id}", name, arguments)
    yield ResponseDone(response_id, "completed", Usage(640, 24, 520, 384))
    yield Expect(ToolResult)


def _answer(response_id: str, text: str, *, think_ms: int, voice_ms: int, is_asked: bool = True) -> Iterator[Step]:
    """A spoken response."""
    item_id = f"item-{response_id}"
    if is_asked:
        yield Expect(ResponseCreate)
    yield ResponseCreated(response_id)
    yield Wait(think_ms)
    voice = np.random.default_rng(len(text)).integers(-_LOUDNESS, _LOUDNESS, voice_ms * PCM_BYTES_PER_MS // 2)
    pcm = voice.astype("<i2").tobytes()
    for at in range(0, len(pcm), _PIECE_MS * PCM_BYTES_PER_MS):
        yield AudioOutputDelta(response_id, item_id, 0, pcm[at : at + _PIECE_MS * PCM_BYTES_PER_MS])
        yield Wait(_PIECE_TAKES_MS)
    yield AudioOutputDone(response_id, item_id, 0)
    yield TranscriptOutput(response_id, item_id, text)
    tokens = voice_ms // 20
    yield ResponseDone(response_id, "completed", Usage(700, tokens, 560, 384, tokens - len(text.split())))
