"""A caller on hold hears music and is not heard, until the agent speaks or somebody takes them back."""

from pathlib import Path

from agents.events import AudioInputAppend, ItemCreate, ItemTruncate, ResponseCancel, ResponseCreate
from agents.hold import REMIND_AFTER_S
from agents.idle import IdleStep
from agents.recordings import melody
from tests.scene import Scene, audio_format, play, silent_frame, size  # noqa: F401 the format is for all tests
from tests.test_recordings import tone


def music(call: Scene) -> bytes:
    return b"".join(pcm for item, pcm in call.channel.heard if not item.response_id)


def test_the_caller_hears_music_again_and_again_and_the_model_hears_nobody() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.session.hold()
            await call.hears(20_000)
            length = len(melody(call.channel.audio_format))

            assert len(music(call)) == 2 * length
            assert call.sent(AudioInputAppend) == []

    play(scene)


def test_taken_back_the_caller_hears_silence_at_once_and_is_heard_and_the_model_is_told_nothing() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.session.hold()
            await call.passes(1000)
            await call.session.resume()
            is_playing = call.channel.is_playing
            await call.hears(100)

            assert not is_playing
            assert len(call.sent(AudioInputAppend)) == 5
            assert call.sent(ResponseCancel, ItemTruncate, ItemCreate, ResponseCreate) == []

    play(scene)


def test_the_agents_voice_ends_the_hold_and_is_heard_at_once() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.session.hold()
            await call.passes(3000)
            said = await call.replies("r1", 500)
            await call.passes(500)

            assert call.played("r1") == said
            assert not call.channel.is_playing
            assert not call.session.is_on_hold
            assert call.sent(ItemTruncate, ResponseCancel) == []

    play(scene)


def test_music_waits_until_the_agent_has_said_what_it_is_saying() -> None:
    async def scene() -> None:
        async with Scene() as call:
            said = await call.replies("r1", 400, done=False)
            await call.session.hold()
            await call.passes(300)
            before = music(call)

            assert (before, call.played("r1")) == (b"", said)

    play(scene)


def test_a_caller_who_is_forgotten_on_hold_is_taken_back_and_the_model_is_told() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.session.hold()
            await call.passes(REMIND_AFTER_S * 1000 - 100)
            before = call.session.is_on_hold
            await call.passes(200)

            assert (before, call.session.is_on_hold) == (True, False)
            assert [event.text for event in call.sent(ItemCreate) if isinstance(event, ItemCreate)] == [
                "The caller has been on hold for 120 seconds and is on the line again. Say how things stand."
            ]
            assert len(call.sent(ResponseCreate)) == 1

    play(scene)


def test_a_caller_on_hold_is_not_asked_whether_they_are_still_there() -> None:
    async def scene() -> None:
        async with Scene(idle=(IdleStep(after_s=5, say="Are you still there?"),)) as call:
            await call.session.hold()
            await call.passes(30_000)

            assert call.sent(ResponseCreate) == []

    play(scene)


def test_the_operators_own_music_is_played(tmp_path: Path) -> None:
    file = tone(tmp_path / "hold.wav", seconds=1)

    async def scene() -> None:
        async with Scene() as call:
            await call.session.hold(file)
            await call.passes(500)

            assert len(music(call)) == size(1000)

    play(scene)


def test_holding_twice_is_holding_once_and_taking_back_nobody_does_nothing() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.session.resume()
            await call.session.hold()
            await call.session.hold()
            await call.passes(100)

            assert len(music(call)) == len(melody(call.channel.audio_format))

    play(scene)
