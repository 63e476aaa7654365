"""The board of the workers: who has which call, how many all have, and whose turn it is, for all processes alike."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.workers.board import RECENT, Board, BoardHeld, State, new_block
from gateway.workers.slot import SharedPace, Slot

MAX_CALLS = 5


@pytest.fixture
def board() -> Iterator[Board]:
    """A board for three workers, all of them ready."""
    block = new_block(3, MAX_CALLS)
    made = Board(block, 3, MAX_CALLS)
    for number in (1, 2, 3):
        made.set_state(number, State.READY)
    yield made
    made.close()
    os.close(block)


def test_a_call_is_found_at_its_worker_while_it_is_live_and_when_it_is_over(board: Board) -> None:
    first, second = Slot(board, 1), Slot(board, 2)

    first.tell(["CA1"], 0)
    second.tell(["CA2", "CA3"], 0)
    assert [board.owner(sid) for sid in ("CA1", "CA2", "CA3", "CA4")] == [1, 2, 2, None]

    second.tell(["CA3"], 0)
    assert (board.owner("CA2"), board.live(2)) == (2, 1)


def test_calls_that_are_long_over_are_forgotten_and_live_ones_never(board: Board) -> None:
    slot = Slot(board, 1)

    slot.tell(["CAlive"], 0)
    slot.remember("CAover")
    for number in range(RECENT - 1):
        slot.remember(f"CA{number}")
    assert board.owner("CAover") == 1

    slot.remember("CAlast")
    assert (board.owner("CAover"), board.owner("CAlast"), board.owner("CAlive")) == (None, 1, 1)


def test_the_places_of_calls_that_are_over_are_used_again(board: Board) -> None:
    slot = Slot(board, 1)

    for number in range(10 * MAX_CALLS):
        slot.tell([f"CA{number + each}" for each in range(MAX_CALLS)], 0)

    assert board.live(1) == MAX_CALLS
    assert {board.owner(f"CA{10 * MAX_CALLS - 1 + each}") for each in range(MAX_CALLS)} == {1}


def test_others_count_with_their_live_and_their_expected_calls(board: Board) -> None:
    slots = [Slot(board, number) for number in (1, 2, 3)]
    slots[0].tell(["CA1"], 1)
    slots[1].tell(["CA2", "CA3"], 3)

    assert [slot.others() for slot in slots] == [5, 2, 7]
    assert [slot.others_live() for slot in slots] == [2, 1, 3]


def test_a_worker_that_is_no_more_has_no_calls_and_is_not_ready(board: Board) -> None:
    slot = Slot(board, 2)
    slot.tell(["CA1"], 1)
    slot.remember("CA2")

    board.clear(2)

    assert (board.owner("CA1"), board.owner("CA2"), board.calls(2)) == (None, None, 0)
    assert board.ready == [1, 3]


def test_dialling_is_spread_over_all_workers_and_a_dead_one_gives_its_turns_back(board: Board) -> None:
    paces = [SharedPace(Slot(board, number), 2.0) for number in (1, 2)]

    waits = [paces[index].wait_s(100.0) for index in (0, 1, 0, 1)]
    assert waits == pytest.approx([0.0, 0.5, 1.0, 1.5])
    assert paces[0].wait_s(101.0) == pytest.approx(1.0)

    board.clear(1)
    assert paces[1].wait_s(101.0) == pytest.approx(1.0)


HOLDS = """
import sys
from gateway.workers.board import Board
board = Board(int(sys.argv[1]), 3, 5)
with board.alone():
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_who_holds_the_board_is_alone_and_lets_go_when_it_dies(board: Board) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(board.descriptor)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[board.descriptor],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    with holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BoardHeld, match="held for"), board.alone():
            pass
        holder.kill()
        holder.wait()
    with board.alone():
        pass


def test_what_one_process_writes_another_reads(board: Board) -> None:
    Slot(board, 2).tell(["CA1"], 0)
    reads = "import sys; from gateway.workers.board import Board; print(Board(int(sys.argv[1]), 3, 5).owner('CA1'))"

    read = subprocess.run(
        [sys.executable, "-c", reads, str(board.descriptor)],
        capture_output=True,
        check=True,
        pass_fds=[board.descriptor],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )

    assert read.stdout == b"2\n"
