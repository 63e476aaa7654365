"""What Gemini Live is told in words: messages, notes, and what was said before."""

from collections.abc import Sequence

from agents.providers.wire_json import JsonObject
from agents.realtime import Past, PastMessage


def user(text: str) -> JsonObject:
    return {"role": "user", "parts": [{"text": text}]}


def note(text: str) -> JsonObject:
    """Something that the model should know and that the caller did not say: the wire has no role for it."""
    return user(f"(Note, not said by the caller: {text})")


def message_content(role: str, text: str) -> JsonObject:
    match role:
        case "assistant":
            return {"role": "model", "parts": [{"text": text}]}
        case "system":
            return note(text)
        case _:
            return user(text)


def history_contents(history: Sequence[Past]) -> list[JsonObject]:
    """What was said before, in order. Calls of tools are told in words: the wire ties real ones to its own session."""
    contents = []
    for past in history:
        if isinstance(past, PastMessage):
            if past.text.strip():
                contents.append(message_content(past.role, past.text))
            continue
        answer = "has not answered yet" if past.output is None else f"answered {past.output}"
        contents.append(note(f"the tool {past.name}, called with {past.arguments}, {answer}"))
    return contents
