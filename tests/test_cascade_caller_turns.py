"""What a recogniser tells of turns comes in one order: a start, words that stay, an end, a text."""

from agents.cascade.caller_turns import MAX_KEPT_CHARS, MIN_TURN_MS, CallerTurns, TurnEvent
from agents.events import (
    AudioInputCommitted,
    SpeechStarted,
    SpeechStopped,
    TranscriptInput,
    TranscriptInputDelta,
)


def kinds(events: tuple[TurnEvent, ...]) -> list[type[TurnEvent]]:
    return [type(event) for event in events]


def heard(*, is_manual: bool = False) -> CallerTurns:
    turns = CallerTurns(is_manual=is_manual)
    turns.heard(1000)
    return turns


def test_a_turn_has_one_start_one_end_and_one_text_all_under_one_id() -> None:
    turns = heard()

    events = (*turns.started(100), *turns.started(200), *turns.ended(" Hello. ", 900), *turns.ended("", 950))

    assert kinds(events) == [SpeechStarted, SpeechStopped, AudioInputCommitted, TranscriptInput]
    assert len({event.item_id for event in events}) == 1
    assert events[0] == SpeechStarted(events[0].item_id, 100) and events[1] == SpeechStopped(events[0].item_id, 900)
    assert events[3] == TranscriptInput(events[0].item_id, "Hello.")


def test_an_end_without_a_start_begins_and_ends_a_turn_when_something_was_said() -> None:
    assert kinds(heard().ended("Hello.", 900))[:2] == [SpeechStarted, SpeechStopped]
    assert heard().ended("  ", 900) == ()


def test_a_cough_is_a_turn_with_an_empty_text() -> None:
    turns = heard()
    turns.started(0)

    assert kinds(turns.ended("", 500)) == [SpeechStopped, AudioInputCommitted, TranscriptInput]


def test_words_are_told_once_they_are_there_to_stay() -> None:
    turns = heard()

    told = [turns.written(text, 0) for text in ("tell", "tell me", "tell me a", "tell him a", "tell me a joke now")]

    deltas = [event.text for events in told for event in events if isinstance(event, TranscriptInputDelta)]
    assert deltas == ["tell", " me", " a joke"]
    assert kinds(told[0]) == [SpeechStarted]


def test_words_that_are_sure_are_told_whole() -> None:
    turns = heard()

    [_, delta] = turns.written("tell me", 0, is_sure=True)

    assert isinstance(delta, TranscriptInputDelta) and delta.text == "tell me"


def test_a_committed_turn_is_over_at_once_and_its_text_comes_later() -> None:
    turns = heard()
    [started] = turns.started(0)

    over = turns.commit(800)
    text = turns.ended("Hello.", 900)

    assert kinds(over) == [SpeechStopped, AudioInputCommitted]
    assert text == (TranscriptInput(started.item_id, "Hello."),)
    assert turns.ended("", 950) == ()


def test_what_begins_late_belongs_to_the_turn_that_was_committed() -> None:
    turns = heard()
    [committed] = turns.commit(800)

    assert turns.started(100) == ()
    assert turns.ended("Hello.", 900) == (TranscriptInput(committed.item_id, "Hello."),)


def test_there_is_nothing_to_commit_without_audio_since_the_last_turn() -> None:
    turns = CallerTurns(is_manual=False)
    turns.heard(MIN_TURN_MS - 1)
    assert turns.commit(90) == ()

    turns.heard(1)
    assert turns.commit(96) != ()
    assert turns.commit(96) == ()


def test_with_manual_turns_only_a_commit_ends_one_and_nothing_is_lost() -> None:
    turns = heard(is_manual=True)

    unasked = (*turns.started(0), *turns.written("One more", 10), *turns.ended("One.", 500))
    [committed] = turns.commit(900)

    assert unasked == ()
    assert turns.ended("Two.", 900) == (TranscriptInput(committed.item_id, "One. Two."),)


def test_what_is_kept_for_a_commit_that_never_comes_has_a_limit() -> None:
    turns = heard(is_manual=True)
    for _ in range(3):
        turns.ended("a" * MAX_KEPT_CHARS, 0)
    turns.commit(900)

    [text] = turns.ended("", 900)

    assert isinstance(text, TranscriptInput) and len(text.text) == MAX_KEPT_CHARS
