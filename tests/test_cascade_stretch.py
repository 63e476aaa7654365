"""A stretch of speech is heard as far as it is its own, and until it is silenced."""

import asyncio
from itertools import count

import pytest

from agents.cascade.eleven_wire import ElevenCodec
from agents.cascade.stretch import Stretch
from agents.errors import ProviderError
from agents.providers.socket import SocketConnection
from agents.realtime import Voice
from channels.carrier.virtual_time import run_virtual
from tests.fake_net import Hearer, MemorySocket


class Deaf(Hearer):
    async def hear(self, message: str | bytes) -> None: ...


class Heard:
    def __init__(self) -> None:
        self.words_heard: list[str] = []
        self.sounds: list[bytes] = []

    async def words(self, sentence: str, duration_ms: int | None) -> None:
        self.words_heard.append(sentence)

    async def sound(self, audio: bytes) -> None:
        self.sounds.append(audio)


def stretch(heard: Heard) -> tuple[Stretch, MemorySocket]:
    socket, codec = MemorySocket(), ElevenCodec(Voice())
    socket.hearer = Deaf()
    names = (f"s{number}" for number in count(1))
    return Stretch("speak (test)", SocketConnection(socket, codec), codec, names, heard), socket


def test_only_its_own_sound_is_heard_and_none_once_it_is_silenced() -> None:
    async def main() -> None:
        mine, _ = stretch(heard := Heard())
        await mine.say("One.")
        await mine.sounded("s0", b"another's")
        await mine.sounded("s1", b"mine")
        assert await mine.fall_silent()
        await mine.sounded("s1", b"too late")

        assert heard.words_heard == ["One."] and heard.sounds == [b"mine"]

    asyncio.run(main())


def test_its_end_is_its_own_and_another_sentence_after_it_has_another_name() -> None:
    async def main() -> None:
        mine, _ = stretch(heard := Heard())
        await mine.say("One.")
        mine.done("s0")
        mine.done("s1")
        await mine.end()
        await mine.say("Two.")
        await mine.sounded("s1", b"late")
        await mine.sounded("s2", b"two")
        mine.done("s2")
        await mine.end()

        assert heard.sounds == [b"two"]

    asyncio.run(main())


def test_a_failure_names_the_part_and_comes_to_whoever_speaks_next() -> None:
    async def main() -> None:
        mine, _ = stretch(Heard())
        await mine.say("One.")
        mine.refused("s0", ProviderError("not ours", code="x", retryable=False))
        mine.refused("s1", ProviderError("no such voice", code="voice_not_found", retryable=False))
        for speaking in (mine.say("Two."), mine.end()):
            with pytest.raises(ProviderError, match=r"speak \(test\): no such voice"):
                await speaking
        assert not await mine.fall_silent()

    asyncio.run(main())


def test_a_connection_that_is_lost_on_the_way_cannot_be_used_again() -> None:
    async def main() -> None:
        mine, socket = stretch(Heard())
        await mine.say("One.")
        socket.far_end.drop()
        with pytest.raises(ProviderError) as caught:
            await mine.say("Two.")
        assert caught.value.category == "network"
        assert not await mine.fall_silent()

    asyncio.run(main())


def test_the_end_is_waited_for_as_long_as_it_sounds() -> None:
    async def main() -> None:
        mine, _ = stretch(heard := Heard())
        await mine.say("One.")
        async with asyncio.TaskGroup() as tasks:
            ending = tasks.create_task(mine.end())
            for _ in range(5):
                await asyncio.sleep(5)
                await mine.sounded("s1", b"on and on")
            assert not ending.done()
            mine.done("s1")
        assert len(heard.sounds) == 5

    run_virtual(main())
