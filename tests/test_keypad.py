"""The keys that a caller presses make entries, which the model is told of; a secret it neither hears nor is told."""

import logging

import pytest

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
    ResponseDone,
)
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
