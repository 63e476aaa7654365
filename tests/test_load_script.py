"""What the callers of a load do: silent where calls begin, no two frames alike, and what must become of it."""

from base64 import b64decode

import pytest

from agents.mulaw import FRAME_BYTES, SILENCE, PcmToUlaw, UlawToPcm
from gateway.load.script import SILENT_FRAME, Burst, Keys, Mode, Script, pieces

MODES: tuple[Mode, ...] = ("transcode", "passthrough")


def test_the_caller_speaks_in_the_bursts_and_is_silent_elsewhere() -> None:
    script = Script(cycle_ms=1000, bursts=(Burst(200, 300, 400),), keys=None)

    spoken = [i for i, frame in enumerate(pieces(script.ulaw, FRAME_BYTES)) if frame != SILENT_FRAME]

    assert spoken == [10, 11, 12, 13, 14]
    assert script.began == frozenset({10})
    assert script.ended == {14: 400}


def test_no_two_frames_of_words_are_alike_in_either_direction() -> None:
    script = Script()
    words = [frame for frame in pieces(script.ulaw, FRAME_BYTES) if frame != SILENT_FRAME]
    heard = [frame for reply in script.replies.values() for frame in pieces(reply.ulaw, FRAME_BYTES)]
    longest = {voice: max(r.audio_ms for (v, _), r in script.replies.items() if v == voice) for voice in (0, 1)}

    assert len(set(words)) == len(words) == 110
    for voice, ms in longest.items():
        assert len(script.replies[voice, ms].places) == ms // 20
    assert not set(words) & set(heard)
    assert not set(script.replies[0, 5000].places) & set(script.replies[1, 5000].places)


def test_what_the_provider_must_get_is_what_our_own_transcoding_gives_from_any_start() -> None:
    script = Script(cycle_ms=1000, bursts=(Burst(200, 300, 400),), keys=None)
    frames = list(pieces(script.ulaw, FRAME_BYTES))

    for start in script.starts:
        resampler = UlawToPcm()
        got = b"".join(resampler.feed(frames[(start + i) % script.frames]) for i in range(script.frames))
        windows = b"".join(script.windows[(start + i) % script.frames] for i in range(script.frames))
        assert got == windows[script.lag_bytes :]


def test_calls_begin_only_where_the_silence_has_lasted_and_goes_on() -> None:
    script = Script(cycle_ms=200, bursts=(Burst(80, 120, 400),), keys=None)

    assert script.starts == (0, 1, 2, 7, 8, 9)


def test_passed_through_the_provider_must_get_the_callers_bytes() -> None:
    script = Script(mode="passthrough")

    assert b"".join(script.windows) == script.ulaw
    assert script.lag_bytes == 0


def test_each_message_of_audio_holds_its_window() -> None:
    script = Script(cycle_ms=1000, bursts=(Burst(200, 300, 400),), keys=None)

    assert script.appends[12].startswith(b'{"type":"input_audio_buffer.append","audio":"')
    assert b64decode(script.appends[12][45:-2]) == script.windows[12]


def test_what_the_caller_must_get_of_a_reply_is_what_our_own_transcoding_gives_of_its_pieces() -> None:
    reply = Script(delta_ms=150).replies[1, 2000]
    resampler = PcmToUlaw()

    heard = b"".join(resampler.feed(b64decode(delta)) for delta in reply.deltas) + resampler.flush()

    assert reply.ulaw == heard + bytes([SILENCE]) * (-len(heard) % FRAME_BYTES)
    assert len(reply.deltas) == 14
    assert reply.begins[1] == 150 * 8


@pytest.mark.parametrize("mode", MODES)
def test_a_reply_has_whole_frames(mode: Mode) -> None:
    for reply in Script(mode=mode).replies.values():
        assert len(reply.ulaw) == reply.audio_ms * 8
        assert len(reply.ulaw) % FRAME_BYTES == 0


def test_keys_are_pressed_once_a_cycle_and_answered_for_as_long_as_they_say() -> None:
    script = Script(keys=Keys(5600, "12#", 700))

    assert script.pressed == {280: "12#"}
    assert script.asked_reply_ms == 700
    assert (0, 700) in script.replies


def test_without_keys_a_reply_that_is_asked_for_is_as_long_as_the_last() -> None:
    script = Script(keys=None)

    assert script.pressed == {}
    assert script.asked_reply_ms == script.bursts[-1].reply_ms
