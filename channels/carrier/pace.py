"""How long things take on a simulated line, where the real length is not known. Seconds."""

from typing import Final

from channels.carrier.caller import KEY_EVERY_MS

PLAY_S: Final = 3.0
"""Of `<Play>`: recordings are not fetched, so that a call depends on nothing but the service."""

FOREVER: Final = 1000
"""How often a verb repeats whose loop is 0: Twilio stops there."""

LONGEST_CALL_S: Final = 4 * 3600
"""Twilio's limit for a call, unless the account has another."""

_SAY_S_PER_CHAR: Final = 0.06
"""About the pace of Twilio's voices."""

_WAIT_S: Final = {"w": 0.5, "W": 1.0}


def say_s(text: str) -> float:
    """Of `<Say>`."""
    return len(text) * _SAY_S_PER_CHAR


def press_s(digits: str) -> float:
    """Of pressing keys, and of the waits among them."""
    return sum(_WAIT_S.get(digit, KEY_EVERY_MS / 1000) for digit in digits)
