"""What observers are told of what a model says. Pure."""

from agents.events import (
    ModelStep,
    Raw,
    RawEvent,
    ServerEvent,
    SessionEvent,
    Text,
    TextOutput,
    Transcript,
    TranscriptInput,
    TranscriptOutput,
)


def report(event: ServerEvent) -> SessionEvent | None:
    """What a session tells of it; None of what other parts of it tell, or nobody needs."""
    match event:
        case TranscriptInput(item_id, text):
            return Transcript("user", item_id, text)
        case TranscriptOutput(_, item_id, text):
            return Transcript("assistant", item_id, text)
        case TextOutput(_, item_id, text):
            return Text(item_id, text)
        case RawEvent(type_, payload):
            return Raw(type_, payload)
        case ModelStep():
            return event
        case _:
            return None
