"""The load against the real service, against the floor, and against bridges that break what they carry."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.websockets import WebSocket

from gateway.configuration import load_configuration
from gateway.load.configuration import AGENT, write_configuration
from gateway.load.figures import Step
from gateway.load.floor import Bridge, Floor
from gateway.load.load import Load, Target
from gateway.load.provider import ProviderServer
from gateway.load.script import Burst, Keys, Mode, Script
from gateway.load.ticker import now
from gateway.server import uvicorn_config
from tests.service import ACCOUNT, NUMBER, PUBLIC, TOKEN, running

BURSTS = (Burst(200, 500, 1500), Burst(900, 1200, 400))
KEYS = Keys(1700, "5#", 100)
"""All that a call has, in two seconds."""

CALLS = 2
FLOOR_S = 4.2
"""Two cycles: keys that were forgotten are noticed when the next are pressed."""

Measured = tuple[Step, tuple[str, ...]]
Found = Mapping[tuple[type[Floor], Mode], Measured]


def short(mode: Mode = "transcode") -> Script:
    return Script(mode=mode, cycle_ms=2000, bursts=BURSTS, keys=KEYS)


class QuietServer(uvicorn.Server):
    """Says when it is ready, and leaves signals to others: several serve at once."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_ready.set()

    @property
    def port(self) -> int:
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port


@asynccontextmanager
async def floor_of(kind: type[Floor], provider: ProviderServer) -> AsyncIterator[Target]:
    """A bridge to that provider, in this event loop."""
    environment = provider.environment
    transcodes = provider.script.mode == "transcode"
    floor = kind(environment["OPENAI_BASE_URL"], environment["OPENAI_API_KEY"], transcodes=transcodes)
    server = QuietServer(uvicorn_config(floor.app, "127.0.0.1", 0))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(), name="a floor")
        await server.is_ready.wait()
        try:
            yield Target(f"http://127.0.0.1:{server.port}", "any-token")
        finally:
            server.should_exit = True


async def measured(target: Target, provider: ProviderServer, seconds: float) -> Measured:
    async with Load(target, provider) as load:
        await load.reach(CALLS, connect_rate=50)
        step = await load.measure(seconds)
        await load.reach(0, connect_rate=50)
        return step, load.troubles


async def through(kind: type[Floor], mode: Mode) -> Measured:
    """What a load says of a bridge."""
    async with ProviderServer(short(mode)) as provider, floor_of(kind, provider) as target:
        return await measured(target, provider, FLOOR_S)


def faults(step: Step) -> dict[str, float]:
    names = ("frames_lost", "frames_doubled", "frames_damaged", "stale_ms", "keys_lost", "marks_lost", "calls_lost")
    return {name: getattr(step, name) for name in names if getattr(step, name)}


def assert_everything_was_timed(step: Step) -> None:
    assert step.calls == CALLS
    assert step.frames_sent >= 95 * CALLS
    assert step.up_ms.count >= 90 * CALLS
    for spread in (step.down_ms, step.both_ms, step.clear_ms):
        assert spread.count >= CALLS
        assert 0 < spread.p50 <= spread.p99 <= spread.max
    assert step.webhook_ms.count == step.setup_ms.count == CALLS
    assert step.calls_refused == 0


def test_the_gateway_loses_nothing_and_everything_is_timed(tmp_path: Path) -> None:
    async def run() -> Measured:
        async with ProviderServer(short()) as provider:
            write_configuration(tmp_path, "transcode")
            agents = load_configuration(tmp_path, provider.environment).make_agents(tmp_path, provider.environment)
            async with running(agents[AGENT]) as service:
                target = Target(service.url, TOKEN, PUBLIC, called=NUMBER, account_sid=ACCOUNT)
                return await measured(target, provider, 2.1)

    step, troubles = asyncio.run(run())

    assert troubles == ()
    assert faults(step) == {}
    assert_everything_was_timed(step)


# ---- bridges that break what they carry ----


class FaultyBridge(Bridge):
    """Drops each 50th of the caller's frames, and doubles each 50th of those for the caller."""

    heard = played = 0

    async def hear(self, ulaw: bytes) -> None:
        self.heard += 1
        if self.heard % 50:
            await super().hear(ulaw)

    async def play(self, ulaw: bytes) -> None:
        self.played += 1
        await super().play(ulaw + ulaw[-160:] if self.played == 2 else ulaw)


class FaultyFloor(Floor):
    bridge = FaultyBridge


class DeafBridge(Bridge):
    """Never learns that the caller speaks."""

    async def cut(self) -> None:
        pass


class DeafFloor(Floor):
    bridge = DeafBridge


class LateBridge(Bridge):
    """Clears, and then sends once more what it sent last."""

    last = b""

    async def play(self, ulaw: bytes) -> None:
        self.last = ulaw
        await super().play(ulaw)

    async def clear(self) -> None:
        await super().clear()
        if self.last:
            await self.play(self.last[:800])


class LateFloor(Floor):
    bridge = LateBridge


class KeylessBridge(Bridge):
    """Forgets keys, and marks."""

    async def press(self, digit: str) -> None:
        pass

    async def mark(self) -> None:
        pass


class KeylessFloor(Floor):
    bridge = KeylessBridge


@pytest.fixture(scope="module")
def found() -> Found:
    """What a load says of all these bridges, each measured beside the others."""
    bridges: list[tuple[type[Floor], Mode]] = [
        (Floor, "transcode"),
        (Floor, "passthrough"),
        (FaultyFloor, "transcode"),
        (FaultyFloor, "passthrough"),
        (DeafFloor, "transcode"),
        (LateFloor, "transcode"),
        (KeylessFloor, "passthrough"),
    ]

    async def run() -> list[Measured]:
        return await asyncio.gather(*(through(kind, mode) for kind, mode in bridges))

    return dict(zip(bridges, asyncio.run(run()), strict=True))


@pytest.mark.parametrize("mode", ["transcode", "passthrough"])
def test_the_floor_loses_nothing_and_everything_is_timed(found: Found, mode: Mode) -> None:
    step, troubles = found[Floor, mode]

    assert troubles == ()
    assert faults(step) == {}
    assert_everything_was_timed(step)


@pytest.mark.parametrize("mode", ["transcode", "passthrough"])
def test_frames_that_a_bridge_drops_and_doubles_are_counted(found: Found, mode: Mode) -> None:
    step, _ = found[FaultyFloor, mode]

    assert 1 <= step.frames_lost <= step.frames_sent / 40
    assert 1 <= step.frames_doubled <= 2 * CALLS
    assert step.frames_damaged == 0


def test_a_reply_that_a_bridge_does_not_clear_is_stale(found: Found) -> None:
    step, _ = found[DeafFloor, "transcode"]

    assert step.stale_ms > 100
    assert step.clear_ms.count == 0


def test_audio_that_a_bridge_sends_after_its_clear_is_stale(found: Found) -> None:
    step, _ = found[LateFloor, "transcode"]

    assert step.stale_ms >= 100
    assert step.clear_ms.count >= 1


def test_keys_and_marks_that_a_bridge_forgets_are_lost(found: Found) -> None:
    step, _ = found[KeylessFloor, "passthrough"]

    assert step.keys_lost >= CALLS
    assert step.marks_lost > 0


# ---- what becomes of calls, and of the provider ----


class BusyFloor(Floor):
    def document(self, media_url: str) -> str:
        return '<Response><Reject reason="busy"/></Response>'


class ShortFloor(Floor):
    """Hangs up on everybody."""

    async def media(self, line: WebSocket) -> None:
        await line.accept()
        await line.close()


def briefly(kind: type[Floor], *, tls: bool = False, stall_s: float = 0.0) -> Measured:
    """What a load says of half a second of such calls."""

    async def run() -> Measured:
        async with ProviderServer(short(), tls=tls) as provider:
            with pytest.MonkeyPatch.context() as patch:
                for name, value in provider.environment.items():
                    patch.setenv(name, value)
                async with floor_of(kind, provider) as target, Load(target, provider) as load:
                    await load.reach(CALLS, connect_rate=50)
                    provider.ticker.at(now() + 0.3, lambda: provider.stall(stall_s))
                    return await load.measure(0.4 + stall_s), load.troubles

    return asyncio.run(run())


def test_calls_that_are_turned_away_are_refused_and_not_lost() -> None:
    step, troubles = briefly(BusyFloor)

    assert (step.calls, step.calls_refused, step.calls_lost) == (0, CALLS, 0)
    assert step.webhook_ms.count == CALLS
    assert step.setup_ms.count == 0
    assert troubles == ()


def test_calls_that_the_far_side_ends_are_lost() -> None:
    step, troubles = briefly(ShortFloor)

    assert (step.calls, step.calls_refused, step.calls_lost) == (0, 0, CALLS)
    assert "ended by the far side" in troubles[0]


def test_the_provider_can_be_reached_over_tls_by_who_trusts_its_authority() -> None:
    step, troubles = briefly(Floor, tls=True)

    assert troubles == ()
    assert faults(step) == {}
    assert step.up_ms.count > 10 * CALLS


def test_a_provider_that_stalls_gets_everything_late_and_nothing_is_lost() -> None:
    step, troubles = briefly(Floor, stall_s=0.5)

    assert troubles == ()
    assert faults(step) == {}
    assert step.up_ms.max > 450
    assert step.up_ms.count > 20 * CALLS
