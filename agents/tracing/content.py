"""Words in spans, for those who switched them on: messages as the GenAI conventions write them."""

import json
import re
from collections import deque
from collections.abc import Sequence
from typing import Final

from opentelemetry.trace import Span

from agents.tracing import names

MAX_CHARS: Final = 8000
"""Longest text of one attribute: collectors refuse, or cut, what is much larger."""

MAX_SECRETS: Final = 16
"""Secret entries of one call that are kept out of what follows: nobody types more card numbers."""


class Content:
    """What may be told of words. `is_told` says whether any; secret digits never are."""

    def __init__(self, *, is_told: bool) -> None:
        self.is_told = is_told
        self._secrets: deque[re.Pattern[str]] = deque(maxlen=MAX_SECRETS)

    def keep_out(self, digits: str) -> None:
        """These are secret, also where a tool or a voice repeats them with spaces or hyphens between."""
        if digits and self.is_told:
            self._secrets.append(re.compile("[ -]?".join(map(re.escape, digits))))

    def put(self, span: Span, attribute: str, text: str) -> None:
        if self.is_told:
            span.set_attribute(attribute, self._told(text))

    def put_messages(self, span: Span, *, heard: Sequence[str] = (), said: Sequence[str] = ()) -> None:
        """What the caller and the agent said, each piece a message."""
        if not self.is_told:
            return
        for key, role, texts in ((names.INPUT_MESSAGES, "user", heard), (names.OUTPUT_MESSAGES, "assistant", said)):
            messages = [
                {"role": role, "parts": [{"type": "text", "content": self._told(text)}]} for text in texts if text
            ]
            if messages:
                span.set_attribute(key, json.dumps(messages, ensure_ascii=False))

    def _told(self, text: str) -> str:
        for secret in self._secrets:
            text = secret.sub("[digits]", text)
        return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}…"
