"""Handing a conversation over: what the model is told, what changes and what stays, and when it is refused."""

import asyncio
from dataclasses import replace
from typing import Any, Self

import pytest

from agents import (
    BargeInRules,
    CallContext,
    Candidate,
    DigitRules,
    IdleStep,
    LastingModel,
    RealtimeAgent,
    RealtimeSession,
    ToolContext,
    TurnDetection,
    tool,
)
from agents.errors import ConfigError, ProviderError, ToolError
from agents.events import (
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    Error,
    GuardrailTripped,
    ItemCreate,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    Resumed,
    ServerEvent,
    SessionUpdate,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TranscriptInputDelta,
    TranscriptOutput,
)
from agents.guardrails.contract import Guardrail
from agents.handing_over import MAX_HANDOFFS
from agents.handoffs import Handoff, handoff_tool_name, reachable, reachable_agents
from agents.realtime import (
    PCM,
    PCMU,
    PastMessage,
    PastToolCall,
    RealtimeConnectOptions,
    SessionConfig,
    Transcription,
    Voice,
)
from agents.tools.contract import AgentTool
from channels.carrier.virtual_time import run_virtual
from channels.memory import MemoryChannel
from tests.handoff_scene import PIECE, Desks, outputs, pair
from tests.lasting_scene import Model
from tests.scene import play

# ---- what the model is told ----


def test_each_handoff_is_told_to_the_model_as_a_tool_with_the_other_agents_description() -> None:
    async def scene() -> None:
        model = Model("one")
        async with Desks(*pair(model, model)):
            config = model.connections[0].options.session_config
            assert config
            [schema] = config.tools
            assert schema.name == "transfer_to_billing"
            assert "Invoices and payments." in schema.description
            assert list(schema.parameters["properties"]) == ["reason"]

    play(scene)


def test_a_description_of_the_handoffs_own_wins_over_the_agents() -> None:
    _, billing = pair(Model("one"), Model("two"))

    description = Handoff("billing", billing, "When money is owed.").schema.description

    assert "When money is owed." in description and "Invoices" not in description


def test_names_of_agents_become_names_of_tools_that_every_provider_takes() -> None:
    assert handoff_tool_name("night-desk") == "transfer_to_night_desk"
    assert len(handoff_tool_name("a" * 100)) == 64


def test_a_tool_and_a_handoff_of_one_name_are_refused_and_named() -> None:
    @tool(name="transfer_to_billing")
    def other() -> None:
        """Something else."""

    _, billing = pair(Model("one"), Model("two"))

    with pytest.raises(ConfigError, match="transfer_to_billing"):
        RealtimeAgent(name="desk", model=Model("one"), tools=(other,), handoffs=(Handoff("billing", billing),))


def test_two_handoffs_that_the_model_would_know_by_one_name_are_refused() -> None:
    _, billing = pair(Model("one"), Model("two"))

    with pytest.raises(ConfigError, match="transfer_to_a_b"):
        RealtimeAgent(name="desk", model=Model("one"), handoffs=(Handoff("a-b", billing), Handoff("a_b", billing)))


def test_agents_that_can_be_reached_are_found_once_in_spite_of_cycles() -> None:
    graph = {"a": ("b", "c"), "b": ("a",), "c": ("c", "d"), "d": (), "e": ("a",)}
    reception, billing = pair(Model("one"), Model("two"))

    assert reachable(["a"], graph.__getitem__) == ["a", "b", "c", "d"]
    assert reachable(["d", "e"], graph.__getitem__) == ["d", "e", "a", "b", "c"]
    assert [agent is reception or agent is billing for agent in reachable_agents(reception)] == [True, True]


# ---- on the same connection ----


def test_a_handoff_swaps_instructions_and_tools_by_session_update_emits_from_and_to_and_keeps_the_conversation() -> (
    None
):
    async def scene() -> None:
        model = Model("one")
        async with Desks(*pair(model, model)) as desks:
            [connection] = model.connections
            await desks.caller_says(connection, "My bill is wrong.")
            await desks.calls(connection, "transfer_to_billing", arguments='{"reason": "a wrong bill"}')
            await desks.settles()

            [update] = connection.of(SessionUpdate)
            assert update.config.instructions == "Bill."
            assert [each.name for each in update.config.tools] == ["transfer_to_reception"]
            assert desks.handoffs == [("reception", "billing")]
            assert desks.session.agent.name == "billing"
            assert model.connections == [connection] and not connection.is_closed
            assert connection.kinds() == ["session.update", "tool.result", "response.create"]

    play(scene)


def test_the_declared_audio_formats_survive_a_handoff() -> None:
    async def scene() -> None:
        model, config = (
            Model("one", input_formats=(PCM, PCMU), output_formats=(PCM, PCMU)),
            SessionConfig(input_format=PCMU, output_format=PCMU),
        )
        other = RealtimeAgent(name="other", model=model, instructions="Other.", config=config)
        first = RealtimeAgent(name="first", model=model, config=config, handoffs=(Handoff("other", other),))
        session = RealtimeSession(first, channel=MemoryChannel(PCMU))
        async with session:
            [connection] = model.connections
            connection.say(ResponseCreated("r"), ToolCall("r", "c", "transfer_to_other", "{}"))
            await asyncio.sleep(0.01)

            [update] = connection.of(SessionUpdate)
            assert (update.config.input_format, update.config.output_format) == (PCMU, PCMU)

    play(scene)


def test_the_next_model_is_told_who_hands_over_and_why_and_its_greeting_is_not_said_word_for_word() -> None:
    async def scene() -> None:
        model = Model("one")
        async with Desks(*pair(model, model)) as desks:
            [connection] = model.connections
            await desks.calls(connection, "transfer_to_billing", arguments='{"reason": "a wrong bill"}')
            await desks.settles()

            [output] = outputs(connection)
            assert "reception" in output and "billing" in output and "a wrong bill" in output
            assert [create.say for create in connection.of(ResponseCreate)] == [None]
            assert connection.of(SessionUpdate)[0].config.greeting is None

    play(scene)


def test_instructions_of_the_next_agent_are_asked_for_once_and_filled_in() -> None:
    async def scene() -> None:
        asked = []

        async def instructions(context: object) -> str:
            asked.append(context)
            return "Serve {{ place }}."

        model = Model("one")
        other = RealtimeAgent(name="other", model=model, instructions=instructions, variables={"place": "the Lion"})
        first = RealtimeAgent(name="first", model=model, handoffs=(Handoff("other", other),))
        async with Desks(first, context="Ann") as desks:
            await desks.calls(model.connections[0], "transfer_to_other")

            assert model.connections[0].of(SessionUpdate)[0].config.instructions == "Serve the Lion."
            assert asked == ["Ann"]

    play(scene)


def test_late_calls_of_the_response_that_handed_over_still_reach_the_tools_of_the_agent_before() -> None:
    @tool
    def old() -> str:
        """A tool of the first agent's."""
        return "the old one's"

    async def scene() -> None:
        model = Model("one")
        other = RealtimeAgent(name="other", model=model, instructions="Other.")
        first = RealtimeAgent(name="first", model=model, tools=(old,), handoffs=(Handoff("other", other),))
        async with Desks(first) as desks:
            [connection] = model.connections
            response = await desks.calls(connection, "transfer_to_other", is_done=False)
            await desks.says(connection, ToolCall(response, "late", "old", "{}"), ResponseDone(response, "completed"))
            await asyncio.sleep(1)
            await desks.calls(connection, "old")

            assert outputs(connection)[1] == "the old one's"
            assert "no tool named 'old'" in outputs(connection)[2]

    play(scene)


@pytest.mark.parametrize(
    "differs",
    [
        {"config": SessionConfig(voice=Voice(voice_id="marin"))},
        {"config": SessionConfig(turn_detection=TurnDetection(silence_duration_ms=300))},
        {"config": SessionConfig(max_output_tokens=100)},
    ],
)
def test_an_agent_that_sounds_or_listens_otherwise_gets_a_connection_of_its_own(differs: dict[str, Any]) -> None:
    async def scene() -> None:
        model = Model("one")
        async with Desks(*pair(model, model, **differs)) as desks:
            await desks.calls(model.connections[0], "transfer_to_billing")
            await asyncio.sleep(1)

            first, second = model.connections
            assert first.is_closed and not second.is_closed
            assert second.options.session_config
            assert second.options.session_config.voice == differs["config"].voice
            assert first.of(SessionUpdate) == []
            assert desks.handoffs == [("reception", "billing")]

    play(scene)


@pytest.mark.parametrize("lack", ["update_instructions", "update_tools"])
def test_a_model_that_cannot_change_in_mid_session_gets_another_connection(lack: str) -> None:
    async def scene() -> None:
        model = Model("one", **{lack: False})
        async with Desks(*pair(model, model)) as desks:
            await desks.calls(model.connections[0], "transfer_to_billing")
            await asyncio.sleep(1)

            assert len(model.connections) == 2
            assert model.connections[0].is_closed

    play(scene)


# ---- with another model ----


def test_another_model_begins_with_what_was_said_as_heard_and_the_first_is_closed() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        async with Desks(*pair(one, two)) as desks:
            [first] = one.connections
            await desks.caller_says(first, "My bill is wrong.")
            await desks.calls(first, "transfer_to_billing")
            await asyncio.sleep(1)

            [second] = two.connections
            assert second.options.history == (PastMessage("u-My bill is wrong.", "user", "My bill is wrong."),)
            assert second.options.session_config and second.options.session_config.instructions == "Bill."
            assert second.options.session_config.greeting is None
            assert first.is_closed and not second.is_closed
            assert desks.handoffs == [("reception", "billing")]
            assert desks.session.model is two and desks.session.id == "session-1"
            assert desks.session.closed is None
            [note] = second.of(ItemCreate)
            assert note.role == "system" and note.text.startswith("The caller was handed over by reception")
            assert second.kinds() == ["item.create", "response.create"]
            assert first.of(ToolResult) == []

    play(scene)


def test_the_calls_of_tools_go_with_the_history_but_not_those_that_handed_over() -> None:
    @tool
    def look_up() -> str:
        """Looks something up."""
        return "42 euros"

    async def scene() -> None:
        one, two = Model("one"), Model("two")
        billing = RealtimeAgent(name="billing", model=two)
        reception = RealtimeAgent(
            name="reception", model=one, tools=(look_up,), handoffs=(Handoff("billing", billing),)
        )
        async with Desks(reception) as desks:
            [first] = one.connections
            await desks.caller_says(first, "What do I owe?")
            response = await desks.calls(first, "look_up")
            await asyncio.sleep(1)
            await desks.says(first, ResponseCreated("x"), ResponseDone("x", "completed"))
            await desks.calls(first, "transfer_to_billing")
            await asyncio.sleep(1)

            assert two.connections[0].options.history == (
                PastMessage("u-What do I owe?", "user", "What do I owe?"),
                PastToolCall(f"{response}-0", "look_up", "{}", "42 euros"),
            )

    play(scene)


def test_what_was_being_said_is_heard_to_its_end_and_the_next_agents_answer_comes_after_it() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        async with Desks(*pair(one, two)) as desks:
            [first] = one.connections
            await desks.says(first, ResponseCreated("a"), AudioOutputDelta("a", "i", 0, PIECE))
            await desks.says(first, ToolCall("a", "c", "transfer_to_billing", "{}"))
            await asyncio.sleep(0.5)
            assert two.connections == []  # not before the response is over

            rest: list[ServerEvent] = [AudioOutputDelta("a", "i", 0, PIECE), AudioOutputDone("a", "i", 0)]
            await desks.says(first, *rest, TranscriptOutput("a", "i", "I put you through."))
            await desks.says(first, ResponseDone("a", "completed"))
            await asyncio.sleep(0.5)
            [second] = two.connections
            assert PastMessage("i", "assistant", "I put you through.") in second.options.history
            await desks.says(second, ResponseCreated("b"), AudioOutputDelta("b", "j", 0, PIECE))
            await desks.passes(1)

            assert [item.response_id for item, _ in desks.channel.heard] == ["a", "a", "b"]
            assert desks.channel.interruptions == 0

    play(scene)


def test_a_response_that_never_ends_does_not_keep_the_caller_for_ever() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        async with Desks(*pair(one, two)) as desks:
            await desks.calls(one.connections[0], "transfer_to_billing", is_done=False)
            await asyncio.sleep(11)

            assert desks.handoffs == [("reception", "billing")]
            assert two.connections[0].kinds() == ["item.create", "response.create"]

    play(scene)


def test_a_caller_who_speaks_while_the_next_model_opens_is_heard_by_it_from_the_first_word() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        two.takes_s = 1.0
        async with Desks(*pair(one, two)) as desks:
            [first] = one.connections
            await desks.calls(first, "transfer_to_billing")
            said = [bytes([i]) * 960 for i in range(1, 31)]
            await desks.says(first, SpeechStarted("u"))
            for frame in said:
                desks.channel.say(frame)
                await asyncio.sleep(0.02)
            assert first.heard == b"".join(said)  # until then it was the first model's to hear
            await asyncio.sleep(1)
            desks.channel.say(b"\x7f" * 960)
            await desks.settles()

            [second] = two.connections
            assert second.heard == b"".join(said) + b"\x7f" * 960
            assert first.heard == b"".join(said)
            assert [item.item_id for item in desks.session.history] == []  # the turn is the next model's to tell of

    play(scene)


def test_the_end_of_the_connection_before_does_not_end_the_call_and_that_of_the_present_one_does() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        async with Desks(*pair(one, two)) as desks:
            [first] = one.connections
            await desks.calls(first, "transfer_to_billing")
            await asyncio.sleep(1)
            first.say(ProviderError("too late", code="network", retryable=True))
            await asyncio.sleep(1)
            assert desks.session.closed is None

            await desks.says(two.connections[0], None)
            assert desks.session.closed and desks.session.closed.reason == "provider"

    play(scene)


def test_a_model_that_cannot_be_reached_leaves_the_caller_with_the_agent_who_is_told_so() -> None:
    async def scene() -> None:
        down = ProviderError("nobody is there", code="network", retryable=True)
        one, two = Model("one"), Model("two", down)
        async with Desks(*pair(one, two)) as desks:
            [first] = one.connections
            await desks.calls(first, "transfer_to_billing")
            await asyncio.sleep(1)

            [error] = desks.seen(Error)
            assert (error.code, error.retryable) == ("handoff_failed", True) and "nobody is there" in error.message
            assert outputs(first) == ["Error: billing cannot be reached now. Tell the caller, and help them yourself."]
            assert first.kinds() == ["tool.result", "response.create"]
            assert desks.handoffs == [] and desks.session.agent.name == "reception"
            assert not first.is_closed

            await desks.says(first, ResponseCreated("x"), ResponseDone("x", "completed"))
            await desks.calls(first, "transfer_to_billing")
            await asyncio.sleep(1)
            assert desks.handoffs == [("reception", "billing")]  # the second try finds it

    play(scene)


@pytest.mark.parametrize("hangs", ["connecting", "getting ready"])
def test_a_model_that_does_not_come_within_five_seconds_counts_as_one_that_cannot_be_reached(hangs: str) -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        two.takes_s = 60.0 if hangs == "connecting" else 0.0
        two.is_ready_at_once = hangs == "connecting"
        async with Desks(*pair(one, two)) as desks:
            [first] = one.connections
            await desks.calls(first, "transfer_to_billing")
            await asyncio.sleep(4.9)
            assert desks.seen(Error) == []
            await asyncio.sleep(0.2)

            assert [error.code for error in desks.seen(Error)] == ["handoff_failed"]
            assert all(connection.is_closed for connection in two.connections)
            assert not first.is_closed and desks.session.agent.name == "reception"

    play(scene)


def test_a_caller_who_hangs_up_while_the_next_model_opens_leaves_nothing_behind() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        two.is_ready_at_once = False
        async with Desks(*pair(one, two)) as desks:
            await desks.calls(one.connections[0], "transfer_to_billing")
            await asyncio.sleep(1)
            desks.channel.hang_up()
            await desks.session.wait_closed()

            assert [connection.is_closed for connection in (*one.connections, *two.connections)] == [True, True]
            assert desks.handoffs == []

    play(scene)


# ---- when it is refused ----


def test_of_two_handoffs_in_one_response_the_first_wins() -> None:
    async def scene() -> None:
        one, two, three = Model("one"), Model("two"), Model("three")
        agents = {name: RealtimeAgent(name=name, model=model) for name, model in (("b", two), ("c", three))}
        first = RealtimeAgent(name="a", model=one, handoffs=tuple(Handoff(name, agents[name]) for name in agents))
        async with Desks(first) as desks:
            await desks.calls(one.connections[0], "transfer_to_b", "transfer_to_c")
            await asyncio.sleep(1)

            assert desks.handoffs == [("a", "b")]
            assert three.connections == []
            refused = [event.output for event in desks.seen_tools() if event.output]
            assert refused[0] == "Error: the caller is being handed over to b already."

    play(scene)


def test_a_late_handoff_of_the_same_response_is_refused() -> None:
    async def scene() -> None:
        model = Model("one")
        agents = {name: RealtimeAgent(name=name, model=model, instructions=name) for name in ("b", "c")}
        first = RealtimeAgent(name="a", model=model, handoffs=tuple(Handoff(name, agents[name]) for name in agents))
        async with Desks(first) as desks:
            [connection] = model.connections
            response = await desks.calls(connection, "transfer_to_b", is_done=False)
            await asyncio.sleep(1)
            await desks.says(connection, ToolCall(response, "late", "transfer_to_c", "{}"))
            await asyncio.sleep(1)

            assert desks.handoffs == [("a", "b")]
            assert outputs(connection)[1] == "Error: the caller has been handed over to b already."

    play(scene)


def test_a_caller_who_has_said_nothing_is_not_handed_back_and_forth() -> None:
    async def scene() -> None:
        model = Model("one")
        async with Desks(*pair(model, model)) as desks:
            [connection] = model.connections
            await desks.caller_says(connection, "My bill is wrong.")
            await desks.calls(connection, "transfer_to_billing")
            await asyncio.sleep(1)
            await desks.calls(connection, "transfer_to_reception")
            await asyncio.sleep(1)
            assert desks.handoffs == [("reception", "billing")]
            assert "has said nothing since" in outputs(connection)[1]

            await desks.caller_says(connection, "I want to speak to reception again.")
            await desks.says(connection, ResponseCreated("y"), ResponseDone("y", "completed"))
            await desks.calls(connection, "transfer_to_reception")
            await asyncio.sleep(1)
            assert desks.handoffs == [("reception", "billing"), ("billing", "reception")]

    play(scene)


def test_nobody_is_handed_over_more_often_than_the_limit() -> None:
    async def scene() -> None:
        model = Model("one")
        async with Desks(*pair(model, model)) as desks:
            [connection] = model.connections
            for i in range(MAX_HANDOFFS + 1):
                await desks.caller_says(connection, f"Again, {i}.")
                await desks.calls(connection, f"transfer_to_{'reception' if i % 2 else 'billing'}")
                await asyncio.sleep(1)
                await desks.says(connection, ResponseCreated(f"x{i}"), ResponseDone(f"x{i}", "completed"))

            assert len(desks.handoffs) == MAX_HANDOFFS
            assert f"handed over {MAX_HANDOFFS} times" in outputs(connection)[-1]

    play(scene)


def test_an_agent_of_other_audio_is_refused_and_the_format_of_the_call_stays() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two", input_formats=(PCM, PCMU), output_formats=(PCM, PCMU))
        other = RealtimeAgent(name="other", model=two, config=SessionConfig(input_format=PCMU, output_format=PCMU))
        first = RealtimeAgent(name="first", model=one, handoffs=(Handoff("other", other),))
        async with Desks(first) as desks:
            await desks.calls(one.connections[0], "transfer_to_other")
            await asyncio.sleep(1)

            assert two.connections == [] and desks.handoffs == []
            assert "cannot be heard on this line" in outputs(one.connections[0])[0]

    play(scene)


def test_arguments_that_are_no_json_hand_nobody_over() -> None:
    async def scene() -> None:
        model = Model("one")
        async with Desks(*pair(model, model)) as desks:
            await desks.calls(model.connections[0], "transfer_to_billing", arguments="{reason")
            await asyncio.sleep(1)

            assert desks.handoffs == []
            assert outputs(model.connections[0])[0].startswith("Error: the arguments do not fit the tool")

    play(scene)


def test_an_agent_whose_texts_miss_a_variable_cannot_take_over() -> None:
    async def scene() -> None:
        model = Model("one")
        other = RealtimeAgent(name="other", model=model, instructions="Serve {{ nobody_knows }}.")
        first = RealtimeAgent(name="first", model=model, handoffs=(Handoff("other", other),))
        async with Desks(first) as desks:
            await desks.calls(model.connections[0], "transfer_to_other")
            await asyncio.sleep(1)

            assert [error.code for error in desks.seen(Error)] == ["handoff_failed"]
            assert outputs(model.connections[0])[0].startswith("Error: other cannot be reached now.")
            assert desks.session.agent.name == "first" and desks.session.closed is None

    play(scene)


def test_an_agent_without_handoffs_has_none_to_hand_over_to() -> None:
    async def scene() -> None:
        model = Model("one")
        reception, billing = pair(model, model)
        async with Desks(replace(reception, handoffs=())) as desks:
            with pytest.raises(ToolError, match="reception hands over to nobody"):
                await desks.session.hand_over(Handoff("billing", billing), ToolContext(desks.session, "c"))

    play(scene)


# ---- what else changes ----


def test_the_end_of_a_turn_that_was_answered_is_not_heard_again_by_the_next_model() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        async with Desks(*pair(one, two)) as desks:
            [first] = one.connections
            await desks.says(first, SpeechStarted("u"))
            for _ in range(20):
                desks.channel.say(b"\x11" * 960)
                await asyncio.sleep(0.02)
            await desks.says(first, SpeechStopped("u"), AudioInputCommitted("u"), TranscriptInput("u", "My bill!"))
            await desks.calls(first, "transfer_to_billing")
            await asyncio.sleep(0.2)

            assert first.heard == b"\x11" * 960 * 20
            assert two.connections[0].heard == b""

    play(scene)


def test_the_rules_of_silence_and_keys_are_those_of_the_agent_who_talks() -> None:
    async def scene() -> None:
        model = Model("one")
        reception, _ = pair(
            model,
            model,
            idle=(IdleStep(after_s=5, say="Are you there?"),),
            keys=DigitRules(to_model=True, max_digits=2),
        )
        async with Desks(reception) as desks:
            [connection] = model.connections
            desks.channel.press("1")
            await desks.passes(10)
            assert connection.kinds() == []

            await desks.calls(connection, "transfer_to_billing")
            await desks.says(connection, ResponseCreated("x"), ResponseDone("x", "completed"))
            await desks.passes(4.5)
            assert [create.say for create in connection.of(ResponseCreate)] == [None]
            await desks.passes(1)
            assert connection.of(ResponseCreate)[-1].say == "Are you there?"
            desks.channel.press("1")
            desks.channel.press("2")
            await desks.settles()
            assert "12" in connection.of(ItemCreate)[-1].text.replace(" ", "")

    play(scene)


def test_what_stops_the_agent_is_the_rule_of_the_agent_who_talks() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        async with Desks(*pair(one, two, barge_in=BargeInRules(min_words=2))) as desks:
            await desks.calls(one.connections[0], "transfer_to_billing")
            await asyncio.sleep(1)
            [second] = two.connections
            assert second.options.session_config
            turns = second.options.session_config.turn_detection
            assert isinstance(turns, TurnDetection) and turns.interrupt_response is False
            await desks.says(second, ResponseCreated("b"), AudioOutputDelta("b", "j", 0, PIECE * 20))

            await desks.says(second, SpeechStarted("u"))
            assert desks.channel.interruptions == 0
            await desks.says(second, TranscriptInputDelta("u", "no, stop"))
            assert desks.channel.interruptions == 1

    play(scene)


def test_the_longest_call_stays_that_of_the_first_agent() -> None:
    async def scene() -> None:
        model = Model("one")
        reception, billing = pair(model, model)
        agents = {"billing": billing}
        first = replace(reception, max_duration_s=30, handoffs=(Handoff("billing", lambda: agents["billing"]),))
        async with Desks(first) as desks:
            await desks.calls(model.connections[0], "transfer_to_billing")
            await desks.says(model.connections[0], ResponseCreated("x"), ResponseDone("x", "completed"))
            await desks.passes(29)
            assert desks.session.closed is None
            await desks.passes(2)
            assert desks.session.closed and desks.session.closed.reason == "time-limit"

    play(scene)


def test_the_guardrails_are_those_of_the_agent_who_talks() -> None:
    def no_refunds(text: str, context: object) -> str | None:
        return "promises" if "refund" in text else None

    async def scene() -> None:
        model = Model("one")
        guardrail = Guardrail(name="no refunds", check=no_refunds)
        async with Desks(*pair(model, model, guardrails=(guardrail,))) as desks:
            [connection] = model.connections
            tripped: list[GuardrailTripped] = []
            desks.session.on("guardrail", tripped.append)
            words = "You get a refund."
            await desks.says(connection, ResponseCreated("a"), TranscriptOutput("a", "i", words))
            await desks.says(connection, ResponseDone("a", "completed"))
            assert tripped == []

            await desks.calls(connection, "transfer_to_billing")
            await desks.says(connection, ResponseCreated("b"), TranscriptOutput("b", "j", words))
            assert [event.name for event in tripped] == ["no refunds"]

    play(scene)


def test_an_agent_whose_model_is_a_script_says_its_greeting_as_it_can_be_told_nothing() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two", follows_instructions=False)
        async with Desks(*pair(one, two)) as desks:
            await desks.calls(one.connections[0], "transfer_to_billing")
            await asyncio.sleep(1)

            [second] = two.connections
            assert [create.say for create in second.of(ResponseCreate)] == ["Billing, hello."]

    play(scene)


class Kit:
    """A toolkit of one tool, which counts how often it is entered and left."""

    name = "kit"

    def __init__(self) -> None:
        self.entered = self.left = 0

    @property
    def is_entered(self) -> bool:
        return self.entered > self.left

    async def tools(self) -> tuple[AgentTool, ...]:
        return (tool(name="of_the_kit")(lambda: "it works"),)

    async def __aenter__(self) -> Self:
        self.entered += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self.left += 1


def test_the_toolkits_of_the_next_agent_are_kept_from_the_handoff_to_the_end_of_the_call() -> None:
    async def scene() -> None:
        model, kit = Model("one"), Kit()
        async with Desks(*pair(model, model, toolkits=(kit,))) as desks:
            [connection] = model.connections
            assert kit.entered == 0
            await desks.calls(connection, "transfer_to_billing")
            assert (kit.entered, kit.left) == (1, 0)
            assert "of_the_kit" in [each.name for each in connection.of(SessionUpdate)[0].config.tools]

            await desks.says(connection, ResponseCreated("x"), ResponseDone("x", "completed"))
            await desks.calls(connection, "of_the_kit")
            assert outputs(connection)[-1] == "it works"
        assert (kit.entered, kit.left) == (1, 1)

    play(scene)


def test_a_toolkit_that_cannot_be_entered_leaves_the_caller_with_the_agent() -> None:
    class Broken(Kit):
        async def __aenter__(self) -> Self:
            raise ConfigError("the program is not there")

    async def scene() -> None:
        model = Model("one")
        async with Desks(*pair(model, model, toolkits=(Broken(),))) as desks:
            await desks.calls(model.connections[0], "transfer_to_billing")

            assert desks.handoffs == [] and desks.session.closed is None
            assert [error.code for error in desks.seen(Error)] == ["handoff_failed"]

    play(scene)


def test_the_models_of_the_next_agent_are_those_that_go_on_when_its_connection_is_lost() -> None:
    async def scene() -> None:
        one, two, spare = Model("one"), Model("two"), Model("spare")
        lasting = LastingModel([Candidate(two), Candidate(spare)])
        billing = RealtimeAgent(name="billing", model=lasting, instructions="Bill.")
        reception = RealtimeAgent(
            name="reception", model=LastingModel([Candidate(one)]), handoffs=(Handoff("billing", billing),)
        )
        async with Desks(reception) as desks:
            [first] = one.connections
            await desks.caller_says(first, "My bill is wrong.")
            await desks.calls(first, "transfer_to_billing")
            await asyncio.sleep(1)
            [second] = two.connections
            await desks.says(second, ResponseCreated("b"), AudioOutputDelta("b", "j", 0, PIECE))
            await desks.says(second, TranscriptOutput("b", "j", "Billing."), ResponseDone("b", "completed"))
            two.refusals.extend([ProviderError("gone", code="network", retryable=True)] * 5)
            second.breaks()
            await desks.passes(3)

            [third] = spare.connections
            said = [each.text for each in third.options.history if isinstance(each, PastMessage)]
            [briefing] = [text for text in said if text.startswith("The caller was handed over by reception")]
            assert said == ["My bill is wrong.", briefing, "Billing."]  # once each
            assert len(one.connections) == 1 and desks.session.closed is None

    play(scene)


def test_agents_whose_models_are_the_same_in_order_share_a_connection_and_others_do_not() -> None:
    async def scene(own: dict[str, Any]) -> int:
        one, spare = Model("one"), Model("spare")
        here = LastingModel([Candidate(one), Candidate(spare)])
        there = LastingModel([Candidate(one), Candidate(spare, own)])
        billing = RealtimeAgent(name="billing", model=there, instructions="Bill.")
        async with Desks(RealtimeAgent(name="a", model=here, handoffs=(Handoff("billing", billing),))) as desks:
            await desks.calls(one.connections[0], "transfer_to_billing")
            await asyncio.sleep(1)
            assert desks.handoffs == [("a", "billing")]
        return len(one.connections)

    assert run_virtual(scene({})) == 1
    assert run_virtual(scene({"voice": Voice(voice_id="marin")})) == 2


def test_a_sessions_own_model_is_that_of_every_agent() -> None:
    async def scene() -> None:
        one, two, own = Model("one"), Model("two"), Model("own")
        async with Desks(*pair(one, two), model=own) as desks:
            await desks.calls(own.connections[0], "transfer_to_billing")

            assert desks.handoffs == [("reception", "billing")]
            assert len(own.connections) == 1 and one.connections == two.connections == []
            assert desks.session.model is own

    play(scene)


def test_the_key_of_a_session_and_its_way_to_abort_connecting_are_for_its_first_connection() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        abort = asyncio.Event()
        options = RealtimeConnectOptions(abort=abort)
        async with Desks(*pair(one, two), api_key="k", connect_options=options) as desks:
            abort.set()  # too late: the connection is open
            await desks.calls(one.connections[0], "transfer_to_billing")
            await asyncio.sleep(1)

            assert one.connections[0].options.api_key == "k"
            assert (two.connections[0].options.api_key, two.connections[0].options.abort) == (None, None)

    play(scene)


def test_the_variable_agent_is_the_name_of_the_agent_who_talks() -> None:
    async def scene() -> None:
        model = Model("one")
        other = RealtimeAgent(name="other", model=model, instructions="You are {{ agent }}.")
        first = RealtimeAgent(name="first", model=model, handoffs=(Handoff("other", other),))
        call = CallContext("CA1", "+15550100100", "+15550100200", "first")
        async with Desks(first, context=call) as desks:
            await desks.calls(model.connections[0], "transfer_to_other")

            assert model.connections[0].of(SessionUpdate)[0].config.instructions == "You are other."

    play(scene)


# ---- at awkward moments ----


def test_the_callers_last_words_are_waited_for_when_they_are_still_being_written_down() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        reception, _ = pair(one, two)
        config = SessionConfig(transcription=Transcription())
        async with Desks(replace(reception, config=config)) as desks:
            [first] = one.connections
            await desks.says(first, SpeechStarted("u"), SpeechStopped("u"), AudioInputCommitted("u"))
            await desks.calls(first, "transfer_to_billing")
            await asyncio.sleep(0.5)
            assert two.connections == []
            await desks.says(first, TranscriptInput("u", "My bill is wrong."))
            await asyncio.sleep(0.1)

            assert two.connections[0].options.history == (PastMessage("u", "user", "My bill is wrong."),)

    play(scene)


def test_words_that_never_come_do_not_hold_the_handoff_up() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        reception, _ = pair(one, two)
        async with Desks(replace(reception, config=SessionConfig(transcription=Transcription()))) as desks:
            await desks.says(one.connections[0], SpeechStarted("u"), SpeechStopped("u"), AudioInputCommitted("u"))
            await desks.calls(one.connections[0], "transfer_to_billing")
            await asyncio.sleep(1.1)

            assert desks.handoffs == [("reception", "billing")]

    play(scene)


def test_what_was_asked_of_the_model_before_and_had_not_begun_is_asked_of_the_next() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        two.takes_s = 1.0
        async with Desks(*pair(one, two)) as desks:
            await desks.calls(one.connections[0], "transfer_to_billing")
            await asyncio.sleep(0.2)
            await desks.session.say("Please hold on.")
            await asyncio.sleep(1)

            assert [create.say for create in one.connections[0].of(ResponseCreate)] == ["Please hold on."]
            assert [create.say for create in two.connections[0].of(ResponseCreate)] == ["Please hold on."]

    play(scene)


def test_the_calls_that_handed_over_before_are_no_part_of_what_the_next_model_begins_with() -> None:
    async def scene() -> None:
        one, two = Model("one"), Model("two")
        third = RealtimeAgent(name="third", model=two, instructions="Third.")
        second = RealtimeAgent(name="second", model=one, instructions="Second.", handoffs=(Handoff("third", third),))
        first = RealtimeAgent(name="first", model=one, handoffs=(Handoff("second", second),))
        async with Desks(first) as desks:
            [connection] = one.connections
            await desks.calls(connection, "transfer_to_second")
            await desks.says(connection, ResponseCreated("x"), ResponseDone("x", "completed"))
            await desks.calls(connection, "transfer_to_third")
            await asyncio.sleep(1)

            assert desks.handoffs == [("first", "second"), ("second", "third")]
            assert two.connections[0].options.history == ()

    play(scene)


def test_a_turn_that_nobody_but_us_ends_is_heard_whole_by_the_agent_after_the_next() -> None:
    async def scene() -> None:
        one, two, three = Model("one"), Model("two"), Model("three")
        three.takes_s = 1.5
        third = RealtimeAgent(name="third", model=three)
        manual = SessionConfig(turn_detection=TurnDetection(mode="manual"))
        second = RealtimeAgent(name="second", model=two, config=manual, handoffs=(Handoff("third", third),))
        first = RealtimeAgent(name="first", model=one, handoffs=(Handoff("second", second),))
        async with Desks(first) as desks:
            await desks.calls(one.connections[0], "transfer_to_second")
            await asyncio.sleep(1)
            await desks.calls(two.connections[0], "transfer_to_third")
            said = [bytes([i]) * 960 for i in range(1, 61)]  # 1.2 seconds, while the third opens
            for frame in said:
                desks.channel.say(frame)
                await asyncio.sleep(0.02)
            await asyncio.sleep(1)

            assert three.connections[0].heard == b"".join(said)

    play(scene)


def test_an_agent_without_instructions_does_not_inherit_those_of_the_one_before() -> None:
    async def scene() -> None:
        model = Model("one")
        bare = RealtimeAgent(name="bare", model=model)
        first = RealtimeAgent(name="first", model=model, instructions="First.", handoffs=(Handoff("bare", bare),))
        async with Desks(first) as desks:
            await desks.calls(model.connections[0], "transfer_to_bare")
            await asyncio.sleep(1)

            assert len(model.connections) == 2
            assert model.connections[1].options.session_config
            assert model.connections[1].options.session_config.instructions is None

    play(scene)


def test_toolkits_are_entered_once_however_often_the_caller_comes_back() -> None:
    async def scene() -> None:
        model, kit = Model("one"), Kit()
        async with Desks(*pair(model, model, toolkits=(kit,))) as desks:
            for i, name in enumerate(("billing", "reception", "billing")):
                await desks.caller_says(model.connections[0], f"To {name}, {i}.")
                await desks.calls(model.connections[0], f"transfer_to_{name}")
                await desks.says(model.connections[0], ResponseCreated(f"x{i}"), ResponseDone(f"x{i}", "completed"))

            assert len(desks.handoffs) == 3
            assert (kit.entered, kit.left) == (1, 0)

    play(scene)


def test_a_caller_who_speaks_during_the_handoff_is_not_taken_for_silent() -> None:
    async def scene() -> None:
        model = Model("one")
        async with Desks(*pair(model, model, idle=(IdleStep(after_s=5, say="Hello?"),))) as desks:
            [connection] = model.connections
            await desks.says(connection, SpeechStarted("u"))
            await desks.calls(connection, "transfer_to_billing")
            await desks.says(connection, ResponseCreated("x"), ResponseDone("x", "completed"))
            await desks.passes(8)

            assert "Hello?" not in [create.say for create in connection.of(ResponseCreate)]

    play(scene)


def test_an_agent_who_was_silenced_for_a_sound_goes_on_when_another_takes_over_and_no_words_come() -> None:
    async def scene() -> None:
        model, rules = Model("one"), BargeInRules(resume_after_ms=1000)
        _, billing = pair(model, model, barge_in=rules)
        first = RealtimeAgent(
            name="first", model=model, instructions="First.", barge_in=rules, handoffs=(Handoff("billing", billing),)
        )
        async with Desks(first) as desks:
            [connection] = model.connections
            resumed: list[Resumed] = []
            desks.session.on("resumed", resumed.append)
            await desks.says(connection, ResponseCreated("a"), AudioOutputDelta("a", "i", 0, PIECE * 30))
            await desks.says(connection, SpeechStarted("u"), ToolCall("a", "c", "transfer_to_billing", "{}"))
            assert desks.handoffs == [("first", "billing")] and desks.channel.interruptions == 1
            await desks.passes(1.5)

            assert len(resumed) == 1

    play(scene)
