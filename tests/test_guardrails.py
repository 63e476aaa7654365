"""Guardrails look at what the agent says, beside the call, and stop it in the one way when they object."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agents import ConfigError, Guardrail, GuardrailContext, OutputGuardrailSettings, RealtimeSession
from agents.events import (
    AudioOutputDelta,
    Error,
    GuardrailTripped,
    Interrupted,
    ItemTruncate,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    TextOutput,
    TextOutputDelta,
    TranscriptInput,
    TranscriptOutput,
    TranscriptOutputDelta,
)
from agents.guardrails.checking import MAX_RUNNING
from agents.guardrails.watching import MAX_CORRECTIONS, MAX_INTERIM
from tests.guarded_scene import Asked, Call, no_promises
from tests.scene import Ear, play, reply, size, voice


def said(response_id: str, *pieces: str, whole: str | None = None) -> list[ServerEvent]:
    """A response of words alone, complete."""
    item_id = f"item-{response_id}"
    return [
        ResponseCreated(response_id),
        *(TranscriptOutputDelta(response_id, item_id, piece) for piece in pieces),
        TranscriptOutput(response_id, item_id, "".join(pieces) if whole is None else whole),
        ResponseDone(response_id, "completed"),
    ]


# ---- when they look ----


@pytest.mark.parametrize("way", ["now", "later"])
def test_with_debounce_100_and_250_chars_there_are_two_interim_runs_plus_one_final(way: str) -> None:
    async def scene() -> None:
        asked = Asked()
        async with Call(Guardrail(name="g", check=getattr(asked, way)), every=100) as call:
            await call.says(*said("r1", *["x" * 25] * 10))

            assert sorted(asked.texts) == [("x" * 100, False), ("x" * 200, False), ("x" * 250, True)]

    play(scene)


def test_with_debounce_minus_1_there_is_only_the_final_run() -> None:
    async def scene() -> None:
        asked = Asked()
        async with Call(Guardrail(name="g", check=asked.now), every=-1) as call:
            await call.says(*said("r1", *["x" * 25] * 10))

            assert asked.texts == [("x" * 250, True)]

    play(scene)


def test_the_final_run_is_on_the_models_own_final_text_even_if_empty() -> None:
    async def scene() -> None:
        asked = Asked()
        async with Call(Guardrail(name="g", check=asked.now), every=100) as call:
            await call.says(*said("r1", "Helo", whole="Hello."), *said("r2", whole=""))

            assert asked.texts == [("Hello.", True), ("", True)]

    play(scene)


def test_words_whose_end_the_model_does_not_tell_are_checked_at_the_end_of_the_response() -> None:
    async def scene() -> None:
        asked = Asked()
        async with Call(Guardrail(name="g", check=asked.now), every=100) as call:
            words = TranscriptOutputDelta("r1", "i1", "Hel"), TranscriptOutputDelta("r1", "i1", "lo.")
            await call.says(ResponseCreated("r1"), *words, ResponseDone("r1", "completed"))

            assert asked.texts == [("Hello.", True)]

    play(scene)


def test_words_that_are_written_and_not_spoken_are_checked_as_well() -> None:
    async def scene() -> None:
        asked = Asked()
        async with Call(Guardrail(name="g", check=asked.now), every=3) as call:
            await call.says(ResponseCreated("r1"), TextOutputDelta("r1", "i1", "Hel"), TextOutput("r1", "i1", "Hello."))

            assert asked.texts == [("Hel", False), ("Hello.", True)]

    play(scene)


def test_the_sessions_guardrails_join_the_agents_and_its_settings_win() -> None:
    async def scene() -> None:
        agents_own, sessions_own = Asked(), Asked()
        options = {
            "output_guardrails": [Guardrail(name="s", check=sessions_own.now)],
            "output_guardrail_settings": OutputGuardrailSettings(debounce_text_length=-1),
        }
        async with Call(Guardrail(name="a", check=agents_own.now), every=5, options=options) as call:
            await call.says(*said("r1", "x" * 20))

            assert agents_own.lengths == sessions_own.lengths == [20]

    play(scene)


@pytest.mark.parametrize("option", [{"output_guardrails": [print]}, {"output_guardrail_settings": {"every": 3}}])
def test_options_that_are_no_guardrails_are_refused_when_the_session_is_made(option: dict[str, Any]) -> None:
    async def scene() -> None:
        with pytest.raises(ConfigError, match=next(iter(option))):
            RealtimeSession(Call().session.agent, **option)

    play(scene)


def test_a_guardrail_of_another_stage_does_not_look_at_what_the_agent_says() -> None:
    async def scene() -> None:
        asked = Asked("no")
        stages: frozenset[Any] = frozenset({"input", "tool_call", "tool_result"})
        async with Call(Guardrail(name="g", check=asked.now, stages=stages)) as call:
            await call.says(*said("r1", "x" * 50))

            assert asked.texts == []

    play(scene)


# ---- what a trip does ----


def test_a_trip_emits_once_with_the_item_id_interrupts_sends_feedback_once_and_a_new_response_follows() -> None:
    async def scene() -> None:
        async with Call(no_promises(), no_promises(name="again")) as call:
            await call.begins("r1", "We guarantee that, ")
            more = [TranscriptOutputDelta("r1", "item-r1", "we guarantee it! ")] * 3
            await call.says(*more, ResponseDone("r1", "cancelled"))

            tripped = GuardrailTripped(
                "no-promises", "output", "there is 'guarantee' in it", response_id="r1", item_id="item-r1"
            )
            assert call.seen(GuardrailTripped) == [tripped]
            assert len(call.seen(Interrupted)) == call.channel.interruptions == 1
            assert call.sent(ResponseCancel) == [ResponseCancel("r1")]
            [note] = call.notes
            assert "no-promises" in note
            assert note.endswith("Say that nobody can promise that.")
            assert len(call.sent(ResponseCreate)) == 1

            await call.replies("r2", 500)
            await call.passes(500)
            assert len(call.seen(GuardrailTripped)) == len(call.notes) == len(call.sent(ResponseCreate)) == 1

    play(scene)


def test_without_a_hint_the_model_is_told_to_apologise_and_to_change_the_subject() -> None:
    async def scene() -> None:
        async with Call(no_promises(hint=None)) as call:
            await call.begins("r1", "We guarantee that, ")

            [note] = call.notes
            assert "'no-promises'" in note
            assert "Apologise" in note
            assert "change the subject" in note

    play(scene)


def test_the_line_is_cleared_first_then_the_model_learns_what_was_heard_and_is_asked_again_last() -> None:
    async def scene() -> None:
        async with Call(no_promises()) as call:
            await call.begins("r1", "I can help ")
            await call.passes(700)
            before = len(call.model.sent)

            await call.says(TranscriptOutputDelta("r1", "item-r1", "and guarantee it, "))
            await call.says(ResponseDone("r1", "cancelled"))

            [cancel, *middle, ask] = [e for e in call.model.sent[before:] if e.kind != "audio.input.append"]
            assert cancel == ResponseCancel("r1")
            assert ItemTruncate("item-r1", 0, 700) in middle
            assert isinstance(ask, ResponseCreate)

    play(scene)


def test_what_tripped_and_was_not_heard_does_not_stay_in_the_history_as_heard() -> None:
    async def scene() -> None:
        async with Call(no_promises()) as call:
            await call.begins("r1", "Good morning to you all, we guarantee that, ")
            assert call.seen(Interrupted)[0].heard[0].heard_ms == 0

            item = call.session.history[0]
            assert (item.status, item.heard_text, item.heard_ms) == ("cut", "", 0)
            assert [past.text for past in call.session.past if past.role == "assistant"] == []
            assert [past.text for past in call.session.past if past.role == "system"] == call.notes

    play(scene)


def test_the_phone_is_quiet_within_100_ms_of_a_trip_in_mid_sentence() -> None:
    async def scene() -> None:
        line = Ear()
        async with Call(no_promises(), channel=line) as call:
            await call.begins("r1", "I can help you, ", 1000)
            for n in range(10):  # words and audio go on, faster than they are spoken
                await call.says(AudioOutputDelta("r1", "item-r1", 0, voice(500, seed=n)))
                await call.passes(100)
            heard_before = len(line.ear)
            assert heard_before == size(1000)

            call.model.say(TranscriptOutputDelta("r1", "item-r1", "and we guarantee a full refund. "))
            for n in range(20):
                call.model.say(AudioOutputDelta("r1", "item-r1", 0, voice(500, seed=n)))
                await call.passes(100)

            assert len(line.ear) - heard_before <= size(100)
            assert call.channel.interruptions == 1
            assert not line.is_playing

    play(scene)


def test_a_word_is_found_over_the_bounds_of_pieces_and_no_part_of_a_word_is() -> None:
    async def scene() -> None:
        rule = no_promises(words=("free of charge", "hell"))
        async with Call(rule, every=1) as call:
            await call.says(ResponseCreated("r1"))
            for piece in ("Hell", "o, it is fr", "ee of", " char"):
                await call.says(TranscriptOutputDelta("r1", "i1", piece))
            assert call.seen(GuardrailTripped) == []

            await call.says(TranscriptOutputDelta("r1", "i1", "ge."))
            assert [trip.detail for trip in call.seen(GuardrailTripped)] == ["there is 'free of charge' in it"]

    play(scene)


def test_a_trip_after_all_was_heard_cancels_nothing_and_a_new_response_follows() -> None:
    async def scene() -> None:
        asked = Asked("too long")
        asked.may_answer.clear()
        async with Call(Guardrail(name="g", check=asked.later)) as call:
            await call.says(*reply("r1", voice(500), words="All is well."))
            await call.passes(600)

            asked.may_answer.set()
            await call.settles()

            assert len(call.seen(GuardrailTripped)) == 1
            assert (call.sent(ResponseCancel), call.channel.interruptions) == ([], 0)
            assert (len(call.notes), len(call.sent(ResponseCreate))) == (1, 1)

    play(scene)


def test_a_late_result_for_an_older_response_emits_but_does_not_cut_the_newer_one() -> None:
    async def scene() -> None:
        asked = Asked()
        asked.may_answer.clear()
        async with Call(Guardrail(name="g", check=asked.later), every=-1) as call:
            await call.says(*said("r1", "Something bad."))
            await call.says(*reply("r2", voice(3000), done=False))

            asked.objection = "bad"
            asked.may_answer.set()
            await call.passes(500)

            assert [trip.response_id for trip in call.seen(GuardrailTripped)] == ["r1"]
            assert (call.channel.interruptions, call.sent(ResponseCancel, ItemTruncate)) == (0, [])
            assert (call.notes, call.sent(ResponseCreate)) == ([], [])
            assert call.played("r2") == voice(3000)

    play(scene)


def test_a_response_that_the_caller_has_stopped_is_told_of_and_not_answered_by_another() -> None:
    async def scene() -> None:
        asked = Asked("bad")
        asked.may_answer.clear()
        async with Call(Guardrail(name="g", check=asked.later)) as call:
            await call.begins("r1", "Something bad, ")
            await call.passes(300)
            await call.begins_to_speak()
            assert call.channel.interruptions == 1

            asked.may_answer.set()
            await call.settles()

            assert len(call.seen(GuardrailTripped)) == len(call.notes) == 1
            assert call.channel.interruptions == 1
            assert call.sent(ResponseCreate) == []

    play(scene)


def test_an_agent_that_the_program_has_silenced_stays_silent() -> None:
    async def scene() -> None:
        asked = Asked("bad")
        asked.may_answer.clear()
        async with Call(Guardrail(name="g", check=asked.later)) as call:
            await call.begins("r1", "Something bad, ")
            await call.session.interrupt()
            await call.says(ResponseDone("r1", "cancelled"))

            asked.may_answer.set()
            await call.passes(5000)

            assert len(call.seen(GuardrailTripped)) == len(call.notes) == 1
            assert call.sent(ResponseCreate) == []

    play(scene)


def test_words_that_come_after_the_response_was_stopped_are_not_looked_at() -> None:
    async def scene() -> None:
        asked = Asked()
        async with Call(Guardrail(name="g", check=asked.now)) as call:
            await call.begins("r1", "Well, I think ")
            await call.begins_to_speak()
            late = "and this nobody will ever hear. "
            await call.says(TranscriptOutputDelta("r1", "item-r1", late), TranscriptOutput("r1", "item-r1", late))

            assert asked.texts == [("Well, I think ", False), ("Well, I think ", True)]

    play(scene)


def test_a_model_that_cannot_but_object_to_itself_is_not_asked_for_ever_until_the_caller_speaks() -> None:
    async def scene() -> None:
        async with Call(no_promises()) as call:
            for n in range(MAX_CORRECTIONS + 1):
                await call.begins(f"r{n}", "Sorry, we guarantee that, ")
                await call.says(ResponseDone(f"r{n}", "cancelled"))

            assert len(call.seen(GuardrailTripped)) == MAX_CORRECTIONS + 1
            assert len(call.sent(ResponseCreate)) == MAX_CORRECTIONS
            assert [error.code for error in call.seen(Error)] == ["guardrail_repeated"]

            await call.says(TranscriptInput("u1", "Hello?"))
            await call.begins("again", "Sorry, we guarantee that, ")
            await call.says(ResponseDone("again", "cancelled"))
            assert len(call.sent(ResponseCreate)) == MAX_CORRECTIONS + 1

    play(scene)


def test_an_answer_that_passes_ends_the_row_of_corrections() -> None:
    async def scene() -> None:
        async with Call(no_promises()) as call:
            for n in range(2 * MAX_CORRECTIONS):
                await call.begins(f"r{n}", "Sorry, we guarantee that, ")
                await call.says(ResponseDone(f"r{n}", "cancelled"))
                await call.says(*reply(f"good{n}", voice(500)))

            assert len(call.sent(ResponseCreate)) == 2 * MAX_CORRECTIONS
            assert call.seen(Error) == []

    play(scene)


# ---- checks that are slow, or break ----


def test_a_slow_check_holds_up_neither_the_agents_voice_nor_the_callers() -> None:
    async def scene() -> None:
        asked = Asked()
        asked.may_answer.clear()
        async with Call(Guardrail(name="g", check=asked.later, timeout_s=60)) as call:
            pcm = voice(2000)
            await call.says(*reply("r1", pcm, words="A long story, "))
            await call.hears(500)

            assert asked.running > 0
            assert call.played("r1") == pcm
            assert len([e for e in call.model.sent if e.kind == "audio.input.append"]) == 25

    play(scene)


def test_a_slow_check_skips_growing_words_and_sees_them_all_in_the_end() -> None:
    async def scene() -> None:
        asked = Asked()
        asked.may_answer.clear()
        async with Call(Guardrail(name="g", check=asked.later, timeout_s=60)) as call:
            for n in range(1, 40):
                await call.says(ResponseCreated("r1"), TranscriptOutputDelta("r1", "i1", f"{n:09} "))
            assert asked.running == MAX_INTERIM
            await call.says(TranscriptOutput("r1", "i1", ""))
            assert asked.most_running == MAX_INTERIM + 1

            asked.may_answer.set()
            await call.settles()
            assert max(asked.lengths) == 390

    play(scene)


def test_a_quick_guardrail_does_not_wait_for_a_slow_one() -> None:
    async def scene() -> None:
        slow = Asked()
        slow.may_answer.clear()
        async with Call(Guardrail(name="slow", check=slow.later, timeout_s=60), no_promises()) as call:
            await call.begins("r1", "We guarantee that, ")

            assert [trip.name for trip in call.seen(GuardrailTripped)] == ["no-promises"]
            assert call.channel.interruptions == 1

    play(scene)


@pytest.mark.parametrize("way", ["now", "later"])
def test_a_guardrail_that_raises_gives_an_error_event_and_speech_goes_on(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        asked = Asked(error=RuntimeError("out of order"))
        async with Call(Guardrail(name="g", check=getattr(asked, way))) as call:
            pcm = voice(2000)
            await call.says(*reply("r1", pcm, words="All is well with us today, "))
            await call.passes(2100)

            assert len(asked.texts) == 2  # told once, of both
            assert [(error.code, error.message) for error in call.seen(Error)] == [
                ("guardrail_failed", "guardrail g: RuntimeError")
            ]
            assert (call.seen(GuardrailTripped), call.channel.interruptions) == ([], 0)
            assert call.played("r1") == pcm

    play(scene)
    assert "out of order" in caplog.text


def test_a_guardrail_that_takes_too_long_gives_an_error_event_and_speech_goes_on() -> None:
    async def scene() -> None:
        asked = Asked("too late")
        asked.may_answer.clear()
        async with Call(Guardrail(name="g", check=asked.later, timeout_s=1), every=-1) as call:
            await call.says(*reply("r1", voice(3000), words="All is well."))
            await call.passes(2000)

            [error] = call.seen(Error)
            assert (error.code, error.message) == ("guardrail_failed", "guardrail g: it took longer than 1 s")
            assert (call.seen(GuardrailTripped), call.channel.interruptions) == ([], 0)

    play(scene)


def test_a_guardrail_that_fails_closed_counts_as_tripped() -> None:
    async def scene() -> None:
        asked = Asked(error=RuntimeError("out of order"))
        async with Call(Guardrail(name="g", check=asked.now, fails="closed")) as call:
            await call.begins("r1", "All is well with us, ")

            assert [error.code for error in call.seen(Error)] == ["guardrail_failed"]
            assert [trip.detail for trip in call.seen(GuardrailTripped)] == ["the check failed"]
            assert call.channel.interruptions == 1
            assert (len(call.notes), len(call.sent(ResponseCancel))) == (1, 1)

    play(scene)


@pytest.mark.parametrize("answer", [True, 0, ["bad"]])
def test_an_answer_that_is_neither_text_nor_none_is_a_failure(answer: Any) -> None:
    async def scene() -> None:
        async with Call(Guardrail(name="g", check=lambda text, context: answer)) as call:
            await call.says(*said("r1", "Hello."))

            assert [error.code for error in call.seen(Error)] == ["guardrail_failed"]
            assert call.seen(GuardrailTripped) == []

    play(scene)


def test_a_plain_function_that_gives_something_to_wait_for_is_a_failure_and_not_a_pass() -> None:
    async def objects() -> str | None:
        return "never awaited"

    async def scene() -> None:
        async with Call(Guardrail(name="g", check=lambda text, context: objects(), fails="closed")) as call:
            await call.says(*said("r1", "Hello."))

            assert len(call.seen(Error)) == len(call.seen(GuardrailTripped)) == 1

    play(scene)


class Later:
    """An object that is called and waited for."""

    async def __call__(self, text: str, context: GuardrailContext) -> str | None:
        await asyncio.sleep(0)
        return "bad"


def test_an_object_whose_call_is_async_is_waited_for() -> None:
    async def scene() -> None:
        async with Call(Guardrail(name="g", check=Later())) as call:
            await call.says(*said("r1", "Hello."))

            assert [trip.detail for trip in call.seen(GuardrailTripped)] == ["bad"]

    play(scene)


def test_more_checks_than_can_wait_have_failed() -> None:
    async def scene() -> None:
        asked = Asked()
        asked.may_answer.clear()
        async with Call(Guardrail(name="g", check=asked.later, timeout_s=60), every=-1) as call:
            for n in range(MAX_RUNNING + 1):
                await call.says(*said(f"r{n}", "Hello."))

            assert asked.running == MAX_RUNNING
            assert [error.code for error in call.seen(Error)] == ["guardrail_failed"]

    play(scene)


# ---- the end ----


async def _swallow(text: str, context: GuardrailContext) -> str | None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return "found while it was cancelled"
    return None


@pytest.mark.parametrize("is_stubborn", [False, True])
def test_late_guardrail_results_are_discarded_after_close(is_stubborn: bool) -> None:
    async def scene() -> None:
        asked = Asked("bad")
        asked.may_answer.clear()
        check: Callable[[str, GuardrailContext], Awaitable[str | None]] = _swallow if is_stubborn else asked.later
        async with Call(Guardrail(name="g", check=check, timeout_s=60)) as call:
            await call.begins("r1", "Something bad, ")
        sent = list(call.model.sent)
        told = list(call.told)

        asked.may_answer.set()
        await asyncio.sleep(100)

        assert asked.running == 0
        assert (call.model.sent, call.told) == (sent, told)
        assert not any(isinstance(event, GuardrailTripped | Error) for event in told)

    play(scene)
