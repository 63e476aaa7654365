"""What a test of every provider needs of one of them: its fake, and the model that talks to it, in shared words."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from agents.errors import ErrorCategory
from agents.realtime import RealtimeModel, WebSocketFactory


@dataclass(frozen=True, slots=True)
class Says:
    """The fake speaks: transcript and audio, faster than real time. With `holds`, the end of the response waits."""

    text: str = "Hello, how can I help you?"
    audio_ms: int = 600
    holds: bool = False


@dataclass(frozen=True, slots=True)
class ToolUse:
    name: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True)
class Calls:
    """The fake calls tools, all of one response, after speaking when `first` says so."""

    tools: tuple[ToolUse, ...]
    first: Says | None = None


@dataclass(frozen=True, slots=True)
class Fails:
    """The fake cannot answer, and says so in its own words for this category."""

    category: ErrorCategory = "unavailable"


Reply = Says | Calls | Fails


class Rig(ABC):
    """One provider under test. Everything goes through `websocket`, in memory, so that it works in virtual time.

    The fake answers each turn with the next of its replies, `Says()` when there are none left. A turn is: what the
    caller says, heard by its own voice detection (`tests.fake_ear.Ear`: tone is speech, 500 ms of silence end it),
    transcribed as `caller_words`; a text message that asks for an answer; a request to speak; the last tool's result.
    It holds its client to its protocol: what is wrong goes to `violations`.

    `index` counts connections from 0; -1 is the latest.
    """

    name: ClassVar[str]
    """As in `model: name/...`."""

    caller_words: str = "What time is it?"

    @property
    @abstractmethod
    def websocket(self) -> WebSocketFactory: ...

    @abstractmethod
    def model(self) -> RealtimeModel:
        """A model with a valid key. Nothing is opened but through the connect option `websocket`."""

    @property
    @abstractmethod
    def violations(self) -> list[str]: ...

    @property
    @abstractmethod
    def connections(self) -> int:
        """How many were accepted so far."""

    # ---- what the fake does ----

    @abstractmethod
    def will(self, *replies: Reply) -> None:
        """Adds to what it will reply, in order, on whichever connection."""

    @abstractmethod
    async def release(self, index: int = -1) -> None:
        """Ends a response that holds."""

    @abstractmethod
    def refuse(self, category: ErrorCategory | None) -> None:
        """Refuses all connections from now on, for a reason of this category (auth, quota, rate, unavailable)."""

    @abstractmethod
    def drop(self, index: int = -1) -> None:
        """Cuts a connection, without a word."""

    @abstractmethod
    async def warn(self, left_s: float, index: int = -1) -> None:
        """Announces the end of a connection, where the provider does that; else does nothing."""

    @abstractmethod
    async def expire(self, index: int = -1) -> None:
        """Ends a connection as the provider does at its longest."""

    @abstractmethod
    async def say_raw(self, message: str | bytes, index: int = -1) -> None:
        """Sends whatever it is."""

    async def take_back(self, call_id: str, index: int = -1) -> None:
        """Takes a tool call back, where `capabilities.cancels_tools`."""
        raise NotImplementedError(self.name)

    # ---- what the fake was told ----

    @abstractmethod
    def heard_ms(self, index: int = -1) -> int:
        """How much of the caller's audio came on a connection."""

    @abstractmethod
    def past(self, index: int = -1) -> list[tuple[str, str]]:
        """Role and text of each message that a connection began with; of tool calls nothing."""

    @abstractmethod
    def resumed(self, index: int = -1) -> str | None:
        """The handle with which a connection went on with a session."""

    @abstractmethod
    def results(self, index: int = -1) -> dict[str, str]:
        """Call id and output of every tool result."""

    @abstractmethod
    def responses(self, index: int = -1) -> int:
        """How many responses it has begun on a connection."""

    def truncations(self, index: int = -1) -> list[int]:
        """Milliseconds of each truncation, where `capabilities.truncate`."""
        raise NotImplementedError(self.name)

    def cancels(self, index: int = -1) -> int:
        """How often a response was cancelled, where `capabilities.cancel`."""
        raise NotImplementedError(self.name)
