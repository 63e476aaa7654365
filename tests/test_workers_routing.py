"""Which worker a request is for."""

import os
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from gateway.addresses import Addresses, worker_prefix
from gateway.workers.board import Board, State, new_block
from gateway.workers.routing import by_key, destination, least_busy, prefix_in
from gateway.workers.slot import Slot


@pytest.fixture
def board() -> Iterator[Board]:
    """A board for three workers, all of them ready; the second has a call."""
    block = new_block(3, 100)
    made = Board(block, 3, 100)
    for number in (1, 2, 3):
        made.set_state(number, State.READY)
    Slot(made, 2).tell(["CA1"], 0)
    yield made
    made.close()
    os.close(block)


def form(sid: str) -> bytes:
    return urlencode({"AccountSid": "AC1", "CallSid": sid, "CallerName": ""}).encode()


@pytest.mark.parametrize(
    ("path", "worker"),
    [
        ("/twilio/w/3/twilio/media", 3),
        ("/twilio/w/3/twilio/after-stream", 3),
        ("/calls/out_2_0123456789abcdef", 2),
        ("/twilio/w/4/twilio/media", 1),  # there are three
        ("/twilio/w/0/twilio/media", 1),
        ("/twilio/w/2", 1),
        ("/twilio/w/x/twilio/media", 1),
        ("/calls/out_0123456789abcdef", 1),
        ("/readyz", 1),
    ],
)
def test_the_path_names_the_worker_or_any_will_do(board: Board, path: str, worker: int) -> None:
    assert destination(board, 1, "GET", path, {}, b"") == worker


def test_a_workers_own_addresses_name_it() -> None:
    address = Addresses("https://gw.example.com" + worker_prefix(2)).media

    path = address.removeprefix("wss://gw.example.com")

    assert prefix_in(path) == "/twilio/w/2"
    assert path == "/twilio/w/2/twilio/media"


@pytest.mark.parametrize("path", ["/twilio/voice", "/twilio/status", "/twilio/after-stream"])
def test_what_is_asked_of_a_call_goes_to_the_worker_that_has_it(board: Board, path: str) -> None:
    assert destination(board, 1, "POST", path, {}, form("CA1")) == 2


def test_a_call_that_nobody_knows_goes_to_who_has_the_least_to_do_and_news_of_it_to_nobody(board: Board) -> None:
    assert destination(board, 2, "POST", "/twilio/voice", {}, form("CA9")) is None
    assert destination(board, 2, "POST", "/twilio/status", {}, form("CA9")) == 2
    assert destination(board, 2, "POST", "/twilio/voice", {}, b"\xff&" * 300) is None


def test_the_ready_worker_with_the_fewest_calls_takes_the_next_and_the_nearest_of_equals(board: Board) -> None:
    assert [least_busy(board, here, {}) for here in (1, 2, 3)] == [1, 1, 3]

    Slot(board, 1).tell([], 2)
    assert [least_busy(board, here, {}) for here in (1, 2, 3)] == [3, 3, 3]

    board.set_state(3, State.DRAINING)
    assert [least_busy(board, here, {}) for here in (1, 2, 3)] == [2, 2, 2]


def test_calls_on_their_way_count_as_well(board: Board) -> None:
    assert least_busy(board, 1, {1: 1}) == 3
    assert least_busy(board, 1, {1: 1, 3: 1}) == 1


def test_among_many_calls_a_small_difference_moves_nobody(board: Board) -> None:
    Slot(board, 1).tell([f"CA{each}" for each in range(66)], 0)
    Slot(board, 2).tell([f"CA{each}" for each in range(100, 164)], 0)
    board.set_state(3, State.ABSENT)

    assert least_busy(board, 1, {}) == 1
    assert least_busy(board, 1, {1: 1}) == 2


def test_where_no_worker_is_ready_the_request_stays(board: Board) -> None:
    for number in (1, 2, 3):
        board.set_state(number, State.DRAINING)

    assert least_busy(board, 2, {}) == 2


def test_a_request_to_place_a_call_goes_by_its_key_wherever_it_comes_in(board: Board) -> None:
    workers = {
        key: {destination(board, here, "POST", "/calls", {"idempotency-key": key}, b"{}") for here in (1, 2, 3)}
        for key in map(str, range(100))
    }

    assert all(len(each) == 1 for each in workers.values())
    assert {worker for each in workers.values() for worker in each} == {1, 2, 3}
    assert workers["7"] == {by_key("7", 3)}
    assert destination(board, 1, "POST", "/calls", {}, b"{}") is None
