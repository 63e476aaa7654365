"""Whole calls in which a guardrail trips: the phone goes quiet, then the caller hears another answer."""

import asyncio
from pathlib import Path

import pytest

from agents import OutputGuardrailSettings, RealtimeAgent
from agents.assemble import make_agent
from agents.events import (
    AudioOutputDelta,
    AudioOutputDone,
    ItemCreate,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    TranscriptOutputDelta,
)
from agents.loader import check_agents
from channels.carrier import CallReport, Dial, Network, Script, loop_time, place_call, run_virtual, started
from channels.carrier.recording import read_wav
from channels.carrier.report import AgentBegan, AgentEnded, CallEvent
from gateway.app import make_app
from gateway.calls import Calls
from gateway.numbers import Numbers
from gateway.settings import read_settings
from tests.carrier_service import PUBLIC_URL, TOKEN
from tests.fake_openai import FakeOpenAI, Speak
from tests.guarded_scene import no_promises
from tests.scene import DrivenModel, voice
from tests.service import running

HUMAN = Path("tests/recordings/something-is-terribly-wrong.wav")
"""A woman says that something is terribly wrong (see the README beside it)."""

QUIET_MS = 100
PIECE_MS = 200
WORDS = (
    "Of course. ",
    "If anything ",
    "should be ",
    "wrong with it, ",
    "we ",
    "guarantee ",
    "that you ",
    "get ",
    "all ",
)


class Talker(DrivenModel):
    """Says a piece of a sentence, and twice as much audio as it takes, every 100 ms; and again what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.guaranteed_at_s = 0.0

    async def talk(self) -> None:
        self.say(ResponseCreated("r1"))
        for n, word in enumerate(WORDS):
            if word == "guarantee ":
                self.guaranteed_at_s = loop_time()
            self.say(TranscriptOutputDelta("r1", "i1", word))
            self.say(AudioOutputDelta("r1", "i1", 0, voice(PIECE_MS, seed=n)))
            await asyncio.sleep(PIECE_MS / 2000)
        await self.until_sent(ResponseCancel)
        self.say(ResponseDone("r1", "cancelled"))
        await self.until_sent(ResponseCreate)
        self.say(ResponseCreated("r2"), TranscriptOutputDelta("r2", "i2", "I am sorry. "))
        self.say(AudioOutputDelta("r2", "i2", 0, voice(1000, seed=99)), AudioOutputDone("r2", "i2", 0))
        self.say(ResponseDone("r2", "completed"))

    async def until_sent(self, kind: type) -> None:
        async with asyncio.timeout(5):
            while not any(isinstance(event, kind) for event in self.sent):  # noqa: ASYNC110 virtual time
                await asyncio.sleep(0.005)


def test_a_guardrail_trips_in_mid_sentence_and_the_phone_goes_quiet_within_100_ms() -> None:
    model = Talker()
    heard: list[CallEvent] = []

    async def call() -> tuple[CallReport, float]:
        rule = no_promises()
        every_word = OutputGuardrailSettings(debounce_text_length=1)
        agent = RealtimeAgent(name="desk", model=model, guardrails=(rule,), guardrail_settings=every_word)
        settings = read_settings({"TWILIO_AUTH_TOKEN": TOKEN, "PUBLIC_URL": PUBLIC_URL})
        calls = Calls({"desk": agent}, 1, clock=loop_time)
        dial = Dial(public_url=PUBLIC_URL, auth_token=TOKEN)
        async with started(make_app(settings, {"desk": agent}, Numbers("desk", {}), calls)) as app:
            dialled_at_s = loop_time()
            async with asyncio.TaskGroup() as tasks:
                calling = tasks.create_task(
                    place_call(
                        dial,
                        Script(hang_up_after_s=8),
                        app=app,
                        network=Network(rtt_ms=60),
                        on_event=heard.append,
                    )
                )
                await asyncio.sleep(1)
                await model.talk()
            return calling.result(), (model.guaranteed_at_s - dialled_at_s) * 1000

    report, tripped_at_ms = run_virtual(call())

    assert (report.errors, report.clears) == ((), 1)
    [first, second] = [event for event in heard if isinstance(event, AgentBegan)]
    [cut, end] = [event for event in heard if isinstance(event, AgentEnded)]
    assert first.at_ms < tripped_at_ms - 400
    assert cut.was_cleared
    quiet_at_ms = max(at_ms for at_ms, _ in report.tape.played if at_ms < second.at_ms) + 20
    assert tripped_at_ms < quiet_at_ms <= tripped_at_ms + QUIET_MS
    assert second.at_ms > quiet_at_ms
    assert end.at_ms - second.at_ms == pytest.approx(1000, abs=40)
    [note] = [event for event in model.sent if isinstance(event, ItemCreate)]
    assert (note.role, "no-promises" in note.text) == ("system", True)


GUARDED = """
model: openai/gpt-realtime-2.1
base_url: {url}
instructions: Be brief.
guardrail_every_chars: 10
guardrails:
  - name: no-promises
    words: [guarantee]
    hint: Say that nobody can promise that.
"""


def test_a_guardrail_of_the_file_stops_openais_realtime_in_its_own_words_and_the_caller_hears_another_answer(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        promise = Speak("We will help. We guarantee that it is gone by noon, and free of charge.", 12_000)
        async with FakeOpenAI(promise, Speak("I am sorry, I cannot promise that.", 1000)) as fake:
            (tmp_path / "agents").mkdir()
            (tmp_path / "agents" / "desk.yaml").write_text(GUARDED.format(url=fake.url))
            agents, problems = check_agents(tmp_path)
            assert problems == []
            desk = make_agent("desk", agents["desk"], tmp_path, {"OPENAI_API_KEY": fake.key})
            async with running(desk) as service:
                report = await service.call(read_wav(HUMAN), wait_s=0.2)
            session = await fake.session()
            assert fake.violations == []
        kinds = [message["type"] for message in session.received]
        assert (report.errors, report.ended_by) == ((), "caller")
        assert kinds.count("response.create") == 1
        [note] = [m["item"] for m in session.received if m["type"] == "conversation.item.create"]
        assert note["role"] == "system"
        assert note["content"][0]["text"].endswith("Say that nobody can promise that.")
        assert kinds.index("conversation.item.create") < kinds.index("response.create")
        assert report.turns[0].reply_ms is not None
        assert 1000 <= report.played_ms < 6000  # all of the second answer, and little of the first

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(bounded())
