"""The ledger never claims more than was heard: neither more than was sent, nor more than its model said."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.events import Heard
from agents.realtime import SpokenItem
from channels.playback import Playback

HELLO, GOODBYE = SpokenItem("r1", "hello"), SpokenItem("r1", "goodbye", 1)


def send(playback: Playback, item: SpokenItem, ms: float, now: float) -> str:
    """Sends audio as a line does that holds none back: the mark's name."""
    playback.received(item, ms)
    playback.sent(item, ms, now)
    return playback.mark()


# ---- how much was heard ----


def test_a_new_line_is_silent_and_has_nothing_to_clear() -> None:
    playback = Playback()

    assert playback.is_silent
    assert playback.clear(0.0) == ()


@pytest.mark.parametrize(("now", "heard_ms"), [(5.0, 0), (5.1234, 123), (5.9996, 999)])
def test_without_a_mark_the_clock_says_how_much_was_heard(now: float, heard_ms: int) -> None:
    playback = Playback()
    send(playback, HELLO, 1000, 5.0)

    assert playback.clear(now) == (Heard("hello", 0, heard_ms, 1000),)


def test_a_mark_that_comes_late_sets_the_clock_back() -> None:
    playback = Playback()
    first = send(playback, HELLO, 200, 0.0)
    send(playback, HELLO, 800, 0.0)

    playback.echoed(first, 0.5)

    assert playback.clear(0.6) == (Heard("hello", 0, 300, 1000),)


def test_a_mark_that_comes_early_sets_the_clock_forward() -> None:
    playback = Playback()
    first = send(playback, HELLO, 200, 0.0)
    send(playback, HELLO, 800, 0.0)

    playback.echoed(first, 0.1)

    assert playback.clear(0.125) == (Heard("hello", 0, 225, 1000),)


def test_what_was_heard_is_whole_milliseconds() -> None:
    playback = Playback()
    send(playback, HELLO, 20.125, 0.0)

    assert playback.clear(0.0101) == (Heard("hello", 0, 10, 20),)


def test_nothing_is_heard_beyond_what_was_sent() -> None:
    playback = Playback()
    playback.received(HELLO, 500)
    playback.sent(HELLO, 480, 0.0)

    assert playback.clear(60.0) == (Heard("hello", 0, 480, 500),)


def test_padding_counts_for_nothing_beyond_the_audio_received() -> None:
    playback = Playback()
    playback.received(HELLO, 30)
    playback.sent(HELLO, 40, 0.0)
    playback.ended(HELLO)
    playback.received(GOODBYE, 100)
    playback.sent(GOODBYE, 100, 0.0)

    assert playback.clear(0.035) == (Heard("goodbye", 1, 0, 100),)


def test_an_item_whose_end_is_held_back_does_not_borrow_time_from_the_next() -> None:
    playback = Playback()
    playback.received(HELLO, 100)
    playback.sent(HELLO, 60, 0.0)
    send(playback, GOODBYE, 100, 0.0)

    assert playback.clear(0.15) == (Heard("hello", 0, 60, 100), Heard("goodbye", 1, 90, 100))


def test_audio_that_was_received_and_not_yet_sent_was_not_heard() -> None:
    playback = Playback()
    playback.received(HELLO, 15)

    assert not playback.is_silent
    assert playback.clear(9.0) == (Heard("hello", 0, 0, 15),)


def test_of_two_queued_items_the_first_is_at_its_position_and_the_second_at_0() -> None:
    playback = Playback()
    send(playback, HELLO, 500, 0.0)
    playback.ended(HELLO)
    send(playback, GOODBYE, 500, 0.1)

    assert playback.clear(0.3) == (Heard("hello", 0, 300, 500), Heard("goodbye", 1, 0, 500))


def test_an_item_heard_to_its_end_is_not_reported() -> None:
    playback = Playback()
    send(playback, HELLO, 500, 0.0)
    playback.ended(HELLO)
    send(playback, GOODBYE, 500, 0.1)

    assert playback.clear(0.75) == (Heard("goodbye", 1, 250, 500),)


def test_a_pause_in_the_middle_of_an_item_counts_for_nothing() -> None:
    playback = Playback()
    send(playback, HELLO, 100, 0.0)
    send(playback, HELLO, 300, 1.0)

    assert playback.clear(1.05) == (Heard("hello", 0, 150, 400),)


def test_a_pause_in_the_middle_of_an_item_keeps_the_positions_of_its_marks() -> None:
    playback = Playback()
    first = send(playback, HELLO, 100, 0.0)
    playback.echoed(first, 0.1)
    second = send(playback, HELLO, 100, 1.0)
    send(playback, HELLO, 100, 1.0)

    playback.echoed(second, 1.15)

    assert playback.clear(1.2) == (Heard("hello", 0, 250, 300),)


def test_a_mark_from_before_a_pause_that_comes_after_it_moves_nothing_back() -> None:
    playback = Playback()
    first = send(playback, HELLO, 100, 0.0)
    second = send(playback, HELLO, 100, 0.0)
    send(playback, HELLO, 100, 1.0)

    playback.echoed(first, 1.05)
    playback.echoed(second, 1.06)

    assert playback.clear(1.07) == (Heard("hello", 0, 210, 300),)


# ---- clearing ----


def test_of_two_clears_the_second_is_empty() -> None:
    playback = Playback()
    send(playback, HELLO, 500, 0.0)

    assert playback.clear(0.1) != ()
    assert playback.clear(0.2) == ()
    assert playback.is_silent


def test_marks_returned_because_of_clear_do_not_count_as_played() -> None:
    playback = Playback()
    cleared = [send(playback, HELLO, 200, 0.0) for _ in range(3)]
    playback.clear(0.1)
    send(playback, GOODBYE, 1000, 0.5)

    counted = [playback.echoed(name, 0.51) for name in cleared]

    assert counted == [False] * 3
    assert playback.clear(0.625) == (Heard("goodbye", 1, 125, 1000),)


def test_an_item_goes_on_from_0_after_a_clear() -> None:
    playback = Playback()
    send(playback, HELLO, 500, 0.0)
    playback.clear(0.4)

    send(playback, HELLO, 500, 0.5)

    assert playback.clear(0.75) == (Heard("hello", 0, 250, 500),)


# ---- marks and silence ----


def test_marks_are_unique_for_the_life_of_the_line() -> None:
    playback = Playback()

    names = [playback.mark() for _ in range(5)]
    playback.clear(0.0)
    names += [playback.mark() for _ in range(5)]

    assert len(set(names)) == 10


def test_a_mark_counts_once() -> None:
    playback = Playback()
    name = send(playback, HELLO, 200, 0.0)

    assert playback.echoed(name, 0.2)
    assert not playback.echoed(name, 0.2)


@pytest.mark.parametrize("name", ["", "0:2", "1:1", "never ours"])
def test_a_mark_that_was_never_made_counts_for_nothing(name: str) -> None:
    playback = Playback()
    send(playback, HELLO, 200, 0.0)

    assert not playback.echoed(name, 0.0)
    assert playback.clear(0.1) == (Heard("hello", 0, 100, 200),)


def test_the_line_is_silent_when_the_item_has_ended_and_its_last_mark_is_back() -> None:
    playback = Playback()
    first, last = send(playback, HELLO, 200, 0.0), send(playback, HELLO, 200, 0.0)
    states = []

    for step in (
        lambda: playback.echoed(first, 0.2),
        lambda: playback.ended(HELLO),
        lambda: playback.echoed(last, 0.4),
    ):
        states.append(playback.is_silent)
        step()

    assert states == [False] * 3
    assert playback.is_silent


def test_an_item_that_ends_after_its_last_mark_is_back_ends_the_sound() -> None:
    playback = Playback()
    playback.echoed(send(playback, HELLO, 200, 0.0), 0.2)
    before = playback.is_silent

    playback.ended(HELLO)

    assert not before
    assert playback.is_silent


def test_time_alone_does_not_make_the_line_silent() -> None:
    playback = Playback()
    send(playback, HELLO, 200, 0.0)
    playback.ended(HELLO)

    assert not playback.is_silent


# ---- any sequence ----


@dataclass
class Line:
    """Drives a ledger and keeps its own, simpler account."""

    playback: Playback = field(default_factory=Playback)
    now: float = 0.0
    received: dict[str, float] = field(default_factory=dict)
    sent: dict[str, float] = field(default_factory=dict)
    live: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)

    def step(self, action: str, item: SpokenItem, ms: float) -> None:
        match action:
            case "received":
                self.playback.received(item, ms)
                self.received[item.item_id] = self.received.get(item.item_id, 0) + ms
            case "sent":
                self.playback.sent(item, ms, self.now)
                self.sent[item.item_id] = self.sent.get(item.item_id, 0) + ms
            case "mark":
                self.live.append(self.playback.mark())
            case "echoed" if self.live:
                assert self.playback.echoed(self.live.pop(int(ms) % len(self.live)), self.now)
            case "cleared mark" if self.dead:
                assert not self.playback.echoed(self.dead[int(ms) % len(self.dead)], self.now)
            case "ended":
                self.playback.ended(item)
            case "time":
                self.now += ms / 1000
            case "clear":
                self.check(self.playback.clear(self.now))
                assert self.playback.is_silent
                assert self.playback.clear(self.now) == ()
                self.dead += self.live
                self.live.clear()
                self.received.clear()
                self.sent.clear()

    def check(self, cleared: tuple[Heard, ...]) -> None:
        for heard in cleared:
            assert 0 <= heard.heard_ms < heard.sent_ms
        for item_id in {heard.item_id for heard in cleared}:
            total = sum(heard.heard_ms for heard in cleared if heard.item_id == item_id)
            assert total <= self.received.get(item_id, 0) + 0.001
            assert total <= self.sent.get(item_id, 0) + 0.001


ITEMS = st.sampled_from([SpokenItem("r1", "a"), SpokenItem("r1", "b"), SpokenItem("r2", "c")])
ACTIONS = st.sampled_from(["received", "sent", "mark", "echoed", "cleared mark", "ended", "time", "clear"])
LENGTHS = st.floats(0, 500, allow_subnormal=False)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(ACTIONS, ITEMS, LENGTHS), max_size=50))
def test_for_any_sequence_heard_is_never_below_0_nor_above_what_was_received_or_sent(
    steps: list[tuple[str, SpokenItem, float]],
) -> None:
    line = Line()

    for action, item, ms in steps:
        line.step(action, item, ms)

    line.step("clear", HELLO, 0)


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from(["time", "echoed"]), st.floats(0, 300)), max_size=30),
)
def test_at_most_one_item_is_between_its_ends_and_later_ones_are_at_0(
    pieces: list[int], steps: list[tuple[str, float]]
) -> None:
    line = Line()
    for number, count in enumerate(pieces):
        item = SpokenItem("r1", f"item {number}")
        for _ in range(count):
            line.step("received", item, 100)
            line.step("sent", item, 100)
            line.step("mark", item, 0)
        line.step("ended", item, 0)

    for action, ms in steps:
        line.step(action, HELLO, 0 if action == "echoed" else ms)
    cleared = line.playback.clear(line.now)

    names = [heard.item_id for heard in cleared]
    assert names == [f"item {number}" for number in range(len(pieces))][len(pieces) - len(names) :]
    assert all(heard.heard_ms == 0 for heard in cleared[1:])


@settings(deadline=None)
@given(st.lists(st.tuples(ACTIONS, ITEMS, LENGTHS), max_size=50))
def test_a_line_is_silent_once_every_item_has_ended_and_every_mark_is_back(
    steps: list[tuple[str, SpokenItem, float]],
) -> None:
    line = Line()
    for action, item, ms in steps:
        line.step(action, item, ms)

    for item_id, response_id in (("a", "r1"), ("b", "r1"), ("c", "r2")):
        line.step("ended", SpokenItem(response_id, item_id), 0)
    line.step("mark", HELLO, 0)
    while line.live:
        line.step("echoed", HELLO, 0)

    assert line.playback.is_silent
