"""One conversation over as many connections as it takes."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from math import inf
from types import TracebackType
from typing import Final, Literal, Self

from agents.callers_audio import CallersAudio
from agents.candidates import Candidate
from agents.errors import ConfigError, GatewayError, NotSupportedError, ProviderError
from agents.events import (
    AudioInputAppend,
    AudioOutputDelta,
    ClientEvent,
    ItemCreate,
    ItemDelete,
    ItemTruncate,
    ModelStep,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ServerEvent,
    SessionError,
    SessionUpdate,
    SpeechStarted,
    TextOutputDelta,
    ToolCall,
    ToolResult,
)
from agents.going_on import GoingOn
from agents.leg import Leg
from agents.realtime import RealtimeConnectOptions, SessionConfig
from agents.succession import Succession
from agents.unfinished import Unfinished

log = logging.getLogger(__name__)

RECOVERY_S: Final = 4.5
"""Longest that a conversation may be without a model: a caller hears nothing for so long, and then an apology."""

ATTEMPT_S: Final = 2.0
"""Longest that a connection may take to be there before it takes the place of one that still works."""

PAUSE_S: Final = 0.5
"""Before models are asked once more."""

PROVEN_S: Final = 5.0
"""A connection that has lived so long, and owes nothing, is no flash in the pan, even if nothing was said."""

MAX_YOUNG: Final = 5
"""Connections in a row that were lost before they had proven themselves: then no more are tried."""

DRAIN_S: Final = 4.0
"""Longest that a new connection may take to hear what it missed: one that is slower than speech never will."""

LOOK_S: Final = 0.25
"""How often it is looked whether something is due."""

AGAIN_S: Final = 2.0
"""How long after a renewal that came to nothing the next one is tried."""

FORCED_S: Final = 2.0
"""So long before its end a connection is given up whatever goes on, as its provider would end it anyway."""

STALL_S: Final = 10.0
"""Longest that a model may say nothing at all once it was asked for a response."""

PAUSE_IN_REPLY_S: Final = 15.0
"""Longest that it may say nothing in the middle of one: before the session gives the call up, who waits for 20 s."""

MAX_WAITING: Final = 200
"""Messages that wait for the next connection, at most: no conversation has so many within RECOVERY_S."""


class LastingConnection:
    """A RealtimeConnection made of one after the other.

    Before a provider ends a connection, another takes over in a quiet moment. When one breaks, the same model goes on
    with the session, else another model. Each begins with what was said, as it was heard, hears the caller's unanswered
    turn again, and is asked for what was under way; until that begins, the session takes the response that broke off
    for the one under way. Iteration raises ProviderError when no model can go on.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        leg: Leg,
        options: RealtimeConnectOptions,
        steps: Sequence[ModelStep] = (),
    ) -> None:
        """`leg` is a connection to one of the candidates, not yet entered; `steps` led there."""
        config = options.session_config or SessionConfig()
        self._leg: Leg | None = leg
        self._last = leg
        self._out: deque[ServerEvent] = deque(steps)
        self._waiting: deque[ClientEvent] = deque(maxlen=MAX_WAITING)
        self._unfinished = Unfinished(config)
        self._audio = CallersAudio(config.input_format)
        self._is_heard_again = False
        self._going_on = GoingOn()
        self._changing = asyncio.Lock()
        self._for_renewed: list[ClientEvent] | None = None
        self._tasks = asyncio.TaskGroup()
        self._succession = Succession(candidates, options, self._unfinished, self._tasks, self._out.append)
        self._watching: asyncio.Task[None] | None = None
        self._now = asyncio.get_running_loop().time
        self._silent_since = 0.0
        self._renew_again_at = 0.0
        self._young_losses = 0
        self._is_closed = False

    @property
    def session_id(self) -> str | None:
        return self._last.connection.session_id

    # ---- its life ----

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        try:
            await self._last.enter(self._tasks)
        except (ProviderError, ConfigError) as error:
            self._lost(self._last, error)
        self._watching = self._tasks.create_task(self._watch(), name="renewal")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            await self.close()
        finally:
            # Without the body's exception, which the group would wrap: its tasks are over by then.
            await self._tasks.__aexit__(None, None, None)

    async def close(self) -> None:
        self._is_closed = True
        if self._watching:
            self._watching.cancel()
        if self._leg and self._leg.is_ready and not self._leg.suspect:
            self._prove(self._leg)  # it did all that was asked of it
        self._succession.leave_all()
        await self._last.close()

    # ---- what the model says ----

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerEvent:
        while True:
            if self._out:
                return self._out.popleft()
            if self._is_closed:
                raise StopAsyncIteration
            if self._leg is None:
                await self._recover()
            elif (event := await self._hear(self._leg)) is not None:
                return event

    async def _hear(self, leg: Leg) -> ServerEvent | None:
        """The next event of this connection; None when it is over, or the event is for nobody else."""
        try:
            event = await leg.next()
        except StopAsyncIteration:
            if leg is self._leg and not leg.broken:
                raise
            if leg.broken:
                self._lost(leg, leg.broken)
            return None
        except ProviderError as error:
            self._lost(leg, error)
            return None
        if leg is not self._leg:
            return None
        is_unwanted = self._going_on.is_unwanted(event)
        if not (is_unwanted and isinstance(event, ToolCall)):
            self._note(leg, event)
        if isinstance(event, SessionError) and self._ends(leg, event):
            return None
        if cancel := self._going_on.came(event, self._out):
            with contextlib.suppress(NotSupportedError):
                await self._tell(leg, cancel)
            return None
        return None if is_unwanted else event

    def _note(self, leg: Leg, event: ServerEvent) -> None:
        self._silent_since = self._now()
        self._unfinished.came(event)
        match event:
            case AudioOutputDelta() | TextOutputDelta():
                self._succession.has_sounded = True
                self._prove(leg)
            case SpeechStarted() | ResponseCreated():
                self._is_heard_again = False
        self._audio.is_turn_open = self._unfinished.is_turn_open or self._is_heard_again

    def _prove(self, leg: Leg) -> None:
        """This connection carries the conversation, and what came before it is over."""
        if not leg.is_proven:
            leg.is_proven = True
            leg.candidate.worked()
            self._young_losses = 0
            self._is_heard_again = False

    def _ends(self, leg: Leg, error: SessionError) -> bool:
        """Whether this error ends a model's part, as its account is refused and there is another model."""
        if error.category not in ("auth", "quota") or error.benign or not self._succession.has_others:
            return False
        self._lost(leg, ProviderError(error.message, code=error.code, retryable=False, category=error.category))
        return True

    # ---- what the model is told ----

    async def send(self, event: ClientEvent) -> None:
        """Sends, or keeps it for the next connection when there is none at the moment. Raises as a codec does."""
        if self._is_closed:
            raise ProviderError("the connection to the model is over", code="closed", retryable=False)
        if isinstance(event, AudioInputAppend):
            self._audio.add(event.pcm)
            if self._leg is not None and not self._unfinished.is_manual:  # it changes nothing else
                await self._pass_on(self._leg, event, event)
                return
        elif isinstance(event, SessionUpdate):
            self._succession.options = replace(self._succession.options, session_config=event.config)
        elif isinstance(event, ResponseCancel) and self._going_on.cancel(event, self._waiting, self._out):
            return
        if self._leg is None:
            self._keep(event)
            return
        if self._for_renewed is not None and isinstance(event, ItemCreate | ItemDelete | SessionUpdate):
            self._for_renewed.append(event)
        await self._tell(self._leg, event)

    def _keep(self, event: ClientEvent) -> None:
        """For the next connection, but for what it learns otherwise: audio, and what was heard."""
        if isinstance(event, ToolResult):
            self._unfinished.sent(event)
        if not isinstance(event, AudioInputAppend | ItemTruncate | ResponseCancel):
            self._waiting.append(event)

    async def _tell(self, leg: Leg, event: ClientEvent) -> None:
        self._unfinished.sent(event)
        self._audio.is_turn_open |= self._unfinished.is_manual
        if isinstance(event, ResponseCreate):
            self._silent_since = self._now()
        translated = leg.in_its_words(event, self._unfinished)
        if translated is not None:
            await self._pass_on(leg, event, translated)

    async def _pass_on(self, leg: Leg, event: ClientEvent, translated: ClientEvent) -> None:
        try:
            await leg.connection.send(translated)
        except ProviderError as error:
            await self._not_sent(leg, event, error)

    async def _not_sent(self, leg: Leg, event: ClientEvent, error: ProviderError) -> None:
        present = self._leg
        if present in (leg, None):
            self._suspect(leg, error)
            if not isinstance(event, ResponseCreate):  # that one is unfinished
                self._keep(event)
        elif present and not isinstance(event, AudioInputAppend | ItemTruncate | ResponseCancel | ResponseCreate):
            await self._tell(present, event)  # it was too late for the one that was there before

    # ---- going on elsewhere ----

    def _suspect(self, leg: Leg, error: ProviderError) -> None:
        """Something could not be sent. Reading tells the true cause, unless the other side is deaf."""
        self._audio.gap_began()
        if error.code == "timeout":
            leg.break_off(error)
        else:
            leg.suspect = leg.suspect or error

    def _give_up(self, leg: Leg, error: ProviderError) -> None:
        self._audio.gap_began()
        leg.break_off(error)

    def _lost(self, leg: Leg, error: GatewayError) -> None:
        """This connection is over before the conversation is."""
        leg.leave()
        if leg is not self._leg or self._is_closed:
            return
        self._is_heard_again |= self._unfinished.is_turn_open
        self._young_losses += not leg.is_proven
        lost = self._unfinished.lost()
        self._out.extend(lost.told)
        self._succession.failed(leg.candidate, error)
        if self._going_on.lost(self._out):
            pass  # what the session took for under way is over, and nobody wants more of it
        elif lost.again and lost.ended:
            self._going_on.begin(lost.ended, lost.again)
            self._waiting.appendleft(lost.again)
        elif lost.ended:
            self._out.append(lost.ended)
        self._waiting.extend(lost.wanted)
        self._audio.is_turn_open = self._is_heard_again
        self._audio.gap_began()
        self._leg = None

    async def _recover(self) -> None:
        """Goes on with another connection. Raises what kept the last model from it."""
        clock = asyncio.get_running_loop().time
        async with self._changing:
            if self._leg is not None:
                return
            if self._young_losses >= MAX_YOUNG:
                raise self._succession.failure
            until = clock() + RECOVERY_S
            if self._young_losses > 1:
                await asyncio.sleep(PAUSE_S)
            while self._leg is None and not self._is_closed:
                if leg := await self._succession.first(self._last, until):
                    await self._take_over(leg, "resumed" if leg.candidate == self._last.candidate else "replaced")
                elif clock() + PAUSE_S >= until or not self._succession.attempts(self._last):
                    raise self._succession.failure
                else:
                    await asyncio.sleep(PAUSE_S)

    async def _take_over(self, leg: Leg, step: Literal["renewed", "resumed", "replaced"]) -> None:
        """From here on this connection carries the conversation. It hears first what it missed."""
        self._last = leg
        self._renew_again_at = 0.0
        log.info("%s: %s goes on with the conversation", step, leg.candidate.name)
        self._out.append(ModelStep(step, leg.candidate.name))
        try:
            async with asyncio.timeout(DRAIN_S):
                while (self._audio.is_missed or self._waiting) and not (leg.broken or leg.suspect):
                    await self._catch_up(leg)
            self._audio.gap_ended()
        except (ProviderError, TimeoutError) as error:
            self._audio.gap_ended()
            self._give_up(leg, ProviderError(f"it could not catch up: {error}", code="timeout", retryable=True))
        self._leg = leg  # nothing may wait in between, or what is sent now would come before what waits

    async def _catch_up(self, leg: Leg) -> None:
        """Lets a new connection hear what it missed, and tells it what waited."""
        for audio in self._audio.take_missed():
            await leg.connection.send(AudioInputAppend(audio))
        while self._waiting and not (leg.broken or leg.suspect):
            event = self._waiting.popleft()
            if isinstance(event, ItemDelete) and not leg.began_with(event.item_id):
                continue
            try:
                await self._tell(leg, event)
            except NotSupportedError as error:
                log.debug("%s is not told: %s", leg.candidate.name, error)
                if isinstance(event, ResponseCreate):
                    refusal = SessionError("not_supported", str(error), event_id=event.event_id)
                    self._unfinished.came(refusal)
                    self._out.append(refusal)
                    self._going_on.came(refusal, self._out)

    # ---- what is due ----

    async def _watch(self) -> None:
        """Looks whether a connection is due for another, until the conversation ends."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(LOOK_S)
            leg, now = self._leg, clock()
            if leg is None or leg.broken:
                continue
            if leg.suspect:
                leg.break_off(leg.suspect, is_alive=False)
            elif (silent_s := now - self._silent_since) > self._patience_s:
                problem = f"{leg.candidate.name} said nothing for {silent_s:.0f} s"
                leg.is_proven = False  # whoever else there is, is asked first
                self._give_up(leg, ProviderError(problem, code="timeout", retryable=True))
            else:
                is_owing = self._unfinished.is_asked
                if not is_owing and leg.ready_at is not None and now - leg.ready_at > PROVEN_S:
                    self._prove(leg)
                await self._mind_end(leg, now)

    @property
    def _patience_s(self) -> float:
        """Longest that the model may be silent as things stand."""
        if self._unfinished.is_asked:
            return STALL_S
        return PAUSE_IN_REPLY_S if self._unfinished.is_replying else inf

    async def _mind_end(self, leg: Leg, now: float) -> None:
        can_go_on = leg.candidate.model.capabilities.resume != "none"
        if leg.ends_at is None or leg.renew_from is None or now < leg.renew_from or not can_go_on:
            return
        if self._is_quiet and now >= self._renew_again_at:
            self._renew_again_at = now + AGAIN_S
            await self._renew(leg)
        elif now >= leg.ends_at - FORCED_S:
            problem = f"the connection to {leg.candidate.name} reached its provider's limit"
            self._give_up(leg, ProviderError(problem, code="session_expired", retryable=True))

    @property
    def _is_quiet(self) -> bool:
        call = self._succession.options.call
        return not self._unfinished.is_at_work and (call is None or call.is_quiet)

    async def _renew(self, leg: Leg) -> None:
        """Lets a new connection take the place of this one, beside it as far as the provider allows."""
        async with self._changing:
            if leg is not self._leg:
                return
            handle, must_end = leg.handle, leg.candidate.model.capabilities.one_connection
            if must_end and handle:
                self._pause()
                await leg.close()
            was_let_go = self._leg is None
            self._for_renewed = []
            renewed = None
            for each in dict.fromkeys((handle, None)):
                renewed = renewed or await self._succession.attempt(leg, leg.candidate, each, ATTEMPT_S)
            said_meanwhile, self._for_renewed = self._for_renewed, None
            if renewed and (was_let_go or (self._leg is leg and self._is_quiet)):
                self._waiting.extend(said_meanwhile)
                self._pause()
                await self._take_over(renewed, "renewed")
                leg.leave()
            elif renewed:
                renewed.leave()  # somebody speaks, or the old one was lost and what was said is not known here

    def _pause(self) -> None:
        """Nobody listens until the next connection takes over."""
        self._audio.gap_began()
        self._leg = None
