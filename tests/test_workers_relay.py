"""A request that came in at another worker is asked of its own word for word, and answered here when that is gone."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from gateway.body import MAX_BODY_BYTES
from gateway.workers.board import Board, State, new_block
from gateway.workers.relay import Own, Peers, Relay, requests_socket
from gateway.workers.slot import Slot
from tests.asgi import ask

ANSWER = b"HTTP/1.1 201 Created\r\ncontent-type: text/xml\r\nx-mine: yes\r\ncontent-length: 4\r\n\r\n<ok>"


async def here(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that says what it was asked."""
    request = Request(scope, receive)
    body = (await request.body()).decode()
    answer = PlainTextResponse(f"{request.method} {scope['path']} root={scope['root_path']} {body}")
    await answer(scope, receive, send)


async def opens_slowly(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers when all who ask at once have asked."""
    for _ in range(20):
        await asyncio.sleep(0)
    await here(scope, receive, send)


@asynccontextmanager
async def relay(workers: int = 2) -> AsyncIterator[tuple[Relay, Board, Path]]:
    """The relay of worker 1, and the folder with the sockets of the others."""
    block = new_block(workers, 10)
    board = Board(block, workers, 10)
    for number in range(1, workers + 1):
        board.set_state(number, State.READY)
    try:
        with tempfile.TemporaryDirectory() as folder:
            async with Peers(Path(folder)) as peers:
                yield Relay(here, board, 1, peers), board, Path(folder)
    finally:
        board.close()
        os.close(block)


@asynccontextmanager
async def worker_2(folder: Path, answer: bytes = ANSWER) -> AsyncIterator[list[bytes]]:
    """Another worker, which answers all alike: what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line), 0
        )
        asked.append(head + await reader.readexactly(length))
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_unix_server(serve, str(requests_socket(folder, 2)))
    async with server:
        yield asked


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(bounded())


def test_another_worker_is_asked_word_for_word_and_its_answer_is_given() -> None:
    async def test() -> None:
        async with relay() as (app, _, folder), worker_2(folder) as asked:
            headers = {"X-Twilio-Signature": "s1g=", "Content-Type": "text/odd", "Connection": "keep-alive"}
            answer = await ask(app, "POST", "/twilio/w/2/twilio/after-stream", b"CallSid=CA%31&a=b%2Cc", headers)

        assert (answer.status, answer.body, answer.headers["x-mine"]) == (201, b"<ok>", "yes")
        head, _, body = asked[0].partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert lines[0] == b"POST /twilio/w/2/twilio/after-stream HTTP/1.1"
        assert body == b"CallSid=CA%31&a=b%2Cc"
        assert {b"x-twilio-signature: s1g=", b"content-type: text/odd"} <= set(lines)
        assert not [line for line in lines if line.lower().startswith((b"user-agent", b"accept"))]

    run(test)


def test_a_request_to_this_worker_is_answered_here_with_its_body_and_without_its_prefix() -> None:
    async def test() -> None:
        async with relay() as (app, _, folder), worker_2(folder) as asked:
            answer = await ask(app, "POST", "/twilio/w/1/twilio/after-stream", b"CallSid=CA1")

        assert answer.body == b"POST /twilio/w/1/twilio/after-stream root=/twilio/w/1 CallSid=CA1"
        assert asked == []

    run(test)


def test_a_worker_that_is_gone_is_answered_for() -> None:
    async def test() -> None:
        async with relay() as (app, _, _):
            answer = await ask(app, "POST", "/twilio/w/2/twilio/after-stream", b"CallSid=CA1")

        assert answer.body == b"POST /twilio/w/2/twilio/after-stream root=/twilio/w/2 CallSid=CA1"

    run(test)


def test_a_worker_that_breaks_off_is_not_answered_for_as_it_may_have_done_it() -> None:
    async def test() -> None:
        async with relay() as (app, _, folder), worker_2(folder, b"") as asked:
            answer = await ask(app, "POST", "/twilio/w/2/twilio/briefing-answer", b"CallSid=CA1")

        assert (answer.status, len(asked)) == (503, 1)

    run(test)


def test_a_new_caller_goes_to_who_has_the_least_to_do_and_several_at_once_are_spread() -> None:
    async def test() -> None:
        async with relay() as (app, board, folder), worker_2(folder) as asked:
            Slot(board, 1).tell(["CA1"], 0)
            await ask(app, "POST", "/twilio/voice", b"CallSid=CA2")
            assert len(asked) == 1
            app = Relay(opens_slowly, board, 1, app.peers)
            await asyncio.gather(*(ask(app, "POST", "/twilio/voice", f"CallSid=CA{n}".encode()) for n in range(3, 9)))

        assert len(asked) == 1 + 3

    run(test)


def test_a_body_that_is_too_long_is_refused_before_anybody_is_asked() -> None:
    async def test() -> None:
        async with relay() as (app, _, folder), worker_2(folder) as asked:
            answer = await ask(app, "POST", "/twilio/w/2/twilio/status", b"x" * (MAX_BODY_BYTES + 1))

        assert (answer.status, asked) == (413, [])

    run(test)


def test_what_others_relay_is_answered_whatever_it_is() -> None:
    async def test() -> None:
        answer = await ask(Own(here), "POST", "/twilio/voice", b"CallSid=CA1")

        assert answer.body == b"POST /twilio/voice root= CallSid=CA1"

    run(test)
