"""Finds the connection that goes on with a conversation when another one ends."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from agents.candidates import PERMANENT, Candidate, in_order
from agents.errors import ConfigError, GatewayError, ProviderError
from agents.events import ModelStep
from agents.leg import Leg
from agents.realtime import Past, PastToolCall, RealtimeConnectOptions, SessionResumeConfig
from agents.unfinished import Unfinished


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
        self._candidates = tuple(candidates)
        self._unfinished = unfinished
        self._tasks = tasks
        self._tell = tell
        self._refused: set[Candidate] = set()
        self._failure: GatewayError | None = None

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

    def failed(self, candidate: Candidate, error: GatewayError) -> None:
        self._failure = error
        self._tell(candidate.failed(error))
        if not isinstance(error, ProviderError) or error.category in PERMANENT:
            self._refused.add(candidate)

    def attempts(self, last: Leg) -> tuple[tuple[Candidate, str | None], ...]:
        """Whom to ask, one after the other: who had the conversation, with its handle and without, then the others."""
        found: list[tuple[Candidate, str | None]] = []
        if last.candidate not in self._refused and last.candidate.model.capabilities.resume != "none":
            found += [(last.candidate, handle) for handle in dict.fromkeys((last.handle, None))]
        others = [candidate for candidate in in_order(self._candidates)[0] if candidate != last.candidate]
        return (*found, *((candidate, None) for candidate in others if candidate not in self._refused))

    async def attempt(self, last: Leg, candidate: Candidate, handle: str | None, timeout_s: float) -> Leg | None:
        """A connection that is ready to go on after the last one, entered; None when it comes to nothing."""
        leg: Leg | None = None
        options = self._options_for(candidate, handle)
        try:
            async with asyncio.timeout(timeout_s):
                connection = await candidate.open(options, timeout_s)
                began_at = last.session_began_at if handle else None
                leg = Leg(candidate, connection, [_id(past) for past in options.history], began_at)
                await leg.enter(self._tasks)
                await leg.ready()
        except TimeoutError:
            problem = f"{candidate.name} was not ready within {timeout_s:.1f} s"
            self.failed(candidate, ProviderError(problem, code="timeout", retryable=True))
        except (ProviderError, ConfigError) as error:
            self.failed(candidate, error)
        else:
            candidate.worked()
            return leg
        if leg:
            leg.leave()
        return None

    def _options_for(self, candidate: Candidate, handle: str | None) -> RealtimeConnectOptions:
        options, config = self.options, self.options.session_config
        said: tuple[Past, ...] = options.history
        if options.call:
            said += self._unfinished.with_tool_calls(options.call.past)
        options = replace(
            options,
            session_config=config and replace(config, greeting=None if said or handle else config.greeting),
            resume=SessionResumeConfig(handle) if handle else None,
            history=() if handle else said,
        )
        return options if candidate == self._candidates[0] else for_others(options)


def for_others(options: RealtimeConnectOptions) -> RealtimeConnectOptions:
    """The options without what is for the first model only."""
    return replace(options, credential=None, api_key=None, provider_options={})


def _id(past: Past) -> str:
    return past.call_id if isinstance(past, PastToolCall) else past.item_id
