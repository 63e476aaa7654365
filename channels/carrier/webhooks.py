"""Twilio's requests to the service: form parameters, signature, and the address they really go to."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from agents.errors import ChannelError
from channels.carrier.signature import SIGNATURE_HEADER, sign

TIMEOUT: Final = aiohttp.ClientTimeout(total=15, sock_connect=5)
"""Twilio's own limits for a webhook, in seconds."""

MAX_TWIML_BYTES: Final = 64 * 1024
TWIML_TYPES: Final = ("text/xml", "application/xml", "text/html")
_PLACE: Final = {"City": "", "State": "", "Zip": "", "Country": "US"}


class Unreachable(ChannelError):
    """Nobody listens where the service should be."""


@dataclass(frozen=True, slots=True)
class Service:
    """The service that is called: the address it publishes, the address it is reached at, and the secret."""

    public_url: str
    local_url: str
    auth_token: str

    def reach(self, url: str) -> str:
        """Rewrites an address below the public one to where the service really is; others stay as they are."""
        there, public, local = urlsplit(url), urlsplit(self.public_url), urlsplit(self.local_url)
        if (there.hostname, _port(there.scheme, there.port)) != (public.hostname, _port(public.scheme, public.port)):
            return url
        is_secure = local.scheme in ("https", "wss")
        plain = "ws" if there.scheme in ("ws", "wss") else "http"
        return urlunsplit(there._replace(scheme=plain + "s" * is_secure, netloc=local.netloc))

    def signature(self, url: str, params: Mapping[str, str]) -> str:
        return sign(url, params, self.auth_token)


class Webhooks:
    """Posts signed forms to the service. One answer is awaited per post; redirects are not followed."""

    def __init__(self, http: aiohttp.ClientSession, service: Service) -> None:
        self._http = http
        self._service = service

    async def fetch(self, url: str, params: Mapping[str, str]) -> bytes:
        """Asks for TwiML. Raises ChannelError, with Twilio's error code, for any answer that is none.

        It is Unreachable when nobody listens there.
        """
        status, content_type, body = await self._post(url, params)
        if status != 200:
            raise ChannelError(f"{url} answered HTTP {status} (11200)")
        if content_type not in TWIML_TYPES:
            raise ChannelError(f"{url} answered with {content_type}, which is not TwiML (12300)")
        return body

    async def notify(self, url: str, params: Mapping[str, str]) -> None:
        """Tells of something that happened. Raises ChannelError unless the answer is 204, or 200 with TwiML."""
        status, content_type, _ = await self._post(url, params)
        if not (status == 204 or (status == 200 and content_type in TWIML_TYPES)):
            raise ChannelError(f"{url} answered a callback with HTTP {status} {content_type}")

    async def _post(self, url: str, params: Mapping[str, str]) -> tuple[int, str, bytes]:
        reached = self._service.reach(url)
        headers = {
            SIGNATURE_HEADER: self._service.signature(url, params),
            "I-Twilio-Idempotency-Token": str(uuid.uuid4()),
            "User-Agent": "TwilioProxy/1.1",
        }
        try:
            async with self._http.post(reached, data=dict(params), headers=headers, allow_redirects=False) as answer:
                body = b""
                while chunk := await answer.content.read(MAX_TWIML_BYTES):
                    body += chunk
                    if len(body) > MAX_TWIML_BYTES:
                        raise ChannelError(f"{url} answered with more than {MAX_TWIML_BYTES // 1024} kB (11200)")
                return answer.status, answer.content_type, body
        except TimeoutError:
            raise ChannelError(f"{reached} did not answer in time (11200)") from None
        except aiohttp.InvalidURL:
            raise ChannelError(f"{reached} is not an address (11100)") from None
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(f"cannot reach {reached}: {error.os_error.strerror or error} (11205)") from None
        except aiohttp.ClientError as error:
            raise ChannelError(f"{reached} broke off: {error or type(error).__name__} (11200)") from None


def call_params(call_sid: str, account_sid: str, caller: str, called: str, status: str) -> dict[str, str]:
    """The parameters that Twilio sends with every request of an inbound call, blank ones included."""
    params = {
        "CallSid": call_sid,
        "AccountSid": account_sid,
        "ApiVersion": "2010-04-01",
        "Direction": "inbound",
        "CallStatus": status,
        "From": caller,
        "To": called,
        "Caller": caller,
        "Called": called,
        "CallerName": "",
    }
    for side in ("From", "To", "Caller", "Called"):
        params |= {f"{side}{part}": value for part, value in _PLACE.items()}
    return params


def ending_params(duration_s: int) -> dict[str, str]:
    """What the last status callback has beside the usual. Twilio bills by the minute begun."""
    return {
        "CallDuration": str(duration_s),
        "Duration": str(-(-duration_s // 60)),
        "Timestamp": format_datetime(datetime.now(UTC)),
        "SequenceNumber": "0",
        "CallbackSource": "call-progress-events",
    }


def stream_params(
    call_sid: str, account_sid: str, stream_sid: str, name: str | None, event: str, error: str
) -> dict[str, str]:
    """What the status callback of a stream has. `error` is blank where there is none."""
    params = {
        "AccountSid": account_sid,
        "CallSid": call_sid,
        "StreamSid": stream_sid,
        "StreamName": name or stream_sid,
        "StreamEvent": event,
        "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return params | ({"StreamError": error} if error else {})


def _port(scheme: str, port: int | None) -> int:
    return port or (443 if scheme in ("https", "wss") else 80)
