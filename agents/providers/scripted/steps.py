"""The steps of a script, and the file they may be written in.

A file is a YAML or JSON list of steps, each a mapping with one key:

    - expect: session.update            # wait for such an event from our side; others may come before it
    - emit: session.updated             # say an event that needs no fields
    - expect: {kind: response.create, say: Hi!}     # ... whose fields are these
    - say: Hi!                          # a whole spoken response, with a tone for a voice
    - say: {text: Please hold., audio_ms: 5000}     # ... of so much audio
    - wait_ms: 500                      # let time pass
    - emit: {kind: speech.started, item_id: item_u1, audio_start_ms: 300}
    - emit: {kind: tool.call, response_id: r1, call_id: c1, name: hang_up, arguments: "{}"}
    - fail: {code: network, message: The line to the model broke., retryable: true}
    - close:                            # the model's side ends the session in good order

Kinds and fields are those of `agents/events/`; of the agent's voice there is no `emit`, only `say`.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar, cast, get_args

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.error import YAMLError

from agents.errors import ConfigError, Problem, ProviderError
from agents.events import AudioOutputDelta, ClientEvent, ServerEvent

T = TypeVar("T")

MS_PER_CHARACTER: Final = 60
"""About how long a letter lasts in unhurried speech."""

_SENT: Final[dict[str, type[ClientEvent]]] = {event.kind: event for event in get_args(ClientEvent)}
_SAID: Final[dict[str, type[ServerEvent]]] = {
    event.kind: event for event in get_args(ServerEvent) if event is not AudioOutputDelta
}

_KEYS: Final = "expect, emit, say, wait_ms, fail or close"


@dataclass(frozen=True, slots=True)
class Expect:
    """Waits for an event of this class, whose `fields` have these values. Events before it are passed over."""

    event: type[ClientEvent]
    fields: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = self.fields.keys() - {known.name for known in dataclasses.fields(self.event)}
        if unknown:
            raise ConfigError(f"{self.event.kind} has no field {', '.join(sorted(unknown))}")

    def fits(self, event: ClientEvent) -> bool:
        return isinstance(event, self.event) and all(getattr(event, key) == self.fields[key] for key in self.fields)

    def __str__(self) -> str:
        return f"{self.event.kind}{f' with {dict(self.fields)}' if self.fields else ''}"


@dataclass(frozen=True, slots=True)
class Say:
    """Speaks the text as one completed response; its audio, a tone, comes all at once."""

    text: str
    audio_ms: int | None = None

    @property
    def length_ms(self) -> int:
        return MS_PER_CHARACTER * len(self.text) if self.audio_ms is None else self.audio_ms


@dataclass(frozen=True, slots=True)
class Wait:
    """Lets real time pass: `ms` milliseconds."""

    ms: int


@dataclass(frozen=True, slots=True)
class Close:
    """Ends the session in good order."""


@dataclass(frozen=True, slots=True)
class Fail:
    """Breaks the session with a ProviderError."""

    code: str
    message: str
    retryable: bool = False

    def error(self) -> ProviderError:
        return ProviderError(self.message, code=self.code, retryable=self.retryable)


Step = Expect | Say | Wait | Close | Fail | ServerEvent


def read_steps(file: Path) -> tuple[Step, ...]:
    """The steps in the file. Raises ConfigError with a problem for each step that is none."""
    try:
        entries = YAML().load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        found = error.strerror if isinstance(error, OSError) and error.strerror else "a file that is not UTF-8 text"
        raise _wrong(Problem(file, None, "", found, "expected a script, a YAML or JSON list of steps")) from error
    except YAMLError as error:
        raise _wrong(Problem(file, None, "", f"broken YAML: {error}", "expected a list of steps")) from error
    if not isinstance(entries, CommentedSeq) or not entries:
        raise _wrong(Problem(file, None, "", type(entries).__name__, "expected a list of steps"))
    steps: list[Step] = []
    problems: list[Problem] = []
    for index, entry in enumerate(entries):
        try:
            steps.append(_step(entry))
        except ConfigError as error:
            line = int(entries.lc.item(index)[0]) + 1
            problems.append(Problem(file, line, f"step {index + 1}", str(error), "see the format of steps"))
    if problems:
        raise _wrong(*problems)
    return tuple(steps)


def _step(entry: object) -> Step:
    match entry:
        case dict() if len(entry) == 1:
            [(name, value)] = entry.items()
        case _:
            raise ConfigError(f"a step has one key: {_KEYS}")
    match name, value:
        case "expect", str(kind) | {"kind": str(kind)}:
            return Expect(_named(_SENT, kind), _fields(value))
        case "emit", str(kind) | {"kind": str(kind)}:
            return _made(_named(_SAID, kind), _fields(value))
        case "say", str(text):
            return Say(text)
        case "say", dict():
            return _made(Say, value)
        case "wait_ms", ms:
            return _made(Wait, {"ms": ms})
        case "close", None:
            return Close()
        case "fail", dict():
            return _made(Fail, value)
        case _:
            raise ConfigError(f"{name!r} of {value!r} is no step; a step has one key: {_KEYS}")


def _fields(value: object) -> dict[str, Any]:
    return {key: field for key, field in value.items() if key != "kind"} if isinstance(value, dict) else {}


def _named(events: Mapping[str, type[T]], kind: str) -> type[T]:
    if kind not in events:
        raise ConfigError(f"{kind!r} is none of {', '.join(sorted(events))}")
    return events[kind]


def _made(what: type[T], fields: Mapping[str, Any]) -> T:
    unknown = fields.keys() - {known.name for known in dataclasses.fields(cast(Any, what))}
    if unknown:
        raise ConfigError(f"there is no field {', '.join(sorted(map(str, unknown)))}")
    try:
        return TypeAdapter(what).validate_json(json.dumps(fields), strict=True)
    except ValidationError as error:
        details = (f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors())
        raise ConfigError("; ".join(details)) from error
    except TypeError as error:  # a date, which YAML has and JSON has not
        raise ConfigError(str(error)) from error


def _wrong(*problems: Problem) -> ConfigError:
    return ConfigError("\n".join(str(problem) for problem in problems), problems)
