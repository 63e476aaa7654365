"""The models that may carry a conversation: which of them to ask, and what their failures mean."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from agents.circuit import Circuit
from agents.errors import ErrorCategory, GatewayError, ProviderError
from agents.events import ModelStep
from agents.realtime import RealtimeConnection, RealtimeConnectOptions, RealtimeModel, SessionConfig

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 4.0
"""Longest that one of several models may take to open at the beginning of a call; a single one has its own time."""

LEFT_ALONE: Final = "it has failed again and again"

PERMANENT: Final[frozenset[ErrorCategory]] = frozenset({"auth", "quota", "invalid_request"})
"""Failures after which asking the same again cannot help."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A model that may carry a conversation. `own` are fields of SessionConfig that it has for itself, as its voice.

    Its circuit is shared by all calls of the process.
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
        return replace(config, **self.own)

    async def open(self, options: RealtimeConnectOptions, timeout_s: float | None) -> RealtimeConnection:
        """A connection to it, not yet entered. Raises what the model does, and ProviderError `timeout`."""
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

    def failed(self, error: GatewayError) -> ModelStep:
        """Notes the failure, and says it to people and programs."""
        log.warning("%s failed: %s", self.name, error)
        is_permanent = not isinstance(error, ProviderError) or error.category in PERMANENT
        self.circuit.failed(asyncio.get_running_loop().time(), for_good=is_permanent)
        return ModelStep("failed", self.name, str(error))


def in_order(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[ModelStep]]:
    """Those to ask, one after the other, and a step for each that is left out as it fails all the time.

    None is left out when all of them do.
    """
    now = asyncio.get_running_loop().time()
    healthy = [candidate for candidate in candidates if len(candidates) == 1 or not candidate.circuit.is_open(now)]
    if not healthy:
        return list(candidates), []
    left_out = [candidate for candidate in candidates if candidate not in healthy]
    for candidate in left_out:
        log.info("%s is left alone for a while: %s", candidate.name, LEFT_ALONE)
    return healthy, [ModelStep("failed", candidate.name, LEFT_ALONE) for candidate in left_out]
