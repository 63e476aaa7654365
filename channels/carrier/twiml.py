"""Reads the part of TwiML that the simulated carrier runs: text -> frozen verbs. Pure."""

from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree

from channels.carrier.twiml_attributes import (
    TwimlError,
    content,
    flag,
    is_posted,
    keys,
    pressed,
    seconds,
    whole,
    words,
    wrong,
)
from channels.carrier.twiml_dial import read_dial
from channels.carrier.twiml_verbs import (
    Connect,
    Gather,
    Hangup,
    NotSimulated,
    Pause,
    Play,
    PlayDigits,
    Record,
    Redirect,
    Reject,
    Say,
    Stream,
    Verb,
)

MAX_PARAMETER_CHARS: Final = 500
"""Twilio's limit for the name and value of one `<Parameter>` together."""

AUTO_SPEECH_S: Final = 1.0
"""About the pause by which Twilio takes words for complete when it is left to it."""

MAX_HINT_CHARS: Final = 50_000
"""Of `<Gather hints>`: 500 phrases of 100 characters."""

LONGEST_RECORDING_S: Final = 3600
"""Of `<Record>`, unless it says otherwise."""


def parse(text: str | bytes) -> tuple[Verb, ...]:
    """Reads a document. Raises TwimlError for what is not TwiML."""
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # the last two are of strange encodings
        raise TwimlError(f"not XML (12100): {error}") from None
    if root.tag != "Response":
        raise TwimlError(f"TwiML begins with <{root.tag}>, not <Response> (12100)")
    return tuple(_verb(element) for element in root)


def _verb(element: ElementTree.Element) -> Verb:
    if not is_posted(element):
        return NotSimulated(f"<{element.tag} method={element.get('method')!r}>")
    match element.tag:
        case "Connect":
            return _connect(element)
        case "Say" | "Play" | "Pause":
            return _prompt(element)
        case "Gather":
            return _gather(element)
        case "Record":
            return _record(element)
        case "Dial":
            return read_dial(element)
        case "Redirect":
            return Redirect((element.text or "").strip())
        case "Hangup":
            return Hangup()
        case "Reject":
            return _reject(element)
        case "Start":
            return _start(list(element))
    return NotSimulated(f"<{element.tag}>")


def _reject(element: ElementTree.Element) -> Reject:
    reason = element.get("reason", "rejected")
    if reason not in ("rejected", "busy"):
        raise wrong(element, "reason", "rejected or busy", None)
    return Reject(reason)


def _prompt(element: ElementTree.Element) -> Say | Play | PlayDigits | Pause:
    match element.tag:
        case "Say":
            return Say(content(element), whole(element, "loop", 1, 13510, least=0))
        case "Pause":
            return Pause(seconds(element, "length", "1"))
    if "digits" in element.attrib:
        return PlayDigits(pressed(element, "digits", 13430))
    if not content(element):
        raise TwimlError("<Play> has neither an address nor digits")
    return Play(content(element), whole(element, "loop", 1, 13410, least=0))


def _gather(element: ElementTree.Element) -> Gather | NotSimulated:
    takes = words(element, "input", "dtmf", frozenset({"dtmf", "speech"}), 13326)
    if "partialResultCallback" in element.attrib:
        return NotSimulated("<Gather partialResultCallback>")
    if len(element.get("hints", "")) > MAX_HINT_CHARS:
        raise TwimlError(f"<Gather hints> is longer than {MAX_HINT_CHARS} characters")
    for child in element:
        if child.tag not in ("Say", "Play", "Pause"):
            raise TwimlError(f"<Gather> has a <{child.tag}> in it (13320)")
    return Gather(
        prompts=tuple(_prompt(child) for child in element),
        num_digits=whole(element, "numDigits", 0, 13314) or None,
        finish_on_key=keys(element, "finishOnKey", "#", 13310, most=1),
        timeout_s=whole(element, "timeout", 5, 13313),
        action=element.get("action"),
        asks_when_empty=flag(element, "actionOnEmptyResult", 13338),
        takes_keys="dtmf" in takes,
        takes_speech="speech" in takes,
        speech_timeout_s=_speech_timeout(element),
    )


def _speech_timeout(element: ElementTree.Element) -> float | None:
    match element.get("speechTimeout"):
        case None:
            return None
        case "auto":
            return AUTO_SPEECH_S
    return whole(element, "speechTimeout", 0, 0)


def _record(element: ElementTree.Element) -> Record | NotSimulated:
    if not is_posted(element, "recordingStatusCallbackMethod"):
        return NotSimulated("<Record> whose recordingStatusCallbackMethod is not POST")
    if flag(element, "transcribe", 13614):
        return NotSimulated("<Record transcribe='true'>")
    flag(element, "playBeep", 13616, default=True)
    return Record(
        finish_on_key=keys(element, "finishOnKey", "1234567890*#", 13613, most=12),
        timeout_s=whole(element, "timeout", 5, 13611),
        max_length_s=whole(element, "maxLength", LONGEST_RECORDING_S, 13612),
        action=element.get("action"),
        status_callback=element.get("recordingStatusCallback"),
    )


def _start(nouns: Sequence[ElementTree.Element]) -> NotSimulated:
    if any(noun.tag == "Stream" for noun in nouns):
        return NotSimulated(
            "<Start><Stream>", "a stream that only listens and cannot speak to the caller; <Connect><Stream> can"
        )
    return NotSimulated("".join(["<Start>", *(f"<{noun.tag}>" for noun in nouns)]))


def _connect(element: ElementTree.Element) -> Connect | NotSimulated:
    match list(element):
        case [noun] if noun.tag == "Stream":
            if not is_posted(noun, "statusCallbackMethod"):
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
        raise wrong(noun, "track", "inbound_track, the only one that can be connected", 31941)
    parameters = {}
    for child in noun:
        name, value = child.get("name"), child.get("value")
        if child.tag != "Parameter" or name is None or value is None:
            raise TwimlError(f"<Stream> has a <{child.tag}> that is not a <Parameter> with name and value")
        if len(name) + len(value) >= MAX_PARAMETER_CHARS:
            raise TwimlError(f"<Parameter name={name[:40]!r}> is not under {MAX_PARAMETER_CHARS} characters")
        parameters[name] = value
    return Stream(url, noun.get("name"), noun.get("statusCallback"), parameters)
