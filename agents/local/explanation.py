"""What an endpoint says about a failure, made fit for a log line: short, and without keys."""

import re
from typing import Final

MAX_CHARS: Final = 200

_MIN_KEY_CHARS: Final = 4  # shorter ones are placeholders that are parts of words
_BEARER: Final = re.compile(r"(?i)\b(bearer)\s+[\w.~+/=*\\-]+")


def explanation(said: str, api_key: str | None) -> str:
    """The beginning of what was said; the key, and whatever follows `Bearer`, are cut out before it is shortened."""
    if api_key and len(api_key) >= _MIN_KEY_CHARS:
        for written in (api_key, api_key.replace("/", "\\/")):  # the second is how some write JSON
            said = said.replace(written, "…")
    return _BEARER.sub(r"\1 …", said)[:MAX_CHARS]
