"""What the model is told was heard agrees with what the phone has played, under whatever a network does."""

from dataclasses import replace

import pytest

from agents.mulaw import FRAME_BYTES
from channels.carrier.conditions import Condition, standard
from channels.carrier.network import Network
from channels.carrier.trial import Outcome, difference, heard_of_each, try_once
from channels.carrier.trial_model import Reply, Scene

REPLY = Reply(items_ms=(3000.0, 1500.0), delta_ms=100, speed=5)
NEAR = Network(rtt_ms=20)


def outcomes(condition: Condition, count: int) -> list[Outcome]:
    return [try_once(condition.scene(1, number)) for number in range(count)]


def errors_ms(found: list[Outcome]) -> list[float]:
    return sorted(abs(outcome.error_ms) for outcome in found if outcome.error_ms is not None)


VISIBLE_MS = (3.0, 6.0, 10.0)
"""What half of the errors, all but one, and all of them stay within where a clock and marks see all that happens."""

HIDDEN_MS = (5.0, 15.0, 20.0)
"""The same where something is hidden from them."""

LIMITS_MS = {
    "0/0": (1.5, 3.0, 5.0),
    "10/0": (1.5, 3.0, 10.0),
    "80/10": VISIBLE_MS,
    "80/10, deltas of 20 ms": VISIBLE_MS,
    "80/10, deltas of 100 ms": VISIBLE_MS,
    "80/10, deltas of 400 ms": VISIBLE_MS,
    "80/10, bursts of 20 times real time": VISIBLE_MS,
    "80/10, paced 200 ms ahead": (3.0, 12.0, 15.0),
    "400/100": (8.0, 20.0, 60.0),
}
"""The same for each condition that hides nothing. The others are under HIDDEN_MS."""


@pytest.mark.parametrize("condition", standard(), ids=lambda condition: condition.name)
def test_under_every_standard_condition_the_model_is_told_the_truth(condition: Condition) -> None:
    half_ms, all_but_one_ms, all_ms = LIMITS_MS.get(condition.name, HIDDEN_MS)

    found = outcomes(condition, 30)
    errors = errors_ms(found)

    assert len(errors) >= 15
    assert errors[len(errors) // 2] <= half_ms
    assert errors[-2] <= all_but_one_ms
    assert errors[-1] <= all_ms
    assert sum(outcome.stale_ms + outcome.lost_ms + outcome.doubled_ms for outcome in found) == 0
    assert (
        sum(outcome.truncates_of_heard + outcome.truncates_beyond + outcome.truncates_twice for outcome in found) == 0
    )
    assert [problem for outcome in found for problem in outcome.problems] == []


def test_every_limit_is_of_a_standard_condition() -> None:
    assert set(LIMITS_MS) <= {condition.name for condition in standard()}


@pytest.mark.parametrize(
    ("interrupt_s", "is_cut"), [(0.5, True), (4.0, True), (4.45, True), (4.6, False), (7.0, False)]
)
def test_a_reply_is_cut_exactly_while_it_plays(interrupt_s: float, is_cut: bool) -> None:
    outcome = try_once(Scene(reply=REPLY, network=NEAR, interrupt_s=interrupt_s))

    assert (outcome.error_ms is not None) == is_cut
    assert outcome.clears_in_silence == 0


def test_what_is_thrown_away_is_what_was_not_heard() -> None:
    outcome = try_once(Scene(reply=REPLY, network=Network(), interrupt_s=2.0))

    assert outcome.dropped_ms == pytest.approx(4500 - 2000, abs=10)
    assert outcome.error_ms == pytest.approx(0, abs=3)


@pytest.mark.parametrize(("lead_ms", "silent_ms"), [(None, 0), (200, 320)])
def test_a_service_that_stalls_is_heard_only_where_audio_is_paced(lead_ms: float | None, silent_ms: float) -> None:
    reply = Reply(items_ms=(6000.0,), delta_ms=100, speed=20)

    outcome = try_once(Scene(reply=reply, network=NEAR, interrupt_s=None, stalls=((3.0, 0.5),), lead_ms=lead_ms))

    assert outcome.silent_ms == pytest.approx(silent_ms, abs=60)
    assert (outcome.lost_ms, outcome.doubled_ms) == (0, 0)


@pytest.mark.parametrize("delta_ms", [1.0, 20.0, 100.0, 400.0, 4000.0])
def test_the_size_of_the_models_deltas_makes_no_difference(delta_ms: float) -> None:
    scene = Scene(reply=replace(REPLY, delta_ms=delta_ms), network=Network(rtt_ms=80), interrupt_s=2.345)

    assert abs(try_once(scene).error_ms or 99) <= 3


def test_a_reply_that_nobody_interrupts_arrives_whole_and_once() -> None:
    reply = Reply(items_ms=(1003.0, 517.0), delta_ms=33.3, speed=20, pauses=((300.0, 400.0),))

    outcome = try_once(Scene(reply=reply, network=Network(rtt_ms=80, jitter_ms=30, seed=7), interrupt_s=None))

    assert outcome == Outcome(silent_ms=100.0)  # 300 ms were there for a pause of 400


def test_a_reply_that_is_paced_leaves_less_to_throw_away() -> None:
    reply = Reply(items_ms=(8000.0,), delta_ms=100, speed=20)
    scene = Scene(reply=reply, network=NEAR, interrupt_s=3.0)

    at_once, paced = try_once(scene), try_once(replace(scene, lead_ms=200))

    assert at_once.dropped_ms == pytest.approx(5000, abs=40)
    assert paced.dropped_ms == pytest.approx(200, abs=140)


def test_the_same_seed_plays_the_same_trial() -> None:
    condition = Condition(name="x", playback_delay_ms=250, has_pauses=True, has_stalls=True)

    assert condition.scene(3, 5) == condition.scene(3, 5)
    assert try_once(condition.scene(3, 5)) == try_once(condition.scene(3, 5))
    assert condition.scene(3, 5) != condition.scene(4, 5)


# ---- the measure itself ----


@pytest.mark.parametrize(
    ("heard", "lost_ms", "doubled_ms"),
    [("abc", 0, 0), ("ac", 20, 0), ("ab", 20, 0), ("", 60, 0), ("aabc", 0, 20), ("abca", 0, 20), ("axc", 20, 20)],
)
def test_lost_and_doubled_frames_are_counted(heard: str, lost_ms: float, doubled_ms: float) -> None:
    def frames(names: str) -> bytes:
        return b"".join(name.encode() * FRAME_BYTES for name in names)

    assert difference(frames(heard), frames("abc")) == (lost_ms, doubled_ms)


def test_items_lie_on_the_line_in_whole_frames() -> None:
    items = {"a": 30.0, "b": 100.0}

    assert heard_of_each(items, 35.0) == {"a": 30.0, "b": 0.0}
    assert heard_of_each(items, 55.0) == {"a": 30.0, "b": 15.0}
    assert heard_of_each(items, 900.0) == items
