"""Twilio's half of Media Streams: reads what a server sends, to the letter, and writes what Twilio says. Pure."""

from base64 import b64encode
from dataclasses import dataclass
from typing import Final

from agents.mulaw import FRAME_BYTES
from channels.media_streams import Start, WireError, audio, parse, write

HEADERS: Final = (b"RIFF", b".snd", b"OggS", b"ID3")
"""What files of audio begin with, and mu-law does not: Twilio plays it, as noise."""

MAX_MARK_NAME_CHARS: Final = 1000
"""Twilio documents no limit; names that are longer would be kept, by the thousand, until they are reached."""


@dataclass(frozen=True, slots=True)
class Play:
    stream_sid: str
    ulaw: bytes


@dataclass(frozen=True, slots=True)
class MarkRequest:
    stream_sid: str
    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    stream_sid: str


ToTwilio = Play | MarkRequest | Clear


def decode(text: str | bytes) -> ToTwilio:
    """One message to Twilio, held to the letter. Raises WireError, with the reason, where Twilio would warn.

    Stricter than Twilio: audio must be whole 20 ms frames, because the player clicks on others, and no file; names of
    marks may not be endless.
    """
    if isinstance(text, bytes):
        raise WireError("binary frame (Twilio warning 31950)")
    message = parse(text)
    match message:
        case {"event": "media", "streamSid": str(sid), "media": {"payload": str(payload)} as media, **extra}:
            if extra or len(media) > 1:
                raise WireError(f"extra field in media (31951): {sorted([*extra, *media])}")
            ulaw = audio(payload)
            if len(ulaw) % FRAME_BYTES:
                raise WireError(f"media of {len(ulaw)} bytes is not whole frames of {FRAME_BYTES}")
            if ulaw.startswith(HEADERS):
                raise WireError(f"media begins with the header of a file: {ulaw[:4]!r}")
            return Play(sid, ulaw)
        case {"event": "mark", "streamSid": str(sid), "mark": {"name": str(name)} as mark, **extra} if name:
            if extra or len(mark) > 1:
                raise WireError(f"extra field in mark (31951): {sorted([*extra, *mark])}")
            if len(name) > MAX_MARK_NAME_CHARS:
                raise WireError(f"a mark's name has {len(name)} characters, more than {MAX_MARK_NAME_CHARS}")
            return MarkRequest(sid, name)
        case {"event": "clear", "streamSid": str(sid), **extra}:
            if extra:
                raise WireError(f"extra field in clear (31951): {sorted(extra)}")
            return Clear(sid)
    raise WireError(f"not a message that Twilio knows (31951): {str(message)[:120]}")


def tell_connected() -> str:
    return write({"event": "connected", "protocol": "Call", "version": "1.0.0"})


def tell_start(start: Start, sequence: int) -> str:
    encoding, rate, channels = start.media_format
    return write(
        {
            "event": "start",
            "sequenceNumber": str(sequence),
            "start": {
                "accountSid": start.account_sid,
                "streamSid": start.stream_sid,
                "callSid": start.call_sid,
                "tracks": list(start.tracks),
                "mediaFormat": {"encoding": encoding, "sampleRate": rate, "channels": channels},
                "customParameters": dict(start.parameters),
            },
            "streamSid": start.stream_sid,
        }
    )


def tell_media(stream_sid: str, sequence: int, chunk: int, timestamp_ms: int, ulaw: bytes) -> str:
    return write(
        {
            "event": "media",
            "sequenceNumber": str(sequence),
            "media": {
                "track": "inbound",
                "chunk": str(chunk),
                "timestamp": str(timestamp_ms),
                "payload": b64encode(ulaw).decode("ascii"),
            },
            "streamSid": stream_sid,
        }
    )


def tell_dtmf(stream_sid: str, sequence: int, digit: str) -> str:
    return write(
        {
            "event": "dtmf",
            "streamSid": stream_sid,
            "sequenceNumber": str(sequence),
            "dtmf": {"track": "inbound_track", "digit": digit},
        }
    )


def tell_mark(stream_sid: str, sequence: int, name: str) -> str:
    return write({"event": "mark", "sequenceNumber": str(sequence), "streamSid": stream_sid, "mark": {"name": name}})


def tell_stop(start: Start, sequence: int) -> str:
    return write(
        {
            "event": "stop",
            "sequenceNumber": str(sequence),
            "stop": {"accountSid": start.account_sid, "callSid": start.call_sid},
            "streamSid": start.stream_sid,
        }
    )
