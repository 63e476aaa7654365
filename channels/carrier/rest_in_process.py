"""Twilio's REST API without sockets: the HTTP client that Twilio's package takes, so that it works in virtual time.

account = Account(sid=ACCOUNT_SID, auth_token="...")
rest = rest_of(settings, http=lambda: RestInProcess(account))       # of gateway.rest, for `Calls`
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote

from channels.carrier.account import Account
from channels.carrier.address import split
from channels.carrier.rest_api import RestApi


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What Twilio's package wants of an HTTP answer."""

    status_code: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


class RestInProcess:
    """One account's API, at any address. An async context manager, as `RestApi` is."""

    is_async: Final = True

    def __init__(self, account: Account) -> None:
        self._api = RestApi(account)

    async def __aenter__(self) -> Self:
        await self._api.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._api.__aexit__(exc_type, exc, tb)

    async def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> HttpAnswer:
        """Asks the API, as Twilio's package asks any HTTP client. Credentials are those of the headers."""
        form = {
            name: [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]
            for name, value in (data or {}).items()
        }
        given = headers or {}
        status, answer = await self._api.answer_anyhow(
            method.upper(),
            unquote(split(url).path),
            form,
            authorization=given.get("Authorization", ""),
            idempotency_token=given.get("I-Twilio-Idempotency-Token"),
        )
        return HttpAnswer(status, json.dumps(answer))
