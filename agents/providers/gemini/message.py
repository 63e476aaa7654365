"""What one message of a Gemini Live server says, as facts in the order in which they count. Pure, without memory.

A message may have several members, and each key may be spelled in camelCase or snake_case.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from agents.events import RawEvent, ServerEvent, SessionExpiring, SessionResumable, Usage
from agents.providers.gemini.errors import session_error
from agents.providers.gemini.facts import (
    Call,
    Called,
    Ended,
    Fact,
    Failed,
    Generated,
    Heard,
    HeardSomething,
    Interrupted,
    Paused,
    Ready,
    Said,
    Sound,
    Spent,
    TakenBack,
    Voice,
    Waiting,
    Wrote,
)
from agents.providers.socket import WireError
from agents.providers.wire_json import (
    JsonObject,
    Message,
    count,
    from_base64,
    optional_object,
    optional_text,
    read_object,
)

VOICE_RATE_HZ: Final = 24_000
"""The rate of Gemini's voice, where a piece of audio does not say its own."""

MAX_DEPTH: Final = 12
"""How deep keys are read in both spellings: the deepest that means something to us is the sixth."""

_BASE64_FOR_ADDRESSES: Final = str.maketrans("-_", "+/")
"""As it is written in Google's client, which speaks to servers that read both."""

_FREE_FORM: Final = frozenset(
    {"args", "functions", "labels", "parameters", "parametersJsonSchema", "response", "responseJsonSchema"}
)
"""Objects whose keys are not the wire's: arguments of tools, schemas, names that people chose."""


def read(message: str | bytes, *, is_text: bool = False) -> tuple[Fact | ServerEvent, ...]:
    """The facts of a message, and the events that need no memory. Raises WireError for what makes no sense.

    `is_text`: the session answers in text; otherwise text beside the voice is the model's thinking.
    """
    fields = in_camel_case(read_object(message))
    found: list[Fact | ServerEvent] = []
    for member, meaning in _MEMBERS.items():
        if fields.get(member) is not None:
            found += meaning(optional_object(fields, member))
    if fields.get("serverContent") is not None:
        found += _content(optional_object(fields, "serverContent"), is_text=is_text)
    for member, meaning in _LATER_MEMBERS.items():
        if fields.get(member) is not None:
            found += meaning(optional_object(fields, member))
    unknown = fields.keys() - _KNOWN
    if not found and "code" in unknown and not fields.keys() & _KNOWN:
        return (Failed(session_error(fields)),)
    return (*found, *(RawEvent(key, {key: fields[key]}) for key in sorted(unknown)))


def in_camel_case(fields: Message) -> JsonObject:
    """The same object with the wire's own keys in camelCase, to a depth of MAX_DEPTH."""
    return {_camel(key): _spelled(key, value, 1) for key, value in fields.items()}


def _spelled(key: str, value: Any, depth: int) -> Any:
    if depth >= MAX_DEPTH or _camel(key) in _FREE_FORM:
        return value
    match value:
        case Mapping():
            return {_camel(name): _spelled(name, each, depth + 1) for name, each in value.items()}
        case list() | tuple():
            return [_spelled("", each, depth + 1) for each in value]
        case _:
            return value


@lru_cache(1024)
def _camel(key: str) -> str:
    first, *others = key.split("_")
    return first + "".join(each[:1].upper() + each[1:] for each in others) if first else key


# ---- members of a message; each raises WireError for a broken one ----


def _ready(fields: Message) -> Iterator[Fact]:
    yield Ready(optional_text(fields, "sessionId"))


def _spent(fields: Message) -> Iterator[Fact]:
    yield Spent(
        Usage(
            input_tokens=count(fields, "promptTokenCount") + count(fields, "toolUsePromptTokenCount"),
            output_tokens=count(fields, "responseTokenCount") + count(fields, "thoughtsTokenCount"),
            input_audio_tokens=_of_audio(fields, "promptTokensDetails"),
            input_cached_tokens=count(fields, "cachedContentTokenCount"),
            output_audio_tokens=_of_audio(fields, "responseTokensDetails"),
        )
    )


def _of_audio(fields: Message, key: str) -> int:
    return sum(count(each, "tokenCount") for each in _objects(fields, key) if each.get("modality") == "AUDIO")


def _voice(fields: Message) -> Iterator[Fact]:
    offset_s = _seconds(fields, "audioOffset")
    at_ms = None if offset_s is None else round(offset_s * 1000)
    match fields.get("voiceActivityType") or fields.get("vadSignalType"):
        case "ACTIVITY_START" | "VAD_SIGNAL_TYPE_SOS":
            yield Voice(True, at_ms)
        case "ACTIVITY_END" | "VAD_SIGNAL_TYPE_EOS":
            yield Voice(False, at_ms)


def _called(fields: Message) -> Iterator[Fact]:
    calls = tuple(_call(each) for each in _objects(fields, "functionCalls"))
    if calls:
        yield Called(calls)


def _call(fields: Message) -> Call:
    name = optional_text(fields, "name")
    if not name:
        raise WireError("a function call should have a name")
    return Call(optional_text(fields, "id") or None, name, orjson.dumps(optional_object(fields, "args")).decode())


def _taken_back(fields: Message) -> Iterator[Fact]:
    match fields.get("ids"):
        case [*ids] if all(isinstance(each, str) for each in ids):
            yield TakenBack(tuple(ids))
        case _:
            raise WireError("toolCallCancellation.ids should be texts")


def _expiring(fields: Message) -> Iterator[ServerEvent]:
    yield SessionExpiring(_seconds(fields, "timeLeft"))


def _resumable(fields: Message) -> Iterator[ServerEvent]:
    handle = optional_text(fields, "newHandle")
    yield SessionResumable(handle if handle and _flag(fields, "resumable") else None)


def _failed(fields: Message) -> Iterator[Fact]:
    yield Failed(session_error(fields))


# ---- serverContent ----


def _content(fields: Message, *, is_text: bool) -> Iterator[Fact | ServerEvent]:
    if _flag(fields, "interrupted"):
        yield Interrupted()
    heard = optional_object(fields, "inputTranscription")
    if heard:
        yield Heard(optional_text(heard, "text") or "", _flag(heard, "finished"))
    if optional_object(fields, "interimInputTranscription").get("text"):
        yield HeardSomething()
    parts = [_part(part, is_text=is_text) for part in _objects(optional_object(fields, "modelTurn"), "parts")]
    if said := optional_text(optional_object(fields, "outputTranscription"), "text"):
        yield Said(said, any(isinstance(part, Sound) for part in parts))
    yield from parts
    for key in ("groundingMetadata", "urlContextMetadata"):
        if fields.get(key) is not None:
            yield RawEvent(key, {key: fields[key]})
    if _flag(fields, "waitingForInput"):
        yield Waiting()
    if _flag(fields, "generationComplete"):
        yield Generated()
    yield from _end(fields)


def _end(fields: Message) -> Iterator[Fact | ServerEvent]:
    """The model's turn is over with `turnComplete`, unless the state of the whole interaction is told as well."""
    is_complete = _flag(fields, "turnComplete")
    match optional_text(fields, "interactionStatus"):
        case None | "" | "INTERACTION_STATUS_UNSPECIFIED":
            if is_complete:
                yield Ended(optional_text(fields, "turnCompleteReason") or "")
        case "IDLE":
            yield Ended(optional_text(fields, "turnCompleteReason") or "")
        case status:
            if is_complete:
                yield Paused()
            yield RawEvent("interactionStatus", {"interactionStatus": status})


def _part(part: Message, *, is_text: bool) -> Fact | ServerEvent:
    data = optional_object(part, "inlineData")
    if data:
        rate_hz = _rate_of(optional_text(data, "mimeType") or "")
        if rate_hz:
            return Sound(_audio(optional_text(data, "data") or ""), rate_hz)
        return RawEvent("modelTurn.inlineData", {"mimeType": data.get("mimeType")})
    text = optional_text(part, "text")
    if is_text and text and not _flag(part, "thought"):
        return Wrote(text)
    return RawEvent("modelTurn.part", part)


def _audio(text: str) -> bytes:
    if "-" in text or "_" in text:
        text = text.translate(_BASE64_FOR_ADDRESSES)
    return from_base64(text)


@lru_cache(16)
def _rate_of(mime_type: str) -> int | None:
    """The rate of PCM16 audio; None for what is none."""
    kind, *parameters = mime_type.replace(" ", "").split(";")
    if kind not in ("audio/pcm", "audio/l16"):
        return None
    rates = [each.removeprefix("rate=") for each in parameters if each.startswith("rate=")]
    if not rates:
        return VOICE_RATE_HZ
    if not re.fullmatch(r"[1-9]\d?000", rates[0]):
        raise WireError("audio should come at a multiple of 1000 Hz")
    return int(rates[0])


# ---- fields ----


def _flag(fields: Message, key: str) -> bool:
    match fields.get(key):
        case None:
            return False
        case bool(value):
            return value
        case _:
            raise WireError(f"{key} should be true or false")


def _objects(fields: Message, key: str) -> list[Message]:
    match fields.get(key):
        case None:
            return []
        case [*values] if all(isinstance(each, dict) for each in values):
            return values
        case _:
            raise WireError(f"{key} should be a list of objects")


def _seconds(fields: Message, key: str) -> float | None:
    """A duration, as in "49.5s"."""
    match fields.get(key):
        case None | "":
            return None
        case str(text) if re.fullmatch(r"-?\d{1,12}(\.\d{1,9})?s", text):
            return max(0.0, float(text[:-1]))
        case _:
            raise WireError(f'{key} should be like "50s"')


_MEMBERS: Final[Mapping[str, Callable[[Message], Iterator[Fact | ServerEvent]]]] = {
    "setupComplete": _ready,
    "usageMetadata": _spent,
    "voiceActivity": _voice,
    "voiceActivityDetectionSignal": _voice,
}
_LATER_MEMBERS: Final[Mapping[str, Callable[[Message], Iterator[Fact | ServerEvent]]]] = {
    "toolCallCancellation": _taken_back,
    "toolCall": _called,
    "goAway": _expiring,
    "sessionResumptionUpdate": _resumable,
    "error": _failed,
}
"""What comes before and after the content of the same message."""

_KNOWN: Final = _MEMBERS.keys() | _LATER_MEMBERS.keys() | {"serverContent"}
