"""Whole calls that are handed over: the real service, the simulated carrier, and fakes of two providers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents import RealtimeAgent, SessionConfig, Transcription, TurnDetection, Voice
from agents.assemble import make_agent
from agents.audio import resampled
from agents.handoffs import Handoff
from agents.last_resort import LastResort
from agents.local.speech import Speech, kept_speech_workers
from agents.providers.openai import OpenAIModel
from agents.providers.scripted import ScriptedModel
from agents.providers.scripted.steps import Fail, Say, Wait
from agents.realtime import (
    PCM,
    PCMU,
    AudioFormat,
    RealtimeModel,
)
from agents.schema import AgentSpec
from channels.carrier import (
    ACCOUNT_SID,
    CallReport,
    Dial,
    Script,
    Utterance,
    loop_time,
    place_call,
    run_virtual,
    started,
)
from channels.carrier.virtual_time import in_real_time
from channels.carrier.witness import Transcribe
from gateway.app import make_app
from gateway.calls import Calls
from gateway.numbers import Numbers
from gateway.settings import read_settings
from tests.carrier_service import PUBLIC_URL, TOKEN, tone
from tests.fake_net import in_memory
from tests.fake_openai import Call, CallTools, FakeOpenAI, Speak
from tests.rig import Says
from tests.rig_gemini import GeminiRig
from tests.through import InMemory, through

ENVIRONMENT = {"PUBLIC_URL": PUBLIC_URL, "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_ACCOUNT_SID": ACCOUNT_SID}

HELLO = Speak("Hello.", 400)
TO_BILLING = CallTools(
    (Call("transfer_to_billing", '{"reason": "a wrong bill"}'),), first=Speak("I am putting you through.", 800)
)
TO_RECEPTION = CallTools((Call("transfer_to_reception"),))


def openai(fake: FakeOpenAI) -> InMemory:
    model = OpenAIModel("gpt-realtime-2.1", api_key=fake.key, base_url="https://openai.example/v1")
    return InMemory(model, in_memory(fake))


def config_of(audio: AudioFormat = PCM, voice: str | None = None) -> SessionConfig:
    return SessionConfig(
        input_format=audio,
        output_format=audio,
        voice=Voice(voice_id=voice),
        turn_detection=TurnDetection(),
        transcription=Transcription(),
    )


def desks(
    one: RealtimeModel, other: RealtimeModel, here: SessionConfig, there: SessionConfig
) -> tuple[RealtimeAgent, RealtimeAgent]:
    """A reception, and the billing desk that it may hand over to and that may hand back."""
    made: dict[str, RealtimeAgent] = {}
    made["reception"] = RealtimeAgent(
        name="reception",
        model=one,
        instructions="You receive callers.",
        greeting="Hello.",
        config=here,
        handoffs=(Handoff("billing", lambda: made["billing"]),),
    )
    made["billing"] = RealtimeAgent(
        name="billing",
        model=other,
        instructions="You are the billing desk.",
        config=there,
        handoffs=(Handoff("reception", lambda: made["reception"]),),
    )
    return made["reception"], made["billing"]


def call(*agents: RealtimeAgent, transcribe: Transcribe | None = None, **script: Any) -> CallReport:
    """A whole call to the first of the agents, in which the caller takes two turns unless told otherwise."""
    by_name = {agent.name: agent for agent in agents}
    dial = Dial(public_url=PUBLIC_URL, auth_token=TOKEN, call_sid="CA" + "1" * 32)
    told = Script(**{"utterances": (Utterance(tone(1000)),) * 2, **script})

    async def run() -> CallReport:
        calls = Calls(by_name, 1, clock=loop_time)
        app = make_app(read_settings(ENVIRONMENT), by_name, Numbers(agents[0].name, {}), calls)
        async with started(app) as service:
            return await place_call(dial, told, app=service, transcribe=transcribe)

    return run_virtual(run())


# ---- one provider ----


@pytest.mark.parametrize("audio", [PCM, PCMU], ids=["pcm16", "passthrough"])
def test_a_caller_is_handed_over_within_one_provider_on_one_connection_that_keeps_its_formats(
    audio: AudioFormat,
) -> None:
    fake = FakeOpenAI(HELLO, TO_BILLING, Speak("Billing here, about your bill.", 1200), Speak("It is mended.", 500))
    model = openai(fake)

    report = call(*desks(model, model, config_of(audio), config_of(audio)))

    assert report.is_good and fake.violations == []
    [session] = fake.sessions
    first, second = (message["session"] for message in session.messages("session.update"))
    assert (first["instructions"], second["instructions"]) == ("You receive callers.", "You are the billing desk.")
    assert [each["name"] for each in second["tools"]] == ["transfer_to_reception"]
    assert first["audio"] == second["audio"]
    assert report.played_ms == pytest.approx(400 + 800 + 1200 + 500, abs=80)
    assert (report.clears, report.playout_gaps) == (0, 0)


def test_an_agent_with_another_voice_talks_on_a_connection_of_its_own_that_knows_what_was_said() -> None:
    fake = FakeOpenAI(HELLO, TO_BILLING, Speak("Billing here.", 600), Speak("It is mended.", 500), hears="My bill!")
    model = openai(fake)

    report = call(*desks(model, model, config_of(), config_of(voice="marin")))

    assert report.is_good and fake.violations == []
    _, second = fake.sessions
    assert second.messages("session.update")[0]["session"]["audio"]["output"]["voice"] == "marin"
    items = [message["item"] for message in second.messages("conversation.item.create")]
    told = [(item["role"], item["content"][0]["text"]) for item in items]
    assert told[:3] == [("assistant", "Hello."), ("user", "My bill!"), ("assistant", "I am putting you through.")]
    assert told[3][0] == "system" and "handed over by reception" in told[3][1]
    assert report.played_ms == pytest.approx(400 + 800 + 600 + 500, abs=80)


def test_a_caller_who_interrupts_what_was_said_before_the_handoff_leaves_the_next_agent_knowing_what_they_heard() -> (
    None
):
    words = "I am putting you through to the billing desk, who will see to it that your bill is mended at once."
    to_billing = CallTools((Call("transfer_to_billing"),), first=Speak(words, 9000))
    fake = FakeOpenAI(Speak("Hello.", 2000), to_billing, Speak("Billing here.", 600), Speak("Yes.", 500), hears="Stop!")
    model = openai(fake)

    report = call(*desks(model, model, config_of(), config_of(voice="marin")), interrupt_ms=3000)

    assert report.errors == () and fake.violations == []
    _, second = fake.sessions
    assert len(second.messages("conversation.item.delete")) == 1
    said = [
        item["content"][0]["text"]
        for message in second.messages("conversation.item.create")
        if (item := message["item"])["role"] == "assistant" and item["content"][0]["text"].startswith("I am")
    ]
    begun, heard = said
    assert begun == words and words.startswith(heard) and 0 < len(heard) < 0.8 * len(words)


def test_a_caller_who_says_nothing_is_not_sent_back_and_forth_for_ever() -> None:
    fake = FakeOpenAI(HELLO, TO_BILLING, TO_RECEPTION, Speak("Then let me see to it myself.", 900))
    model = openai(fake)

    report = call(*desks(model, model, config_of(), config_of()), utterances=(Utterance(tone(1000)),))

    assert report.is_good and fake.violations == []
    [session] = fake.sessions
    outputs = [message["item"]["output"] for message in session.messages("conversation.item.create")]
    assert "has said nothing since" in outputs[1]
    assert len(session.messages("session.update")) == 2
    assert report.played_ms == pytest.approx(400 + 800 + 900, abs=60)


# ---- two providers ----


def test_a_caller_is_handed_over_to_another_provider_that_begins_with_what_was_heard() -> None:
    fake, rig = (
        FakeOpenAI(Speak("A very long greeting, to its very end.", 6000), TO_BILLING, hears="My bill!"),
        GeminiRig(),
    )
    rig.will(Says("Billing here.", 700), Says("It is mended.", 500))
    gemini = through(rig)

    report = call(*desks(openai(fake), gemini, config_of(), config_of()), interrupt_ms=1500)

    assert report.errors == () and fake.violations == [] and rig.violations == []
    greeting, *rest = rig.past()
    assert greeting[0] == "assistant" and greeting[1].startswith("A very")
    assert "end" not in greeting[1]  # the caller spoke up before that
    assert rest[:2] == [("user", "My bill!"), ("assistant", "I am putting you through.")]
    assert rig.responses() == 2  # the handoff, and the caller's next turn
    assert report.clears >= 1 and report.playout_gaps == 0


def test_a_provider_that_cannot_be_reached_leaves_the_caller_with_the_agent_they_have() -> None:
    fake, rig = (
        FakeOpenAI(HELLO, TO_BILLING, Speak("I am sorry, I will help you.", 700), Speak("Yes.", 300)),
        GeminiRig(),
    )
    rig.refuse("unavailable")
    gemini = through(rig)

    report = call(*desks(openai(fake), gemini, config_of(), config_of()))

    assert report.is_good and fake.violations == []
    [session] = fake.sessions
    outputs = [message["item"]["output"] for message in session.messages("conversation.item.create")]
    assert outputs == ["Error: billing cannot be reached now. Tell the caller, and help them yourself."]
    assert report.played_ms == pytest.approx(400 + 800 + 700 + 300, abs=80)


# ---- the embedded script ----


@pytest.fixture(scope="module")
def engines() -> Iterator[Speech]:
    with kept_speech_workers() as speech:
        yield speech


BILLING = AgentSpec.model_validate(
    {
        "model": "local/script",
        "greeting": "You have reached the billing desk.",
        "script": {
            "intents": [
                {
                    "name": "invoice",
                    "examples": ["My invoice is wrong.", "There is a mistake in my invoice."],
                    "answer": "Invoices are corrected on Mondays.",
                }
            ]
        },
    },
    strict=False,
)


RECEPTION = AgentSpec.model_validate(
    {
        "model": "local/script",
        "greeting": "Hello.",
        "handoffs": ["billing"],
        "script": {
            "intents": [
                {
                    "name": "billing",
                    "examples": ["There is a mistake in my invoice."],
                    "answer": "One moment, please.",
                    "action": "transfer_to_billing",
                }
            ]
        },
    },
    strict=False,
)


async def said(engines: Speech, text: str) -> Utterance:
    return Utterance(resampled(await in_real_time(engines.synthesize(text)), 24_000, 8000), text)


def test_a_script_that_takes_over_says_its_greeting_as_it_has_no_words_of_its_own(engines: Speech) -> None:
    fake = FakeOpenAI(HELLO, TO_BILLING)
    billing = make_agent("billing", BILLING, Path(), {})
    reception, _ = desks(openai(fake), billing.model, config_of(), billing.config)
    reception = replace(reception, handoffs=(Handoff("billing", billing),))

    async def transcribe(pcm: bytes) -> str:
        return await in_real_time(engines.transcribe(pcm))

    invoice = run_virtual(said(engines, "There is a mistake in my invoice."))
    report = call(reception, billing, transcribe=transcribe, utterances=(invoice, invoice))

    assert report.errors == () and fake.violations == []
    assert "billing desk" in (report.turns[0].heard or "").lower()
    assert "monday" in (report.turns[1].heard or "").lower()


def test_a_script_hands_over_by_an_action(engines: Speech) -> None:
    fake = FakeOpenAI(Speak("Billing here.", 700), Speak("It is mended.", 600))
    billing = RealtimeAgent(name="billing", model=openai(fake), instructions="Bill.", config=config_of())
    reception = make_agent("reception", RECEPTION, Path(), {}, agents={"billing": billing})

    invoice = run_virtual(said(engines, "There is a mistake in my invoice."))
    report = call(reception, billing, utterances=(invoice, Utterance(tone(1000))))

    assert report.is_good and fake.violations == []
    items = [message["item"] for message in fake.sessions[0].messages("conversation.item.create")]
    told = [item["content"][0]["text"] for item in items]
    assert told[0] == "Hello." and "invoice" in told[1].lower() and told[2] == "One moment, please."
    assert len(fake.sessions[0].messages("session.update")) == 1


# ---- the end ----


def test_when_no_model_can_go_on_the_last_resort_is_that_of_the_agent_who_talked() -> None:
    fake = FakeOpenAI(HELLO, TO_BILLING)
    broken = ScriptedModel((Say("Billing here.", 500), Wait(300), Fail("server_error", "gone")))
    sorry = LastResort(say="The billing desk is out of order.")
    billing = RealtimeAgent(name="billing", model=broken, config=config_of(), last_resort=sorry)
    reception, _ = desks(openai(fake), broken, config_of(), config_of())
    reception = replace(reception, handoffs=(Handoff("billing", billing),))

    report = call(reception, billing, utterances=(Utterance(tone(1000)),), stays=True)

    assert report.carrier_said == ("The billing desk is out of order.",)
