"""What a load finds wrong with the caller's audio at the provider: every fault is counted, and nothing else."""

from collections.abc import Callable, Iterable

import pytest

from agents.mulaw import FRAME_BYTES, UlawToPcm
from gateway.load.script import SILENT_FRAME, Burst, Mode, Script, pieces
from gateway.load.tally import Tally
from gateway.load.up import Heard

MODES: tuple[Mode, ...] = ("transcode", "passthrough")
SCRIPTS = {mode: Script(mode=mode, cycle_ms=1000, bursts=(Burst(200, 500, 400),), keys=None) for mode in MODES}
Frames = list[bytes]


def said(mode: Mode, cycles: int = 2) -> Frames:
    """The caller's frames, in silence at both ends. Words are in 10 to 24, and 50 later again."""
    return list(pieces(SCRIPTS[mode].ulaw, FRAME_BYTES)) * cycles


def arrive(mode: Mode, frames: Iterable[bytes], together: int = 1) -> tuple[Heard, Tally]:
    """What is found when these frames get through a bridge, so many in one message."""
    heard, tally = Heard(SCRIPTS[mode], 0), Tally()
    resampler = UlawToPcm()
    messages = [resampler.feed(frame) if mode == "transcode" else frame for frame in frames]
    for start in range(0, len(messages), together):
        heard.feed(b"".join(messages[start : start + together]), tally)
    return heard, tally


def faults(tally: Tally) -> tuple[int, int, int]:
    return tally.frames_lost, tally.frames_doubled, tally.frames_damaged


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("together", [1, 3, 7])
def test_audio_that_is_whole_has_no_fault_however_many_frames_come_together(mode: Mode, together: int) -> None:
    heard, tally = arrive(mode, said(mode), together)

    assert faults(tally) == (0, 0, 0)
    assert heard.frames == 100


@pytest.mark.parametrize("mode", MODES)
def test_audio_may_be_cut_anywhere(mode: Mode) -> None:
    heard, tally = Heard(SCRIPTS[mode], 0), Tally()
    whole = b"".join(SCRIPTS[mode].windows) * 2

    for piece in pieces(whole[SCRIPTS[mode].lag_bytes :], 334):
        heard.feed(piece, tally)

    assert faults(tally) == (0, 0, 0)
    assert heard.frames == 100


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda frames: frames[:15] + frames[16:], (1, 0, 0)),
        (lambda frames: frames[:15] + frames[20:], (5, 0, 0)),
        (lambda frames: frames[:16] + frames[15:], (0, 1, 0)),
        (lambda frames: [*frames[:15], frames[16], frames[15], *frames[17:]], (1, 1, 0)),
        (lambda frames: [*frames[:15], SILENT_FRAME, *frames[16:]], (0, 0, 1)),
        (lambda frames: [*frames[:15], bytes(FRAME_BYTES), *frames[16:]], (0, 0, 1)),
        (lambda frames: frames[:4] + frames[5:], (1, 0, 0)),
        (lambda frames: frames[:5] + frames[4:], (0, 1, 0)),
    ],
    ids=["lost", "five lost", "doubled", "swapped", "silenced", "noise", "silence lost", "silence doubled"],
)
def test_each_fault_is_counted_once(
    mode: Mode, change: Callable[[Frames], Frames], found: tuple[int, int, int]
) -> None:
    _, tally = arrive(mode, change(said(mode)))

    assert faults(tally) == found


def test_rounding_at_another_place_is_no_fault() -> None:
    script, tally = SCRIPTS["transcode"], Tally()
    heard = Heard(script, 0)

    for window in script.windows[:30]:
        rounded = bytearray(window[script.lag_bytes :] if heard.frames == 0 and window is script.windows[0] else window)
        rounded[0] ^= 3
        heard.feed(bytes(rounded), tally)

    assert faults(tally) == (0, 0, 0)


def test_a_sample_that_is_another_is_damage() -> None:
    script, tally = SCRIPTS["passthrough"], Tally()
    heard = Heard(script, 0)

    for place, window in enumerate(script.windows[:30]):
        heard.feed(window[:80] + bytes([window[80] ^ 0x80]) + window[81:] if place == 15 else window, tally)

    assert faults(tally) == (0, 0, 1)


def test_the_message_that_is_expected_is_the_one_that_brings_the_next_frame() -> None:
    script = SCRIPTS["transcode"]
    heard = Heard(script, 0)
    assert heard.expected is None  # the first is shorter: a resampler looks ahead

    heard.feed(script.windows[0][script.lag_bytes :], Tally())

    assert heard.expected == script.appends[1]
    heard.go_on()
    assert heard.expected == script.appends[2]
    assert heard.frames == 2
