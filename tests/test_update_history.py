"""What was said can be changed: the model forgets first and is told then, or nothing is sent at all."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from agents.errors import ConfigError, NotSupportedError
from agents.events import (
    FIRST,
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    ClientEvent,
    History,
    HistoryUpdated,
    ItemCreate,
    ItemCreated,
    ItemDelete,
    ItemDeleted,
    ResponseDone,
    SpeechStarted,
    TextOutput,
    TranscriptInput,
    TranscriptOutput,
)
from agents.history import CallHistory, HistoryItem
from agents.realtime import Capabilities, PastMessage
from agents.update_history import MAX_MESSAGE_CHARS, HistoryChange, NewHistory, history_change
from tests.scene import Scene, play


def talk() -> CallHistory:
    """The caller asks, the agent looks something up and answers aloud, then in writing; the caller says thanks."""
    call = CallHistory(knows_heard=False)
    for event in (
        TranscriptInput("u1", "When do you open?"),
        ItemCreated("c1", "function_call", "u1"),
        AudioOutputDelta("r1", "a1", 0, bytes(4800)),
        AudioOutputDone("r1", "a1", 0),
        TranscriptOutput("r1", "a1", "At nine."),
        ResponseDone("r1", "completed"),
        TextOutput("r2", "a2", "9:00"),
        ResponseDone("r2", "completed"),
        TranscriptInput("u2", "Thanks."),
    ):
        call.take(event)
    return call


def items(call: CallHistory, *ids: str) -> list[HistoryItem]:
    return [item for item_id in ids for item in call.items if item.item_id == item_id]


def message(text: str, item_id: str = "", role: Any = "system") -> HistoryItem:
    return HistoryItem(item_id, role, text)


def said(change: HistoryChange) -> list[tuple[str, str, str | None]]:
    return [(create.role, create.text, create.previous_item_id) for create in change.created]


# ---- what is sent ----


def test_the_same_history_changes_nothing() -> None:
    call = talk()

    assert history_change(call, call.items) == HistoryChange((), ())


def test_what_is_left_out_is_deleted() -> None:
    call = talk()

    change = history_change(call, items(call, "a2", "u2"))

    assert change == HistoryChange((ItemDelete("u1"), ItemDelete("a1")), ())


def test_everything_can_be_deleted() -> None:
    assert len(history_change(talk(), ()).deleted) == 4


def test_a_function_is_given_the_present_items() -> None:
    change = history_change(talk(), lambda present: [item for item in present if item.role != "user"])

    assert change.deleted == (ItemDelete("u1"), ItemDelete("u2"))


def test_new_items_go_where_they_stand_each_after_the_one_before() -> None:
    call = talk()
    old = items(call, "u1", "a1", "a2", "u2")

    change = history_change(
        call,
        [message("One.", "n1"), message("Two.", "n2"), old[0], message("Three.", "n3"), *old[1:]],
    )

    assert change.deleted == ()
    assert said(change) == [("system", "One.", FIRST), ("system", "Two.", "n1"), ("system", "Three.", "u1")]


def test_new_items_at_the_end_go_behind_what_has_come_meanwhile() -> None:
    call = talk()

    change = history_change(call, [*call.items, message("One.", "n1"), message("Two.", "n2", "assistant")])

    assert said(change) == [("system", "One.", None), ("assistant", "Two.", "n1")]


def test_a_changed_item_is_deleted_and_created_in_its_place_under_a_new_id() -> None:
    call = talk()
    u1, a1, a2, u2 = call.items

    change = history_change(call, [u1, a1, replace(a2, text="nine"), replace(u2, text="[removed]")])

    assert change.deleted == (ItemDelete("a2"), ItemDelete("u2"))
    (nine, removed) = change.created
    assert (nine.role, nine.text, nine.previous_item_id) == ("assistant", "nine", None)
    assert (removed.role, removed.text, removed.previous_item_id) == ("user", "[removed]", nine.item_id)
    assert not {nine.item_id, removed.item_id} & {"", "a2", "u2"}


def test_a_moved_item_is_deleted_and_created_and_what_was_spoken_stays() -> None:
    call = talk()

    change = history_change(call, items(call, "a2", "u1", "a1", "u2"))

    assert change.deleted == (ItemDelete("a2"),)
    assert said(change) == [("assistant", "9:00", FIRST)]


def test_an_id_is_made_for_an_item_without_one() -> None:
    change = history_change(talk(), [message("One."), message("Two.")])

    first, second = (create.item_id or "" for create in change.created)
    assert first.startswith("msg_")
    assert len({first, second}) == 2
    assert len(first) <= 32


def test_an_item_that_was_in_progress_when_it_was_looked_at_stays_as_it_has_become() -> None:
    call = talk()
    call.take(SpeechStarted("u3"))
    before = call.items
    call.take(TranscriptInput("u3", "Goodbye."))

    assert history_change(call, before) == HistoryChange((), ())


# ---- what is refused ----


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (lambda old: [replace(old[1], text="At ten.")], "a1 was spoken by the agent"),
        (lambda old: [*old, replace(old[1], item_id="n1")], "n1 was spoken by the agent"),
        (lambda old: [replace(old[0], text="Hm?", audio=bytes(960))], "u1 has audio"),
        (lambda old: [HistoryItem("n1", "user", "Hm?", audio=b"")], "n1 has audio"),
        (lambda old: [message("a tool", "c1")], "c1 is a tool's call"),
        (lambda old: [message("a tool", "n1", "function_call")], "role must be user, assistant or system"),
        (lambda old: [old[0], old[0]], "twice: u1"),
        (lambda old: [message("x", "n1"), message("y", "n1")], "twice: n1"),
        (lambda old: [message(" ")], "text must have from 1 to"),
        (lambda old: [message("x" * (MAX_MESSAGE_CHARS + 1))], "text must have from 1 to"),
    ],
)
def test_what_cannot_be_told_again_is_refused(wanted: NewHistory, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        history_change(talk(), wanted)


def test_what_the_agent_spoke_cannot_change_places() -> None:
    call = CallHistory(knows_heard=False)
    for name in ("1", "2"):
        call.take(AudioOutputDelta(f"r{name}", f"a{name}", 0, bytes(4800)))
        call.take(ResponseDone(f"r{name}", "completed"))

    with pytest.raises(ConfigError, match="was spoken by the agent"):
        history_change(call, call.items[::-1])


def test_what_the_agent_is_saying_or_the_caller_still_hears_cannot_be_deleted() -> None:
    call = CallHistory()
    call.take(AudioOutputDelta("r1", "a1", 0, bytes(48_000)))
    with pytest.raises(ConfigError, match="a1 is still being said or heard"):
        history_change(call, ())
    call.take(ResponseDone("r1", "completed"))
    call.heard("a1", 400)
    with pytest.raises(ConfigError, match="a1 is still being said or heard"):
        history_change(call, ())

    call.heard("a1", 1000)

    assert history_change(call, ()).deleted == (ItemDelete("a1"),)


def test_what_the_caller_is_saying_cannot_be_deleted_before_its_end() -> None:
    call = CallHistory()
    call.take(SpeechStarted("u1"))
    with pytest.raises(ConfigError, match="u1 is still being said or heard"):
        history_change(call, ())

    call.take(AudioInputCommitted("u1"))

    assert history_change(call, ()).deleted == (ItemDelete("u1"),)


# ---- in a session ----


class Told(Scene):
    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.session.on("history_updated", self.told.append)

    def changes(self) -> list[ClientEvent]:
        return self.sent(ItemDelete, ItemCreate)


def test_after_connect_history_updated_is_told_with_nothing_in_it() -> None:
    async def test() -> None:
        async with Told() as scene:
            assert scene.seen(HistoryUpdated) == [HistoryUpdated(())]

    play(test)


def test_update_history_sends_deletes_before_creates_and_tells_observers() -> None:
    async def test() -> None:
        async with Told() as scene:
            await scene.stops_speaking("u1", "My card is 4111.")
            await scene.stops_speaking("u2", "Thanks.")

            await scene.session.update_history(lambda old: [replace(old[0], text="My card is [removed]."), old[1]])

            (delete, create) = scene.changes()
            assert delete == ItemDelete("u1")
            assert isinstance(create, ItemCreate)
            assert (create.role, create.text, create.previous_item_id) == ("user", "My card is [removed].", FIRST)
            (_, updated) = scene.seen(HistoryUpdated)
            assert updated.items == scene.session.history
            assert [item.text for item in updated.items] == ["My card is [removed].", "Thanks."]
            assert [event.item.status for event in scene.seen(History)[-2:]] == ["deleted", "completed"]

    play(test)


def test_what_the_server_says_of_a_change_changes_nothing_more() -> None:
    async def test() -> None:
        async with Told() as scene:
            await scene.stops_speaking("u1", "Hello.")
            await scene.session.update_history(lambda old: [replace(old[0], text="Hi.")])
            create = scene.changes()[1]
            assert isinstance(create, ItemCreate)
            before = scene.session.history

            await scene.says(ItemDeleted("u1"), ItemCreated(create.item_id or "", "user"))

            assert scene.session.history == before

    play(test)


def test_update_history_refuses_the_agents_audio_before_anything_is_sent() -> None:
    async def test() -> None:
        async with Told() as scene:
            await scene.stops_speaking("u1", "Hello.")
            await scene.replies("r1", 400)
            await scene.passes(500)
            before = scene.session.history

            with pytest.raises(ConfigError, match="item-r1 was spoken by the agent"):
                await scene.session.update_history(lambda old: [replace(old[1], text="Never.")])

            assert scene.changes() == []
            assert scene.session.history == before
            assert len(scene.seen(HistoryUpdated)) == 1

    play(test)


def test_a_model_that_cannot_forget_refuses_every_change_of_history() -> None:
    async def test() -> None:
        async with Told() as scene:
            scene.model.capabilities = Capabilities(delete=False)

            with pytest.raises(NotSupportedError, match="driven/driven cannot change what was said"):
                await scene.session.update_history([message("One.")])

            assert scene.changes() == []

    play(test)


def test_a_later_connection_begins_with_the_updated_past() -> None:
    async def test() -> None:
        async with Told() as scene:
            await scene.stops_speaking("u1", "Hello.")
            await scene.stops_speaking("u2", "Thanks.")

            await scene.session.update_history(lambda old: [message("The caller said hello.", "n1"), old[1]])

            assert scene.session.past == (
                PastMessage("n1", "system", "The caller said hello."),
                PastMessage("u2", "user", "Thanks."),
            )

    play(test)


def test_two_changes_at_once_are_made_one_after_the_other() -> None:
    async def test() -> None:
        async with Told() as scene:
            for number in ("1", "2"):
                await scene.stops_speaking(f"u{number}", f"Word {number}.")

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(scene.session.update_history(lambda old: [*old, message("Note 1.", "n1")]))
                tasks.create_task(scene.session.update_history(lambda old: [*old, message("Note 2.", "n2")]))

            assert [item.item_id for item in scene.session.history] == ["u1", "u2", "n1", "n2"]
            assert [len(event.items) for event in scene.seen(HistoryUpdated)] == [0, 3, 4]

    play(test)


def test_before_connect_update_history_raises_and_after_the_end_it_does_nothing() -> None:
    async def test() -> None:
        scene = Told()
        with pytest.raises(ConfigError, match="not connected"):
            await scene.session.update_history([])
        async with scene:
            pass

        await scene.session.update_history([message("One.")])

        assert scene.changes() == []

    play(test)
