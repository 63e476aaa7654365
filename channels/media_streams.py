"""Twilio Media Streams messages: text <-> frozen facts, with no socket and no clock in it.

This is the server's half; `carrier/wire.py` is Twilio's. What comes from Twilio is read leniently (fields may be
missing, timestamps may be text or numbers); what goes to Twilio has exactly the documented fields, because Twilio drops
messages with others.
"""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import pybase64

from agents.errors import ChannelError

MAX_MESSAGE_BYTES: Final = 64 * 1024
"""Largest message we accept from the line. A 20 ms frame is about 375 bytes; the rest is room for parameters."""

ULAW_8K: Final = ("audio/x-mulaw", 8000, 1)
"""The only media format of Media Streams: encoding, Hz, channels."""


class WireError(ChannelError):
    """One message that does not say what the protocol says. The call goes on without it."""


# ---- from Twilio ----


@dataclass(frozen=True, slots=True)
class Connected:
    protocol: str = "Call"
    version: str = "1.0.0"


@dataclass(frozen=True, slots=True)
class Start:
    """The stream begins. `media_format` is (encoding, Hz, channels); compare with ULAW_8K."""

    stream_sid: str
    call_sid: str
    account_sid: str
    media_format: tuple[str, int, int] = ULAW_8K
    tracks: tuple[str, ...] = ("inbound",)
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Media:
    """Audio from the caller. `timestamp_ms` counts from the stream's start; None when it was not a number."""

    ulaw: bytes
    timestamp_ms: int | None = None
    track: str = "inbound"


@dataclass(frozen=True, slots=True)
class Dtmf:
    """A key that the caller pressed. It may be of a PIN: no log, repr or error has it."""

    digit: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mark:
    """All that was sent before the mark of this name was played, or cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class Stop:
    call_sid: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    event: str


FromTwilio = Connected | Start | Media | Dtmf | Mark | Stop | Unknown


def decode(text: str | bytes) -> FromTwilio:
    """One message from Twilio. Raises WireError for anything that is not a well-formed message."""
    message = parse(text)
    if message.get("event") == "media":  # fifty times a second: without the patterns below
        return _media(message.get("media"))
    match message:
        case {"event": "mark", "mark": {"name": str(name)}}:
            return Mark(name)
        case {"event": "dtmf", "dtmf": {"digit": str(digit)}}:
            if len(digit) != 1 or digit not in "0123456789*#ABCD":
                raise WireError("dtmf digit is not one key")
            return Dtmf(digit)
        case {"event": "connected"}:
            return Connected()
        case {"event": "start", "start": dict(start)}:
            return _start(start)
        case {"event": "stop"}:
            return Stop()
        case {"event": "mark" | "dtmf" | "start" as event}:
            raise WireError(f"{event} message without its fields")
        case {"event": str(event)}:
            return Unknown(event[:40])
    raise WireError("message without an event name")


def write_media(stream_sid: str, ulaw: bytes) -> str:
    payload = pybase64.b64encode_as_string(ulaw)
    return f'{{"event":"media","streamSid":"{stream_sid}","media":{{"payload":"{payload}"}}}}'


def write_mark(stream_sid: str, name: str) -> str:
    return f'{{"event":"mark","streamSid":"{stream_sid}","mark":{{"name":"{name}"}}}}'


def write_clear(stream_sid: str) -> str:
    return f'{{"event":"clear","streamSid":"{stream_sid}"}}'


def _media(media: object) -> Media:
    if not isinstance(media, dict) or not isinstance(payload := media.get("payload"), str):
        raise WireError("media message without its fields")
    track = "inbound" if media.get("track", "inbound") == "inbound" else "other"
    return Media(audio(payload), _milliseconds(media.get("timestamp")), track)


def _start(start: Mapping[str, Any]) -> Start:
    match start:
        case {"streamSid": str(stream_sid), "callSid": str(call_sid), "accountSid": str(account_sid)} if all(
            map(_is_sid, (stream_sid, call_sid, account_sid))
        ):
            pass
        case _:
            raise WireError("start message without streamSid, callSid and accountSid")
    match start.get("mediaFormat"):
        case {"encoding": str(encoding), "sampleRate": int(rate), "channels": int(channels)}:
            media_format = (encoding, rate, channels)
        case other:
            raise WireError(f"start message with media format {str(other)[:80]}")
    match start.get("customParameters", {}):
        case dict(parameters) if all(isinstance(value, str) for value in parameters.values()):
            pass
        case _:
            raise WireError("start message with custom parameters that are not text")
    tracks = start.get("tracks")
    return Start(
        stream_sid,
        call_sid,
        account_sid,
        media_format,
        tuple(str(track)[:40] for track in tracks[:4]) if isinstance(tracks, list) else (),
        parameters,
    )


# ---- shared with the carrier's half ----


def parse(text: str | bytes) -> dict[str, Any]:
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise WireError(f"not JSON: {error}") from None
    if not isinstance(message, dict):
        raise WireError(f"not a JSON object but {type(message).__name__}")
    return message


def write(message: dict[str, Any]) -> str:
    return orjson.dumps(message).decode()


def audio(payload: str) -> bytes:
    try:
        ulaw = pybase64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise WireError("media payload is not base64") from None
    if not ulaw:
        raise WireError("media payload is empty")
    return ulaw


def _milliseconds(value: object) -> int | None:
    """The timestamp, which Twilio sends as text. None for anything that is not a whole number of milliseconds."""
    if isinstance(value, str):
        return int(value) if len(value) < 16 and value.isdecimal() and value.isascii() else None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15:
        return value
    return None


def _is_sid(text: str) -> bool:
    """SIDs go back out in JSON that is written by hand, and into logs: only plain ones pass."""
    return text.isascii() and text.isalnum() and len(text) <= 64
