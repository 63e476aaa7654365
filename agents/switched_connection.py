"""One conversation over the connections of several agents' models, one after the other."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from math import inf
from types import TracebackType
from typing import Final, Self

from agents.callers_audio import CallersAudio
from agents.candidates import Candidate
from agents.errors import ProviderError
from agents.events import AudioInputAppend, ClientEvent, ItemCreate, ServerEvent, ToolResult
from agents.leg import Leg
from agents.realtime import Past, PastMessage, RealtimeConnection, RealtimeModel, SessionConfig, past_id
from agents.taken_over import TakenOver
from agents.unfinished import Unfinished
from agents.waiting import Patience

log = logging.getLogger(__name__)

OPEN_S: Final = 5.0
"""Longest that another agent's model may take to be there: the caller hears nothing meanwhile."""

CATCH_UP_S: Final = 4.0
"""Longest that it may take to hear what it missed: one that is slower than speech never will."""

HANDED_OVER: Final = "handed over"
"""The reason of a response that went on while another agent took over."""


class SwitchedConnection:
    """A RealtimeConnection that can go on with another model: of another agent, with what was said as it was heard.

    The models do not know of each other. What the present one owes when another takes over is told as over, the
    caller's unanswered turn is heard again, and what was asked for and had not begun is for the next one.
    """

    def __init__(self, model: RealtimeModel, connection: RealtimeConnection, config: SessionConfig) -> None:
        """`connection` is the first, not yet entered."""
        self._leg = Leg(Candidate(model), connection)
        self._unfinished = Unfinished(config)
        self._audio = CallersAudio(config.input_format)
        self._out: deque[ServerEvent] = deque()
        self._sending = asyncio.Lock()
        self._handoffs: set[str] = set()
        self._taken_over: TakenOver | None = None
        self._reading = Patience()
        self._switching: asyncio.Event | None = None
        self._not_sent: ProviderError | None = None
        self._tasks = asyncio.TaskGroup()

    @property
    def session_id(self) -> str | None:
        return self._leg.connection.session_id

    def past(self, said: Sequence[PastMessage]) -> tuple[Past, ...]:
        """What was said, and among it the tool calls that were answered, but not the turn that would be heard again."""
        heard_again = self._unfinished.open_item
        return self._unfinished.with_tool_calls([each for each in said if each.item_id != heard_again])

    # ---- its life ----

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        try:
            await self._leg.enter(self._tasks)
        except asyncio.CancelledError as cancelled:
            await self._tasks.__aexit__(type(cancelled), cancelled, None)
            raise
        except Exception:
            await self._tasks.__aexit__(None, None, None)  # not with the error, which the group would wrap
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            await self.close()
        finally:
            await self._tasks.__aexit__(None, None, None)

    async def close(self) -> None:
        await self._leg.close()

    # ---- what the model says ----

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerEvent:
        while True:
            if self._out:
                return self._out.popleft()
            if self._not_sent and not self._switching:
                raise self._not_sent
            leg = self._leg
            try:
                event = await self._read(leg)
            except TimeoutError:
                continue  # it was left, or could not be sent to
            except (StopAsyncIteration, ProviderError):
                if leg is self._leg and self._switching:
                    await self._switching.wait()
                if leg is self._leg:
                    raise
                continue  # the end of one that was left
            if leg is self._leg and not (self._taken_over and self._taken_over.is_known_otherwise(event)):
                self._unfinished.came(event)
                self._mind_turn()
                return event

    async def _read(self, leg: Leg) -> ServerEvent:
        """Its next event, as `Leg.next` gives it. Raises TimeoutError when there is something else to look at."""
        with self._reading.until(inf):
            return await leg.next()

    def _look_up(self) -> None:
        """Lets whoever waits for the model's next event look whether it is still the one to wait for."""
        self._reading.reschedule(self._reading.now())

    def _mind_turn(self) -> None:
        """What is kept is the turn that waits for its answer, or what came since the last one had it."""
        if self._audio.is_turn_open and not self._unfinished.is_turn_open:
            self._audio.forget()
        self._audio.is_turn_open = self._unfinished.is_turn_open

    # ---- what the model is told ----

    async def send(self, event: ClientEvent) -> None:
        async with self._sending:
            self._unfinished.sent(event)
            if isinstance(event, AudioInputAppend):
                self._mind_turn()
                self._audio.add(event.pcm)
            try:
                for words in self._in_its_words(event):
                    await self._leg.connection.send(words)
            except ProviderError as error:
                if not self._switching:
                    raise
                self._not_sent = self._not_sent or error  # the next one learns of it otherwise

    def _in_its_words(self, event: ClientEvent) -> Iterator[ClientEvent]:
        """What the present model is told in place of the event."""
        if self._taken_over is None:
            words = self._leg.in_its_words(event, self._unfinished)
            yield from () if words is None else (words,)
            return
        for each in self._taken_over.in_its_words(event):
            if isinstance(each, ToolResult) and each.call_id in self._handoffs:
                words = ItemCreate("system", each.output)  # for whoever takes over, who called nothing
            else:
                words = self._leg.in_its_words(each, self._unfinished)
            if isinstance(each, ToolResult) and isinstance(words, ItemCreate):
                words = self._taken_over.noted(each.call_id, words)
            yield from () if words is None else (words,)

    # ---- going on with another ----

    async def switch(
        self,
        model: RealtimeModel,
        connect: Callable[[], Awaitable[RealtimeConnection]],
        config: SessionConfig,
        taken_over: TakenOver,
        call_id: str,
    ) -> tuple[ClientEvent, ...]:
        """Opens another connection, and goes on with it; the one before is closed. Gives what is to be sent again.

        It begins with `config` and what `taken_over` says. `call_id` is the tool call that this answers. Raises
        ProviderError or ConfigError within OPEN_S and CATCH_UP_S when it comes to nothing: then nothing has changed,
        and a connection that broke meanwhile ends the conversation.
        """
        leg: Leg | None = None
        self._switching = asyncio.Event()
        try:
            async with asyncio.timeout(OPEN_S):
                connection = await connect()
                leg = Leg(Candidate(model), connection, [past_id(past) for past in taken_over.began_with])
                await leg.enter(self._tasks)
                await leg.ready()
            async with asyncio.timeout(CATCH_UP_S), self._sending:
                await self._catch_up(leg, taken_over)
                return self._go_on_with(leg, config, taken_over, call_id)
        except TimeoutError as error:
            problem = f"{model.provider}/{model.model_id} was not there in time"
            raise ProviderError(problem, code="timeout", retryable=True) from error
        finally:
            if leg is not None and leg is not self._leg:
                leg.leave()
            self._switching.set()
            self._switching = None
            if self._not_sent:
                self._look_up()

    async def _catch_up(self, leg: Leg, taken_over: TakenOver) -> None:
        """Tells it what was said and done since it began, and lets it hear what nobody has answered.

        That is the caller's open turn, or what came since the last one: a word may have begun in it.
        """
        self._audio.gap_began()
        try:
            await self._tell_news(leg, taken_over)
            for audio in self._audio.take_missed():
                await leg.connection.send(AudioInputAppend(audio))
            await self._tell_news(leg, taken_over)  # once more: between this and going on nothing may wait
        finally:
            self._audio.gap_ended()

    async def _tell_news(self, leg: Leg, taken_over: TakenOver) -> None:
        while news := taken_over.news():
            for event in news:
                await leg.connection.send(event)

    def _go_on_with(
        self, leg: Leg, config: SessionConfig, taken_over: TakenOver, call_id: str
    ) -> tuple[ClientEvent, ...]:
        lost = self._unfinished.lost()
        self._unfinished.configure(config)
        self._out.extend(lost.told)
        if lost.ended:
            self._out.append(replace(lost.ended, reason=HANDED_OVER))
        self._audio.is_turn_open = False
        self._handoffs.add(call_id)
        taken_over.takes_over()
        self._taken_over = taken_over
        self._not_sent = None
        self._leg.leave()
        self._leg = leg
        self._look_up()
        return lost.wanted
