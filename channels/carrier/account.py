"""A simulated Twilio account: its secrets, its calls, whom it can ring, and what was asked of its REST API."""

import hmac
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from channels.carrier.app_socket import App
from channels.carrier.caller import Script
from channels.carrier.conference import Rooms
from channels.carrier.far_party import FarParty
from channels.carrier.live_call import LiveCall
from channels.carrier.machine import AnsweringMachine
from channels.carrier.network import Network
from channels.carrier.report import CallReport
from channels.carrier.streams import RECONNECT_S

MAX_REMEMBERED: Final = 1000
"""Calls, messages and requests that are kept; older ones are forgotten, except calls that are not over."""

MAX_REPORTS: Final = 100
"""Reports that are kept of calls that the service placed: each holds all that was heard in its call."""

MAX_FAILURES: Final = 100
"""Requests that may be told beforehand to fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """Somebody whom the service can ring: how they answer, and what they say and do then.

    With a `machine` that picks up in their place, `party` says how it rings, and the script is nobody's.
    """

    party: FarParty = field(default_factory=FarParty)
    script: Script = field(default_factory=Script)
    machine: AnsweringMachine | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is an error, in Twilio's words. `code` is Twilio's own number for it.

    It is for requests whose path has `path` in it.
    """

    status: int
    code: int
    message: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class RestRequest:
    """One request to the REST API, with its form, which may hold keys. `idempotency_token` is None where none came."""

    method: str
    path: str
    form: Mapping[str, tuple[str, ...]] = field(repr=False)
    idempotency_token: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """A text message that the service sent. It goes nowhere; `status_callback` is told that it was delivered."""

    sid: str
    to: str
    sender: str
    body: str
    media_urls: tuple[str, ...]
    status_callback: str | None


@dataclass(slots=True, kw_only=True)
class Account:
    """One account.

    `auth_token` signs the requests to the service, which publishes `public_url` and is really reached at `local_url`
    (None when that is the same), or is `app`, an application of this process that was started: these are needed only
    for calls that the service places. `api_keys` are SIDs with their secrets. `callees` are whom it may ring, by their
    number; others answer and wait in silence. `api_delay_s` passes before the REST API carries a request out.
    `network` lies between the carrier and the service in calls that the service places, `reconnect_s` before a stream
    of theirs that follows another; `rooms` are where the account's calls meet. `troubles` has what went wrong beside
    calls, in words.
    """

    sid: str
    auth_token: str = field(repr=False)
    api_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    public_url: str = ""
    local_url: str | None = None
    app: App | None = None
    api_delay_s: float = 0.0
    network: Network | None = None
    reconnect_s: float = RECONNECT_S
    callees: Mapping[str, Callee] = field(default_factory=dict)
    calls: OrderedDict[str, LiveCall] = field(default_factory=OrderedDict)
    messages: deque[Message] = field(default_factory=lambda: deque(maxlen=MAX_REMEMBERED))
    requests: deque[RestRequest] = field(default_factory=lambda: deque(maxlen=MAX_REMEMBERED))
    reports: deque[CallReport] = field(default_factory=lambda: deque(maxlen=MAX_REPORTS))
    troubles: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_REMEMBERED))
    rooms: Rooms = field(default_factory=Rooms)
    _failures: deque[Failure] = field(default_factory=deque)
    _late: deque[tuple[float, str]] = field(default_factory=deque)

    def add(self, call: LiveCall) -> None:
        """Makes a call known to the REST API."""
        self.calls[call.sid] = call
        while len(self.calls) > MAX_REMEMBERED and (sid := next((s for s, c in self.calls.items() if c.is_over), "")):
            del self.calls[sid]

    def admits(self, user: str, password: str) -> bool:
        """Whether these are credentials of the account: its own, or one of its API keys."""
        secret = self.auth_token if user == self.sid else self.api_keys.get(user)
        return secret is not None and hmac.compare_digest(secret.encode(), password.encode())

    def fail_next(self, status: int, code: int, message: str = "made to fail", *, path: str = "") -> None:
        """Lets the next request that is not to fail already be answered with an error, and have no other effect.

        With `path` the next one whose path has that in it: "/Calls/" is for calls that are known, "/Calls.json" for
        new ones. Raises ValueError when too many are to fail.
        """
        if len(self._failures) >= MAX_FAILURES:
            raise ValueError(f"{MAX_FAILURES} requests are to fail already")
        self._failures.append(Failure(status, code, message, path))

    def answer_late(self, seconds: float, *, path: str = "") -> None:
        """Lets the next request whose path has that in it be carried out at once, and answered so much later.

        Raises ValueError when too many are to be late.
        """
        if len(self._late) >= MAX_FAILURES:
            raise ValueError(f"{MAX_FAILURES} requests are to be late already")
        self._late.append((seconds, path))

    def next_lateness_s(self, path: str) -> float:
        """How late the answer to the present request is."""
        late = next((late for late in self._late if late[1] in path), None)
        if late is None:
            return 0.0
        self._late.remove(late)
        return late[0]

    def next_failure(self, path: str) -> Failure | None:
        """What the present request is to fail with; None when it may go on."""
        failure = next((failure for failure in self._failures if failure.path in path), None)
        if failure:
            self._failures.remove(failure)
        return failure
