"""A bad network delays, stalls, loses and cuts exactly as it is told to, and changes no order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from agents.errors import ChannelError
from channels.carrier import CallReport, Dial, Network, Script, Stall, Utterance, loop_time, place_call, run_virtual
from channels.carrier.callbacks import REORDER_S
from channels.carrier.distance import CLOSE_TIMEOUT_S, IN_FLIGHT_BYTES, Distant
from channels.carrier.in_process import InProcess
from channels.carrier.network import Direction
from channels.carrier.pipe import Pipe
from channels.carrier.reach import Socket, SocketClosed
from channels.media_streams import Media, Stop
from tests.carrier_service import CONNECT, HANGUP, PUBLIC_URL, TOKEN, FakeService, ToneAgent, tone

MEDIA_URL = "wss://gw.example.com/media"
DIAL = Dial(public_url=PUBLIC_URL, auth_token=TOKEN)


# ---- when messages arrive: pure ----


def arrivals_ms(network: Network, sent_ms: list[int], direction: Direction = "out") -> list[float]:
    arrivals = network.arrivals(direction, opened_s=0)
    return [round(arrivals.of(ms / 1000) * 1000, 6) for ms in sent_ms]


def test_each_way_takes_half_of_the_round_trip() -> None:
    assert arrivals_ms(Network(rtt_ms=100), [0, 20]) == [50, 70]
    assert arrivals_ms(Network(rtt_ms=100), [0, 20], "in") == [50, 70]


def test_the_way_out_takes_as_many_times_longer_as_the_asymmetry_says() -> None:
    network = Network(rtt_ms=100, asymmetry=4)

    assert (arrivals_ms(network, [0]), arrivals_ms(network, [0], "in")) == ([80], [20])


@given(
    st.floats(0, 500),
    st.floats(0, 500),
    st.lists(st.integers(0, 100), min_size=2, max_size=60),
    st.lists(st.tuples(st.floats(0, 3), st.floats(0, 2)), max_size=3),
)
def test_jitter_and_stalls_delay_within_their_bounds_and_nothing_overtakes(
    rtt_ms: float, jitter_ms: float, gaps_ms: list[int], stalls: list[tuple[float, float]]
) -> None:
    network = Network(rtt_ms=rtt_ms, jitter_ms=jitter_ms, stalls=tuple(Stall(at, long) for at, long in stalls))
    sent_ms = [sum(gaps_ms[:n]) for n in range(len(gaps_ms))]
    arrived_ms = arrivals_ms(network, sent_ms)

    assert all(first <= second for first, second in pairwise(arrived_ms))
    assert not any(at <= ms / 1000 < at + long - 1e-6 for ms in arrived_ms for at, long in stalls)
    for sent, arrived in zip(sent_ms, arrived_ms, strict=True):
        assert arrived >= sent + rtt_ms / 2 - 1e-5
        if not stalls:
            assert arrived <= max(sent_ms[: sent_ms.index(sent) + 1]) + rtt_ms / 2 + jitter_ms + 1e-5


def test_jitter_spreads_messages_and_the_same_seed_spreads_them_the_same() -> None:
    sent_ms = list(range(0, 100_000, 1000))
    first, same, other = (arrivals_ms(Network(jitter_ms=100, seed=seed), sent_ms) for seed in (1, 1, 2))
    late_ms = [arrived - sent for arrived, sent in zip(first, sent_ms, strict=True)]

    assert first == same != other
    assert min(late_ms) < 20 and max(late_ms) > 80
    assert arrivals_ms(Network(jitter_ms=100, seed=1), sent_ms, "in") != first


def test_a_stall_holds_everything_back_and_lets_it_go_at_once() -> None:
    network = Network(rtt_ms=100, stalls=(Stall(1, 0.5), Stall(1.5, 0.1, "out"), Stall(3, 1, "in")))
    sent_ms = [900, 960, 1200, 1500, 1600, 3000]

    assert arrivals_ms(network, sent_ms) == [950, 1600, 1600, 1600, 1650, 3050]
    assert arrivals_ms(network, sent_ms, "in") == [950, 1500, 1500, 1550, 1650, 4000]


@pytest.mark.parametrize(
    "wrong",
    [
        {"rtt_ms": -1},
        {"jitter_ms": float("nan")},
        {"asymmetry": float("inf")},
        {"reset_after_s": -0.1},
        {"playback_delay_ms": -5},
    ],
)
def test_what_no_network_does_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is "):
        Network(**wrong)  # type: ignore[arg-type]


def test_a_stall_before_the_beginning_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Stall(-1, 1)


# ---- one direction of a connection ----


def test_a_pipe_that_breaks_off_wakes_its_reader_before_anything_is_due() -> None:
    async def main() -> tuple[str | bytes | None, float]:
        pipe, began_s = Pipe(1000), loop_time()
        pipe.push("late", began_s + 3600)
        asyncio.get_running_loop().call_later(1, pipe.break_off)
        return await pipe.take(), loop_time() - began_s

    assert run_virtual(main()) == (None, 1)


def test_a_pipe_that_is_full_lets_one_in_when_there_is_room_and_nobody_once_it_has_ended() -> None:
    told: list[str] = []

    async def put(pipe: Pipe, message: str) -> None:
        try:
            await pipe.room()
            pipe.push(message)
            told.append(f"put {message}")
        except SocketClosed:
            told.append(f"{message} came too late")

    async def main() -> list[str | bytes | None]:
        pipe = Pipe(2)
        async with asyncio.TaskGroup() as tasks:
            for message in ("aa", "bb", "cc"):
                tasks.create_task(put(pipe, message))
            await asyncio.sleep(1)
            taken = [await pipe.take()]
            await asyncio.sleep(1)
            pipe.end()
            return [*taken, await pipe.take(), await pipe.take()]

    assert run_virtual(main()) == ["aa", "bb", None]
    assert told == ["put aa", "put bb", "cc came too late"]


# ---- on a media socket ----


def test_a_message_takes_half_of_the_round_trip_each_way_and_opening_takes_all_of_it() -> None:
    async def main() -> tuple[float, float]:
        began_s = loop_time()
        async with line(_echo, Network(rtt_ms=300, asymmetry=2)) as socket:
            opened_s = loop_time()
            await socket.send("hello")
            assert await anext(socket) == "hello"
            return opened_s - began_s, loop_time() - opened_s

    assert run_virtual(main()) == pytest.approx((0.3, 0.3))


def test_messages_under_way_are_many_and_stay_in_order() -> None:
    sent = [f"message {n}" for n in range(200)]

    async def main() -> tuple[list[str | bytes], float]:
        async with line(_echo, Network(rtt_ms=1000, jitter_ms=500)) as socket:
            began_s = loop_time()
            for message in sent:
                await socket.send(message)
            return [await anext(socket) for _ in sent], loop_time() - began_s

    came, took_s = run_virtual(main())

    assert came == sent
    assert 1 <= took_s <= 2.001


def test_closing_delivers_what_is_under_way_and_tells_the_service_after_it() -> None:
    got: list[object] = []

    async def main() -> float:
        async with line(_noting(got), Network(rtt_ms=400)) as socket:
            await socket.send("last words")
            return loop_time()

    closed_s = run_virtual(main())

    assert got == [("last words", pytest.approx(closed_s + 0.2)), (1000, pytest.approx(closed_s + 0.2))]


def test_what_the_service_sent_before_it_closed_arrives_before_its_closing_does() -> None:
    async def door(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("goodbye")
        await websocket.close(1000)

    async def main() -> tuple[list[str | bytes], float, int | None]:
        async with line(door, Network(rtt_ms=400)) as socket:
            began_s = loop_time()
            await socket.send("not known yet")
            came = [message async for message in socket]
            took_s = loop_time() - began_s
            with pytest.raises(SocketClosed):
                await socket.send("known by now")
            return came, took_s, socket.close_code

    came, took_s, code = run_virtual(main())

    assert (came, code) == (["goodbye"], 1000)
    # The door closed while the socket's opening was on its way back.
    assert took_s == pytest.approx(0.2)


def test_a_reset_is_seen_by_both_sides_at_once() -> None:
    got: list[object] = []

    async def main() -> tuple[float, float, int | None]:
        async with line(_noting(got), Network(rtt_ms=400, reset_after_s=5)) as socket:
            opened_s = loop_time()
            await socket.send("in time")
            await asyncio.sleep(4.9)
            await socket.send("under way")
            came = [message async for message in socket]
            assert came == []
            with pytest.raises(SocketClosed):
                await socket.send("after it")
            return opened_s, loop_time(), socket.close_code

    opened_s, seen_s, code = run_virtual(main())

    assert code == 1006
    assert seen_s - opened_s == pytest.approx(5)
    assert got == [("in time", pytest.approx(opened_s + 0.2)), (1006, pytest.approx(opened_s + 5))]


def test_a_network_that_falls_silent_still_carries_what_the_service_says() -> None:
    got: list[object] = []

    async def door(websocket: WebSocket) -> None:
        await websocket.accept()
        got.append(await websocket.receive_text())
        await asyncio.sleep(10)
        await websocket.send_text("are you there?")
        try:
            got.append(await websocket.receive_text())
        except WebSocketDisconnect as closed:
            got.append(closed.code)

    async def main() -> str | bytes:
        async with line(door, Network(silent_after_s=1)) as socket:
            await socket.send("before")
            await asyncio.sleep(1)
            await socket.send("after")
            return await anext(socket)

    assert run_virtual(main()) == "are you there?"
    assert got == ["before", 1000]


def test_a_service_that_reads_nothing_lets_only_so_much_be_under_way() -> None:
    async def door(websocket: WebSocket) -> None:
        await websocket.accept()
        await asyncio.sleep(3600)

    async def main() -> int:
        sent = 0
        async with line(door, Network(rtt_ms=10)) as socket:
            try:
                async with asyncio.timeout(60):
                    while True:
                        await socket.send("x" * 1000)
                        sent += 1
            except TimeoutError:
                return sent

    assert IN_FLIGHT_BYTES / 1000 < run_virtual(main()) < 1.5 * IN_FLIGHT_BYTES / 1000


def test_closing_waits_no_longer_than_it_may_for_what_a_stall_holds_back() -> None:
    got: list[Any] = []

    async def main() -> float:
        async with line(_noting(got), Network(rtt_ms=100, stalls=(Stall(0, 3600),))) as socket:
            await socket.send("held back")
            began_s = loop_time()
        return loop_time() - began_s

    assert run_virtual(main()) == pytest.approx(0.05 + CLOSE_TIMEOUT_S)
    assert [what for what, _ in got] == [1006]


def test_an_error_on_a_line_comes_out_as_it_is() -> None:
    async def main() -> None:
        async with line(_echo, Network(rtt_ms=100)):
            raise ChannelError("the test's own")

    with pytest.raises(ChannelError, match="the test's own"):
        run_virtual(main())


# ---- on whole calls ----


def call(agent: ToneAgent, script: Script, network: Network, voice: str = CONNECT) -> tuple[CallReport, FakeService]:
    service = FakeService(agent, {"/twilio/voice": voice, "/twilio/after-stream": HANGUP})

    async def run() -> CallReport:
        return await place_call(DIAL, script, app=service.app(), network=network)

    return run_virtual(run()), service


def test_a_caller_far_away_hears_everything_later_by_the_round_trip() -> None:
    script = Script(utterances=(Utterance(tone(200)),))
    near, _ = call(ToneAgent(), script, Network())
    far, _ = call(ToneAgent(), script, Network(rtt_ms=300))

    assert near.is_good and far.is_good
    assert near.answer_ms is not None and far.answer_ms is not None
    # The webhook, the socket's opening, then `start` out and the greeting in.
    assert far.answer_ms - near.answer_ms == 3 * 300
    assert far.turns[0].reply_ms == (near.turns[0].reply_ms or 0) + 300


def test_a_stall_holds_back_the_greeting_and_loses_nothing_of_it() -> None:
    smooth, _ = call(ToneAgent(greeting_ms=1000), Script(), Network(rtt_ms=100))
    stalled, _ = call(ToneAgent(greeting_ms=1000), Script(), Network(rtt_ms=100, stalls=(Stall(0, 2, "in"),)))

    assert smooth.answer_ms is not None and stalled.answer_ms is not None
    assert stalled.answer_ms - smooth.answer_ms == pytest.approx(2000 - 100, abs=60)
    assert stalled.frames_received == smooth.frames_received == 50


def test_without_its_stop_a_stream_just_closes() -> None:
    kept, lost = ToneAgent(), ToneAgent()
    call(kept, Script(), Network())
    report, service = call(lost, Script(), Network(lose_stop=True))

    assert isinstance(kept.received[-1], Stop) and isinstance(lost.received[-1], Media)
    assert report.is_good and service.refused == []


def test_a_reset_in_mid_call_is_an_error_and_the_twiml_goes_on() -> None:
    agent = ToneAgent(greeting_ms=5000)
    report, service = call(agent, Script(), Network(rtt_ms=40, reset_after_s=2))

    assert report.errors == ("the media socket broke with code 1006 (31903)",)
    assert report.played_ms == pytest.approx(2000 - 40, abs=1)
    assert len(service.forms("/twilio/after-stream")) == 1
    assert service.forms("/twilio/stream-status")[-1]["StreamEvent"] == "stream-error"


def test_a_line_that_falls_silent_leaves_the_service_without_frames_but_the_caller_with_the_agent() -> None:
    agent = ToneAgent(greeting_ms=3000)
    report, _ = call(agent, Script(), Network(silent_after_s=1))

    assert report.played_ms == pytest.approx(3000)
    assert report.frames_sent > 150
    assert sum(isinstance(message, Media) for message in agent.received) == 50
    assert not any(isinstance(message, Stop) for message in agent.received)


# ---- callbacks ----


def test_a_callback_that_is_delivered_twice_has_the_same_token_and_the_same_parameters() -> None:
    tokens: list[tuple[str, str]] = []

    async def status(request: Request) -> Response:
        tokens.append((request.headers["I-Twilio-Idempotency-Token"], (await request.body()).decode()))
        return Response(status_code=204)

    async def voice(_: Request) -> Response:
        return Response(HANGUP, media_type="text/xml")

    app = Starlette(
        routes=[Route("/twilio/voice", voice, methods=["POST"]), Route("/twilio/status", status, methods=["POST"])]
    )
    run_virtual(place_call(DIAL, Script(), app=app, network=Network(duplicate_callbacks=True)))

    assert len(tokens) == 2 and tokens[0] == tokens[1]


def test_webhooks_that_are_answered_with_twiml_are_never_delivered_twice() -> None:
    _, service = call(ToneAgent(), Script(), Network(duplicate_callbacks=True))

    assert len(service.forms("/twilio/voice")) == 1
    assert len(service.forms("/twilio/status")) == 2
    assert [form["StreamEvent"] for form in service.forms("/twilio/stream-status")] == [
        *["stream-started"] * 2,
        *["stream-stopped"] * 2,
    ]


def test_callbacks_that_may_overtake_come_in_another_order_and_all_of_them_come() -> None:
    orders = set()
    for seed in range(8):
        _, service = call(ToneAgent(), Script(hang_up_after_s=0.2), Network(reorder_callbacks=True, seed=seed))
        told = [form.get("StreamEvent", "completed") for path, form in service.posts if path.endswith("status")]
        orders.add(tuple(told))

    assert {frozenset(order) for order in orders} == {frozenset({"stream-started", "stream-stopped", "completed"})}
    assert len(orders) > 1


def test_a_callback_that_others_may_overtake_is_late_by_no_more_than_it_may_be() -> None:
    came_s: list[float] = []

    async def status(_: Request) -> Response:
        came_s.append(loop_time())
        return Response(status_code=204)

    async def voice(_: Request) -> Response:
        return Response(HANGUP, media_type="text/xml")

    app = Starlette(
        routes=[Route("/twilio/voice", voice, methods=["POST"]), Route("/twilio/status", status, methods=["POST"])]
    )

    async def late_s(seed: int) -> float:
        began_s = loop_time()
        await place_call(DIAL, Script(), app=app, network=Network(reorder_callbacks=True, seed=seed))
        return came_s[-1] - began_s

    late = [run_virtual(late_s(seed)) for seed in range(20)]

    assert max(late) <= REORDER_S
    assert max(late) - min(late) > REORDER_S / 2


# ---- what the tests above share ----


Door = Callable[[WebSocket], Awaitable[None]]


async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


def _noting(got: list[Any]) -> Door:
    """A door that notes each message, and the code of the closing, with the time it came."""

    async def door(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                got.append((await websocket.receive_text(), loop_time()))
        except WebSocketDisconnect as closed:
            got.append((closed.code, loop_time()))

    return door


@asynccontextmanager
async def line(door: Door, network: Network) -> AsyncIterator[Socket]:
    """A media socket to this door, with a network on the way."""
    app = Starlette(routes=[WebSocketRoute("/media", door)])
    async with InProcess(app, PUBLIC_URL) as reach, Distant(reach, network).socket(MEDIA_URL, {}) as socket:
        yield socket
