"""Brain two: a model behind an OpenAI-compatible chat endpoint, heard sentence by sentence as it writes."""

import asyncio
import secrets
import string
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from agents.errors import ErrorCategory, ProviderError
from agents.events import Usage
from agents.local.brain import Say, Step
from agents.local.chat_wire import AnswerStream, request_body
from agents.local.explanation import explanation
from agents.local.memory import Memory, Message
from agents.local.sentences import SentenceSplitter
from agents.realtime import SessionConfig
from agents.schema import BrainSpec

CONNECT_TIMEOUT_S: Final = 5.0
"""The caller hears silence meanwhile."""

FIRST_WORD_TIMEOUT_S: Final = 10.0
"""From asking to the first word: a local model that must be loaded first takes seconds, a caller waits no longer."""

NEXT_WORD_TIMEOUT_S: Final = 10.0
"""Between two words; lines that only keep the connection alive are none."""

ANSWER_TIMEOUT_S: Final = 60.0
"""Longest answer: some minutes of speech at the slowest endpoint that keeps up with a voice."""

REFUSAL_TIMEOUT_S: Final = 1.0
"""For the words of a refusal; after that, its status must do."""

_MAX_REFUSAL_BYTES: Final = 4096

_CODES: Final = {401: "auth", 402: "quota", 403: "auth", 404: "not_found", 429: "rate_limit"}

_SPENT: Final = ("insufficient_quota", "credit_balance")
"""What a refusal holds that looks temporary and is not: there is no more to spend."""


class ChatBrain:
    """Asks the endpoint, over connections that last as long as the call."""

    follows_instructions = True

    def __init__(self, brain: BrainSpec, http: aiohttp.ClientSession, api_key: str | None) -> None:
        """`http` brings the key; `api_key` is here to be kept out of errors."""
        self._brain = brain
        self._api_key = api_key
        self._http = http
        self._url = f"{brain.url.rstrip('/')}/chat/completions"

    async def answer(
        self, conversation: Memory, asked: Sequence[Message], config: SessionConfig, instructions: str | None
    ) -> AsyncGenerator[Step]:
        """Says each sentence once it is written; then calls tools, then tells the usage.

        ProviderError codes: `timeout`, `network`, `auth`, `not_found`, `rate_limit`, `http_<status>`, `malformed`,
        `chat` for what the endpoint reports within its answer.
        """
        body = request_body(self._brain, config, conversation.items, instructions)
        stream = AnswerStream(_new_call_id, self._api_key)
        written = SentenceSplitter()
        usage = Usage()
        async with aclosing(self._pieces(body, stream)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Usage):
                    usage = piece
                    continue
                for sentence in written.feed(piece):
                    yield Say(sentence)
        for sentence in written.flush():
            yield Say(sentence)
        for call in stream.calls():
            yield call
        yield usage

    async def _pieces(self, body: dict[str, Any], stream: AnswerStream) -> AsyncGenerator[str | Usage]:
        """The answer as it is written. Being stopped closes the request."""
        now = asyncio.get_running_loop().time
        answer_by = now() + ANSWER_TIMEOUT_S
        word_by = now() + FIRST_WORD_TIMEOUT_S
        with _translated_errors(self._api_key):
            async with asyncio.timeout_at(word_by):
                response = await self._http.post(self._url, json=body)
            async with response:
                await _refuse_failure(response, self._api_key)
                while not stream.is_done:
                    async with asyncio.timeout_at(min(word_by, answer_by)):
                        line = await response.content.readline()
                    if not line:
                        return
                    for piece in stream.feed(line):
                        yield piece
                        word_by = now() + NEXT_WORD_TIMEOUT_S


@asynccontextmanager
async def open_chat(brain: BrainSpec, api_key: str | None) -> AsyncIterator[ChatBrain]:
    """A chat brain for the length of one call."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as http:
        yield ChatBrain(brain, http, api_key)


def _new_call_id() -> str:
    """A name for a tool call. Mistral takes only names of nine letters and digits."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(9))


async def _refuse_failure(response: aiohttp.ClientResponse, api_key: str | None) -> None:
    if response.status < 400:
        return
    said = bytearray()
    with suppress(TimeoutError):
        async with asyncio.timeout(REFUSAL_TIMEOUT_S):
            while len(said) < _MAX_REFUSAL_BYTES and (more := await response.content.read(_MAX_REFUSAL_BYTES)):
                said += more
    why = said.decode("utf-8", "replace")
    is_spent = response.status == 402 or any(word in why for word in _SPENT)
    category: ErrorCategory | None = "quota" if is_spent else "rate" if response.status == 429 else None
    raise ProviderError(
        f"the chat endpoint answered {response.status}: {explanation(why, api_key)}",
        code=_CODES.get(response.status, f"http_{response.status}"),
        retryable=not is_spent and (response.status == 429 or response.status >= 500),
        category=category,
    )


@contextmanager
def _translated_errors(api_key: str | None) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise ProviderError("the chat endpoint is too slow", code="timeout", retryable=True) from error
    except (HttpProcessingError, ValueError) as error:
        problem = f"the chat endpoint's stream is broken: {explanation(str(error), api_key)}"
        raise ProviderError(problem, code="malformed", retryable=True) from error
    except (aiohttp.ClientError, OSError) as error:
        problem = f"the chat endpoint cannot be reached: {explanation(str(error), api_key)}"
        raise ProviderError(problem, code="network", retryable=True) from error
