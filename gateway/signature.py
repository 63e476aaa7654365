"""Tells Twilio from strangers: checks X-Twilio-Signature over the public address, never over the Host header."""

import hmac
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import FormData
from twilio.request_validator import RequestValidator


class SignatureChecker:
    """Checks with each of the account's tokens, so that one can be replaced while calls come in."""

    def __init__(self, tokens: Sequence[str]) -> None:
        """Raises ValueError without a token: there is no way to check nothing."""
        if not tokens:
            raise ValueError("a signature cannot be checked without a token")
        self._validators = [RequestValidator(token) for token in tokens]

    def is_signed(self, url: str, form: FormData, signature: str | None) -> bool:
        """Whether Twilio signed a request to `url` (as Twilio knows it) with every one of these parameters."""
        return any(
            self._matches(validator, candidate, form, signature)
            for candidate in _ports(url)
            for validator in self._validators
        )

    def is_signed_upgrade(self, url: str, signature: str | None) -> bool:
        """The same for a WebSocket's wss:// address, with which Twilio may sign a slash that is not in the TwiML."""
        return self.is_signed(url, FormData(), signature) or self.is_signed(url + "/", FormData(), signature)

    @staticmethod
    def _matches(validator: RequestValidator, url: str, form: FormData, signature: str | None) -> bool:
        if not signature:
            return False
        expected: str = validator.compute_signature(url, form)
        return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogateescape"))


def _ports(url: str) -> tuple[str, ...]:
    """The address with and without a port: Twilio signs https without one; of wss it is not known."""
    parts = urlsplit(url)
    if parts.port is not None:
        return url, parts._replace(netloc=parts.netloc.rpartition(":")[0]).geturl()
    default = {"https": 443, "wss": 443}.get(parts.scheme, 80)
    return url, parts._replace(netloc=f"{parts.netloc}:{default}").geturl()
