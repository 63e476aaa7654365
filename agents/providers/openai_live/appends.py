"""Text for a live model: what it should say, know or obey, in pieces that it takes."""

from collections.abc import Iterator
from typing import Final, Literal

from agents.events import ItemCreate, ResponseCreate
from agents.providers.wire_json import JsonObject

MAX_APPEND_BYTES: Final = 1_200
"""The longest piece: 500 tokens, where a token of any language is two and a half bytes or more."""

SAY: Final = "Say exactly the following words to the caller now, all of them and no others:\n"
SAY_ON: Final = "Go on with exactly the following words:\n"
ASK: Final = "Reply to the caller now, without waiting for them to speak."
TYPED: Final = "The caller wrote this instead of saying it:\n"
SAID: Final = "You said this to the caller before:\n"

Kind = Literal["commentary", "instructions", "thinking"]
"""What the model makes of a text: it speaks of it at once, obeys it from now on, or knows it."""


def append(
    kind: Kind, text: str, event_id: str | None = None, delegation_id: str | None = None
) -> Iterator[JsonObject]:
    """The messages of a text. Those after the first have ids of their own, which `asked_by` leads back."""
    for number, piece in enumerate(_pieces(text, MAX_APPEND_BYTES)):
        message: JsonObject = {"type": f"session.{kind}.append", "content": piece, "delegation_id": delegation_id}
        if event_id is not None:
            message["event_id"] = event_id if number == 0 else f"{event_id}#{number}"
        yield message


def message(event: ItemCreate) -> Iterator[JsonObject]:
    """A message of the conversation, which asks for nothing."""
    match event.role:
        case "user":
            return append("thinking", TYPED + event.text)
        case "assistant":
            return append("thinking", SAID + event.text)
        case "system":
            return append("instructions", event.text)


def request(event: ResponseCreate) -> Iterator[JsonObject]:
    """What makes the model speak: it speaks of commentary at once, and does what commentary asks of it."""
    if event.say is None:
        yield from append("commentary", "\n\n".join(filter(None, (ASK, event.instructions))), event.event_id)
        return
    if event.instructions:
        yield from append("thinking", event.instructions)
    for number, piece in enumerate(_pieces(event.say, MAX_APPEND_BYTES - len(SAY))):
        event_id = event.event_id if number == 0 else f"{event.event_id}#{number}"
        yield from append("commentary", (SAY_ON if number else SAY) + piece, event_id)


def asked_by(event_id: str) -> str:
    """The request's own id, of that of any of its messages."""
    return event_id.partition("#")[0]


def _pieces(text: str, size: int) -> Iterator[str]:
    """The text in pieces of at most so many bytes, cut between words where there are any."""
    while len(text.encode("utf-8", "replace")) > size:
        head = text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")
        cut = max(head.rfind(" "), head.rfind("\n")) + 1 or len(head)
        yield head[:cut].strip() or head
        text = text[cut:]
    if text.strip():
        yield text
