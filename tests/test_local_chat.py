"""A chat endpoint thinks for the embedded agent, in sentences."""

import asyncio
import re
from contextlib import aclosing

import pytest

from agents.errors import ProviderError
from agents.events import Usage
from agents.local import chat
from agents.local.brain import CallTool, Say, Step
from agents.local.chat import open_chat
from agents.local.memory import Memory, Message
from agents.realtime import SessionConfig
from agents.schema import BrainSpec
from tests.fake_chat import ChatReply, FakeChat, fake_chat

KEY = "sk/test+never-to-be-seen"
ASKED = (Message("1", "user", "Hello?"),)


async def ask(endpoint: FakeChat, key: str | None = None) -> list[Step]:
    conversation = Memory()
    conversation.add(ASKED[0])
    async with open_chat(BrainSpec(url=endpoint.url, model="m"), key) as brain:
        return [step async for step in brain.answer(conversation, ASKED, SessionConfig(), None)]


def steps_of(reply: ChatReply) -> list[Step]:
    async def main() -> list[Step]:
        async with fake_chat(reply) as endpoint:
            return await ask(endpoint)

    return asyncio.run(main())


def test_each_sentence_is_said_then_tools_are_called_then_usage_told() -> None:
    said, asked, call, usage = steps_of(
        ChatReply(("Hello **th", "ere**. How", " are you?"), ("c1", "lookup", ('{"a"', ":1}")))
    )

    assert (said, asked, usage) == (Say("Hello there."), Say("How are you?"), Usage(7, 5))
    assert isinstance(call, CallTool)
    assert (call.name, call.arguments) == ("lookup", '{"a":1}')


def test_a_call_has_an_id_of_a_form_that_every_endpoint_takes_back() -> None:
    call, _ = steps_of(ChatReply(call=("call_0", "lookup", ("{}",))))

    assert isinstance(call, CallTool)
    assert re.fullmatch("[A-Za-z0-9]{9}", call.call_id)


def test_a_sentence_is_said_while_the_next_is_being_written() -> None:
    async def main() -> None:
        async with fake_chat(ChatReply(("One. ", "Tw"), stalls=True)) as endpoint:
            async with (
                asyncio.timeout(5),
                open_chat(BrainSpec(url=endpoint.url, model="m"), None) as brain,
                aclosing(brain.answer(Memory(), ASKED, SessionConfig(), None)) as steps,
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


@pytest.mark.parametrize(
    "reply",
    [
        ChatReply(status=401, refusal=f"Incorrect API key: {KEY}"),
        ChatReply(status=500, refusal="Authorization: Bearer another-secret, not taken"),
        ChatReply(status=401, refusal="x" * 165 + KEY),
        ChatReply(status=401, raw=KEY.replace("/", "\\/").encode()),
        ChatReply(raw=b'data: {"error":{"message":"bad key ' + KEY.encode() + b'"}}\n'),
        ChatReply(raw=b'data: {"error":"' + b"x" * 190 + KEY.encode() + b'"}\n'),
    ],
)
def test_a_key_that_the_endpoint_repeats_is_cut_out_of_its_explanation(reply: ChatReply) -> None:
    async def main() -> None:
        async with fake_chat(reply) as endpoint:
            await ask(endpoint, KEY)

    with pytest.raises(ProviderError) as caught:
        asyncio.run(main())

    said = str(caught.value)
    assert "…" in said and len(said) < 300
    assert not any(part in said for part in ("sk/", "sk\\/", "never", "another"))


@pytest.mark.parametrize(
    ("reply", "category", "is_retryable"),
    [
        (ChatReply(status=429), "rate", True),
        (ChatReply(status=429, refusal="insufficient_quota: check your plan"), "quota", False),
        (ChatReply(status=402), "quota", False),
        (ChatReply(status=401), "auth", False),
        (ChatReply(status=503), "unavailable", True),
    ],
)
def test_a_refusal_says_whether_asking_again_can_help(reply: ChatReply, category: str, is_retryable: bool) -> None:
    with pytest.raises(ProviderError) as caught:
        steps_of(reply)

    assert (caught.value.category, caught.value.retryable) == (category, is_retryable)


def test_a_refusal_without_end_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "REFUSAL_TIMEOUT_S", 0.2)

    async def main() -> None:
        async with asyncio.timeout(5), fake_chat(ChatReply(status=503, stalls=True)) as endpoint:
            await ask(endpoint)

    with pytest.raises(ProviderError, match="refused on purpose") as caught:
        asyncio.run(main())

    assert caught.value.code == "http_503"


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
