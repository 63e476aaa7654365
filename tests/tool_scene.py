"""What scenes about tools are made of: responses that call them, and what came of it."""

from typing import Any

from agents.events import ResponseCreated, ResponseDone, ToolCall
from tests.scene import Scene


def called(*names: str, response_id: str = "r1") -> list[Any]:
    """A response that calls tools, each under its own name as id, and says nothing."""
    calls = [ToolCall(response_id, name, name, "{}") for name in names]
    return [ResponseCreated(response_id), *calls, ResponseDone(response_id, "completed")]


def told(call: Scene, kind: str) -> list[Any]:
    """The session's events of one kind from now on."""
    events: list[Any] = []
    call.session.on(kind, events.append)
    return events
