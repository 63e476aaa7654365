"""Twilio's requests to the service: form parameters, signature, and the address they really go to."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final
from urllib.parse import urlunsplit

from agents.errors import ChannelError
from channels.carrier.address import port, split
from channels.carrier.reach import Answer, Reach
from channels.carrier.signature import SIGNATURE_HEADER, sign

TWIML_TYPES: Final = ("text/xml", "application/xml", "text/html")
_PLACE: Final = {"City": "", "State": "", "Zip": "", "Country": "US"}


@dataclass(frozen=True, slots=True)
class Service:
    """The service that is called: the address it publishes, the address it is reached at, and the secret.

    Both methods raise ChannelError for what is no address.
    """

    public_url: str
    local_url: str
    auth_token: str

    def reach(self, url: str) -> str:
        """Rewrites an address below the public one to where the service really is; others stay as they are."""
        there, public, local = split(url), split(self.public_url), split(self.local_url)
        if (there.hostname, port(there)) != (public.hostname, port(public)):
            return url
        is_secure = local.scheme in ("https", "wss")
        plain = "ws" if there.scheme in ("ws", "wss") else "http"
        return urlunsplit(there._replace(scheme=plain + "s" * is_secure, netloc=local.netloc))

    def signature(self, url: str, params: Mapping[str, str]) -> str:
        split(url)
        return sign(url, params, self.auth_token)


class Webhooks:
    """Posts signed forms to the service. One answer is awaited per post; redirects are not followed."""

    def __init__(self, reach: Reach, service: Service) -> None:
        self._reach = reach
        self._service = service

    async def fetch(self, url: str, params: Mapping[str, str]) -> bytes:
        """Asks for TwiML. Raises ChannelError, with Twilio's error code, for any answer that is none.

        It is Unreachable when nobody listens there.
        """
        answer = await self._post(url, params, str(uuid.uuid4()))
        if answer.status != 200:
            raise ChannelError(f"{url} answered HTTP {answer.status} (11200)")
        if answer.content_type not in TWIML_TYPES:
            raise ChannelError(f"{url} answered with {answer.content_type}, which is not TwiML (12300)")
        return answer.body

    async def notify(self, url: str, params: Mapping[str, str], *, deliveries: int = 1) -> None:
        """Tells of something that happened. Raises ChannelError unless the answer is 204, or 200 with TwiML.

        More than one delivery are the same callback over again, as if the answers before the last had been lost.
        """
        token = str(uuid.uuid4())
        for _ in range(deliveries):
            answer = await self._post(url, params, token)
            if not (answer.status == 204 or (answer.status == 200 and answer.content_type in TWIML_TYPES)):
                raise ChannelError(f"{url} answered a callback with HTTP {answer.status} {answer.content_type}")

    async def _post(self, url: str, params: Mapping[str, str], token: str) -> Answer:
        headers = {SIGNATURE_HEADER: self._service.signature(url, params), "I-Twilio-Idempotency-Token": token}
        return await self._reach.post(self._service.reach(url), params, headers)


def call_params(
    call_sid: str, account_sid: str, caller: str, called: str, status: str, direction: str
) -> dict[str, str]:
    """The parameters that Twilio sends with every request of a call, blank ones included."""
    params = {
        "CallSid": call_sid,
        "AccountSid": account_sid,
        "ApiVersion": "2010-04-01",
        "Direction": direction,
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
    return {"CallDuration": str(duration_s), "Duration": str(-(-duration_s // 60))}


def progress_params(sequence: int) -> dict[str, str]:
    """What every status callback of a call's progress has beside the usual."""
    return {
        "Timestamp": format_datetime(datetime.now(UTC)),
        "SequenceNumber": str(sequence),
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
