"""Regular expressions that take no longer than the text is long, whatever they are and whatever is said. Pure.

Python's own engine tries every way through a pattern such as `(a+)+$` before it gives up, for hours, and lets nothing
else of the process run meanwhile: neither a thread nor a time-out helps. The engine of pydantic's core looks at each
character once. It knows neither look-around nor back references, and refuses patterns that are too large.
"""

from collections.abc import Iterable

from pydantic_core import SchemaError, SchemaValidator, core_schema

from agents.guardrails.words import Finder, without_last_word


def patterns_finder(patterns: Iterable[str]) -> Finder:
    """Finds the first of the patterns that is in a text. Raises ValueError for one that is no such pattern."""
    known = {pattern: _compiled(pattern) for pattern in patterns}

    def find(text: str, is_complete: bool) -> str | None:
        said = text if is_complete else without_last_word(text)
        searched = said.encode("utf-8", "replace").decode()  # the engine reads no broken characters
        return next((pattern for pattern, engine in known.items() if engine.isinstance_python(searched)), None)

    return find


def _compiled(pattern: str) -> SchemaValidator:
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError as error:
        reason = str(error).rstrip().splitlines()[-1].strip().removeprefix("error: ").removeprefix("SchemaError: ")
        raise ValueError(f"{pattern!r} is no regular expression that can be used: {reason}") from None
