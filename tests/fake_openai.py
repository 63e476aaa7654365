"""OpenAI Realtime (GA), or a service with a dialect of it: strict about what it is sent, scripted by tests.

    async with FakeOpenAI(Speak("Hello!"), CallTools((Call("hang_up"),))) as fake:
        model = OpenAIModel("gpt-realtime-2.1", api_key=fake.key, base_url=fake.url)
        ...
        session = await fake.session()
        await session.expect("response.create")
    assert fake.violations == []

It is a service of `tests.fake_net`: `async with` serves it on loopback, `in_memory(fake)` needs no network. Both
directions are judged by OpenAI's own types. Time is audio: voice detection counts the milliseconds it was sent, and no
reply waits for a clock.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

import orjson

from tests.fake_ear import tone
from tests.fake_net import FakeService, Hearer, Refused, Wire, served
from tests.fake_openai_dialects import FAKE_DIALECTS
from tests.fake_openai_replies import Audio, Call, CallTools, Fail, Reply, Speak
from tests.fake_openai_session import PATIENCE_S, FakeSession
from tests.fake_openai_speaker import Script

__all__ = ["KEY", "Call", "CallTools", "Fail", "FakeOpenAI", "FakeSession", "Reply", "Speak", "tone"]

KEY: Final = "sk-test-0123456789abcdef"
SESSION_S: Final = 3600
EXPIRED: Final = "Your session hit the maximum duration of 60 minutes."

Json = dict[str, Any]


class FakeOpenAI(FakeService):
    """`replies` are taken in order by whichever session responds next. When they run out, it speaks.

    `requests` has each upgrade and each POST: path with query, headers, body. `refuse_with` is an HTTP status for all
    that come next. `hears` is what callers say; None leaves the transcription to `FakeSession.transcribe`. `dialect` is
    a name of `FAKE_DIALECTS`. `violations` must be empty at the end of every test.
    """

    def __init__(
        self,
        *replies: Reply,
        key: str = KEY,
        hears: str | None = "Hello?",
        audio: Audio | None = None,
        dialect: str = "openai",
    ) -> None:
        self.key = key
        self.refuse_with: int | None = None
        self.refuse_code = "invalid_api_key"
        self.requests: list[tuple[str, Mapping[str, str], str]] = []
        self.sessions: list[FakeSession] = []
        self.script: Final = Script(deque(replies), hears, audio)
        self._dialect = FAKE_DIALECTS[dialect]
        self._secrets: set[str] = set()
        self._wires: list[Wire] = []
        self._opened = asyncio.Condition()
        self._url = ""
        self._serving = AsyncExitStack()

    @property
    def url(self) -> str:
        """The base URL to configure a model with, while it is served."""
        return self._url

    @property
    def replies(self) -> deque[Reply]:
        return self.script.replies

    @property
    def violations(self) -> list[str]:
        return self.script.violations

    async def session(self, index: int = 0) -> FakeSession:
        """The `index`-th session that was opened, waited for."""
        async with asyncio.timeout(PATIENCE_S), self._opened:
            await self._opened.wait_for(lambda: len(self.sessions) > index)
        return self.sessions[index]

    async def expire(self, index: int = 0) -> None:
        """Closes a session as OpenAI does after an hour."""
        await self.close(index, 1001, EXPIRED)

    async def close(self, index: int = 0, code: int = 1000, reason: str = "") -> None:
        await self._wires[index].close(code, reason)

    def drop(self, index: int = 0) -> None:
        """Cuts a session's connection, without a word."""
        self._wires[index].drop()

    async def say(self, text: str | bytes, index: int = 0) -> None:
        """Sends whatever it is, unjudged."""
        await self._wires[index].send(text)

    async def __aenter__(self) -> Self:
        self._url = await self._serving.enter_async_context(served(self)) + self._dialect.base
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._serving.aclose()

    # ---- what the network asks of a service ----

    async def accept(self, url: str, headers: Mapping[str, str], wire: Wire) -> Hearer:
        query = self._asked(url, headers, "")
        self._authorize(headers)
        if (path := urlsplit(url).path) != self._dialect.path:
            raise _refused(404, "not_found", f"no such page: {path}")
        for name, only in self._dialect.query.items():
            if query.get(name) in (None, "") or (only is not None and query[name] != only):
                raise _refused(400, f"missing_{name}", f"You must provide a {name} parameter.")
        name = f"sess_{len(self.sessions) + 1}"
        expires_at = int(time.time()) + SESSION_S
        session = FakeSession(name, query.get("model", ""), expires_at, self.script, self._dialect, wire.send_json)
        self._wires.append(wire)
        await session.greet()
        async with self._opened:
            self.sessions.append(session)
            self._opened.notify_all()
        return _Listening(session, self.violations)

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Json]:
        self._asked(url, headers, body.decode())
        try:
            self._authorize(headers)
        except Refused as refused:
            return refused.status, refused.body
        if self._dialect.secrets is None or (method, urlsplit(url).path) != (
            "POST",
            f"{self._dialect.path}/client_secrets",
        ):
            return await super().request(method, url, headers, body)
        wanted = orjson.loads(body)
        after = wanted.get("expires_after", {})
        if self._dialect.secrets == "bare" and ("session" in wanted or "anchor" in after):
            return 400, _refused(400, "unknown_parameter", "session and anchor are not supported").body
        secret = f"ek_test_{len(self._secrets) + 1}"
        self._secrets.add(secret)
        answer = {"value": secret, "expires_at": int(time.time()) + after.get("seconds", 600)}
        if self._dialect.secrets == "bare":
            return 200, answer
        session = wanted.get("session", {"type": "realtime"}) | {"object": "realtime.session", "id": "sess_0"}
        return 200, answer | {"session": session}

    def _asked(self, url: str, headers: Mapping[str, str], body: str) -> dict[str, str]:
        parts = urlsplit(url)
        self.requests.append((f"{parts.path}?{parts.query}" if parts.query else parts.path, dict(headers), body))
        return {name: values[-1] for name, values in parse_qs(parts.query).items()}

    def _authorize(self, headers: Mapping[str, str]) -> None:
        """Raises Refused for all but the key, in its own header, and secrets."""
        known = self._dialect
        own = headers.get(known.key_header, "")
        if self.refuse_with is not None:
            raise _refused(self.refuse_with, self.refuse_code, f"Refused: {own}")
        secret = headers.get("Authorization", "").removeprefix("Bearer ")
        if own != f"{known.key_scheme}{self.key}" and secret not in self._secrets:
            raise _refused(401, "invalid_api_key", f"Incorrect API key provided: {own.removeprefix('Bearer ')}.")


class _Listening(Hearer):
    def __init__(self, session: FakeSession, violations: list[str]) -> None:
        self._session = session
        self._violations = violations

    async def hear(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self._violations.append("a binary message, where OpenAI takes text")
            return
        await self._session.hear(orjson.loads(message))


def _refused(status: int, code: str, message: str) -> Refused:
    error = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
    return Refused(status, {"error": error})
