"""The signature that Twilio puts on every request, in `X-Twilio-Signature`."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

SIGNATURE_HEADER: Final = "X-Twilio-Signature"


def sign(url: str, params: Mapping[str, str] | Iterable[tuple[str, str]], auth_token: str) -> str:
    """Gives the base64 HMAC-SHA1 of a request: form parameters for a POST, none for a GET or a WebSocket.

    `url` is the address as the service publishes it. Credentials and fragment are not signed, nor is the port of an
    https address; blank values are, and a name with several values has each of them once.
    """
    pairs = params.items() if isinstance(params, Mapping) else params
    signed = _signed_part(url) + "".join(name + value for name, value in sorted(set(pairs)))
    return b64encode(hmac.digest(auth_token.encode(), signed.encode(), hashlib.sha1)).decode("ascii")


def _signed_part(url: str) -> str:
    url, _, _ = url.partition("#")
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    if parts.scheme == "https" and parts.port:
        netloc = netloc.rpartition(":")[0]
    # The rest stays letter for letter: parsing and joining again would drop a lone question mark.
    return url.replace(parts.netloc, netloc, 1)
