"""The embedded agent, called in virtual time: its work is waited for, and takes no time of the call's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.audio import resampled
from agents.local.speech import Speech, kept_speech_workers
from channels.carrier import ACCOUNT_SID, CallReport, Dial, Network, Script, Utterance, place_call, run_virtual, started
from channels.carrier.virtual_time import in_real_time
from gateway.on_trial import service_of
from tests.carrier_service import PUBLIC_URL, TOKEN

CONFIG = Path("config")
ENVIRONMENT = {"PUBLIC_URL": PUBLIC_URL, "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_ACCOUNT_SID": ACCOUNT_SID}


@pytest.fixture(scope="module")
def engines() -> Iterator[Speech]:
    with kept_speech_workers() as speech:
        yield speech


def call(speech: Speech, *lines: str, **script: bool) -> CallReport:
    """A call to the service as it is configured, over a line that is not perfect."""

    async def said(text: str) -> Utterance:
        return Utterance(resampled(await speech.synthesize(text), 24_000, 8000), text)

    async def transcribe(pcm: bytes) -> str:
        return await in_real_time(speech.transcribe(pcm))

    async def run() -> CallReport:
        utterances = tuple([await in_real_time(said(line)) for line in lines])
        dial = Dial(public_url=PUBLIC_URL, auth_token=TOKEN, call_sid="CA" + "1" * 32)
        async with started(service_of(CONFIG, ENVIRONMENT)) as app:
            told = Script(utterances=utterances, stays=script.get("stays", False))
            return await place_call(
                dial, told, app=app, transcribe=transcribe, network=Network(rtt_ms=80, jitter_ms=20, seed=1)
            )

    return run_virtual(run())


def test_a_conversation_is_the_same_every_time_to_the_millisecond(engines: Speech) -> None:
    reports = [call(engines, "What are your opening hours?", "Where can I park my car?") for _ in range(2)]

    first = reports[0]
    assert (first.is_good, first.playout_gaps, first.lateness_p99_ms) == (True, 0, 0)
    assert "eight in the morning" in (first.turns[0].heard or "").lower()
    assert "parking" in (first.turns[1].heard or "").lower()
    assert reports[1] == first
    assert reports[1].tape.played == first.tape.played


def test_a_goodbye_is_heard_to_its_last_word_and_ends_the_call(engines: Speech) -> None:
    report = call(engines, "Thank you, that is all. Goodbye.", stays=True)

    assert (report.ended_by, report.errors, report.carrier_said) == ("agent", (), ())
    assert "goodbye" in (report.turns[0].heard or "").lower().replace(" ", "")
