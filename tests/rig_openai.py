"""OpenAI and the services that speak dialects of its protocol, as one contract suite asks of them."""

from itertools import takewhile
from typing import ClassVar, Final

from agents.errors import ErrorCategory
from agents.providers.openai import OpenAIModel
from agents.providers.openai.dialects import DIALECTS
from agents.realtime import WebSocketFactory
from tests.fake_net import in_memory
from tests.fake_openai import Call, CallTools, Fail, FakeOpenAI, FakeSession, Speak
from tests.fake_openai import Reply as FakeReply
from tests.rig import Calls, Fails, Reply, Rig, Says

_REFUSALS: Final[dict[ErrorCategory, tuple[int, str]]] = {
    "auth": (401, "invalid_api_key"),
    "quota": (429, "insufficient_quota"),
    "rate": (429, "rate_limit_exceeded"),
    "unavailable": (503, "server_error"),
}
_FAILURES: Final[dict[ErrorCategory, str]] = {
    "auth": "invalid_api_key",
    "quota": "insufficient_quota",
    "rate": "rate_limit_exceeded",
    "invalid_request": "invalid_value",
    "session_limit": "session_expired",
    "network": "server_error",
    "unavailable": "server_error",
}


class OpenAIRig(Rig):
    name: ClassVar[str] = "openai"
    base_url: ClassVar[str] = "https://openai.example/v1"

    def __init__(self) -> None:
        self._fake = FakeOpenAI(hears=self.caller_words, dialect=self.name)

    @property
    def websocket(self) -> WebSocketFactory:
        self._fake.script.hears = self.caller_words
        return in_memory(self._fake)

    def model(self) -> OpenAIModel:
        return OpenAIModel("some-model", api_key=self._fake.key, base_url=self.base_url, dialect=DIALECTS[self.name])

    @property
    def violations(self) -> list[str]:
        return self._fake.violations

    @property
    def connections(self) -> int:
        return len(self._fake.sessions)

    # ---- what the fake does ----

    def will(self, *replies: Reply) -> None:
        self._fake.replies.extend(_reply(reply) for reply in replies)

    async def release(self, index: int = -1) -> None:
        await self._session(index).release()

    def refuse(self, category: ErrorCategory | None) -> None:
        self._fake.refuse_with, self._fake.refuse_code = _REFUSALS[category] if category else (None, "")

    def drop(self, index: int = -1) -> None:
        self._fake.drop(index)

    async def warn(self, left_s: float, index: int = -1) -> None:
        pass  # nobody warns

    async def expire(self, index: int = -1) -> None:
        await self._fake.expire(index)

    async def say_raw(self, message: str | bytes, index: int = -1) -> None:
        await self._fake.say(message, index)

    # ---- what the fake was told ----

    def heard_ms(self, index: int = -1) -> int:
        return int(self._session(index).heard_ms)

    def past(self, index: int = -1) -> list[tuple[str, str]]:
        beginning = ("session.update", "conversation.item.create")
        begun = takewhile(lambda message: message["type"] in beginning, self._session(index).understood)
        items = [message["item"] for message in begun if message["type"] == "conversation.item.create"]
        return [(item["role"], item["content"][0]["text"]) for item in items if item["type"] == "message"]

    def resumed(self, index: int = -1) -> str | None:
        return None

    def results(self, index: int = -1) -> dict[str, str]:
        created = self._session(index).messages("conversation.item.create")
        items = [message["item"] for message in created if message["item"]["type"] == "function_call_output"]
        return {item["call_id"]: item["output"] for item in items}

    def responses(self, index: int = -1) -> int:
        return self._session(index).responses

    def truncations(self, index: int = -1) -> list[int]:
        return [message["audio_end_ms"] for message in self._session(index).messages("conversation.item.truncate")]

    def cancels(self, index: int = -1) -> int:
        return len(self._session(index).messages("response.cancel"))

    def _session(self, index: int) -> FakeSession:
        return self._fake.sessions[index]


def _reply(reply: Reply) -> FakeReply:
    match reply:
        case Says():
            return _speech(reply)
        case Calls(tools, first):
            spoken = None if first is None else _speech(first)
            return CallTools(tuple(Call(tool.name, tool.arguments) for tool in tools), spoken)
        case Fails(category):
            return Fail(_FAILURES[category])


def _speech(says: Says) -> Speak:
    return Speak(says.text, says.audio_ms, holds=says.holds)


class AzureRig(OpenAIRig):
    name: ClassVar[str] = "azure"
    base_url: ClassVar[str] = "https://resource.azure.example"


class VoiceLiveRig(OpenAIRig):
    name: ClassVar[str] = "azure-voice-live"
    base_url: ClassVar[str] = "https://resource.azure.example"


class XaiRig(OpenAIRig):
    name: ClassVar[str] = "xai"
    base_url: ClassVar[str] = "https://xai.example/v1"


class InworldRig(OpenAIRig):
    name: ClassVar[str] = "inworld"
    base_url: ClassVar[str] = "https://inworld.example"


class QwenRig(OpenAIRig):
    name: ClassVar[str] = "qwen"
    base_url: ClassVar[str] = "https://qwen.example"


class SpeachesRig(OpenAIRig):
    name: ClassVar[str] = "speaches"
    base_url: ClassVar[str] = "http://speaches.example:8000"


class LocalAIRig(OpenAIRig):
    name: ClassVar[str] = "localai"
    base_url: ClassVar[str] = "http://localai.example:8080/v1"


class VllmOmniRig(OpenAIRig):
    name: ClassVar[str] = "vllm-omni"
    base_url: ClassVar[str] = "http://vllm.example:8000"


class SpeechToSpeechRig(OpenAIRig):
    name: ClassVar[str] = "speech-to-speech"
    base_url: ClassVar[str] = "http://speech.example:8765/v1/realtime"


RIGS: Final[tuple[type[OpenAIRig], ...]] = (
    *(OpenAIRig, AzureRig, VoiceLiveRig, XaiRig, InworldRig, QwenRig),
    *(SpeachesRig, LocalAIRig, VllmOmniRig, SpeechToSpeechRig),
)
