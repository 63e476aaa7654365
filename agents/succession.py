"""Finds the connection that goes on with a conversation when another one ends."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from agents.candidates import Candidate, in_order, is_permanent
from agents.errors import ConfigError, GatewayError, ProviderError
from agents.events import ModelStep
from agents.leg import Leg
from agents.realtime import Past, RealtimeConnectOptions, SessionResumeConfig, past_id
from agents.unfinished import Unfinished

SHORTEST_ATTEMPT_S: Final = 0.25
"""In less no model can be asked: the attempt would only hide why the others failed."""

Attempt = tuple[Candidate, str | None]
"""A model to ask, and the handle of the session to go on with."""


class Succession:
    """Whom to ask in one conversation, and with what. `tell` gets each failure.

    A model that was refused for good is not asked again. `options` are those of the whole conversation.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        options: RealtimeConnectOptions,
        unfinished: Unfinished,
        tasks: asyncio.TaskGroup,
        tell: Callable[[ModelStep], None],
    ) -> None:
        self.options = options
        self.has_sounded = False
        """Whether anything was said: then no model is to greet."""
        self._candidates = tuple(candidates)
        self._unfinished = unfinished
        self._tasks = tasks
        self._tell = tell
        self._refused: set[Candidate] = set()
        self._failure: GatewayError | None = None
        self._legs: list[Leg] = []

    @property
    def has_others(self) -> bool:
        """Whether there is more than one model."""
        return len(self._candidates) > 1

    @property
    def failure(self) -> ProviderError:
        """What kept the last model from going on."""
        if isinstance(self._failure, ProviderError):
            return self._failure
        return ProviderError(str(self._failure or "no model can go on"), code="config", retryable=False)

    def leave_all(self) -> None:
        """Ends every connection that was made here, soon."""
        for leg in self._legs:
            leg.leave()

    def failed(self, candidate: Candidate, error: GatewayError) -> None:
        self._failure = error
        self._tell(candidate.failed(error))
        if is_permanent(error):
            self._refused.add(candidate)

    def attempts(self, last: Leg) -> tuple[Attempt, ...]:
        """Whom to ask, one after the other: who had the conversation, with its handle and without, then the others.

        Who was lost as soon as it was there is asked after the others.
        """
        again: list[Attempt] = []
        if last.candidate not in self._refused and last.candidate.model.capabilities.resume != "none":
            again = [(last.candidate, handle) for handle in dict.fromkeys((last.handle, None))]
        others: list[Attempt] = [
            (candidate, None)
            for candidate in in_order(self._candidates)[0]
            if candidate != last.candidate and candidate not in self._refused
        ]
        return (*again, *others) if last.is_proven else (*others, *again)

    async def first(self, last: Leg, until: float) -> Leg | None:
        """The first connection that is ready to go on, entered. None when it is time, or there is nobody to ask.

        Each model has its share of the time that is left, the loop's clock being at `until` in the end.
        """
        clock = asyncio.get_running_loop().time
        attempts = self.attempts(last)
        hung: Candidate | None = None
        for number, (candidate, handle) in enumerate(attempts):
            if candidate == hung:
                continue  # without a handle it would hang as well
            to_ask = len({each for each, _ in attempts[number:]})
            share_s = (until - clock()) / to_ask
            if share_s < SHORTEST_ATTEMPT_S:
                return None
            if leg := await self.attempt(last, candidate, handle, share_s):
                return leg
            hung = candidate if self.failure.code == "timeout" else None
        return None

    async def attempt(self, last: Leg, candidate: Candidate, handle: str | None, timeout_s: float) -> Leg | None:
        """A connection that is ready to go on after the last one, entered; None when it comes to nothing."""
        leg: Leg | None = None
        options = self._options_for(candidate, handle)
        try:
            async with asyncio.timeout(timeout_s):
                connection = await candidate.open(options, timeout_s)
                began_at = last.session_began_at if handle else None
                told = [] if handle else [past_id(past) for past in options.history]
                leg = Leg(candidate, connection, told, began_at)
                self._legs = [each for each in self._legs if not each.is_over] + [leg]
                await leg.enter(self._tasks)
                await leg.ready()
        except TimeoutError:
            problem = f"{candidate.name} was not ready within {timeout_s:.1f} s"
            self.failed(candidate, ProviderError(problem, code="timeout", retryable=True))
        except (ProviderError, ConfigError) as error:
            self.failed(candidate, error)
        else:
            return leg
        finally:
            if leg and not leg.is_ready:
                leg.leave()
        return None

    def _options_for(self, candidate: Candidate, handle: str | None) -> RealtimeConnectOptions:
        options, config = self.options, self.options.session_config
        said: tuple[Past, ...] = options.history
        if options.call:
            said += self._unfinished.with_tool_calls(options.call.past)
        has_greeted = bool(said or handle or self.has_sounded)
        options = replace(
            options,
            session_config=config and replace(config, greeting=None if has_greeted else config.greeting),
            resume=SessionResumeConfig(handle) if handle else None,
            history=said,
        )
        return options if candidate == self._candidates[0] else for_others(options)


def for_others(options: RealtimeConnectOptions) -> RealtimeConnectOptions:
    """The options without what is for the first model only."""
    return replace(options, credential=None, api_key=None, provider_options={})
