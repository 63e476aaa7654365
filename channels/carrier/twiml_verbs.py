"""The verbs of TwiML that the simulated carrier runs, as frozen dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Stream:
    url: str
    name: str | None
    status_callback: str | None
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Connect:
    """A stream in both directions. `action` is asked what comes next; None goes on with the next verb."""

    stream: Stream
    action: str | None


@dataclass(frozen=True, slots=True)
class Say:
    """`loop` 0 goes on until the call ends."""

    text: str
    loop: int = 1


@dataclass(frozen=True, slots=True)
class Play:
    """A recording at `url`. `loop` 0 goes on until the call ends."""

    url: str
    loop: int = 1


@dataclass(frozen=True, slots=True)
class PlayDigits:
    """Keys that the carrier presses towards the far end. `w` waits for half a second."""

    digits: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pause:
    length_s: float


@dataclass(frozen=True, slots=True)
class Gather:
    """Collects keys or words, as `takes_keys` and `takes_speech` say, while and after `prompts`.

    It is over when `num_digits` are there (None: any number), when a key of `finish_on_key` is pressed (which is no
    digit), `timeout_s` after the last key or the prompts, or `speech_timeout_s` (None: `timeout_s`) after the last
    word. `action` is then asked what comes next, None being the document itself; without anything collected only if
    `asks_when_empty`.
    """

    prompts: "tuple[Say | Play | PlayDigits | Pause, ...]"
    num_digits: int | None
    finish_on_key: str
    timeout_s: int
    action: str | None
    asks_when_empty: bool
    takes_keys: bool = True
    takes_speech: bool = False
    speech_timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """Records the caller until a key of `finish_on_key`, `timeout_s` of silence, or `max_length_s`.

    `action` is then asked what comes next, None being the document itself; not after silence alone.
    """

    finish_on_key: str
    timeout_s: int
    max_length_s: int
    action: str | None
    status_callback: str | None


@dataclass(frozen=True, slots=True)
class Noun:
    """Somebody for `<Dial>` to ring. `whisper_url` has TwiML for them alone, before the two are connected."""

    kind: Literal["Number", "Sip", "Client"]
    address: str
    whisper_url: str | None = None
    send_digits: str = field(default="", repr=False)
    status_callback: str | None = None
    status_events: frozenset[str] = frozenset({"completed"})


@dataclass(frozen=True, slots=True)
class Conference:
    """A room for `<Dial>` to put the caller into.

    It begins when somebody is there who `starts` it; until then, and alone, one hears `wait_url` (None: Twilio's own
    music, empty: silence). It is over for all when somebody leaves who `ends` it.
    """

    name: str
    starts: bool = True
    ends: bool = False
    wait_url: str | None = None


@dataclass(frozen=True, slots=True)
class Dial:
    """Rings all of `nouns` at once and connects the first who answers, or joins a conference.

    `action` is asked what comes next; None goes on with the next verb.
    """

    nouns: tuple[Noun, ...] | Conference
    action: str | None
    timeout_s: int
    time_limit_s: int
    caller_id: str | None


@dataclass(frozen=True, slots=True)
class Redirect:
    url: str


@dataclass(frozen=True, slots=True)
class Hangup:
    pass


@dataclass(frozen=True, slots=True)
class Reject:
    reason: str


@dataclass(frozen=True, slots=True)
class NotSimulated:
    """Something that Twilio can do and this simulation cannot: reaching it ends the call with an error."""

    what: str
    why: str = "which is not simulated"


Verb = Connect | Say | Play | PlayDigits | Pause | Gather | Record | Dial | Redirect | Hangup | Reject | NotSimulated
