"""A service that floods, never ends, never answers or closes half-way fails its own call, and nothing else."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from starlette.websockets import WebSocket, WebSocketDisconnect

from agents.errors import ChannelError
from channels.carrier import (
    CallReport,
    Dial,
    Script,
    live_call,
    media,
    open_leg,
    over_net,
    place_call,
    rest_api,
    run_virtual,
    witness,
)
from channels.carrier.account import Account
from channels.carrier.app_socket import Receive, Scope, Send
from channels.carrier.caller import Move
from channels.carrier.in_process import InProcess
from channels.carrier.reach import MAX_ANSWER_BYTES, MAX_MESSAGE_BYTES, Answer
from channels.carrier.report import CallUpdated
from channels.carrier.virtual_time import loop_time
from channels.media_streams import Media, Start, decode, write_clear, write_mark, write_media
from tests.carrier_service import CONNECT, HANGUP, PUBLIC_URL, TOKEN, FakeService, MediaDoor, says, serving

ACCOUNT_SID = "AC" + "0" * 32
START = Start("MZ" + "2" * 32, "CA" + "1" * 32, ACCOUNT_SID)
DIAL = Dial(public_url=PUBLIC_URL, auth_token=TOKEN)
STAYS = Script(stays=True)
SECOND = write_media("SID", b"\x20" * 8000)


def call(door: MediaDoor, script: Script = STAYS) -> CallReport:
    service = FakeService(door, {"/twilio/voice": CONNECT, "/twilio/after-stream": HANGUP})
    return run_virtual(place_call(DIAL, script, app=service.app()))


# ---- in virtual time ----


def speaks(ms: int, *, every_s: float) -> MediaDoor:
    """An agent that says so much, again and again, for as long as it is let."""

    async def media(websocket: WebSocket) -> None:
        stream_sid, frames = "", 0
        try:
            async for text in websocket.iter_text():
                match decode(text):
                    case Start(sid):
                        stream_sid = sid
                    case Media():
                        if frames % (every_s * 50) == 0:
                            await websocket.send_text(write_media(stream_sid, b"\x20" * 8 * ms))
                        frames += 1
        except WebSocketDisconnect:
            return

    return media


def test_a_call_that_nobody_ends_is_over_after_the_longest_time_that_calls_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_call, "LONGEST_CALL_S", 60)

    report = call(speaks(1000, every_s=1))

    assert (report.ended_by, report.errors) == ("agent", ())
    assert report.duration_ms == pytest.approx(60_000, abs=40)
    assert [event.what for event in report.carrier_did if isinstance(event, CallUpdated)] == ["time limit of 60 s"]


def test_a_flood_that_would_stop_the_clock_breaks_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "MAX_AT_ONCE", 500)

    async def floods(websocket: WebSocket) -> None:
        try:
            while True:
                await websocket.send_text(write_clear("SID"))
        except WebSocketDisconnect:
            return

    report = call(floods)

    assert "the service sent more than 500 messages within 20 ms" in report.errors
    assert report.errors[-1] == "the media socket broke with code 1006 (31903)"
    assert report.ended_by == "agent"


def test_as_many_messages_as_may_come_at_once_are_no_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "MAX_AT_ONCE", 500)

    report = call(says([write_clear("SID")] * 500), Script(hang_up_after_s=1))

    assert (report.clears, report.errors) == (500, ())


def test_only_so_many_marks_wait_to_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "MAX_OUTSTANDING_MARKS", 3)

    report = call(says([SECOND, *(write_mark("SID", f"m{n}") for n in range(5))]), Script(hang_up_after_s=2))

    assert report.marks == 3
    assert report.errors == ("protocol: more than 3 marks are outstanding",) * 2


def test_a_message_that_is_too_big_breaks_the_line_as_it_does_over_a_network() -> None:
    reports = [call(says(["x" * (MAX_MESSAGE_BYTES + 1)]))]

    async def over_a_network() -> CallReport:
        async with serving(says(["x" * (MAX_MESSAGE_BYTES + 1)])) as service:
            dial = Dial(public_url=PUBLIC_URL, local_url=service.url, auth_token=TOKEN)
            return await place_call(dial, STAYS)

    reports.append(asyncio.run(over_a_network()))

    for report in reports:
        [error] = report.errors
        assert error.startswith("the media socket broke with code 1009")


def test_an_answer_without_an_end_is_cut_off() -> None:
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            sent += 1
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})

    async def post() -> Answer:
        async with InProcess(app, PUBLIC_URL) as reach:
            return await reach.post(PUBLIC_URL, {}, {})

    with pytest.raises(ChannelError, match="more than 64 kB"):
        run_virtual(post())
    assert sent == MAX_ANSWER_BYTES // 1000 + 1


def test_only_so_many_stretches_of_sound_wait_to_be_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "MAX_UNHEARD", 1)

    async def slow(pcm: bytes) -> str:
        await asyncio.sleep(8)
        return "words"

    service = FakeService(speaks(500, every_s=2), {"/twilio/voice": CONNECT})
    ended = run_virtual(place_call(DIAL, Script(stays=True, hang_up_after_s=9), app=service.app(), transcribe=slow))

    assert ended.greeting == "words words"
    assert ended.warnings == ("a transcript is missing: more than 1 stretches waited to be written down",)


def test_only_so_many_calls_are_placed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_api, "MAX_PLACED", 2)
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json"
    form = {"To": ["+15550100300"], "From": ["+15550100200"], "Twiml": ["<Response><Pause/></Response>"]}
    basic = "Basic " + base64.b64encode(f"{ACCOUNT_SID}:{TOKEN}".encode()).decode()

    async def place() -> tuple[list[int], int]:
        account = Account(sid=ACCOUNT_SID, auth_token=TOKEN, public_url=PUBLIC_URL, app=FakeService(says([])).app())
        async with rest_api.RestApi(account) as api:
            statuses = [(await api.answer("POST", path, form, authorization=basic))[0] for _ in range(3)]
            await asyncio.sleep(10)
            statuses.append((await api.answer("POST", path, form, authorization=basic))[0])
        return statuses, len(account.reports)

    assert run_virtual(place()) == ([201, 201, 429, 201], 3)


# ---- over a network ----

Door = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""Of RFC 6455."""

CLOSE_1000 = b"\x88\x02\x03\xe8"
HALF_A_FRAME = b"\x81\x7e\x01\x00abc"
RESERVED_BITS = b"\xf1\x01a"


async def _accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    [key] = [line[19:] for line in head.decode().split("\r\n") if line.lower().startswith("sec-websocket-key: ")]
    proof = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
    upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade"
    writer.write(f"{upgrade}\r\nSec-WebSocket-Accept: {proof}\r\n\r\n".encode())


def says_bytes(message: bytes, *, is_cut: bool = False, accepts: bool = True) -> Door:
    """A server that says this once the socket is open, then ends its half, or reads on and answers nothing."""

    async def door(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if accepts:
            await _accept(reader, writer)
        writer.write(message)
        if is_cut:
            writer.write_eof()
        while await reader.read(65536):
            pass

    return door


@asynccontextmanager
async def listening(door: Door) -> AsyncIterator[str]:
    """A bare TCP server, as `host:port`. At the end every connection was let go by both sides."""
    served: list[asyncio.Future[None]] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(is_over := asyncio.get_running_loop().create_future())
        with suppress(ConnectionError):
            await door(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        is_over.set_result(None)

    async with asyncio.timeout(20), await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"
        await asyncio.gather(*served)


def streamed(door: Door, hang_up_ms: int = 10_000) -> str:
    """How one stream to a bare TCP server ended."""

    async def run() -> str:
        async with listening(door) as address:
            try:
                async with open_leg(f"ws://{address}/", START, signature=None) as leg:
                    has_hung_up = await leg.run(lambda tick: Move(is_hang_up=tick.at_ms >= hang_up_ms), loop_time())
            except ChannelError as error:
                return str(error)
        return "hung up" if has_hung_up else "closed"

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("door", "ended"),
    [
        (says_bytes(CLOSE_1000), "closed"),
        (says_bytes(b"", is_cut=True), "the media socket broke with code 1006 (31903)"),
        (says_bytes(HALF_A_FRAME, is_cut=True), "the media socket broke with code 1006 (31903)"),
        (says_bytes(RESERVED_BITS), "the media socket broke with code 1002"),
        (says_bytes(b"SSH-2.0-x\r\n", accepts=False), "the media socket's handshake failed (31920)"),
    ],
    ids=["a close and no more", "half closed", "cut in a frame", "no frame", "no HTTP"],
)
def test_a_server_that_stops_half_way_has_broken_the_line(
    door: Door, ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(over_net, "CLOSE_TIMEOUT_S", 0.1)

    assert streamed(door).startswith(ended)


def test_a_server_that_never_ends_its_frame_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_net, "CLOSE_TIMEOUT_S", 0.1)

    assert streamed(says_bytes(HALF_A_FRAME), hang_up_ms=100) == "hung up"


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 101 "])
def test_a_server_that_never_opens_its_socket_is_given_up(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_net, "OPEN_TIMEOUT_S", 0.1)

    assert streamed(says_bytes(begun, accepts=False)) == "the media socket did not open within 5 s (31901)"


def posted(answer: bytes) -> CallReport:
    """A call to a bare TCP server that answers its webhook so."""

    async def run() -> CallReport:
        async with listening(says_bytes(answer, accepts=False)) as address:
            return await place_call(Dial(public_url=f"http://{address}", auth_token=TOKEN), STAYS)

    return asyncio.run(run())


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n<Res"])
def test_a_webhook_that_is_never_answered_whole_ends_the_call(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_net, "POST_TIMEOUT_S", 0.1)

    report = posted(answer)

    assert report.ended_by == "carrier-error"
    assert report.errors[0].endswith("/twilio/voice did not answer in time (11200)")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + b"x" * 99_999, "more than 64 kB (11200)"),
        (b"SSH-2.0-x\r\n\r\n", "broke off: "),
    ],
    ids=["endless", "no HTTP"],
)
def test_a_webhook_that_is_answered_with_nonsense_ends_the_call(answer: bytes, complaint: str) -> None:
    report = posted(answer)

    assert report.ended_by == "carrier-error"
    assert complaint in report.errors[0]
