"""The Gemini wire without a socket: what single messages mean, in every order in which they may come."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from agents.events import (
    AudioOutputDelta,
    AudioOutputDone,
    ClientEvent,
    ItemCreate,
    RawEvent,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionError,
    SessionExpiring,
    SessionResumable,
    SessionUpdate,
    SpeechStarted,
    SpeechStopped,
    TextOutput,
    TextOutputDelta,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TranscriptInputDelta,
    TranscriptOutput,
    TranscriptOutputDelta,
)
from agents.providers.gemini.setup import make_setup
from agents.providers.gemini.wire import GeminiCodec
from agents.providers.socket import Answer, WireError
from agents.realtime import SessionConfig, Transcription, TurnDetection

CONFIG = SessionConfig(transcription=Transcription())
DONE = {"serverContent": {"turnComplete": True}}
ALL = {"serverContent": {"generationComplete": True}}
CUT = {"serverContent": {"interrupted": True}}


def new_codec(config: SessionConfig = CONFIG) -> GeminiCodec:
    """One that is ready."""
    codec = GeminiCodec("g", make_setup("gemini-3.8-live", config), config)
    codec.encode(SessionUpdate(config))
    assert told(codec, {"setupComplete": {}}) == [SessionCreated("g")]
    return codec


def told(codec: GeminiCodec, *messages: Mapping[str, Any]) -> list[ServerEvent]:
    """The events of these messages."""
    decoded = [event for message in messages for event in codec.decode(orjson.dumps(message))]
    return [event for event in decoded if not isinstance(event, Answer)]


def said(codec: GeminiCodec, event: ClientEvent) -> list[Any]:
    return [orjson.loads(text) for text in codec.encode(event)]


def sound(pcm: bytes = b"\1\0" * 240, rate: str = ";rate=24000") -> dict[str, Any]:
    part = {"inlineData": {"mimeType": f"audio/pcm{rate}", "data": b64encode(pcm).decode()}}
    return {"serverContent": {"modelTurn": {"role": "model", "parts": [part]}}}


def words(text: str) -> dict[str, Any]:
    return {"serverContent": {"outputTranscription": {"text": text}}}


def heard(text: str, **more: bool) -> dict[str, Any]:
    return {"serverContent": {"inputTranscription": {"text": text, **more}}}


def kinds(events: list[ServerEvent]) -> list[str]:
    return [event.kind for event in events]


# ---- spellings and shapes ----


def test_both_spellings_say_the_same_and_arguments_keep_theirs() -> None:
    camel = {"toolCall": {"functionCalls": [{"id": "1", "name": "f", "args": {"zip_code": 1}}]}}
    snake = {"tool_call": {"function_calls": [{"id": "1", "name": "f", "args": {"zip_code": 1}}]}}
    expected = [
        ResponseCreated("g-r1"),
        ToolCall("g-r1", "1", "f", '{"zip_code":1}'),
        ResponseDone("g-r1", "completed"),
    ]
    assert told(new_codec(), camel) == told(new_codec(), snake) == expected


def test_all_members_of_one_message_count() -> None:
    message = {
        "serverContent": {
            "outputTranscription": {"text": "Hi."},
            "modelTurn": sound()["serverContent"]["modelTurn"],
            "generationComplete": True,
            "turnComplete": True,
        },
        "usageMetadata": {"promptTokenCount": 7, "responseTokenCount": 3},
        "sessionResumptionUpdate": {"newHandle": "h", "resumable": True},
    }
    events = told(new_codec(), message)
    assert kinds(events) == [
        "response.created",
        "item.created",
        "transcript.output.delta",
        "audio.output.delta",
        "audio.output.done",
        "transcript.output",
        "response.done",
        "session.resumable",
    ]
    done = events[6]
    assert isinstance(done, ResponseDone)
    assert (done.usage.input_tokens, done.usage.output_tokens) == (7, 3)


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ({"goAway": {"timeLeft": "49.5s"}}, SessionExpiring(49.5)),
        ({"goAway": {}}, SessionExpiring(None)),
        ({"go_away": {"time_left": "0s"}}, SessionExpiring(0.0)),
        ({"sessionResumptionUpdate": {"newHandle": "h", "resumable": True}}, SessionResumable("h")),
        ({"sessionResumptionUpdate": {"newHandle": "h", "resumable": False}}, SessionResumable(None)),
        ({"sessionResumptionUpdate": {"newHandle": "", "resumable": True}}, SessionResumable(None)),
        ({"somethingNew": {"a": 1}}, RawEvent("somethingNew", {"somethingNew": {"a": 1}})),
    ],
)
def test_messages_that_need_no_memory(message: dict[str, Any], event: ServerEvent) -> None:
    assert told(new_codec(), message) == [event]


def test_of_an_unknown_part_of_a_message_the_rest_is_understood() -> None:
    events = told(new_codec(), {**sound(), "somethingNew": 1})
    assert kinds(events) == ["response.created", "item.created", "audio.output.delta", "raw"]


@pytest.mark.parametrize(
    "message",
    [
        b"\xff",
        b"[]",
        b'{"serverContent": 1}',
        b'{"serverContent": {"interrupted": "yes"}}',
        b'{"serverContent": {"modelTurn": {"parts": {}}}}',
        b'{"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm", "data": "*"}}]}}}',
        orjson.dumps(sound(b"", ";rate=x")),
        orjson.dumps(sound(b"", ";rate=22050")),
        b'{"toolCall": {"functionCalls": [{"id": "1"}]}}',
        b'{"toolCall": {"functionCalls": [{"name": "f", "args": 1}]}}',
        b'{"toolCallCancellation": {}}',
        b'{"goAway": {"timeLeft": "soon"}}',
        b'{"error": {}}',
        b'{"usageMetadata": {"promptTokenCount": "7"}}',
    ],
)
def test_what_makes_no_sense_is_said_to_make_none_and_changes_nothing(message: bytes) -> None:
    codec = new_codec()
    told(codec, sound())
    with pytest.raises(WireError):
        codec.decode(message)
    assert kinds(told(codec, ALL, DONE)) == ["audio.output.done", "response.done"]


def test_nesting_without_end_does_no_harm() -> None:
    message = '{"a":' * 900 + "1" + "}" * 900
    [event] = new_codec().decode(message)
    assert isinstance(event, RawEvent)


def test_a_voice_of_another_rate_comes_in_ours() -> None:
    codec = new_codec()
    events = told(codec, sound(b"\1\0" * 1600, ";rate=16000"), ALL, DONE)
    pcm = b"".join(event.pcm for event in events if isinstance(event, AudioOutputDelta))
    assert len(pcm) == 2 * 2400


def test_audio_may_be_in_either_base64() -> None:
    message = sound(b"\xfb\xff" * 24)
    part = message["serverContent"]["modelTurn"]["parts"][0]["inlineData"]
    assert "+" in part["data"] and "/" in part["data"]
    part["data"] = part["data"].replace("+", "-").replace("/", "_")
    assert told(new_codec(), message)[-1] == AudioOutputDelta("g-r1", "g-a1", 0, b"\xfb\xff" * 24)


def test_the_thinking_beside_the_voice_is_not_spoken_and_text_is_an_answer_where_text_was_asked_for() -> None:
    thought = {"serverContent": {"modelTurn": {"parts": [{"text": "Hm.", "thought": True}, {"text": "Noon."}]}}}
    assert kinds(told(new_codec(), thought)) == ["raw", "raw"]
    events = told(new_codec(SessionConfig(modalities=("text",))), thought, DONE)
    assert kinds(events)[0] == "raw"
    assert events[3:5] == [TextOutputDelta("g-r1", "g-a1", "Noon."), TextOutput("g-r1", "g-a1", "Noon.")]


def test_errors_in_json_have_their_own_code_and_our_category_and_free_the_request() -> None:
    codec = new_codec()
    codec.encode(ResponseCreate("ask"))
    message = {"error": {"code": 429, "message": "You exceeded your current quota", "status": "RESOURCE_EXHAUSTED"}}
    [error] = told(codec, message)
    assert isinstance(error, SessionError)
    assert (error.code, error.category, error.event_id) == ("RESOURCE_EXHAUSTED", "quota", "ask")
    [bare] = told(codec, {"code": 503, "message": "try later"})
    assert isinstance(bare, SessionError)
    assert (bare.code, bare.category, bare.retryable, bare.event_id) == ("503", "unavailable", True, None)


def test_an_error_before_the_session_is_told_and_nothing_else_is() -> None:
    codec = GeminiCodec("g", make_setup("m", CONFIG), CONFIG)
    assert told(codec, sound()) == []
    assert kinds(told(codec, {"error": {"code": 401, "message": "no"}})) == ["session.error"]


# ---- the order of things ----


def test_words_that_come_before_the_voice_wait_for_it_and_words_after_the_end_are_still_its_own() -> None:
    codec = new_codec()
    codec.encode(ResponseCreate("ask"))
    assert told(codec, words("Good")) == []
    events = told(codec, sound(), ALL, DONE)
    assert events[2] == TranscriptOutputDelta("g-r1", "g-a1", "Good")
    late = told(codec, words(" morning."))
    assert late == [
        TranscriptOutputDelta("g-r1", "g-a1", " morning."),
        TranscriptOutput("g-r1", "g-a1", "Good morning."),
    ]


def test_the_callers_words_that_come_during_the_answer_belong_to_the_turn_before_it() -> None:
    codec = new_codec()
    events = told(codec, heard("What"), sound(), heard(" time?"), sound(), ALL, DONE)
    assert kinds(events) == [
        "speech.started",
        "transcript.input.delta",
        "speech.stopped",
        "audio.input.committed",
        "response.created",
        "item.created",
        "audio.output.delta",
        "transcript.input.delta",
        "audio.output.delta",
        "audio.output.done",
        "transcript.input",
        "response.done",
    ]
    assert TranscriptInput("g-u1", "What time?") in events


def test_words_beside_a_voice_are_its_own_also_of_an_answer_that_nobody_asked_for() -> None:
    codec = new_codec()
    told(codec, {"serverContent": {**words("One.")["serverContent"], **sound()["serverContent"]}}, ALL, DONE)
    both = {"serverContent": {**words("Two.")["serverContent"], **sound()["serverContent"]}}
    assert TranscriptOutputDelta("g-r2", "g-a2", "Two.") in told(codec, both)


def test_words_into_an_answer_stop_nothing_until_the_model_stops_and_then_are_that_turns() -> None:
    codec = new_codec()
    told(codec, heard("Hello.", finished=True), sound())
    assert told(codec, heard("Wait")) == [TranscriptInputDelta("g-u2", "Wait")]
    events = told(codec, CUT, sound(), DONE)
    assert kinds(events) == ["speech.started", "response.interrupted", "response.done"]
    assert events[0] == SpeechStarted("g-u2", 0)


def test_words_that_may_still_change_are_a_sign_of_a_voice() -> None:
    codec = new_codec()
    guess = {"serverContent": {"interimInputTranscription": {"text": "Wh"}}}
    assert told(codec, guess, guess) == [SpeechStarted("g-u1", 0)]
    assert kinds(told(codec, sound(), guess)).count("speech.started") == 0


def test_an_interruption_and_its_end_may_come_in_one_message() -> None:
    codec = new_codec()
    told(codec, sound())
    both = {"serverContent": {"interrupted": True, "turnComplete": True}}
    assert kinds(told(codec, both)) == ["speech.started", "response.interrupted", "response.done"]
    assert kinds(told(codec, sound()))[:3] == ["speech.stopped", "audio.input.committed", "response.created"]


def test_a_turn_that_was_cut_and_never_ended_does_not_silence_the_next_one() -> None:
    codec = new_codec()
    told(codec, sound(), CUT, sound())
    told(codec, heard("Stop.", finished=True))
    assert "audio.output.delta" in kinds(told(codec, sound()))


VOICE_ENDS = {"voiceActivity": {"voiceActivityType": "ACTIVITY_END"}}
A_CALL = {"toolCall": {"functionCalls": [{"id": "1", "name": "f"}]}}


@pytest.mark.parametrize("sign", [ALL, VOICE_ENDS, A_CALL])
def test_what_can_only_belong_to_a_later_turn_ends_one_that_was_cut(sign: dict[str, Any]) -> None:
    codec = new_codec()
    assert "audio.output.delta" not in kinds(told(codec, sound(), CUT, sound())[3:])
    told(codec, sign)
    assert "audio.output.delta" in kinds(told(codec, sound()))


def test_words_that_waited_for_a_voice_go_with_the_turn_that_is_cut() -> None:
    codec = new_codec()
    codec.encode(ResponseCreate("ask"))
    told(codec, words("Old."), CUT, DONE)
    assert not [event for event in told(codec, sound()) if isinstance(event, TranscriptOutputDelta)]


def test_the_rest_of_a_voice_that_was_cut_is_not_in_the_next_one() -> None:
    piece = sound(b"\0\x20" * 1600, ";rate=16000")
    fresh = told(new_codec(), piece, ALL)
    codec = new_codec()
    told(codec, piece, CUT, DONE)
    again = told(codec, piece, ALL)
    assert _pcm(again) == _pcm(fresh)


def _pcm(events: list[ServerEvent]) -> bytes:
    return b"".join(event.pcm for event in events if isinstance(event, AudioOutputDelta))


def test_a_voice_after_all_was_generated_is_another_item() -> None:
    events = told(new_codec(), sound(), ALL, sound(), DONE)
    assert [event.item_id for event in events if isinstance(event, AudioOutputDone)] == ["g-a1", "g-a2"]


def test_words_after_the_end_of_an_answer_to_the_caller_are_its_own() -> None:
    codec = new_codec()
    told(codec, heard("Hello.", finished=True), words("Good"), sound(), ALL, DONE)
    assert told(codec, words(" day."))[-1] == TranscriptOutput("g-r1", "g-a1", "Good day.")


def test_where_we_say_when_turns_are_the_server_only_repeats_us() -> None:
    codec = new_codec(SessionConfig(turn_detection=None))
    start = {"voiceActivity": {"voiceActivityType": "ACTIVITY_START"}}
    assert told(codec, start, VOICE_ENDS) == []


def test_two_interruptions_are_told_as_one_voice() -> None:
    codec = new_codec()
    start = {"voiceActivity": {"voiceActivityType": "ACTIVITY_START", "audioOffset": "1.5s"}}
    stop = {"voiceActivity": {"voiceActivityType": "ACTIVITY_END", "audioOffset": "2s"}}
    events = told(codec, sound(), start, CUT, DONE, CUT, DONE, stop)
    assert [event for event in events if isinstance(event, SpeechStarted | SpeechStopped)] == [
        SpeechStarted("g-u1", 1500),
        SpeechStopped("g-u1", 2000),
    ]


def test_a_model_that_stays_silent_has_answered() -> None:
    codec = new_codec()
    codec.encode(ResponseCreate("ask"))
    assert told(codec, DONE) == [ResponseCreated("g-r1"), ResponseDone("g-r1", "completed")]
    assert told(codec, DONE) == []


def test_a_model_that_waits_for_more_has_answered() -> None:
    codec = new_codec()
    codec.encode(ResponseCreate("ask"))
    waiting = {"serverContent": {"waitingForInput": True}}
    assert told(codec, waiting, DONE) == [ResponseCreated("g-r1"), ResponseDone("g-r1", "completed")]


def test_a_model_that_stays_silent_to_the_caller_has_taken_up_the_turn() -> None:
    events = told(new_codec(), heard("Hm."), DONE)
    assert kinds(events)[2:] == [
        "speech.stopped",
        "audio.input.committed",
        "response.created",
        "response.done",
        "transcript.input",
    ]


@pytest.mark.parametrize(("first", "status"), [((), "failed"), ((sound(),), "incomplete")])
def test_a_turn_that_ends_for_a_bad_reason_says_so(first: tuple[Any, ...], status: str) -> None:
    end = {"serverContent": {"turnComplete": True, "turnCompleteReason": "RESPONSE_REJECTED"}}
    *_, done = told(new_codec(), *first, end)
    assert isinstance(done, ResponseDone)
    assert (done.status, done.reason) == (status, "RESPONSE_REJECTED")


def test_the_end_of_a_cut_turn_is_no_answer_to_what_was_asked_for_after_it() -> None:
    codec = new_codec()
    told(codec, sound(), CUT)
    codec.encode(ResponseCreate("ask"))
    assert told(codec, DONE) == []
    assert kinds(told(codec, DONE))[2:] == ["response.created", "response.done", "transcript.input"]


def test_several_utterances_are_one_response_until_the_interaction_is_idle() -> None:
    codec = new_codec()
    status = {"turnComplete": True, "interactionStatus": "IN_PROGRESS"}
    events = told(codec, words("Let me think."), heard("Why?", finished=True))
    events = told(codec, sound(), {"serverContent": {"generationComplete": True}}, {"serverContent": status}, sound())
    assert [event.item_id for event in events if isinstance(event, AudioOutputDelta)] == ["g-a1", "g-a2"]
    assert not [event for event in events if isinstance(event, ResponseDone)]
    assert AudioOutputDone("g-r1", "g-a1", 0) in events
    end = told(codec, {"serverContent": {"turnComplete": True, "interactionStatus": "IDLE"}})
    assert kinds(end) == ["audio.output.done", "response.done"]


def test_tokens_that_are_told_after_the_end_count_with_the_next_response() -> None:
    codec = new_codec()
    told(codec, sound(b"\1\0" * 24 * 10_001), ALL)
    told(codec, {**DONE, "usageMetadata": {"promptTokenCount": 5}})
    *_, done = told(codec, sound(), {**DONE, "usageMetadata": {"promptTokenCount": 7}})
    assert isinstance(done, ResponseDone)
    assert done.usage.input_tokens == 12


# ---- words of ours ----


def test_a_message_is_told_at_once_while_the_model_is_silent_and_answered_when_asked() -> None:
    codec = new_codec()
    [content] = said(codec, ItemCreate("user", "Hello."))
    assert content["clientContent"] == {
        "turns": [{"role": "user", "parts": [{"text": "Hello."}]}],
        "turnComplete": False,
    }
    assert said(codec, ResponseCreate("ask")) == [{"clientContent": {"turnComplete": True}}]


def test_a_message_into_an_answer_waits_for_its_end_and_is_asked_about_in_one() -> None:
    codec = new_codec()
    told(codec, sound())
    assert said(codec, ItemCreate("assistant", "I said so.")) == []
    told(codec, {"serverContent": {"generationComplete": True}})
    [*_, answer] = codec.decode(orjson.dumps(DONE))
    assert isinstance(answer, Answer)
    assert orjson.loads(answer.message)["clientContent"]["turns"][0]["role"] == "model"
    codec.encode(ResponseCreate("one"))
    assert said(codec, ItemCreate("user", "Two.")) == []
    [content] = said(codec, ResponseCreate("two", instructions="Be brief."))
    assert [turn["parts"][0]["text"] for turn in content["clientContent"]["turns"]] == [
        "Two.",
        "(Note, not said by the caller: for your next answer only: Be brief.)",
    ]


def test_a_message_beside_a_tools_result_is_answered_with_it() -> None:
    codec = new_codec()
    told(codec, {"toolCall": {"functionCalls": [{"id": "1", "name": "f"}]}})
    assert len(said(codec, ItemCreate("user", "And?"))) == 1
    assert [list(message) for message in said(codec, ToolResult("1", "[1]"))] == [["toolResponse"]]
    assert said(codec, ResponseCreate("ask")) == []


def test_a_call_without_an_id_is_answered_without_one() -> None:
    codec = new_codec()
    events = told(codec, {"toolCall": {"functionCalls": [{"name": "f"}]}})
    [call_id] = [event.call_id for event in events if isinstance(event, ToolCall)]
    [message] = said(codec, ToolResult(call_id, "{not json"))
    answers = message["toolResponse"]["functionResponses"]
    assert answers == [{"name": "f", "response": {"output": "{not json"}}]


def test_a_tool_that_is_followed_by_silence_was_answered() -> None:
    codec = new_codec()
    told(codec, {"toolCall": {"functionCalls": [{"id": "1", "name": "f"}]}}, DONE)
    codec.encode(ToolResult("1", "done"))
    codec.encode(ResponseCreate("ask"))
    assert kinds(told(codec, DONE)) == ["response.created", "response.done"]


def test_a_tool_that_is_followed_by_silence_before_anybody_asked_was_answered_too() -> None:
    codec = new_codec()
    told(codec, A_CALL)
    codec.encode(ToolResult("1", "done"))
    assert kinds(told(codec, DONE)) == ["response.created", "response.done"]
    assert codec.encode(ResponseCreate("ask")) == ()
    assert codec.wait is not None
    assert kinds(list(codec.waited())) == ["response.created", "response.done"]


def test_of_calls_that_are_taken_back_the_answers_that_waited_are_not_given() -> None:
    codec = new_codec()
    told(codec, {"toolCall": {"functionCalls": [{"id": each, "name": "f"} for each in "123"]}})
    assert codec.encode(ToolResult("1", "one")) == ()
    told(codec, {"toolCallCancellation": {"ids": ["1", "2"]}})
    [message] = said(codec, ToolResult("3", "three"))
    assert [each["id"] for each in message["toolResponse"]["functionResponses"]] == ["3"]
    told(codec, {"toolCall": {"functionCalls": [{"id": "4", "name": "f"}]}})
    decoded = codec.decode(orjson.dumps({"toolCallCancellation": {"ids": ["4"]}}))
    assert not [each for each in decoded if isinstance(each, Answer)]


def test_where_nobody_writes_the_callers_words_down_there_are_none() -> None:
    config = SessionConfig(transcription=None, turn_detection=TurnDetection(interrupt_response=False))
    events = told(new_codec(config), heard("Hello.", finished=True), sound(), ALL, DONE)
    assert not [event for event in events if isinstance(event, TranscriptInput | TranscriptInputDelta)]
