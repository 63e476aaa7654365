"""Deepgram's wire, message by message: what is sent, what is understood, and whose response it is."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agents.errors import NotSupportedError, ProviderError
from agents.events import (
    ActivityStart,
    AudioInputAppend,
    AudioInputClear,
    AudioInputCommit,
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    ClientEvent,
    ItemCreate,
    ItemCreated,
    ItemDelete,
    ItemTruncate,
    RawEvent,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ResponseInterrupted,
    SessionCreated,
    SessionError,
    SessionExpiring,
    SessionUpdate,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolCancelled,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
    TranscriptOutputDelta,
)
from agents.providers.deepgram.settings import Thinker
from agents.providers.deepgram.wire import GO_ON, MAX_HELD_AUDIO_MS, DeepgramCodec
from agents.providers.socket import Answer, WireError
from agents.realtime import PCMU, PastMessage, SessionConfig, ToolSchema, TurnDetection, Voice
from tests.deepgram_messages import MESSAGES
from tests.wire_shape import check

MINI = Thinker("open_ai", "gpt-4o-mini")
STARTED = {"type": "UserStartedSpeaking"}
DONE = {"type": "AgentAudioDone"}
AUDIO = b"\x01\x02" * 480


class Side:
    """Our side of one connection. What it sends is held to the published shape of its message."""

    def __init__(self, config: SessionConfig | None = None, *, is_ready: bool = True, **more: Any) -> None:
        self.codec = DeepgramCodec(config or SessionConfig(), MINI, **more)
        if is_ready:
            self.hears({"type": "Welcome", "request_id": "req_1"}, {"type": "SettingsApplied"})

    def sends(self, *events: ClientEvent) -> list[Any]:
        return [self._sent(message) for event in events for message in self.codec.encode(event)]

    def hears(self, *messages: dict[str, Any] | bytes) -> list[Any]:
        """The events, and what is answered."""
        told: list[Any] = []
        for message in messages:
            text = message if isinstance(message, bytes) else json.dumps(message)
            told += [
                self._sent(event.message) if isinstance(event, Answer) else event for event in self.codec.decode(text)
            ]
        return told

    def waits(self) -> list[Any]:
        """What follows from nothing more to come, if it waits for that."""
        return list(self.codec.waited()) if self.codec.wait else []

    def _sent(self, message: str | bytes) -> Any:
        if isinstance(message, bytes):
            return message
        fields = json.loads(message)
        assert check(fields, MESSAGES[fields["type"]]) == []
        return fields


def said(role: str, text: str) -> dict[str, Any]:
    return {"type": "ConversationText", "role": role, "content": text}


def called(*calls: tuple[str, str], client_side: bool = True) -> dict[str, Any]:
    functions = [
        {"id": call_id, "name": name, "arguments": '{"a": 1}', "client_side": client_side} for call_id, name in calls
    ]
    return {"type": "FunctionCallRequest", "functions": functions}


def kinds(events: Iterable[Any]) -> list[str]:
    return [event["type"] if isinstance(event, dict) else event.kind for event in events]


def statuses(events: Iterable[Any]) -> list[str]:
    return [event.status for event in events if isinstance(event, ResponseDone)]


# ---- becoming ready ----


def test_the_settings_follow_the_welcome_once_and_the_session_is_there_when_they_are_applied() -> None:
    side = Side(is_ready=False)
    [settings] = side.hears({"type": "Welcome", "request_id": "req_7"})
    assert settings["type"] == "Settings"
    assert side.hears({"type": "Welcome", "request_id": "req_7"}) == []
    assert side.codec.keepalive is None
    assert side.hears({"type": "SettingsApplied"}) == [SessionCreated("req_7")]
    assert side.hears({"type": "SettingsApplied"}) == []
    assert side.codec.keepalive is not None
    assert side.codec.keepalive.message == '{"type":"KeepAlive"}'


def test_what_is_sent_before_waits_for_the_settings() -> None:
    side = Side(is_ready=False)
    assert side.sends(AudioInputAppend(AUDIO), ResponseCreate("r1", say="Hello."), AudioInputAppend(AUDIO)) == []
    told = side.hears({"type": "Welcome", "request_id": "r"}, {"type": "SettingsApplied"})
    assert told[1:] == [
        AUDIO + AUDIO,
        {"type": "InjectAgentMessage", "message": "Hello.", "behavior": "queue"},
        SessionCreated("r"),
    ]


def test_of_audio_that_waits_the_latest_is_kept() -> None:
    side = Side(SessionConfig(input_format=PCMU, output_format=PCMU), is_ready=False)
    for number in range(MAX_HELD_AUDIO_MS // 1000 + 2):
        assert side.sends(AudioInputAppend(bytes([number]) * 8000)) == []
    *_, audio, _ = side.hears({"type": "Welcome", "request_id": "r"}, {"type": "SettingsApplied"})
    assert len(audio) == MAX_HELD_AUDIO_MS * 8
    assert audio[0] == 2


def test_nothing_the_agent_says_before_is_taken_for_an_answer() -> None:
    side = Side(is_ready=False)
    assert side.hears(AUDIO, {"type": "Welcome", "request_id": "r"})[0]["type"] == "Settings"


# ---- sending ----


def test_audio_is_sent_as_it_is() -> None:
    assert Side().sends(AudioInputAppend(AUDIO)) == [AUDIO]


@pytest.mark.parametrize(
    "event",
    [
        AudioInputCommit(),
        AudioInputClear(),
        ActivityStart(),
        ItemDelete("i"),
        ItemTruncate("i", 0, 5),
        ResponseCancel(),
        SessionUpdate(SessionConfig(input_format=PCMU, output_format=PCMU)),
        SessionUpdate(SessionConfig(max_output_tokens=3)),
    ],
)
@pytest.mark.parametrize("is_ready", [True, False])
def test_what_the_wire_has_no_words_for_is_refused(event: ClientEvent, is_ready: bool) -> None:
    with pytest.raises(NotSupportedError):
        Side(is_ready=is_ready).sends(event)


def test_flux_can_be_told_that_a_turn_is_over() -> None:
    side = Side(SessionConfig(turn_detection=TurnDetection(mode="semantic_vad")))
    assert side.sends(AudioInputCommit()) == [{"type": "ForceEndTurn"}]


def test_an_update_sends_each_part_that_differs_whole() -> None:
    side = Side(SessionConfig(instructions="Be kind."))
    tool = ToolSchema(name="t", description="T.", parameters={"type": "object"})
    both = SessionConfig(instructions="Be brief.", tools=(tool,), voice=Voice(voice_id="aura-2-apollo-en"))
    think, speak = side.sends(SessionUpdate(both))
    assert (think["type"], think["think"]["prompt"]) == ("UpdateThink", "Be brief.")
    assert think["think"]["functions"][0]["name"] == "t"
    assert speak == {"type": "UpdateSpeak", "speak": {"provider": {"type": "deepgram", "model": "aura-2-apollo-en"}}}
    assert side.sends(SessionUpdate(both)) == []
    assert side.hears({"type": "ThinkUpdated"}, {"type": "SpeakUpdated"}) == [SessionUpdated(), SessionUpdated()]


def test_a_note_is_added_to_the_prompt_and_stays_in_it() -> None:
    side = Side(SessionConfig(instructions="Be kind."), history=(PastMessage("1", "system", "It is dark."),))
    [update] = side.sends(ItemCreate("system", "It rains."))
    assert update["type"] == "UpdateThink"
    assert update["think"]["prompt"] == "Be kind.\n\nIt is dark.\n\nIt rains."
    [update] = side.sends(SessionUpdate(SessionConfig(instructions="Be brief.")))
    assert update["think"]["prompt"] == "Be brief.\n\nIt is dark.\n\nIt rains."


# ---- answers that were asked for ----


def test_words_to_say_are_injected_and_begin_the_response_that_was_asked_for() -> None:
    side = Side()
    side.sends(ResponseCreate("r1", say="Good evening. How are you?"))
    told = side.hears(said("assistant", "Good evening."), said("assistant", "How are you?"), AUDIO, DONE)
    created, item = told[0], told[1]
    assert isinstance(created, ResponseCreated)
    assert isinstance(item, ItemCreated)
    names = (created.response_id, item.item_id)
    assert told[1:] == [
        ItemCreated(item.item_id, "assistant"),
        TranscriptOutputDelta(*names, "Good evening."),
        TranscriptOutputDelta(*names, " How are you?"),
        AudioOutputDelta(*names, 0, AUDIO),
        AudioOutputDone(*names, 0),
        TranscriptOutput(*names, "Good evening. How are you?"),
        ResponseDone(created.response_id, "completed"),
    ]


def test_ids_are_unique_over_connections() -> None:
    first, second = Side().hears(AUDIO, DONE, AUDIO, DONE), Side().hears(AUDIO, DONE)
    ids = [event.response_id for event in first + second if isinstance(event, ResponseCreated)]
    assert len(set(ids)) == 3


def test_a_message_of_the_callers_is_injected_when_an_answer_is_asked_for_and_not_heard_back() -> None:
    side = Side()
    assert side.sends(ItemCreate("user", "Are you there?")) == []
    assert side.sends(ResponseCreate("r1")) == [{"type": "InjectUserMessage", "content": "Are you there?"}]
    told = side.hears(said("user", "Are you there?"), said("assistant", "I am."), AUDIO, DONE)
    assert not any(isinstance(event, (TranscriptInput, AudioInputCommitted)) for event in told)
    assert statuses(told) == ["completed"]


def test_a_message_that_no_answer_was_asked_for_is_known_by_the_answer_to_the_voice() -> None:
    side = Side(SessionConfig(instructions="Be kind."))
    side.sends(ItemCreate("user", "My number is 7."))
    started, update = side.hears(STARTED)
    assert isinstance(started, SpeechStarted)
    assert update["think"]["prompt"] == "Be kind.\n\nThe caller wrote: My number is 7."
    assert side.sends(ResponseCreate("r1")) == [{"type": "InjectUserMessage", "content": GO_ON}]


def test_instructions_for_one_answer_are_marked_as_such() -> None:
    [message] = Side().sends(ResponseCreate("r1", instructions="Go on from there."))
    assert message["type"] == "InjectUserMessage"
    assert "instructions for your next answer: Go on from there." in message["content"]


@pytest.mark.parametrize(
    "refusal",
    [
        {"type": "InjectionRefused", "message": "USER_MID_TURN"},
        {"type": "Warning", "code": "INJECT_AGENT_MESSAGE_DURING_USER_SPEECH", "description": "USER_MID_TURN"},
    ],
)
def test_refused_words_free_the_request_for_them_once(refusal: dict[str, Any]) -> None:
    side = Side()
    side.sends(ResponseCreate("r1", say="Hello."))
    [error] = side.hears(refusal)
    assert isinstance(error, SessionError)
    assert (error.event_id, error.code, error.retryable) == ("r1", "InjectionRefused", True)
    assert error.message == "USER_MID_TURN"
    assert side.hears({"type": "InjectionRefused", "message": "again"}) == []
    assert kinds(side.hears(STARTED)) == ["speech.started"]


# ---- tools ----


def test_a_call_that_nothing_is_said_before_ends_its_response_and_the_next_is_the_answer() -> None:
    side = Side()
    told = side.hears(STARTED, said("user", "Who?"), called(("c1", "lookup"), ("c2", "add")))
    assert kinds(told[4:]) == ["response.created", "item.created", "tool.call", "tool.call", "response.done"]
    response_id = told[4].response_id
    assert told[6] == ToolCall(response_id, "c1", "lookup", '{"a": 1}')
    answers = side.sends(ToolResult("c1", "7"), ToolResult("c2", "8"))
    assert answers == [
        {"type": "FunctionCallResponse", "id": "c1", "name": "lookup", "content": "7"},
        {"type": "FunctionCallResponse", "id": "c2", "name": "add", "content": "8"},
    ]
    assert side.sends(ResponseCreate("r1")) == []
    told = side.hears(said("assistant", "Seven."), AUDIO, DONE)
    assert kinds(told).count("response.created") == 1
    assert statuses(told) == ["completed"]


def test_what_is_said_before_a_call_sounds_to_its_end() -> None:
    side = Side()
    told = side.hears(said("assistant", "One moment."), called(("c1", "lookup")))
    assert statuses(told) == []
    assert statuses(side.hears(AUDIO, DONE)) == ["completed"]


def test_an_answer_to_a_tool_is_a_response_of_its_own_though_the_words_before_it_did_not_end() -> None:
    side = Side()
    first = side.hears(said("assistant", "One moment."), AUDIO, called(("c1", "lookup")))
    side.sends(ToolResult("c1", "7"))
    told = side.hears(said("assistant", "Seven."))
    assert kinds(told)[:4] == ["audio.output.done", "transcript.output", "response.done", "response.created"]
    assert told[2].response_id == first[0].response_id != told[3].response_id
    assert side.sends(ResponseCreate("r1")) == []  # on its way already
    assert statuses(side.hears(AUDIO, DONE)) == ["completed"]


def test_who_asks_for_an_answer_that_was_given_already_gets_an_empty_one() -> None:
    side = Side()
    side.hears(called(("c1", "lookup")))
    side.sends(ToolResult("c1", "7"))
    side.hears(said("assistant", "Seven."), AUDIO, DONE)
    assert side.waits() == []
    assert side.sends(ResponseCreate("r1")) == []
    assert side.codec.wait is not None
    assert side.codec.wait.after_s == 0
    assert kinds(side.waits()) == ["response.created", "item.created", "response.done"]
    assert side.waits() == []
    assert side.sends(ResponseCreate("r2")) == [{"type": "InjectUserMessage", "content": GO_ON}]


def test_a_call_that_is_taken_back_is_cancelled_and_not_answered() -> None:
    side = Side()
    side.hears(called(("c1", "lookup"), ("c2", "add")))
    cancelled = {"type": "FunctionCallCancelled", "functions": [{"id": "c1", "name": "lookup"}]}
    assert side.hears(cancelled) == [ToolCancelled("c1")]
    assert side.hears(cancelled) == []
    assert side.sends(ToolResult("c1", "7")) == []
    assert len(side.sends(ToolResult("c2", "8"))) == 1


def test_functions_that_deepgram_runs_itself_are_no_calls_of_ours() -> None:
    [raw] = Side().hears(called(("c1", "search"), client_side=False))
    assert isinstance(raw, RawEvent)


# ---- turns and interruptions ----


def test_a_turn_is_over_when_its_words_come() -> None:
    side = Side()
    started, stopped, committed, transcript = side.hears(STARTED, said("user", "What time is it?"))
    item_id = started.item_id
    assert (stopped, committed) == (SpeechStopped(item_id), AudioInputCommitted(item_id))
    assert transcript == TranscriptInput(item_id, "What time is it?")
    assert side.hears(STARTED)[0].item_id != item_id


def test_a_turn_is_over_when_deepgram_says_so_or_when_the_answer_begins() -> None:
    for end in ({"type": "EndOfTurn", "trigger": "eot"}, said("assistant", "Noon.")):
        side = Side()
        [started] = side.hears(STARTED)
        assert kinds(side.hears(end))[:2] == ["speech.stopped", "audio.input.committed"]
        assert side.hears(said("user", "Well?")) == [TranscriptInput(started.item_id, "Well?")]


def test_words_without_a_start_are_a_turn_too() -> None:
    told = Side().hears(said("user", "Yes."))
    assert kinds(told) == ["speech.stopped", "audio.input.committed", "transcript.input"]


def test_without_transcription_the_callers_words_go_nowhere() -> None:
    side = Side(SessionConfig(transcription=None))
    assert kinds(side.hears(STARTED, said("user", "secret"))) == [
        "speech.started",
        "speech.stopped",
        "audio.input.committed",
    ]


def test_the_caller_breaks_off_the_agent_and_what_still_comes_of_it_is_dropped() -> None:
    side = Side()
    created = side.hears(said("assistant", "A long story."), AUDIO)[0]
    told = side.hears(STARTED)
    assert kinds(told) == ["speech.started", "response.interrupted", "response.done"]
    assert told[1] == ResponseInterrupted(created.response_id)
    assert statuses(told) == ["interrupted"]
    assert side.hears(AUDIO, said("assistant", "of a frog"), AUDIO, DONE) == []
    told = side.hears(said("user", "Stop."), said("assistant", "Yes?"), AUDIO, DONE)
    assert statuses(told) == ["completed"]
    assert [event.text for event in told if isinstance(event, TranscriptOutput)] == ["Yes?"]


def test_words_of_ours_are_heard_though_the_voice_before_them_was_only_a_noise() -> None:
    side = Side()
    side.hears(AUDIO, STARTED)
    side.sends(ResponseCreate("r1", say="Are you there?"))
    told = side.hears(AUDIO, said("assistant", "Are you there?"), AUDIO, DONE)
    assert statuses(told) == ["completed"]
    assert sum(isinstance(event, AudioOutputDelta) for event in told) == 1


def test_a_request_that_the_caller_comes_before_is_over() -> None:
    side = Side()
    side.sends(ResponseCreate("r1", say="Hello."))
    told = side.hears(STARTED)
    assert kinds(told) == [
        "speech.started",
        "response.created",
        "item.created",
        "response.interrupted",
        "response.done",
    ]
    assert side.hears(AUDIO) == []


def test_what_the_agent_thinks_is_shown_and_is_no_answer() -> None:
    side = Side()
    side.hears(AUDIO, STARTED)
    assert kinds(side.hears({"type": "AgentThinking", "content": "Hm."}, AUDIO)) == [
        "raw",
        "speech.stopped",
        "audio.input.committed",
        "response.created",
        "item.created",
        "audio.output.delta",
    ]


# ---- what else it says ----


@pytest.mark.parametrize(
    ("code", "description", "category", "retryable"),
    [
        ("INTERNAL_SERVER_ERROR", "", "unavailable", True),
        ("INVALID_SETTINGS", "unknown model", "invalid_request", False),
        ("CLIENT_MESSAGE_TIMEOUT", "", "network", True),
        ("INSUFFICIENT_PERMISSIONS", "", "auth", False),
        ("NEW_CODE", "Your credit balance is used up", "quota", False),
        ("NEW_CODE", "Too many concurrent sessions", "rate", True),
        ("NEW_CODE", "The maximum session duration was exceeded", "session_limit", True),
        ("NEW_CODE", "no idea", "unavailable", True),
    ],
)
def test_an_error_ends_the_session_with_what_it_means(
    code: str, description: str, category: str, retryable: bool
) -> None:
    [error] = Side().hears({"type": "Error", "code": code, "description": description})
    assert isinstance(error, ProviderError)
    assert (error.code, error.category, error.retryable) == (code, category, retryable)
    assert description in str(error)


def test_warnings_end_nothing() -> None:
    side = Side()
    [failed, slow, ending] = side.hears(
        {"type": "Warning", "code": "THINK_REQUEST_FAILED", "description": "x"},
        {"type": "Warning", "code": "SLOW_THINK_REQUEST", "description": "x"},
        {"type": "Warning", "code": "SESSION_LIMIT_NEAR", "description": "The session limit is near"},
    )
    assert (failed.category, failed.retryable, failed.benign) == ("unavailable", True, False)
    assert slow.benign
    assert ending == SessionExpiring(None)


@pytest.mark.parametrize(
    ("code", "reason", "category"),
    [
        (None, "no close frame", "network"),
        (1011, "", "unavailable"),
        (1008, "insufficient credits", "quota"),
        (1000, "Maximum session duration reached", "session_limit"),
        (4001, "unauthorized", "auth"),
    ],
)
def test_the_end_of_a_connection_says_why(code: int | None, reason: str, category: str) -> None:
    loss = Side().codec.loss(code, reason)
    assert loss is not None
    assert loss.category == category


def test_an_end_in_good_order_is_no_loss() -> None:
    assert Side().codec.loss(1000, "") is None
    assert Side().codec.loss(1005, "") is None


def test_routine_says_nothing_and_the_unknown_is_shown() -> None:
    side = Side()
    assert side.hears({"type": "LatencyReport", "stt_latency": 0.1}, {"type": "History", "role": "user"}) == []
    assert side.hears({"type": "FrustrationDetected", "count": 1}) == [
        RawEvent("FrustrationDetected", {"type": "FrustrationDetected", "count": 1})
    ]


HEALTHY = [
    {"type": "Welcome", "request_id": "r"},
    {"type": "SettingsApplied"},
    STARTED,
    said("user", "Hello?"),
    said("assistant", "Hello."),
    {"type": "AgentThinking", "content": "Hm."},
    {"type": "AgentStartedSpeaking", "total_latency": 0.5, "tts_latency": 0.1, "ttt_latency": 0.4},
    called(("c1", "lookup")),
    {"type": "FunctionCallCancelled", "functions": [{"id": "c1", "name": "lookup"}]},
    {"type": "InjectionRefused", "message": "no"},
    {"type": "Warning", "code": "PROMPT_TOO_LONG", "description": "x"},
    {"type": "Error", "code": "FAILED_TO_THINK", "description": "x"},
    DONE,
]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn) -> str | bytes:
    message: dict[str, Any] = dict(draw(st.sampled_from(HEALTHY)))
    for key in draw(st.lists(st.sampled_from([*message, "content", "id", "functions"]), max_size=3)):
        if draw(st.booleans()):
            message.pop(key, None)
        else:
            message[key] = draw(JUNK)
    text = json.dumps(message)
    cut = text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text
    return cut.encode() if draw(st.integers(0, 4)) == 0 else cut


@given(st.lists(mutated() | st.binary(max_size=9), max_size=6))
@hypothesis_settings(max_examples=200, deadline=None, derandomize=True)
def test_whatever_comes_nothing_but_a_wire_error_is_raised(messages: list[str | bytes]) -> None:
    side = Side()
    side.sends(ResponseCreate("r1", say="Hello."), ItemCreate("user", "x"))
    for message in messages:
        try:
            list(side.codec.decode(message))
        except WireError:
            continue
