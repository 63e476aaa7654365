"""The caller's turns are cut out of a stream of audio, by ear."""

import asyncio

import pytest

from agents.local.listening import Listener, Turn
from agents.local.speech import Speech
from agents.local.turns import MAX_TURN_MS, TurnSettings, TurnStarted
from agents.local.vad import RATE_HZ, voice_activity
from tests.local_call import SILENCE, engines, over_the_phone

__all__ = ["engines"]

FRAME_BYTES = 960
MS_16K = 32


def listen(pcm: bytes, settings: TurnSettings, piece: int = FRAME_BYTES) -> list[TurnStarted | Turn]:
    async def main() -> list[TurnStarted | Turn]:
        async with voice_activity() as vad:
            listener = Listener(vad, settings)
            return [found for at in range(0, len(pcm), piece) for found in listener.hear(pcm[at : at + piece])]

    return asyncio.run(main())


def voice(engines: Speech, text: str) -> bytes:
    return over_the_phone(asyncio.run(engines.synthesize(text)))


def test_two_sentences_with_a_pause_between_are_two_turns(engines: Speech) -> None:
    first, second = voice(engines, "When are you open?"), voice(engines, "And where are you?")

    started, one, again, two = listen(SILENCE + first + SILENCE + second + SILENCE, TurnSettings())

    assert isinstance(started, TurnStarted) and 600 <= started.at_ms <= 1100
    assert isinstance(again, TurnStarted) and isinstance(one, Turn) and isinstance(two, Turn)
    assert asyncio.run(engines.transcribe(one.pcm16k, RATE_HZ)).startswith("When are you")
    assert asyncio.run(engines.transcribe(two.pcm16k, RATE_HZ)).startswith("And where are you")


def test_a_turn_has_the_padding_before_and_little_silence_after(engines: Speech) -> None:
    said = voice(engines, "When are you open?")

    _, turn = listen(SILENCE + said + SILENCE, TurnSettings())

    assert isinstance(turn, Turn)
    assert len(said) / 48 - 300 <= len(turn.pcm16k) / MS_16K <= len(said) / 48 + 500


@pytest.mark.parametrize("piece", [2, 4800, 960_000])
def test_the_pieces_of_audio_do_not_matter(engines: Speech, piece: int) -> None:
    pcm = SILENCE[:9600] + voice(engines, "Hello?") + SILENCE

    assert listen(pcm, TurnSettings(), piece) == listen(pcm, TurnSettings())


def test_silence_is_no_turn() -> None:
    assert listen(SILENCE * 3, TurnSettings()) == []


def test_manual_turns_end_by_commit_alone_and_have_a_longest_length() -> None:
    async def main() -> tuple[list[TurnStarted | Turn], Turn | None, Turn | None]:
        async with voice_activity() as vad:
            listener = Listener(vad, TurnSettings(is_manual=True))
            found = list(listener.hear(SILENCE * (MAX_TURN_MS // 1000 + 5)))
            return found, listener.commit(), listener.commit()

    found, turn, nothing = asyncio.run(main())

    assert found == [] and nothing is None
    assert turn is not None and len(turn.pcm16k) / MS_16K == pytest.approx(MAX_TURN_MS, abs=40)


def test_what_was_cleared_is_not_committed(engines: Speech) -> None:
    async def main() -> Turn | None:
        async with voice_activity() as vad:
            listener = Listener(vad, TurnSettings())
            for _ in listener.hear(over_the_phone(await engines.synthesize("When are you open?"))):
                assert listener.is_speaking
            listener.clear()
            assert not listener.is_speaking
            return listener.commit()

    assert asyncio.run(main()) is None


def test_a_detector_used_again_remembers_nothing(engines: Speech) -> None:
    pcm = SILENCE[:9600] + voice(engines, "Hello?") + SILENCE

    first = listen(pcm, TurnSettings())
    listen(voice(engines, "Some other call that ends in mid-speech"), TurnSettings())

    assert listen(pcm, TurnSettings()) == first
