"""A model that takes over in the middle knows what was said and done, as it was heard, and keeps knowing it."""

import asyncio
from collections.abc import Sequence

import pytest

from agents import Candidate, HistoryItem, IdleStep, LastingModel, RealtimeAgent, tool
from agents.errors import ProviderError
from agents.events import (
    FIRST,
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    Error,
    ItemCreate,
    ItemCreated,
    ItemDelete,
    ItemDeleted,
    ItemTruncate,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    SpeechStarted,
    SpeechStopped,
    TextOutput,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
)
from agents.handoffs import Handoff
from agents.realtime import Past, PastMessage, PastToolCall, RealtimeConnectOptions
from agents.taken_over import TakenOver
from tests.handoff_scene import PIECE, Desks, outputs, pair
from tests.lasting_scene import LOST, Connection, Model
from tests.scene import play

LONG = "I put you through. Your balance is five hundred euros, and there is much more to say about it than that."


def told(connection: Connection) -> list[str]:
    """What it was told in messages, but for who handed over to it."""
    texts = [event.text for event in connection.of(ItemCreate)]
    return [text for text in texts if not text.startswith("The caller was handed over")]


def began_with(connection: Connection) -> list[str]:
    texts = [each.text if isinstance(each, PastMessage) else f"{each.output}" for each in connection.options.history]
    return [text for text in texts if not text.startswith("The caller was handed over")]


@tool(timeout_s=30)
async def look_up() -> str:
    """Looks an order up, which takes three seconds."""
    await asyncio.sleep(3)
    return "The order is 42."


def with_look_up(one: Model, other: Model | LastingModel) -> RealtimeAgent:
    billing = RealtimeAgent(name="billing", model=other, instructions="Bill.")
    return RealtimeAgent(name="reception", model=one, tools=(look_up,), handoffs=(Handoff("billing", billing),))


async def speaks(desks: Desks, connection: Connection, response: str, text: str, pieces: int = 1) -> None:
    item = f"i-{response}"
    await desks.says(connection, ResponseCreated(response))
    await desks.says(connection, *[AudioOutputDelta(response, item, 0, PIECE)] * pieces)
    await desks.says(connection, AudioOutputDone(response, item, 0), TranscriptOutput(response, item, text))
    await desks.says(connection, ResponseDone(response, "completed"))


async def broken_and_again(desks: Desks, model: Model) -> Connection:
    """The model's connection breaks, and a later one takes its place."""
    model.connections[-1].breaks()
    await desks.passes(2)
    return model.connections[-1]


# ---- what is said and done while it opens ----


def test_what_is_said_and_done_while_the_next_model_opens_is_told_to_it_before_it_takes_over() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        two.takes_s = 4.0
        async with Desks(with_look_up(one, two)) as desks:
            [first] = one.connections
            await desks.caller_says(first, "What do I owe?")
            await desks.calls(first, "look_up", "transfer_to_billing")
            await asyncio.sleep(0.5)
            await desks.session.send_message("The caller is a customer.", respond=False)
            await desks.caller_says(first, "And hurry.")
            await desks.says(first, ResponseCreated("own"), TextOutput("own", "i-own", "I do."))
            await desks.says(first, ResponseDone("own", "completed"))
            await asyncio.sleep(5)

            [second] = two.connections
            assert desks.handoffs == [("reception", "billing")]
            assert began_with(second) == ["What do I owe?"]
            result = "The tool look_up, called with {}, has answered: The order is 42."
            assert set(told(second)) == {"The caller is a customer.", "And hurry.", "I do.", result}
            assert [event.role for event in second.of(ItemCreate)][
                -1
            ] == "system"  # the handoff is what it is told last
            assert second.kinds()[-1] == "response.create"

    play(scene)


def test_what_was_deleted_while_the_next_model_opened_is_deleted_there_too() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        two.takes_s = 2.0
        async with Desks(*pair(one, two)) as desks:
            await desks.caller_says(one.connections[0], "My card is 4111.")
            await desks.calls(one.connections[0], "transfer_to_billing")
            await asyncio.sleep(0.5)
            await desks.session.update_history([])
            await asyncio.sleep(2)

            assert two.connections[0].kinds() == ["item.delete", "item.create", "response.create"]
            assert two.connections[0].of(ItemDelete) == [ItemDelete("u-My card is 4111.")]

    play(scene)


def test_what_a_model_cannot_forget_it_is_told_to_forget() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two", delete=False)
        two.takes_s = 2.0
        async with Desks(*pair(one, two)) as desks:
            await desks.caller_says(one.connections[0], "My card is 4111.")
            await desks.calls(one.connections[0], "transfer_to_billing")
            await asyncio.sleep(0.5)
            await desks.session.update_history([])
            await desks.session.send_message("Thanks.", respond=False)
            await asyncio.sleep(2)

            [forget, thanks] = told(two.connections[0])
            assert forget.startswith("Forget this") and "4111" in forget
            assert thanks == "Before you took over, the caller said: Thanks."
            assert {event.role for event in two.connections[0].of(ItemCreate)} == {"system"}  # none asks for an answer

    play(scene)


def test_a_turn_that_nobody_has_answered_is_heard_by_the_next_model_and_not_told_as_well() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        two.takes_s = 1.0
        async with Desks(*pair(one, two)) as desks:
            [first] = one.connections
            await desks.calls(first, "transfer_to_billing")
            await desks.says(first, SpeechStarted("u"))
            desks.channel.say(b"\x11" * 960)
            await desks.says(
                first, SpeechStopped("u"), AudioInputCommitted("u"), TranscriptInput("u", "Are you there?")
            )
            await asyncio.sleep(1.5)

            assert b"\x11" * 960 in two.connections[0].heard
            assert told(two.connections[0]) == [] and desks.session.history == ()

    play(scene)


# ---- what was heard of the agent before ----


@pytest.mark.parametrize("has_items", [True, False], ids=["items", "no items"])
def test_a_caller_who_interrupts_after_the_switch_leaves_the_next_model_knowing_what_they_heard(
    has_items: bool,
) -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two", delete=has_items)
        async with Desks(*pair(one, two)) as desks:
            [first] = one.connections
            await speaks(desks, first, "a", LONG, pieces=100)
            await desks.calls(first, "transfer_to_billing")
            await desks.passes(1)
            [second] = two.connections
            assert began_with(second) == [LONG]
            await desks.says(second, SpeechStarted("u2"))
            await desks.passes(0.5)

            heard = next(item.heard_text for item in desks.session.history if item.item_id == "i-a") or ""
            assert heard and heard != LONG
            assert second.of(ItemTruncate) == []
            if has_items:
                assert second.of(ItemDelete) == [ItemDelete("i-a")]
                [create] = [event for event in second.of(ItemCreate) if event.role == "assistant"]
                assert (create.text, create.previous_item_id) == (heard.strip(), FIRST)
            else:
                assert told(second) == [
                    f"This was not heard as you were told: {LONG}\nAll that was heard of it: {heard}"
                ]

    play(scene)


def test_what_was_interrupted_after_the_switch_stays_interrupted_for_a_later_connection_and_can_be_deleted() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        async with Desks(*pair(one, LastingModel([Candidate(two)]))) as desks:
            [first] = one.connections
            await speaks(desks, first, "a", LONG, pieces=100)
            await desks.calls(first, "transfer_to_billing")
            await desks.passes(1)
            await desks.says(two.connections[0], SpeechStarted("u2"))
            await desks.passes(0.5)
            await desks.says(two.connections[0], SpeechStopped("u2"), AudioInputCommitted("u2"))
            await desks.says(two.connections[0], TranscriptInput("u2", "Stop."))
            await speaks(desks, two.connections[0], "b", "Yes?")
            await desks.passes(1)
            third = await broken_and_again(desks, two)
            [heard, *rest] = began_with(third)
            assert LONG.startswith(heard) and heard != LONG and rest == ["Stop.", "Yes?"]

            await desks.session.update_history([])
            names = [each.item_id for each in third.options.history if isinstance(each, PastMessage)]
            deleted = {event.item_id for event in third.of(ItemDelete)}
            assert deleted <= set(names) and names[0] in deleted

    play(scene)


def test_what_the_next_models_server_says_of_a_correction_changes_nothing_for_the_session() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        async with Desks(*pair(one, two)) as desks:
            await speaks(desks, one.connections[0], "a", LONG, pieces=100)
            await desks.calls(one.connections[0], "transfer_to_billing")
            await desks.passes(1)
            [second] = two.connections
            await desks.says(second, SpeechStarted("u2"))
            await desks.passes(0.5)
            before = desks.session.history
            created = [ItemCreated(event.item_id or "", event.role) for event in second.of(ItemCreate)]
            await desks.says(second, ItemDeleted("i-a"), *created)

            assert len(created) == 2 and desks.session.history == before

    play(scene)


# ---- what a later connection of the same agent begins with ----


def test_what_was_deleted_after_a_handoff_is_not_told_to_a_later_connection() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        async with Desks(*pair(one, LastingModel([Candidate(two)]))) as desks:
            await desks.caller_says(one.connections[0], "My card is 4111.")
            await desks.calls(one.connections[0], "transfer_to_billing")
            await asyncio.sleep(1)
            await speaks(desks, two.connections[0], "b", "Billing.")
            await desks.passes(1)
            await desks.session.update_history(lambda items: [item for item in items if "4111" not in item.text])
            third = await broken_and_again(desks, two)

            assert began_with(third) == ["Billing."]

    play(scene)


def test_the_answer_of_a_tool_that_came_after_the_handoff_is_known_to_a_later_connection_once() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        async with Desks(with_look_up(one, LastingModel([Candidate(two)]))) as desks:
            [first] = one.connections
            await desks.caller_says(first, "Hello.")
            await desks.calls(first, "look_up", "transfer_to_billing")
            await desks.passes(5)
            result = "The tool look_up, called with {}, has answered: The order is 42."
            assert told(two.connections[0]) == [result]
            await speaks(desks, two.connections[0], "b", "Billing.")
            await desks.passes(1)
            third = await broken_and_again(desks, two)

            assert sorted(began_with(third)) == sorted(["Hello.", result, "Billing."])
            assert told(third) == []

    play(scene)


def test_an_answer_that_comes_while_no_connection_is_there_is_told_to_the_next_one_once() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        async with Desks(with_look_up(one, LastingModel([Candidate(two)]))) as desks:
            [first] = one.connections
            await desks.calls(first, "look_up", "transfer_to_billing")
            await desks.passes(1)
            await speaks(desks, two.connections[0], "b", "Billing.")
            two.takes_s = 1.5
            await desks.passes(1)
            two.connections[0].breaks()
            await desks.passes(3)  # the answer comes meanwhile

            third = two.connections[-1]
            assert [text for text in began_with(third) + told(third) if "42" in text] == [
                "The tool look_up, called with {}, has answered: The order is 42."
            ]

    play(scene)


def test_who_handed_over_and_why_is_known_to_a_later_connection() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        async with Desks(*pair(one, LastingModel([Candidate(two)]))) as desks:
            await desks.calls(one.connections[0], "transfer_to_billing", arguments='{"reason": "a wrong bill"}')
            await asyncio.sleep(1)
            third = await broken_and_again(desks, two)

            [briefing] = [each for each in third.options.history if isinstance(each, PastMessage)]
            assert briefing.role == "system" and "a wrong bill" in briefing.text
            assert third.kinds() == ["response.create"]

    play(scene)


def test_what_a_program_gives_every_connection_to_begin_with_stays_in_front_of_a_later_one_too() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        options = RealtimeConnectOptions(history=(message("before", "From an earlier call."),))
        async with Desks(*pair(one, LastingModel([Candidate(two)])), connect_options=options) as desks:
            await desks.caller_says(one.connections[0], "Hello.")
            await desks.calls(one.connections[0], "transfer_to_billing")
            await asyncio.sleep(1)
            assert began_with(two.connections[0]) == ["From an earlier call.", "Hello."]
            await speaks(desks, two.connections[0], "b", "Billing.")
            await desks.passes(1)
            third = await broken_and_again(desks, two)

            assert began_with(third) == ["From an earlier call.", "Hello.", "Billing."]

    play(scene)


# ---- items that it never had ----


def test_changes_of_history_name_no_item_that_the_model_never_had() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        async with Desks(*pair(one, two)) as desks:
            [first] = one.connections
            await desks.caller_says(first, "Hello.")
            await desks.caller_says(first, "")  # a sound without words
            await desks.says(first, ResponseCreated("x"), ResponseDone("x", "completed"))
            await desks.calls(first, "transfer_to_billing")
            await asyncio.sleep(1)
            [second] = two.connections
            await desks.says(second, ResponseCreated("b"), TextOutput("b", "i-b", "Billing."))
            await desks.says(second, ResponseDone("b", "completed"))
            await desks.session.update_history(
                lambda items: [*items[:2], HistoryItem("note", "system", "A note."), *items[2:]]
            )
            assert second.of(ItemCreate)[-1] == ItemCreate("system", "A note.", "note", "u-Hello.")
            assert [item.item_id for item in desks.session.history] == ["u-Hello.", "u-", "note", "i-b"]

            await desks.session.update_history([])
            assert [event.item_id for event in second.of(ItemDelete)] == ["u-Hello.", "note", "i-b"]

    play(scene)


# ---- a connection that ends, or hangs, while the next one opens ----


@pytest.mark.parametrize("end", [LOST, None], ids=["breaks", "closes"])
def test_a_connection_that_ends_while_the_next_is_being_opened_does_not_end_the_call(end: ProviderError | None) -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        two.takes_s = 1.0
        async with Desks(*pair(one, two)) as desks:
            [first] = one.connections
            await desks.calls(first, "transfer_to_billing")
            await asyncio.sleep(0.3)
            first.failure = LOST
            first.say(end)
            desks.channel.say(b"\x11" * 960)
            await desks.session.send_message("Is anybody there?", respond=False)
            await asyncio.sleep(1)

            [second] = two.connections
            assert desks.session.closed is None and desks.handoffs == [("reception", "billing")]
            assert told(second) == ["Is anybody there?"] and b"\x11" * 960 in second.heard
            await speaks(desks, second, "b", "Billing.")
            assert [item.response_id for item, _ in desks.channel.heard] == ["b"]

    play(scene)


@pytest.mark.parametrize("is_told", [True, False], ids=["reading tells", "only sending fails"])
def test_a_connection_that_ended_ends_the_call_when_the_next_cannot_be_opened(is_told: bool) -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two", ProviderError("nobody is there", code="network", retryable=True))
        two.takes_s = 1.0
        async with Desks(*pair(one, two)) as desks:
            [first] = one.connections
            await desks.calls(first, "transfer_to_billing")
            await asyncio.sleep(0.3)
            first.failure = LOST
            first.say(*[LOST] * is_told)
            desks.channel.say(b"\x11" * 960)
            await asyncio.sleep(0.5)
            assert desks.session.closed is None
            await asyncio.sleep(1)

            assert desks.session.closed and desks.session.closed.reason == "provider"
            assert desks.handoffs == []

    play(scene)


def test_the_next_agent_is_heard_at_once_while_the_model_before_is_trying_to_recover() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        two.takes_s = 1.0
        async with Desks(*pair(LastingModel([Candidate(one)]), two)) as desks:
            await desks.calls(one.connections[0], "transfer_to_billing")
            await asyncio.sleep(0.5)
            one.takes_s = 60.0
            one.connections[0].breaks()
            await asyncio.sleep(0.6)
            assert desks.handoffs == [("reception", "billing")]
            two.connections[0].say(ResponseCreated("b"), AudioOutputDelta("b", "i", 0, PIECE))
            await desks.settles()

            assert [item.response_id for item, _ in desks.channel.heard] == ["b"]

    play(scene)


# ---- what cannot be filled in ----


def test_words_for_a_silent_caller_that_cannot_be_filled_in_keep_the_handoff_from_beginning() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        async with Desks(*pair(one, two, idle=(IdleStep(after_s=5, say="Hello {{ missing }}"),))) as desks:
            [first] = one.connections
            await desks.calls(first, "transfer_to_billing")
            await asyncio.sleep(1)

            assert [error.code for error in desks.seen(Error)] == ["handoff_failed"]
            assert outputs(first)[0].startswith("Error: billing cannot be reached now.")
            assert (two.connections, desks.session.agent.name, first.is_closed) == ([], "reception", False)

    play(scene)


# ---- what is compared ----


def message(name: str, text: str) -> PastMessage:
    return PastMessage(name, "user", text)


def compared(past: list[Past], *, more: Sequence[str] = ()) -> TakenOver:
    """Over a past that the test changes; `more` are items without words."""
    return TakenOver(
        lambda: past, lambda: [*[each.item_id for each in past if isinstance(each, PastMessage)], *more], has_items=True
    )


def test_news_are_told_once_each_in_its_place() -> None:
    past: list[Past] = [message("a", "A"), message("c", "C")]
    taken_over = compared(past)
    past.insert(1, message("b", "B"))
    past.append(message("d", "D"))

    first, second = taken_over.news()

    assert isinstance(first, ItemCreate) and isinstance(second, ItemCreate)
    assert (first.text, first.previous_item_id) == ("B", "a")
    assert (second.text, second.previous_item_id) == ("D", None)
    assert taken_over.news() == ()


def test_a_message_that_was_told_under_an_id_of_its_own_is_deleted_and_followed_under_that_id() -> None:
    past: list[Past] = [message("a", "A")]
    taken_over = compared(past)
    past.append(message("b", "B"))
    [create] = taken_over.news()
    taken_over.takes_over()
    assert isinstance(create, ItemCreate)

    [after] = taken_over.in_its_words(ItemCreate("system", "note", "n", "b"))
    [delete] = taken_over.in_its_words(ItemDelete("b"))

    assert isinstance(after, ItemCreate) and after.previous_item_id == create.item_id
    assert delete == ItemDelete(create.item_id or "")


def test_an_answer_that_comes_before_it_takes_over_is_told_in_words() -> None:
    past: list[Past] = [message("a", "A")]
    taken_over = compared(past)
    past.append(PastToolCall("c", "look_up", "{}", "42"))

    [note] = taken_over.news()
    taken_over.takes_over()

    assert isinstance(note, ItemCreate) and note.role == "system" and "42" in note.text
    assert taken_over.past == (message("a", "A"), PastMessage(note.item_id or "", "system", note.text))


def test_what_it_never_had_is_neither_deleted_nor_named() -> None:
    past: list[Past] = []
    taken_over = compared(past, more=["noise"])
    taken_over.takes_over()

    assert taken_over.in_its_words(ItemDelete("noise")) == ()
    assert taken_over.in_its_words(ItemCreate("system", "x", "n", "noise")) == (ItemCreate("system", "x", "n", FIRST),)
    assert taken_over.in_its_words(ItemDelete("later")) == (ItemDelete("later"),)


def test_other_events_are_told_as_they_are() -> None:
    taken_over = compared([])
    taken_over.takes_over()

    for event in (ResponseCreate("r"), ToolResult("c", "42"), ItemTruncate("later", 0, 100)):
        assert taken_over.in_its_words(event) == (event,)
