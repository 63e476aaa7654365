"""Our side of Twilio's REST API: changes calls, places them, records them, and sends text messages."""

import asyncio
import base64
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Final, Literal, Self

from twilio.base import values
from twilio.base.exceptions import TwilioException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from agents.errors import GatewayError
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

_LONG_NUMBER: Final = re.compile(r"[0-9]{7,}")
"""Telephone numbers, of which Twilio's words may quote the wrong ones."""

HttpClient = Callable[[], AbstractAsyncContextManager[Any]]
"""Makes the HTTP client that Twilio's package is to use, entered with the API."""

CallEvent = Literal["initiated", "ringing", "answered", "completed"]


class RestFailed(GatewayError):
    """Twilio did not do what it was asked, or nobody knows whether it did. The text has Twilio's code and words.

    `code` is Twilio's number for what is wrong, 0 where Twilio did not say; `is_over` when it is that the call is over,
    or that there is no such thing. `may_be_done`: nobody knows whether it was done, or will be yet.
    """

    def __init__(self, text: str, *, status: int = 0, code: int = 0, may_pass: bool, was_not_done: bool) -> None:
        """`may_pass`: another try may succeed. `was_not_done`: another try cannot do it a second time."""
        super().__init__(_LONG_NUMBER.sub("…", text))
        self.code = code
        self.is_over = status == 404 or code in _ALREADY_OVER
        self.may_pass = may_pass
        self.was_not_done = was_not_done
        self.may_be_done = not was_not_done and (status == 0 or status >= 500)


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
    """The REST API of one account. Enter it before the first request; leaving it closes its connections.

    Every method takes at most TOTAL_TIMEOUT_S. Too many requests, an error on Twilio's side and a connection that fails
    are tried again, twice at most. What makes something new, a call, a recording, a message, is tried again only when
    Twilio refused to look at it (429) or was not reached: it keeps no note of requests by which it could tell a second
    from a repeated one, and nobody is to be called twice. All but `hang_up` raise RestFailed for what stays wrong.
    """

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
        self._calls, self._messages = client.calls, client.messages
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._while_entered.__aexit__(exc_type, exc, tb)

    # ---- calls ----

    async def hang_up(self, call_sid: str) -> bool:
        """Ends a call at Twilio. True when it is over, now or before; what stays wrong is logged, in one warning."""
        try:
            await self.update_call(call_sid, status="completed")
        except RestFailed as error:
            log.warning("the call could not be hung up over Twilio's REST API: %s", error)
            return False
        return True

    async def update_call(
        self,
        call_sid: str,
        *,
        twiml: str | None = None,
        url: str | None = None,
        status: Literal["completed", "canceled"] | None = None,
        is_done: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Ends a live call, or lets it go on with another document, given or fetched. False when it is over already.

        Once `is_done`, asked after each try that failed, nothing is tried again: Twilio was asked in vain for an
        answer, and not for the deed.
        """
        call, given = self._calls(call_sid), _given(twiml=twiml, url=url, status=status)
        try:
            await _asked(lambda: call.update_async(**given), is_done=is_done)
        except RestFailed as error:
            if not error.is_over:
                raise
            return False
        return True

    async def create_call(
        self,
        *,
        to: str,
        sender: str,
        url: str,
        timeout_s: int,
        status_callback: str | None = None,
        status_events: Sequence[CallEvent] = ("completed",),
        machine_detection: Literal["Enable", "DetectMessageEnd"] | None = None,
        async_amd_callback: str | None = None,
        send_digits: str | None = None,
        time_limit_s: int | None = None,
    ) -> str:
        """Places a call that rings for `timeout_s` at most, and gives its SID; who answers gets the document at `url`.

        With `machine_detection` that waits for the verdict, unless there is an `async_amd_callback`, which is told it
        while the call goes on.
        """
        given = _given(
            to=to,
            from_=sender,
            url=url,
            timeout=timeout_s,
            status_callback=status_callback,
            status_callback_event=list(status_events) if status_callback else None,
            machine_detection=machine_detection,
            async_amd="true" if async_amd_callback else None,
            async_amd_status_callback=async_amd_callback,
            send_digits=send_digits,
            time_limit=time_limit_s,
        )
        return _sid(await _asked(lambda: self._calls.create_async(**given), makes_new=True))

    # ---- recordings ----

    async def start_recording(self, call_sid: str, status_callback: str | None = None) -> str:
        """Records a live call, each side on a channel of its own, and gives the recording's SID."""
        recordings = self._calls(call_sid).recordings
        given = _given(recording_channels="dual", recording_status_callback=status_callback)
        return _sid(await _asked(lambda: recordings.create_async(**given), makes_new=True))

    async def pause_recording(self, call_sid: str, recording_sid: str) -> str:
        """Silence stands in the recording for what is said, until it is resumed. Gives its SID."""
        recording = self._calls(call_sid).recordings(recording_sid)
        return _sid(await _asked(lambda: recording.update_async(status="paused", pause_behavior="silence")))

    async def resume_recording(self, call_sid: str, recording_sid: str) -> str:
        """Gives its SID."""
        recording = self._calls(call_sid).recordings(recording_sid)
        return _sid(await _asked(lambda: recording.update_async(status="in-progress")))

    # ---- messages ----

    async def send_message(self, *, to: str, sender: str, body: str, status_callback: str | None = None) -> str:
        """Sends a text message and gives its SID."""
        given = _given(to=to, from_=sender, body=body, status_callback=status_callback)
        return _sid(await _asked(lambda: self._messages.create_async(**given), makes_new=True))


# ---- trying ----


async def _asked(
    request: Callable[[], Awaitable[Any]], *, makes_new: bool = False, is_done: Callable[[], bool] = lambda: False
) -> Any:
    """What Twilio answers, None once `is_done`; tried again where that may help, and cannot do harm.

    Raises RestFailed. A request that makes something new has all the time there is for one try: given up early it might
    have been done, and could not be tried again.
    """
    try_s = TOTAL_TIMEOUT_S if makes_new else TRY_TIMEOUT_S
    try:
        async with asyncio.timeout(TOTAL_TIMEOUT_S):
            for wait_s in (*BACKOFF_S, None):
                try:
                    return await _tried(request, try_s)
                except RestFailed as error:
                    if is_done():
                        return None
                    if wait_s is None or not (error.was_not_done if makes_new else error.may_pass):
                        raise
                    await asyncio.sleep(wait_s)
    except TimeoutError:
        if not is_done():
            raise _silent(TOTAL_TIMEOUT_S) from None
    return None


async def _tried(request: Callable[[], Awaitable[Any]], timeout_s: float) -> Any:
    """One try. Raises RestFailed."""
    try:
        async with asyncio.timeout(timeout_s):
            return await request()
    except TwilioException as error:
        status, code = getattr(error, "status", 0), getattr(error, "code", None) or 0
        raise RestFailed(
            f"{code}: {getattr(error, 'msg', error)}",
            status=status,
            code=code,
            may_pass=status == 429 or status >= 500,
            was_not_done=status == 429,
        ) from None
    except TimeoutError:
        raise _silent(timeout_s) from None
    except Exception as error:  # whatever the HTTP client and what it reads may raise
        text = f"{type(error).__name__}: {error}"
        raise RestFailed(text, may_pass=True, was_not_done=_was_not_reached(error)) from None


def _silent(timeout_s: float) -> RestFailed:
    return RestFailed(f"no answer within {timeout_s:g} s", may_pass=True, was_not_done=False)


def _was_not_reached(error: Exception) -> bool:
    """Whether no connection came about: of the HTTP client's errors only those of connecting name what the system says.

    They are not told apart by their class, which is of a package that is not this room's.
    """
    return isinstance(error, OSError) and hasattr(error, "os_error")


def _given(**fields: object) -> dict[str, Any]:
    """The fields that were given, as Twilio's package tells them from those that were not."""
    return {name: values.unset if value is None else value for name, value in fields.items()}


def _sid(made: Any) -> str:
    """The SID of what Twilio made. Raises RestFailed for an answer without one."""
    sid = getattr(made, "sid", None)
    if not isinstance(sid, str) or not sid:
        raise RestFailed("the answer names nothing that was made", may_pass=False, was_not_done=False)
    return sid


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
