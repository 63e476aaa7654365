"""The forms of Twilio's REST API, read as strictly as Twilio reads them: fields -> frozen dataclasses. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from channels.carrier.account import Failure
from channels.carrier.address import is_web, split
from channels.carrier.call_recording import RECORDING_EVENTS
from channels.carrier.live_call import Fetch, Given
from channels.carrier.machine import Detection
from channels.carrier.outbound import DETECTION_S
from channels.carrier.pace import LONGEST_CALL_S
from channels.carrier.twiml_attributes import MAX_DIGITS
from channels.carrier.twiml_dial import CALL_EVENTS

RING_S: Final = 60
MOST_RING_S: Final = 600
MAX_TWIML_CHARS: Final = 4000
MAX_MESSAGE_CHARS: Final = 1600

INVALID: Final = 20001
"""The code of a field that is wrong and has no code of its own."""

_ADDRESS: Final = re.compile(r"\+[1-9][0-9]{6,14}|client:.+|sips?:.+@.+")
_DIGITS: Final = re.compile(r"[0-9A-D*#wW]{1,32}")
_NO_EFFECT: Final = frozenset(
    {
        *("MachineDetectionSpeechThreshold", "MachineDetectionSpeechEndThreshold"),
        *("MachineDetectionSilenceTimeout", "CallReason", "CallerId", "CallToken"),
    }
)
"""Fields of a new call that change nothing that the simulation shows."""

Form = Mapping[str, Sequence[str]]


class RestError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(status, code, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What a live call is to do. `after` is its next document; None when it may go on as it is."""

    status: Literal["completed", "canceled"] | None
    after: Fetch | Given | None
    time_limit_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCall:
    """A call to place. `amd_callback` gets the verdict of machine detection when that is not waited for.

    `fallback_url` is asked for TwiML where another address has none.
    """

    to: str
    sender: str
    first: Fetch | Given
    fallback_url: str | None
    timeout_s: int
    time_limit_s: int
    status_callback: str | None
    status_events: frozenset[str]
    send_digits: str = field(repr=False)
    detection: Detection | None
    detection_timeout_s: int
    amd_callback: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecording:
    channels: int
    status_callback: str | None
    status_events: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    to: str
    sender: str
    body: str
    media_urls: tuple[str, ...]
    status_callback: str | None


def read_update(form: Form) -> Update:
    """Raises RestError, as all of these functions do, for what Twilio would refuse or this cannot simulate."""
    _refuse_others(form, {"Status", "Url", "Method", "Twiml", "TimeLimit"})
    status: Literal["completed", "canceled"] | None = None
    match _one(form, "Status"):
        case "completed" | "canceled" as known:
            status = known
        case str(other):
            raise RestError(400, INVALID, f"Status is {other!r}, not completed or canceled")
    if "Url" in form and "Twiml" in form:
        raise RestError(400, INVALID, "Url and Twiml exclude each other")
    update = Update(
        status=status,
        after=_document(form) if "Url" in form or "Twiml" in form else None,
        time_limit_s=_whole(form, "TimeLimit", most=24 * 3600, code=INVALID),
    )
    if update == Update(status=None, after=None, time_limit_s=None):
        raise RestError(400, INVALID, "there is nothing to update: give Status, Url, Twiml or TimeLimit")
    return update


def read_new_call(form: Form) -> NewCall:
    known = {"To", "From", "Url", "Method", "Twiml", "Timeout", "TimeLimit", "SendDigits", "MachineDetection"}
    known |= {"StatusCallback", "StatusCallbackMethod", "StatusCallbackEvent"}
    known |= {"AsyncAmd", "AsyncAmdStatusCallback", "AsyncAmdStatusCallbackMethod", "MachineDetectionTimeout"}
    known |= {"FallbackUrl", "FallbackMethod"}
    _refuse_others(form, known | _NO_EFFECT)
    to = _address(form, "To", missing=21201, invalid=21211)
    sender = _address(form, "From", missing=21213, invalid=21212)
    digits = _one(form, "SendDigits")
    if digits is not None and not _DIGITS.fullmatch(digits):
        raise RestError(400, 21206, f"SendDigits is {digits[:40]!r}, not up to 32 of 0-9 A-D * # w W")
    detection: Detection | None = None
    match _one(form, "MachineDetection"):
        case "Enable" | "DetectMessageEnd" as kind:
            detection = kind
        case str(other):
            raise RestError(400, INVALID, f"MachineDetection is {other!r}, not Enable or DetectMessageEnd")
    _refuse_get(form, "FallbackMethod")
    fallback_url = _one(form, "FallbackUrl")
    is_async = _one(form, "AsyncAmd") == "true"
    return NewCall(
        to=to,
        sender=sender,
        first=_document(form),
        fallback_url=None if fallback_url is None else _web(fallback_url, "FallbackUrl"),
        timeout_s=_whole(form, "Timeout", most=MOST_RING_S, code=21208) or RING_S,
        time_limit_s=_whole(form, "TimeLimit", most=24 * 3600, code=INVALID) or LONGEST_CALL_S,
        status_callback=_callback(form, "StatusCallback"),
        status_events=_events(form, "StatusCallbackEvent", CALL_EVENTS),
        send_digits=digits or "",
        detection=detection,
        detection_timeout_s=_whole(form, "MachineDetectionTimeout", most=59, code=INVALID) or DETECTION_S,
        amd_callback=_callback(form, "AsyncAmdStatusCallback") if is_async else None,
    )


def read_new_recording(form: Form) -> NewRecording:
    known = {"RecordingChannels", "RecordingTrack", "Trim"}
    known |= {"RecordingStatusCallback", "RecordingStatusCallbackMethod", "RecordingStatusCallbackEvent"}
    _refuse_others(form, known)
    channels = _one(form, "RecordingChannels") or "mono"
    if channels not in ("mono", "dual"):
        raise RestError(400, INVALID, f"RecordingChannels is {channels!r}, not mono or dual")
    return NewRecording(
        channels=2 if channels == "dual" else 1,
        status_callback=_callback(form, "RecordingStatusCallback"),
        status_events=_events(form, "RecordingStatusCallbackEvent", RECORDING_EVENTS),
    )


def read_recording_update(form: Form) -> tuple[Literal["paused", "in-progress", "stopped"], bool]:
    """The new status, and whether a pause keeps its time as silence."""
    _refuse_others(form, {"Status", "PauseBehavior"})
    match _one(form, "Status"):
        case "paused" | "in-progress" | "stopped" as status:
            return status, _one(form, "PauseBehavior") != "skip"
        case other:
            raise RestError(400, INVALID, f"Status is {other!r}, not paused, in-progress or stopped")


def read_new_message(form: Form) -> NewMessage:
    _refuse_others(form, {"To", "From", "MessagingServiceSid", "Body", "MediaUrl", "StatusCallback", "ValidityPeriod"})
    to = _address(form, "To", missing=21604, invalid=21211)
    service = _one(form, "MessagingServiceSid")
    sender = service or _address(form, "From", missing=21603, invalid=21212)
    body, media_urls = _one(form, "Body") or "", tuple(form.get("MediaUrl", ()))
    if not (body or media_urls):
        raise RestError(400, 21602, "Message body is required.")
    if len(body) > MAX_MESSAGE_CHARS:
        raise RestError(400, 21617, f"The message body exceeds the {MAX_MESSAGE_CHARS} character limit.")
    return NewMessage(
        to=to, sender=sender, body=body, media_urls=media_urls, status_callback=_callback(form, "StatusCallback")
    )


# ---- fields ----


def _one(form: Form, name: str) -> str | None:
    """A field's last value, as Twilio takes it; None for a blank one."""
    return form[name][-1] or None if form.get(name) else None


def _refuse_others(form: Form, known: set[str] | frozenset[str]) -> None:
    if others := sorted(form.keys() - known):
        raise RestError(400, INVALID, f"not simulated: {', '.join(others)}")


def _document(form: Form) -> Fetch | Given:
    """TwiML itself, or where it is fetched; of both, Twilio takes the address."""
    url, text = _one(form, "Url"), _one(form, "Twiml")
    if url is None and text is None:
        raise RestError(400, 21205, "Url parameter is required.")
    if url is None and text is not None:
        if len(text) > MAX_TWIML_CHARS:
            raise RestError(400, INVALID, f"Twiml is longer than {MAX_TWIML_CHARS} characters")
        return Given(text)
    _refuse_get(form, "Method")
    return Fetch(_web(url or "", "Url"))


def _callback(form: Form, name: str) -> str | None:
    url = _one(form, name)
    _refuse_get(form, f"{name}Method")
    return None if url is None else _web(url, name)


def _web(url: str, name: str) -> str:
    if not is_web(url) or "_" in (split(url).hostname or ""):
        raise RestError(400, 21205, f"{name} is not a valid URL: {url[:100]}")
    return url


def _refuse_get(form: Form, name: str) -> None:
    match (_one(form, name) or "POST").upper():
        case "POST":
            return
        case "GET":
            raise RestError(400, INVALID, f"not simulated: {name}=GET")
    raise RestError(400, 21209, f"{name} is not GET or POST")


def _address(form: Form, name: str, *, missing: int, invalid: int) -> str:
    address = _one(form, name)
    if address is None:
        raise RestError(400, missing, f"No '{name}' number is specified")
    if not _ADDRESS.fullmatch(address):
        raise RestError(400, invalid, f"The '{name}' number {address[:40]} is not a valid phone number.")
    return address


def _whole(form: Form, name: str, *, most: int, code: int) -> int | None:
    text = _one(form, name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS and 1 <= int(text) <= most):
        raise RestError(400, code, f"{name} is {text[:40]!r}, not a whole number from 1 to {most}")
    return int(text)


def _events(form: Form, name: str, allowed: frozenset[str]) -> frozenset[str]:
    events = frozenset(event for value in form.get(name, ()) for event in value.split()) or frozenset({"completed"})
    if others := sorted(events - allowed):
        raise RestError(400, 21626, f"{name} has {', '.join(others)}, which is none of {', '.join(sorted(allowed))}")
    return events
