"""A chat endpoint thinks for the embedded agent, in sentences."""

import asyncio
from contextlib import aclosing

import pytest

from agents.errors import ProviderError
from agents.events import Usage
from agents.local import chat
from agents.local.brain import CallTool, Say, Step
from agents.local.chat import open_chat
from agents.local.conversation import Conversation, Message
from agents.realtime import SessionConfig
from agents.schema import BrainSpec
from tests.fake_chat import ChatReply, FakeChat, fake_chat

ASKED = (Message("1", "user", "Hello?"),)


async def ask(endpoint: FakeChat, key: str | None = None) -> list[Step]:
    conversation = Conversation()
    conversation.add(ASKED[0])
    async with open_chat(BrainSpec(url=endpoint.url, model="m"), key) as brain:
        return [step async for step in brain.answer(conversation, ASKED, SessionConfig(), None)]


def steps_of(reply: ChatReply) -> list[Step]:
    async def main() -> list[Step]:
        async with fake_chat(reply) as endpoint:
            return await ask(endpoint)

    return asyncio.run(main())


def test_each_sentence_is_said_then_tools_are_called_then_usage_told() -> None:
    steps = steps_of(ChatReply(("Hello **th", "ere**. How", " are you?"), ("c1", "lookup", ('{"a"', ":1}"))))

    assert steps == [
        Say("Hello there."),
        Say("How are you?"),
        CallTool("c1", "lookup", '{"a":1}'),
        Usage(7, 5),
    ]


def test_a_sentence_is_said_while_the_next_is_being_written() -> None:
    async def main() -> None:
        async with fake_chat(ChatReply(("One. ", "Tw"), stalls=True)) as endpoint:
            async with (
                asyncio.timeout(5),
                open_chat(BrainSpec(url=endpoint.url, model="m"), None) as brain,
                aclosing(brain.answer(Conversation(), ASKED, SessionConfig(), None)) as steps,
            ):
                assert await anext(steps) == Say("One.")
            async with asyncio.timeout(5):
                await endpoint.left.wait()

    asyncio.run(main())


def test_the_key_goes_with_the_request() -> None:
    async def main() -> list[str | None]:
        async with fake_chat(ChatReply(("Hi.",)), ChatReply(("Hi.",))) as endpoint:
            await ask(endpoint, "secret")
            await ask(endpoint)
            return endpoint.keys

    assert asyncio.run(main()) == ["Bearer secret", None]


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [(401, "auth", False), (404, "not_found", False), (429, "rate_limit", True), (503, "http_503", True)],
)
def test_a_refusal_says_its_kind(status: int, code: str, retryable: bool) -> None:
    with pytest.raises(ProviderError, match="refused on purpose") as caught:
        steps_of(ChatReply(status=status))

    assert (caught.value.code, caught.value.retryable) == (code, retryable)


def test_an_endpoint_that_is_not_there_is_a_network_error() -> None:
    async def main() -> None:
        async with fake_chat() as endpoint:
            pass
        await ask(endpoint)

    with pytest.raises(ProviderError) as caught:
        asyncio.run(main())

    assert (caught.value.code, caught.value.retryable) == ("network", True)


def test_a_line_without_end_is_an_error_and_no_memory() -> None:
    with pytest.raises(ProviderError) as caught:
        steps_of(ChatReply(raw=b"data: " + b"x" * 1_000_000))

    assert caught.value.code == "malformed"


@pytest.mark.parametrize("limit", ["FIRST_WORD_TIMEOUT_S", "ANSWER_TIMEOUT_S"])
def test_an_endpoint_that_only_thinks_is_too_slow(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, limit, 0.2)

    with pytest.raises(ProviderError) as caught:
        steps_of(ChatReply(stalls=True))

    assert caught.value.code == "timeout"


def test_an_endpoint_that_stops_in_mid_sentence_is_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "NEXT_WORD_TIMEOUT_S", 0.2)

    with pytest.raises(ProviderError) as caught:
        steps_of(ChatReply(("Hello the",), stalls=True))

    assert caught.value.code == "timeout"
