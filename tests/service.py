"""The real service on loopback, for as long as an `async with`, with a carrier that can dial it."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import aiohttp

from agents import RealtimeAgent
from channels.carrier.account import Account
from channels.carrier.call import Dial, place_call
from channels.carrier.caller import Script, Utterance
from channels.carrier.media import MediaLeg, open_leg
from channels.carrier.report import CallReport
from channels.carrier.rest import serve_rest
from channels.carrier.sids import new_call_sid
from channels.carrier.signature import sign
from channels.carrier.tally import Tally
from channels.carrier.twiml import parse
from channels.carrier.twiml_verbs import Connect
from channels.carrier.witness import Transcribe
from channels.media_streams import Start
from gateway.app import make_app
from gateway.calls import Calls
from gateway.numbers import Numbers
from gateway.rest import rest_of
from gateway.server import Server
from gateway.settings import read_settings

TOKEN = "test-token-0123456789abcdef"
ACCOUNT = "AC" + "0" * 32
PUBLIC = "https://gw.example.com"
NUMBER = "+15550100200"


@dataclass(frozen=True)
class Service:
    """A service at `url`, known to the world as PUBLIC. `account` is whose REST API it uses, if any."""

    url: str
    account: Account | None = field(default=None, kw_only=True)

    async def call(
        self,
        *said: bytes,
        number: str = NUMBER,
        transcribe: Transcribe | None = None,
        recording: Path | None = None,
        **script: object,
    ) -> CallReport:
        """A whole simulated call; `said` are the caller's utterances, PCM16 at 8 kHz."""
        dial = Dial(public_url=PUBLIC, local_url=self.url, auth_token=TOKEN, account_sid=ACCOUNT, to_number=number)
        utterances = tuple(Utterance(pcm, None) for pcm in said)
        told = Script(utterances=utterances, **script)  # type: ignore[arg-type]
        return await place_call(dial, told, transcribe=transcribe, recording=recording, account=self.account)

    async def post(
        self, path: str, fields: Mapping[str, str] | Sequence[tuple[str, str]], signature: str | None = ""
    ) -> tuple[int, str]:
        """One webhook, signed unless `signature` says otherwise: status and body."""
        pairs = list(fields.items()) if isinstance(fields, Mapping) else list(fields)
        if signature == "":
            signature = sign(PUBLIC + path, dict(pairs), TOKEN)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if signature is not None:
            headers["X-Twilio-Signature"] = signature
        async with aiohttp.ClientSession() as http:
            body = urlencode(pairs)
            async with http.post(self.url + path, data=body, headers=headers, allow_redirects=False) as answer:
                return answer.status, await answer.text()

    async def ring(self, sid: str | None = None) -> Start:
        """A voice webhook, answered: what the media stream's `start` has to say."""
        sid = sid or new_call_sid()
        status, body = await self.post("/twilio/voice", voice_fields(sid))
        assert status == 200, body
        verb = parse(body)[0]
        assert isinstance(verb, Connect), body
        return Start("MZ" + secrets.token_hex(16), sid, ACCOUNT, parameters=dict(verb.stream.parameters))

    @asynccontextmanager
    async def leg(
        self, start: Start, *, signature: str | None = "", tally: Tally | None = None
    ) -> AsyncIterator[MediaLeg]:
        """A media socket of that call, open; nothing is sent yet."""
        if signature == "":
            signature = sign("wss" + PUBLIC.removeprefix("https") + "/twilio/media", {}, TOKEN)
        async with open_leg(
            f"ws{self.url.removeprefix('http')}/twilio/media", start, signature=signature, tally=tally
        ) as leg:
            yield leg


@dataclass(frozen=True)
class RunningService(Service):
    """One that runs in this event loop, and can be looked into."""

    calls: Calls
    server: Server

    def stop(self) -> None:
        """What a first SIGTERM does."""
        self.server.should_exit = True

    async def started(self, start: Start) -> None:
        """Waits until the service has taken the call's stream."""
        async with asyncio.timeout(5):
            while not ((call := self.calls.live(start.call_sid)) and call.is_claimed):  # noqa: ASYNC110
                await asyncio.sleep(0.005)


def voice_fields(sid: str, number: str = NUMBER) -> dict[str, str]:
    return {
        "CallSid": sid,
        "AccountSid": ACCOUNT,
        "From": "+15550100100",
        "To": number,
        "CallStatus": "ringing",
        "Direction": "inbound",
        "CallerName": "",
    }


@asynccontextmanager
async def running(
    *agents: RealtimeAgent,
    numbers: Numbers | None = None,
    after_stream_s: float = 0.0,
    account: Account | None = None,
    **environment: str,
) -> AsyncIterator[RunningService]:
    """The service with these agents, the first of which answers. Afterwards no task of it is left.

    With an `account` its simulated REST API is there too, and the service hangs up by it.
    """
    async with AsyncExitStack() as stack:
        rest_url = {"TWILIO_API_URL": await stack.enter_async_context(serve_rest(account))} if account else {}
        yield await stack.enter_async_context(
            _running(agents, numbers, after_stream_s, account, {**rest_url, **environment})
        )


@asynccontextmanager
async def _running(
    agents: Sequence[RealtimeAgent],
    numbers: Numbers | None,
    after_stream_s: float,
    account: Account | None,
    environment: Mapping[str, str],
) -> AsyncIterator[RunningService]:
    before = asyncio.all_tasks()
    port = free_port()
    usual = {"TWILIO_AUTH_TOKEN": TOKEN, "PUBLIC_URL": PUBLIC, "TWILIO_ACCOUNT_SID": ACCOUNT, "DRAIN_S": "0"}
    settings = read_settings(usual | dict(environment), port=port)
    by_name = {agent.name: agent for agent in agents}
    calls = Calls(
        by_name, settings.max_calls, rest=rest_of(settings) if account else None, addresses=settings.addresses
    )
    app = make_app(settings, by_name, numbers or Numbers(agents[0].name, {}), calls)
    ready = asyncio.Event()
    server = Server(app, calls, settings.host, port, settings.drain_s, ready.set, after_stream_s)
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(30):
            await ready.wait()
        url = f"http://{settings.host}:{port}"
        if account:
            account.public_url, account.local_url = PUBLIC, url
        yield RunningService(url, calls, server, account=account)
    finally:
        server.should_exit = True
        await serving
    async with asyncio.timeout(5):
        while left := asyncio.all_tasks() - before - {asyncio.current_task()}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not left


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
