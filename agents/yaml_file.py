"""Reads one YAML file as a spec: valid, or every problem with its line and its cure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from agents.allowed import Allowed, FieldPath, did_you_mean
from agents.errors import Problem
from agents.schema import Spec
from agents.yaml_document import Document, parse, readable

SpecT = TypeVar("SpecT", bound=Spec)


def read(path: Path, spec: type[SpecT]) -> tuple[SpecT | None, list[Problem]]:
    """The file's content as a spec, or None and every problem, in the order of lines. Raises nothing for a bad file."""
    document, problems = parse(path)
    return check(document, spec) if document else (None, problems)


def check(document: Document, spec: type[SpecT]) -> tuple[SpecT | None, list[Problem]]:
    """The document as a spec, or None and every problem, in the order of lines."""
    try:
        return spec.model_validate_json(orjson.dumps(document.plain(()))), []
    except ValidationError as error:
        problems = list(_Findings(document, spec).problems(error))
        return None, sorted(problems, key=lambda problem: problem.line or 0)


class _Findings:
    """Turns pydantic's errors about a document into problems, one for each thing that is wrong."""

    def __init__(self, document: Document, spec: type[Spec]) -> None:
        self._document = document
        self._allowed = Allowed(spec)

    def problems(self, error: ValidationError) -> Iterator[Problem]:
        details: list[Any] = [detail for detail in error.errors(include_url=False) if not _is_echo(detail)]
        reported: set[FieldPath] = set()
        inner = {path[:end] for path in map(self._path, details) for end in range(len(path))}
        for detail in details:
            path = self._path(detail)
            is_branch = len(detail["loc"]) > len(path)
            if is_branch and (path in reported or path in inner or self._has_better(detail, path, details)):
                continue
            reported.add(path)
            yield self._problem(detail["type"], path, detail)

    def _path(self, detail: Any) -> FieldPath:
        """The error's place in the file; of a missing field, where it should be."""
        path = self._document.existing(detail["loc"])
        return (*path, detail["loc"][-1]) if detail["type"] == "missing" else path

    def _has_better(self, detail: Any, path: FieldPath, details: list[Any]) -> bool:
        """Whether another branch of a union took the value's type and complains of its content."""
        is_type = detail["type"].endswith("_type")
        return is_type and any(self._path(d) == path and not d["type"].endswith("_type") for d in details)

    def _problem(self, kind: str, path: FieldPath, detail: Any) -> Problem:
        document, allowed = self._document, self._allowed
        match kind:
            case "missing":
                return document.problem(path, f"must be given: {allowed.description(path)}".removesuffix(": "))
            case "extra_forbidden":
                hint = did_you_mean(str(path[-1]), allowed.fields(path[:-1]))
                return document.problem(path, f"no such field; {hint}", found=_name(path))
            case "value_error":
                found = _name(path) if detail["loc"][-1:] == ("[key]",) else None
                return document.problem(path, detail["msg"].removeprefix("Value error, "), found)
            case "string_pattern_mismatch":
                right = allowed.description(path).removesuffix(".") or "text"
                return document.problem(path, f"should be: {right} (pattern {detail['ctx']['pattern']})")
        words = allowed.words(path)
        right = f"must be {words}" if words else detail["msg"]
        written = document.written(path)
        if written and allowed.takes_text(path) and not isinstance(document.plain(path), str):
            right += f'; to make it text put it in quotes: "{readable(written)}"'
        return document.problem(path, right)


def _is_echo(detail: Any) -> bool:
    """Whether this is pydantic's complaint that a list is too short because all its items were wrong."""
    return detail["type"] == "too_short" and bool(len(detail["input"]) >= detail["ctx"]["min_length"])


def _name(path: FieldPath) -> str:
    return readable(str(path[-1])) or "an empty name"
