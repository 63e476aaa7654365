"""AssemblyAI's Voice Agent, strict about what it is sent, scripted by tests.

service = FakeAssemblyAI()
service.replies.append(Says("Hello!"))
model = AssemblyAIModel("voice-agent", api_key=KEY)
await model.connect(RealtimeConnectOptions(websocket=in_memory(service)))
...
assert service.violations == []

A session outlives its connection until it was ended with session.end: `service.unended` are those that would still be
charged for. `stored` has the agents that are described at AssemblyAI itself, by id.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

from agents.errors import ErrorCategory
from tests.fake_assemblyai_session import FakeAssemblyAISession, Memory
from tests.fake_net import FakeService, Hearer, Json, Refused, Wire
from tests.rig import Reply

KEY: Final = "aai-test-0123456789abcdef"

REFUSALS: Final[Mapping[ErrorCategory, tuple[str, str]]] = {
    "auth": ("UNAUTHORIZED", "Missing or invalid API key"),
    "quota": ("FORBIDDEN_FUNDS", "Insufficient account balance"),
    "rate": ("FORBIDDEN_RATE", "Unauthorized connection: Too many concurrent sessions"),
    "unavailable": ("INTERNAL_ERROR", "An internal error occurred"),
}


class FakeAssemblyAI(FakeService):
    """`replies` are taken in order by whichever session replies next; it says "Hello" when they run out.

    `takes_messages` is whether it knows conversation.message, which not all of its documentation has.
    """

    def __init__(self, *replies: Reply, caller_words: str = "What time is it?", takes_messages: bool = True) -> None:
        self.replies: deque[Reply] = deque(replies)
        self.caller_words = caller_words
        self.takes_messages = takes_messages
        self.stored: dict[str, Json] = {}
        self.refuses: ErrorCategory | None = None
        self.connections: list[FakeAssemblyAISession] = []
        self.memories: dict[str, Memory] = {}
        self.tokens: list[str] = []
        self.urls: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.violations: list[str] = []

    @property
    def unended(self) -> list[str]:
        return [session_id for session_id, memory in self.memories.items() if not memory.has_ended]

    async def accept(self, url: str, headers: Mapping[str, str], wire: Wire) -> Hearer:
        self.urls.append(url)
        self.headers.append(headers)
        address = urlsplit(url)
        if address.path != "/v1/ws":
            raise Refused(404, {"detail": "Not Found"})
        connection = FakeAssemblyAISession(self, wire)
        self.connections.append(connection)
        [token] = parse_qs(address.query).get("token", [""])
        is_known = headers.get("Authorization") == f"Bearer {KEY}" or token in self.tokens
        if token in self.tokens:
            self.tokens.remove(token)  # each opens one session
        if refusal := self.refuses or (None if is_known else "auth"):
            connection.refusal = REFUSALS[refusal]
        return connection

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Json]:
        address = urlsplit(url)
        if (method, address.path) != ("GET", "/v1/token"):
            return await super().request(method, url, headers, body)
        if headers.get("Authorization") != f"Bearer {KEY}":
            return 401, {"error": {"message": "Missing or invalid API key", "code": "UNAUTHORIZED"}}
        [seconds] = parse_qs(address.query).get("expires_in_seconds", ["0"])
        if not 1 <= int(seconds) <= 600:
            return 422, {"detail": [{"loc": ["query", "expires_in_seconds"], "msg": "should be 1 to 600"}]}
        self.tokens.append(f"token-{len(self.tokens) + 1}")
        return 200, {"token": self.tokens[-1], "expires_in_seconds": int(seconds)}
