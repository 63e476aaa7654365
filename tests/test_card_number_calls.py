"""Whole calls in which a caller types a card number: the payment server gets it, and nobody else sees or hears it.

The tones of the keys are on the line, as they are on a telephone's.
"""

import json
import logging
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from agents import RealtimeSession, mulaw, tool
from agents.events import DigitsEntered, Dtmf, History, SessionEvent, Tool, Transcript
from agents.loader import check_agents
from agents.tools.contract import ToolContext
from channels.carrier import Script, Utterance, run_virtual
from channels.carrier.app_socket import App, Message, Receive, Scope, Send
from tests.fake_http import fake_http, says
from tests.fake_openai import Call, CallTools, FakeOpenAI, Reply, Speak
from tests.folder_call import ModelTold, call_folder
from tests.tones import tone
from tests.traced import Collected

NUMBER: Final = "4929123456789013"
PARTS: Final = (NUMBER, NUMBER[:8], NUMBER[8:], "4929 1234", "4929-1234")
"""What nobody may show: the number, either half of it, and how people write it."""

AGENT: Final = """
model: openai/gpt-realtime-2.1
base_url: <model>
greeting: This call is recorded.
keys: {sensitive: true}
tools: [start_recording, collect_digits, tests.test_card_number_calls.be_watched]
http_tools:
  - name: pay
    description: Pays with the card whose number the caller typed.
    method: POST
    url: <server>/payments
    parameters: [{name: amount, type: integer}]
    body: {card: "{{ digits }}", amount: "{{ amount }}"}
    allow_private: true
"""
PAYS: Final = Call("pay", '{"amount": 40}')
CALLER_HZ, KEY_HZ = 350, 770

THANKS: Final = Utterance(tone(800, CALLER_HZ), "Thank you.")
TYPES: Final = Script(digits=f"{NUMBER}#", utterances=(THANKS,))

watched: Final[list[RealtimeSession]] = []
seen: Final[list[SessionEvent]] = []


@tool
async def be_watched(call: ToolContext) -> str:
    """Let an observer see this conversation."""
    watched.append(call.session)
    for kind in get_args(SessionEvent):
        call.session.on(kind.kind, seen.append)
    return "You are watched."


@pytest.fixture(autouse=True)
def nobody_is_watched_yet() -> Iterator[None]:
    watched.clear()
    seen.clear()
    yield
    watched.clear()


class KeyTones:
    """A telephone whose keys are heard: 160 ms of tone in the caller's audio, behind each key. `frames` counts them."""

    KEY_FRAMES: Final = 8

    def __init__(self) -> None:
        self.frames = 0
        self._frame = b64encode(mulaw.encode(tone(mulaw.FRAME_MS, KEY_HZ))).decode()
        self._left = 0

    def on(self, app: App) -> App:
        async def with_tones(scope: Scope, receive: Receive, send: Send) -> None:
            async def heard() -> Message:
                message = await receive()
                return self._sounding(message) if "text" in message else message

            await app(scope, heard if scope["type"] == "websocket" else receive, send)

        return with_tones

    def _sounding(self, message: Message) -> Message:
        told = json.loads(message["text"])
        if told["event"] == "dtmf":
            self._left = self.KEY_FRAMES
        elif told["event"] == "media" and self._left:
            self._left -= 1
            self.frames += 1
            told["media"]["payload"] = self._frame
        return {**message, "text": json.dumps(told)}


@dataclass(frozen=True)
class Paid(ModelTold):
    """What came of a call, and who watched."""

    collected: Collected
    tones: KeyTones

    @property
    def all_spans(self) -> str:
        """Every span, with its attributes and events."""
        return " ".join(span.to_json() for span in self.collected.spans)


def call(folder: Path, *replies: Reply, script: Script = TYPES, **answer: Any) -> Paid:
    """A call in which the model replies with these. The payment server answers so."""
    collected, tones = Collected(has_content=True), KeyTones()

    async def run() -> Paid:
        async with fake_http(says(answer)) as server, FakeOpenAI(*replies, hears="Thank you.") as fake:
            told = await call_folder(
                folder,
                AGENT.replace("<model>", fake.url).replace("<server>", server.url),
                script,
                environment={"OPENAI_API_KEY": fake.key},
                telemetry=collected.telemetry,
                line=tones.on,
            )
            assert (fake.violations, len(fake.sessions)) == ([], 1)
            return Paid(told.report, told.account, told.events, fake.sessions[0], server, collected, tones)

    return run_virtual(run())


RECORDS: Final = CallTools((Call("be_watched"), Call("start_recording")), first=Speak("This call is recorded.", 600))
ASKS: Final = CallTools((Call("collect_digits"),), first=Speak("Please type the number of your card.", 900))
PAID: Final = Speak("That is paid.", 700)
BYE: Final = Speak("Goodbye.", 400)


def shown(text: str) -> list[str]:
    """What of the number stands in a text."""
    return [part for part in PARTS if part in text]


def test_a_card_number_reaches_the_payment_server_once_and_nobody_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    paid = call(tmp_path, RECORDS, ASKS, CallTools((PAYS,)), PAID, BYE, status="paid", card=NUMBER)

    [request] = paid.server.seen
    assert request.json == {"card": NUMBER, "amount": 40}
    assert paid.outputs[2:] == [
        "The caller typed 16 digits. You are not told which; tools that need them have them.",
        '{"status":"paid","card":"…"}',
    ]
    [session] = watched
    assert session.digits == NUMBER
    places = {
        "the log": caplog.text,
        "the spans": paid.all_spans,
        "what the model was told": json.dumps(paid.model.received),
        "the events": repr(seen),
        "the history": repr(session.history),
        "the session": repr(session) + repr(session.agent) + repr(session.context) + repr(session.closed),
        "the report": repr(paid.report) + repr(paid.events) + repr(paid.account),
    }
    assert {place: part for place, text in places.items() if (part := shown(text))} == {}
    assert "The caller typed 16 digits" in paid.all_spans  # words are in spans, this one is not
    assert {DigitsEntered, Dtmf, Transcript, History, Tool} <= {type(event) for event in seen}
    assert "call ended" in caplog.text
    assert paid.report.errors == ()


def test_the_model_hears_silence_while_keys_are_typed_and_the_caller_before_and_after(tmp_path: Path) -> None:
    paid = call(tmp_path, RECORDS, ASKS, CallTools((PAYS,)), PAID, BYE, status="paid")

    assert paid.tones.frames == len(TYPES.digits) * KeyTones.KEY_FRAMES
    assert paid.model_heard_ms(KEY_HZ) == 0
    assert paid.model_heard_ms(CALLER_HZ) == pytest.approx(800, abs=20)
    assert paid.model.heard_ms == pytest.approx(paid.report.duration_ms, abs=100)  # silence, not a gap
    words = [(event.role, event.text) for event in seen if isinstance(event, Transcript)]
    assert [text for role, text in words if role == "user"] == ["Thank you."]


def test_the_recording_at_twilio_is_paused_while_the_number_is_typed_and_goes_on_after_it(tmp_path: Path) -> None:
    paid = call(tmp_path, RECORDS, ASKS, CallTools((PAYS,)), PAID, BYE, status="paid")

    recording = paid.recording
    [(paused_ms, resumed_ms)] = recording.silent
    assert len(paid.keys_ms) == len(TYPES.digits)
    assert paused_ms < paid.keys_ms[0] <= paid.keys_ms[-1] <= resumed_ms < paid.keys_ms[-1] + 200
    assert recording.held[-1] == (resumed_ms, paid.report.duration_ms)
    assert recording.status == "completed"


def test_a_number_that_is_typed_while_the_agent_still_asks_for_it_is_taken_at_once(tmp_path: Path) -> None:
    asks = CallTools((Call("collect_digits"),), first=Speak("Please type the long number of your card.", 8000))
    script = Script(digits=TYPES.digits, interrupt_ms=1000, stays=True, hang_up_after_s=12)

    paid = call(tmp_path, asks, CallTools((PAYS,)), PAID, script=script)

    assert [request.json for request in paid.server.seen] == [{"card": NUMBER, "amount": 40}]
    assert paid.keys_ms[-1] < 5000
    assert paid.report.played_ms == 8000 + 700
    assert paid.report.errors == ()


def test_a_payment_before_the_number_was_typed_asks_the_server_nothing_and_the_model_learns_why(
    tmp_path: Path,
) -> None:
    script = Script(utterances=(THANKS,))

    paid = call(tmp_path, CallTools((PAYS,)), Speak("Please type your number first.", 600), BYE, script=script)

    assert paid.outputs == ["Error: the caller has typed no digits yet: ask for them, and wait for them, first"]
    assert paid.server.seen == []


# ---- what the check says of {{ digits }} ----


@pytest.mark.parametrize(
    ("before", "after", "field", "found"),
    [
        ("greeting: This call is recorded.", "greeting: You typed {{ digits }}.", "greeting", "{{ digits }}"),
        ("name: amount, type: integer", "name: digits", "http_tools[0].parameters[0].name", "digits"),
        ("keys: {", "variables: {digits: '1'}\nkeys: {", "variables.digits", "digits"),
    ],
    ids=["words that are said", "a parameter", "a variable"],
)
def test_what_a_caller_typed_is_a_variable_of_http_tools_alone(
    tmp_path: Path, before: str, after: str, field: str, found: str
) -> None:
    agent = AGENT.replace("<model>", "https://m.example").replace("<server>", "https://pay.example")
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "right.yaml").write_text(agent)
    (tmp_path / "agents" / "wrong.yaml").write_text(agent.replace(before, after))

    agents, problems = check_agents(tmp_path)

    assert list(agents) == ["right"]
    assert field in [problem.field for problem in problems]
    assert any(found in problem.found for problem in problems)
