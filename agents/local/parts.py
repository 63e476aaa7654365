"""The three parts of a conversation that is held here: who hears, who thinks, who speaks."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from agents.local.brain import Brain
from agents.local.ear import Ear, Tell
from agents.local.mouth import Mouth
from agents.local.outbox import Outbox
from agents.realtime import SessionConfig

OpenEar = Callable[[Tell], Ear]
"""Gives the ear that tells what it hears to whom it is given."""


@dataclass(frozen=True, slots=True)
class Parts:
    open_ear: OpenEar
    brain: Brain
    mouth: Mouth


OpenParts = Callable[[SessionConfig, Outbox], AbstractAsyncContextManager[Parts]]
"""The parts for the length of one call. A part that fails for good closes the outbox with its ProviderError."""
