"""What Deepgram's wires share: addresses, the key, and its words for what went wrong."""

from typing import Final

from agents.errors import ErrorCategory, ProviderError
from agents.providers.socket import MAX_CODE_CHARS, MAX_EXPLANATION_CHARS, usual_loss
from agents.providers.wire_json import Message, optional_text
from agents.realtime import AudioFormat

BASE_URL: Final = "wss://api.deepgram.com"
KEY_NAME: Final = "DEEPGRAM_API_KEY"

MAX_SECONDS: Final = 1e6
"""Later than any call."""

_CATEGORIES: Final[dict[str, ErrorCategory]] = {
    "INVALID_AUTH": "auth",
    "INSUFFICIENT_PERMISSIONS": "auth",
    "ASR_PAYMENT_REQUIRED": "quota",
    "PAYMENT_REQUIRED": "quota",
    "TOO_MANY_REQUESTS": "rate",
    "RATE_LIMIT_EXCEEDED": "rate",
    "INTERNAL_SERVER_ERROR": "unavailable",
    "NET-0000": "unavailable",
    "NET-0001": "session_limit",
    "DATA-0000": "invalid_request",
}


def encoding(audio_format: AudioFormat) -> dict[str, str]:
    """The query parameters that name an audio format: PCM16 of any rate, or mu-law."""
    name = "linear16" if audio_format.mime_type == "audio/pcm" else "mulaw"
    return {"encoding": name, "sample_rate": str(audio_format.sample_rate)}


def authorization(key: str) -> dict[str, str]:
    return {"Authorization": f"Token {key}"}


def failure(fields: Message) -> ProviderError:
    """What an error message says. Raises WireError for one without sense."""
    said = [optional_text(fields, name) for name in ("code", "err_code", "variant")]
    code = next((each for each in said if each), "error")[:MAX_CODE_CHARS]
    words = [optional_text(fields, name) for name in ("description", "err_msg")]
    why = next((each for each in words if each), "no reason given")[:MAX_EXPLANATION_CHARS]
    category = _CATEGORIES.get(code, "unavailable")
    is_retryable = category in ("rate", "unavailable", "session_limit")
    return ProviderError(f"Deepgram says {code}: {why}", code=code, retryable=is_retryable, category=category)


def loss(code: int | None, reason: str) -> ProviderError | None:
    """What the end of a connection means, whose reason begins with a code such as NET-0001."""
    said = reason.partition(":")[0].split(" ")[0]
    if code not in (None, 1000) and said in _CATEGORIES:
        return failure({"code": said, "description": reason})
    return usual_loss(code, reason)


def milliseconds(seconds: object) -> int:
    """A time in a message, which is in seconds; 0 for one that makes no sense, as -1 for "no word" does not."""
    match seconds:
        case int() | float() if 0 <= seconds < MAX_SECONDS:
            return round(seconds * 1000)
        case _:
            return 0
