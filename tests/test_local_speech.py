"""The embedded ears and mouth, in their own process."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from agents.errors import ProviderError
from agents.local import speech as speech_module
from agents.local import worker
from agents.local.speech import Speech, SpokenCache, speech_workers
from tests.local_call import engines, over_the_phone

__all__ = ["engines"]


def letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalpha() or letter == " ")


@pytest.mark.parametrize(
    "sentence",
    [
        "I would like to make an appointment for next Tuesday.",
        "Where can I park my car?",
        "Thank you very much, that is all.",
    ],
)
def test_what_the_mouth_says_over_the_phone_the_ears_understand(engines: Speech, sentence: str) -> None:
    async def main() -> str:
        return await engines.transcribe(over_the_phone(await engines.synthesize(sentence)))

    assert letters(asyncio.run(main())) == letters(sentence)


def test_speech_begins_soon_and_is_as_long_as_it_sounds(engines: Speech) -> None:
    pcm = asyncio.run(engines.synthesize("Good morning."))

    assert len(pcm) % 2 == 0
    assert 500 <= len(pcm) / 48 <= 2000
    assert any(pcm[: 80 * 48]), "the first sound is within 80 ms"


def test_a_faster_voice_takes_less_time(engines: Speech) -> None:
    async def main() -> tuple[int, int]:
        text = "We are open from nine to five."
        return len(await engines.synthesize(text, 1.0)), len(await engines.synthesize(text, 1.5))

    normal, fast = asyncio.run(main())

    assert fast < 0.8 * normal


@pytest.mark.parametrize("pcm", [b"", bytes(48), bytes(48 * 2000)])
def test_silence_is_nothing(engines: Speech, pcm: bytes) -> None:
    assert asyncio.run(engines.transcribe(pcm)) == ""


def test_noise_is_mostly_nothing(engines: Speech) -> None:
    async def main() -> list[str]:
        noises = [np.random.default_rng(seed).bytes(48 * 1000) for seed in range(10)]
        return [await engines.transcribe(noise) for noise in noises]

    assert asyncio.run(main()).count("") >= 7


@pytest.mark.parametrize("text", ["", " ", "日本"])
def test_nothing_to_pronounce_is_no_audio(engines: Speech, text: str) -> None:
    assert asyncio.run(engines.synthesize(text)) == b""


def test_the_same_text_is_spoken_once(engines: Speech) -> None:
    async def main() -> tuple[bytes, bytes]:
        first = await engines.synthesize("This sentence is said for the first time.")
        return first, await engines.synthesize("This sentence is said for the first time.")

    first, again = asyncio.run(main())

    assert first is again


@pytest.mark.parametrize(
    "number", ["7" * 37, "1,234,567" * 6, "\u0663" * 40, "+" + "0" * 300, "9" * 40 + ".5", "8" * 36 + ",000"]
)
def test_a_number_of_any_length_can_be_said(engines: Speech, number: str) -> None:
    assert asyncio.run(engines.synthesize(f"Your number is {number}."))


def test_a_number_too_long_for_its_words_is_said_digit_by_digit() -> None:
    assert worker.pronounceable("Call 123456789012345678901, now.") == (
        "Call 1 2 3, 4 5 6, 7 8 9, 0 1 2, 3 4 5, 6 7 8, 9 0 1, now."
    )


@pytest.mark.parametrize("text", ["Card 1234567890123456.", "12345678901234567890", "1 " * 40, "It is 3.5, or 4,000."])
def test_a_number_that_has_words_is_left_to_the_voice(text: str) -> None:
    assert worker.pronounceable(text) == text


def test_a_job_that_fails_is_an_error_of_the_provider_that_names_only_its_kind(engines: Speech) -> None:
    (each, *_) = engines._workers

    with pytest.raises(ProviderError, match="ValueError") as caught:
        asyncio.run(each.run(int, "what the caller said"))

    assert (caught.value.code, caught.value.retryable) == ("speech", False)
    assert "caller" not in str(caught.value)


def test_a_worker_that_dies_fails_its_jobs_and_is_replaced() -> None:
    speech = Speech(1)
    try:

        async def main() -> None:
            (each,) = speech._workers
            pid = await each.run(worker.process_id)
            jobs = [asyncio.create_task(each.run(time.sleep, 60)) for _ in range(2)]
            await asyncio.sleep(0)
            os.kill(pid, signal.SIGKILL)
            for outcome in await asyncio.gather(*jobs, return_exceptions=True):
                assert isinstance(outcome, ProviderError)
                assert (outcome.code, outcome.retryable) == ("speech", True)
            assert await speech.synthesize("Here I am again.")

        asyncio.run(main())
    finally:
        speech.close()


def test_too_many_waiting_jobs_are_refused(engines: Speech, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_module, "MAX_WAITING_JOBS", 2)

    async def main() -> list[object]:
        jobs = [engines.transcribe(bytes(48 * 500)) for _ in range(4)]
        return list(await asyncio.gather(*jobs, return_exceptions=True))

    outcomes = asyncio.run(main())

    assert outcomes[:2] == ["", ""]
    assert [error.code for error in outcomes[2:] if isinstance(error, ProviderError)] == ["busy", "busy"]


def test_a_worker_that_is_stuck_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    speech = Speech(1)

    async def main() -> None:
        await speech.ready()
        monkeypatch.setattr(speech_module, "JOB_TIMEOUT_S", 0.1)
        (each,) = speech._workers
        with pytest.raises(ProviderError) as caught:
            await each.run(time.sleep, 30)
        assert caught.value.code == "timeout"

    began = time.monotonic()
    asyncio.run(main())
    speech.close()

    assert time.monotonic() - began < 15


def test_the_last_holder_ends_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_module, "_holders", 0)  # apart from what the tests hold
    monkeypatch.setattr(speech_module, "_shared", None)

    async def main() -> int:
        async with speech_workers() as first, speech_workers() as second:
            assert first is second
            return await first._workers[0].run(worker.process_id)

    pid = asyncio.run(main())

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


_PARENT = """
import asyncio, os, signal
from agents.local import worker
from agents.local.speech import Speech

if __name__ == "__main__":
    print(asyncio.run(Speech(1)._workers[0].run(worker.process_id)), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_does_not_outlive_a_killed_gateway(tmp_path: Path) -> None:
    parent = tmp_path / "parent.py"
    parent.write_text(_PARENT)
    here = {**os.environ, "PYTHONPATH": str(Path(worker.__file__).parents[2])}

    ended = subprocess.run([sys.executable, parent], env=here, capture_output=True, text=True, timeout=30, check=False)

    assert is_gone_within(5, int(ended.stdout)), "the worker is still there"


def is_gone_within(limit_s: float, pid: int) -> bool:
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_the_cache_forgets_what_was_not_used_for_longest() -> None:
    cache = SpokenCache(max_bytes=10)
    cache.put("a", 1.0, b"1234")
    cache.put("b", 1.0, b"1234")
    cache.get("a", 1.0)

    cache.put("c", 1.0, b"1234")

    assert [cache.get(text, 1.0) is not None for text in "abc"] == [True, False, True]
    assert cache.get("a", 1.5) is None
