"""Reads the attributes of TwiML's elements, as strictly as Twilio does: text -> values. Pure."""

import re
from typing import Final
from xml.etree.ElementTree import Element

from agents.errors import ChannelError

_PRESSED: Final = re.compile(r"[0-9A-D*#w]+")
"""What can be pressed towards the far end; `w` waits for half a second."""

MAX_DIGITS: Final = 9
"""Of a whole number: what is longer is no number of seconds, of keys or of repetitions."""

_METHOD_CODES: Final = {"Dial": 13210, "Number": 13221, "Gather": 13312, "Record": 13610, "Redirect": 13710}


class TwimlError(ChannelError):
    """A document that Twilio would not run. The message carries Twilio's error code where it has one."""


def is_posted(element: Element, name: str = "method") -> bool:
    """Whether this method is POST, as it is by default. Raises TwimlError for one that is no method."""
    method = element.get(name, "POST").upper()
    if method not in ("GET", "POST"):
        raise wrong(element, name, "GET or POST", _METHOD_CODES.get(element.tag))
    return method == "POST"


def whole(element: Element, name: str, default: int, code: int, *, least: int = 1) -> int:
    """A whole number. Raises TwimlError for another value, or one below `least`."""
    text = element.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS and int(text) >= least):
        raise wrong(element, name, f"a whole number from {least} on", code)
    return int(text)


def flag(element: Element, name: str, code: int, *, default: bool = False) -> bool:
    match element.get(name, str(default)).lower():
        case "true":
            return True
        case "false":
            return False
    raise wrong(element, name, "true or false", code)


def keys(element: Element, name: str, default: str, code: int, *, most: int) -> str:
    """At most `most` keys of a telephone; none at all is a value too."""
    text = element.get(name, default)
    if len(text) > most or set(text) - set("0123456789*#"):
        raise wrong(element, name, f"at most {most} of 0123456789*#", code)
    return text


def pressed(element: Element, name: str, code: int) -> str:
    """Digits to press towards the far end; empty when the attribute is not there."""
    text = element.get(name, "")
    if name in element.attrib and not _PRESSED.fullmatch(text):
        raise wrong(element, name, "of 0-9, A-D, *, # and w", code)
    return text


def words(element: Element, name: str, default: str, allowed: frozenset[str], code: int | None) -> frozenset[str]:
    """A list of words, separated by spaces."""
    found = frozenset(element.get(name, default).split())
    if not found or found - allowed:
        raise wrong(element, name, f"some of {', '.join(sorted(allowed))}", code)
    return found


def seconds(element: Element, name: str, default: str) -> float:
    """A length of time, 0 at least."""
    text = element.get(name, default)
    try:
        value = float(text)
    except ValueError:
        raise TwimlError(f"<{element.tag} {name}={text!r}> is not a number") from None
    return max(0.0, value)


def content(element: Element) -> str:
    return "".join(element.itertext()).strip()


def wrong(element: Element, name: str, right: str, code: int | None) -> TwimlError:
    """The error of an attribute that is not as Twilio wants it."""
    number = f" ({code})" if code else ""
    return TwimlError(f"<{element.tag} {name}={element.get(name, '')[:40]!r}> is not {right}{number}")
