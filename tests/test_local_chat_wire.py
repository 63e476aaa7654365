"""The conversation in a chat endpoint's words, and its stream in ours."""

from itertools import count
from typing import Any

import orjson
import pytest

from agents.errors import ProviderError
from agents.events import Usage
from agents.local.brain import CallTool
from agents.local.chat_wire import NO_OUTPUT_YET, AnswerStream, messages, request_body
from agents.local.memory import Call, Item, Message, Sentence, Spoken
from agents.realtime import SessionConfig, ToolSchema
from agents.schema import BrainSpec

BRAIN = BrainSpec(url="http://localhost/v1", model="m", temperature=0.5, max_tokens=50)


def answer_stream() -> AnswerStream:
    """Its calls are named ours_0, ours_1 and so on."""
    return AnswerStream(map("ours_{}".format, count()).__next__, None)


def chunk(delta: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps({"choices": [{"delta": delta}]}) + b"\n"


def test_the_request_asks_for_a_stream_with_all_that_was_configured() -> None:
    tool = ToolSchema(name="lookup", description="Looks.", parameters={"type": "object"})
    config = SessionConfig(instructions="Be kind.", tools=(tool,), tool_choice="auto", max_output_tokens=9)

    body = request_body(BRAIN, config, [Message("1", "user", "Hi")], None)

    function = {"name": "lookup", "description": "Looks.", "parameters": {"type": "object"}}
    assert body == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 9,
        "temperature": 0.5,
        "tools": [{"type": "function", "function": function}],
        "tool_choice": "auto",
    }


def test_provider_options_are_merged_deep() -> None:
    config = SessionConfig(provider_options={"stream_options": {"x": 1}, "seed": 3})

    body = request_body(BRAIN, config, [], None)

    assert body["stream_options"] == {"include_usage": True, "x": 1}
    assert body["seed"] == 3


def test_instructions_of_a_response_come_after_the_configured_ones() -> None:
    body = request_body(BRAIN, SessionConfig(instructions="Be kind."), [], "Be brief.")

    assert body["messages"] == [{"role": "system", "content": "Be kind.\n\nBe brief."}]


def test_what_was_not_heard_is_not_in_the_messages() -> None:
    heard = Spoken("1", [Sentence("Hello there.", 1000)], sent_ms=1000, heard_ms=600)
    unheard = Spoken("2", [Sentence("Never mind.", 1000)], sent_ms=1000, heard_ms=0)

    assert messages([heard, unheard], None) == [{"role": "assistant", "content": "Hello"}]


def test_calls_belong_to_the_speech_before_them_and_are_answered_at_once() -> None:
    items: list[Item] = [
        Spoken("1", [Sentence("One moment.", 1000)], sent_ms=1000),
        Call("a", "lookup", '{"x":1}', "42"),
        Call("b", "lookup", "{}"),
        Message("2", "user", "Well?"),
    ]

    speech, first, second, question = messages(items, None)

    assert speech["content"] == "One moment."
    assert [call["id"] for call in speech["tool_calls"]] == ["a", "b"]
    assert first == {"role": "tool", "tool_call_id": "a", "content": "42"}
    assert second == {"role": "tool", "tool_call_id": "b", "content": NO_OUTPUT_YET}
    assert question == {"role": "user", "content": "Well?"}


def test_a_call_without_words_has_a_message_of_its_own() -> None:
    called, answered = messages([Call("a", "lookup", "{}", "42")], None)

    assert called["role"] == "assistant" and called["content"] == ""
    assert answered["role"] == "tool"


def test_two_equal_messages_stay_two() -> None:
    same: list[Item] = [Call("a", "lookup", "{}", "1"), Message("m", "user", "Again"), Call("b", "lookup", "{}", "1")]

    assert [message["role"] for message in messages(same, None)] == ["assistant", "tool", "user", "assistant", "tool"]


def test_a_stream_gives_text_usage_and_calls_put_together() -> None:
    stream = answer_stream()
    function = {"name": "lookup", "arguments": '{"a"'}
    lines = [
        b": comment\n",
        b"\n",
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({"tool_calls": [{"index": 0, "id": "c1", "function": function}]}),
        chunk(
            {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}, {"index": 1, "function": {"name": "b"}}]}
        ),
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n',
        b"data: [DONE]\n",
    ]

    said = [piece for line in lines for piece in stream.feed(line)]

    assert said == ["Hel", "lo", Usage(3, 2)]
    assert stream.calls() == [CallTool("ours_0", "lookup", '{"a":1}'), CallTool("ours_1", "b", "{}")]
    assert stream.calls() == stream.calls()
    assert stream.is_done


@pytest.mark.parametrize("line", [b"data: {", b"data: []", b'data: {"choices":[1]}', b'data: {"choices":3}'])
def test_what_is_no_chunk_is_malformed(line: bytes) -> None:
    with pytest.raises(ProviderError) as caught:
        list(answer_stream().feed(line))

    assert caught.value.code == "malformed"


def test_an_error_within_the_stream_is_the_endpoints() -> None:
    with pytest.raises(ProviderError, match="out of memory") as caught:
        list(answer_stream().feed(b'data: {"error":{"message":"out of memory"}}'))

    assert caught.value.code == "chat"
