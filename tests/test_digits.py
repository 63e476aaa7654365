"""Keys become entries, and a secret entry shows nowhere but in the event that carries it."""

import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.digits import DigitRules, Digits, told_to_model
from agents.events import ChannelDigit, DigitsEntered, Dtmf, SessionEvent

KEYS = "0123456789ABCD*#"


def typed(digits: Digits, keys: str, start: float = 0.0, every_s: float = 0.5) -> list[str]:
    """Presses each key, `every_s` seconds apart, and gives the entries that were completed."""
    entries = [digits.press(key, start + i * every_s) for i, key in enumerate(keys)]
    return [entry for entry in entries if entry is not None]


# ---- the ends of an entry ----


def test_the_terminator_completes_an_entry_and_is_no_part_of_it() -> None:
    digits = Digits(DigitRules())

    assert typed(digits, "1234#") == ["1234"]
    assert not digits.is_collecting


def test_the_terminator_alone_is_an_entry_without_digits() -> None:
    assert typed(Digits(DigitRules()), "#") == [""]


def test_every_entry_has_its_own_terminator() -> None:
    assert typed(Digits(DigitRules(terminator="*")), "12*#*3**") == ["12", "#", "3", ""]


def test_the_greatest_number_of_keys_completes_an_entry() -> None:
    digits = Digits(DigitRules(max_digits=4))

    assert typed(digits, "12345") == ["1234"]
    assert digits.is_collecting


def test_an_entry_is_complete_when_no_key_follows_in_time() -> None:
    digits = Digits(DigitRules(timeout_s=3))
    digits.press("1", 10)
    digits.press("2", 12)

    assert [digits.due(now) for now in (13, 14.9, 15, 16)] == [None, None, "12", None]


def test_nothing_is_due_before_the_first_key() -> None:
    digits = Digits(DigitRules())

    assert digits.due(1000) is None
    assert not digits.is_collecting


def test_an_entry_is_collected_from_its_first_key_to_its_end() -> None:
    digits = Digits(DigitRules(timeout_s=3))
    digits.press("1", 0)

    assert digits.is_collecting
    digits.due(3)
    assert not digits.is_collecting


def test_a_key_that_comes_before_the_time_out_was_noticed_belongs_to_the_entry() -> None:
    digits = Digits(DigitRules(timeout_s=3))

    assert typed(digits, "12#", every_s=3.5) == ["12"]


def test_without_terminator_every_key_is_a_digit() -> None:
    digits = Digits(DigitRules(terminator=None))

    assert typed(digits, "1#*A") == []
    assert digits.due(10) == "1#*A"


# ---- a terminator out of habit ----


def test_a_terminator_behind_a_full_entry_belongs_to_it() -> None:
    digits = Digits(DigitRules(max_digits=4))

    assert typed(digits, "1234#") == ["1234"]
    assert digits.press("#", 3) == ""


def test_a_terminator_behind_an_entry_that_timed_out_belongs_to_it() -> None:
    digits = Digits(DigitRules(timeout_s=3))
    digits.press("1", 0)
    digits.due(3)

    assert digits.press("#", 6) is None


def test_a_terminator_long_after_a_full_entry_is_one_of_its_own() -> None:
    digits = Digits(DigitRules(max_digits=1, timeout_s=3))
    digits.press("1", 0)

    assert digits.press("#", 3.1) == ""


def test_a_terminator_behind_a_terminator_is_one_of_its_own() -> None:
    assert typed(Digits(DigitRules()), "12##") == ["12", ""]


def test_a_terminator_that_belonged_to_a_full_entry_spoils_no_later_one() -> None:
    digits = Digits(DigitRules(max_digits=2))

    assert typed(digits, "12#3#") == ["12", "3"]


# ---- whatever is pressed ----


@settings(deadline=None)
@given(st.text(KEYS, max_size=200), st.integers(1, 30), st.sampled_from([None, *KEYS]))
def test_no_key_is_lost_and_no_entry_too_long(keys: str, max_digits: int, terminator: str | None) -> None:
    digits = Digits(DigitRules(max_digits=max_digits, terminator=terminator))

    entries = typed(digits, keys, every_s=0.1)
    last = digits.due(1000)

    assert "".join([*entries, last or ""]) == keys.replace(terminator or "none", "")
    assert all(len(entry) <= max_digits for entry in entries)
    assert not digits.is_collecting


# ---- who learns of it ----


@pytest.mark.parametrize(
    ("entry", "rules", "text"),
    [
        ("1234", DigitRules(), "The caller pressed 1234."),
        ("", DigitRules(terminator="*"), "The caller pressed *."),
        ("4111111111111111", DigitRules(sensitive=True), "The caller typed 16 digits."),
        ("7", DigitRules(sensitive=True), "The caller typed 1 digit."),
        ("", DigitRules(sensitive=True), "The caller typed no digits."),
    ],
)
def test_the_model_is_told_in_a_sentence(entry: str, rules: DigitRules, text: str) -> None:
    assert told_to_model(entry, rules) == text


@pytest.mark.parametrize("event", [Dtmf("7", sensitive=True), DigitsEntered("7777", sensitive=True), ChannelDigit("7")])
def test_no_log_line_shows_what_was_pressed(event: SessionEvent | ChannelDigit) -> None:
    record = logging.makeLogRecord({"msg": "heard %s", "args": (event,), "event": event})

    assert "7" not in record.getMessage()
    assert "7" not in json.dumps(vars(record)["event"], default=str)


def test_the_events_carry_what_was_pressed_to_the_program() -> None:
    events: list[SessionEvent] = [Dtmf("7"), DigitsEntered("41", sensitive=True), DigitsEntered("")]

    assert [event.kind for event in events] == ["dtmf", "digits", "digits"]
    match events:
        case [Dtmf(digit), DigitsEntered(secret, is_secret), DigitsEntered(empty)]:
            assert (digit, secret, is_secret, empty) == ("7", "41", True, "")
        case _:
            pytest.fail("the fields stand in another order")
