"""AssemblyAI's wire, message by message: what is sent and when, what is understood, and whose response it is."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.errors import NotSupportedError, ProviderError
from agents.events import (
    AudioInputAppend,
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
    SessionCreated,
    SessionError,
    SessionResumable,
    SessionUpdate,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolCancelled,
    ToolResult,
    TranscriptInput,
    TranscriptInputDelta,
    TranscriptOutput,
    TranscriptOutputDelta,
)
from agents.providers.assemblyai.early import MAX_HELD_AUDIO_MS
from agents.providers.assemblyai.greeting import MAX_HELD_GREETING, MAX_HELD_MS
from agents.providers.assemblyai.wire import HOLD_S, AssemblyAICodec
from agents.providers.socket import Answer, WireError
from agents.providers.wire_json import from_base64, to_base64
from agents.realtime import (
    PCMU,
    PastMessage,
    PastToolCall,
    SessionConfig,
    ToolSchema,
    Transcription,
    TurnDetection,
    Voice,
)
from tests.assemblyai_messages import MESSAGES, SESSION
from tests.fake_ear import tone
from tests.wire_shape import check

AUDIO = tone(20)
READY = {"type": "session.ready", "session_id": "sess_1"}
STARTED = {"type": "input.speech.started"}
STOPPED = {"type": "input.speech.stopped"}
DONE = {"type": "reply.done", "status": "completed"}
INTERRUPTED = {"type": "reply.done", "status": "interrupted"}
CALL = {"type": "tool.call", "call_id": "c1", "name": "lookup", "arguments": {"a": 1}}
RESULT = {"type": "tool.result", "call_id": "c1", "result": "7"}


class Side:
    """Our side of one connection. What it sends is held to the shape of its message."""

    def __init__(self, config: SessionConfig | None = None, *, is_ready: bool = True, **more: Any) -> None:
        config = config or SessionConfig()
        self.codec = AssemblyAICodec(config, **more)
        self.opening = self.sends(SessionUpdate(config))
        if is_ready:
            self.hears(READY)

    def sends(self, *events: ClientEvent) -> list[Any]:
        return [self._sent(message) for event in events for message in self.codec.encode(event)]

    def hears(self, *messages: dict[str, Any]) -> list[Any]:
        """The events, and what is answered."""
        return [
            self._sent(event.message) if isinstance(event, Answer) else event
            for message in messages
            for event in self.codec.decode(json.dumps(message))
        ]

    def waits(self) -> list[Any]:
        """What follows from nothing more to come, if it waits for that."""
        if self.codec.wait is None:
            return []
        return [self._sent(event.message) if isinstance(event, Answer) else event for event in self.codec.waited()]

    def _sent(self, message: str | bytes) -> Any:
        fields = json.loads(message)
        assert check(fields, MESSAGES[fields["type"]]) == []
        if "agent_id" not in fields.get("session", {"agent_id": ""}):
            assert check(fields["session"], SESSION) == []
        return fields


def started(reply_id: str = "r_1") -> dict[str, Any]:
    return {"type": "reply.started", "reply_id": reply_id}


def audio(pcm: bytes = AUDIO) -> dict[str, Any]:
    return {"type": "reply.audio", "data": to_base64(pcm)}


def user(text: str) -> dict[str, Any]:
    return {"type": "transcript.user", "item_id": "msg_1", "text": text}


def kinds(events: Iterable[Any]) -> list[str]:
    return [event["type"] if isinstance(event, dict) else event.kind for event in events]


def statuses(events: Iterable[Any]) -> list[str]:
    return [event.status for event in events if isinstance(event, ResponseDone)]


def told(events: Iterable[Any]) -> list[dict[str, Any]]:
    """Of what came and went, what went."""
    return [event for event in events if isinstance(event, dict)]


# ---- opening ----


def test_the_least_configuration() -> None:
    assert Side().opening == [
        {
            "type": "session.update",
            "session": {
                "input": {"format": {"encoding": "audio/pcm"}},
                "output": {"format": {"encoding": "audio/pcm"}},
                "tools": [],
            },
        }
    ]


def test_all_that_an_agents_file_can_say() -> None:
    config = SessionConfig(
        instructions="Be kind.",
        greeting="Hello.",
        tools=(ToolSchema(name="look", description="", parameters={"type": "object"}),),
        voice=Voice(voice_id="anna"),
        input_format=PCMU,
        output_format=PCMU,
        turn_detection=TurnDetection(threshold=0.6, silence_duration_ms=900, interrupt_response=True),
        transcription=Transcription(prompt="Ann Smith, Zaffran"),
        noise_reduction="near_field",
        provider_options={"output": {"volume": 80}, "input": {"turn_detection": {"max_silence": 4000}}},
    )
    [opening] = Side(config).opening
    assert opening["session"] == {
        "system_prompt": "Be kind.",
        "greeting": "Hello.",
        "tools": [{"type": "function", "name": "look", "description": "look", "parameters": {"type": "object"}}],
        "input": {
            "format": {"encoding": "audio/pcmu"},
            "turn_detection": {
                "vad_threshold": 0.6,
                "min_silence": 900,
                "interrupt_response": True,
                "max_silence": 4000,
            },
            "keyterms": ["Ann Smith", "Zaffran"],
            "voice_focus": "near-field",
        },
        "output": {"format": {"encoding": "audio/pcmu"}, "voice": "anna", "volume": 80},
    }


def test_what_was_said_before_stands_in_the_prompt_and_nobody_greets() -> None:
    history = (
        PastMessage("1", "assistant", "Hello."),
        PastMessage("2", "user", "Who is Ann?"),
        PastToolCall("c1", "lookup", '{"name": "Ann"}', "7"),
        PastToolCall("c2", "lookup", "{}", None),
        PastMessage("3", "system", "It is dark."),
    )
    [opening] = Side(SessionConfig(instructions="Be kind.", greeting="Hello."), history=history).opening
    assert "greeting" not in opening["session"]
    assert opening["session"]["system_prompt"].splitlines() == [
        "Be kind.",
        "",
        "The conversation has begun already. Go on with it, without greeting again:",
        "You: Hello.",
        "Caller: Who is Ann?",
        '(You called lookup with {"name": "Ann"}; it answered: 7)',
        "Note: It is dark.",
    ]


def test_the_session_is_there_when_it_is_ready_and_can_be_resumed() -> None:
    side = Side(is_ready=False)
    assert side.hears({"type": "session.updated", "config": {}}) == []
    assert side.hears(READY) == [SessionCreated("sess_1"), SessionResumable("sess_1")]
    assert side.hears(READY) == []
    assert side.hears({"type": "session.updated"}) == [SessionUpdated()]


def test_what_is_sent_before_waits_until_it_is_ready() -> None:
    side = Side(is_ready=False)
    assert side.sends(AudioInputAppend(AUDIO), ResponseCreate("r1", say="Hello."), AudioInputAppend(AUDIO)) == []
    heard, create, *told = side.hears(READY)
    assert from_base64(heard["audio"]) == AUDIO + AUDIO
    assert create["type"] == "reply.create"
    assert told == [SessionCreated("sess_1"), SessionResumable("sess_1")]


def test_a_stored_agent_is_told_of_all_that_waited_before_anybody_learns_that_it_is_there() -> None:
    history = (PastMessage("1", "user", "Is it green?"),)
    side = Side(SessionConfig(instructions="Sell tea."), agent_id="a", history=history, is_ready=False)
    side.sends(AudioInputAppend(AUDIO), ItemCreate("system", "It rains."), ResponseCreate("r1", say="Yes."))
    events = side.hears(READY)
    assert kinds(events) == [
        "session.update",
        "input.audio",
        "session.update",
        "reply.create",
        "session.created",
        "session.resumable",
    ]
    assert events[2]["session"]["system_prompt"].startswith(events[0]["session"]["system_prompt"])
    assert events[2]["session"]["system_prompt"].endswith("It rains.")


def test_of_audio_that_waits_the_latest_is_kept_and_sent_in_pieces() -> None:
    side = Side(SessionConfig(input_format=PCMU, output_format=PCMU), is_ready=False)
    for number in range(MAX_HELD_AUDIO_MS // 1000 + 2):
        assert side.sends(AudioInputAppend(bytes([number]) * 8000)) == []
    pieces = [from_base64(message["audio"]) for message in told(side.hears(READY))]
    assert [piece[0] for piece in pieces] == [2, 3, 4, 5, 6]
    assert {len(piece) for piece in pieces} == {8000}


def test_a_stored_agents_format_that_we_cannot_speak_ends_the_session() -> None:
    side = Side(is_ready=False, agent_id="a")
    [error] = side.hears(READY | {"config": {"output": {"format": {"encoding": "audio/pcma"}}}})
    assert isinstance(error, ProviderError)
    assert (error.category, "audio/pcma" in str(error)) == ("invalid_request", True)


# ---- sending ----


def test_audio_is_sent_as_base64() -> None:
    assert Side().sends(AudioInputAppend(AUDIO)) == [{"type": "input.audio", "audio": to_base64(AUDIO)}]


@pytest.mark.parametrize(
    "event",
    [
        AudioInputCommit(),
        ItemDelete("i"),
        ItemTruncate("i", 0, 5),
        ResponseCancel(),
        SessionUpdate(SessionConfig(output_format=PCMU)),
        SessionUpdate(SessionConfig(voice=Voice(voice_id="other"))),
        SessionUpdate(SessionConfig(turn_detection=None)),
    ],
)
@pytest.mark.parametrize("is_ready", [True, False])
def test_what_the_wire_has_no_words_for_is_refused(event: ClientEvent, is_ready: bool) -> None:
    with pytest.raises(NotSupportedError):
        Side(is_ready=is_ready).sends(event)


def test_an_update_sends_what_differs() -> None:
    side = Side(SessionConfig(instructions="Be kind.", turn_detection=TurnDetection(threshold=0.5)))
    tool = ToolSchema(name="t", description="T.", parameters={"type": "object"})
    after = SessionConfig(instructions="Be brief.", tools=(tool,), turn_detection=TurnDetection(threshold=0.7))
    [update] = side.sends(SessionUpdate(after))
    assert update["session"].keys() == {"system_prompt", "tools", "input"}
    assert update["session"]["system_prompt"] == "Be brief."
    assert update["session"]["input"] == {"turn_detection": {"vad_threshold": 0.7}}
    assert side.sends(SessionUpdate(after)) == []


def test_a_note_is_added_to_the_prompt_and_stays_in_it() -> None:
    side = Side(SessionConfig(instructions="Be kind."))
    side.sends(ItemCreate("system", "It rains."))
    [update] = side.sends(ItemCreate("system", "It pours."))
    notes = "\n\nWhat has become known meanwhile:\nIt rains.\nIt pours."
    assert update == {"type": "session.update", "session": {"system_prompt": "Be kind." + notes}}
    [update] = side.sends(SessionUpdate(SessionConfig(instructions="Be brief.")))
    assert update["session"]["system_prompt"] == "Be brief." + notes


RESUMED = (PastMessage("1", "user", "My number is 4711."), PastToolCall("c1", "lookup", "{}", "7"))


def test_a_resumed_session_is_not_told_again_what_was_said() -> None:
    side = Side(SessionConfig(instructions="Be kind."), history=RESUMED, resume="sess_1", is_ready=False)
    assert side.opening == [{"type": "session.resume", "session_id": "sess_1"}]
    assert told(side.hears(READY)) == []


def test_a_note_in_a_resumed_session_takes_nothing_out_of_the_prompt() -> None:
    side = Side(SessionConfig(instructions="Be kind."), history=RESUMED, resume="sess_1")
    [update] = side.sends(ItemCreate("system", "It rains."))
    lines = update["session"]["system_prompt"].splitlines()
    assert (lines[0], lines[-1]) == ("Be kind.", "It rains.")
    assert "Caller: My number is 4711." in lines
    assert "(You called lookup with {}; it answered: 7)" in lines


TOOL = ToolSchema(name="t", description="T.", parameters={"type": "object"})


def test_a_resumed_session_is_told_all_of_its_configuration_once_it_changes() -> None:
    volume = {"output": {"volume": 80}, "input": {"turn_detection": {"max_silence": 4000}}}
    config = SessionConfig(turn_detection=TurnDetection(threshold=0.7), provider_options=volume)
    config = replace(config, instructions="Be brief.", tools=(TOOL,), transcription=Transcription(prompt="Ann"))
    side = Side(config, history=RESUMED, resume="sess_1")
    [update] = side.sends(SessionUpdate(config))
    session = update["session"]
    assert session.keys() == {"system_prompt", "tools", "input"}
    assert session["system_prompt"].startswith("Be brief.\n")
    assert "Caller: My number is 4711." in session["system_prompt"]
    assert [tool["name"] for tool in session["tools"]] == ["t"]
    assert session["input"] == {
        "turn_detection": {"vad_threshold": 0.7, "max_silence": 4000},
        "keyterms": ["Ann"],
    }
    assert side.sends(SessionUpdate(config)) == []


def test_a_resumed_session_that_is_to_answer_is_told_what_tools_found_since_the_caller_spoke() -> None:
    earlier = (PastToolCall("c0", "weather", "{}", "rain"), PastToolCall("c2", "slow", "{}", None))
    side = Side(history=(*earlier, *RESUMED), resume="sess_1")
    [create] = side.sends(ResponseCreate("r1"))
    assert create["instructions"].splitlines()[1:] == ["(You called lookup with {}; it answered: 7)"]
    side.hears(started(), DONE)
    assert side.sends(ResponseCreate("r2")) == [{"type": "reply.create"}]
    new = Side(history=RESUMED)
    assert new.sends(ResponseCreate("r1")) == [{"type": "reply.create"}]


def test_a_resumed_session_that_has_tools_no_more_is_told_so() -> None:
    [update] = Side(resume="sess_1").sends(SessionUpdate(SessionConfig()))
    assert update["session"] == {"system_prompt": "", "tools": []}


def test_a_stored_agent_that_is_resumed_keeps_its_own_prompt_and_tools() -> None:
    side = Side(resume="sess_1", history=RESUMED, agent_id="a")
    assert side.sends(SessionUpdate(SessionConfig())) == []
    [update] = side.sends(SessionUpdate(SessionConfig(tools=(TOOL,))))
    assert update["session"].keys() == {"tools"}


def test_a_stored_agents_own_prompt_is_left_alone() -> None:
    side = Side(agent_id="a")
    assert side.sends(ItemCreate("system", "It rains.")) == [
        {"type": "conversation.message", "role": "system", "content": "It rains."}
    ]


def test_the_session_is_ended_at_the_close_unless_it_is_over_or_never_was() -> None:
    assert AssemblyAICodec(SessionConfig()).farewell() == ()
    side = Side()
    assert side.codec.farewell() == ('{"type":"session.end"}',)
    side.hears({"type": "session.ended", "session_duration_seconds": 10.0})
    assert side.codec.farewell() == ()


# ---- answers that were asked for ----


def test_the_greeting_is_spoken_by_itself_and_is_the_response_that_was_asked_for() -> None:
    side = Side(SessionConfig(greeting="Hello."))
    assert side.sends(ResponseCreate("r1", say="Hello.")) == []
    assert statuses(side.hears(started(), audio(), DONE)) == ["completed"]
    assert side.codec.wait is None
    [again] = side.sends(ResponseCreate("r2", say="Hello."))
    assert again["type"] == "reply.create"


GREETING = [
    "response.created",
    "item.created",
    "audio.output.delta",
    "audio.output.done",
    "response.done",
]


def test_a_greeting_that_is_spoken_before_it_was_asked_for_is_held_until_it_is() -> None:
    side = Side(SessionConfig(greeting="Hello."))
    assert side.hears(started(), audio(), DONE) == []
    assert side.sends(ResponseCreate("r1", say="Hello.")) == []
    assert kinds(side.waits()) == GREETING
    assert side.codec.wait is None


def test_a_greeting_that_is_asked_for_while_it_is_spoken_goes_on_in_order() -> None:
    side = Side(SessionConfig(greeting="Hello."))
    assert side.hears(started(), audio()) == []
    side.sends(ResponseCreate("r1", say="Hello."))
    assert kinds(side.hears(DONE)) == GREETING
    assert side.waits() == []


def test_what_is_no_part_of_the_greeting_is_told_at_once() -> None:
    side = Side(SessionConfig(greeting="Hello."))
    side.hears(started(), audio())
    error = {"type": "session.error", "code": "invalid_value", "message": "no"}
    assert kinds(side.hears({"type": "session.updated"}, error, {"type": "brand.new"})) == [
        "session.updated",
        "session.error",
        "raw",
    ]


def test_a_message_without_sense_loses_nothing_of_a_greeting() -> None:
    side = Side(SessionConfig(greeting="Hello."))
    side.hears(started(), audio())
    side.sends(ResponseCreate("r1", say="Hello."))
    with pytest.raises(WireError):
        side.hears({"type": "reply.audio", "data": "?"})
    assert kinds(side.hears(DONE)) == GREETING


@pytest.mark.parametrize("caller", [STARTED, user("Hello?")])
def test_a_caller_who_comes_before_the_request_for_the_greeting_hears_it_and_that_was_it(
    caller: dict[str, Any],
) -> None:
    side = Side(SessionConfig(greeting="Hello."))
    side.hears(started(), audio())
    events = kinds(side.hears(caller, INTERRUPTED, STOPPED))
    assert events[:3] == GREETING[:3]
    assert events.index("response.created") < events.index("audio.input.committed")
    assert side.sends(ResponseCreate("r1", say="Hello.")) == []
    assert kinds(side.waits()) == ["response.created", "item.created", "response.done"]


def test_a_caller_who_comes_before_the_greeting_does_not_take_it_away() -> None:
    side = Side(SessionConfig(greeting="Hello."))
    side.hears(STARTED, STOPPED, user(" "))
    assert side.sends(ResponseCreate("r1", say="Hello.")) == []
    assert kinds([*side.hears(started(), audio(), DONE), *side.waits()]) == GREETING


def test_whoever_asks_for_something_else_first_hears_the_greeting_as_well() -> None:
    side = Side(SessionConfig(greeting="Hello."))
    side.hears(started(), audio())
    assert side.sends(ResponseCreate("r1", say="Listen.")) == []
    events = side.hears(DONE)
    assert kinds(events) == [*GREETING, "reply.create"]
    assert events[-1]["instructions"].endswith("Listen.")


def test_a_greeting_that_is_let_go_hurries_no_other_request() -> None:
    side = Side(SessionConfig(greeting="Hello."))
    side.hears(started(), audio(), DONE)
    side.sends(ResponseCreate("r1", say="Listen."), ResponseCreate("r2", say="Look."))
    assert kinds(side.hears({"type": "brand.new"})) == [*GREETING, "raw"]
    assert side.codec.wait is not None
    assert side.codec.wait.after_s == HOLD_S


def test_of_a_greeting_without_end_no_more_is_held_than_a_greeting_has() -> None:
    side = Side(SessionConfig(greeting="Hello.", output_format=PCMU))
    second = audio(bytes(8000))
    assert side.hears(started(), *[second] * (MAX_HELD_MS // 1000)) == []
    events = side.hears(second)
    assert kinds(events)[:2] == ["response.created", "item.created"]
    assert sum(len(event.pcm) for event in events[2:]) == 8 * MAX_HELD_MS + 8000
    assert kinds(side.hears(second)) == ["audio.output.delta"]


def test_words_without_sound_are_not_held_without_end_either() -> None:
    side = Side(SessionConfig(greeting="Hello."))
    word = {"type": "transcript.agent.delta", "delta": "a", "start_ms": 0, "end_ms": 0}
    held = side.hears(started(), *[word] * (MAX_HELD_GREETING - 2))
    assert held == []
    assert len(side.hears(word)) == MAX_HELD_GREETING + 1


def test_words_to_say_are_asked_for_and_begin_the_response() -> None:
    side = Side()
    assert side.sends(ResponseCreate("r1", instructions="Whisper.", say="Good night.")) == [
        {
            "type": "reply.create",
            "instructions": "Whisper.\nSay exactly the following words, all of them and no others:\nGood night.",
        }
    ]
    told = side.hears(
        started(),
        {"type": "transcript.agent.delta", "delta": "Good", "start_ms": 0, "end_ms": 5},
        audio(),
        {"type": "transcript.agent.delta", "delta": "night.", "start_ms": 5, "end_ms": 9},
        {"type": "transcript.agent", "text": "Good night.", "interrupted": False},
        DONE,
    )
    item_id = told[1].item_id
    assert told == [
        ResponseCreated("r_1"),
        ItemCreated(item_id, "assistant"),
        TranscriptOutputDelta("r_1", item_id, "Good"),
        AudioOutputDelta("r_1", item_id, 0, AUDIO),
        TranscriptOutputDelta("r_1", item_id, " night."),
        AudioOutputDone("r_1", item_id, 0),
        TranscriptOutput("r_1", item_id, "Good night."),
        ResponseDone("r_1", "completed"),
    ]


def test_a_message_of_the_callers_is_known_for_good_and_answered_when_that_is_asked_for() -> None:
    side = Side(SessionConfig(instructions="Be kind."))
    [update] = side.sends(ItemCreate("user", "Are you there?"))
    assert update["session"]["system_prompt"].endswith("The caller wrote: Are you there?")
    [create] = side.sends(ResponseCreate("r1"))
    assert create["instructions"].endswith("answer it:\nAre you there?")
    side.hears(started(), DONE)
    assert side.sends(ResponseCreate("r2")) == [{"type": "reply.create"}]


def test_a_request_waits_for_the_reply_under_way() -> None:
    side = Side()
    side.hears(started())
    assert side.sends(ResponseCreate("r1", say="Hello.")) == []
    assert side.sends(ResponseCreate("r2", say="World.")) == []
    [first] = told(side.hears(DONE))
    assert first["instructions"].endswith("Hello.")
    assert told(side.hears(started("r_2"))) == []
    [second] = told(side.hears(DONE))
    assert second["instructions"].endswith("World.")


def test_a_request_waits_for_the_answer_to_a_turn_but_not_for_ever() -> None:
    side = Side()
    side.hears(STARTED, STOPPED, user("Hello?"))
    assert side.sends(ResponseCreate("r1", say="Hello.")) == []
    assert side.codec.wait is not None
    assert side.codec.wait.after_s == HOLD_S
    assert kinds(side.waits()) == ["reply.create"]
    assert side.codec.wait is None


def test_a_request_that_the_caller_comes_before_is_over() -> None:
    side = Side()
    side.sends(ResponseCreate("r1", say="Hello."))
    assert kinds(side.hears(STARTED)) == [
        "speech.started",
        "response.created",
        "item.created",
        "response.interrupted",
        "response.done",
    ]
    assert told(side.hears(STOPPED, user("Hi"), started(), DONE)) == []


# ---- tools ----


def test_a_result_goes_out_when_the_reply_is_done_and_the_answer_comes_by_itself() -> None:
    side = Side()
    assert kinds(side.hears(started(), CALL)) == ["response.created", "item.created", "tool.call"]
    assert side.sends(ToolResult("c1", "7")) == []
    assert told(side.hears(DONE)) == [RESULT]
    assert side.sends(ResponseCreate("r1")) == []
    assert statuses(side.hears(started("r_2"), audio(), DONE)) == ["completed"]
    assert side.sends(ResponseCreate("r2")) == [{"type": "reply.create"}]


def test_a_tool_that_takes_longer_than_the_reply_is_answered_at_once() -> None:
    side = Side()
    side.hears(started(), CALL, DONE)
    assert side.sends(ToolResult("c1", "7")) == [RESULT]


def test_results_go_out_together() -> None:
    side = Side()
    side.hears(started(), CALL, CALL | {"call_id": "c2"}, DONE)
    assert side.sends(ToolResult("c2", "8")) == []
    assert [message["call_id"] for message in side.sends(ToolResult("c1", "7"))] == ["c2", "c1"]


def test_the_agent_may_speak_while_a_tool_runs() -> None:
    side = Side()
    side.hears(started(), CALL, DONE)
    assert kinds(side.sends(ResponseCreate("r1", say="One moment."))) == ["reply.create"]
    assert side.sends(ToolResult("c1", "7")) == []
    assert told(side.hears(started("r_2"), DONE)) == [RESULT]


def test_a_result_waits_while_the_caller_speaks_and_for_the_reply_to_that() -> None:
    side = Side()
    side.hears(started(), CALL, DONE, STARTED)
    assert side.sends(ToolResult("c1", "7")) == []
    assert side.codec.wait is None
    assert told(side.hears(STOPPED, user("Hurry!"), started("r_2"))) == []
    assert told(side.hears(DONE)) == [RESULT]


@pytest.mark.parametrize("noise", [[STARTED, STOPPED, user(" ")], [STARTED, STOPPED]])
def test_a_noise_holds_no_result_up_for_ever(noise: list[dict[str, Any]]) -> None:
    side = Side()
    side.hears(started(), CALL, DONE, STARTED)
    side.sends(ToolResult("c1", "7"))
    assert told([*side.hears(*noise), *side.waits()]) == [RESULT]


def test_calls_of_a_reply_that_is_broken_off_are_taken_back() -> None:
    side = Side()
    side.hears(started(), CALL, CALL | {"call_id": "c2"}, STARTED)
    side.sends(ToolResult("c1", "7"))
    events = side.hears(INTERRUPTED)
    assert [event for event in events if isinstance(event, ToolCancelled)] == [ToolCancelled("c1"), ToolCancelled("c2")]
    assert side.sends(ToolResult("c2", "8")) == []
    assert told(side.hears(STOPPED, user("Stop."), started("r_2"), DONE)) == []


def test_calls_of_an_earlier_reply_are_not() -> None:
    side = Side()
    side.hears(started(), CALL, DONE, started("r_2"), STARTED)
    events = side.hears(INTERRUPTED)
    assert not any(isinstance(event, ToolCancelled) for event in events)
    side.sends(ToolResult("c1", "7"))
    assert told(side.hears(STOPPED, user("Well?"), started("r_3"), DONE)) == [RESULT]


def test_a_call_before_its_reply_is_a_response_of_its_own_and_goes_with_the_reply() -> None:
    side = Side()
    events = side.hears(CALL)
    assert kinds(events) == ["response.created", "item.created", "tool.call", "response.done"]
    assert events[2] == ToolCall(events[0].response_id, "c1", "lookup", '{"a":1}')
    assert ToolCancelled("c1") in side.hears(started(), STARTED, INTERRUPTED)


def test_who_asks_for_an_answer_that_was_given_already_gets_an_empty_one() -> None:
    side = Side()
    side.hears(started(), CALL, DONE)
    side.sends(ToolResult("c1", "7"))
    side.hears(started("r_2"), DONE)
    assert side.sends(ResponseCreate("r1")) == []
    assert kinds(side.waits()) == ["response.created", "item.created", "response.done"]


# ---- turns and interruptions ----


def test_a_turn_is_written_down_as_it_is_understood() -> None:
    side = Side()
    events = side.hears(
        STARTED,
        {"type": "transcript.user.delta", "text": "What", "item_id": "m"},
        {"type": "transcript.user.delta", "text": "What time", "item_id": "m"},
        {"type": "transcript.user.delta", "text": "Which time", "item_id": "m"},
        STOPPED,
        user("What time is it?"),
    )
    item_id = events[0].item_id
    assert events == [
        SpeechStarted(item_id),
        TranscriptInputDelta(item_id, "What"),
        TranscriptInputDelta(item_id, " time"),
        SpeechStopped(item_id),
        AudioInputCommitted(item_id),
        TranscriptInput(item_id, "What time is it?"),
    ]
    assert side.hears(STARTED)[0].item_id != item_id


def test_the_words_may_come_before_the_end_or_after_the_reply_has_begun() -> None:
    assert kinds(Side().hears(STARTED, user("Hi."), STOPPED)) == [
        "speech.started",
        "speech.stopped",
        "audio.input.committed",
        "transcript.input",
    ]
    side = Side()
    events = side.hears(STARTED, STOPPED, started(), user("Hi."))
    assert events[-1] == TranscriptInput(events[0].item_id, "Hi.")


def test_without_transcription_the_callers_words_go_nowhere() -> None:
    side = Side(SessionConfig(transcription=None))
    events = side.hears(STARTED, {"type": "transcript.user.delta", "text": "sec"}, STOPPED, user("secret"))
    assert kinds(events) == ["speech.started", "speech.stopped", "audio.input.committed"]


def test_the_caller_breaks_off_the_agent_and_what_still_comes_of_it_is_dropped() -> None:
    side = Side()
    side.hears(started(), audio(), STARTED)
    events = side.hears({"type": "transcript.agent", "text": "A long", "interrupted": True}, INTERRUPTED, audio(), DONE)
    assert statuses(events) == ["interrupted"]
    assert kinds(events)[-2:] == ["response.interrupted", "response.done"]
    assert statuses(side.hears(STOPPED, user("Stop."), started("r_2"), audio(), DONE)) == ["completed"]


def test_where_no_voice_interrupts_requests_stay() -> None:
    side = Side(SessionConfig(turn_detection=TurnDetection(interrupt_response=False)))
    side.hears(started())
    side.sends(ResponseCreate("r1", say="Hello."))
    assert kinds(side.hears(STARTED)) == ["speech.started"]
    assert kinds(told(side.hears(DONE, STOPPED, user(" ")))) == ["reply.create"]


def test_a_reply_that_did_not_end_ends_when_the_next_begins() -> None:
    side = Side()
    events = side.hears(started("r_1"), audio(), started("r_2"))
    assert statuses(events) == ["completed"]
    assert events[-2] == ResponseCreated("r_2")


def test_audio_outside_of_any_reply_is_dropped() -> None:
    assert Side().hears(audio(), DONE) == []


# ---- what else it says ----


@pytest.mark.parametrize(
    ("code", "category", "retryable"),
    [
        ("UNAUTHORIZED", "auth", False),
        ("FORBIDDEN", "auth", False),
        ("INTERNAL_ERROR", "unavailable", True),
        ("session_not_found", "session_limit", True),
        ("session_forbidden", "session_limit", True),
        ("session_expired", "session_limit", True),
    ],
)
def test_an_error_that_the_server_closes_after_ends_the_session(code: str, category: str, retryable: bool) -> None:
    [error] = Side().hears({"type": "session.error", "code": code, "message": "no", "timestamp": 1.0})
    assert isinstance(error, ProviderError)
    assert (error.code, error.category, error.retryable) == (code, category, retryable)


@pytest.mark.parametrize(
    "code", ["invalid_format", "invalid_audio", "invalid_value", "immutable_field", "invalid_config"]
)
def test_other_errors_end_nothing_once_the_session_is_there_and_everything_before(code: str) -> None:
    message = {"type": "session.error", "code": code, "message": "no"}
    [error] = Side().hears(message)
    assert isinstance(error, SessionError)
    assert (error.code, error.category, error.retryable) == (code, "invalid_request", False)
    [error] = Side(is_ready=False).hears(message)
    assert isinstance(error, ProviderError)
    assert error.category == "invalid_request"


def test_a_session_that_ends_unasked_has_lasted_as_long_as_it_may() -> None:
    gone, error = Side().hears({"type": "session.ended", "session_duration_seconds": 10800.0})
    assert gone == SessionResumable(None)
    assert (error.code, error.category, error.retryable) == ("session_expired", "session_limit", True)


@pytest.mark.parametrize(
    ("code", "reason", "category"),
    [
        (None, "no close frame", "network"),
        (1011, "", "unavailable"),
        (1008, "Unauthorized connection: Too many concurrent sessions", "rate"),
        (1008, "Insufficient account balance", "quota"),
        (1008, "Missing Authorization header: unauthorized", "auth"),
        (1000, "Session expired", "session_limit"),
    ],
)
def test_the_end_of_a_connection_says_why(code: int | None, reason: str, category: str) -> None:
    loss = Side().codec.loss(code, reason)
    assert loss is not None
    assert loss.category == category


def test_an_end_in_good_order_is_no_loss() -> None:
    assert Side().codec.loss(1000, "") is None


def test_the_unknown_is_shown() -> None:
    assert Side().hears({"type": "brand.new"}) == [RawEvent("brand.new", {"type": "brand.new"})]
    assert Side(is_ready=False).hears(started()) == [RawEvent("reply.started", started())]


HEALTHY: list[dict[str, Any]] = [
    READY | {"config": {"input": {"format": {"encoding": "audio/pcm"}}, "output": {"voice": "anna"}}},
    {"type": "session.updated", "config": {}},
    STARTED,
    {"type": "transcript.user.delta", "text": "He", "item_id": "m"},
    STOPPED,
    user("Hello?"),
    started(),
    audio(),
    {"type": "transcript.agent.delta", "delta": "Hi", "start_ms": 0, "end_ms": 3},
    {"type": "transcript.agent", "text": "Hi", "interrupted": False},
    CALL,
    DONE,
    INTERRUPTED,
    {"type": "session.error", "code": "invalid_value", "message": "x", "timestamp": 1.0},
    {"type": "session.ended", "session_duration_seconds": 1.0},
]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn) -> str | bytes:
    message: dict[str, Any] = dict(draw(st.sampled_from(HEALTHY)))
    for key in draw(st.lists(st.sampled_from([*message, "text", "config", "arguments"]), max_size=3)):
        if draw(st.booleans()):
            message.pop(key, None)
        else:
            message[key] = draw(JUNK)
    text = json.dumps(message)
    cut = text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text
    return cut.encode() if draw(st.integers(0, 4)) == 0 else cut


@given(st.booleans(), st.lists(mutated() | st.binary(max_size=9), max_size=8))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_whatever_comes_nothing_but_a_wire_error_is_raised(is_ready: bool, messages: list[str | bytes]) -> None:
    side = Side(SessionConfig(greeting="Hello."), is_ready=is_ready)
    side.sends(ResponseCreate("r1", say="Hello."), ItemCreate("user", "x"), ToolResult("c1", "7"))
    for message in messages:
        try:
            list(side.codec.decode(message))
            list(side.codec.waited())
        except WireError:
            continue
