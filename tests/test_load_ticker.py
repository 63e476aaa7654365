"""The clock of a load: each frame is due every 20 ms, late or not, and what was put off comes when it is due."""

from gateway.load.ticker import TICKS, Ticker


class Notes:
    """A sender that notes when its frames were due."""

    def __init__(self) -> None:
        self.due: list[float] = []

    def send_frame(self, due: float) -> None:
        self.due.append(round(due, 3))


def test_each_sender_has_a_frame_every_20_ms_however_late_the_clock_is_looked_at() -> None:
    ticker, notes = Ticker(), Notes()
    ticker.add(notes)

    for present in (0.0, 0.0004, 0.0207, 0.0999):
        ticker.tick(present)

    assert notes.due == [0.0, 0.02, 0.04, 0.06, 0.08]


def test_senders_are_spread_over_the_ticks_of_a_frame() -> None:
    ticker, senders = Ticker(), [Notes() for _ in range(TICKS)]
    for sender in senders:
        ticker.add(sender)

    ticker.tick(0.0195)

    assert [sender.due for sender in senders] == [[n / 1000] for n in range(TICKS)]


def test_a_sender_that_is_removed_has_no_more_frames() -> None:
    ticker, notes = Ticker(), Notes()
    ticker.add(notes)
    ticker.tick(0.0)

    ticker.remove(notes)
    ticker.remove(notes)
    ticker.tick(0.1)

    assert notes.due == [0.0]


def test_what_was_put_off_is_done_in_the_order_in_which_it_is_due() -> None:
    ticker, done = Ticker(), list[str]()
    ticker.at(0.03, lambda: done.append("second"))
    ticker.at(0.01, lambda: done.append("first"))
    ticker.at(0.05, lambda: done.append("not yet"))

    ticker.tick(0.04)

    assert done == ["first", "second"]
