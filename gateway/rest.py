"""Our side of Twilio's REST API: hangs up calls."""

import asyncio
import base64
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self

from twilio.base.exceptions import TwilioException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from gateway.settings import Settings

log = logging.getLogger(__name__)

_quiet = logging.getLogger(f"{__name__}.http")
_quiet.setLevel(logging.WARNING)
"""The client logs every header of every request at level info."""

TRY_TIMEOUT_S: Final = 2.0
"""Longest that one request may take. Twilio answers in a few hundred milliseconds, and meanwhile the caller hears
nothing."""

BACKOFF_S: Final = (0.2, 0.5)
"""Waits before the second try and the third, the last."""

TOTAL_TIMEOUT_S: Final = 5.0
"""Longest that all tries together may take; then the closed stream ends the call in its own, slower way."""

_ALREADY_OVER: Final = frozenset({20404, 21220})
"""Twilio's codes for a call that it does not know any more, and for one that is not in progress."""


HttpClient = Callable[[], AbstractAsyncContextManager[Any]]
"""Makes the HTTP client that Twilio's package is to use, entered with the API."""


class BasicAuth:
    """User and password as Twilio's client takes them. By itself it uses what aiohttp is about to remove."""

    def __init__(self, user: str, password: str) -> None:
        self._header = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def to_auth_strategy(self) -> Self:
        return self

    def get_auth_string(self) -> str:
        """The Authorization header."""
        return self._header


class TwilioRest:
    """The REST API of one account. Enter it before the first call; leaving it closes its connections."""

    def __init__(
        self, *, user: str, password: str, account_sid: str, api_url: str, http: HttpClient | None = None
    ) -> None:
        """`user` is the account's SID or that of an API key, `password` the token or the key's secret.

        Without `http` it goes over the network.
        """
        self._user = user
        self._password = password
        self._account_sid = account_sid
        self._api_url = api_url
        self._make_http = http or _network
        self._while_entered = AsyncExitStack()

    async def __aenter__(self) -> Self:
        client = Client(
            account_sid=self._account_sid,
            http_client=await self._while_entered.enter_async_context(self._make_http()),
            credential_provider=BasicAuth(self._user, self._password),
            # Where it is given none, the client takes credentials, a region and an edge from the process's environment.
            environment={"TWILIO_ACCOUNT_SID": self._account_sid},
        )
        client.api.base_url = self._api_url
        self._calls = client.calls
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._while_entered.__aexit__(exc_type, exc, tb)

    async def hang_up(self, call_sid: str) -> bool:
        """Ends a call at Twilio; takes at most TOTAL_TIMEOUT_S. True when it is over, now or before.

        Too many requests, an error on Twilio's side and a connection that fails are tried again, twice at most. What
        stays wrong is logged, in one warning, and is False.
        """
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_S):
                problem = await self._try_to_complete(call_sid)
        except TimeoutError:
            problem = f"no answer within {TOTAL_TIMEOUT_S:g} s"
        if problem:
            log.warning("the call could not be hung up over Twilio's REST API: %s", problem)
        return not problem

    async def _try_to_complete(self, call_sid: str) -> str:
        """Gives what went wrong at the last try; nothing when the call is over."""
        problem, is_final = await self._complete(call_sid)
        for wait_s in BACKOFF_S:
            if is_final:
                break
            await asyncio.sleep(wait_s)
            problem, is_final = await self._complete(call_sid)
        return problem

    async def _complete(self, call_sid: str) -> tuple[str, bool]:
        """One request: what went wrong, if anything, and whether there is no sense in another try."""
        try:
            async with asyncio.timeout(TRY_TIMEOUT_S):
                await self._calls(call_sid).update_async(status="completed")
        except TwilioException as error:
            status, code = getattr(error, "status", 0), getattr(error, "code", 0)
            if status == 404 or code in _ALREADY_OVER:
                return "", True
            return f"{code}: {getattr(error, 'msg', error)}", status != 429 and status < 500
        except TimeoutError:
            return f"no answer within {TRY_TIMEOUT_S:g} s", False
        except Exception as error:  # whatever the HTTP client and what it reads may raise: the call must end
            return f"{type(error).__name__}: {error}", False
        return "", True


def _network() -> AsyncTwilioHttpClient:
    return AsyncTwilioHttpClient(logger=_quiet)


def rest_of(settings: Settings, http: HttpClient | None = None) -> TwilioRest | None:
    """The API of the account that the settings name; None when they hold no credentials for it.

    Without `http` it goes over the network.
    """
    if settings.rest_credentials is None or settings.account_sid is None:
        return None
    user, password = settings.rest_credentials
    return TwilioRest(
        user=user, password=password, account_sid=settings.account_sid, api_url=settings.api_url, http=http
    )
