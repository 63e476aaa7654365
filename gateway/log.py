"""Log lines with the call they belong to: text for people, JSON for machines; never audio, secrets or whole numbers."""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final, Literal

current_call: Final[ContextVar[str]] = ContextVar("call", default="")
"""The CallSid of the call that the running task serves."""

MAX_MESSAGE_CHARS: Final = 2000
"""What others send and a log line quotes may be long; more than this of a message tells nobody more."""

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def set_up(level: str, style: Literal["text", "json"], worker: int | None = None) -> None:
    """Sends every log line to standard error, once. `extra` fields of a record follow its message.

    `worker` is which of several processes this is; each of its lines says so.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(worker) if style == "json" else _Text(worker))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("websockets", "uvicorn.error", "uvicorn.access", "aiohttp", "httpx2", "mcp"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))


def masked(number: str) -> str:
    """A number or address of which only the last digits show: enough to find a call, too little to ring back."""
    tail = "".join(letter if letter.isprintable() else "?" for letter in number[-3:])
    return f"…{tail}" if len(number) > 6 else "…"


class _Text(logging.Formatter):
    def __init__(self, worker: int | None) -> None:
        super().__init__()
        self._worker = [f"w{worker}"] if worker else []

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        call = current_call.get()
        words = [time, record.levelname.lower(), *self._worker, *([call[:10]] if call else []), _message(record)]
        words += [f"{name}={value}" for name, value in _extra(record).items()]
        if record.exc_info:
            words.append("\n" + self.formatException(record.exc_info))
        return " ".join(words)


class _Json(logging.Formatter):
    def __init__(self, worker: int | None) -> None:
        super().__init__()
        self._worker = {"worker": worker} if worker else {}

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        line |= self._worker
        if current_call.get():
            line["call"] = current_call.get()
        line |= _extra(record)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _message(record: logging.LogRecord) -> str:
    message = record.getMessage()
    return message if len(message) <= MAX_MESSAGE_CHARS else f"{message[:MAX_MESSAGE_CHARS]}…"


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}
