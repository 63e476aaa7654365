"""One step of a measurement: a fresh gateway, or floor, with so many calls held for so long."""

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from gateway.load.conditions import Conditions
from gateway.load.configuration import write_configuration
from gateway.load.core_time import spent_s
from gateway.load.load import Load, Target
from gateway.load.measured import Kind, Measured
from gateway.load.process import Cores, Process, ProcessEndedError, free_port, running
from gateway.load.provider import ProviderServer
from gateway.load.script import Script

COMMANDS: Final[dict[Kind, tuple[str, ...]]] = {
    "gateway": (sys.executable, "-m", "gateway", "serve"),
    "floor": (sys.executable, "-m", "gateway.load.floor"),
}

AUTH_TOKEN: Final = "test-key"
"""What the load signs its requests with; the process lives on loopback for seconds."""

MAX_CALLS: Final = 10_000
"""The most that a gateway can be set to: the load finds the limit, not this."""

NO_ADMISSION: Final = {"MAX_LOOP_LAG_MS": "0", "MAX_CPU_PERCENT": "0"}

WARM_CALLS: Final = 5
"""Up before memory is first read: what the first calls load stays, however many follow."""

LEAST_CALLS_OF_MEMORY: Final = 20
"""Under it, what else happens in the process outweighs what each call takes."""

SETTLE_S: Final = 1.0
"""Between the last call's beginning and the measurement: what setting up took is over."""

STALL_AT: Final = 0.3
"""The part of the measurement after which the provider stalls: what it held back comes before the end."""


async def hold_calls(
    kind: Kind, calls: int, conditions: Conditions, cores: Cores, tell: Callable[[str], None]
) -> Measured:
    """Sets up so many calls, then measures. Admission by load is off: it would turn away what is to be found.

    `tell` is given a word on what is going on. Raises ProcessEndedError when the process ends by itself.
    """
    tell(f"{kind}, {calls} calls: starting")
    async with _under_load(kind, conditions, cores, NO_ADMISSION) as (process, load, provider):
        tell(f"{kind}, {calls} calls: setting up")
        warm = min(WARM_CALLS, calls)
        await load.reach(warm, conditions.connect_rate)
        await asyncio.sleep(SETTLE_S)
        before_kb = process.memory_kb()
        await load.reach(calls, conditions.connect_rate)
        await asyncio.sleep(SETTLE_S)
        tell(f"{kind}, {calls} calls: measuring for {conditions.duration_s:g} s")
        measured = await _measure(kind, calls, load, process, provider, conditions)
    each_kb = (measured.memory_kb - before_kb) / max(1, measured.step.calls - warm)
    return replace(measured, memory_kb_per_call=each_kb if calls >= LEAST_CALLS_OF_MEMORY else None)


async def offer_calls(calls: int, conditions: Conditions, cores: Cores, tell: Callable[[str], None]) -> Measured:
    """Offers so many calls to a gateway that admits as it does by default, and measures from the first on.

    `asked` of what comes back is what was offered, its step's `calls` how many are up at the end. Raises
    ProcessEndedError when the process ends by itself.
    """
    tell(f"gateway, {calls} calls offered: starting")
    whole = replace(conditions, duration_s=calls / conditions.connect_rate + conditions.duration_s)
    async with _under_load("gateway", conditions, cores, {}) as (process, load, provider):
        tell(f"gateway, {calls} calls offered: measuring for {whole.duration_s:g} s")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(load.reach(calls, conditions.connect_rate), name="the calls that are offered")
                measured = await _measure("gateway", calls, load, process, provider, whole)
        except* ProcessEndedError as errors:
            raise errors.exceptions[0] from None
        return replace(measured, step=replace(measured.step, calls=load.calls))


async def _measure(
    kind: Kind, calls: int, load: Load, process: Process, provider: ProviderServer, conditions: Conditions
) -> Measured:
    """Everything of one step but the memory of each call."""
    if conditions.stall_s:
        asyncio.get_running_loop().call_later(STALL_AT * conditions.duration_s, provider.stall, conditions.stall_s)
    cores = process.cores
    with _no_collections():
        began, spent, cpu = time.monotonic(), spent_s(cores), process.cpu_s()
        step = await load.measure(conditions.duration_s)
        cpu, spent, wall = process.cpu_s() - cpu, spent_s(cores) - spent, time.monotonic() - began
    lag, others = await process.loop_lag(), max(0.0, spent - cpu) * 100 / (wall * len(cores))
    return Measured(kind, calls, step, cpu, wall, process.memory_kb(), None, lag, others, load.troubles)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Keeps the garbage collector from making the load late; it makes no cycles for each frame."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@asynccontextmanager
async def _under_load(
    kind: Kind, conditions: Conditions, cores: Cores, settings: Mapping[str, str]
) -> AsyncIterator[tuple[Process, Load, ProviderServer]]:
    """A fresh process with a provider of its own, and a load that is to call it."""
    with TemporaryDirectory(prefix="voice-gateway-load-") as name:
        folder, port = Path(name), free_port()
        async with ProviderServer(Script(mode=conditions.mode), tls=conditions.tls) as provider:
            environment = {**_environment(provider, conditions, folder), "PORT": str(port), **settings}
            async with (
                running(COMMANDS[kind], environment, port, cores.process, folder) as process,
                Load(Target(process.url, AUTH_TOKEN), provider) as load,
            ):
                yield process, load, provider


def _environment(provider: ProviderServer, conditions: Conditions, folder: Path) -> dict[str, str]:
    """The variables of the process: those of a gateway of its own, with everything on that is on by default."""
    write_configuration(folder, conditions.mode)
    return {
        **provider.environment,
        "CONFIG_DIR": str(folder),
        "DRAIN_S": "0",
        "HOST": "127.0.0.1",
        "LOAD_MODE": conditions.mode,
        "MAX_CALLS": str(MAX_CALLS),
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "WORKERS": str(conditions.workers),
        "XDG_STATE_HOME": str(folder),
    }
