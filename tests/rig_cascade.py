"""A cascade under the tests that every provider passes: Flux hears, Cartesia speaks, and the tests think."""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from uuid import uuid4

from agents.cascade.model import CascadeModel
from agents.cascade_spec import CascadeSpec
from agents.errors import ErrorCategory, ProviderError
from agents.events import ClientEvent, ResponseCancel
from agents.local.brain import CallTool, Say, Step
from agents.local.connection import LocalConnection
from agents.local.dialogue import NOT_HEARD, SORRY
from agents.local.memory import Call, Memory, Message, Spoken
from agents.local.sentences import sentences
from agents.realtime import RealtimeConnectOptions, SessionConfig, WebSocketFactory
from tests import fake_cartesia, fake_deepgram_listen, fake_elevenlabs_speech
from tests.fake_cartesia import FakeCartesia
from tests.fake_deepgram_listen import FakeDeepgramListen
from tests.fake_deepgram_speak import FakeDeepgramSpeak
from tests.fake_elevenlabs_speech import FakeElevenLabsSpeech
from tests.fake_net import Json, in_memory
from tests.rig import Calls, Fails, Reply, Rig, Says

_REFUSALS: dict[str, tuple[int, Json]] = {
    "auth": (401, {"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials."}),
    "quota": (402, {"err_code": "ASR_PAYMENT_REQUIRED", "err_msg": "Project does not have enough credits."}),
    "rate": (429, {"err_code": "TOO_MANY_REQUESTS", "err_msg": "Too many requests."}),
    "unavailable": (503, {"err_code": "SERVICE_UNAVAILABLE", "err_msg": "Come back later."}),
}


_MOUTHS: dict[str, type[FakeCartesia] | type[FakeDeepgramSpeak] | type[FakeElevenLabsSpeech]] = {
    "cartesia": FakeCartesia,
    "deepgram": FakeDeepgramSpeak,
    "elevenlabs": FakeElevenLabsSpeech,
}

_APOLOGIES = (*sentences(SORRY), *sentences(NOT_HEARD))


class RigBrain:
    """Gives the rig's replies. `answers` counts those of one connection."""

    follows_instructions = True

    def __init__(self, rig: "CascadeRig") -> None:
        self._rig = rig
        self.answers = 0

    async def answer(
        self, conversation: Memory, asked: Sequence[Message], config: SessionConfig, instructions: str | None
    ) -> AsyncGenerator[Step]:
        self.answers += 1
        match self._rig.next_reply():
            case Says() as says:
                yield self._say(says)
            case Calls(tools, first):
                if first:
                    yield self._say(first)
                for use in tools:
                    yield CallTool(f"call_{uuid4().hex}", use.name, use.arguments)
            case Fails(category):
                raise ProviderError("the tests cannot think", code=category, retryable=False, category=category)

    def _say(self, says: Says) -> Say:
        self._rig.thought.append(says)
        return Say(says.text)


class RigModel(CascadeModel):
    """Lets its rig see what each connection knows."""

    def __init__(self, rig: "CascadeRig", keys: Mapping[str, str]) -> None:
        super().__init__("phone", rig.cascade, self._brain, keys=keys)
        self._rig = rig

    @asynccontextmanager
    async def _brain(self) -> AsyncIterator[RigBrain]:
        brain = RigBrain(self._rig)
        self._rig.brains.append(brain)
        yield brain

    async def connect(self, options: RealtimeConnectOptions | None = None) -> LocalConnection:
        connection = await super().connect(options)
        send = connection.send

        async def watched(event: ClientEvent) -> None:
            self._rig.cancelled += isinstance(event, ResponseCancel)
            await send(event)

        connection.send = watched  # type: ignore[method-assign]
        self._rig.began(connection)
        return connection


class CascadeRig(Rig):
    """A response begins at the brain, or at the voice when it is given words to say. The ear is the connection."""

    name: ClassVar[str] = "cascade"
    hears: ClassVar[str] = "deepgram-flux"
    speaks: ClassVar[str] = "cartesia"

    def __init__(self) -> None:
        self.cascade = CascadeSpec.model_validate(
            {
                "listen": {"provider": self.hears},
                "think": {"url": "http://127.0.0.1:1/v1", "model": "the tests"},
                "speak": {"provider": self.speaks, "voice": "aura-2-thalia-en"},
            }
        )
        self.ear = FakeDeepgramListen(self.caller_words)
        self.mouth = _MOUTHS[self.speaks]()
        self.mouth.voice.length = self._length
        self.replies: deque[Reply] = deque()
        self.thought: deque[Says] = deque()
        self.brains: list[RigBrain] = []
        self.cancelled = 0
        self._memories: list[Memory] = []
        self._pasts: list[list[tuple[str, str]]] = []
        self._said: list[int] = []

    @property
    def websocket(self) -> WebSocketFactory:
        to_ear, to_mouth = in_memory(self.ear), in_memory(self.mouth)

        async def connect(url: str, headers: Mapping[str, str]) -> object:
            return await (to_ear if "/listen?" in url else to_mouth)(url, headers)

        return connect

    def model(self) -> RigModel:
        keys = {
            "DEEPGRAM_API_KEY": fake_deepgram_listen.KEY,
            "CARTESIA_API_KEY": fake_cartesia.KEY,
            "ELEVENLABS_API_KEY": fake_elevenlabs_speech.KEY,
        }
        return RigModel(self, keys)

    @property
    def violations(self) -> list[str]:
        return self.ear.violations + self.mouth.violations

    @property
    def connections(self) -> int:
        return len(self.ear.calls)

    # ---- what the fakes do ----

    def next_reply(self) -> Reply:
        return self.replies.popleft() if self.replies else Says()

    def began(self, connection: LocalConnection) -> None:
        memory = connection._conversation
        self._memories.append(memory)
        self._pasts.append([(item.role, item.text) for item in memory.items if isinstance(item, Message)])
        self._said.append(0)

    def _length(self, text: str) -> int:
        """The length of what the brain thought of; words to say are a reply of their own, an apology is none."""
        if text.strip() in _APOLOGIES:
            return 800
        if self.thought and self.thought[0].text.strip() == text.strip():
            says = self.thought.popleft()
        else:
            reply = self.next_reply() if self.replies and isinstance(self.replies[0], Says) else Says()
            says = reply if isinstance(reply, Says) else Says()
            self._said[-1] += 1
        self.mouth.voice.holds = says.holds
        return says.audio_ms

    def will(self, *replies: Reply) -> None:
        self.replies.extend(replies)

    async def release(self, index: int = -1) -> None:
        self.mouth.voice.holds = False
        await self.mouth.calls[index].release()

    def refuse(self, category: ErrorCategory | None) -> None:
        self.ear.refusal = None if category is None else _REFUSALS[category]

    def drop(self, index: int = -1) -> None:
        self.ear.calls[index].wire.drop()

    async def warn(self, left_s: float, index: int = -1) -> None:
        """Nobody announces anything."""

    async def expire(self, index: int = -1) -> None:
        await self.ear.calls[index].wire.close(1011, "NET-0001: the connection timed out")

    async def say_raw(self, message: str | bytes, index: int = -1) -> None:
        await self.ear.calls[index].wire.send(message)

    # ---- what the fakes were told ----

    def heard_ms(self, index: int = -1) -> int:
        return self.ear.calls[index].heard_ms

    def past(self, index: int = -1) -> list[tuple[str, str]]:
        return self._pasts[index]

    def resumed(self, index: int = -1) -> str | None:
        """No recogniser and no voice goes on with another's session."""
        return None

    def results(self, index: int = -1) -> dict[str, str]:
        calls = [item for item in self._memories[index].items if isinstance(item, Call)]
        return {call.item_id: call.output for call in calls if call.output is not None}

    def responses(self, index: int = -1) -> int:
        return self.brains[index].answers + self._said[index]

    def truncations(self, index: int = -1) -> list[int]:
        spoken = [item for item in self._memories[index].items if isinstance(item, Spoken)]
        return [item.heard_ms for item in spoken if item.heard_ms is not None]

    def cancels(self, index: int = -1) -> int:
        return self._cancels(self.mouth.calls[index])

    def _cancels(self, call: Any) -> int:
        return len(call.cancelled)


class NovaAndAuraRig(CascadeRig):
    """The same with another recogniser and another voice."""

    name: ClassVar[str] = "cascade-nova-aura"
    hears: ClassVar[str] = "deepgram-nova"
    speaks: ClassVar[str] = "deepgram"

    def _cancels(self, call: Any) -> int:
        return int(call.clears)


class ElevenLabsVoiceRig(CascadeRig):
    """And with the third voice, which is not told to stop what it was told the end of."""

    name: ClassVar[str] = "cascade-eleven"
    speaks: ClassVar[str] = "elevenlabs"

    def cancels(self, index: int = -1) -> int:
        return self.cancelled
