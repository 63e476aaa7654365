"""The whole service with two workers, as real processes on loopback, for as long as an `async with`."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from channels.carrier.account import Account
from channels.carrier.media import MediaLeg, open_leg
from channels.carrier.rest import serve_rest
from channels.carrier.sids import new_call_sid, new_sid
from channels.carrier.signature import sign
from channels.carrier.twiml import parse
from channels.carrier.twiml_verbs import Connect
from channels.media_streams import Start
from tests.service import ACCOUNT, PUBLIC, TOKEN, Service, free_port, voice_fields

MAX_CALLS = 8
CALLS_TOKEN = "test-calls-token"
THEM = "+15550100500"
PATIENCE_S = 20.0
"""Longest that a test waits for something that takes a second or two on an idle machine."""

AGENT = """
model: scripted/steps.yaml
greeting: Hello.
last_resort: {say: The desk is closed.}
outbound:
  caller_id: "+15550100200"
"""

STEPS = """
- expect: response.create
- say: {text: Hello., audio_ms: 200}
- wait_ms: 600000
"""


@dataclass(frozen=True)
class Rung:
    """A call whose webhook was answered with a stream: where it is to come, and what it is to say first."""

    path: str
    start: Start

    @property
    def worker(self) -> int:
        return int(self.path.split("/")[3])

    @property
    def sid(self) -> str:
        return self.start.call_sid


@dataclass(frozen=True)
class Workers(Service):
    """The running service. Its log is in a file."""

    process: asyncio.subprocess.Process
    log: Path

    async def voice(self, sid: str | None = None) -> Rung | None:
        """A caller's webhook; None when the caller gets the busy tone."""
        sid = sid or new_call_sid()
        status, body = await self.post("/twilio/voice", voice_fields(sid))
        assert status == 200, body
        verb = parse(body)[0]
        if not isinstance(verb, Connect):
            assert "Reject" in body
            return None
        path = verb.stream.url.removeprefix("wss" + PUBLIC.removeprefix("https"))
        return Rung(path, Start(new_sid("MZ"), sid, ACCOUNT, parameters=dict(verb.stream.parameters)))

    async def one_at(self, worker: int) -> Rung:
        """A call that a certain worker has."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                rung = await self.voice()
                if rung and rung.worker == worker:
                    return rung
                if rung:
                    await self.hang_up(rung.sid)

    @asynccontextmanager
    async def media(self, rung: Rung, path: str | None = None) -> AsyncIterator[MediaLeg]:
        """Its media stream, open and begun; at another `path`, where one is given."""
        path = path or rung.path
        signature = sign("wss" + PUBLIC.removeprefix("https") + path, {}, TOKEN)
        async with open_leg(f"ws{self.url.removeprefix('http')}{path}", rung.start, signature=signature) as leg:
            await leg.connected()
            await leg.begin()
            yield leg

    async def hang_up(self, sid: str) -> None:
        """The status callback of the number, which names no worker."""
        status, body = await self.post("/twilio/status", {**voice_fields(sid), "CallStatus": "completed"})
        assert status == 200, body

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """One request on a connection of its own: its status and its JSON."""
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, self.url + path, json=body, headers=headers) as answer,
        ):
            return answer.status, await answer.json()

    async def calls(self) -> int:
        return int((await self.ask("GET", "/readyz"))[1]["calls"])

    async def has_calls(self, count: int) -> None:
        """Waits until so many are live."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.calls() != count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def logged(self, words: str) -> None:
        """Waits until a line of the log says so."""
        async with asyncio.timeout(PATIENCE_S):
            while words not in self.log.read_text():  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def process_of(self, worker: int) -> int:
        """The process that is this worker now."""
        words = f"worker {worker} is process "
        return int(self.log.read_text().rpartition(words)[2].split()[0])

    @contextmanager
    def stopped(self, worker: int) -> Iterator[None]:
        """The worker does nothing meanwhile: what comes in at the port comes in at the others."""
        process = self.process_of(worker)
        os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(process, signal.SIGCONT)


@asynccontextmanager
async def two_workers(account: Account | None = None, **environment: str) -> AsyncIterator[Workers]:
    """The service, ready, with a simulated account's REST API. Afterwards it is told to stop, unless it has ended."""
    account = account or Account(sid=ACCOUNT, auth_token=TOKEN)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "agents").mkdir()
        (folder / "agents" / "hello.yaml").write_text(AGENT)
        (folder / "steps.yaml").write_text(STEPS)
        (folder / "numbers.yaml").write_text("default: hello\n")
        port = free_port()
        known = {
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_API_URL": await stack.enter_async_context(serve_rest(account)),
            "PUBLIC_URL": PUBLIC,
            "PORT": str(port),
            "CONFIG_DIR": str(folder),
            "WORKERS": "2",
            "MAX_CALLS": str(MAX_CALLS),
            "CALLS_TOKEN": CALLS_TOKEN,
            "CALLS_PER_SECOND": "100",
            "DRAIN_S": "20",
            "MAX_LOOP_LAG_MS": "0",
            "MAX_CPU_PERCENT": "0",
            "XDG_STATE_HOME": str(folder / "state"),
            "PYTHONPATH": str(Path(__file__).parent.parent),
            **environment,
        }
        log = folder / "log"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "gateway", "serve"),
            env={**os.environ, **known},
            stdout=asyncio.subprocess.PIPE,
            stderr=stack.enter_context(log.open("w")),
        )
        account.public_url, account.local_url = PUBLIC, f"http://127.0.0.1:{port}"
        service = Workers(account.local_url, process, log, account=account)
        try:
            await _ready(process, log)
            yield service
        except BaseException:
            print(_lines(log))  # pytest shows it
            raise
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGINT)  # two of one kind may arrive as one
            async with asyncio.timeout(PATIENCE_S):
                await process.wait()


async def _ready(process: asyncio.subprocess.Process, log: Path) -> None:
    assert process.stdout
    async with asyncio.timeout(PATIENCE_S):
        while b"Ready on" not in (line := await process.stdout.readline()):
            assert line, _lines(log)


def _lines(log: Path) -> str:
    return log.read_text()
