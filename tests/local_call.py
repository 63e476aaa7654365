"""A caller for the embedded agent's tests: a voice over mu-law, engines loaded once, events read within a limit."""

import asyncio
from collections.abc import Iterator
from typing import Final, TypeVar

import pytest

from agents.events import AudioInputAppend, ServerEvent
from agents.local.connection import LocalConnection
from agents.local.speech import Speech, kept_speech_workers
from agents.mulaw import PcmToUlaw, UlawToPcm

E = TypeVar("E")

EVENT_TIMEOUT_S: Final = 20
SILENCE: Final = bytes(48 * 1000)
"""A second of it: longer than what ends a turn."""


@pytest.fixture(scope="session")
def engines() -> Iterator[Speech]:
    """The speech workers, loaded for as long as tests run."""
    with kept_speech_workers() as speech:
        yield speech


def over_the_phone(pcm: bytes) -> bytes:
    """What is left of a voice after mu-law at 8 kHz."""
    out, back = PcmToUlaw(), UlawToPcm()
    ulaw = out.feed(pcm) + out.flush()
    return back.feed(ulaw) + back.flush()


async def say(connection: LocalConnection, speech: Speech, text: str) -> None:
    """Speaks to the agent over the phone out of silence, and falls silent."""
    await connection.send(AudioInputAppend(SILENCE + over_the_phone(await speech.synthesize(text)) + SILENCE))


async def until(connection: LocalConnection, kind: type[E]) -> tuple[E, list[ServerEvent]]:
    """Reads up to the next event of that kind; gives it, and all that was read."""
    seen: list[ServerEvent] = []
    async with asyncio.timeout(EVENT_TIMEOUT_S):
        async for event in connection:
            seen.append(event)
            if isinstance(event, kind):
                return event, seen
    raise AssertionError(f"the conversation ended without {kind.__name__}: {kinds(seen)}")


def kinds(events: list[ServerEvent]) -> list[str]:
    """The kinds of the events, pieces of audio that follow each other taken as one."""
    names = [event.kind for event in events]
    return [name for i, name in enumerate(names) if i == 0 or name != names[i - 1] or name != "audio.output.delta"]
