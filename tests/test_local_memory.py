"""The embedded agent remembers what was heard, not what was meant to be said."""

import pytest

from agents.local.memory import MAX_ITEMS, Call, Memory, Message, Sentence, Spoken


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
