"""A fake of Google's Gemini Live service, strict about what it is sent; `Session` is one connection's side of it."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from tests.fake_gemini_session import Session
from tests.fake_net import FakeService, Json, Refused, Wire
from tests.rig import Reply, Says

KEY = "AIzaFakeKey0123456789"
SERVICE = "/ws/google.ai.generativelanguage.{version}.GenerativeService.{method}"
NOT_A_KEY = {"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID"}}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer to every connection: by HTTP, or right after the upgrade with a close code."""

    status: int
    message: str
    name: str = "FAILED_PRECONDITION"
    close_code: int | None = None


@dataclass(slots=True)
class FakeGemini(FakeService):
    """`has_signals`: it tells of voices. `finishes`: it says when the caller's words are final.

    `sends_text`: its messages are text; Google's are binary. `plays_out`: a turn ends only when a test lets it.
    """

    has_signals: bool = True
    finishes: bool = True
    sends_text: bool = False
    plays_out: bool = False
    words: str = "What time is it?"
    replies: deque[Reply] = field(default_factory=deque)
    sessions: list[Session] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    requests: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)
    refusal: Refusal | None = None
    handles: dict[str, Session] = field(default_factory=dict)
    tokens: dict[str, Json] = field(default_factory=dict)
    ids: Any = field(default_factory=lambda: count(1))

    def next_reply(self) -> Reply:
        return self.replies.popleft() if self.replies else Says()

    def violate(self, what: str) -> None:
        self.violations.append(what)

    async def accept(self, url: str, headers: Mapping[str, str], wire: Wire) -> Session:
        self.requests.append((url, headers, b""))
        refusal = self.refusal
        if refusal and refusal.close_code is None:
            body = {"error": {"code": refusal.status, "message": refusal.message, "status": refusal.name}}
            raise Refused(refusal.status, body)
        self._check_address(url, headers)
        session = Session(self, wire)
        self.sessions.append(session)
        if refusal and refusal.close_code is not None:
            session.refused = (refusal.close_code, refusal.message)
        return session

    def _check_address(self, url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        token = query.get("access_token") or _header(headers, "Authorization").removeprefix("Token ")
        method, right = "BidiGenerateContent", _header(headers, "x-goog-api-key") or query.get("key", "")
        if token:
            method, right = "BidiGenerateContentConstrained", token
        paths = [SERVICE.format(version=version, method=method) for version in ("v1", "v1beta", "v1alpha")]
        if not any(parts.path.endswith(path) for path in paths):
            self.violate(f"no such address: {parts.path}")
            raise Refused(404, {"error": {"code": 404, "message": "Not Found", "status": "NOT_FOUND"}})
        if not (right == KEY or right in self.tokens):
            raise Refused(400, NOT_A_KEY)

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Json]:
        self.requests.append((url, headers, body))
        if self.refusal:
            error = {"code": self.refusal.status, "message": self.refusal.message, "status": self.refusal.name}
            return self.refusal.status, {"error": error}
        if method != "POST" or urlsplit(url).path not in ("/v1alpha/auth_tokens", "/v1beta/auth_tokens"):
            return 404, {"error": {"code": 404, "message": "Not Found", "status": "NOT_FOUND"}}
        if _header(headers, "x-goog-api-key") != KEY:
            return 400, NOT_A_KEY
        fields = orjson.loads(body)
        known = {"uses", "expireTime", "newSessionExpireTime", "bidiGenerateContentSetup", "fieldMask"}
        if fields.keys() - known:
            self.violate(f"auth_tokens: unknown {sorted(fields.keys() - known)}")
            return 400, {"error": {"code": 400, "message": "Unknown name", "status": "INVALID_ARGUMENT"}}
        latest = datetime.now(UTC) + timedelta(hours=20)
        for key in ("expireTime", "newSessionExpireTime"):
            if key in fields and not datetime.now(UTC) < datetime.fromisoformat(fields[key]) < latest:
                self.violate(f"auth_tokens: {key} is {fields[key]}")
        token = f"auth_tokens/fake{next(self.ids)}"
        self.tokens[token] = fields
        return 200, {"name": token}


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name.lower()), "")
