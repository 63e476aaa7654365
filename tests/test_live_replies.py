"""Replies made of a live model's continuous output."""

from collections.abc import Iterable

import pytest

from agents.events import (
    AudioOutputDelta,
    AudioOutputDone,
    ItemCreated,
    ResponseCreated,
    ResponseDone,
    ResponseInterrupted,
    ServerEvent,
    ToolCall,
    TranscriptOutput,
    TranscriptOutputDelta,
    Usage,
)
from agents.providers.openai_live.replies import CUSHION_MS, LEAD_MS, LINGER_MS, PATIENCE_MS, QUIET_MS, LiveReplies
from agents.providers.openai_live.sound import FAINT, WINDOW_MS
from agents.realtime import PCM, PCMU
from tests.fake_ear import silence, tone

SOFT = 50.0
"""A level between what nobody hears and what is speech for sure."""


def replies() -> LiveReplies:
    return LiveReplies(PCM, PCM, "p")


def hears(live: LiveReplies, ms: int, *, loud: bool) -> list[ServerEvent]:
    return hears_level(live, ms, 5000.0 if loud else 0.0)


def hears_level(live: LiveReplies, ms: int, level: float) -> list[ServerEvent]:
    window = (silence if level < FAINT else tone)(WINDOW_MS)
    events = [event for _ in range(ms // WINDOW_MS) for event in live.hear(window, level)]
    return [*events, *live.flush()]


def kinds(events: Iterable[ServerEvent]) -> list[type[ServerEvent]]:
    return [type(event) for event in events]


def audio_ms(events: Iterable[ServerEvent]) -> int:
    return sum(len(event.pcm) for event in events if isinstance(event, AudioOutputDelta)) // 48


# ---- sound ----


def test_silence_says_nothing() -> None:
    assert hears(replies(), 20_000, loud=False) == []


def test_a_sound_begins_a_reply_with_an_item_of_its_own() -> None:
    live = replies()

    events = hears(live, 200, loud=True)

    assert events == [
        ResponseCreated("p_r1"),
        ItemCreated("p_a1", "assistant"),
        AudioOutputDelta("p_r1", "p_a1", 0, tone(WINDOW_MS) * 10),
    ]


def test_a_reply_begins_with_what_was_soft_before_its_sound() -> None:
    live = replies()
    hears_level(live, 1000, SOFT)

    assert audio_ms(hears(live, 200, loud=True)) == LEAD_MS + 200


def test_silence_before_a_sound_is_no_part_of_the_reply() -> None:
    live = replies()
    hears_level(live, 60, SOFT)
    hears(live, 20, loud=False)

    assert audio_ms(hears(live, 200, loud=True)) == 200


def test_the_first_of_a_reply_is_kept_until_a_little_more_can_follow_it() -> None:
    live = replies()

    assert audio_ms(hears(live, CUSHION_MS, loud=True)) == 0
    assert audio_ms(hears(live, 100, loud=True)) == CUSHION_MS + 100
    assert audio_ms(hears(live, 20, loud=True)) == 20


def test_a_reply_too_short_to_wait_for_more_is_sent_when_silence_follows() -> None:
    live = replies()
    hears(live, 60, loud=True)

    assert audio_ms(hears(live, CUSHION_MS, loud=False)) == 60


def test_the_soft_end_of_a_word_is_part_of_it() -> None:
    live = replies()
    hears(live, 200, loud=True)

    assert audio_ms(hears_level(live, 300, SOFT)) == 300


def test_a_short_pause_is_sent_as_it_is() -> None:
    live = replies()
    hears(live, 200, loud=True)
    hears(live, 60, loud=False)

    assert audio_ms(hears(live, 20, loud=True)) == 60 + 20


def test_of_a_long_pause_the_end_is_sent_as_the_rest_has_passed_by_itself() -> None:
    live = replies()
    hears(live, 200, loud=True)

    pause = hears(live, QUIET_MS - WINDOW_MS, loud=False)
    more = hears(live, 200, loud=True)

    assert pause == []
    assert kinds(more) == [AudioOutputDelta]
    assert audio_ms(more) == LEAD_MS + 200


def test_silence_ends_a_reply_and_is_no_part_of_it() -> None:
    live = replies()
    hears(live, 60, loud=True)
    list(live.wrote("Hello.", None))

    end = hears(live, QUIET_MS, loud=False)

    assert kinds(end) == [AudioOutputDelta, AudioOutputDone, TranscriptOutput, ResponseDone]
    assert audio_ms(end) == 60
    assert end[-2:] == [TranscriptOutput("p_r1", "p_a1", "Hello."), ResponseDone("p_r1", "completed")]
    assert not live.is_open


def test_the_next_sound_is_another_reply() -> None:
    live = replies()
    hears(live, 100, loud=True)
    hears(live, QUIET_MS, loud=False)

    assert hears(live, 20, loud=True)[0] == ResponseCreated("p_r2")


def test_audio_of_another_format_is_turned_into_the_one_that_is_wanted() -> None:
    live = LiveReplies(PCM, PCMU, "p")
    events = [event for _ in range(10) for event in live.hear(tone(WINDOW_MS), 5000.0)]
    events += live.flush()
    events += live.end("completed")

    assert sum(len(event.pcm) for event in events if isinstance(event, AudioOutputDelta)) == 200 * 8


# ---- words ----


def test_words_come_with_the_item_that_sounds() -> None:
    live = replies()
    hears(live, 100, loud=True)

    assert list(live.wrote("Hello", 100)) == [TranscriptOutputDelta("p_r1", "p_a1", "Hello")]


@pytest.mark.parametrize(
    ("fragments", "text"),
    [
        (["Okay,", " checking", " now.", "Staging", " is up."], "Okay, checking now. Staging is up."),
        (["It is 3.", "5", " percent"], "It is 3.5 percent"),
        (["some", "where"], "somewhere"),
    ],
)
def test_fragments_are_joined_as_they_are_but_for_sentences(fragments: list[str], text: str) -> None:
    live = replies()
    for fragment in fragments:
        list(live.wrote(fragment, None))

    assert TranscriptOutput("p_r1", "p_a1", text) in live.end("completed")


def test_words_are_speech_however_soft_it_is() -> None:
    live = replies()

    events = list(live.wrote("psst", None))

    assert kinds(events) == [ResponseCreated, ItemCreated, TranscriptOutputDelta]
    assert kinds(hears(live, QUIET_MS, loud=False))[-1] is ResponseDone


def test_words_that_come_after_the_end_belong_to_what_was_said_before_it() -> None:
    live = replies()
    hears(live, 100, loud=True)
    hears(live, QUIET_MS, loud=False)

    assert list(live.wrote(" friend", 100)) == [TranscriptOutputDelta("p_r1", "p_a1", " friend")]
    assert not live.is_open


# ---- what was asked for ----


def test_what_was_asked_for_begins_before_it_sounds() -> None:
    live = replies()
    live.ask()

    assert list(live.due()) == [ResponseCreated("p_r1")]
    assert list(live.due()) == []
    assert kinds(hears(live, 20, loud=True)) == [ItemCreated]


def test_a_reply_under_way_is_the_one_that_was_asked_for() -> None:
    live = replies()
    hears(live, 20, loud=True)
    live.ask()

    assert list(live.due()) == []


def test_a_model_that_stays_silent_ends_the_reply_that_was_asked_for() -> None:
    live = replies()
    live.ask()
    list(live.due())

    assert hears(live, PATIENCE_MS - WINDOW_MS, loud=False) == []
    assert hears(live, WINDOW_MS, loud=False) == [ResponseDone("p_r1", "incomplete", Usage(), "no_speech")]


def test_what_was_said_already_is_over_at_once() -> None:
    live = replies()
    live.ask(0)

    assert list(live.due()) == [ResponseCreated("p_r1"), ResponseDone("p_r1", "completed")]


def test_what_was_refused_before_it_began_never_begins() -> None:
    live = replies()
    live.ask()

    assert live.forget_ask()
    assert list(live.due()) == []
    assert not live.forget_ask()


# ---- tools ----


def test_a_tool_call_begins_a_reply_that_waits_a_little_for_words() -> None:
    live = replies()

    assert list(live.called("c1", "look_up", "{}")) == [
        ResponseCreated("p_r1"),
        ToolCall("p_r1", "c1", "look_up", "{}"),
    ]
    assert hears(live, LINGER_MS - WINDOW_MS, loud=False) == []
    assert hears(live, WINDOW_MS, loud=False) == [ResponseDone("p_r1", "completed")]


def test_a_tool_call_while_the_model_speaks_is_part_of_what_it_says() -> None:
    live = replies()
    hears(live, 100, loud=True)

    assert list(live.called("c1", "look_up", "{}")) == [ToolCall("p_r1", "c1", "look_up", "{}")]


def test_a_tool_call_in_a_reply_that_was_asked_for_is_all_of_it_when_no_words_follow() -> None:
    live = replies()
    live.ask()
    list(live.due())
    list(live.called("c1", "look_up", "{}"))

    assert hears(live, LINGER_MS, loud=False) == [ResponseDone("p_r1", "completed")]


def test_the_backends_tokens_are_told_at_the_next_end_and_once() -> None:
    live = replies()
    live.spent(Usage(7, 3))
    live.spent(Usage(1, 1))
    hears(live, 20, loud=True)
    first = hears(live, QUIET_MS, loud=False)
    hears(live, 20, loud=True)
    second = hears(live, QUIET_MS, loud=False)

    assert first[-1] == ResponseDone("p_r1", "completed", Usage(8, 4))
    assert second[-1] == ResponseDone("p_r2", "completed", Usage())


# ---- interruption ----


def test_an_interrupted_reply_ends_without_the_rest_of_its_audio() -> None:
    live = replies()
    hears(live, 100, loud=True)
    list(live.wrote("I was", None))

    assert list(live.interrupted()) == [
        ResponseInterrupted("p_r1"),
        TranscriptOutput("p_r1", "p_a1", "I was"),
        ResponseDone("p_r1", "interrupted"),
    ]
    assert list(live.interrupted()) == []
    assert list(live.end("completed")) == []
