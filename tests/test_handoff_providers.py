"""A caller is handed over within every provider, to every provider and from every provider, in virtual time."""

from dataclasses import replace
from typing import Any

import pytest

from agents import LastingModel, RealtimeAgent, SessionConfig, Transcription
from agents.candidates import Candidate
from agents.events import Error, HandedOff
from agents.handoffs import Handoff
from agents.realtime import (
    Capabilities,
    ClientCredential,
    RealtimeAuthenticateOptions,
    RealtimeConnection,
    RealtimeConnectOptions,
)
from channels.carrier.virtual_time import run_virtual
from tests.provider_call import ProviderCall
from tests.rig import Calls, Rig, Says, ToolUse
from tests.rig_openai import OpenAIRig
from tests.rigs import all_rigs

RIGS = pytest.mark.parametrize("rig_type", all_rigs(), ids=lambda rig: rig.name)

HANDS_OVER = Calls((ToolUse("transfer_to_other"),), first=Says("One moment.", 400))
OTHERS_WORDS = (Says("Other here.", 700), Says("Fine.", 300))
CONFIG = SessionConfig(transcription=Transcription())


class OfRig:
    """A rig's model whose connections are made in memory, whoever opens them."""

    def __init__(self, rig: Rig) -> None:
        self._rig, self._model = rig, rig.model()
        self.spec = self._model.spec
        self.provider = self._model.provider
        self.model_id = self._model.model_id

    @property
    def capabilities(self) -> Capabilities:
        return self._model.capabilities

    async def connect(self, options: RealtimeConnectOptions | None = None) -> RealtimeConnection:
        return await self._model.connect(replace(options or RealtimeConnectOptions(), websocket=self._rig.websocket))

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> ClientCredential:
        return await self._model.authenticate(options)


def hand_over(rig: Rig, here: LastingModel, there: LastingModel) -> ProviderCall:
    """A whole call: a turn in which the first agent hands over to the other, and another turn."""
    other = RealtimeAgent(name="other", model=there, instructions="You are the other.", config=CONFIG)
    handoffs = (Handoff("other", other),)

    async def scene() -> ProviderCall:
        call = ProviderCall(rig, model=here, instructions="You are the first.", handoffs=handoffs)
        call.session.on("handoff", call.told.append)
        async with call:
            await call.takes_a_turn()
            await call.until(lambda: bool(call.seen(HandedOff)))
            await call.until_heard_out()
            await call.listens(1000)
            await call.takes_a_turn()
            await call.until_heard_out()
            assert call.session.closed is None
        return call

    return run_virtual(scene())


def figures(call: ProviderCall) -> tuple[Any, ...]:
    return call.seen(HandedOff), call.seen(Error), call.heard_ms, call.session.agent.name


WELL_DONE: tuple[Any, ...] = ([HandedOff("test", "other")], [], 400 + 700 + 300, "other")


@RIGS
def test_the_agents_of_one_model_share_a_connection_where_the_provider_can_change_it(rig_type: type[Rig]) -> None:
    rig = rig_type()
    rig.will(HANDS_OVER, *OTHERS_WORDS)
    model = LastingModel([Candidate(rig.model())])
    can = model.capabilities

    call = hand_over(rig, model, model)

    assert figures(call) == WELL_DONE
    assert rig.connections == (1 if can.update_instructions and can.update_tools else 2)
    assert rig.violations == []


@RIGS
def test_every_provider_takes_a_caller_over_from_another_with_what_was_said(rig_type: type[Rig]) -> None:
    first, other = OpenAIRig(), rig_type()
    first.will(HANDS_OVER)
    other.will(*OTHERS_WORDS)

    call = hand_over(first, LastingModel([Candidate(OfRig(first))]), LastingModel([Candidate(OfRig(other))]))

    assert figures(call) == WELL_DONE
    assert other.past()[:2] == [("user", first.caller_words), ("assistant", "One moment.")]
    assert (first.violations, other.violations) == ([], [])


@RIGS
def test_every_provider_lets_a_caller_go_to_another(rig_type: type[Rig]) -> None:
    first, other = rig_type(), OpenAIRig()
    first.will(HANDS_OVER)
    other.will(*OTHERS_WORDS)

    call = hand_over(first, LastingModel([Candidate(OfRig(first))]), LastingModel([Candidate(OfRig(other))]))

    assert figures(call) == WELL_DONE
    assert other.past()[:2] == [("user", first.caller_words), ("assistant", "One moment.")]
    assert (first.violations, other.violations) == ([], [])
