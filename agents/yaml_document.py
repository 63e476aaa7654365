"""Parses one YAML file strictly into plain values that know their lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from agents.allowed import FieldPath
from agents.errors import Problem

MAX_BYTES: Final = 256 * 1024
"""An agent's file is a few KiB; a larger one is a mistake, and slow to parse."""

MAX_DEPTH: Final = 24
"""Blocks inside blocks; our schemas need six, `provider_options` perhaps ten."""

MAX_VALUES: Final = 20_000
"""Values in one file with its aliases written out: a few lines of aliases can otherwise stand for billions."""

FOUND_LENGTH: Final = 60
"""Characters of a value that a message repeats."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


def parse(path: Path) -> "tuple[Document | None, list[Problem]]":
    """The file's values with their lines, before any schema; or None and what stops it from being read."""
    text, problems = _text(path)
    if text is None:
        return None, problems
    builder = _Builder(path, text)
    try:
        root = builder.root()
    except _Unreadable as stop:
        return None, [*builder.problems, stop.problem]
    return (None, builder.problems) if builder.problems else (Document(path, root), [])


@dataclass(slots=True)
class _Node:
    """A value of the file; `line` is that of its name, or of its place in a list. `written` is a scalar's source."""

    line: int
    plain: Plain
    written: str = ""
    children: dict[str | int, "_Node"] = field(default_factory=dict)
    size: int = 1


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed file: plain values, and the line where each was written."""

    file: Path
    root: _Node

    def problem(self, path: FieldPath, right: str, found: str | None = None) -> Problem:
        """A problem with the value at the path, at its line; where it is missing, at the line of its parent."""
        return Problem(self.file, self._nearest(path).line, dotted(path), found or self.found(path), right)

    def found(self, path: FieldPath) -> str:
        """What stands at the path, shortened, with what looks like a secret left out; or "nothing"."""
        return _shown(self._nearest(path)) if self.has(path) else "nothing"

    def has(self, path: FieldPath) -> bool:
        return len(self.existing(path)) == len(path)

    def existing(self, path: FieldPath) -> FieldPath:
        """The path without the parts that the file does not have, such as a validator's names for its branches."""
        node, kept = self.root, list[str | int]()
        for part in path:
            if part in node.children:
                node = node.children[part]
                kept.append(part)
        return tuple(kept)

    def plain(self, path: FieldPath) -> Plain:
        return self._nearest(path).plain

    def written(self, path: FieldPath) -> str:
        """The scalar at the path as the operator wrote it; empty for a list or block."""
        return self._nearest(path).written

    def _nearest(self, path: FieldPath) -> _Node:
        """The value at the path, or the innermost block around it that the file has."""
        node = self.root
        for part in path:
            if part not in node.children:
                break
            node = node.children[part]
        return node


def dotted(path: FieldPath) -> str:
    """The path as operators read it: `script.intents[2].answer`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{readable(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def readable(text: str) -> str:
    """The text on one line, cut to what a message repeats."""
    text = text if len(text) <= FOUND_LENGTH else f"{text[: FOUND_LENGTH - 1]}…"
    return text if text.isprintable() else repr(text)[1:-1]


def shortened(text: str) -> str:
    """The text in quotes, cut as well; of what looks like a key or token only its beginning."""
    if re.fullmatch(r"(?=.*\d)[A-Za-z0-9_-]{20,}", text):
        return f"'{text[:4]}…'"
    return repr(text if len(text) <= FOUND_LENGTH else f"{text[: FOUND_LENGTH - 1]}…")


def _shown(node: _Node) -> str:
    match node.plain:
        case str(text):
            return shortened(text)
        case [*items]:
            return f"a list of {len(items)}" if items else "an empty list"
        case dict(block):
            return f"a block with {readable(', '.join(block))}" if block else "an empty block"
        case _:
            return readable(node.written) or "nothing"


# ---- from bytes to values ----


class _Unreadable(Exception):
    """The rest of the file makes no sense after this problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def _text(path: Path) -> tuple[str | None, list[Problem]]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        return None, [Problem(path, None, "", (error.strerror or str(error)).lower(), "must be a file we may read")]
    if len(content) > MAX_BYTES:
        return None, [Problem(path, None, "", "a larger file", f"at most {MAX_BYTES // 1024} KiB are allowed")]
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return None, [Problem(path, line, "", "bytes that are not UTF-8", "save the file as UTF-8 text")]


class _Builder:
    """Builds values from YAML events by the rules of YAML 1.2's core schema, without tags and merges.

    Problems that leave the rest readable gather in `problems`; others raise _Unreadable.
    """

    def __init__(self, file: Path, text: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._text = text
        self._events: Iterator[Event] = YAML(typ="safe", pure=True).parse(text)
        self._anchors: dict[str, _Node] = {}
        self._left = MAX_VALUES

    def root(self) -> _Node:
        event = self._next()
        while not isinstance(event, (DocumentStartEvent, StreamEndEvent)):
            event = self._next()
        if isinstance(event, StreamEndEvent) or not isinstance(event := self._next(), MappingStartEvent):
            raise self._unreadable(event, (), "no fields", "must be one `name: value` or more, each on its line")
        root = self._node(event, ())
        self._next()
        if not isinstance(event := self._next(), StreamEndEvent):
            raise self._unreadable(event, (), "a second document after ---", "one file holds one document")
        return replace(root, line=1)

    def _node(self, event: Event, path: FieldPath) -> _Node:
        if len(path) > MAX_DEPTH:
            raise self._unreadable(event, (), "a block too deep", f"at most {MAX_DEPTH} blocks inside blocks")
        match event:
            case AliasEvent():
                node = self._anchored(event, path)
                return self._counted(event, node, node.size)
            case SequenceStartEvent():
                node = self._list(event, path)
            case MappingStartEvent():
                node = self._block(event, path)
            case ScalarEvent(value=str(value), style=style):
                node = _Node(_line(event), _scalar(value) if style is None else value, written=value)
            case _:
                raise AssertionError(f"no value begins with {event!r}")
        if _SURROGATE.search(node.written):
            self._note(event, path, "half of a character", "write the character itself, or its whole escape")
        if event.tag is not None:
            self._note(
                event, path, f"the tag {readable(str(event.tag))}", "remove the tag; quotes make text of a value"
            )
        if event.anchor:
            self._anchors[event.anchor] = node
        return self._counted(event, node, 1)

    def _counted(self, event: Event, node: _Node, values: int) -> _Node:
        self._left -= values
        if self._left < 0:
            raise self._unreadable(event, (), "too many values", f"at most {MAX_VALUES}, aliases written out")
        return node

    def _anchored(self, alias: AliasEvent, path: FieldPath) -> _Node:
        node = self._anchors.get(alias.anchor)
        if node is None:
            name = readable(alias.anchor)
            cure = f"no &{name} ends above this line; put a text that begins with * in quotes"
            raise self._unreadable(alias, path, f"*{name}", cure)
        return node

    def _list(self, start: Event, path: FieldPath) -> _Node:
        items: list[_Node] = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            items.append(replace(self._node(event, (*path, len(items))), line=_line(event)))
        return _Node(
            _line(start),
            [item.plain for item in items],
            children=dict(enumerate(items)),
            size=1 + sum(item.size for item in items),
        )

    def _block(self, start: Event, path: FieldPath) -> _Node:
        children: dict[str | int, _Node] = {}
        while not isinstance(key := self._next(), MappingEndEvent):
            name = self._name(key, path)
            here = (*path, name)
            child = replace(self._node(self._next(), here), line=_line(key))
            if name in children:
                right = f"{readable(name)} is already at line {children[name].line}; keep one of the two"
                self._note(key, here, "the same name again", right)
            if child.plain is None and not child.written and re.search(r":\s+#\s*$", self._line_at(child.line)):
                self._note(key, here, "a comment", 'put the sign in quotes: "#"')
            children[name] = child
        return _Node(
            _line(start),
            {str(name): child.plain for name, child in children.items()},
            children=children,
            size=1 + sum(child.size for child in children.values()),
        )

    def _name(self, key: Event, path: FieldPath) -> str:
        if not isinstance(key, ScalarEvent):
            cure = "a name must be text; put a text that begins with { or [ in quotes"
            raise self._unreadable(key, path, "a block, list or alias where a name belongs", cure)
        name: str = key.value
        plain = _scalar(name) if key.style is None else name
        if _SURROGATE.search(name):
            raise self._unreadable(key, path, "half of a character", "write the character itself, or its whole escape")
        if not isinstance(plain, str):
            is_number = isinstance(plain, (int, float)) and not isinstance(plain, bool)
            kind = "number" if is_number else "name"
            self._note(key, (*path, name), name or "an empty name", f'put the {kind} in quotes: "{name}"')
        return name

    def _next(self) -> Event:
        try:
            return next(self._events)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = min(mark.line + 1, self._text.count("\n") + 1) if mark else None
            raise _Unreadable(self._syntax(line, str(error.problem or error.context))) from error
        except YAMLError as error:
            position = getattr(error, "position", 0)
            line = self._text.count("\n", 0, position) + 1
            raise _Unreadable(Problem(self._file, line, "", "a character YAML forbids", "delete it")) from error

    def _syntax(self, line: int | None, problem: str) -> Problem:
        written = self._line_at(line) if line else ""
        if re.search(r"(^|[:-] +)\{\{", written):
            cure = "put a text that begins with {{ in quotes"
        elif "mapping values are not allowed" in problem:
            cure = "put a text that holds a colon in quotes; or check the indentation"
        elif r"\t" in problem:
            cure = "indent with spaces, not with tabs"
        elif re.search(r"[:-] +[@`%*&!]", written):
            cure = "put a text that begins with a sign in quotes"
        else:
            cure = "check quotes, brackets, colons and indentation from here upwards"
        return Problem(self._file, line, "", f"broken YAML ({readable(problem.removeprefix('found '))})", cure)

    def _line_at(self, number: int) -> str:
        return self._text.split("\n")[number - 1]

    def _note(self, event: Event, path: FieldPath, found: str, right: str) -> None:
        self.problems.append(Problem(self._file, _line(event), dotted(path), found, right))

    def _unreadable(self, event: Event, path: FieldPath, found: str, right: str) -> _Unreadable:
        return _Unreadable(Problem(self._file, _line(event), dotted(path), found, right))


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1


def _scalar(written: str) -> Plain:
    """An unquoted value by YAML 1.2's core schema. Infinity, and numbers past 64 bits, have no JSON: they stay text."""
    if written in ("", "~", "null", "Null", "NULL"):
        return None
    if written.lower() in ("true", "false") and written in (written.lower(), written.title(), written.upper()):
        return written.lower() == "true"
    if re.fullmatch(r"[-+]?[0-9]{1,18}", written):
        return int(written)
    if re.fullmatch(r"0o[0-7]{1,20}|0x[0-9a-fA-F]{1,15}", written):
        return int(written, 0)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,2})?", written) and len(written) < 40:
        return float(written)
    return written
