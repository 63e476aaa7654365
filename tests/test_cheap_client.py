"""Whole messages on their short way to the wire: as the library would have written them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from agents.providers.cheap_client import CheapClient, Masks, masked_frame


def read(data: bytes) -> Frame:
    """A frame as the library reads it on the server's side."""
    reader = StreamReader()
    reader.feed_data(data)
    parsing = Frame.parse(reader.read_exact, mask=True, max_size=None)
    with pytest.raises(StopIteration) as done:
        next(parsing)
    frame: Frame = done.value.value
    return frame


@given(st.text(max_size=300), st.binary(min_size=4, max_size=4))
def test_a_text_is_one_masked_frame_that_the_library_reads(text: str, mask: bytes) -> None:
    assert read(masked_frame(text, mask)) == Frame(Opcode.TEXT, text.encode())


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_messages_of_every_length_have_the_header_of_their_length(size: int) -> None:
    assert read(masked_frame(bytes(size), b"\x01\x02\x03\x04")) == Frame(Opcode.BINARY, bytes(size))


def test_masks_are_four_bytes_each_and_do_not_repeat() -> None:
    masks = Masks()
    drawn = [masks.next() for _ in range(5_000)]

    assert {len(mask) for mask in drawn} == {4}
    assert len(set(drawn)) > 4_990


def test_texts_bytes_and_fragments_arrive_in_order_as_what_they_were() -> None:
    async def fragments() -> AsyncIterator[str]:
        yield "in "
        yield "pieces"

    async def test() -> None:
        heard: list[str | bytes] = []

        async def hear(server: ServerConnection) -> None:
            async for message in server:
                heard.append(message)

        async with serve(hear, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}", create_connection=CheapClient, compression=None) as client:
                await client.send("text: ä")
                await client.send(b"bytes")
                await client.send(fragments())
                await client.send(b"text after all", text=True)
                await client.send("the end")
            await client.wait_closed()
        assert heard == ["text: ä", b"bytes", "in pieces", "text after all", "the end"]

    asyncio.run(test())


def test_nothing_is_sent_between_the_pieces_of_another_message() -> None:
    async def test() -> None:
        heard: list[str | bytes] = []
        go_on = asyncio.Event()

        async def fragments() -> AsyncIterator[str]:
            yield "one "
            await go_on.wait()
            yield "message"

        async def hear(server: ServerConnection) -> None:
            async for message in server:
                heard.append(message)

        async with serve(hear, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}", create_connection=CheapClient, compression=None) as client:
                first = asyncio.create_task(client.send(fragments()))
                await asyncio.sleep(0)
                second = asyncio.create_task(client.send("another"))
                await asyncio.sleep(0)
                go_on.set()
                await asyncio.gather(first, second)
            await client.wait_closed()
        assert heard == ["one message", "another"]

    asyncio.run(test())


def test_sending_on_a_connection_that_is_over_raises_as_the_library_does() -> None:
    async def test() -> None:
        async def hang_up(server: ServerConnection) -> None:
            await server.close()

        async with serve(hang_up, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}", create_connection=CheapClient, compression=None) as client:
                await client.wait_closed()
                with pytest.raises(ConnectionClosed):
                    await client.send("too late")

    asyncio.run(test())


def test_a_peer_that_reads_nothing_makes_the_sender_wait() -> None:
    async def test() -> None:
        is_done = asyncio.Event()

        async def read_nothing(server: ServerConnection) -> None:
            server.transport.pause_reading()
            await is_done.wait()
            server.transport.resume_reading()

        async with serve(read_nothing, "127.0.0.1", 0, max_size=None) as server:
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}", create_connection=CheapClient, compression=None) as client:

                async def flood() -> None:
                    for _ in range(10_000):
                        await client.send("x" * 10_000)

                flooding = asyncio.create_task(flood())
                done, _ = await asyncio.wait({flooding}, timeout=0.5)
                assert not done
                flooding.cancel()
                await asyncio.wait({flooding})
                is_done.set()

    asyncio.run(test())
