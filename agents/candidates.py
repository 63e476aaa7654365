"""The models that may carry a conversation: which of them to ask, and what their failures mean."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from agents.circuit import Circuit
from agents.errors import ErrorCategory, GatewayError, ProviderError
from agents.events import ModelStep
from agents.realtime import RealtimeConnection, RealtimeConnectOptions, RealtimeModel, SessionConfig, TurnDetection

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 4.0
"""Longest that one of several models may take to open at the beginning of a call; a single one has its own time."""

IS_RESTING: Final = "it has failed again and again"

PERMANENT: Final[frozenset[ErrorCategory]] = frozenset({"auth", "quota", "invalid_request"})
"""Failures after which asking the same again cannot help."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A model that may carry a conversation. `own` are fields of SessionConfig that it has for itself, as its voice.

    They win over those of the session, but for who stops and answers at the caller's voice: the agent says that. Its
    circuit is shared by all calls of the process.
    """

    model: RealtimeModel
    own: Mapping[str, Any] = field(default_factory=dict)
    circuit: Circuit = field(default_factory=Circuit)

    @property
    def name(self) -> str:
        """provider/model"""
        return f"{self.model.provider}/{self.model.model_id}"

    def adapted(self, config: SessionConfig) -> SessionConfig:
        """The configuration of a session with this model."""
        mine = replace(config, **self.own)
        asked, own = config.turn_detection, mine.turn_detection
        if isinstance(asked, TurnDetection) and isinstance(own, TurnDetection):
            turns = own
            if asked.create_response is not None:
                turns = replace(turns, create_response=asked.create_response)
            if asked.interrupt_response is not None:
                turns = replace(turns, interrupt_response=asked.interrupt_response)
            mine = replace(mine, turn_detection=turns)
        return mine

    async def open(self, options: RealtimeConnectOptions, timeout_s: float | None) -> RealtimeConnection:
        """A connection to it, not yet entered. Raises what the model does, and ProviderError `timeout`."""
        self.circuit.tried(asyncio.get_running_loop().time())
        config = options.session_config
        given = replace(options, session_config=config and self.adapted(config))
        try:
            async with asyncio.timeout(timeout_s):
                return await self.model.connect(given)
        except TimeoutError as error:
            problem = f"{self.name} did not open a session within {timeout_s:g} s"
            raise ProviderError(problem, code="timeout", retryable=True) from error

    def worked(self) -> None:
        self.circuit.worked()

    def failed(self, error: GatewayError, *, counts: bool = True) -> ModelStep:
        """Notes the failure, and says it to people and programs. One that was the caller's own fault does not count."""
        log.warning("%s failed: %s", self.name, error)
        is_limit = isinstance(error, ProviderError) and error.category == "session_limit"
        if counts and not is_limit:
            self.circuit.failed(asyncio.get_running_loop().time(), for_good=is_permanent(error))
        return ModelStep("failed", self.name, str(error))


def is_permanent(error: GatewayError) -> bool:
    """Whether asking the same again cannot help."""
    return not isinstance(error, ProviderError) or error.category in PERMANENT


def in_order(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[ModelStep]]:
    """Those to ask, one after the other, and a step for each that is asked after its turn, as it fails all the time."""
    now = asyncio.get_running_loop().time()
    resting = [candidate for candidate in candidates if candidate.circuit.is_resting(now)]
    healthy = [candidate for candidate in candidates if candidate not in resting]
    if not healthy:
        return resting, []
    for candidate in resting:
        log.info("%s is asked last for a while: %s", candidate.name, IS_RESTING)
    return [*healthy, *resting], [ModelStep("failed", candidate.name, IS_RESTING) for candidate in resting]
