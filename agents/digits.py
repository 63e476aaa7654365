"""Collects the keys that a caller presses into entries. Pure: time is an argument, in seconds of a forward clock."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitRules:
    """What an agent's YAML says of keys. A key is one of `0-9 A-D * #`.

    to_model      the model is told each complete entry
    terminator    the key that completes an entry and is no part of it; None for none
    max_digits    an entry of so many keys is complete: longer than any card number by default
    timeout_s     an entry is complete when no key follows within so many seconds: as long as people take to look one up
    sensitive     entries are secrets: logs hold none of them, and models and transcripts learn only their length
    """

    to_model: bool = False
    terminator: str | None = "#"
    max_digits: int = 20
    timeout_s: float = 3
    sensitive: bool = False


class Digits:
    """The entry that a caller is making."""

    def __init__(self, rules: DigitRules) -> None:
        self._rules = rules
        self._entry = ""
        self._pressed_at = 0.0
        self._unterminated_at: float | None = None

    def use(self, rules: DigitRules) -> None:
        """Other rules hold from the next key on. A terminator may still belong to an entry that is just complete."""
        self._rules = rules

    @property
    def is_collecting(self) -> bool:
        """True while an entry has begun and is not complete."""
        return bool(self._entry)

    def press(self, digit: str, now: float) -> str | None:
        """Takes one key, and gives the entry that it completes, without the terminator; None while more may follow.

        The terminator alone is an entry without digits, unless it comes within `timeout_s` behind an entry that was
        complete without it: people end a number of known length with # all the same. A key that comes before `due`
        was asked about the time-out still belongs to the entry.
        """
        unterminated_at, self._unterminated_at = self._unterminated_at, None
        if digit == self._rules.terminator:
            is_late = unterminated_at is not None and now - unterminated_at <= self._rules.timeout_s
            return None if is_late else self._complete()
        self._entry += digit
        self._pressed_at = now
        if len(self._entry) < self._rules.max_digits:
            return None
        self._unterminated_at = now
        return self._complete()

    def due(self, now: float) -> str | None:
        """The entry that is complete because no key followed in time, once; else None."""
        if not self._entry or now - self._pressed_at < self._rules.timeout_s:
            return None
        self._unterminated_at = now
        return self._complete()

    def _complete(self) -> str:
        entry, self._entry = self._entry, ""
        return entry


def told_to_model(entry: str, rules: DigitRules) -> str:
    """The sentence that tells a model of a complete entry: of a sensitive one only how long it is."""
    if rules.sensitive:
        count = str(len(entry) or "no")
        return f"The caller typed {count} digit{'' if len(entry) == 1 else 's'}."
    return f"The caller pressed {entry or rules.terminator}."
