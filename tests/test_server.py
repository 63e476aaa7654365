"""The server stops in peace: Twilio's last question is answered, and a second signal is quick and quiet."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette

from agents import RealtimeAgent
from agents.events import ResponseCreate
from agents.providers.scripted import ScriptedModel
from agents.providers.scripted.steps import Expect, Say
from gateway.calls import Calls
from gateway.server import AFTER_STREAM_S, FORCED_TIMEOUT_S, Server
from tests.service import free_port, running, voice_fields


def agent() -> RealtimeAgent:
    steps = (Expect(ResponseCreate), Say("Hello.", 300))
    return RealtimeAgent(name="test", model=ScriptedModel(steps, patience_s=20), greeting="Hello.")


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


def test_the_last_question_of_a_call_that_the_shutdown_ended_is_answered() -> None:
    async def test() -> None:
        async with running(agent(), after_stream_s=AFTER_STREAM_S, DRAIN_S="0.1") as service:
            start = await service.ring()
            async with service.leg(start) as leg:
                await leg.connected()
                await leg.begin()
                service.stop()
                await leg.receive()
            await asyncio.sleep(AFTER_STREAM_S / 2)
            status, body = await service.post("/twilio/after-stream", voice_fields(start.call_sid))
            assert status == 200
            assert "<Hangup" in body
            assert "Say" not in body

    run(test)


def test_the_last_question_of_a_call_that_ended_while_stopping_is_answered() -> None:
    async def test() -> None:
        async with running(agent(), after_stream_s=AFTER_STREAM_S, DRAIN_S="20") as service:
            start = await service.ring()
            async with service.leg(start) as leg:
                await leg.connected()
                await leg.begin()
                service.stop()
                async with asyncio.timeout(5):
                    while not service.calls.is_draining:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                await service.calls.end(start.call_sid, "agent")
                await leg.receive()
            await asyncio.sleep(AFTER_STREAM_S / 2)
            assert (await service.post("/twilio/after-stream", voice_fields(start.call_sid)))[0] == 200

    run(test)


def test_without_calls_the_server_stops_at_once() -> None:
    async def test() -> None:
        async with running(agent(), after_stream_s=60, DRAIN_S="60") as service:
            began = time.monotonic()
            service.stop()
        assert time.monotonic() - began < 30

    run(test)


class Ringing:
    """A telephone that rings until it is taken back, and then so long."""

    def __init__(self, rings_on_s: float) -> None:
        self._rings_on_s = rings_on_s
        self._silent_at: float | None = None

    @property
    def expected(self) -> int:
        return int(self.is_busy)

    @property
    def is_busy(self) -> bool:
        return self._silent_at is None or time.monotonic() < self._silent_at

    def take_back(self) -> None:
        self._silent_at = time.monotonic() + self._rings_on_s


def test_a_telephone_that_rings_is_taken_back_and_waited_for() -> None:
    async def test() -> None:
        async with running(agent(), after_stream_s=0, DRAIN_S="20") as service:
            ringing = Ringing(0.5)
            service.calls.expect(ringing)
            assert ringing.is_busy
            service.stop()
        assert not ringing.is_busy

    run(test)


def test_twilio_is_not_pinged() -> None:
    config = Server(Starlette(), Calls({}, 1), "127.0.0.1", 1, 0, lambda: None).config

    assert (config.ws_ping_interval, config.ws_ping_timeout) == (None, None)


def test_a_second_signal_does_not_wait_for_calls_and_closes_the_application(caplog: pytest.LogCaptureFixture) -> None:
    closed = asyncio.Event()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        closed.set()

    async def test() -> None:
        calls = Calls({"test": agent()}, 1)
        async with calls:
            ready = asyncio.Event()
            server = Server(Starlette(lifespan=lifespan), calls, "127.0.0.1", free_port(), 60, ready.set, 60)
            serving = asyncio.create_task(server.serve())
            await ready.wait()
            calls.open("CA1", "test", "+15550100100", "+15550100200", {})
            began = time.monotonic()
            for _ in range(3):
                server.handle_exit(signal.SIGTERM, None)
            await serving
            assert time.monotonic() - began < 30
            assert closed.is_set()

    run(test)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


STUBBORN = """
import asyncio, logging, sys
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from gateway import log
from gateway.calls import Calls
from gateway.server import Server

@asynccontextmanager
async def lifespan(_):
    yield
    await asyncio.sleep(600)

log.set_up("info", "text")
Server(Starlette(lifespan=lifespan), Calls({}, 1), "127.0.0.1", int(sys.argv[1]), 60,
       lambda: print("Ready", flush=True)).run()
"""


def test_a_process_told_twice_exits_with_status_0_and_no_traceback_whatever_hangs() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN, str(free_port())],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"Ready\n"
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=FORCED_TIMEOUT_S + 5)
    assert process.returncode == 0, err
    assert b"Traceback" not in err
