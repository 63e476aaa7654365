"""A whole service that measures itself: what it says of its loop, whom it lets in, what it says of what blocks it."""

import asyncio
import time

import pytest

from agents import RealtimeAgent
from agents.providers.scripted import ScriptedModel
from agents.providers.scripted.steps import Wait
from channels.carrier import started
from channels.carrier.app_socket import App
from gateway.admission import Admission
from gateway.app import make_app
from gateway.calls import Calls
from gateway.loop_lag import LOOK_BACK, LoopLoad
from gateway.numbers import Numbers
from gateway.settings import read_settings
from tests.asgi import ask


def service(load: LoopLoad | None) -> tuple[App, Calls]:
    agents = {"desk": RealtimeAgent(name="desk", model=ScriptedModel((Wait(60_000),)))}
    calls = Calls(agents, Admission(10, load, max_cpu_percent=85))
    return make_app(read_settings({}), agents, Numbers("desk", {}), calls, load=load), calls


def test_the_service_says_how_its_loop_is_and_measures_only_while_it_runs() -> None:
    load = LoopLoad()

    async def scenario() -> tuple[int, dict[str, object]]:
        app, _ = service(load)
        async with started(app) as running:
            while not load.lag().max:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            answer = await ask(running, "GET", "/readyz")
        return answer.status, answer.json

    status, said = asyncio.run(asyncio.wait_for(scenario(), 5))

    assert (status, said["status"], said["calls"], said["waiting"], said["cpu_percent"]) == (200, "ready", 0, 0, 0.0)
    assert isinstance(said["loop_lag_ms"], dict) and list(said["loop_lag_ms"]) == ["p50", "p95", "max"]
    assert load.came_round_at is None


def test_a_service_that_does_not_measure_says_nothing_of_its_loop() -> None:
    async def scenario() -> dict[str, object]:
        app, _ = service(None)
        async with started(app) as running:
            said: dict[str, object] = (await ask(running, "GET", "/readyz")).json
            return said

    assert asyncio.run(scenario()) == {"status": "ready", "calls": 0, "waiting": 0}


def test_in_overload_the_service_is_full_until_it_is_over() -> None:
    load = LoopLoad()

    async def scenario() -> list[tuple[int, str]]:
        app, calls = service(load)
        seen = []
        async with started(app) as running:
            calls.open("CA1", "desk", "", "", {})
            await asyncio.sleep(0.05)
            for cpu in (1.0, 0.1):
                for _ in range(LOOK_BACK):
                    load.second_passed(cpu)
                answer = await ask(running, "GET", "/readyz")
                seen.append((answer.status, answer.json["status"]))
        return seen

    assert asyncio.run(scenario()) == [(503, "full"), (200, "ready")]


def test_the_service_names_the_line_that_blocks_it(caplog: pytest.LogCaptureFixture) -> None:
    load = LoopLoad()

    async def scenario() -> None:
        app, _ = service(load)
        async with started(app):
            while load.came_round_at is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            time.sleep(0.25)  # noqa: ASYNC251
            while "event loop was blocked" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(scenario(), 5))

    assert f"{__file__}:" in caplog.text
