"""The carrier reaches an ASGI application without sockets, and then a call may be made in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from agents import RealtimeAgent, TokenCredential
from agents.audio import resampled
from agents.errors import ChannelError, NotSupportedError
from agents.events import AudioInputAppend, AudioOutputDelta, ClientEvent, ResponseCreated, ServerEvent, SessionCreated
from agents.realtime import SPEC, Capabilities, RealtimeAuthenticateOptions, RealtimeConnectOptions
from channels.carrier import (
    ACCOUNT_SID,
    CallReport,
    Dial,
    MediaLeg,
    Network,
    Script,
    Tally,
    Utterance,
    loop_time,
    open_leg,
    place_call,
    run_virtual,
    started,
)
from channels.carrier.app_socket import SOCKET_BYTES, App, Receive, Scope, Send
from channels.carrier.in_process import FINISH_TIMEOUT_S, InProcess
from channels.carrier.media import SEND_TIMEOUT_S
from channels.carrier.reach import MAX_ANSWER_BYTES, Answer, Unreachable
from channels.media_streams import Start
from gateway.app import make_app
from gateway.calls import Calls
from gateway.numbers import Numbers
from gateway.settings import read_settings
from tests.carrier_service import CONNECT, HANGUP, PUBLIC_URL, TOKEN, FakeService, MediaDoor, ToneAgent, tone

FRAME = bytes(range(160))
START = Start("MZ" + "2" * 32, "CA" + "1" * 32, ACCOUNT_SID)
DIAL = Dial(public_url=PUBLIC_URL, auth_token=TOKEN)
HOUR_S: Final = 3600
PIECE_MS: Final = 200


# ---- a model that never stops talking ----


class Chatter:
    """A model, and its connection: whenever it has heard 200 ms it says 200 ms of a tone, all in one response."""

    spec = SPEC
    provider = "test"
    capabilities = Capabilities()
    model_id = "chatter"

    def __init__(self) -> None:
        self.heard_bytes = 0
        self._said: asyncio.Queue[ServerEvent | None] = asyncio.Queue()
        self._tone = resampled(tone(PIECE_MS), 8000, 24_000)

    async def connect(self, options: RealtimeConnectOptions | None = None) -> Self:
        self._said.put_nowait(SessionCreated("chatter"))
        self._said.put_nowait(ResponseCreated("r"))
        return self

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> TokenCredential:
        raise NotSupportedError("a chatter has no credentials")

    @property
    def session_id(self) -> str | None:
        return None

    async def send(self, event: ClientEvent) -> None:
        if isinstance(event, AudioInputAppend):
            before, self.heard_bytes = self.heard_bytes, self.heard_bytes + len(event.pcm)
            if self.heard_bytes // len(self._tone) > before // len(self._tone):
                self._said.put_nowait(AudioOutputDelta("r", "i", 0, self._tone))

    async def __aiter__(self) -> AsyncIterator[ServerEvent]:
        while (event := await self._said.get()) is not None:
            yield event

    async def close(self) -> None:
        self._said.put_nowait(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()


def test_an_hours_call_through_the_whole_service_takes_seconds_and_loses_nothing() -> None:
    model = Chatter()

    async def call() -> tuple[CallReport, set[asyncio.Task[Any]], float]:
        before, began_s = asyncio.all_tasks(), loop_time()
        agent = RealtimeAgent(name="chatter", model=model, max_duration_s=2 * HOUR_S)
        settings = read_settings({"TWILIO_AUTH_TOKEN": TOKEN, "PUBLIC_URL": PUBLIC_URL})
        calls = Calls({"chatter": agent}, 1, clock=loop_time)
        async with started(make_app(settings, {"chatter": agent}, Numbers("chatter", {}), calls)) as app:
            report = await place_call(DIAL, Script(hang_up_after_s=HOUR_S), app=app)
        return report, asyncio.all_tasks() - before, loop_time() - began_s

    report, left, took_s = run_virtual(call())

    assert (report.errors, report.warnings, report.ended_by, left) == ((), (), "caller", set())
    assert HOUR_S <= took_s < HOUR_S + 1
    frames = 50 * HOUR_S
    assert abs(report.frames_sent - frames) <= 1
    assert abs(model.heard_bytes / 960 - frames) <= 1
    # All that was heard came back, but for the piece that was not complete and what filters look ahead.
    assert 0 <= frames - report.frames_received <= PIECE_MS // 20 + 2
    assert 0 <= frames - report.played_ms / 20 <= 2 * PIECE_MS // 20 + 2
    # One hole, while the filters fill up. Had one side drifted by a frame there would be another.
    assert (report.playout_gaps, report.playout_gap_ms) == (1, 20)


# ---- whole calls to a small application ----


def call(
    media: MediaDoor, script: Script, network: Network | None = None, voice: str = CONNECT
) -> tuple[CallReport, FakeService]:
    service = FakeService(media, {"/twilio/voice": voice, "/twilio/after-stream": HANGUP})

    async def run() -> CallReport:
        return await place_call(DIAL, script, app=service.app(), network=network)

    return run_virtual(run()), service


def test_a_whole_call_is_signed_talked_through_and_hung_up() -> None:
    report, service = call(ToneAgent(hangs_up_after=1), Script(utterances=(Utterance(tone(200), "hello"),)))

    assert report.is_good and report.ended_by == "agent"
    assert service.refused == []
    paths = [path for path, _ in service.posts if path != "/twilio/stream-status"]
    assert paths == ["/twilio/voice", "/twilio/after-stream", "/twilio/status"]
    assert (report.marks, report.frames_received, report.played_ms) == (2, 20, 400)
    assert report.lateness_p99_ms == 0


def test_a_call_in_virtual_time_is_the_same_every_time_to_the_millisecond() -> None:
    script = Script(utterances=(Utterance(tone(200)), Utterance(tone(300))), digits="5", interrupt_ms=130)
    network = Network(rtt_ms=90, jitter_ms=15)
    [first, second] = [call(ToneAgent(greeting_ms=1000, reply_ms=700), script, network)[0] for _ in range(2)]

    assert first.is_good and first.clears == 2
    assert first == second
    assert first.tape.played == second.tape.played


def test_the_agents_reply_is_timed_without_any_machine_in_it() -> None:
    report, _ = call(ToneAgent(), Script(utterances=(Utterance(tone(200)),)))

    # Five quiet frames; the last frame of the tone goes out when it is complete.
    assert [turn.reply_ms for turn in report.turns] == [5 * 20]
    assert report.answer_ms == 0


def test_what_was_heard_at_a_clear_is_exact() -> None:
    agent = ToneAgent(greeting_ms=5000)
    report, _ = call(agent, Script(utterances=(Utterance(tone(200)),), interrupt_ms=200), Network(rtt_ms=50))

    [greeting, *_] = report.clearings
    began_ms = report.tape.played[0][0]
    assert report.answer_ms == began_ms
    assert greeting.played_ms == pytest.approx(greeting.at_ms - began_ms, abs=1)
    assert greeting.played_ms + greeting.dropped_ms == pytest.approx(5000)
    assert greeting.marks == ("greeting",)


def test_a_hidden_delay_of_the_phone_holds_back_sound_and_marks_and_counts_as_not_heard() -> None:
    agent = ToneAgent(hangs_up_after=1)
    report, _ = call(agent, Script(utterances=(Utterance(tone(200)),)), Network(playback_delay_ms=70))

    assert report.answer_ms == 70
    assert [turn.reply_ms for turn in report.turns] == [100 + 70]
    assert report.is_good and report.played_ms == pytest.approx(400)


def test_the_caller_can_hang_up_in_mid_sound() -> None:
    report, _ = call(ToneAgent(greeting_ms=5000), Script(hang_up_after_s=1.01))

    assert report.ended_by == "caller"
    assert report.played_ms == pytest.approx(1020)


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("https://gw.example.com:port/next", "https://gw.example.com:port/next is not an address (11100)"),
        ("https://gw.example.com/nächstes", "https://gw.example.com/nächstes answered HTTP 404 (11200)"),
        ("//elsewhere", "cannot reach https://elsewhere: only the application is reached in this process (11205)"),
    ],
)
def test_an_address_that_leads_nowhere_ends_the_call_with_its_reason(address: str, complaint: str) -> None:
    report, _ = call(ToneAgent(), Script(), voice=f"<Response><Redirect>{address}</Redirect></Response>")

    assert report.ended_by == "carrier-error"
    assert report.errors[0] == complaint


def test_an_application_and_a_local_address_contradict_each_other() -> None:
    dial = Dial(public_url=PUBLIC_URL, local_url="http://127.0.0.1:1", auth_token=TOKEN)

    with pytest.raises(ValueError, match="no local_url"):
        run_virtual(place_call(dial, Script(), app=FakeService(ToneAgent()).app()))


# ---- media sockets ----


async def _closes(websocket: WebSocket) -> None:
    await websocket.close()


async def _denies(websocket: WebSocket) -> None:
    await websocket.send_denial_response(JSONResponse({}, 503))


async def _breaks(websocket: WebSocket) -> None:
    raise ValueError("a mistake of the application")


async def _leaves(websocket: WebSocket) -> None:
    return


async def _waits(websocket: WebSocket) -> None:
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("door", "complaint"),
    [
        (_closes, "the media socket was refused with HTTP 403 (31920)"),
        (_denies, "the media socket was refused with HTTP 503 (31920)"),
        (_breaks, "the media socket was refused with HTTP 500 (31920)"),
        (_leaves, "the media socket was refused with HTTP 500 (31920)"),
        (_waits, "the media socket did not open within 5 s (31901)"),
    ],
)
def test_a_socket_that_is_not_accepted_fails_as_it_does_over_the_network(door: MediaDoor, complaint: str) -> None:
    async def open_and_close() -> None:
        async with leg(door):
            pass

    with pytest.raises(ChannelError) as failed:
        run_virtual(open_and_close())
    assert str(failed.value) == complaint


async def _accepts_and_leaves(websocket: WebSocket) -> None:
    await websocket.accept()


async def _accepts_and_breaks(websocket: WebSocket) -> None:
    await websocket.accept()
    raise ValueError("a mistake of the application")


async def _accepts_and_closes(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close(1011, "no model")


@pytest.mark.parametrize(
    ("door", "complaint"),
    [
        (_accepts_and_leaves, "the media socket broke with code 1006 (31903)"),
        (_accepts_and_breaks, "the media socket broke with code 1006 (31903)"),
        (_accepts_and_closes, "the media socket broke with code 1011: no model (31903)"),
    ],
)
def test_a_socket_that_breaks_is_told_of_and_the_twiml_goes_on(door: MediaDoor, complaint: str) -> None:
    service = FakeService(door, {"/twilio/voice": CONNECT, "/twilio/after-stream": HANGUP})
    app = Starlette(routes=[WebSocketRoute("/twilio/media", door), *service.app().routes])

    report = run_virtual(place_call(DIAL, Script(), app=app))

    assert report.errors == (complaint,)
    assert len(service.forms("/twilio/after-stream")) == 1


def test_the_application_reads_what_was_sent_before_the_carrier_closed_and_can_send_no_more() -> None:
    got: list[str] = []
    failed: list[int] = []

    async def door(websocket: WebSocket) -> None:
        await websocket.accept()
        await asyncio.sleep(1)
        try:
            while True:
                got.append(await websocket.receive_text())
        except WebSocketDisconnect as closed:
            got.append(f"closed with {closed.code}")
        try:
            await websocket.send_text("too late")
        except WebSocketDisconnect as closed:
            failed.append(closed.code)

    async def talk() -> None:
        async with leg(door) as line:
            await line.raw("one")
            await line.raw("two")

    run_virtual(talk())

    assert got == ["one", "two", "closed with 1000"]
    assert failed == [1006]


def test_a_reset_line_loses_what_the_carrier_has_not_read_and_the_application_sees_it() -> None:
    codes: list[int] = []

    async def door(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("unread")
        try:
            await websocket.receive_text()
        except WebSocketDisconnect as closed:
            codes.append(closed.code)

    async def talk() -> tuple[int | None, Tally]:
        async with leg(door) as line:
            await asyncio.sleep(1)
            line.reset()
            await line.receive()
            with pytest.raises(ChannelError, match="closed"):
                await line.raw("more")
            return line.socket.close_code, line.tally

    code, tally = run_virtual(talk())

    assert (code, codes, tally.errors) == (1006, [1006], [])


def test_a_service_that_does_not_read_its_socket_fails_the_line_after_a_while() -> None:
    async def door(websocket: WebSocket) -> None:
        await websocket.accept()
        await asyncio.sleep(3600)

    async def talk() -> tuple[int, Tally, float]:
        async with leg(door) as line:
            with pytest.raises(ChannelError, match="31930"):
                while True:
                    await line.media(FRAME)
            return line.tally.frames_sent, line.tally, loop_time()

    began_s = run_virtual(_now())
    sent, tally, failed_s = run_virtual(talk())

    assert sent == pytest.approx(SOCKET_BYTES / 370, rel=0.1)
    assert failed_s - began_s == pytest.approx(SEND_TIMEOUT_S)
    assert tally.errors == ["the service left the media socket unread for 10 s (31930)"]


async def _now() -> float:
    return loop_time()


def test_an_application_that_sends_more_than_is_read_has_to_wait() -> None:
    sent: list[int] = []

    async def door(websocket: WebSocket) -> None:
        await websocket.accept()
        for number in range(100):
            await websocket.send_text("x" * (SOCKET_BYTES // 8))
            sent.append(number)

    async def talk() -> int:
        async with leg(door) as line:
            await asyncio.sleep(1)
            before = len(sent)
            await line.receive()
            return before

    assert run_virtual(talk()) == 8
    assert len(sent) == 100


# ---- posts ----


def test_a_post_is_a_form_and_its_answer_comes_back() -> None:
    seen: list[tuple[str, bytes, str, dict[str, str]]] = []

    async def endpoint(request: Request) -> Response:
        form = parse_qsl((await request.body()).decode(), keep_blank_values=True)
        seen.append((request.method, request.scope["raw_path"], request.url.query, dict(form)))
        return Response("<Response/>", media_type="Text/XML; charset=utf-8")

    answer = run_virtual(post(Starlette(routes=[Route("/a b", endpoint, methods=["POST"])]), "/a%20b?x=1"))

    assert seen == [("POST", b"/a%20b", "x=1", {"Digits": "1 & 2", "Blank": ""})]
    assert answer == Answer(200, "text/xml", b"<Response/>")


def test_an_application_that_fails_has_answered_500_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        raise ValueError("a mistake of the application")

    assert run_virtual(post(app, "/")).status == 500
    assert "a mistake of the application" in caplog.text


def test_an_answer_that_is_too_long_or_never_comes_is_an_error() -> None:
    async def long(request: Request) -> Response:
        return Response(b"x" * (MAX_ANSWER_BYTES + 1))

    async def slow(request: Request) -> Response:
        await asyncio.sleep(16)
        return Response()

    app = Starlette(routes=[Route("/long", long, methods=["POST"]), Route("/slow", slow, methods=["POST"])])

    with pytest.raises(ChannelError, match="more than 64 kB"):
        run_virtual(post(app, "/long"))
    with pytest.raises(ChannelError, match="did not answer in time"):
        run_virtual(post(app, "/slow"))


def test_nothing_but_the_application_is_reached() -> None:
    async def elsewhere() -> None:
        async with InProcess(Starlette(), PUBLIC_URL) as reach:
            await reach.post("https://elsewhere.example.com/", {}, {})

    with pytest.raises(Unreachable, match="elsewhere"):
        run_virtual(elsewhere())


def test_what_the_application_goes_on_with_after_its_answer_is_waited_for_and_in_the_end_given_up() -> None:
    told: list[str] = []

    async def app(scope: object, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})
            await receive()
            told.append((await receive())["type"])
            await asyncio.sleep(5)
            told.append("five seconds later")
            await asyncio.sleep(3600)
        finally:
            told.append("given up")

    began_s = run_virtual(_now())

    async def timed() -> float:
        await post(app, "/")
        return loop_time()

    assert run_virtual(timed()) - began_s == FINISH_TIMEOUT_S
    assert told == ["http.disconnect", "five seconds later", "given up"]


# ---- starting and stopping ----


def test_an_application_is_started_and_stopped_and_its_requests_know_what_it_started_with() -> None:
    told: list[str] = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, str]]:
        told.append("started")
        yield {"model": "warm"}
        told.append("stopped")

    async def endpoint(request: Request) -> Response:
        told.append(request.state.model)
        return Response()

    async def run() -> None:
        inner = Starlette(routes=[Route("/", endpoint, methods=["POST"])], lifespan=lifespan)
        async with started(inner) as app:
            await post(app, "/")

    run_virtual(run())

    assert told == ["started", "warm", "stopped"]


def test_an_application_that_cannot_start_says_why(caplog: pytest.LogCaptureFixture) -> None:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        raise ValueError("no model")
        yield

    async def run() -> None:
        async with started(Starlette(lifespan=lifespan)):
            raise AssertionError("it was not started")

    with pytest.raises(ChannelError, match=r"(?s)startup failed: .*no model"):
        run_virtual(run())


def test_an_application_without_a_lifespan_is_taken_as_it_is() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def run() -> int:
        async with started(app) as running:
            return (await post(running, "/")).status

    assert run_virtual(run()) == 204


def test_an_error_inside_a_started_application_comes_out_as_it_is() -> None:
    async def run() -> None:
        async with started(Starlette()):
            raise KeyError("the test's own")

    with pytest.raises(KeyError, match="the test's own"):
        run_virtual(run())


# ---- what the tests above share ----


@asynccontextmanager
async def leg(door: MediaDoor) -> AsyncIterator[MediaLeg]:
    """A media socket to an application that has nothing but this door."""
    app = Starlette(routes=[WebSocketRoute("/media", door)])
    async with (
        InProcess(app, PUBLIC_URL) as reach,
        open_leg("wss://gw.example.com/media", START, signature=None, reach=reach) as line,
    ):
        yield line


async def post(app: App, path: str) -> Answer:
    async with InProcess(app, PUBLIC_URL) as reach:
        return await reach.post(PUBLIC_URL + path, {"Digits": "1 & 2", "Blank": ""}, {})
