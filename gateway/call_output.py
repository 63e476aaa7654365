"""How `voice-gateway call` shows calls: the conversation as it happens, a summary, JSON. Text in, text out.

Keys are counted and not shown, whoever pressed them: they may be a PIN, and what is printed stays in logs of tests.
"""

import statistics
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final, assert_never

from channels.carrier.report import (
    AgentBegan,
    AgentEnded,
    AgentHeard,
    CallEnded,
    CallerBegan,
    CallEvent,
    CallReport,
    CallUpdated,
    CarrierEvent,
    CarrierPlayed,
    CarrierSaid,
    DialBegan,
    DialEnded,
    DigitsGathered,
    DigitsSent,
    KeyPressed,
    MessageRecorded,
    StreamStarted,
    TroubleFound,
    WhisperHeard,
)

WIDTH: Final = 100
_LABEL_WIDTH: Final = 15

_KINDS: Final[dict[type[CarrierEvent], str]] = {
    CarrierPlayed: "played",
    DigitsSent: "digits-sent",
    DigitsGathered: "digits-gathered",
    MessageRecorded: "recorded",
    DialBegan: "dial-began",
    WhisperHeard: "whispered",
    DialEnded: "dial-ended",
    CallUpdated: "updated",
}

_ENDINGS: Final = {
    "caller": "the caller hung up",
    "agent": "the agent ended the call",
    "rejected": "the call was turned away",
    "unanswered": "nobody answered the call",
    "carrier-error": "the call failed",
}


def event_line(event: CallEvent) -> str:
    """One line of the conversation, with its time since dialling. A transcript has none: it is of earlier sound."""
    time = " " * 9 if isinstance(event, AgentHeard) else f"{event.at_ms / 1000:7.2f} s"
    return f"{time}  {_what(event)}"


def as_json(report: CallReport) -> dict[str, Any]:
    """One call as JSON has it. Times are milliseconds; null where there is nothing to tell."""
    return {
        "answer_ms": report.answer_ms,
        "greeting": report.greeting,
        "turns": [{"said": turn.said, "reply_ms": turn.reply_ms, "heard": turn.heard} for turn in report.turns],
        "frames_sent": report.frames_sent,
        "frames_received": report.frames_received,
        "marks": report.marks,
        "clears": report.clears,
        "playout_gaps": report.playout_gaps,
        "playout_gap_ms": report.playout_gap_ms,
        "lateness_p99_ms": report.lateness_p99_ms,
        "ended_by": report.ended_by,
        "duration_ms": report.duration_ms,
        "recording": report.recording,
        "carrier_said": list(report.carrier_said),
        "carrier_did": [{"what": _KINDS[type(event)], **_fields(event)} for event in report.carrier_did],
        "warnings": list(report.warnings),
        "errors": list(report.errors),
    }


def summary(report: CallReport) -> str:
    """One call as a table."""
    rows = [("answered", _seconds(report.answer_ms, "no sound came"))]
    if report.greeting:
        rows.append(("greeting", report.greeting))
    for number, turn in enumerate(report.turns, 1):
        rows.append((f"{number}. caller", turn.said or "(a recording)"))
        reply = _seconds(turn.reply_ms, "no reply came")
        rows.append((f"{number}. agent", f"{reply}{': ' if turn.heard else ''}{turn.heard or ''}"))
    rows += [("carrier said", text) for text in report.carrier_said]
    rows += [("carrier did", _deed(event)) for event in report.carrier_did]
    rows += [
        ("ended", f"{_ENDINGS[report.ended_by]} after {_seconds(report.duration_ms)}"),
        ("frames", f"{report.frames_sent} sent, {report.frames_received} received"),
        ("marks, clears", f"{report.marks}, {report.clears}"),
        ("playout gaps", _gaps([report])),
        ("our lateness", f"{report.lateness_p99_ms} ms (99 % of ticks were less)"),
    ]
    if report.recording:
        rows.append(("recording", report.recording))
    rows += [("warning", text) for text in report.warnings]
    rows += [("ERROR", text) for text in report.errors]
    return _table(rows)


def summary_of_all(reports: Sequence[CallReport]) -> str:
    """Many simultaneous calls as a table of medians."""
    replies = [turn.reply_ms for report in reports for turn in report.turns]
    rows = [
        ("calls", f"{len(reports)} placed, {sum(report.is_good for report in reports)} good"),
        ("answered", _spread(report.answer_ms for report in reports)),
        ("replies", _spread(replies)),
        ("ended by", ", ".join(f"{by} {n}" for by, n in Counter(report.ended_by for report in reports).most_common())),
        ("playout gaps", _gaps(reports)),
        ("our lateness", f"{max(report.lateness_p99_ms for report in reports)} ms (99 % of the latest call's ticks)"),
    ]
    rows += [("carrier said", f"{text} ({n} times)") for text, n in _counted(report.carrier_said for report in reports)]
    rows += [("warning", f"{text} ({n} times)") for text, n in _counted(report.warnings for report in reports)]
    rows += [("ERROR", f"{text} ({n} times)") for text, n in _counted(report.errors for report in reports)]
    return _table(rows)


def _what(event: CallEvent) -> str:
    match event:
        case StreamStarted():
            return "the line is open"
        case CallerBegan(_, _, said):
            return f"caller: {said or '(a recording)'}"
        case KeyPressed():
            return "caller presses a key"
        case AgentBegan():
            return "agent starts speaking"
        case AgentEnded(_, _, _, was_cleared):
            return "agent is interrupted" if was_cleared else "agent stops speaking"
        case AgentHeard(_, _, text):
            return f"agent: {text or '(no words)'}"
        case CarrierSaid(_, text):
            return f"carrier says: {text}"
        case TroubleFound(_, text):
            return f"ERROR: {text}"
        case CallEnded(_, by):
            return _ENDINGS[by]
        case deed:
            return _deed(deed)


def _deed(event: CarrierEvent) -> str:
    match event:
        case CarrierPlayed(_, url):
            return f"carrier plays {url}"
        case DigitsSent(_, digits):
            return f"carrier presses {_keys(digits)}"
        case DigitsGathered(_, digits, said):
            return f"carrier collected {_keys(digits)}" if said is None else f"carrier understood: {said}"
        case MessageRecorded(_, duration_ms, said):
            return f"carrier recorded {_seconds(duration_ms)}{': ' if said else ''}{said or ''}"
        case DialBegan(_, to):
            return f"carrier rings {to}"
        case WhisperHeard(_, to, text):
            return f"{to} alone hears: {text}"
        case DialEnded(_, to, status, talked_ms, joined_with):
            who = f" with {', '.join(joined_with)}" if joined_with else ""
            return f"{to}: {status}{f' after {_seconds(talked_ms)} of talk{who}' if talked_ms else ''}"
        case CallUpdated(_, what):
            return f"service, by REST: {what}"
    assert_never(event)


def _fields(event: CarrierEvent) -> dict[str, Any]:
    match event:
        case DigitsSent(at_ms, digits):
            return {"at_ms": at_ms, "keys": len(digits)}
        case DigitsGathered(at_ms, digits, said):
            return {"at_ms": at_ms, "keys": len(digits), "said": said}
    return asdict(event)


def _keys(digits: str) -> str:
    return f"{len(digits) or 'no'} key{'' if len(digits) == 1 else 's'}"


def _table(rows: Sequence[tuple[str, str]]) -> str:
    indent = " " * (_LABEL_WIDTH + 1)
    wrapped = [textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent) for _, text in rows]
    return "\n".join(f"{label:<{_LABEL_WIDTH}} {text.lstrip()}" for (label, _), text in zip(rows, wrapped, strict=True))


def _seconds(ms: int | None, none: str = "") -> str:
    return none if ms is None else f"{ms / 1000:.2f} s"


def _gaps(reports: Sequence[CallReport]) -> str:
    count, ms = sum(report.playout_gaps for report in reports), sum(report.playout_gap_ms for report in reports)
    return f"{count}, {ms} ms in all" if count else "none"


def _spread(times_ms: Iterable[int | None]) -> str:
    every = list(times_ms)
    known = [ms for ms in every if ms is not None]
    if not known:
        return "none"
    missing = f", {len(every) - len(known)} never came" if len(known) < len(every) else ""
    return f"median {_seconds(round(statistics.median(known)))}, slowest {_seconds(max(known))}{missing}"


def _counted(texts: Iterable[Sequence[str]]) -> list[tuple[str, int]]:
    return Counter(text for each in texts for text in each).most_common()
