"""A load: so many calls held at once against a service, and what they tell of it."""

import asyncio
import gc
from collections import deque
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Self

from picows import WSError, ws_connect

from agents.errors import ChannelError
from channels.carrier import ACCOUNT_SID, new_call_sid
from channels.carrier.over_net import OverNet
from channels.carrier.reach import OPEN_TIMEOUT_S, USER_AGENT
from channels.carrier.sids import new_sid
from channels.carrier.signature import SIGNATURE_HEADER
from channels.carrier.twiml import parse
from channels.carrier.twiml_verbs import Connect, Reject, Stream
from channels.carrier.webhooks import Service, Webhooks, call_params
from channels.media_streams import Start
from gateway.addresses import VOICE_PATH
from gateway.load.call import Board, Call
from gateway.load.caller import Caller
from gateway.load.figures import Step
from gateway.load.provider import ProviderServer
from gateway.load.tally import Setups, Tally
from gateway.load.ticker import now

SPREAD: Final = 0.6180339887498949
"""The golden ratio's fraction: calls that begin one after the other are this part of the cycle apart, and so spread."""

SETTLE_S: Final = 0.2
"""What a collection of garbage held up is sent before the count begins."""

CLOSE_TIMEOUT_S: Final = 3.0
"""Longest that the sockets of ended calls are waited for."""


@dataclass(frozen=True, slots=True)
class Target:
    """The service that is called: where it is, the secret of its signatures, the number it answers, and whose that is.

    `public_url` is what it publishes and signatures are over; None where that is where it is.
    """

    url: str
    auth_token: str
    public_url: str | None = None
    called: str = "+15550100200"
    caller: str = "+15550100100"
    account_sid: str = ACCOUNT_SID


class Load:
    """Calls to one service, by one process that is also its provider. An async context manager; enter it once.

        async with ProviderServer(script) as provider:
            ...start the service with provider.environment...
            async with Load(target, provider) as load:
                await load.reach(100, connect_rate=50)
                step = await load.measure(20)

    `troubles` says what broke, the first of it, in words.
    """

    def __init__(self, target: Target, provider: ProviderServer) -> None:
        self._target = target
        self._provider = provider
        self._board: Board = provider.board
        service = Service(target.public_url or target.url, target.url, target.auth_token)
        self._service = service
        self._callers: deque[tuple[Call, Caller]] = deque()
        self._begun = 0
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._webhooks = Webhooks(await self._open.enter_async_context(OverNet()), self._service)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            await self.end()
        finally:
            await self._open.aclose()

    @property
    def calls(self) -> int:
        """How many are up."""
        return sum(caller.is_open for _, caller in self._callers)

    @property
    def troubles(self) -> tuple[str, ...]:
        return tuple(self._board.troubles)

    async def reach(self, calls: int, connect_rate: float) -> None:
        """Begins or ends calls until so many are up, `connect_rate` a second. Waits until each is up, or is not to be.

        A call that is turned away or fails is counted and not tried again. The oldest are ended first.
        """
        self._callers = deque(pair for pair in self._callers if pair[1].is_open)
        began = now()
        async with asyncio.TaskGroup() as tasks:
            for number in range(calls - len(self._callers)):
                await asyncio.sleep(max(0.0, began + number / connect_rate - now()))
                tasks.create_task(self._begin(), name="a call of the load")
        for number in range(len(self._callers) - calls):
            await asyncio.sleep(max(0.0, began + number / connect_rate - now()))
            self._end(*self._callers.popleft())

    async def measure(self, seconds: float) -> Step:
        """Counts afresh for so long. What became of calls that were begun is counted since the measurement before."""
        gc.collect()
        gc.freeze()  # what is there stays: no collection is to stop the clock for long while it counts
        await asyncio.sleep(SETTLE_S)
        began = now()
        tally = self._board.tally = Tally()
        calls = self.calls
        await asyncio.sleep(seconds)
        for call, caller in self._callers:
            if caller.is_open:
                call.write_off(now())
        setups, self._board.setups = self._board.setups, Setups()
        return Step(
            calls=calls,
            seconds=now() - began,
            up_ms=tally.up.spread(),
            down_ms=tally.down.spread(),
            both_ms=tally.both.spread(),
            clear_ms=tally.clear.spread(),
            webhook_ms=setups.webhook.spread(),
            setup_ms=setups.setup.spread(),
            lateness_ms=tally.lateness.spread(),
            frames_sent=tally.frames_sent,
            frames_lost=tally.frames_lost,
            frames_doubled=tally.frames_doubled,
            frames_damaged=tally.frames_damaged,
            stale_ms=tally.stale_ms,
            truncate_error_ms=tally.truncate_error_ms,
            keys_lost=tally.keys_lost,
            marks_lost=tally.marks_lost,
            calls_refused=setups.refused,
            calls_lost=setups.lost,
        )

    async def end(self) -> None:
        """Hangs up every call, and waits for their sockets, at most CLOSE_TIMEOUT_S."""
        while self._callers:
            self._end(*self._callers.popleft())
        if not await self._provider.wait_left(CLOSE_TIMEOUT_S):
            self._board.trouble(f"{self._provider.sessions} sessions are open {CLOSE_TIMEOUT_S:g} s after the calls")

    def _end(self, call: Call, caller: Caller) -> None:
        caller.end()
        self._provider.calls.pop(call.sid, None)

    # ---- how a call begins ----

    async def _begin(self) -> None:
        script = self._provider.script
        place = script.starts[int(self._begun * SPREAD % 1 * len(script.starts))]
        self._begun += 1
        call = Call(new_call_sid(), script, place, self._board)
        self._provider.calls[call.sid] = call
        setups, began = self._board.setups, now()
        try:
            stream = await self._dial(call, setups, began)
            if stream is not None:
                await self._connect(call, stream)
                setups.setup.add(now() - began)
                return
        except (ChannelError, WSError, OSError, TimeoutError) as error:
            setups.lost += 1
            self._board.trouble(f"a call did not come up: {error or type(error).__name__}")
        self._provider.calls.pop(call.sid, None)

    async def _dial(self, call: Call, setups: Setups, began: float) -> Stream | None:
        """Asks the webhook. The stream that it names; None when the call is turned away."""
        target = self._target
        params = call_params(call.sid, target.account_sid, target.caller, target.called, "ringing", "inbound")
        document = await self._webhooks.fetch((target.public_url or target.url) + VOICE_PATH, params)
        setups.webhook.add(now() - began)
        match parse(document):
            case (Connect(stream), *_):
                return stream
            case (Reject(), *_):
                setups.refused += 1
                return None
            case verbs:
                raise ChannelError(f"the webhook answered with {verbs[:1]}")

    async def _connect(self, call: Call, stream: Stream) -> None:
        url = self._service.reach(stream.url)
        headers: Mapping[str, str] = {
            SIGNATURE_HEADER: self._service.signature(stream.url, {}),
            "User-Agent": USER_AGENT,
        }
        start = Start(new_sid("MZ"), call.sid, self._target.account_sid, parameters=stream.parameters)
        caller = Caller(call, start, self._provider.ticker)
        await ws_connect(
            partial(_itself, caller), url, extra_headers=headers, websocket_handshake_timeout=OPEN_TIMEOUT_S
        )
        self._callers.append((call, caller))


def _itself(caller: Caller) -> Caller:
    return caller
