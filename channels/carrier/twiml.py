"""The part of TwiML that the simulated carrier runs: text -> frozen verbs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

from agents.errors import ChannelError

MAX_PARAMETER_CHARS: Final = 500
"""Twilio's limit for the name and value of one `<Parameter>` together."""


class TwimlError(ChannelError):
    """A document that Twilio would not run. The message carries Twilio's error code where it has one."""


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
    text: str


@dataclass(frozen=True, slots=True)
class Pause:
    length_s: float


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


Verb = Connect | Say | Pause | Redirect | Hangup | Reject | NotSimulated


def parse(text: str | bytes) -> tuple[Verb, ...]:
    """Reads a document. Raises TwimlError for what is not TwiML."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise TwimlError(f"not XML (12100): {error}") from None
    if root.tag != "Response":
        raise TwimlError(f"TwiML begins with <{root.tag}>, not <Response> (12100)")
    return tuple(_verb(element) for element in root)


def _verb(element: ElementTree.Element) -> Verb:
    if element.get("method", "POST").upper() != "POST":
        return NotSimulated(f"<{element.tag} method={element.get('method')!r}>")
    match element.tag:
        case "Connect":
            return _connect(element)
        case "Say":
            return Say("".join(element.itertext()).strip())
        case "Pause":
            return Pause(_seconds(element.get("length", "1")))
        case "Redirect":
            return Redirect((element.text or "").strip())
        case "Hangup":
            return Hangup()
        case "Reject":
            return Reject(element.get("reason", "rejected"))
    return NotSimulated(f"<{element.tag}>")


def _connect(element: ElementTree.Element) -> Connect | NotSimulated:
    match list(element):
        case [noun] if noun.tag == "Stream":
            if noun.get("statusCallbackMethod", "POST").upper() != "POST":
                return NotSimulated("<Stream> whose statusCallbackMethod is not POST")
            return Connect(_stream(noun), element.get("action"))
        case [noun]:
            return NotSimulated(f"<Connect><{noun.tag}>")
        case nouns:
            raise TwimlError(f"<Connect> has {len(nouns)} nouns in it, not one")


def _stream(noun: ElementTree.Element) -> Stream:
    url = noun.get("url", "").strip()
    if not url:
        raise TwimlError("<Stream> has no url (31923)")
    if noun.get("track", "inbound_track") != "inbound_track":
        raise TwimlError(f"<Stream track={noun.get('track')!r}> cannot be connected (31941)")
    parameters = {}
    for child in noun:
        name, value = child.get("name"), child.get("value")
        if child.tag != "Parameter" or name is None or value is None:
            raise TwimlError(f"<Stream> has a <{child.tag}> that is not a <Parameter> with name and value")
        if len(name) + len(value) >= MAX_PARAMETER_CHARS:
            raise TwimlError(f"<Parameter name={name[:40]!r}> is not under {MAX_PARAMETER_CHARS} characters")
        parameters[name] = value
    return Stream(url, noun.get("name"), noun.get("statusCallback"), parameters)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise TwimlError(f"<Pause length={text!r}> is not a number") from None
    return max(0.0, seconds)
