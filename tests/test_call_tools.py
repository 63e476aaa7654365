"""The tools that control the call: whom they reach, when they act, what they tell the model."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from agents.agent import CallContext
from agents.call_control import Destination
from agents.digits import DigitRules
from agents.errors import ConfigError, ToolError
from agents.events import (
    AudioInputAppend,
    Closed,
    DigitsEntered,
    ResponseCreate,
    ResponseDone,
    ToolCall,
    ToolResult,
)
from agents.tools.collect_digits import collect_digits
from agents.tools.contract import AgentTool
from agents.tools.recording import pause_recording, start_recording
from agents.tools.send_digits import send_digits
from agents.tools.send_sms import send_sms_tool
from agents.tools.transfer import transfer_tool, warm_transfer_tool
from agents.tools.voicemail import GREETING_S, leave_voicemail_tool
from tests.scene import Scene, play, reply, silent_frame, voice
from tests.telephone import Telephone

SALES = Destination(name="sales", address="+15550100300")
DESK = Destination(name="desk", address="sip:desk@example.com")
CALLER = CallContext("CA1", "+15550100100", "+15550100200", "test")


def call_with(*tools: AgentTool, telephone: Telephone | None = None, **more: Any) -> Scene:
    options = {"call_control": telephone or Telephone(), "context": more.pop("context", CALLER)}
    return Scene(tools=tools, options=options, **more)


async def calls(call: Scene, name: str, *, words_ms: int = 0, **arguments: object) -> None:
    """The model says something, calls a tool, and is done."""
    await call.says(
        *reply("r1", voice(words_ms), done=False),
        ToolCall("r1", "c1", name, json.dumps(arguments)),
        ResponseDone("r1", "completed"),
    )


def outputs(call: Scene) -> list[str]:
    return [event.output for event in call.sent(ToolResult) if isinstance(event, ToolResult)]


# ---- putting through ----


def test_the_caller_is_put_through_once_they_have_heard_what_was_said() -> None:
    async def scene() -> None:
        telephone = Telephone(rings_s=5)
        async with call_with(transfer_tool([SALES], ring_s=20), telephone=telephone) as call:
            await calls(call, "transfer", words_ms=1000, to="sales")
            await call.passes(980)
            before = list(telephone.asked)
            await call.passes(100)

            assert (before, telephone.asked) == ([], [("transfer", "+15550100300", 20, None)])

    play(scene)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        ("no-answer", "Nobody answered at sales. The caller is with you again."),
        ("busy", "sales is busy. The caller is with you again."),
        ("failed", "sales cannot be reached. The caller is with you again."),
    ],
)
def test_who_is_not_answered_comes_back_and_the_model_is_told_and_speaks(outcome: Any, told: str) -> None:
    async def scene() -> None:
        async with call_with(transfer_tool([SALES], ring_s=20), telephone=Telephone(outcome)) as call:
            await calls(call, "transfer", to="sales")
            await call.passes(3000)

            assert outputs(call) == [told]
            assert len(call.sent(ResponseCreate)) == 1

    play(scene)


def test_whoever_answers_is_whispered_what_the_operator_wrote_with_its_variables() -> None:
    async def scene() -> None:
        telephone = Telephone()
        tool = transfer_tool([SALES], ring_s=20, whisper="A call from {{ caller }}.")
        async with call_with(tool, telephone=telephone) as call:
            await calls(call, "transfer", to="sales")
            await call.passes(100)

            assert telephone.asked == [("transfer", "+15550100300", 20, "A call from +15550100100.")]

    play(scene)


def test_nobody_is_rung_whom_the_operator_did_not_name() -> None:
    async def scene() -> None:
        telephone = Telephone()
        tools = (transfer_tool([SALES, DESK], ring_s=20), warm_transfer_tool([SALES, DESK], ring_s=20))
        async with call_with(*tools, telephone=telephone) as call:
            await calls(call, "transfer", to="+15559999999")
            await call.says(ToolCall("r1", "c2", "warm_transfer", '{"to": "x", "briefing": "Hello."}'))
            await call.passes(3000)

            assert telephone.asked == []
            assert outputs(call) == [
                "Error: there is no destination '+15559999999'; there is sales, desk",
                "Error: there is no destination 'x'; there is sales, desk",
            ]

    play(scene)


def test_the_model_is_told_the_names_of_the_destinations_and_no_number() -> None:
    told = json.dumps(transfer_tool([SALES, DESK], ring_s=20).schema.parameters)

    assert '"enum": ["sales", "desk"]' in told
    assert "+1555" not in told


def test_without_destinations_there_is_no_transfer() -> None:
    with pytest.raises(ConfigError, match="nobody to reach"):
        transfer_tool([], ring_s=20)


def test_a_caller_who_speaks_up_before_they_are_put_through_stays() -> None:
    async def scene() -> None:
        telephone = Telephone()
        async with call_with(transfer_tool([SALES], ring_s=20), telephone=telephone) as call:
            await calls(call, "transfer", words_ms=2000, to="sales")
            await call.passes(500)
            await call.begins_to_speak()
            await call.passes(500)

            assert telephone.asked == []
            assert outputs(call) == ["The caller spoke before you had finished: nobody was called. The call goes on."]

    play(scene)


def test_during_a_warm_transfer_the_caller_hears_music_and_is_not_heard() -> None:
    async def scene() -> None:
        telephone = Telephone("declined", rings_s=10)
        async with call_with(warm_transfer_tool([SALES], ring_s=20), telephone=telephone) as call:
            await calls(call, "warm_transfer", to="sales", briefing="Ann asks for prices.")
            await call.hears(5000)
            meanwhile = call.session.is_on_hold, len(call.sent(AudioInputAppend))
            await call.passes(6000)

            assert meanwhile == (True, 0)
            assert telephone.asked == [("warm_transfer", "+15550100300", 20, "Ann asks for prices.")]
            assert outputs(call) == ["sales cannot take the call now. The caller is with you again."]
            assert not call.session.is_on_hold
            assert not call.channel.is_playing

    play(scene)


def test_a_caller_who_hangs_up_during_a_warm_transfer_hangs_up_on_the_person_too() -> None:
    async def scene() -> None:
        telephone = Telephone(rings_s=10)
        async with call_with(warm_transfer_tool([SALES], ring_s=20), telephone=telephone) as call:
            await calls(call, "warm_transfer", to="sales", briefing="Ann asks for prices.")
            await call.passes(5000)
            call.channel.hang_up()
            await call.settles()

            assert call.session.closed == Closed("caller")
            assert telephone.has_hung_up_on_them

    play(scene)


def test_what_the_network_refuses_is_told_to_the_model_and_the_caller_is_off_hold() -> None:
    async def scene() -> None:
        telephone = Telephone()
        telephone.refusal = ToolError("the network is busy")
        async with call_with(warm_transfer_tool([SALES], ring_s=20), telephone=telephone) as call:
            await calls(call, "warm_transfer", to="sales", briefing="Ann asks for prices.")
            await call.passes(500)

            assert outputs(call) == ["Error: the network is busy"]
            assert not call.session.is_on_hold

    play(scene)


def test_where_there_is_no_telephone_the_model_is_told_so() -> None:
    async def scene() -> None:
        async with Scene(tools=(transfer_tool([SALES], ring_s=20), send_digits)) as call:
            await calls(call, "transfer", to="sales")

            assert outputs(call) == ["Error: this conversation is on no telephone line that can be controlled"]

    play(scene)


# ---- keys ----


def test_keys_are_pressed_once_the_agent_was_heard_out() -> None:
    async def scene() -> None:
        telephone = Telephone()
        async with call_with(send_digits, telephone=telephone) as call:
            await calls(call, "send_digits", words_ms=500, digits="1w2#")
            await call.passes(400)
            before = list(telephone.asked)
            await call.passes(200)

            assert (before, telephone.asked) == ([], [("send_digits", "1w2#")])
            assert outputs(call) == ["The keys were pressed."]

    play(scene)


@pytest.mark.parametrize("digits", ["", "12x", "1" * 33, "1 2"])
def test_what_is_no_key_is_refused(digits: str) -> None:
    async def scene() -> None:
        telephone = Telephone()
        async with call_with(send_digits, telephone=telephone) as call:
            await calls(call, "send_digits", digits=digits)
            await call.passes(100)

            assert telephone.asked == []
            assert outputs(call)[0].startswith("Error: the arguments do not fit the tool: digits")

    play(scene)


async def types(call: Scene, keys: Sequence[str]) -> None:
    for key in keys:
        call.channel.press(key)
        await call.passes(200)


def test_the_model_gets_what_the_caller_types_once_and_answers_it() -> None:
    async def scene() -> None:
        async with call_with(collect_digits, keys=DigitRules(to_model=True)) as call:
            await calls(call, "collect_digits")
            await types(call, "4711#")

            assert outputs(call) == ["The caller typed 4711."]
            assert call.session.digits == "4711"
            assert len(call.sent(ResponseCreate)) == 1

    play(scene)


def test_a_secret_is_typed_and_the_model_learns_its_length_the_recording_pauses_and_tools_have_it() -> None:
    async def scene() -> None:
        telephone = Telephone()
        tools = (collect_digits, start_recording)
        async with call_with(*tools, telephone=telephone, keys=DigitRules(sensitive=True)) as call:
            await call.says(ToolCall("r0", "c0", "start_recording", "{}"))
            await calls(call, "collect_digits")
            await types(call, "4111111111111111#")
            await call.passes(300)

            assert telephone.asked == [("start_recording",), ("pause_recording",), ("start_recording",)]
            assert outputs(call)[-1] == (
                "The caller typed 16 digits. You are not told which; tools that need them have them."
            )
            assert "4111" not in repr(call.model.sent) + repr(call.told)
            assert call.session.digits == "4111111111111111"

    play(scene)


def test_a_secret_is_not_asked_for_while_a_recording_may_run_that_cannot_be_paused() -> None:
    async def scene() -> None:
        telephone = Telephone()
        tools = (collect_digits, start_recording)
        async with call_with(*tools, telephone=telephone, keys=DigitRules(sensitive=True)) as call:
            await call.says(ToolCall("r0", "c0", "start_recording", "{}"))
            telephone.refusal = ToolError("the network is busy")
            await calls(call, "collect_digits")
            await call.passes(100)

            assert outputs(call)[-1] == (
                "Error: this call may be being recorded, and that cannot be paused at the moment: ask the caller to "
                "type nothing, and to say no number, and try again later (the network is busy)"
            )

    play(scene)


def test_a_secret_of_a_call_that_is_not_recorded_begins_no_recording() -> None:
    async def scene() -> None:
        telephone = Telephone()
        async with call_with(collect_digits, telephone=telephone, keys=DigitRules(sensitive=True)) as call:
            await calls(call, "collect_digits")
            await types(call, "4711#")

            assert telephone.asked == []
            assert outputs(call)[-1].startswith("The caller typed 4 digits.")

    play(scene)


def test_an_entry_counts_also_when_the_recording_cannot_go_on_which_the_model_learns() -> None:
    async def scene() -> None:
        telephone = Telephone()
        tools = (collect_digits, start_recording)
        async with call_with(*tools, telephone=telephone, keys=DigitRules(sensitive=True)) as call:
            await call.says(ToolCall("r0", "c0", "start_recording", "{}"))
            await calls(call, "collect_digits")
            await types(call, "4711")
            telephone.refusal = ToolError("the network is busy")
            await types(call, "#")

            assert outputs(call)[-1].startswith("The caller typed 4 digits.")
            assert outputs(call)[-1].endswith(" But the recording does not go on: the network is busy")
            assert call.session.digits == "4711"

    play(scene)


def test_a_caller_who_types_nothing_keeps_nobody_waiting() -> None:
    async def scene() -> None:
        async with call_with(collect_digits) as call:
            await calls(call, "collect_digits")
            await call.passes(29_000)
            before = outputs(call)
            await call.passes(2_000)

            assert (before, outputs(call)) == (
                [],
                ["Error: the caller typed nothing; they may have said something instead"],
            )

    play(scene)


def test_a_caller_who_speaks_in_place_of_typing_is_answered() -> None:
    async def scene() -> None:
        async with call_with(collect_digits) as call:
            await calls(call, "collect_digits")
            await call.passes(1000)
            await call.begins_to_speak()
            await call.stops_speaking(text="I do not have it here.")
            await call.replies("r2", 200)
            await call.passes(1000)

            assert outputs(call) == ["Error: the caller typed nothing; they may have said something instead"]
            assert call.seen(DigitsEntered) == []

    play(scene)


# ---- messages, recording ----


def test_a_message_goes_to_the_caller_or_to_whom_the_operator_named() -> None:
    async def scene() -> None:
        telephone = Telephone()
        tool = send_sms_tool([SALES, DESK], sender="+15550100400")
        async with call_with(tool, telephone=telephone) as call:
            await calls(call, "send_sms", to="the caller", text="Your table is booked.")
            await call.says(ToolCall("r1", "c2", "send_sms", '{"to": "sales", "text": "A lead."}'))
            await call.says(ToolCall("r1", "c3", "send_sms", '{"to": "desk", "text": "No telephone."}'))
            await call.says(ToolCall("r1", "c4", "send_sms", '{"to": "+15559999999", "text": "Spam."}'))

            assert telephone.asked == [
                ("send_sms", "+15550100100", "Your table is booked.", "+15550100400"),
                ("send_sms", "+15550100300", "A lead.", "+15550100400"),
            ]
            assert [output.startswith("Error") for output in outputs(call)] == [False, False, True, True]

    play(scene)


def test_of_a_call_that_we_placed_the_message_goes_to_whom_it_was_placed_to() -> None:
    async def scene() -> None:
        telephone = Telephone()
        placed = CallContext("CA1", "+15550100200", "+15550100500", "test", direction="outbound")
        async with call_with(send_sms_tool([]), telephone=telephone, context=placed) as call:
            await calls(call, "send_sms", to="the caller", text="Hello.")

            assert telephone.asked == [("send_sms", "+15550100500", "Hello.", None)]

    play(scene)


def test_a_caller_without_a_number_gets_no_message() -> None:
    async def scene() -> None:
        telephone = Telephone()
        nobody = CallContext("CA1", "anonymous", "+15550100200", "test")
        async with call_with(send_sms_tool([]), telephone=telephone, context=nobody) as call:
            await calls(call, "send_sms", to="the caller", text="Hello.")

            assert (telephone.asked, outputs(call)) == ([], ["Error: the caller's number is not known"])

    play(scene)


def test_recording_begins_and_pauses_when_the_model_says_so() -> None:
    async def scene() -> None:
        telephone = Telephone()
        async with call_with(start_recording, pause_recording, telephone=telephone) as call:
            await call.says(
                ToolCall("r1", "c1", "start_recording", "{}"), ToolCall("r1", "c2", "pause_recording", "{}")
            )

            assert telephone.asked == [("start_recording",), ("pause_recording",)]

    play(scene)


# ---- answering machines ----


def test_a_message_is_left_once_the_machine_is_silent_and_then_the_call_ends() -> None:
    async def scene() -> None:
        tool = leave_voicemail_tool("This is {{ agent }}. Please call back.")
        async with call_with(tool) as call:
            await call.begins_to_speak()
            await calls(call, "leave_voicemail")
            await call.passes(4000)
            during_its_greeting = call.sent(ResponseCreate)
            await call.stops_speaking()
            await call.passes(2000)
            said = call.sent(ResponseCreate)
            await call.replies("r2", 1000)
            await call.hears(900)
            before_the_end = call.session.closed
            await call.passes(500)

            assert during_its_greeting == []
            assert [event.say for event in said if isinstance(event, ResponseCreate)] == [
                "This is test. Please call back."
            ]
            assert (before_the_end, call.session.closed) == (None, Closed("agent"))
            assert call.sent(AudioInputAppend) == []  # its beep interrupts nobody

    play(scene)


def test_a_machine_that_never_stops_is_spoken_to_all_the_same() -> None:
    async def scene() -> None:
        async with call_with(leave_voicemail_tool("Please call back.")) as call:
            await call.begins_to_speak()
            await calls(call, "leave_voicemail")
            await call.hears(int(GREETING_S * 1000) + 1000, silent_frame())

            assert [event.say for event in call.sent(ResponseCreate) if isinstance(event, ResponseCreate)] == [
                "Please call back."
            ]

    play(scene)


def test_a_message_that_cannot_be_filled_in_leaves_the_caller_heard() -> None:
    async def scene() -> None:
        async with call_with(leave_voicemail_tool("This is for {{ nobody }}.")) as call:
            await calls(call, "leave_voicemail")
            await call.passes(4000)

            assert outputs(call) == ["Error: the tool failed."]
            assert (call.session.muted, call.session.closed) == (False, None)

    play(scene)


def test_a_message_is_left_once_however_often_the_tool_is_called() -> None:
    async def scene() -> None:
        async with call_with(leave_voicemail_tool("Please call back.")) as call:
            await calls(call, "leave_voicemail")
            await call.passes(3000)
            await call.replies("r2", 1000, done=False)
            await call.says(ToolCall("r2", "c2", "leave_voicemail", "{}"), ResponseDone("r2", "completed"))
            await call.hears(3000)

            assert [event.say for event in call.sent(ResponseCreate) if isinstance(event, ResponseCreate)] == [
                "Please call back."
            ]
            assert call.session.closed == Closed("agent")

    play(scene)
