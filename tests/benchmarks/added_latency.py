"""Measures what the gateway itself adds to a call, each way, with a provider that answers at once.

    python -m tests.benchmarks.added_latency [--seconds 20] [--beside 8]

The gateway runs as a process of its own. This process is both ends: the carrier, with a frame each 20 ms, and a fake
OpenAI Realtime that answers every fifth frame with 100 ms of sound, in one delta, at once. Up is from the frame's
sending to the append's arrival, down from the delta's sending to the arrival of the first message with its sound.
With `--beside N`, N simulated calls talk with the embedded agent in the same gateway meanwhile: speech work must not
delay the measured one.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import orjson
from websockets.asyncio.server import ServerConnection, serve

from channels.carrier.recording import read_wav
from tests.service import ACCOUNT, NUMBER, PUBLIC, TOKEN, Service, free_port

EMBEDDED = "+15550100201"
QUESTION = Path("tests/recordings/something-is-terribly-wrong.wav")
FRAME_S = 0.02
DELTA_MS = 100
ULAW_BYTES_OF_DELTA = 8 * DELTA_MS


class Ends:
    """Both ends of the measured call, on one clock. Times are seconds."""

    def __init__(self) -> None:
        self.sent_up: list[float] = []
        self.came_up: list[float] = []
        self.sent_down: list[float] = []
        self.came_down: list[float] = []
        self._bytes_down = 0
        rng = np.random.default_rng(1)
        self._sound = b64encode(rng.integers(-8000, 8000, 24 * DELTA_MS, dtype=np.int16).tobytes()).decode()

    def hear(self, message: str) -> None:
        """Notes the arrival of the first message that holds sound of the next delta, and not only the end of another.

        A delta's sound begins where those before it end, but for what filter and frames hold back of them.
        """
        self._bytes_down += len(b64decode(orjson.loads(message)["media"]["payload"]))
        if self._bytes_down > len(self.came_down) * ULAW_BYTES_OF_DELTA:
            self.came_down.append(time.perf_counter())

    async def provide(self, socket: ServerConnection) -> None:
        """Plays OpenAI: as little of it as a session needs."""
        await socket.send(orjson.dumps({"type": "session.created", "event_id": "e", "session": {"id": "s"}}).decode())
        begun = orjson.dumps({"type": "response.created", "event_id": "e", "response": {"id": "r"}}).decode()
        delta = orjson.dumps(
            {"type": "response.output_audio.delta", "event_id": "e", "response_id": "r", "item_id": "i",
             "output_index": 0, "content_index": 0, "delta": self._sound}
        ).decode()  # fmt: skip
        async for message in socket:
            now = time.perf_counter()
            if '"input_audio_buffer.append"' not in str(message)[:80]:
                continue
            self.came_up.append(now)
            if len(self.came_up) == 1:
                await socket.send(begun)
            if len(self.came_up) % 5 == 1:
                self.sent_down.append(time.perf_counter())
                await socket.send(delta)


async def measure(seconds: float, beside: int) -> dict[str, object]:
    ends = Ends()
    async with serve(ends.provide, "127.0.0.1", 0, compression=None) as provider:
        port = provider.sockets[0].getsockname()[1]
        async with gateway(f"http://127.0.0.1:{port}/v1") as (service, _):
            async with asyncio.TaskGroup() as tasks:
                talking = [tasks.create_task(_embedded_calls(service, seconds)) for _ in range(beside)]
                await _measured_call(service, ends, seconds)
            gaps = sum(task.result() for task in talking)
    up = [(came - sent) * 1000 for sent, came in zip(ends.sent_up, ends.came_up, strict=False)]
    down = [(came - sent) * 1000 for sent, came in zip(ends.sent_down, ends.came_down, strict=False)]
    return {
        "frames": len(up),
        "lost_up": len(ends.sent_up) - len(ends.came_up),
        "up_ms": _percentiles(up),
        "down_ms": _percentiles(down),
        "embedded_calls_beside": beside,
        "embedded_playout_gaps": gaps,
    }


async def _measured_call(service: Service, ends: Ends, seconds: float) -> None:
    start = await service.ring()
    sound = bytes(range(160))
    async with service.leg(start) as leg:
        await leg.connected()
        await leg.begin()
        receiving = asyncio.create_task(_note_arrivals(leg.socket, ends))
        began = time.perf_counter()
        for n in range(int(seconds / FRAME_S)):
            await asyncio.sleep(max(0.0, began + n * FRAME_S - time.perf_counter()))
            ends.sent_up.append(time.perf_counter())
            await leg.media(sound)
        await asyncio.sleep(0.2)
        await leg.stop()
        await receiving


async def _note_arrivals(socket: AsyncIterable[str | bytes], ends: Ends) -> None:
    async for message in socket:
        if '"event":"media"' in str(message)[:40]:
            ends.hear(str(message))


async def _embedded_calls(service: Service, seconds: float) -> int:
    """Calls the embedded agent until the time is over: how often its voice had a hole."""
    until = time.monotonic() + seconds
    question = read_wav(QUESTION)
    gaps = 0
    while (left := until - time.monotonic()) > 5:
        report = await service.call(question, number=EMBEDDED, hang_up_after_s=left)
        gaps += report.playout_gaps
    return gaps


@asynccontextmanager
async def gateway(provider_url: str) -> AsyncIterator[tuple[Service, int]]:
    """A gateway in a process of its own, and that process's id."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        _write_config(Path(folder))
        environment = os.environ | {
            "TWILIO_AUTH_TOKEN": TOKEN, "PUBLIC_URL": PUBLIC, "TWILIO_ACCOUNT_SID": ACCOUNT, "CONFIG_DIR": folder,
            "OPENAI_API_KEY": "test-key", "OPENAI_BASE_URL": provider_url, "XDG_STATE_HOME": folder, "DRAIN_S": "1",
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway",
            "serve",
            "--port",
            str(port),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            while b"Ready" not in (line := await process.stdout.readline()):
                if not line:
                    raise RuntimeError("the gateway did not start")
            yield Service(f"http://127.0.0.1:{port}"), process.pid
        finally:
            process.terminate()
            await process.wait()


def _write_config(folder: Path) -> None:
    (folder / "agents").mkdir()
    (folder / "agents" / "cloud.yaml").write_text("model: openai/gpt-realtime-2.1\n")
    (folder / "agents" / "reception.yaml").write_text(Path("config/agents/reception.yaml").read_text())
    (folder / "numbers.yaml").write_text(f'numbers:\n  "{NUMBER}": cloud\n  "{EMBEDDED}": reception\n')


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    return {f"p{p}": round(float(np.percentile(values, p)), 3) for p in (50, 90, 99, 100)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--beside", type=int, default=0, metavar="N")
    options = parser.parse_args()
    print(orjson.dumps(asyncio.run(measure(options.seconds, options.beside)), option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
