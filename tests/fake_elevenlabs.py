"""ElevenLabs' Agents in a box: signed addresses, and conversations that are strict about what they are sent.

    fake = FakeElevenLabs(Says("Hello!"))
    model = ElevenLabsModel(AGENT, api_key=KEY, base_url="https://elevenlabs.test", ask=fake.ask)
    await model.connect(RealtimeConnectOptions(websocket=in_memory(fake)))
    assert fake.violations == []

Time is the caller's audio: voice detection, pings and what the caller has heard of a reply count its milliseconds.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

import orjson

from agents.providers.socket import refused
from tests.fake_elevenlabs_conversation import ALL_EVENTS, DEFAULT_EVENTS, ERRORS, Conversation, Script, Settings
from tests.fake_net import FakeService, Hearer, Json, Refused, Wire
from tests.rig import Reply

__all__ = ["AGENT", "ALL_EVENTS", "DEFAULT_EVENTS", "ERRORS", "KEY", "Conversation", "FakeElevenLabs", "Settings"]

KEY: Final = "sk_0123456789abcdef"
AGENT: Final = "agent_test"
SIGNATURE: Final = "cvtkn_0123456789abcdef"


class FakeElevenLabs(FakeService):
    """`replies` are taken in order by whichever conversation replies next; when they run out, it says hello.

    `refusal` is the status and the detail with which signed addresses are refused. `violations` must stay empty.
    """

    def __init__(self, *replies: Reply, settings: Settings | None = None, key: str = KEY) -> None:
        self.script = Script(deque(replies))
        self.settings = settings or Settings()
        self.key = key
        self.refusal: tuple[int, Json] | None = None
        self.requests: list[tuple[str, str]] = []
        self.conversations: list[Conversation] = []

    @property
    def violations(self) -> list[str]:
        return self.script.violations

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Json]:
        self.requests.append((method, url))
        parts, query = urlsplit(url), parse_qs(urlsplit(url).query)
        if (method, parts.path) != ("GET", "/v1/convai/conversation/get-signed-url"):
            return 404, {"detail": "Not Found"}
        if self.refusal is not None:
            return self.refusal
        if headers.get("xi-api-key") != self.key:
            return 401, {"detail": {"status": "invalid_api_key", "message": f"Invalid API key {self.key[:3]}"}}
        agent = query.get("agent_id", [""])[0]
        host = parts.netloc or headers.get("Host", "")
        scheme = "wss" if parts.scheme == "https" else "ws"
        signed = f"{scheme}://{host}/v1/convai/conversation?agent_id={agent}&conversation_signature={SIGNATURE}"
        return 200, {"signed_url": signed}

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, *, key_name: str
    ) -> bytes:
        """A request without a network, for a model's `ask`."""
        status, answer = await self.request(method, url, headers, body or b"")
        if status != 200:
            raise refused(status, orjson.dumps(answer), urlsplit(url).netloc, key_name, secrets=headers.values())
        return orjson.dumps(answer)

    async def accept(self, url: str, headers: Mapping[str, str], wire: Wire) -> Hearer:
        self.requests.append(("WS", url))
        parts, query = urlsplit(url), parse_qs(urlsplit(url).query)
        if parts.path != "/v1/convai/conversation" or "agent_id" not in query:
            raise Refused(404, {"detail": {"status": "not_found", "message": "There is nothing here"}})
        if not self.settings.is_public and query.get("conversation_signature") != [SIGNATURE]:
            raise Refused(403, {"detail": {"status": "unauthorized", "message": "This agent requires authentication"}})
        conversation = Conversation(self.settings, self.script, f"conv_{len(self.conversations) + 1}", wire)
        self.conversations.append(conversation)
        return conversation
