"""What a caller gets whom no model can serve: an apology, and then a person, a beep, or the end."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agents import CallContext, RealtimeAgent
from agents.errors import ConfigError
from agents.last_resort import LastResort
from agents.providers.scripted import ScriptedModel
from agents.providers.scripted.steps import Fail
from channels.carrier import CallReport, Dial, FarParty, Script, Utterance, loop_time, place_call, run_virtual
from channels.carrier import started as starting
from channels.carrier.report import DialEnded, MessageRecorded
from channels.carrier.twiml import parse
from channels.carrier.twiml_verbs import Dial as DialVerb
from channels.carrier.twiml_verbs import Hangup, Play, Record, Say
from gateway import twiml
from gateway.addresses import RECORDING_PATH
from gateway.app import make_app
from gateway.calls import Calls
from gateway.numbers import Numbers
from gateway.settings import read_settings
from tests.carrier_service import tone
from tests.service import running

PUBLIC = "https://gw.example.com"
TOKEN = "test-token-0123456789abcdef"
DESK = "+15550100300"


def sick(resort: LastResort) -> RealtimeAgent:
    model = ScriptedModel([Fail("network", "no route", retryable=True)])
    return RealtimeAgent(name="sick", model=model, variables={"shop": "Spokewell"}, last_resort=resort)


def call(resort: LastResort, script: Script | None = None, **dial: Any) -> CallReport:
    """A call whose model cannot be reached, from the webhook to its end."""

    async def run() -> CallReport:
        settings = read_settings({"PUBLIC_URL": PUBLIC, "TWILIO_AUTH_TOKEN": TOKEN})
        agents = {"sick": sick(resort)}
        app = make_app(settings, agents, Numbers("sick", {}), Calls(agents, 1, clock=loop_time))
        async with starting(app) as running:
            told = Dial(public_url=PUBLIC, auth_token=TOKEN, **dial)
            return await place_call(told, script or Script(stays=True), app=running)

    return run_virtual(run())


# ---- whole calls ----


def test_without_more_the_caller_hears_an_apology_and_the_call_ends() -> None:
    report = call(LastResort())

    assert report.carrier_said == (twiml.TROUBLE,)
    assert report.ended_by == "agent"


def test_the_words_of_the_agents_file_are_filled_in_and_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    report = call(LastResort(say="{{ shop }} is sorry, {{ caller }}."))

    assert report.carrier_said == (f"Spokewell is sorry, {Dial(public_url=PUBLIC, auth_token=TOKEN).from_number}.",)
    assert "sick cannot go on: the caller gets the last resort" in caplog.text


def test_the_caller_is_put_through_to_a_person() -> None:
    report = call(LastResort(dial=DESK), far_parties={DESK: FarParty(rings_s=4, talks_s=60)})

    ended = [event for event in report.carrier_did if isinstance(event, DialEnded)]
    assert [(event.to, event.status, event.talked_ms) for event in ended] == [(DESK, "completed", 60_000)]
    assert report.carrier_said == (twiml.TROUBLE,)


def test_a_person_who_is_not_there_ends_the_call() -> None:
    report = call(LastResort(dial=DESK), far_parties={DESK: FarParty(rings_s=600)})

    assert [event.status for event in report.carrier_did if isinstance(event, DialEnded)] == ["no-answer"]
    assert report.errors == ()


def test_the_caller_can_leave_a_message() -> None:
    script = Script(utterances=(Utterance(tone(3000), "Call me back."),), stays=True)

    report = call(LastResort(voicemail=True), script)

    assert [event.said for event in report.carrier_did if isinstance(event, MessageRecorded)] == ["Call me back."]
    assert report.errors == ()


# ---- what Twilio is told ----


def test_a_recording_takes_the_place_of_the_words() -> None:
    said = twiml.last_resort(say="Sorry.", recording_url="https://h/r", dial=None, voicemail_url=None)

    assert parse(said) == (Play("https://h/r"), Hangup())


def test_a_sip_address_is_dialled_as_one() -> None:
    said = twiml.last_resort(say="Sorry.", recording_url=None, dial="sip:desk@example.com", voicemail_url=None)

    apology, dial, end = parse(said)
    assert (apology, end) == (Say("Sorry."), Hangup())
    assert isinstance(dial, DialVerb) and isinstance(dial.nouns, tuple)
    assert [(noun.kind, noun.address) for noun in dial.nouns] == [("Sip", "sip:desk@example.com")]


def test_a_message_is_announced_to_an_address_of_its_own() -> None:
    said = twiml.last_resort(say=None, recording_url=None, dial=None, voicemail_url="https://h/v")

    apology, record, end = parse(said)
    assert (apology, end) == (Say(twiml.TROUBLE), Hangup())
    assert isinstance(record, Record) and record.action == "https://h/v"


# ---- the recording ----


def test_the_recording_of_an_agent_can_be_fetched_and_nothing_else(tmp_path: Path) -> None:
    sorry = tmp_path / "sorry.wav"
    sorry.write_bytes(b"RIFF....")
    bare = replace(sick(LastResort()), name="bare")

    async def fetch() -> list[tuple[int, bytes]]:
        async with running(sick(LastResort(recording=sorry)), bare) as service, aiohttp.ClientSession() as http:
            answers = []
            for name in ("sick", "bare", "nobody", "..%2fsorry.wav"):
                async with http.get(f"{service.url}{RECORDING_PATH}/{name}") as answer:
                    answers.append((answer.status, await answer.read()))
            return answers

    [found, *others] = asyncio.run(asyncio.wait_for(fetch(), 30))
    assert found == (200, b"RIFF....")
    assert [status for status, _ in others] == [404] * 3


def test_the_caller_is_played_the_recording_from_where_the_service_serves_it(tmp_path: Path) -> None:
    sorry = tmp_path / "sorry.wav"
    sorry.write_bytes(b"RIFF....")

    report = call(LastResort(recording=sorry))

    assert [getattr(event, "url", "") for event in report.carrier_did] == [f"{PUBLIC}{RECORDING_PATH}/sick"]


def test_words_with_a_variable_that_is_missing_are_a_mistake() -> None:
    agent = sick(LastResort(say="{{ nobody }}"))

    with pytest.raises(ConfigError, match="nobody"):
        agent.apology_for(CallContext("CA1", "+1", "+2", "sick"))
