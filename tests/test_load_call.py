"""What the two ends of a call know of each other: when frames were sent, and what is overdue."""

from gateway.load.call import MAX_TROUBLES, OVERDUE_S, REMEMBERED_FRAMES, Board, Call
from gateway.load.script import Script


def test_it_is_known_when_the_last_frames_were_sent() -> None:
    call = Call("CA1", Script(), 0, Board())

    for frame in range(REMEMBERED_FRAMES + 10):
        call.sent(float(frame))

    assert call.sent_at(9) is None
    assert call.sent_at(10) == 10.0
    assert call.sent_at(REMEMBERED_FRAMES + 9) == REMEMBERED_FRAMES + 9.0
    assert call.sent_at(REMEMBERED_FRAMES + 10) is None


def test_frames_that_are_overdue_are_lost_once() -> None:
    call = Call("CA1", Script(), 0, Board())
    for _ in range(200):
        call.sent(0.0)
    call.arrived(90)

    call.write_off(4.0)
    call.write_off(4.0)

    assert call.tally.frames_lost == 10


def test_keys_that_no_entry_followed_are_lost_when_the_next_are_pressed_and_when_they_are_overdue() -> None:
    call = Call("CA1", Script(), 0, Board())

    call.pressed(0.0)
    call.pressed(10.0)
    assert call.tally.keys_lost == 1
    call.write_off(10.0 + OVERDUE_S / 2)
    assert call.tally.keys_lost == 1
    call.write_off(10.1 + OVERDUE_S)

    assert call.tally.keys_lost == 2


def test_keys_that_arrived_are_not_lost() -> None:
    call = Call("CA1", Script(), 0, Board())

    call.pressed(0.0)
    call.keys_arrived()
    call.pressed(10.0)
    call.keys_arrived()
    call.write_off(20.0)

    assert call.tally.keys_lost == 0


def test_the_first_troubles_are_kept_and_no_more() -> None:
    board = Board()

    for number in range(MAX_TROUBLES + 5):
        board.trouble(f"trouble {number}")

    assert len(board.troubles) == MAX_TROUBLES
    assert board.troubles[0] == "trouble 0"


def test_the_same_trouble_is_kept_once() -> None:
    board = Board()

    board.trouble("refused")
    board.trouble("refused")

    assert board.troubles == ["refused"]
