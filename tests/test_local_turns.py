"""The embedded agent's turns are told apart by probabilities of speech."""

import pytest

from agents.local.turns import FRAME_MS, MAX_TURN_MS, TurnDetector, TurnEnded, TurnSettings, TurnStarted
from agents.realtime import UNSET, TurnDetection

Happened = list[tuple[int, TurnStarted | TurnEnded]]


def feed(detector: TurnDetector, *stretches: tuple[float, int]) -> Happened:
    """Feeds probabilities for so many milliseconds each; gives what happened, and when."""
    happened: Happened = []
    for probability, lasting_ms in stretches:
        for _ in range(lasting_ms // FRAME_MS):
            if event := detector.feed(probability):
                happened.append((detector.now_ms, event))
    return happened


def test_a_turn_starts_with_speech_and_ends_with_silence() -> None:
    happened = feed(TurnDetector(TurnSettings()), (0.0, 640), (0.9, 960), (0.0, 960))

    assert happened == [(736, TurnStarted(340)), (2208, TurnEnded(2208, 608))]


def test_a_click_starts_no_turn() -> None:
    assert feed(TurnDetector(TurnSettings()), (0.0, 640), (0.9, 64), (0.0, 640), (0.9, 64), (0.0, 640)) == []


def test_a_pause_shorter_than_the_silence_does_not_end_the_turn() -> None:
    happened = feed(TurnDetector(TurnSettings()), (0.9, 320), (0.0, 576), (0.9, 320), (0.0, 640))

    assert [type(event) for _, event in happened] == [TurnStarted, TurnEnded]
    assert happened[1][0] == 320 + 576 + 320 + 608


def test_soft_endings_between_the_thresholds_are_not_silence() -> None:
    happened = feed(TurnDetector(TurnSettings()), (0.9, 320), (0.4, 960))

    assert [type(event) for _, event in happened] == [TurnStarted]


def test_padding_never_reaches_back_into_the_turn_before() -> None:
    happened = feed(TurnDetector(TurnSettings()), (0.9, 320), (0.0, 608), (0.9, 320))

    ended, again = happened[1][1], happened[2][1]
    assert isinstance(ended, TurnEnded) and isinstance(again, TurnStarted)
    assert again.at_ms == ended.at_ms


def test_a_turn_has_a_longest_length() -> None:
    happened = feed(TurnDetector(TurnSettings()), (0.9, MAX_TURN_MS + 320))

    assert happened[1] == (MAX_TURN_MS, TurnEnded(MAX_TURN_MS, 0))
    assert isinstance(happened[2][1], TurnStarted)


@pytest.mark.parametrize(("threshold", "turns"), [(0.3, 1), (0.8, 0)])
def test_the_threshold_is_the_configured_one(threshold: float, turns: int) -> None:
    detector = TurnDetector(TurnSettings.of(TurnDetection(threshold=threshold)))

    assert len(feed(detector, (0.6, 320))) == turns


def test_the_silence_and_the_padding_are_the_configured_ones() -> None:
    detector = TurnDetector(TurnSettings.of(TurnDetection(silence_duration_ms=320, prefix_padding_ms=0)))

    assert feed(detector, (0.0, 640), (0.9, 320), (0.0, 640)) == [(736, TurnStarted(640)), (1280, TurnEnded(1280, 320))]


def test_unset_turn_detection_is_the_default_and_none_is_manual() -> None:
    assert TurnSettings.of(UNSET) == TurnSettings.of(TurnDetection()) == TurnSettings()
    assert TurnSettings.of(None).is_manual
    assert TurnSettings.of(TurnDetection(mode="manual")).is_manual


def test_responding_and_interrupting_can_be_turned_off() -> None:
    settings = TurnSettings.of(TurnDetection(create_response=False, interrupt_response=False))

    assert not settings.create_response and not settings.interrupt_response
