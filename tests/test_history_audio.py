"""The history's sound: whole or not there, the caller's from where the model heard them begin, and bounded."""

import pytest

from agents import history_audio
from agents.audio import PCM_BYTES_PER_MS
from agents.events import (
    AudioInputCleared,
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    Heard,
    History,
    ItemDeleted,
    ResponseDone,
    SpeechStarted,
    SpeechStopped,
    TranscriptInput,
    TranscriptOutput,
    TranscriptOutputDelta,
)
from agents.history import CallHistory
from agents.history_audio import HistoryAudio
from agents.history_item import HistoryItem
from agents.realtime import PCMU, SessionConfig, TurnDetection
from agents.tools.contract import ToolContext
from tests.scene import Scene, play, voiced_frame

MS = PCM_BYTES_PER_MS


def sound(ms: int, first_ms: int = 0) -> bytes:
    """So much audio, of which every millisecond is its own number."""
    return b"".join(number.to_bytes(2, "little") * (MS // 2) for number in range(first_ms, first_ms + ms))


def keeping(config: SessionConfig | None = None) -> CallHistory:
    return CallHistory(audio=HistoryAudio(config or SessionConfig()))


def caller_sounds(call: CallHistory, ms: int, first_ms: int) -> None:
    for at in range(first_ms, first_ms + ms, 20):
        call.caller_sounds(sound(20, at))


def test_audio_payloads_are_absent_unless_they_are_stored() -> None:
    call = CallHistory()
    caller_sounds(call, 200, 0)

    for event in (SpeechStarted("u1", 40), SpeechStopped("u1", 200), AudioOutputDelta("r1", "a1", 0, sound(100))):
        call.take(event)
    call.take(ResponseDone("r1", "completed"))

    assert [item.audio for item in call.items] == [None, None]


# ---- the agent ----


def test_what_the_agent_said_is_there_once_it_is_whole() -> None:
    call = keeping()

    call.take(TranscriptOutputDelta("r1", "a1", "Hello."))
    call.take(AudioOutputDelta("r1", "a1", 0, sound(100)))
    growing = call.items[0].audio
    call.take(AudioOutputDelta("r1", "a1", 0, sound(50, 100)))
    call.take(AudioOutputDone("r1", "a1", 0))
    (told,) = call.take(TranscriptOutput("r1", "a1", "Hello."))

    assert growing is None
    assert told.audio == sound(150)


def test_of_what_was_cut_off_all_is_there_that_came() -> None:
    call = keeping()
    call.take(AudioOutputDelta("r1", "a1", 0, sound(1000)))

    (cut,) = call.interrupted((Heard("a1", 0, 300, 1000),))
    call.take(AudioOutputDelta("r1", "a1", 0, sound(500)))

    assert (cut.heard_ms, cut.audio) == (300, sound(1000))
    assert call.items[0].audio == sound(1000)


def test_everybody_who_looks_is_given_the_same_bytes() -> None:
    call = keeping()
    for piece in range(10):
        call.take(AudioOutputDelta("r1", "a1", 0, sound(20, piece * 20)))
    call.take(ResponseDone("r1", "completed"))

    assert call.items[0].audio is call.items[0].audio


def test_the_audio_is_left_out_of_what_is_printed() -> None:
    assert "audio" not in repr(HistoryItem("u1", "user", "Hello.", audio=sound(20)))


# ---- the caller ----


def test_a_turn_is_there_from_where_the_model_heard_it_begin_to_where_it_heard_it_end() -> None:
    call = keeping()
    caller_sounds(call, 1000, 0)

    call.take(SpeechStarted("u1", 700))
    caller_sounds(call, 500, 1000)
    speaking = call.items[0].audio
    (told,) = call.take(SpeechStopped("u1", 1500))
    caller_sounds(call, 300, 1500)
    call.take(TranscriptInput("u1", "Hello?"))

    assert speaking is None
    assert told.audio == call.items[0].audio == sound(800, 700)
    assert call.items[0].text == "Hello?"


@pytest.mark.parametrize("told_ms", [0, 99_000])
def test_a_beginning_that_cannot_be_true_is_half_a_second_ago(told_ms: int) -> None:
    call = keeping()
    caller_sounds(call, 2000, 0)

    call.take(SpeechStarted("u1", told_ms))
    call.take(SpeechStopped("u1", 0))

    assert call.items[0].audio == sound(500, 1500)


def test_a_beginning_long_ago_is_not_believed_after_a_change_of_connections() -> None:
    call = keeping()
    caller_sounds(call, 9000, 0)

    call.take(SpeechStarted("u1", 100))
    call.take(SpeechStopped("u1", 0))

    assert call.items[0].audio == sound(500, 8500)


def test_a_turn_that_is_only_committed_is_all_since_the_one_before() -> None:
    call = keeping(SessionConfig(turn_detection=None))

    caller_sounds(call, 8000, 0)
    call.take(AudioInputCommitted("u1"))
    caller_sounds(call, 300, 8000)
    (told,) = call.take(AudioInputCommitted("u2"))

    assert call.items[0].audio == sound(8000)
    assert told.audio == sound(300, 8000)


def test_of_a_committed_turn_that_never_ended_its_last_minute_is_kept() -> None:
    call = keeping(SessionConfig(turn_detection=TurnDetection(mode="manual")))
    caller_sounds(call, 61_000, 0)

    call.take(AudioInputCommitted("u1"))

    audio = call.items[0].audio
    assert audio is not None
    assert len(audio) == history_audio.MAX_TURN_MS * MS
    assert audio.endswith(sound(20, 60_980))


def test_a_commit_ends_a_turn_whose_end_nobody_told() -> None:
    call = keeping()
    caller_sounds(call, 1000, 0)
    call.take(SpeechStarted("u1", 900))

    call.take(AudioInputCommitted("u1"))
    caller_sounds(call, 100, 1000)

    assert call.items[0].audio == sound(100, 900)


def test_what_the_model_forgot_is_in_no_later_turn() -> None:
    call = keeping(SessionConfig(turn_detection=None))
    caller_sounds(call, 400, 0)
    call.take(AudioInputCleared())
    caller_sounds(call, 200, 400)

    call.take(AudioInputCommitted("u1"))

    assert call.items[0].audio == sound(200, 400)


def test_a_turn_without_audio_has_none() -> None:
    call = keeping()

    call.take(AudioInputCommitted("u1"))

    assert call.items[0].audio is None


def test_milliseconds_are_those_of_the_callers_format() -> None:
    call = keeping(SessionConfig(input_format=PCMU, output_format=PCMU))
    for number in range(50):
        call.caller_sounds(bytes([number]) * 160)

    call.take(SpeechStarted("u1", 900))
    call.take(SpeechStopped("u1", 1000))

    assert call.items[0].audio == b"".join(bytes([number]) * 160 for number in range(45, 50))


# ---- bounds ----


def test_the_audio_of_the_oldest_items_is_dropped_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_audio, "MAX_AUDIO_BYTES", 250 * MS)
    call = keeping()

    for number in range(4):
        call.take(AudioOutputDelta(f"r{number}", f"a{number}", 0, sound(100)))
        call.take(ResponseDone(f"r{number}", "completed"))

    assert [item.audio is None for item in call.items] == [True, True, False, False]


def test_an_item_that_is_too_long_to_be_kept_is_not_kept_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_audio, "MAX_AUDIO_BYTES", 250 * MS)
    call = keeping()

    for _ in range(4):
        call.take(AudioOutputDelta("r1", "a1", 0, sound(100)))
    call.take(ResponseDone("r1", "completed"))
    call.take(AudioOutputDelta("r2", "a2", 0, sound(200)))
    call.take(ResponseDone("r2", "completed"))

    assert [item.audio for item in call.items] == [None, sound(200)]


def test_eleven_minutes_of_pcm_fit() -> None:
    assert history_audio.MAX_AUDIO_BYTES >= 11 * 60_000 * MS


def test_deleted_items_leave_their_room_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_audio, "MAX_AUDIO_BYTES", 250 * MS)
    call = keeping()
    for number in range(2):
        call.take(AudioOutputDelta(f"r{number}", f"a{number}", 0, sound(100)))
        call.take(ResponseDone(f"r{number}", "completed"))

    (deleted,) = call.take(ItemDeleted("a0"))
    call.take(AudioOutputDelta("r2", "a2", 0, sound(100)))
    call.take(ResponseDone("r2", "completed"))

    assert deleted.audio is None
    assert [item.audio for item in call.items] == [sound(100), sound(100)]


def test_a_turn_that_is_deleted_while_it_goes_on_is_gone() -> None:
    call = keeping()
    caller_sounds(call, 100, 0)
    call.take(SpeechStarted("u1", 60))

    call.take(ItemDeleted("u1"))
    caller_sounds(call, 100, 100)
    call.take(SpeechStarted("u2", 160))
    call.take(SpeechStopped("u2", 200))

    assert [(item.item_id, item.audio) for item in call.items] == [("u2", sound(40, 160))]


# ---- in a session ----


@pytest.mark.parametrize("is_stored", [False, True])
def test_a_session_keeps_the_audio_of_both_sides_only_with_history_store_audio(is_stored: bool) -> None:
    async def test() -> None:
        async with Scene(options={"history_store_audio": is_stored}) as scene:
            await scene.hears(600)
            await scene.says(SpeechStarted("u1", 400))
            await scene.hears(400)
            await scene.stops_speaking("u1", "Hello?")
            agents = await scene.replies("r1", 300)

            callers = voiced_frame() * 30
            stored = (callers, agents) if is_stored else (None, None)
            assert tuple(item.audio for item in scene.session.history) == stored
            assert [event.item.audio for event in scene.seen(History)][-1] == stored[1]

    play(test)


def test_a_muted_caller_is_silence_in_the_history_as_to_the_model() -> None:
    async def test() -> None:
        async with Scene(options={"history_store_audio": True}) as scene:
            await scene.hears(200)
            await scene.says(SpeechStarted("u1", 100))
            await scene.session.mute()
            await scene.hears(100)
            await scene.stops_speaking("u1", "Hello?")

            audio = scene.session.history[0].audio
            assert audio == voiced_frame() * 5 + bytes(5 * len(voiced_frame()))

    play(test)


def test_what_a_tool_is_given_is_a_copy_that_shares_the_audio() -> None:
    async def test() -> None:
        async with Scene(options={"history_store_audio": True}) as scene:
            await scene.replies("r1", 300)
            copied = ToolContext(scene.session, "c1").history

            assert copied == list(scene.session.history)
            assert copied[0] is not scene.session.history[0]
            assert copied[0].audio is scene.session.history[0].audio

    play(test)
