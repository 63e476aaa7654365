"""What the fake Gemini says, in Google's words."""

from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache

from agents.errors import ErrorCategory
from agents.realtime import PCM
from tests.fake_ear import tone
from tests.fake_net import Json

ENDS: dict[ErrorCategory, tuple[int, str]] = {
    "auth": (1008, "Method doesn't allow unregistered callers: API key expired."),
    "quota": (1011, "You exceeded your current quota, please check your plan and billing details."),
    "rate": (1011, "Resource has been exhausted (e.g. check quota)."),
    "invalid_request": (1007, "Request contains an invalid argument."),
    "session_limit": (1008, "The session was not closed by the client after GoAway."),
    "network": (1001, ""),
    "unavailable": (1011, "The service is currently unavailable."),
}
"""Close codes and texts by what they stand for."""


def usage(audio_ms: int) -> Json:
    """Tokens as Gemini counts them, about: 25 a second of audio."""
    spoken = audio_ms // 40
    return {
        "promptTokenCount": 140,
        "cachedContentTokenCount": 64,
        "responseTokenCount": spoken,
        "thoughtsTokenCount": 5,
        "totalTokenCount": 145 + spoken,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 100}, {"modality": "AUDIO", "tokenCount": 40}],
        "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": spoken}],
    }


def pieces(text: str) -> Iterator[str]:
    """Words as Gemini transcribes them, each with the space before it."""
    for number, word in enumerate(text.split(" ")):
        yield word if number == 0 else f" {word}"


@lru_cache
def audio_part(ms: int) -> Json:
    data = b64encode(tone(ms, PCM)).decode()
    return {"role": "model", "parts": [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": data}}]}
