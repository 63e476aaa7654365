"""The embedded agent remembers what was heard, not what was meant to be said."""

import pytest

from agents.events import FIRST
from agents.local.memory import MAX_ITEMS, Call, Memory, Message, Sentence, Spoken
from agents.realtime import PastMessage, PastToolCall


def spoken() -> Spoken:
    sentences = [Sentence("We are open from nine.", 2000), Sentence("Anything else?", 1000)]
    return Spoken("a", sentences, sent_ms=3000)


@pytest.mark.parametrize(
    ("heard_ms", "text"),
    [
        (0, ""),
        (100, ""),
        (1000, "We are open"),
        (1999, "We are open from"),
        (2000, "We are open from nine."),
        (2600, "We are open from nine. Anything"),
        (9999, "We are open from nine. Anything else?"),
    ],
)
def test_truncation_leaves_the_words_that_were_heard(heard_ms: int, text: str) -> None:
    conversation = Memory()
    item = spoken()
    conversation.add(item)

    assert conversation.truncate("a", heard_ms) == min(heard_ms, 3000)

    assert item.text == text


def test_what_was_not_sent_was_not_heard() -> None:
    item = spoken()
    item.sent_ms = 2000

    assert item.text == "We are open from nine."


def test_of_a_stream_without_times_the_pace_says_which_words_were_heard() -> None:
    conversation = Memory()
    item = Spoken("a", pace=conversation.pace)
    conversation.add(item)
    first = item.add("We are open from nine to five.", None)
    item.sent_ms = 2000
    second = item.add("Anything else?", None)
    item.sent_ms, item.is_whole = 3000, True

    assert (first, second) == ("We are open from nine to five.", " Anything else?")
    assert item.text == item.written == "We are open from nine to five. Anything else?"
    assert conversation.truncate("a", 2000) == 2000
    assert item.text == "We are open from nine to five."
    assert conversation.truncate("a", 0) == 0
    assert item.text == ""


def test_what_was_written_ahead_of_a_stream_was_not_heard() -> None:
    item = Spoken("a")
    item.add("We are open from nine in the morning until five in the afternoon.", None)
    item.sent_ms = 1000

    assert item.text == "We are open from"


def test_a_conversation_goes_on_from_what_was_said_and_may_still_answer_the_last_of_it() -> None:
    past = (
        PastMessage("1", "user", "What time is it?"),
        PastToolCall("c", "clock", "{}", "noon"),
        PastMessage("2", "assistant", "It is noon."),
        PastMessage("3", "user", "And the date?"),
    )

    conversation = Memory(past)

    assert [item.item_id for item in conversation.items] == ["1", "c", "2", "3"]
    assert conversation.items[1] == Call("c", "clock", "{}", "noon")
    assert [message.text for message in conversation.unanswered] == ["And the date?"]
    assert not any(message.wants_answer for message in conversation.unanswered)


def test_only_speech_can_be_truncated() -> None:
    conversation = Memory()
    conversation.add(Message("m", "user", "Hello"))

    with pytest.raises(KeyError):
        conversation.truncate("m", 10)
    with pytest.raises(KeyError):
        conversation.truncate("unknown", 10)


def test_items_go_after_the_one_they_name() -> None:
    conversation = Memory()
    conversation.add(Message("1", "user", "one"))
    conversation.add(Message("3", "user", "three"))

    conversation.add(Message("2", "user", "two"), after="1")
    conversation.delete("3")

    assert [item.item_id for item in conversation.items] == ["1", "2"]
    with pytest.raises(KeyError):
        conversation.add(Message("4", "user", "four"), after="3")


def test_an_item_can_go_before_all_others() -> None:
    conversation = Memory()
    conversation.add(Message("1", "user", "one"))

    conversation.add(Message("2", "system", "two"), after=FIRST)

    assert [item.item_id for item in conversation.items] == ["2", "1"]


def test_unanswered_is_what_users_said_and_nobody_answered() -> None:
    conversation = Memory()
    first = Message("1", "user", "one", is_answered=True)
    second = Message("2", "user", "two")
    for item in (first, spoken(), second, Message("3", "system", "three")):
        conversation.add(item)

    assert conversation.unanswered == (second,)


def test_a_call_is_answered_once_it_was_made() -> None:
    conversation = Memory()
    call = Call("c", "lookup", "{}")
    conversation.add(call)

    conversation.answer_call("c", "42")

    assert call.output == "42"
    with pytest.raises(KeyError):
        conversation.answer_call("d", "42")


def test_the_oldest_are_forgotten_first() -> None:
    conversation = Memory()
    for number in range(MAX_ITEMS + 2):
        conversation.add(Message(str(number), "user", "x"))

    assert len(conversation.items) == MAX_ITEMS
    assert conversation.items[0].item_id == "2"
