"""The keys that a caller presses make entries, which the model is told of; a secret it neither hears nor is told."""

import asyncio
import logging
from dataclasses import replace

import pytest

from agents import Handoff, RealtimeAgent
from agents.barge_in import BargeInRules
from agents.digits import DigitRules
from agents.events import (
    AudioInputAppend,
    DigitsEntered,
    Dtmf,
    Interrupted,
    ItemCreate,
    ItemTruncate,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ToolCall,
    ToolResult,
)
from agents.realtime import SessionConfig
from agents.tools.collect_digits import collect_digits
from agents.watch import CHECK_S
from tests.scene import Scene, audio_format, play, silent_frame, voiced_frame  # noqa: F401 the format is for all tests

SLACK_MS = 2000 * CHECK_S
"""How late a time-out may be noticed."""


def appended(call: Scene) -> list[bytes]:
    return [event.pcm for event in call.sent(AudioInputAppend) if isinstance(event, AudioInputAppend)]


def entries(call: Scene) -> list[str]:
    return [event.digits for event in call.seen(DigitsEntered)]


def messages(call: Scene) -> list[str]:
    return [event.text for event in call.sent(ItemCreate) if isinstance(event, ItemCreate)]


async def press(call: Scene, keys: str) -> None:
    for key in keys:
        call.channel.press(key)
        await call.passes(100)


def test_the_terminator_completes_an_entry_which_the_model_is_told_and_answers() -> None:
    async def scene() -> None:
        async with Scene(keys=DigitRules(to_model=True)) as call:
            await press(call, "12#")

            assert (entries(call), messages(call)) == (["12"], ["The caller pressed 12."])
            assert call.sent(ItemCreate, ResponseCreate)[1:] == [ResponseCreate("request-1")]
            assert [event.digit for event in call.seen(Dtmf)] == ["1", "2", "#"]

    play(scene)


def test_the_last_of_so_many_keys_completes_an_entry() -> None:
    async def scene() -> None:
        async with Scene(keys=DigitRules(max_digits=4)) as call:
            await press(call, "123")
            before = entries(call)
            await press(call, "4")

            assert (before, entries(call), messages(call)) == ([], ["1234"], [])

    play(scene)


def test_an_entry_is_complete_when_no_key_follows_in_time() -> None:
    async def scene() -> None:
        async with Scene(keys=DigitRules(to_model=True, timeout_s=2)) as call:
            await press(call, "7")
            await call.passes(1500)
            before = entries(call)
            await call.passes(500 + SLACK_MS)

            assert (before, entries(call), messages(call)) == ([], ["7"], ["The caller pressed 7."])
            assert len(call.sent(ResponseCreate)) == 1

    play(scene)


def test_an_entry_over_the_agents_words_is_answered_after_them_unless_keys_stop_it() -> None:
    async def scene() -> None:
        async with Scene(keys=DigitRules(to_model=True)) as call:
            await call.replies("r1", 1000, done=False)
            await press(call, "1#")
            before = call.sent(ResponseCreate)
            await call.says(ResponseDone("r1", "completed"))

            assert (before, len(call.sent(ResponseCreate)), call.seen(Interrupted)) == ([], 1, [])

    play(scene)


def test_the_model_neither_hears_nor_is_told_a_secret() -> None:
    async def scene() -> None:
        async with Scene(keys=DigitRules(to_model=True, sensitive=True, timeout_s=2)) as call:
            await call.hears(100)
            await press(call, "4")
            await call.hears(500)
            await press(call, "2#")
            await call.hears(900)
            typing = appended(call)[5:]
            await call.hears(300)

            assert set(typing) == {silent_frame()}
            assert len(typing) == 70
            assert appended(call)[-1] == voiced_frame()
            assert messages(call) == ["The caller typed 2 digits."]
            assert [item.text for item in call.session.history] == ["The caller typed 2 digits."]

    play(scene)


def test_a_secret_that_timed_out_gives_the_model_its_ears_back() -> None:
    async def scene() -> None:
        async with Scene(keys=DigitRules(sensitive=True, timeout_s=2)) as call:
            await press(call, "4")
            await call.passes(2000 + 2 * SLACK_MS)
            await call.hears(100)

            assert entries(call) == ["4"]
            assert appended(call) == [voiced_frame()] * 5

    play(scene)


def test_no_repr_of_an_event_shows_a_key() -> None:
    async def scene() -> None:
        async with Scene(keys=DigitRules(sensitive=True, terminator="*")) as call:
            await press(call, "97*")

            shown = repr([call.seen(Dtmf), call.seen(DigitsEntered)])
            assert not any(key in shown for key in "97*")
            assert [event.sensitive for event in call.seen(Dtmf)] == [True] * 3
            assert [event.sensitive for event in call.seen(DigitsEntered)] == [True]

    play(scene)


def test_a_call_writes_no_key_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with Scene(keys=DigitRules(to_model=True, sensitive=True)) as call:
            await press(call, "90210#")

    with caplog.at_level(logging.DEBUG):
        play(scene)
    assert "90210" not in caplog.text


def test_an_entry_by_a_key_that_stops_the_agent_is_answered_after_the_truncation() -> None:
    async def scene() -> None:
        async with Scene(keys=DigitRules(to_model=True, max_digits=1), barge_in=BargeInRules(on_key=True)) as call:
            await call.replies("r1", 1000)
            await call.passes(300)

            await press(call, "5")

            assert [type(event) for event in call.sent(ItemCreate, ItemTruncate, ResponseCreate)] == [
                ItemCreate,
                ItemTruncate,
                ResponseCreate,
            ]

    play(scene)


def test_a_muted_caller_may_press_keys() -> None:
    async def scene() -> None:
        async with Scene(keys=DigitRules(to_model=True)) as call:
            await call.session.mute()

            await press(call, "5#")

            assert messages(call) == ["The caller pressed 5."]

    play(scene)


# ---- a handoff meanwhile ----


def desks(here: DigitRules, there: DigitRules) -> Scene:
    """A call whose agent may hand over to one with other keys, which goes on over the same connection."""
    tools, config = (collect_digits,), SessionConfig()

    def billing() -> RealtimeAgent:
        return replace(call.session.agent, name="billing", keys=there, handoffs=())

    call = Scene(keys=here, tools=tools, config=config, handoffs=(Handoff("billing", billing),))
    return call


async def is_handed_over(call: Scene) -> None:
    handing = ToolCall("r9", "c9", "transfer_to_billing", "{}")
    await call.says(ResponseCreated("r9"), handing, ResponseDone("r9", "completed"))
    assert call.session.agent.name == "billing"


async def is_asked_to_type(call: Scene) -> None:
    asking = ToolCall("r1", "c1", "collect_digits", "{}")
    await call.says(ResponseCreated("r1"), asking, ResponseDone("r1", "completed"))


def collected(call: Scene) -> list[str]:
    """What the model was told by its tool."""
    return [event.output for event in call.sent(ToolResult) if isinstance(event, ToolResult) and event.call_id == "c1"]


OPEN = DigitRules(to_model=True)
SECRET = DigitRules(to_model=True, sensitive=True)


def test_a_secret_that_is_begun_stays_whole_and_a_secret_over_a_handoff() -> None:
    async def scene() -> None:
        async with desks(SECRET, OPEN) as call:
            await press(call, "4111")
            await is_handed_over(call)
            await press(call, "2222#")

            assert entries(call) == ["41112222"]
            assert [event.sensitive for event in call.seen(Dtmf)] == [True] * 9
            assert messages(call) == ["The caller typed 8 digits."]

            await press(call, "5#")
            assert messages(call)[1:] == ["The caller pressed 5."]

    play(scene)


def test_a_number_that_an_agent_waits_for_stays_whole_over_a_handoff() -> None:
    async def scene() -> None:
        async with desks(SECRET, OPEN) as call:
            await is_asked_to_type(call)
            await press(call, "4111")
            await is_handed_over(call)
            await press(call, "2222#")
            await call.passes(300)

            assert call.session.digits == "41112222"
            assert collected(call) == [
                "The caller typed 8 digits. You are not told which; tools that need them have them."
            ]
            await press(call, "5#")
            assert messages(call) == ["The caller pressed 5."]

    play(scene)


@pytest.mark.parametrize("typed_before", ["", "4111"])
def test_what_is_typed_for_an_agent_whose_keys_are_secrets_is_one_whoever_asked_for_it(typed_before: str) -> None:
    async def scene() -> None:
        async with desks(OPEN, SECRET) as call:
            await is_asked_to_type(call)
            await press(call, typed_before)
            await is_handed_over(call)
            await press(call, "2222#")
            await call.passes(300)

            count = len(typed_before) + 4
            assert collected(call) == [
                f"The caller typed {count} digits. You are not told which; tools that need them have them."
            ]
            assert [event.sensitive for event in call.seen(DigitsEntered)] == [True]
            assert "2222" not in repr(call.model.sent)

    play(scene)


def test_who_waits_for_an_entry_in_place_of_another_agent_waits_by_their_own_rules() -> None:
    async def scene() -> None:
        async with desks(DigitRules(terminator="*"), DigitRules(max_digits=3)) as call:
            await is_asked_to_type(call)
            await is_handed_over(call)
            entry = asyncio.create_task(call.session.collect_digits(10, 10))
            await press(call, "123")
            await call.passes(300)

            assert entry.done()
            assert await entry == "123"

    play(scene)


def test_an_entry_that_an_agent_waits_for_is_complete_by_that_agents_rules() -> None:
    async def scene() -> None:
        async with desks(DigitRules(max_digits=3), DigitRules(terminator="*")) as call:
            await is_asked_to_type(call)
            await is_handed_over(call)
            await press(call, "123")
            await call.passes(300)
            assert collected(call) == ["The caller typed 123."]

            await press(call, "1234*")
            assert entries(call) == ["123", "1234"]

    play(scene)


def test_the_key_that_ends_a_number_of_known_length_belongs_to_it_over_a_handoff() -> None:
    async def scene() -> None:
        async with desks(DigitRules(max_digits=4), OPEN) as call:
            await press(call, "1234")
            await is_handed_over(call)
            await press(call, "#")

            assert (entries(call), messages(call)) == (["1234"], [])

    play(scene)
