"""What a load finds wrong with a reply on its way to the caller, and how it dates what is right."""

from gateway.load.down import Earpiece, Saying
from gateway.load.script import Burst, Script, pieces
from gateway.load.tally import Tally

SCRIPT = Script(cycle_ms=4000, bursts=(Burst(200, 400, 1000), Burst(800, 1000, 400)), keys=None)
FRAME = 160


def saying(voice: int = 0, ms: int = 1000, *, sent_at: tuple[float, ...] = (), asked_at: float | None = None) -> Saying:
    """A reply on its way, whole and sent at 0 unless said otherwise."""
    made = Saying(SCRIPT.replies[voice, ms], b"item", b"resp", asked_at)
    made.sent_at = list(sent_at or [0.0] * len(made.reply.deltas))
    return made


def faults(tally: Tally) -> tuple[int, int, int, float]:
    return tally.frames_lost, tally.frames_doubled, tally.frames_damaged, tally.stale_ms


def test_replies_that_arrive_whole_and_in_order_have_no_fault() -> None:
    earpiece, tally = Earpiece(), Tally()
    first, second = saying(0), saying(1, 400)
    earpiece.announce(first)
    earpiece.announce(second)

    for piece in pieces(first.reply.ulaw + second.reply.ulaw, 5 * FRAME):
        earpiece.feed(piece, 1.0, tally)

    assert faults(tally) == (0, 0, 0, 0)
    assert first.is_whole
    assert second.is_whole


def test_a_piece_is_dated_when_its_first_byte_arrives() -> None:
    earpiece, tally = Earpiece(), Tally()
    said = saying(sent_at=(10.0, 10.04, 10.08, 10.12, 10.16), asked_at=9.9)
    earpiece.announce(said)

    earpiece.feed(said.reply.ulaw[: 9 * FRAME], 10.001, tally)
    earpiece.feed(said.reply.ulaw[9 * FRAME : 19 * FRAME], 10.043, tally)

    assert (tally.down.spread().count, tally.down.spread().p99) == (2, tally.down.spread().max)
    assert round(tally.down.spread().max, 3) == 3.0
    assert round(tally.both.spread().max, 3) == 101.0


def test_frames_that_are_left_out_are_lost() -> None:
    earpiece, tally = Earpiece(), Tally()
    said = saying()
    earpiece.announce(said)

    earpiece.feed(said.reply.ulaw[: 5 * FRAME], 1.0, tally)
    earpiece.feed(said.reply.ulaw[7 * FRAME :], 1.0, tally)

    assert faults(tally) == (2, 0, 0, 0)


def test_the_end_of_a_reply_that_never_came_is_lost_when_the_next_begins() -> None:
    earpiece, tally = Earpiece(), Tally()
    first, second = saying(0), saying(1, 400)
    earpiece.announce(first)
    earpiece.announce(second)

    earpiece.feed(first.reply.ulaw[: 47 * FRAME], 1.0, tally)
    earpiece.feed(second.reply.ulaw, 1.0, tally)

    assert faults(tally) == (3, 0, 0, 0)


def test_a_frame_that_comes_again_is_doubled_in_a_reply_and_after_it() -> None:
    earpiece, tally = Earpiece(), Tally()
    said = saying()
    earpiece.announce(said)

    earpiece.feed(said.reply.ulaw[: 5 * FRAME], 1.0, tally)
    earpiece.feed(said.reply.ulaw[4 * FRAME :], 1.0, tally)
    earpiece.feed(said.reply.ulaw[-FRAME:], 1.0, tally)

    assert faults(tally) == (0, 2, 0, 0)


def test_a_frame_that_is_no_frame_of_a_reply_is_damaged_unless_it_sounds_alike() -> None:
    earpiece, tally = Earpiece(), Tally()
    said = saying()
    ulaw = bytearray(said.reply.ulaw)
    ulaw[7 * FRAME + 3] ^= 0x01  # the next code
    ulaw[9 * FRAME + 3] ^= 0x40
    earpiece.announce(said)

    earpiece.feed(bytes(ulaw), 1.0, tally)

    assert faults(tally) == (0, 0, 1, 0)


def test_audio_that_nobody_said_is_damaged() -> None:
    earpiece, tally = Earpiece(), Tally()

    earpiece.feed(bytes(2 * FRAME), 1.0, tally)

    assert faults(tally) == (0, 0, 2, 0)


def test_what_comes_of_a_reply_after_its_clear_is_stale() -> None:
    earpiece, tally = Earpiece(), Tally()
    first, second = saying(0), saying(1, 400)
    earpiece.announce(first)
    earpiece.feed(first.reply.ulaw[: 30 * FRAME], 1.0, tally)
    earpiece.cut(1.2)
    earpiece.clear(1.2, tally)
    earpiece.announce(second)

    earpiece.feed(first.reply.ulaw[30 * FRAME : 33 * FRAME], 1.2, tally)
    earpiece.feed(second.reply.ulaw, 1.3, tally)

    assert faults(tally) == (0, 0, 0, 60)


def test_what_was_not_cleared_when_the_next_reply_begins_is_stale() -> None:
    earpiece, tally = Earpiece(), Tally()
    first, second = saying(0), saying(1, 400)
    earpiece.announce(first)
    earpiece.feed(first.reply.ulaw, 1.0, tally)
    earpiece.cut(1.2)
    earpiece.announce(second)

    earpiece.feed(second.reply.ulaw, 1.5, tally)

    assert round(tally.stale_ms) == 500


def test_a_clear_takes_only_what_was_said_before_the_caller_spoke() -> None:
    earpiece, tally = Earpiece(), Tally()
    first, second = saying(0), saying(1, 400)
    earpiece.announce(first)
    earpiece.feed(first.reply.ulaw[: 30 * FRAME], 1.0, tally)
    earpiece.cut(1.2)
    earpiece.announce(second)

    earpiece.clear(1.7, tally)
    earpiece.feed(second.reply.ulaw, 1.8, tally)

    assert faults(tally) == (0, 0, 0, 0)


def test_what_was_heard_at_a_clear_is_what_had_sounded_by_then() -> None:
    earpiece, tally = Earpiece(), Tally()
    said = saying()
    earpiece.announce(said)
    earpiece.feed(said.reply.ulaw[: 10 * FRAME], 1.0, tally)
    earpiece.feed(said.reply.ulaw[10 * FRAME : 30 * FRAME], 1.3, tally)  # the line was silent for 100 ms

    earpiece.clear(1.55, tally)
    said.told_ms = 460
    said.compare(tally)

    assert said.heard_ms is not None
    assert round(said.heard_ms) == 450
    assert round(tally.truncate_error_ms) == 10


def test_a_reply_that_arrived_whole_and_still_sounds_can_be_cut() -> None:
    earpiece, tally = Earpiece(), Tally()
    said = saying()
    earpiece.announce(said)
    earpiece.feed(said.reply.ulaw, 1.0, tally)

    earpiece.clear(1.7, tally)
    earpiece.feed(said.reply.ulaw[:FRAME], 1.7, tally)

    assert said.heard_ms is not None
    assert round(said.heard_ms) == 700
    assert faults(tally) == (0, 0, 0, 20)


def test_a_line_sounds_until_all_that_arrived_is_played() -> None:
    earpiece, tally = Earpiece(), Tally()
    said = saying()
    earpiece.announce(said)

    earpiece.feed(said.reply.ulaw[: 10 * FRAME], 1.0, tally)

    assert earpiece.is_sounding(1.19)
    assert not earpiece.is_sounding(1.21)


def test_what_is_overdue_is_lost_once() -> None:
    earpiece, tally = Earpiece(), Tally()
    said = saying(sent_at=(1.0, 1.04, 1.08, 1.12, 1.16))
    earpiece.announce(said)
    earpiece.feed(said.reply.ulaw[: 45 * FRAME], 1.2, tally)

    earpiece.write_off(1.1, tally)
    assert tally.frames_lost == 0
    earpiece.write_off(1.2, tally)
    earpiece.write_off(1.2, tally)

    assert tally.frames_lost == 5
