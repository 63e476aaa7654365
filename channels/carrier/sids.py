"""The names that Twilio gives to what it has."""

import secrets
from typing import Literal


def new_sid(kind: Literal["CA", "MZ", "RE", "SM"]) -> str:
    """A name for a call, a media stream, a recording or a message: two letters, and 32 hexadecimal digits."""
    return kind + secrets.token_hex(16)


def new_call_sid() -> str:
    return new_sid("CA")
