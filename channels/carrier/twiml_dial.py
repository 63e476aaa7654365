"""Reads `<Dial>` and the nouns in it: whom to ring, for how long, and what they are told first. Pure."""

import re
from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element

from channels.carrier.pace import LONGEST_CALL_S
from channels.carrier.twiml_attributes import (
    TwimlError,
    content,
    flag,
    is_posted,
    pressed,
    whole,
    words,
)
from channels.carrier.twiml_verbs import Conference, Dial, NotSimulated, Noun

RING_S: Final = 30
"""How long `<Dial>` lets it ring, unless it says otherwise."""

MOST_NOUNS: Final = 10
"""So many may be rung at once."""

CALL_EVENTS: Final = frozenset({"initiated", "ringing", "answered", "completed"})
"""What a status callback of a call may be asked to tell."""

_NUMBER: Final = re.compile(r"\+?[0-9() .\-]*[0-9][0-9() .\-]*")
MAX_ROOM_CHARS: Final = 128
"""Of the name of a conference."""

_CONFERENCE: Final = frozenset(
    {
        *("startConferenceOnEnter", "endConferenceOnExit", "waitUrl", "waitMethod", "muted", "beep"),
        *("maxParticipants", "participantLabel", "method", "statusCallbackMethod"),
    }
)
"""What a conference may be told; who asks to be told of it, or records it, needs more than is simulated."""

_NOT_SIMULATED: Final = frozenset({"Queue", "Sim", "Application", "WhatsApp"})


def read_dial(element: Element) -> Dial | NotSimulated:
    """Raises TwimlError for what Twilio would not dial."""
    flag(element, "answerOnBridge", 13219)
    flag(element, "hangupOnStar", 13213)
    if flag(element, "sequential", 13218):
        return NotSimulated("<Dial sequential='true'>")
    if element.get("record", "do-not-record") not in ("do-not-record", "false"):
        return NotSimulated(f"<Dial record={element.get('record')!r}>")
    if "referUrl" in element.attrib:
        return NotSimulated("<Dial referUrl>")
    nouns = _nouns(element)
    if isinstance(nouns, NotSimulated):
        return nouns
    return Dial(
        nouns=nouns,
        action=element.get("action"),
        timeout_s=whole(element, "timeout", RING_S, 13212),
        time_limit_s=whole(element, "timeLimit", LONGEST_CALL_S, 13216),
        caller_id=element.get("callerId"),
    )


def _nouns(element: Element) -> tuple[Noun, ...] | Conference | NotSimulated:
    children: Sequence[Element] = list(element)
    if not children:
        return (_number(element, content(element)),)
    if len(children) > MOST_NOUNS:
        raise TwimlError(f"<Dial> has {len(children)} nouns in it; at most {MOST_NOUNS} can be rung at once")
    for child in children:
        if child.tag in _NOT_SIMULATED:
            return NotSimulated(f"<Dial><{child.tag}>")
        if not (is_posted(child) and is_posted(child, "statusCallbackMethod")):
            return NotSimulated(f"<Dial><{child.tag}> with another method than POST")
    match children:
        case [child] if child.tag == "Conference":
            return _conference(child)
    return tuple(_noun(child) for child in children)


def _conference(child: Element) -> Conference | NotSimulated:
    if others := sorted(child.attrib.keys() - _CONFERENCE):
        return NotSimulated(f"<Conference {' '.join(others)}>")
    if not is_posted(child, "waitMethod"):
        return NotSimulated("<Conference> whose waitMethod is not POST")
    if flag(child, "muted", 0):
        return NotSimulated("<Conference muted='true'>")
    if not 0 < len(content(child)) <= MAX_ROOM_CHARS:
        raise TwimlError(f"<Conference> has no name of at most {MAX_ROOM_CHARS} characters (13237)")
    words(child, "beep", "true", frozenset({"true", "false", "onEnter", "onExit"}), None)
    whole(child, "maxParticipants", 250, 0)
    return Conference(
        content(child),
        starts=flag(child, "startConferenceOnEnter", 0, default=True),
        ends=flag(child, "endConferenceOnExit", 0),
        wait_url=child.get("waitUrl"),
    )


def _noun(child: Element) -> Noun:
    match child.tag:
        case "Number":
            return _number(child, content(child))
        case "Sip":
            if not content(child).lower().startswith(("sip:", "sips:")):
                raise TwimlError(f"<Sip> {content(child)[:40]!r} is not a SIP address (13243)")
            return Noun("Sip", content(child), *_told(child, 13242))
        case "Client":
            identity = child.findtext("Identity", child.text or "").strip()
            if not identity:
                raise TwimlError("<Client> has no identity")
            return Noun("Client", f"client:{identity}", *_told(child, 13222))
    raise TwimlError(f"<Dial> has a <{child.tag}> in it (13215)")


def _number(element: Element, number: str) -> Noun:
    if not _NUMBER.fullmatch(number):
        raise TwimlError(f"<Dial> rings {number[:40]!r}, which is not a telephone number (13223)")
    return Noun("Number", number) if element.tag == "Dial" else Noun("Number", number, *_told(element, 13222))


def _told(child: Element, digits_code: int) -> tuple[str | None, str, str | None, frozenset[str]]:
    """A noun's whisper, digits and status callback."""
    return (
        child.get("url"),
        pressed(child, "sendDigits", digits_code),
        child.get("statusCallback"),
        words(child, "statusCallbackEvent", "completed", CALL_EVENTS, 21626),
    )
