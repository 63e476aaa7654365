"""Calls that begin and end at the same moment: none is left, and nobody waits for one that never was."""

import asyncio

import pytest

from agents import RealtimeAgent
from agents.events import Closed
from agents.providers.scripted import ScriptedModel
from agents.providers.scripted.steps import Wait
from channels.carrier.virtual_time import run_virtual
from gateway.call import Call
from gateway.calls import Calls

SID = "CA1"


def model() -> ScriptedModel:
    return ScriptedModel((Wait(60_000),))


def service(model: ScriptedModel) -> Calls:
    return Calls({"desk": RealtimeAgent(name="desk", model=model)}, 1, clock=asyncio.get_running_loop().time)


def opened(calls: Calls) -> Call:
    call = calls.open(SID, "desk", "", "", {})
    assert call
    return call


def closed(calls: Calls) -> Closed:
    ended = calls.how_it_ended(SID)
    assert ended
    return ended.closed


@pytest.mark.parametrize("turns", range(6))
def test_a_call_that_is_ended_so_many_turns_of_the_loop_after_it_was_opened_is_over_at_once(turns: int) -> None:
    async def test() -> None:
        scripted, loop = model(), asyncio.get_running_loop()
        began = loop.time()
        async with service(scripted) as calls:
            call = opened(calls)
            for _ in range(turns):
                await asyncio.sleep(0)
            await calls.end(SID, "caller")
            assert (closed(calls), call.ended.is_set(), len(calls)) == (Closed("caller"), True, 0)
        assert loop.time() - began < 1
        assert all(connection.is_closed for connection in scripted.connections)

    run_virtual(test())


@pytest.mark.parametrize("turns", range(6))
def test_all_calls_are_ended_so_many_turns_of_the_loop_after_one_was_opened(turns: int) -> None:
    async def test() -> None:
        scripted, loop = model(), asyncio.get_running_loop()
        began = loop.time()
        async with service(scripted) as calls:
            opened(calls)
            for _ in range(turns):
                await asyncio.sleep(0)
        assert (closed(calls), len(calls)) == (Closed("closed"), 0)
        assert loop.time() - began < 1
        assert all(connection.is_closed for connection in scripted.connections)

    run_virtual(test())


def test_a_call_whose_session_was_closed_before_it_could_connect_ends_as_that_says() -> None:
    async def test() -> None:
        scripted = model()
        async with service(scripted) as calls:
            call = opened(calls)
            await call.session.close("agent")
            await call.ended.wait()
            assert (closed(calls), len(calls), scripted.connections) == (Closed("agent"), 0, [])

    run_virtual(test())


def test_a_call_that_is_opened_again_when_the_last_one_just_ended_is_served() -> None:
    async def test() -> None:
        scripted = model()
        async with service(scripted) as calls:
            opened(calls)
            await calls.end(SID, "closed")
            again = opened(calls)
            await asyncio.sleep(1)
            assert (len(calls), again.session.closed, len(scripted.connections)) == (1, None, 1)

    run_virtual(test())
