"""The media socket: every wait is bounded, nonsense is counted, and endings are harmless."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import channels.media_socket as media_socket
from agents.errors import ChannelError
from channels.media_socket import MAX_BAD_MESSAGES, MediaSocket
from channels.media_streams import Connected, Dtmf, Mark, Stop, Unknown
from tests.phone_line import PhoneLine

CONNECTED = '{"event":"connected","protocol":"Call","version":"1.0.0"}'
MARK = '{"event":"mark","mark":{"name":"0:1"}}'
WAIT_S = 5.0


def run(test: Callable[[PhoneLine, MediaSocket], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        line = await PhoneLine.accepted()
        await test(line, line.socket)

    asyncio.run(asyncio.wait_for(main(), 5))


# ---- receiving ----


def test_messages_come_in_order() -> None:
    async def test(line: PhoneLine, socket: MediaSocket) -> None:
        line.say(CONNECTED)
        line.say(MARK)
        line.say('{"event":"foo"}')

        assert [await socket.receive(WAIT_S) for _ in range(3)] == [Connected(), Mark("0:1"), Unknown("foo")]

    run(test)


@pytest.mark.parametrize("code", [1000, 1005, 1006])
def test_a_closed_socket_gives_none_however_often_it_is_asked(code: int) -> None:
    async def test(line: PhoneLine, socket: MediaSocket) -> None:
        line.say('{"event":"stop"}')
        line.drop(code)

        assert [await socket.receive(WAIT_S) for _ in range(3)] == [Stop(), None, None]

    run(test)


def test_a_line_that_says_nothing_is_an_error_after_the_time_given() -> None:
    async def test(_: PhoneLine, socket: MediaSocket) -> None:
        with pytest.raises(ChannelError, match=r"nothing came from the line for 0\.01 s"):
            await socket.receive(0.01)

    run(test)


def test_giving_up_a_wait_loses_no_message() -> None:
    async def test(line: PhoneLine, socket: MediaSocket) -> None:
        with pytest.raises(ChannelError):
            await socket.receive(0.01)
        line.say(MARK)

        assert await socket.receive(WAIT_S) == Mark("0:1")

    run(test)


def test_bad_messages_are_reported_and_ignored(caplog: pytest.LogCaptureFixture) -> None:
    async def test(line: PhoneLine, socket: MediaSocket) -> None:
        line.say("not json")
        line.say('{"event":"media","media":{"payload":"***"}}')
        line.say('{"event":"dtmf","dtmf":{"digit":"5"}}')

        assert await socket.receive(WAIT_S) == Dtmf("5")

    run(test)

    assert len(caplog.records) == 2


def test_a_binary_frame_is_a_bad_message_even_when_it_holds_valid_json() -> None:
    async def test(line: PhoneLine, socket: MediaSocket) -> None:
        line.say_bytes(MARK.encode())
        line.say(CONNECTED)

        assert await socket.receive(WAIT_S) == Connected()

    run(test)


def test_too_many_bad_messages_are_an_error_that_tells_the_last() -> None:
    async def test(line: PhoneLine, socket: MediaSocket) -> None:
        for _ in range(MAX_BAD_MESSAGES - 1):
            line.say("[]")
        line.say(MARK)
        line.say('{"event":"mark"}')

        first = await socket.receive(WAIT_S)
        with pytest.raises(ChannelError, match="mark message without its fields"):
            await socket.receive(WAIT_S)

        assert first == Mark("0:1")

    run(test)


# ---- sending ----


def test_a_message_is_sent_as_text() -> None:
    async def test(line: PhoneLine, socket: MediaSocket) -> None:
        await socket.send(MARK)

        assert line.sent == [{"type": "websocket.send", "text": MARK}]

    run(test)


def test_sending_after_closing_does_nothing() -> None:
    async def test(line: PhoneLine, socket: MediaSocket) -> None:
        await socket.close()

        await socket.send(MARK)

        assert line.messages == []

    run(test)


@pytest.mark.parametrize("failure", [OSError("broken pipe"), RuntimeError("response already completed")])
def test_sending_into_a_dead_socket_does_nothing(failure: Exception) -> None:
    async def test(line: PhoneLine, socket: MediaSocket) -> None:
        line.failure = failure

        await socket.send(MARK)
        await socket.send(MARK)

        assert line.sent == []

    run(test)


def test_a_phone_that_stops_reading_is_an_error_and_not_a_growing_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_socket, "SEND_TIMEOUT_S", 0.01)

    async def test(line: PhoneLine, socket: MediaSocket) -> None:
        line.takes.clear()

        with pytest.raises(ChannelError, match=r"took no audio for 0\.01 s"):
            await socket.send(MARK)

    run(test)


# ---- closing ----


def test_closing_tells_the_far_side_the_code_once() -> None:
    async def test(line: PhoneLine, socket: MediaSocket) -> None:
        await socket.close(1008)
        await socket.close()

        assert line.close_codes == [1008]

    run(test)


def test_closing_ends_the_wait_for_messages() -> None:
    async def test(_: PhoneLine, socket: MediaSocket) -> None:
        waiting = asyncio.ensure_future(socket.receive(WAIT_S))
        await asyncio.sleep(0)

        await socket.close()

        assert await waiting is None

    run(test)


@pytest.mark.parametrize("failure", [None, OSError("broken pipe"), RuntimeError("already closed")])
def test_closing_after_the_far_side_is_gone_is_harmless(failure: Exception | None) -> None:
    async def test(line: PhoneLine, socket: MediaSocket) -> None:
        line.drop()
        await socket.receive(WAIT_S)
        line.failure = failure

        await socket.close()

    run(test)


def test_closing_a_socket_that_hangs_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_socket, "CLOSE_TIMEOUT_S", 0.01)

    async def test(line: PhoneLine, socket: MediaSocket) -> None:
        line.takes.clear()

        await socket.close()

    run(test)


def test_a_socket_that_was_never_accepted_can_be_closed() -> None:
    async def main() -> None:
        line = PhoneLine()

        await line.socket.close(1008)

        assert line.close_codes == [1008]

    asyncio.run(main())
