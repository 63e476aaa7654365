"""Whole calls to a practice that books by HTTP, texts and puts on hold: its YAML, a simulated Twilio, servers, a model.

What counts is what the caller heard, what the booking server was asked, and what the model was told.
"""

import logging
import wave
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from agents.audio import resampled
from agents.local.speech import Speech, kept_speech_workers
from agents.tools.calls import INTERRUPTED
from channels.carrier import Network, Script, Utterance, run_virtual
from channels.carrier.report import AgentEnded
from channels.carrier.virtual_time import in_real_time
from tests.fake_http import FakeHttp, fake_http, says
from tests.fake_openai import Call, CallTools, FakeOpenAI, Reply, Speak
from tests.folder_call import CALLER, US, ModelTold, Told, call_folder
from tests.tones import sounding_ms, tone

SECRET: Final = "crm-secret-0123456789"
RESUMED: Final = "The caller hears you again, and you hear them."
TAKES_S: Final = 3.0
"""How long the booking server thinks."""

NOTICED_MS: Final = 100
"""Longest that the telephone may sound once the model has noticed that the caller speaks."""

LINE: Final = Network(rtt_ms=60, jitter_ms=10, seed=1)

BOOKING: Final = """
http_tools:
  - name: book_appointment
    description: Books an appointment for the caller.
    method: POST
    url: <server>/appointments
    headers: {Authorization: "Bearer {{ env.CRM_TOKEN }}"}
    parameters: [{name: day}]
    body: {day: "{{ day }}", telephone: "{{ caller }}"}
    result: appointment.time
    allow_private: true
"""
ANSWER: Final = {"appointment": {"time": "half past ten"}}


# ---- the embedded agent ----

EMBEDDED: Final = """
model: local/script
greeting: Green Street practice.
tools: [send_sms]
tool_rules: [{tool: book_appointment, filler: {after_ms: 600, say: Please hold the line.}}]
script:
  intents:
    - name: book
      examples: [I would like to book an appointment, can I make an appointment]
      answer: Of course.
      action: book_appointment
      arguments: {day: Monday}
      result: You have an appointment at {{ result }}.
    - name: text
      examples: [please send me a text message, can you text me your address]
      answer: I will text you our address.
      action: send_sms
      arguments: {to: the caller, text: "12 Green Street. You called from {{ caller }}."}
      result: The message is on its way.
"""


@pytest.fixture(scope="module")
def engines() -> Iterator[Speech]:
    with kept_speech_workers() as speech:
        yield speech


def call_embedded(folder: Path, speech: Speech, line: str) -> tuple[Told, FakeHttp]:
    """A caller says the line to the embedded agent, whose words are written down."""

    async def transcribe(pcm: bytes) -> str:
        return await in_real_time(speech.transcribe(pcm))

    async def run() -> tuple[Told, FakeHttp]:
        said = resampled(await in_real_time(speech.synthesize(line)), 24_000, 8000)
        script = Script(utterances=(Utterance(said, line),), stays=True, hang_up_after_s=16)
        async with fake_http(says(ANSWER)) as server:
            server.takes_s = TAKES_S
            agent = (EMBEDDED + BOOKING).replace("<server>", server.url)
            environment = {"CRM_TOKEN": SECRET}
            return await call_folder(folder, agent, script, environment=environment, transcribe=transcribe), server

    return run_virtual(run())


def test_a_caller_books_and_hears_the_filler_while_the_server_thinks_and_then_the_confirmation(
    engines: Speech, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    told, server = call_embedded(tmp_path, engines, "I would like to book an appointment.")

    heard = (told.report.turns[0].heard or "").lower().replace("-", " ")
    assert heard.index("of course") < heard.index("hold the line") < heard.index("half past ten"), heard
    [request] = server.seen
    assert (request.method, request.path) == ("POST", "/appointments")
    assert request.json == {"day": "Monday", "telephone": CALLER}
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert told.report.errors == ()
    assert "call ended" in caplog.text
    assert SECRET not in caplog.text + repr(told)


def test_a_caller_gets_the_text_message_that_they_asked_for_and_hears_that_it_was_sent(
    engines: Speech, tmp_path: Path
) -> None:
    told, server = call_embedded(tmp_path, engines, "Please send me a text message.")

    [message] = told.account.messages
    assert (message.to, message.sender) == (CALLER, US)
    assert message.body == f"12 Green Street. You called from {CALLER}."
    assert "on its way" in (told.report.turns[0].heard or "").lower()
    assert (told.report.errors, list(told.account.troubles), server.seen) == ((), [], [])


# ---- a realtime model ----

REALTIME: Final = """
model: openai/gpt-realtime-2.1
base_url: <model>
greeting: Green Street practice.
"""
VOICE_HZ, CALLER_HZ, RECORDED_HZ = 440, 350, 1000
"""The fake's voice, the caller's, and what is on recordings."""

PLEASE: Final = Utterance(tone(900, CALLER_HZ), "An appointment on Monday, please.")
AND: Final = Utterance(tone(700, CALLER_HZ), "Are you still there?")
GREETING: Final = Speak("Green Street practice.", 300)
BOOKS: Final = Call("book_appointment", '{"day": "Monday"}')
BOOKED: Final = Speak("You are booked for half past ten.", 1100)


@dataclass(frozen=True)
class Booked(ModelTold):
    """What came of a call to the realtime model."""

    @property
    def noticed_ms(self) -> list[int]:
        """When the caller had said what the model noticed them by: it tells of 300 ms before, and looks at 20 ms."""
        told = [message for message in self.model.sent if message["type"] == "input_audio_buffer.speech_started"]
        return [self.stream_ms + message["audio_start_ms"] + 320 for message in told]

    @property
    def sounds(self) -> list[AgentEnded]:
        """Each stretch of the agent's sound."""
        return [event for event in self.events if isinstance(event, AgentEnded)]

    def heard_ms(self, hz: float, *, from_ms: int = 0) -> int:
        """For how long the caller heard a tone of this height."""
        return sounding_ms(self.report.tape.heard(from_ms, self.report.duration_ms), hz)


def call(
    folder: Path,
    rules: str,
    *replies: Reply,
    script: Script,
    takes_s: float = TAKES_S,
    network: Network | None = None,
) -> Booked:
    """A call to a practice whose `book_appointment` has these rules. Its model replies with these, after a greeting."""

    async def run() -> Booked:
        async with fake_http(says(ANSWER)) as server, FakeOpenAI(GREETING, *replies) as fake:
            server.takes_s = takes_s
            agent = (REALTIME + rules + BOOKING).replace("<server>", server.url).replace("<model>", fake.url)
            environment = {"CRM_TOKEN": SECRET, "OPENAI_API_KEY": fake.key}
            told = await call_folder(folder, agent, script, environment=environment, network=network)
            assert (fake.violations, len(fake.sessions)) == ([], 1)
            return Booked(told.report, told.account, told.events, model=fake.sessions[0], server=server)

    return run_virtual(run())


def wav(path: Path, ms: int) -> None:
    """Writes a recording, at another rate than any line's."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(tone(ms, RECORDED_HZ, 16_000))


STAYS: Final = Script(utterances=(PLEASE,), stays=True, hang_up_after_s=10)


def test_a_recording_fills_the_time_until_the_confirmation(tmp_path: Path) -> None:
    wav(tmp_path / "moment.wav", 1400)
    rules = "tool_rules: [{tool: book_appointment, filler: {after_ms: 500, play: moment.wav}}]\n"

    told = call(tmp_path, rules, CallTools((BOOKS,)), BOOKED, script=STAYS)

    greeting, filler, confirmation = told.sounds
    assert (greeting.at_ms - greeting.began_ms, confirmation.at_ms - confirmation.began_ms) == (300, 1100)
    assert told.heard_ms(RECORDED_HZ) == pytest.approx(1400, abs=40)
    assert told.heard_ms(VOICE_HZ) == pytest.approx(300 + 1100, abs=40)
    assert confirmation.began_ms - filler.began_ms == pytest.approx(TAKES_S * 1000 - 500, abs=60)
    assert (told.outputs, len(told.server.seen), told.report.errors) == (["half past ten"], 1, ())


INTERRUPTS: Final = Script(utterances=(PLEASE, AND), interrupt_ms=400, stays=True, hang_up_after_s=12)
"""A caller who speaks up 400 ms after the filler began, and before that once the short greeting is over."""

MOMENT: Final = Speak("One moment, I am looking for a free hour.", 4000)
YES: Final = Speak("Yes, I am here.", 400)


def filled(more: str = "", after_ms: int = 200) -> str:
    """The rules of a tool that has a filler."""
    filler = f'filler: {{after_ms: {after_ms}, say: "{MOMENT.text}"}}'
    return f"tool_rules: [{{tool: book_appointment, {filler}{more}}}]\n"


def test_a_caller_who_speaks_over_the_filler_hears_silence_at_once_and_the_tools_result_afterwards(
    tmp_path: Path,
) -> None:
    told = call(tmp_path, filled(), CallTools((BOOKS,)), MOMENT, YES, BOOKED, script=INTERRUPTS, network=LINE)

    [clearing] = told.report.clearings
    assert 0 <= clearing.at_ms - told.noticed_ms[1] <= NOTICED_MS
    assert clearing.dropped_ms > 2000
    _, filler, answers = told.sounds
    assert told.heard_ms(VOICE_HZ, from_ms=round(clearing.at_ms)) == pytest.approx(400 + 1100, abs=40)
    assert answers.at_ms - 1100 - filler.began_ms == pytest.approx(TAKES_S * 1000 - 200, abs=100)
    assert (told.outputs, len(told.server.seen), told.server.given_up.is_set()) == (["half past ten"], 1, False)
    assert told.report.errors == ()


def test_a_result_that_comes_while_the_caller_still_speaks_is_answered_once_with_their_words(tmp_path: Path) -> None:
    rules = filled(after_ms=1500)
    takes_s = 2.3  # the caller speaks from 1.9 to 2.6 s after the tool began

    told = call(tmp_path, rules, CallTools((BOOKS,)), MOMENT, BOOKED, YES, script=INTERRUPTS, takes_s=takes_s)

    [clearing] = told.report.clearings
    assert told.outputs == ["half past ten"]
    assert told.heard_ms(VOICE_HZ, from_ms=round(clearing.at_ms)) == pytest.approx(1100, abs=40)
    assert told.report.errors == ()


def test_a_caller_who_speaks_over_the_filler_stops_an_interruptible_tool_and_the_model_is_told(tmp_path: Path) -> None:
    told = call(
        tmp_path, filled(", interruptible: true"), CallTools((BOOKS,)), MOMENT, YES, script=INTERRUPTS, network=LINE
    )

    [clearing] = told.report.clearings
    assert 0 <= clearing.at_ms - told.noticed_ms[1] <= NOTICED_MS
    assert told.heard_ms(VOICE_HZ, from_ms=round(clearing.at_ms)) == pytest.approx(400, abs=40)  # and no confirmation
    assert told.outputs == [INTERRUPTED]
    assert (len(told.server.seen), told.server.given_up.is_set(), told.report.errors) == (1, True, ())


def test_a_caller_who_hangs_up_while_the_server_thinks_takes_the_request_back(tmp_path: Path) -> None:
    told = call(tmp_path, "", CallTools((BOOKS,)), BOOKED, script=replace(STAYS, hang_up_after_s=4))

    assert (len(told.server.seen), told.server.given_up.is_set()) == (1, True)
    assert told.outputs == []
    assert (told.report.ended_by, told.report.errors) == ("caller", ())


def test_on_hold_the_caller_hears_music_and_is_not_heard_until_the_agent_resumes(tmp_path: Path) -> None:
    wav(tmp_path / "music.wav", 1500)
    rules = "tools: [hold, resume]\ntransfer: {hold_music: music.wav}\n"
    holds = CallTools((Call("hold"), BOOKS), first=Speak("Please hold.", 600))
    script = Script(utterances=(PLEASE, AND, AND), interrupt_ms=3000, stays=True, hang_up_after_s=22)

    told = call(tmp_path, rules, holds, CallTools((Call("resume"),)), BOOKED, YES, script=script, takes_s=8)

    assert told.outputs == ["The caller is on hold.", "half past ten", RESUMED]
    assert told.heard_ms(RECORDED_HZ) == pytest.approx(8000 - 600, abs=200)
    assert told.heard_ms(VOICE_HZ) == pytest.approx(300 + 600 + 1100 + 400, abs=60)
    assert told.model_heard_ms(CALLER_HZ) == pytest.approx(900 + 700, abs=60)  # of the one on hold, nothing
    assert len(told.noticed_ms) == 2
    assert told.model.heard_ms == pytest.approx(told.report.duration_ms - (8000 - 600), abs=300)
    assert told.report.errors == ()
