"""The history of a call says who said what, in order, and which of the agent's words the caller heard."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import history_order
from agents.audio import PCM_BYTES_PER_MS
from agents.events import (
    AudioInputCleared,
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    Heard,
    History,
    ItemCreated,
    ItemDeleted,
    ItemTruncated,
    RawEvent,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    TextOutput,
    TextOutputDelta,
    ToolCall,
    TranscriptInput,
    TranscriptInputDelta,
    TranscriptOutput,
    TranscriptOutputDelta,
)
from agents.history import CallHistory, HistoryItem

HOURS = "We are open from nine to five."


def audio(ms: int, item_id: str = "a1", response_id: str = "r1") -> AudioOutputDelta:
    return AudioOutputDelta(response_id, item_id, 0, bytes(ms * PCM_BYTES_PER_MS))


def speech(text: str, ms: int, item_id: str = "a1", response_id: str = "r1") -> list[ServerEvent]:
    """A whole spoken response, as the embedded agent gives it."""
    return [
        ResponseCreated(response_id),
        TranscriptOutputDelta(response_id, item_id, text),
        *(audio(100, item_id, response_id) for _ in range(ms // 100)),
        AudioOutputDone(response_id, item_id, 0),
        TranscriptOutput(response_id, item_id, text),
        ResponseDone(response_id, "completed"),
    ]


def fed(events: Iterable[ServerEvent], *, knows_heard: bool = True) -> CallHistory:
    call = CallHistory(knows_heard=knows_heard)
    for event in events:
        call.take(event)
    return call


def only(call: CallHistory) -> HistoryItem:
    (item,) = call.items
    return item


# ---- the caller ----


def test_a_turn_of_the_callers_takes_its_place_when_it_starts_and_its_words_come_late() -> None:
    call = CallHistory()

    assert call.take(SpeechStarted("u1", 300)) == (HistoryItem("u1", "user", "", "in_progress"),)
    assert call.take(SpeechStopped("u1", 900)) == ()
    assert call.take(AudioInputCommitted("u1")) == ()
    for event in speech(HOURS, 2000):
        call.take(event)
    assert call.take(TranscriptInputDelta("u1", "When do ")) == (HistoryItem("u1", "user", "When do ", "in_progress"),)
    changed = call.take(TranscriptInput("u1", "When do you open?"))

    assert changed == (HistoryItem("u1", "user", "When do you open?", "completed"),)
    assert [item.item_id for item in call.items] == ["u1", "a1"]


def test_a_turn_that_is_only_committed_takes_its_place_then() -> None:
    call = fed([AudioInputCommitted("u1"), *speech(HOURS, 2000), TranscriptInput("u1", "Hello?")])

    assert [(item.item_id, item.text) for item in call.items] == [("u1", "Hello?"), ("a1", HOURS)]


def test_words_of_a_turn_nobody_announced_are_kept() -> None:
    assert only(fed([TranscriptInput("u1", "Hello?")])) == HistoryItem("u1", "user", "Hello?", "completed")


@pytest.mark.parametrize("nothing", ["", "  "])
def test_a_turn_without_words_is_marked(nothing: str) -> None:
    item = only(fed([SpeechStarted("u1"), AudioInputCommitted("u1"), TranscriptInput("u1", nothing)]))

    assert item.status == "wordless"
    assert str(item) == "[no words]"


def test_a_turn_whose_audio_is_cleared_before_it_ends_vanishes_and_a_committed_one_does_not() -> None:
    call = fed([SpeechStarted("u1"), AudioInputCommitted("u1"), AudioInputCleared(), SpeechStarted("u2")])

    assert call.take(AudioInputCleared()) == (HistoryItem("u2", "user", "", "deleted"),)
    assert call.take(AudioInputCleared()) == ()
    assert only(call).item_id == "u1"


# ---- the agent ----


def test_what_the_agent_says_grows_until_it_is_whole() -> None:
    call = CallHistory()

    first = call.take(TranscriptOutputDelta("r1", "a1", "We are"))
    pieces = [call.take(audio(100)) for _ in range(3)]
    second = call.take(TranscriptOutputDelta("r1", "a1", " open."))
    call.take(AudioOutputDone("r1", "a1", 0))
    last = call.take(TranscriptOutput("r1", "a1", "We are open."))

    assert first == (HistoryItem("a1", "assistant", "We are", "in_progress", total_ms=0),)
    assert pieces == [()] * 3
    assert second == (HistoryItem("a1", "assistant", "We are open.", "in_progress", total_ms=300),)
    assert last == (HistoryItem("a1", "assistant", "We are open.", "completed", total_ms=300),)


def test_words_that_nobody_is_told_of_are_kept_and_told_with_the_next_when_somebody_is() -> None:
    is_told = False
    call = CallHistory(is_told=lambda: is_told)
    untold = call.take(TranscriptOutputDelta("r1", "a1", "We are "))
    is_told = True

    told = call.take(TranscriptOutputDelta("r1", "a1", "open."))

    assert untold == ()
    assert [item.text for item in told] == ["We are open."]


def test_that_nobody_is_told_of_growing_words_hides_no_other_change() -> None:
    call = CallHistory(is_told=lambda: False)

    told = [[item.status for item in call.take(event)] for event in speech(HOURS, 200)]

    assert told == [[], [], [], [], ["in_progress"], ["completed"], []]
    assert [item.text for item in call.items] == [HOURS]


def test_audio_before_any_text_makes_the_item() -> None:
    call = CallHistory()

    assert call.take(audio(20)) == (HistoryItem("a1", "assistant", "", "in_progress", total_ms=20),)
    assert call.take(audio(20)) == ()
    assert only(call).total_ms == 40


def test_audio_in_pieces_of_any_size_is_counted_exactly() -> None:
    call = CallHistory(bytes_per_ms=8)

    for _ in range(1000):
        call.take(AudioOutputDelta("r1", "a1", 0, bytes(7)))

    assert only(call).total_ms == 875


def test_the_final_text_is_kept_when_a_server_leaves_it_empty() -> None:
    call = fed([TranscriptOutputDelta("r1", "a1", "Hello."), audio(500), TranscriptOutput("r1", "a1", "")])

    assert only(call).text == "Hello."


def test_text_without_audio_is_neither_heard_nor_unheard() -> None:
    call = fed([TextOutputDelta("r1", "a1", "Hel"), TextOutput("r1", "a1", "Hello."), ResponseDone("r1", "completed")])

    call.interrupted(())

    assert only(call) == HistoryItem("a1", "assistant", "Hello.", "completed")


def test_a_response_that_ends_ends_its_items_where_the_model_does_not_say_so() -> None:
    call = fed([TranscriptOutputDelta("r1", "a1", "Hello."), audio(500)])

    assert call.take(ResponseDone("r2", "completed")) == ()
    (item,) = call.take(ResponseDone("r1", "completed"))

    assert item.status == "completed"


@pytest.mark.parametrize("status", ["cancelled", "interrupted", "incomplete", "failed"])
def test_an_item_that_the_models_side_breaks_off_is_cut_and_what_came_may_still_be_heard(status: str) -> None:
    call = fed([TranscriptOutputDelta("r1", "a1", HOURS), audio(1000)])

    (broken,) = call.take(ResponseDone("r1", status))  # type: ignore[arg-type]
    (heard,) = call.heard("a1", 1000)

    assert (broken.status, broken.heard_ms) == ("cut", None)
    assert (heard.status, heard.heard_ms, str(heard)) == ("cut", 1000, "We are open from [unheard: nine to five.]")


def test_speech_whose_audio_never_reached_the_line_was_not_heard() -> None:
    call = fed([TranscriptOutputDelta("r1", "a1", HOURS), TranscriptOutput("r1", "a1", HOURS)])

    (item,) = call.take(ResponseDone("r1", "completed"))

    assert (item.status, item.heard_ms) == ("cut", 0)
    assert str(item) == f"[unheard: {HOURS}]"


# ---- heard and cut ----


def test_while_the_caller_listens_the_words_heard_grow_to_the_end() -> None:
    call = fed(speech(HOURS, 3000))

    (some,) = call.heard("a1", 1500)
    again = call.heard("a1", 1500)
    earlier = call.heard("a1", 200)
    (all_,) = call.heard("a1", 3000)

    assert (some.heard_text, some.unheard_text, some.status) == ("We are open from", "nine to five.", "completed")
    assert again == earlier == ()
    assert (all_.heard_ms, all_.heard_text, all_.unheard_text) == (3000, HOURS, "")


def test_an_item_cut_while_it_plays_keeps_its_text_and_says_how_much_was_heard() -> None:
    call = fed(speech(HOURS, 3000))

    (item,) = call.interrupted((Heard("a1", 0, 1500, 3000),))

    assert item == HistoryItem("a1", "assistant", HOURS, "cut", 1500, 3000, "We are open from")
    assert str(item) == "We are open from [unheard: nine to five.]"


def test_an_item_of_which_nothing_was_heard_is_all_unheard() -> None:
    call = fed(speech(HOURS, 3000))

    (item,) = call.cut(Heard("a1", 0, 0, 3000))

    assert (item.status, item.heard_text, str(item)) == ("cut", "", f"[unheard: {HOURS}]")


def test_of_several_items_one_was_heard_one_is_cut_and_one_never_began() -> None:
    call = fed([*speech("One.", 500, "a1"), *speech("Two three.", 1000, "a2", "r2"), *speech("Four.", 500, "a3", "r3")])

    call.interrupted((Heard("a2", 0, 500, 1000), Heard("a3", 0, 0, 500)))

    assert [(item.status, str(item)) for item in call.items] == [
        ("completed", "One."),
        ("cut", "Two [unheard: three.]"),
        ("cut", "[unheard: Four.]"),
    ]
    assert [item.heard_ms for item in call.items] == [500, 500, 0]


def test_an_item_still_being_said_is_cut_where_its_audio_ended_when_all_of_that_was_heard() -> None:
    call = fed([TranscriptOutputDelta("r1", "a1", HOURS), audio(1000)])

    (item,) = call.interrupted(())

    assert item == HistoryItem("a1", "assistant", HOURS, "cut", 1000, 1000, "We are open from")


def test_a_response_cut_before_its_first_sound_was_not_heard() -> None:
    call = fed([TranscriptOutputDelta("r1", "a1", HOURS)])

    (item,) = call.interrupted(())

    assert (item.status, item.heard_ms, item.heard_text) == ("cut", 0, "")


def test_what_comes_of_a_cut_item_changes_its_text_but_not_what_was_heard() -> None:
    call = fed([TranscriptOutputDelta("r1", "a1", "We are open"), audio(1000)])
    call.interrupted((Heard("a1", 0, 400, 1000),))

    late = audio(1000), AudioOutputDone("r1", "a1", 0), ResponseDone("r1", "cancelled")
    assert [call.take(event) for event in late] == [()] * 3
    (item,) = call.take(TranscriptOutput("r1", "a1", HOURS))

    assert item == HistoryItem("a1", "assistant", HOURS, "cut", 400, 1000, "We are")
    assert call.heard("a1", 1000) == ()


def test_a_later_figure_of_a_cut_wins() -> None:
    call = fed(speech(HOURS, 3000))
    call.interrupted((Heard("a1", 0, 1500, 3000),))

    (less,) = call.cut(Heard("a1", 0, 900, 3000))
    (all_,) = call.cut(Heard("a1", 0, 3000, 3000))

    assert (less.status, less.heard_ms, less.heard_text) == ("cut", 900, "We are")
    assert (all_.status, all_.heard_text) == ("completed", HOURS)


def test_no_more_is_heard_than_came() -> None:
    call = fed([TranscriptOutputDelta("r1", "a1", HOURS), audio(500)])

    (item,) = call.cut(Heard("a1", 0, 9000, 9000))

    assert item.heard_ms == 500


@pytest.mark.parametrize("told_ms", [2999, 3000, 3001])
def test_an_item_heard_to_its_end_was_heard_whole_however_the_line_rounds(told_ms: int) -> None:
    call = fed(speech("We are open from nine to five", 3000))

    (item,) = call.heard("a1", told_ms)

    assert (item.heard_ms, item.unheard_text) == (3000, "")
    assert call.interrupted(()) == ()


def test_words_that_come_after_their_audio_was_heard_count_as_heard() -> None:
    call = fed([audio(3000), AudioOutputDone("r1", "a1", 0)])
    call.heard("a1", 3000)

    (item,) = call.take(TranscriptOutput("r1", "a1", HOURS))

    assert (item.status, item.heard_text) == ("completed", HOURS)


def test_a_voice_heard_before_tells_how_much_of_a_cut_item_was_heard() -> None:
    slow, unknown = CallHistory(), CallHistory()
    for event in speech("abcd " * 50, 26_000):
        slow.take(event)
    for written in (TextOutput("r1", "a1", "abcd " * 50), ResponseDone("r1", "completed")):
        unknown.take(written)

    for call in (slow, unknown):
        call.take(TranscriptOutputDelta("r2", "a2", "abcd " * 20))
        call.take(audio(2600, "a2", "r2"))
        call.cut(Heard("a2", 0, 2600, 2600))

    heard = [str(call.item("a2")).partition(" [")[0].split() for call in (slow, unknown)]
    assert [len(words) for words in heard] == [5, 10]


def test_where_no_line_tells_nothing_counts_as_heard_or_unheard() -> None:
    call = fed(
        [*speech("One.", 500), TranscriptOutputDelta("r2", "a2", HOURS), audio(900, "a2", "r2")], knows_heard=False
    )

    (cut,) = call.interrupted(())
    silent = fed([TranscriptOutputDelta("r1", "a1", HOURS), ResponseDone("r1", "completed")], knows_heard=False)

    assert cut == HistoryItem("a2", "assistant", HOURS, "cut", None, 900, None)
    assert [str(item) for item in (*call.items, *silent.items)] == ["One.", HOURS, HOURS]
    assert only(silent).status == "completed"


def test_where_no_line_tells_the_model_may() -> None:
    call = fed(speech(HOURS, 3000), knows_heard=False)

    (item,) = call.take(ItemTruncated("a1", 1500))

    assert str(item) == "We are open from [unheard: nine to five.]"


def test_a_models_word_on_a_cut_does_not_change_what_the_line_said() -> None:
    call = fed(speech(HOURS, 3000))
    call.interrupted((Heard("a1", 0, 1500, 3000),))

    assert call.take(ItemTruncated("a1", 700)) == ()
    assert only(call).heard_ms == 1500


def test_only_known_speech_of_the_agents_is_heard_or_cut() -> None:
    call = fed([SpeechStarted("u1"), TextOutput("r1", "a1", "Hello.")])

    assert call.heard("u1", 100) == call.heard("a1", 100) == call.heard("unknown", 100) == ()
    assert call.cut(Heard("unknown", 0, 100, 200)) == ()
    assert call.take(ItemTruncated("unknown", 100)) == ()


# ---- order ----


def test_items_go_after_the_one_the_model_names() -> None:
    call = fed(
        [
            ItemCreated("u1", "user"),
            ItemCreated("a2", "assistant", "u1"),
            ItemCreated("a1", "assistant", "u1"),
            ItemCreated("u2", "user", "a2"),
            ItemCreated("u3", "user", "nobody knows"),
        ]
    )

    assert [item.item_id for item in call.items] == ["u1", "a1", "a2", "u2", "u3"]
    assert [item.role for item in call.items] == ["user", "assistant", "assistant", "user", "user"]


def test_a_turn_moves_to_where_the_model_says_it_is() -> None:
    call = fed([*speech("One.", 500), SpeechStarted("u1"), ItemCreated("a2", "assistant", "a1")])
    before = [item.item_id for item in call.items]

    moved = call.take(ItemCreated("u1", "user", "a2"))
    again = call.take(ItemCreated("u1", "user", "a2"))

    assert before == ["a1", "a2", "u1"]
    assert (moved, again) == ((), ())
    call.take(ItemCreated("a3", "assistant", "u1"))
    (moved_item,) = call.take(ItemCreated("u1", "user", "a3"))
    assert moved_item.item_id == "u1"
    assert [item.item_id for item in call.items] == ["a1", "a2", "a3", "u1"]


def test_an_item_named_after_itself_stays() -> None:
    call = fed([ItemCreated("u1", "user"), ItemCreated("u2", "user", "u1")])

    assert call.take(ItemCreated("u1", "user", "u1")) == ()
    assert [item.item_id for item in call.items] == ["u1", "u2"]


def test_calls_of_tools_are_not_shown_and_keep_the_place_of_what_follows() -> None:
    call = fed([ItemCreated("u1", "user"), ItemCreated("c1", "function_call", "u1"), ItemCreated("u2", "user", "c1")])

    call.take(ItemCreated("a1", "assistant", "c1"))

    assert [item.item_id for item in call.items] == ["u1", "a1", "u2"]
    assert call.item("c1") is None
    assert call.take(ItemDeleted("c1")) == ()


def test_messages_of_the_program_are_there_at_once_and_the_model_says_where() -> None:
    call = fed([ItemCreated("u1", "user"), ItemCreated("u2", "user", "u1")])

    added = call.add("m1", "system", "The caller is a member.")
    call.add("m2", "user", "Hello.", previous_item_id="u1")
    call.take(ItemCreated("m1", "system", "u1"))

    assert added == (HistoryItem("m1", "system", "The caller is a member.", "completed"),)
    assert [item.item_id for item in call.items] == ["u1", "m1", "m2", "u2"]


def test_deleted_items_vanish() -> None:
    call = fed([*speech("One.", 500), *speech("Two.", 500, "a2", "r2")])

    (deleted,) = call.take(ItemDeleted("a1"))

    assert (deleted.item_id, deleted.status) == ("a1", "deleted")
    assert call.item("a1") is None
    assert only(call).item_id == "a2"
    assert call.take(ItemDeleted("a1")) == ()


@pytest.mark.parametrize(
    "late",
    [
        TranscriptInput("u1", "My card is 4111."),
        TranscriptInputDelta("u1", "My card"),
        ItemCreated("u1", "user", None),
        ItemDeleted("u1"),
        TranscriptOutput("r1", "u1", "Your card is 4111."),
        AudioOutputDelta("r1", "u1", 0, bytes(960)),
    ],
)
def test_a_deleted_item_does_not_come_back_with_what_is_told_of_it_late(late: ServerEvent) -> None:
    call = fed([SpeechStarted("u1"), AudioInputCommitted("u1")])
    call.delete("u1")

    assert call.take(late) == ()
    assert (call.items, call.past) == ((), ())


def test_an_item_that_the_program_makes_anew_under_the_id_of_a_deleted_one_is_there() -> None:
    call = fed([TranscriptInput("u1", "My card is 4111.")])
    call.delete("u1")

    call.add("u1", "user", "My card is ****.")
    call.add("m1", "system", "The caller is a member.")
    call.take(ItemCreated("u1", "user", "m1"))

    assert [item.text for item in call.items] == ["The caller is a member.", "My card is ****."]


def test_so_many_deleted_items_are_remembered_the_latest() -> None:
    call = CallHistory()
    for n in range(history_order.MAX_DELETED + 1):
        call.take(SpeechStarted(f"u{n}"))
        call.delete(f"u{n}")
    call.take(TranscriptInput("u0", "Hello."))
    call.take(TranscriptInput("u1", "Hello?"))

    assert only(call).item_id == "u0"


def test_a_turn_that_begins_anew_after_its_audio_was_cleared_is_a_turn() -> None:
    call = fed([SpeechStarted("u1"), AudioInputCleared(), SpeechStarted("u1"), TranscriptInput("u1", "Hello.")])

    assert only(call).text == "Hello."


def test_events_that_say_nothing_about_items_change_nothing() -> None:
    call = CallHistory()

    events = ResponseCreated("r1"), ToolCall("r1", "c1", "look_up", "{}"), RawEvent("x", {}), AudioInputCleared()
    assert [call.take(event) for event in events] == [()] * 4
    assert call.items == ()


def test_the_oldest_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_order, "MAX_ITEMS", 3)
    call = fed([SpeechStarted("u0"), *(event for n in range(5) for event in speech("Hi.", 100, f"a{n}", f"r{n}"))])

    assert [item.item_id for item in call.items] == ["a2", "a3", "a4"]
    assert call.heard("a1", 100) == ()
    assert call.take(AudioInputCleared()) == ()
    assert len(call.interrupted(())) == 3


def test_a_call_of_four_hours_fits() -> None:
    turns_a_minute = 20  # of both, one every three seconds

    assert 4 * 60 * turns_a_minute <= history_order.MAX_ITEMS


def test_an_items_event_has_the_name_that_observers_listen_for() -> None:
    (item,) = CallHistory().add("m1", "user", "Hello.")

    assert History(item).kind == "history"


# ---- whole calls ----


def test_a_call_with_openai_in_its_order_of_events() -> None:
    call = fed(
        [
            ResponseCreated("r1"),
            ItemCreated("a1", "assistant"),
            *(
                event
                for word in ("Hello", ", ", "how ", "can ", "I ", "help?")
                for event in (TranscriptOutputDelta("r1", "a1", word), audio(200))
            ),
            AudioOutputDone("r1", "a1", 0),
            TranscriptOutput("r1", "a1", "Hello, how can I help?"),
            ResponseDone("r1", "completed"),
            SpeechStarted("u1", 500),
        ]
    )
    call.interrupted((Heard("a1", 0, 1000, 1200),))
    for event in (
        SpeechStopped("u1", 1500),
        AudioInputCommitted("u1"),
        ItemCreated("u1", "user", "a1"),
        ItemTruncated("a1", 1000),
        ResponseCreated("r2"),
        ItemCreated("a2", "assistant", "u1"),
        TranscriptOutputDelta("r2", "a2", "Nine."),
        audio(400, "a2", "r2"),
        TranscriptInput("u1", "When do you open?"),
        AudioOutputDone("r2", "a2", 0),
        TranscriptOutput("r2", "a2", "Nine."),
        ResponseDone("r2", "completed"),
    ):
        call.take(event)
    call.heard("a2", 400)

    assert [f"{item.role}: {item}" for item in call.items] == [
        "assistant: Hello, how can I [unheard: help?]",
        "user: When do you open?",
        "assistant: Nine.",
    ]


IDS = st.sampled_from(["u1", "u2", "a1", "a2", "x"])
RESPONSES = st.sampled_from(["r1", "r2"])
WORDS = st.sampled_from(["", "Hello ", "there. ", "你好"])
EVENTS = st.one_of(
    st.builds(SpeechStarted, IDS),
    st.builds(AudioInputCommitted, IDS),
    st.just(AudioInputCleared()),
    st.builds(TranscriptInputDelta, IDS, WORDS),
    st.builds(TranscriptInput, IDS, WORDS),
    st.builds(ItemCreated, IDS, st.sampled_from(["user", "assistant", "function_call"]), st.none() | IDS),
    st.builds(ItemDeleted, IDS),
    st.builds(ItemTruncated, IDS, st.integers(0, 900)),
    st.builds(TranscriptOutputDelta, RESPONSES, IDS, WORDS),
    st.builds(TranscriptOutput, RESPONSES, IDS, WORDS),
    st.builds(TextOutput, RESPONSES, IDS, WORDS),
    st.builds(audio, st.integers(0, 400), IDS, RESPONSES),
    st.builds(AudioOutputDone, RESPONSES, IDS, st.just(0)),
    st.builds(ResponseDone, RESPONSES, st.sampled_from(["completed", "cancelled"])),
    st.builds(Heard, IDS, st.just(0), st.integers(0, 900), st.just(900)),
    st.tuples(IDS, st.integers(0, 900)),
    st.lists(st.builds(Heard, IDS, st.just(0), st.integers(0, 900), st.just(900)), max_size=2),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(EVENTS, max_size=40), st.booleans())
def test_whatever_comes_items_are_what_was_told_last_and_no_more_is_heard_than_came(
    steps: list[ServerEvent | Heard | tuple[str, int] | list[Heard]], knows_heard: bool
) -> None:
    call = CallHistory(knows_heard=knows_heard)
    told: dict[str, HistoryItem] = {}
    for step in steps:
        match step:
            case Heard():
                changed = call.cut(step)
            case (str(item_id), int(heard_ms)):
                changed = call.heard(item_id, heard_ms)
            case list():
                changed = call.interrupted(step)
            case _:
                changed = call.take(step)
        told |= {item.item_id: item for item in changed}

    assert {item.item_id: (item.text, item.status, item.heard_ms) for item in call.items} == {
        item.item_id: (item.text, item.status, item.heard_ms) for item in told.values() if item.status != "deleted"
    }
    for item in call.items:
        assert item.text.startswith(item.heard_text or "")
        assert (item.heard_text is None) == (item.heard_ms is None)
        assert item.heard_ms is None or (item.total_ms is not None and 0 <= item.heard_ms <= item.total_ms)


# ---- what a model begins with that goes on elsewhere ----


def test_the_past_is_every_items_words_in_order_and_of_a_cut_one_what_was_heard() -> None:
    history = CallHistory()
    for event in (
        TranscriptInput("u1", " Hi. "),
        TranscriptOutputDelta("r1", "a1", "One two three four five six seven eight."),
        AudioOutputDelta("r1", "a1", 0, bytes(48 * 4000)),
        AudioOutputDone("r1", "a1", 0),
        ResponseDone("r1", "completed"),
        SpeechStarted("u2"),
    ):
        history.take(event)
    history.cut(Heard("a1", 0, 2000, 4000))

    first, second = history.past

    assert (first.item_id, first.role, first.text) == ("u1", "user", "Hi.")
    assert second.role == "assistant"
    assert second.text.startswith("One two") and "eight" not in second.text


def test_words_that_were_written_ahead_of_the_audio_that_came_are_no_past_of_a_response_that_broke_off() -> None:
    history = CallHistory()
    history.take(TranscriptOutputDelta("r1", "a1", "One two three four five six seven eight nine ten."))
    history.take(AudioOutputDelta("r1", "a1", 0, bytes(48 * 500)))
    history.take(ResponseDone("r1", "incomplete", reason="connection lost"))

    [past] = history.past

    assert past.text.startswith("One")
    assert "ten" not in past.text
