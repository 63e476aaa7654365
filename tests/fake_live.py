"""OpenAI Live, strict about what it is sent, scripted by tests.

service = FakeLive()
service.replies.append(Says("Hello!"))
model = LiveModel("gpt-live-1", api_key=KEY)
await model.connect(RealtimeConnectOptions(websocket=in_memory(service)))
...
assert service.violations == []

Its output never stops: silence when it has nothing to say. With `paced` so much comes out as came in, as with the real
one; else what it says comes at once, with the silence after it.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from agents.errors import ErrorCategory
from tests.fake_live_session import FakeLiveSession, Script
from tests.fake_net import FakeService, Json, Refused, Wire
from tests.rig import Reply

KEY: Final = "sk-live-0123456789abcdef"

REFUSALS: Final[Mapping[ErrorCategory, tuple[int, str]]] = {
    "auth": (401, "invalid_api_key"),
    "quota": (429, "credit_balance_exhausted"),
    "rate": (429, "rate_limit_exceeded"),
    "invalid_request": (400, "model_not_found"),
    "unavailable": (503, "server_error"),
}


class FakeLive(FakeService):
    """`replies` are taken in order by whichever session replies next; it says "Hello" when they run out."""

    def __init__(self, *replies: Reply, caller_words: str = "What time is it?", paced: bool = False) -> None:
        self.sessions: list[FakeLiveSession] = []
        self.urls: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.refuses: ErrorCategory | None = None
        self.script = Script(deque(replies), caller_words, paced)

    @property
    def replies(self) -> deque[Reply]:
        return self.script.replies

    @property
    def violations(self) -> list[str]:
        return self.script.violations

    async def accept(self, url: str, headers: Mapping[str, str], wire: Wire) -> FakeLiveSession:
        self.urls.append(url)
        self.headers.append(headers)
        if not urlsplit(url).path.endswith("/v1/live/sessions"):
            raise Refused(404, _body("not_found", f"Invalid URL ({url})"))
        if self.refuses:
            status, code = REFUSALS[self.refuses]
            raise Refused(status, _body(code, "not today"))
        if headers.get("Authorization", headers.get("api-key")) not in (f"Bearer {KEY}", KEY):
            raise Refused(401, _body("invalid_api_key", "Incorrect API key provided"))
        session = FakeLiveSession(f"live_{len(self.sessions) + 1}", self.script, wire)
        self.sessions.append(session)
        return session


def _body(code: str, message: str) -> Json:
    return {"error": {"message": message, "type": "invalid_request_error", "code": code}}
