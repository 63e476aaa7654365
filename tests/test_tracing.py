"""The spans and figures of sessions, in virtual time."""

import asyncio
import json
import logging
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from agents import CallContext, RealtimeAgent, RealtimeSession, SessionConfig, ToolRules, TurnDetection, tool
from agents.digits import DigitRules
from agents.errors import ProviderError
from agents.events import (
    GuardrailTripped,
    HandedOff,
    ModelStep,
    ResponseCreated,
    ResponseDone,
    ToolApproval,
    ToolCall,
    ToolCancelled,
    TranscriptInput,
    TranscriptOutput,
    TransferStep,
    Usage,
)
from agents.local.turns import TurnSettings
from agents.tracing import names
from agents.tracing.deeds import MAX_NAME, MAX_OPEN
from agents.tracing.session_trace import USUAL_SILENCE_MS, SessionTrace
from tests.scene import FRAME_MS, DrivenModel, Scene, play, reply, voice
from tests.tool_scene import called
from tests.traced import Collected, attributes, events_ms, is_below, length_ms

CALL = CallContext("CA123", "+15550100100", "+15550100200", "test")


class TracedScene(Scene):
    """A scene that is collected."""

    def __init__(self, *, has_content: bool = False, options: dict[str, Any] | None = None, **more: Any) -> None:
        self.collected = Collected(has_content=has_content)
        super().__init__(options={"telemetry": self.collected.telemetry, **(options or {})}, **more)

    async def turn(self, number: int, *, speaks_ms: int, thinks_ms: int, answers_ms: int) -> None:
        """The caller speaks and is answered; time passes until the answer is there."""
        await self.begins_to_speak(f"u{number}")
        await self.passes(speaks_ms)
        await self.stops_speaking(f"u{number}", text=f"words {number}")
        await self.passes(thinks_ms)
        await self.replies(f"r{number}", answers_ms)


# ---- the whole ----


def test_a_session_is_a_span_with_its_turns_below_it_and_their_responses_below_them() -> None:
    async def scene() -> None:
        async with TracedScene(options={"context": CALL, "workflow_name": "front desk"}) as call:
            await call.turn(1, speaks_ms=1000, thinks_ms=300, answers_ms=600)
            await call.passes(1000)
        whole = call.collected.one("invoke_workflow front desk")
        turn = call.collected.one("invoke_agent test")
        response = call.collected.one("chat driven")
        assert whole.parent is None
        assert is_below(turn, whole)
        assert is_below(response, turn)
        assert attributes(whole)[names.REASON] == "closed"
        assert {attributes(span)[names.CALL_ID] for span in call.collected.spans} == {"CA123"}
        assert attributes(turn)[names.CONVERSATION] == "CA123"

    play(scene)


def test_without_a_call_the_conversation_goes_by_the_providers_name_for_it() -> None:
    async def scene() -> None:
        async with TracedScene() as call:
            await call.turn(1, speaks_ms=100, thinks_ms=100, answers_ms=100)
        assert attributes(call.collected.one("invoke_workflow test"))[names.CONVERSATION] == "driven-1"
        assert attributes(call.collected.one("chat driven"))[names.CONVERSATION] == "driven-1"

    play(scene)


def test_group_and_metadata_stand_in_every_span() -> None:
    async def scene() -> None:
        options = {"group_id": "g7", "trace_metadata": {"tier": "gold", "tries": 3, "tags": ["a"]}}
        async with TracedScene(options=options) as call:
            await call.turn(1, speaks_ms=100, thinks_ms=100, answers_ms=100)
        for span in call.collected.spans:
            known = attributes(span)
            assert (known[names.GROUP], known["voice.metadata.tier"], known["voice.metadata.tries"]) == (
                "g7",
                "gold",
                3,
            )
            assert known["voice.metadata.tags"] == "['a']"

    play(scene)


def test_tracing_disabled_makes_no_spans_and_no_figures() -> None:
    async def scene() -> None:
        async with TracedScene(options={"tracing_disabled": True}) as call:
            await call.turn(1, speaks_ms=100, thinks_ms=100, answers_ms=100)
            assert call.session.trace is None
        assert call.collected.spans == []
        assert call.collected.figure("voice.turn.first_sound") == []

    play(scene)


def test_where_nobody_collects_nobody_watches() -> None:
    async def scene() -> None:
        async with Scene() as call:
            assert call.session.trace is None

    play(scene)


def test_a_session_that_cannot_begin_is_a_span_that_failed() -> None:
    class Refusing(DrivenModel):
        async def connect(self, options: object = None) -> Any:
            raise ProviderError("no such key", code="auth", retryable=False)

    async def scene() -> None:
        collected = Collected()
        session = RealtimeSession(RealtimeAgent(name="test", model=Refusing()), telemetry=collected.telemetry)
        with pytest.raises(ProviderError):
            await session.connect()
        whole = collected.one("invoke_workflow test")
        assert whole.status.status_code is StatusCode.ERROR
        assert whole.status.description is None
        assert attributes(whole)[names.ERROR_TYPE] == "ProviderError"

    play(scene)


def test_a_session_that_its_provider_ends_is_a_span_that_failed() -> None:
    async def scene() -> None:
        async with TracedScene() as call:
            await call.says(ProviderError("gone: +15550100100", code="network", retryable=False))
            await call.session.wait_closed()
        whole = call.collected.one("invoke_workflow test")
        assert attributes(whole)[names.REASON] == "provider"
        assert [(event.name, dict(event.attributes or {})[names.ERROR_TYPE]) for event in whole.events] == [
            ("voice.error", "network")
        ]
        assert "+1555" not in str(whole.to_json())

    play(scene)


def test_spans_that_a_tool_makes_lie_below_the_sessions() -> None:
    collected = Collected()

    @tool
    async def look() -> str:
        """Looks."""
        collected.traces.get_tracer("mine").start_span("mine").end()
        return "seen"

    async def scene() -> None:
        async with Scene(options={"telemetry": collected.telemetry}, tools=(look,)) as call:
            await call.says(ResponseCreated("r1"), ToolCall("r1", "c1", "look", "{}"), ResponseDone("r1", "completed"))
        assert is_below(collected.one("mine"), collected.one("invoke_workflow test"))

    play(scene)


def test_a_trace_that_breaks_does_not_hurt_the_call(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with TracedScene() as call:
            assert isinstance(call.session.trace, SessionTrace)
            call.session.trace._turns = None  # type: ignore[assignment]
            await call.turn(1, speaks_ms=100, thinks_ms=100, answers_ms=200)
            assert len(call.played("r1")) == len(voice(200))

    with caplog.at_level(logging.ERROR, "agents.tracing"):
        play(scene)

    assert "the trace of a session broke at SpeechStarted" in caplog.text


# ---- turns ----


def test_a_turn_tells_when_each_step_of_the_answer_came_after_the_callers_last_sound() -> None:
    async def scene() -> None:
        async with TracedScene(config=SessionConfig(turn_detection=TurnDetection(silence_duration_ms=400))) as call:
            await call.begins_to_speak()
            await call.passes(1400)  # a second of words, and the silence that the model waits for
            await call.stops_speaking()
            await call.passes(100)
            await call.says(TranscriptInput("u1", "hello"))
            await call.passes(200)
            await call.replies("r1", 600)
            await call.passes(1000)
        turn = call.collected.one("invoke_agent test")
        assert events_ms(turn) == {
            "voice.caller.stopped": 1000,
            "voice.model.heard": 1400,
            "voice.model.first_byte": 1700,
            "voice.phone.first_byte": 1700,
            "voice.phone.first_sound": 1700,
        }
        known = attributes(turn)
        steps = ("model_heard", "model_first_byte", "phone_first_byte", "first_sound")
        assert [known[f"voice.turn.{step}_ms"] for step in steps] == [400, 700, 700, 700]
        assert known[names.END_SILENCE] == 400
        assert (known[names.TRIGGER], known[names.END_REASON]) == ("caller", "completed")
        assert length_ms(turn) == pytest.approx(2300, abs=FRAME_MS)  # until the answer was heard

    play(scene)


def test_the_first_sound_waits_for_what_is_played_before_it() -> None:
    async def scene() -> None:
        config = SessionConfig(turn_detection=TurnDetection(interrupt_response=False))
        async with TracedScene(config=config) as call:
            await call.replies("r1", 3000)
            await call.passes(500)
            await call.turn(2, speaks_ms=300, thinks_ms=100, answers_ms=500)
            await call.passes(4000)
        _, second = call.collected.named("invoke_agent test")
        known = attributes(second)
        assert known["voice.turn.phone_first_byte_ms"] == 100
        assert known["voice.turn.first_sound_ms"] == 3000 - 500 - 300

    play(scene)


@pytest.mark.parametrize("provider", ["openai", "azure"])
def test_the_silence_that_openai_waits_for_unless_told_is_known(provider: str) -> None:
    assert USUAL_SILENCE_MS[provider] == 500


def test_the_silence_that_the_embedded_agent_waits_for_unless_told_is_known() -> None:
    assert USUAL_SILENCE_MS["local"] == TurnSettings().silence_duration_ms


def test_a_turn_that_the_caller_breaks_into_was_interrupted_and_the_next_begins_with_their_voice() -> None:
    async def scene() -> None:
        async with TracedScene() as call:
            await call.turn(1, speaks_ms=500, thinks_ms=200, answers_ms=3000)
            await call.passes(700)
            await call.turn(2, speaks_ms=400, thinks_ms=100, answers_ms=200)
            await call.passes(500)
        first, second = call.collected.named("invoke_agent test")
        assert attributes(first)[names.END_REASON] == "interrupted"
        assert length_ms(first) == 1400
        assert attributes(second)[names.END_REASON] == "completed"
        assert attributes(second)[names.TURN] == 2
        assert call.collected.figure("voice.interruptions") == [({names.AGENT: "test"}, 1)]

    play(scene)


def test_a_pause_in_the_callers_words_does_not_end_the_turn() -> None:
    async def scene() -> None:
        async with TracedScene() as call:
            await call.begins_to_speak("u1")
            await call.passes(500)
            await call.stops_speaking("u1", "I would")
            await call.passes(300)
            await call.turn(2, speaks_ms=600, thinks_ms=250, answers_ms=200)
            await call.passes(500)
        turn = call.collected.one("invoke_agent test")
        assert events_ms(turn)["voice.caller.stopped"] == 1400
        assert attributes(turn)["voice.turn.model_first_byte_ms"] == 250

    play(scene)


def test_a_sound_without_words_is_a_turn_that_nobody_answers() -> None:
    async def scene() -> None:
        async with TracedScene() as call:
            await call.begins_to_speak("u1")
            await call.passes(300)
            await call.stops_speaking("u1", "")
            await call.passes(5000)
            await call.replies("r1", 200)
            await call.passes(500)
        noise, said = call.collected.named("invoke_agent test")
        assert attributes(noise)[names.IS_WORDLESS] is True
        assert attributes(said)[names.TRIGGER] == "agent"
        assert call.collected.figure("voice.turn.model_first_byte") == []

    play(scene)


def test_the_greeting_is_a_turn_of_the_agents_own() -> None:
    async def scene() -> None:
        async with TracedScene(greeting="Hello.") as call:
            await call.passes(400)
            await call.replies("r1", 600)
            await call.passes(1000)
        turn, response = call.collected.one("invoke_agent test"), call.collected.one("chat driven")
        assert attributes(turn)[names.TRIGGER] == "agent"
        assert length_ms(turn) == pytest.approx(1000, abs=FRAME_MS)  # from when it was asked for
        assert attributes(response)[names.IS_VERBATIM] is True
        assert attributes(response)[names.FIRST_CHUNK] == pytest.approx(0.4, abs=0.001)

    play(scene)


def test_a_turn_that_is_open_when_the_session_ends_says_so() -> None:
    async def scene() -> None:
        async with TracedScene() as call:
            await call.begins_to_speak("u1")
        assert attributes(call.collected.one("invoke_agent test"))[names.END_REASON] == "session_closed"

    play(scene)


def test_latencies_are_histograms_by_model_and_agent() -> None:
    async def scene() -> None:
        async with TracedScene() as call:
            await call.turn(1, speaks_ms=500, thinks_ms=300, answers_ms=200)
            await call.passes(500)
            await call.turn(2, speaks_ms=500, thinks_ms=500, answers_ms=200)
            await call.passes(500)
        for step in ("model_first_byte", "phone_first_byte", "first_sound"):
            [(known, seconds)] = call.collected.figure(f"voice.turn.{step}")
            assert seconds == pytest.approx(0.8, abs=0.001)
            assert known == {names.PROVIDER: "driven", names.MODEL: "driven", names.AGENT: "test"}

    play(scene)


# ---- responses ----


def test_a_response_tells_its_model_its_tokens_and_its_end() -> None:
    async def scene() -> None:
        async with TracedScene() as call:
            await call.says(ResponseCreated("r1"))
            await call.passes(300)
            await call.says(*reply("r1", voice(200), done=False)[1:])
            await call.passes(100)
            await call.says(ResponseDone("r1", "completed", Usage(120, 40, 100, 60, 30)))
        response = call.collected.one("chat driven")
        known = attributes(response)
        assert response.kind is SpanKind.CLIENT
        assert length_ms(response) == 400
        assert known[names.OPERATION] == "chat"
        assert (known[names.PROVIDER], known[names.MODEL]) == ("driven", "driven")
        assert (known[names.INPUT_TOKENS], known[names.OUTPUT_TOKENS]) == (120, 40)
        assert (known[names.INPUT_AUDIO_TOKENS], known[names.OUTPUT_AUDIO_TOKENS]) == (100, 30)
        assert known[names.CACHED_TOKENS] == 60
        assert known[names.FINISH_REASONS] == ("stop",)
        assert known[names.RESPONSE_ID] == "r1"
        tokens = {known[names.TOKEN_TYPE]: count for known, count in call.collected.figure("gen_ai.client.token.usage")}
        assert tokens == {"input": 120, "output": 40}
        [(_, seconds)] = call.collected.figure("gen_ai.client.operation.duration")
        assert seconds == pytest.approx(0.4, abs=0.001)

    play(scene)


def test_a_response_that_fails_makes_its_span_and_its_turn_fail() -> None:
    async def scene() -> None:
        async with TracedScene() as call:
            await call.says(ResponseCreated("r1"), ResponseDone("r1", "failed", reason="the caller said +15550100100"))
        for name in ("chat driven", "invoke_agent test"):
            span = call.collected.one(name)
            assert span.status.status_code is StatusCode.ERROR
            assert attributes(span)[names.ERROR_TYPE] == "response_failed"
            assert "+1555" not in span.to_json()

    play(scene)


def test_another_model_that_goes_on_gives_its_name_to_what_follows() -> None:
    async def scene() -> None:
        async with TracedScene() as call:
            await call.says(ModelStep("replaced", "gemini/flash"))
            await call.replies("r1", 100)
        [event] = call.collected.one("invoke_workflow test").events
        assert (event.name, dict(event.attributes or {})) == ("voice.model.replaced", {"voice.model": "gemini/flash"})
        known = attributes(call.collected.one("chat flash"))
        assert known[names.PROVIDER] == "gcp.gemini"

    play(scene)


# ---- what an agent does ----


@tool
async def slots(day: str) -> str:
    """Finds times."""
    await asyncio.sleep(1.2)
    return f"ten o'clock on {day}"


def calls_slots(response_id: str = "r1") -> list[Any]:
    arguments = json.dumps({"day": "Tuesday"})
    return [
        ResponseCreated(response_id),
        ToolCall(response_id, "c1", "slots", arguments),
        ResponseDone(response_id, "completed"),
    ]


def test_a_tool_is_a_span_of_the_turn_which_goes_on_until_its_result_was_heard() -> None:
    async def scene() -> None:
        async with TracedScene(tools=(slots,)) as call:
            await call.begins_to_speak()
            await call.passes(500)
            await call.stops_speaking(text="when?")
            await call.passes(200)
            await call.says(*calls_slots())
            await call.passes(1500)
            await call.replies("r2", 400)
            await call.passes(1000)
        turn, ran = call.collected.one("invoke_agent test"), call.collected.one("execute_tool slots")
        assert is_below(ran, turn)
        assert length_ms(ran) == 1200
        assert length_ms(turn) == pytest.approx(500 + 200 + 1500 + 400, abs=FRAME_MS)
        assert [is_below(span, turn) for span in call.collected.named("chat driven")] == [True, True]
        known = attributes(ran)
        assert (known[names.TOOL_NAME], known[names.TOOL_CALL], known[names.TOOL_TYPE]) == ("slots", "c1", "function")
        assert known[names.OPERATION] == "execute_tool"
        [(figures, seconds)] = call.collected.figure("gen_ai.execute_tool.duration")
        assert seconds == pytest.approx(1.2, abs=0.001)
        assert figures == {names.TOOL_NAME: "slots", names.AGENT: "test"}

    play(scene)


def test_a_tool_that_is_taken_back_or_cut_off_by_the_end_was_cancelled() -> None:
    async def scene() -> None:
        async with TracedScene(tools=(slots,)) as call:
            await call.says(*calls_slots())
            await call.passes(300)
            await call.says(ToolCancelled("c1"))
            await call.says(ResponseCreated("r2"), ToolCall("r2", "c2", "slots", '{"day": "Monday"}'))
            await call.passes(100)
        assert [attributes(span)[names.IS_CANCELLED] for span in call.collected.named("execute_tool slots")] == [
            True,
            True,
        ]
        assert call.collected.figure("gen_ai.execute_tool.duration") == []

    play(scene)


def test_a_tool_that_fails_makes_its_span_fail_and_nothing_of_its_error_is_told() -> None:
    @tool
    async def broken() -> str:
        raise ValueError("the card's number")

    @tool(timeout_s=1)
    async def slow() -> None:
        await asyncio.sleep(60)

    async def scene() -> None:
        async with TracedScene(tools=(broken, slow, slots)) as call:
            await call.says(*called("broken", "slow"), ToolCall("r1", "c1", "slots", '{"day": "Monday"}'))
            await call.passes(1500)
        failures = {
            name: (call.collected.one(f"execute_tool {name}").status.status_code, known.get(names.ERROR_TYPE))
            for name in ("broken", "slow", "slots")
            for known in [attributes(call.collected.one(f"execute_tool {name}"))]
        }
        assert failures == {
            "broken": (StatusCode.ERROR, "error"),
            "slow": (StatusCode.ERROR, "timeout"),
            "slots": (StatusCode.UNSET, None),
        }
        assert "card" not in call.collected.one("execute_tool broken").to_json()

    play(scene)


def test_a_call_that_timed_out_without_an_answer_ends_its_span_and_leaves_room_for_others() -> None:
    @tool(rules=ToolRules(timeout_s=1, on_timeout="error"))
    async def slow() -> None:
        await asyncio.sleep(60)

    async def scene() -> None:
        async with TracedScene(tools=(slow, slots)) as call:
            for n in range(MAX_OPEN):
                await call.says(ToolCall("r1", f"slow-{n}", "slow", "{}"))
                await call.passes(1100)
            await call.says(*calls_slots())
            await call.passes(1500)
            still_open = call.collected.named("execute_tool slow")

            assert [length_ms(span) for span in still_open] == [1000] * MAX_OPEN
            assert length_ms(call.collected.one("execute_tool slots")) == 1200

    play(scene)


def test_a_tool_that_does_not_exist_is_named_in_few_of_the_models_words() -> None:
    async def scene() -> None:
        async with TracedScene(tools=(slots,)) as call:
            await call.says(*called("my card is 4111 " * 50))
            await call.passes(100)
        [span] = [span for span in call.collected.spans if span.name.startswith("execute_tool")]
        assert len(span.name) == len("execute_tool ") + MAX_NAME
        assert [len(str(attributes(span)[name])) for name in (names.TOOL_NAME, names.TOOL_CALL)] == [MAX_NAME] * 2

    play(scene)


def test_a_call_that_waits_for_approval_says_so_in_its_span() -> None:
    async def scene() -> None:
        async with TracedScene(tools=(slots,)) as call:
            await call.says(*calls_slots())
            call.session.emit(ToolApproval("c1", "slots", "{}"))
            await call.passes(1500)
        assert list(events_ms(call.collected.one("execute_tool slots"))) == ["voice.tool.approval_asked"]

    play(scene)


def test_a_guardrail_that_trips_is_a_span_of_the_turn_and_is_counted() -> None:
    async def scene() -> None:
        async with TracedScene() as call:
            await call.replies("r1", 2000)
            call.session.emit(GuardrailTripped("no prices", "output", "it said 40 euros", "r1", "item-r1"))
            await call.passes(100)
        span = call.collected.one("guardrail no prices")
        assert is_below(span, call.collected.one("invoke_agent test"))
        assert attributes(span)[names.STAGE] == "output"
        assert attributes(span)[names.RESPONSE_ID] == "r1"
        assert "euros" not in span.to_json()
        [(known, count)] = call.collected.figure("voice.guardrail.trips")
        assert (known[names.GUARDRAIL], known[names.STAGE], count) == ("no prices", "output", 1)

    play(scene)


def test_a_handoff_is_a_span_and_what_follows_is_the_other_agents() -> None:
    async def scene() -> None:
        async with TracedScene() as call:
            call.session.emit(HandedOff("test", "billing"))
            await call.turn(1, speaks_ms=100, thinks_ms=100, answers_ms=100)
            await call.passes(300)
        handoff = attributes(call.collected.one("handoff billing"))
        assert (handoff[names.FROM_AGENT], handoff[names.TO_AGENT]) == ("test", "billing")
        assert attributes(call.collected.one("invoke_agent billing"))[names.AGENT] == "billing"

    play(scene)


@pytest.mark.parametrize(
    ("steps", "is_warm", "outcome", "lasts_ms"),
    [
        (("began", "answered"), False, "answered", 1000),
        (("began", "no-answer"), False, "no-answer", 1000),
        (("began", "answered", "accepted"), True, "accepted", 2000),
        (("began", "answered", "declined"), True, "declined", 2000),
        (("began", "busy"), True, "busy", 1000),
    ],
)
def test_a_transfer_is_a_span_from_its_first_step_to_its_last(
    steps: tuple[Any, ...], is_warm: bool, outcome: str, lasts_ms: int
) -> None:
    async def scene() -> None:
        async with TracedScene() as call:
            for step in steps:
                call.session.emit(TransferStep("front desk", step, is_warm))
                await call.passes(1000)
        span = call.collected.one("transfer front desk")
        known = attributes(span)
        assert (known[names.DESTINATION], known[names.IS_WARM], known[names.OUTCOME]) == (
            "front desk",
            is_warm,
            outcome,
        )
        assert length_ms(span) == lasts_ms

    play(scene)


# ---- words ----


async def talk(call: TracedScene) -> None:
    await call.begins_to_speak("u1")
    await call.passes(100)
    await call.stops_speaking("u1", "my card is 4111 1111")
    await call.says(*calls_slots())
    await call.passes(1300)
    await call.says(*reply("r2", voice(200), done=False))
    await call.says(TranscriptOutput("r2", "item-r2", "Tuesday at ten"), ResponseDone("r2", "completed"))
    await call.passes(500)


def test_no_word_argument_or_result_is_in_a_span_unless_switched_on() -> None:
    async def scene() -> None:
        async with TracedScene(tools=(slots,)) as call:
            await talk(call)
        told = "".join(span.to_json() for span in call.collected.spans)
        assert "execute_tool slots" in told
        assert not any(word in told for word in ("4111", "card", "Tuesday", "o'clock"))

    play(scene)


def test_words_arguments_and_results_are_in_spans_as_the_conventions_say_once_switched_on() -> None:
    async def scene() -> None:
        async with TracedScene(tools=(slots,), has_content=True) as call:
            await talk(call)
        turn = attributes(call.collected.one("invoke_agent test"))
        ran = attributes(call.collected.one("execute_tool slots"))
        said = [{"role": "assistant", "parts": [{"type": "text", "content": "Tuesday at ten"}]}]
        assert json.loads(turn[names.INPUT_MESSAGES])[0]["parts"][0]["content"] == "my card is 4111 1111"
        assert json.loads(turn[names.OUTPUT_MESSAGES]) == said
        assert json.loads(attributes(call.collected.named("chat driven")[1])[names.OUTPUT_MESSAGES]) == said
        assert json.loads(ran[names.TOOL_ARGUMENTS]) == {"day": "Tuesday"}
        assert ran[names.TOOL_RESULT] == "ten o'clock on Tuesday"

    play(scene)


def test_secret_digits_are_in_no_span_even_when_words_are() -> None:
    async def scene() -> None:
        keys = DigitRules(sensitive=True, max_digits=8)
        async with TracedScene(tools=(slots,), has_content=True, keys=keys) as call:
            for digit in "41111111":
                call.channel.press(digit)
            await call.settles()
            await talk(call)  # and somebody says the number aloud
        told = "".join(span.to_json() for span in call.collected.spans)
        assert "my card is [digits]" in told
        assert "4111" not in told

    play(scene)
