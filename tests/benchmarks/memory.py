"""Measures the memory of the gateway's process: idle, and for each call.

    python -m tests.benchmarks.memory [--calls 50]

The calls are silent ones over a fake OpenAI Realtime; one with the embedded agent adds its voice detector, 9 MB, and
all of those share one speech worker, whose memory is printed too.
"""

import argparse
import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from websockets.asyncio.server import serve

from tests.benchmarks.added_latency import Ends, gateway


async def measure(calls: int) -> dict[str, float]:
    async with serve(Ends().provide, "127.0.0.1", 0, compression=None) as provider, AsyncExitStack() as legs:
        port = provider.sockets[0].getsockname()[1]
        service, process_id = await legs.enter_async_context(gateway(f"http://127.0.0.1:{port}/v1"))
        idle = _resident_mb(process_id)
        workers = max(map(_resident_mb, _children(process_id)))
        for _ in range(calls):
            leg = await legs.enter_async_context(service.leg(await service.ring()))
            await leg.connected()
            await leg.begin()
            for _ in range(5):
                await leg.media(bytes([0xFF]) * 160)
        await asyncio.sleep(1)
        busy = _resident_mb(process_id)
    return {
        "idle_mb": idle,
        "speech_worker_mb": workers,
        "calls": calls,
        "kb_per_call": round((busy - idle) * 1000 / calls),
    }


def _resident_mb(process_id: int) -> float:
    status = Path(f"/proc/{process_id}/status").read_text()
    return round(int(status.split("VmRSS:")[1].split()[0]) / 1000, 1)


def _children(process_id: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50)
    print(asyncio.run(measure(parser.parse_args().calls)))


if __name__ == "__main__":
    main()
