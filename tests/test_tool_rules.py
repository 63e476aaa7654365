"""How the calls of one tool are run: how long, what the caller hears, when nobody waits, by whose leave."""

import asyncio
import wave
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from agents import BackgroundResult, ConfigError, Filler, RealtimeAgent, ToolContext, ToolRules, tool
from agents.events import (
    Error,
    Interrupted,
    ItemCreate,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    Tool,
    ToolApproval,
    ToolCall,
    ToolCancelled,
    ToolResult,
)
from agents.floor import ANSWER_S
from agents.tools import FunctionTool
from agents.tools.approvals import NOT_APPROVED
from agents.tools.calls import INTERRUPTED
from agents.tools.predicates import PREDICATE_TIMEOUT_S
from agents.tools.results import BEGUN
from agents.tools.spec import ToolRulesSpec
from tests.scene import LateLine, Line, Scene, play, reply, size, voice
from tests.tool_scene import called, told

ONE_MOMENT = Filler(after_ms=1500, say="One moment, please.")


def work(ms: int, result: object = "found", *, name: str = "work", **rules: Any) -> FunctionTool:
    """A tool of these rules that takes so long."""

    @tool(name=name, rules=ToolRules(**rules))
    async def works() -> object:
        await asyncio.sleep(ms / 1000)
        return result

    return works


def outputs(call: Scene) -> list[str]:
    return [event.output for event in call.sent(ToolResult) if isinstance(event, ToolResult)]


def words(call: Scene) -> list[str | None]:
    """What the model was asked to say, or None for an answer of its own."""
    return [event.say for event in call.sent(ResponseCreate) if isinstance(event, ResponseCreate)]


def notes(call: Scene) -> list[str]:
    """What the model was told that the caller did not say."""
    return [event.text for event in call.sent(ItemCreate) if isinstance(event, ItemCreate) and event.role == "system"]


# ---- rules that cannot be ----


@pytest.mark.parametrize("wrong", [{}, {"say": "Hm.", "play": Path("hm.wav")}, {"say": "Hm.", "after_ms": -1}])
def test_a_filler_says_something_or_plays_a_recording_some_time_after_the_call(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="filler"):
        Filler(**wrong)


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
def test_a_call_must_have_some_time(timeout_s: float) -> None:
    with pytest.raises(ConfigError, match="timeout_s"):
        ToolRules(timeout_s=timeout_s)


def test_an_operator_may_not_give_a_tool_in_the_background_a_filler() -> None:
    with pytest.raises(ValidationError, match="remove filler or background"):
        ToolRulesSpec.model_validate({"tool": "work", "background": True, "filler": {"say": "Hm."}})


# ---- how long ----


def test_a_tool_timeout_yields_a_timeout_output_and_a_response() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(60_000, timeout_s=2),)) as call:
            await call.says(*called("work"))
            await call.passes(2100)

            assert outputs(call) == ["Error: the tool took longer than 2 seconds."]
            assert (words(call), call.seen(Error)) == ([None], [])

    play(scene)


def test_in_raise_mode_a_tool_timeout_is_an_error_event_and_the_model_is_told_nothing() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(60_000, timeout_s=2, on_timeout="error"),)) as call:
            await call.says(*called("work"))
            await call.passes(5000)

            assert (outputs(call), words(call), notes(call)) == ([], [], [])
            assert [error.code for error in call.seen(Error)] == ["tool_timeout"]
            assert call.session.is_quiet

    play(scene)


def test_no_response_waits_for_a_call_that_timed_out_in_raise_mode() -> None:
    async def scene() -> None:
        slow = work(60_000, name="slow", timeout_s=2, on_timeout="error")
        async with Scene(tools=(slow, work(500))) as call:
            await call.says(*called("slow", "work"))
            await call.passes(1900)
            before = words(call)
            await call.passes(200)

            assert (outputs(call), before, words(call)) == (["found"], [], [None])

    play(scene)


# ---- what the caller hears meanwhile ----


def test_a_filler_is_said_once_when_a_call_takes_long_and_its_answer_follows_it() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(3000, filler=ONE_MOMENT),)) as call:
            await call.says(*called("work"))
            await call.passes(1480)
            before = words(call)
            await call.passes(40)
            filler = words(call)
            await call.replies("r2", 2500)
            await call.passes(5000)

            assert (before, filler) == ([], ["One moment, please."])
            assert (words(call), outputs(call)) == (["One moment, please.", None], ["found"])

    play(scene)


def test_a_result_is_not_delayed_by_a_filler_that_sounds() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(2000, filler=ONE_MOMENT),)) as call:
            await call.says(*called("work"))
            await call.passes(1600)
            await call.says(*reply("r2", voice(3000), done=False))
            await call.passes(500)
            while_it_sounds = (outputs(call), words(call)[1:])
            await call.says(ResponseDone("r2", "completed"))

            assert while_it_sounds == (["found"], [])
            assert words(call)[1:] == [None]
            assert call.channel.is_playing

    play(scene)


def test_a_call_that_is_done_in_time_has_no_filler() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(1400, filler=ONE_MOMENT),)) as call:
            await call.says(*called("work"))
            await call.passes(5000)

            assert words(call) == [None]

    play(scene)


def test_a_filler_may_hold_variables() -> None:
    async def scene() -> None:
        filler = Filler(after_ms=100, say="One moment, {{ name }}.")
        async with Scene(tools=(work(3000, filler=filler),), variables={"name": "Ann"}) as call:
            await call.says(*called("work"))
            await call.passes(200)

            assert words(call) == ["One moment, Ann."]

    play(scene)


@pytest.mark.parametrize(
    "filler", [Filler(after_ms=100, say="Hello {{ nobody }}."), Filler(after_ms=100, play=Path("missing.wav"))]
)
def test_a_filler_that_cannot_be_heard_is_logged_and_the_call_goes_on(
    filler: Filler, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with Scene(tools=(work(3000, filler=filler),)) as call:
            await call.says(*called("work"))
            await call.passes(3100)

            assert (outputs(call), words(call), call.channel.heard) == (["found"], [None], [])

    play(scene)
    assert "a filler cannot be heard" in caplog.text


def test_while_the_agent_speaks_a_filler_waits_until_it_was_heard_out() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(6000, filler=ONE_MOMENT),)) as call:
            await call.says(*reply("r1", voice(3000), done=False), ToolCall("r1", "work", "work", "{}"))
            await call.says(ResponseDone("r1", "completed"))
            await call.passes(2980)
            before = words(call)
            await call.passes(40)

            assert (before, words(call)) == ([], ["One moment, please."])

    play(scene)


def test_a_call_that_is_done_before_the_agent_was_heard_out_has_no_filler() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(2000, BackgroundResult("noted"), filler=ONE_MOMENT),)) as call:
            await call.says(*reply("r1", voice(3000), done=False), ToolCall("r1", "work", "work", "{}"))
            await call.says(ResponseDone("r1", "completed"))
            await call.passes(6000)

            assert (outputs(call), words(call)) == (["noted"], [])

    play(scene)


def test_while_the_caller_speaks_and_is_answered_there_is_no_filler() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(20_000, timeout_s=30, filler=ONE_MOMENT),)) as call:
            await call.says(*called("work"))
            await call.begins_to_speak()
            await call.passes(3000)
            while_speaking = words(call)
            await call.stops_speaking()
            await call.passes(500)
            await call.replies("r2", 2000)
            await call.passes(1900)
            while_answered = words(call)
            await call.passes(200)

            assert (while_speaking, while_answered, words(call)) == ([], [], ["One moment, please."])

    play(scene)


def test_there_is_no_filler_while_the_line_is_elsewhere_and_silence_is_counted_anew_once_it_is_back() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(20_000, timeout_s=30, filler=ONE_MOMENT),)) as call:
            await call.says(*called("work"))
            call.channel.leave()
            await call.passes(10_100)
            call.channel.come_back()
            await call.passes(1400)
            before = words(call)
            await call.passes(500)

            assert (before, words(call)) == ([], ["One moment, please."])

    play(scene)


def test_a_filler_is_not_heard_of_a_call_that_is_over_soon_after_the_line_is_back() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(10_000, filler=ONE_MOMENT),)) as call:
            await call.says(*called("work"))
            await call.passes(1000)
            call.channel.leave()
            await call.passes(8800)
            call.channel.come_back()
            await call.passes(5000)

            assert (outputs(call), words(call)) == (["found"], [None])

    play(scene)


def test_of_several_calls_only_one_filler_sounds_at_a_time_and_silence_is_counted_anew_for_the_next() -> None:
    async def scene() -> None:
        other = Filler(after_ms=1550, say="Still looking.")
        tools = (work(20_000, timeout_s=30, filler=ONE_MOMENT), work(20_000, name="more", timeout_s=30, filler=other))
        async with Scene(tools=tools) as call:
            await call.says(*called("work", "more"))
            await call.passes(1600)
            first = words(call)
            await call.replies("r2", 2000)
            await call.passes(3400)
            before = words(call)
            await call.passes(200)

            assert (first, before) == (["One moment, please."], ["One moment, please."])
            assert words(call) == ["One moment, please.", "Still looking."]
            await call.replies("r3", 1000)
            await call.passes(10_000)
            assert words(call) == ["One moment, please.", "Still looking."]

    play(scene)


def recorded(folder: Path, ms: int) -> Path:
    file = folder / "typing.wav"
    with wave.open(str(file), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(24_000)
        wav.writeframes(b"\x10\x27" * 24 * ms)
    return file


def test_a_filler_may_be_a_recording_which_the_model_never_learns_of(tmp_path: Path) -> None:
    filler = Filler(after_ms=500, play=recorded(tmp_path, 1000))

    async def scene() -> None:
        async with Scene(tools=(work(3000, filler=filler),)) as call:
            await call.says(*called("work"))
            await call.passes(480)
            before = list(call.channel.heard)
            await call.passes(2400)
            heard = [len(pcm) for _, pcm in call.channel.heard]
            await call.passes(200)

            assert (before, heard) == ([], [size(1000)])
            assert (words(call), outputs(call), call.session.history) == ([None], ["found"], ())

    play(scene)


def test_a_recording_is_stopped_by_the_callers_voice(tmp_path: Path) -> None:
    filler = Filler(after_ms=500, play=recorded(tmp_path, 2000))

    async def scene() -> None:
        async with Scene(tools=(work(3000, filler=filler),)) as call:
            await call.says(*called("work"))
            await call.passes(1000)
            was_playing = call.channel.is_playing
            await call.begins_to_speak()

            assert (was_playing, call.channel.is_playing, call.channel.interruptions) == (True, False, 1)
            assert call.seen(Interrupted) == [Interrupted(())]

    play(scene)


def test_barge_in_works_while_a_tool_runs_and_its_filler_sounds() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(5000, filler=ONE_MOMENT),)) as call:
            await call.says(*called("work"))
            await call.passes(1600)
            await call.replies("r2", 2000)
            await call.passes(500)
            await call.begins_to_speak()
            await call.stops_speaking()
            await call.passes(200)
            await call.replies("r3", 500)
            await call.passes(3000)

            assert call.channel.interruptions == 1
            assert (outputs(call), words(call)) == (["found"], ["One moment, please.", None])

    play(scene)


# ---- in the background ----


def test_a_call_in_the_background_is_answered_at_once_and_its_result_is_spoken_of_when_it_comes() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(8000, {"slot": 9}, background=True),)) as call:
            events = told(call, "tool")
            await call.says(*called("work"))
            at_once = (outputs(call), words(call), notes(call))
            await call.replies("r2", 500)
            await call.passes(8100)
            await call.replies("r3", 500)
            await call.passes(5000)

            assert at_once == ([BEGUN], [None], [])
            assert notes(call) == ['The tool work, called with {}, has answered: {"slot":9}']
            assert (outputs(call), words(call)) == ([BEGUN], [None, None])
            assert [event.output for event in events] == [None, '{"slot":9}']
            assert [item.role for item in call.session.history if "slot" in item.text] == ["system"]

    play(scene)


def test_a_result_from_the_background_waits_until_nobody_speaks_and_nothing_is_owed() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(1000, background=True),)) as call:
            await call.says(*called("work"))
            await call.says(*reply("r2", voice(3000), done=False))
            await call.passes(2000)
            while_owed = notes(call)
            await call.says(ResponseDone("r2", "completed"))
            await call.passes(900)
            while_heard = notes(call)
            await call.begins_to_speak()
            await call.passes(3000)
            while_spoken_to = notes(call)
            await call.stops_speaking()
            await call.passes(500)
            await call.replies("r3", 1000)
            await call.passes(900)
            while_answered = notes(call)
            await call.passes(400)

            assert [while_owed, while_heard, while_spoken_to, while_answered] == [[], [], [], []]
            assert (len(notes(call)), words(call)) == (1, [None, None])

    play(scene)


def test_two_results_from_the_background_are_told_one_after_the_other() -> None:
    async def scene() -> None:
        tools = (work(1000, "one", background=True), work(1000, "two", name="more", background=True))
        async with Scene(tools=tools) as call:
            await call.says(*called("work", "more"))
            await call.replies("r2", 100)
            await call.passes(1100)
            first = len(notes(call))
            await call.replies("r3", 1000)
            await call.passes(1400)

            assert (first, len(notes(call)), words(call)) == (1, 2, [None, None, None])

    play(scene)


def test_a_second_result_is_not_told_while_the_first_is_on_its_way() -> None:
    async def scene() -> None:
        tools = (work(1000, "one", background=True), work(1000, "two", name="more", background=True))
        async with Scene(tools=tools) as call:
            await call.says(*called("work", "more"))
            await call.replies("r2", 100)
            call.model.send_s = 0.05
            await call.passes(3000)

            assert (len(notes(call)), words(call)) == (1, [None, None])

    play(scene)


def test_a_result_from_the_background_does_not_wait_for_the_end_of_the_music_on_hold() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(2000, background=True),)) as call:
            await call.says(*called("work"))
            await call.replies("r2", 100)
            await call.passes(500)
            await call.session.hold()
            await call.passes(1400)
            before = notes(call)
            await call.passes(400)

            assert (before, len(notes(call)), call.channel.is_playing) == ([], 1, True)

    play(scene)


def test_a_line_that_only_believes_that_it_has_played_all_is_asked_again() -> None:
    class Believing(Line):
        async def wait_played(self, timeout_s: float) -> bool:
            return True

    async def scene() -> None:
        async with Scene(Believing(), tools=(work(500, background=True),)) as call:
            await call.says(*called("work"))
            await call.replies("r2", 2000)
            await call.passes(1900)
            before = notes(call)
            await call.passes(400)

            assert (before, len(notes(call))) == ([], 1)

    play(scene)


def test_a_background_result_from_the_background_is_told_and_not_spoken_of() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(1000, BackgroundResult("noted"), background=True),)) as call:
            await call.says(*called("work"))
            await call.replies("r2", 100)
            await call.passes(5000)

            assert (len(notes(call)), words(call)) == (1, [None])

    play(scene)


def test_a_call_in_the_background_that_takes_too_long_says_so_like_any_other() -> None:
    async def scene() -> None:
        told_of = work(60_000, background=True, timeout_s=2)
        reported = work(60_000, name="more", background=True, timeout_s=2, on_timeout="error")
        async with Scene(tools=(told_of, reported)) as call:
            await call.says(*called("work", "more"))
            await call.replies("r2", 100)
            await call.passes(5000)

            assert [note[-44:] for note in notes(call)] == [" Error: the tool took longer than 2 seconds."]
            assert [error.code for error in call.seen(Error)] == ["tool_timeout"]

    play(scene)


def test_the_conversation_goes_on_while_a_tool_works_in_the_background() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(9000, background=True, filler=Filler(after_ms=100, say="Hm.")),)) as call:
            await call.says(*called("work"))
            await call.replies("r2", 100)
            await call.passes(1000)
            is_quiet = call.session.is_quiet
            await call.session.send_message("And the weather?")

            assert (is_quiet, words(call)) == (True, [None, None])

    play(scene)


# ---- by somebody's leave ----


@tool(rules=ToolRules(needs_approval=True, timeout_s=2, filler=Filler(after_ms=500, say="One moment.")))
async def pay(amount: int) -> str:
    """Pays."""
    if amount > 100:
        await asyncio.sleep(60)
    return f"paid {amount}"


def paying(amount: int = 7) -> list[Any]:
    call = ToolCall("r1", "c1", "pay", f'{{"amount": {amount}}}')
    return [ResponseCreated("r1"), call, ResponseDone("r1", "completed")]


def test_a_tool_that_needs_approval_is_not_executed_and_nothing_is_sent_until_somebody_decides() -> None:
    async def scene() -> None:
        async with Scene(tools=(pay,)) as call:
            approvals = told(call, "tool_approval")
            await call.says(*paying())
            await call.passes(60_000)

            assert approvals == [ToolApproval("c1", "pay", '{"amount": 7}')]
            assert call.model.sent == []

    play(scene)


def test_an_approved_call_runs_and_is_answered() -> None:
    async def scene() -> None:
        async with Scene(tools=(pay,)) as call:
            await call.says(*paying())
            await call.passes(10_000)
            await call.session.approve("c1")
            await call.settles()

            assert (outputs(call), words(call)) == (["paid 7"], [None])

    play(scene)


@pytest.mark.parametrize(("text", "output"), [(None, NOT_APPROVED), ("Too much.", "Too much."), ("", "")])
def test_a_rejected_call_is_answered_with_the_text_and_a_response_follows(text: str | None, output: str) -> None:
    async def scene() -> None:
        async with Scene(tools=(pay,)) as call:
            events = told(call, "tool")
            await call.says(*paying())
            await call.session.reject("c1", text)
            await call.settles()

            assert (outputs(call), words(call)) == ([output], [None])
            assert events[-1] == Tool("c1", "pay", '{"amount": 7}', output, failure="refused")

    play(scene)


def test_filler_and_timeout_count_from_the_approval() -> None:
    async def scene() -> None:
        async with Scene(tools=(pay,)) as call:
            await call.says(*paying(amount=1000))
            await call.passes(10_000)
            await call.session.approve("c1")
            await call.passes(480)
            before = words(call)
            await call.passes(40)
            await call.replies("r2", 100)
            await call.passes(1400)
            early = outputs(call)
            await call.passes(200)

            assert (before, words(call)[:1], early) == ([], ["One moment."], [])
            assert outputs(call) == ["Error: the tool took longer than 2 seconds."]

    play(scene)


def test_an_async_listener_may_decide() -> None:
    async def scene() -> None:
        async with Scene(tools=(pay,)) as call:

            async def decide(approval: ToolApproval) -> None:
                await call.session.approve(approval.call_id)

            call.session.on("tool_approval", decide)
            await call.says(*paying())
            await call.settles()

            assert outputs(call) == ["paid 7"]

    play(scene)


@pytest.mark.parametrize("is_async", [True, False])
def test_a_function_of_context_and_arguments_may_say_which_calls_need_approval(is_async: bool) -> None:
    def is_much(context: ToolContext, arguments: str) -> bool:
        return "1000" in arguments and context.context == "ctx"

    async def is_much_later(context: ToolContext, arguments: str) -> bool:
        return is_much(context, arguments)

    @tool(rules=ToolRules(needs_approval=is_much_later if is_async else is_much))
    async def give(amount: int) -> str:
        return f"gave {amount}"

    async def scene() -> None:
        async with Scene(tools=(give,), options={"context": "ctx"}) as call:
            approvals = told(call, "tool_approval")
            await call.says(ToolCall("r1", "c1", "give", '{"amount": 1}'))
            await call.says(ToolCall("r1", "c2", "give", '{"amount": 1000}'))

            assert (outputs(call), [approval.call_id for approval in approvals]) == (["gave 1"], ["c2"])

    play(scene)


async def never_says(*_: object) -> bool:
    await asyncio.sleep(60)
    return False


def breaks(*_: object) -> bool:
    raise RuntimeError("secret")


@pytest.mark.parametrize(
    ("asked", "output"),
    [(breaks, "Error: the tool failed."), (never_says, "Error: nobody could say whether the call may be made.")],
)
def test_a_call_is_not_made_when_it_cannot_be_said_whether_it_needs_approval(
    asked: Callable[[ToolContext, str], bool | Awaitable[bool]], output: str
) -> None:
    runs: list[int] = []

    @tool(rules=ToolRules(needs_approval=asked))
    async def give() -> None:
        runs.append(1)

    async def scene() -> None:
        async with Scene(tools=(give,)) as call:
            await call.says(*called("give"))
            await call.passes(1000 * PREDICATE_TIMEOUT_S + 100)

            assert (outputs(call), runs) == ([output], [])

    play(scene)


def test_approval_of_an_unknown_or_decided_call_and_of_a_session_that_is_over_is_refused() -> None:
    async def scene() -> None:
        async with Scene(tools=(pay,)) as call:
            await call.says(*paying())
            with pytest.raises(ConfigError, match="no call 'c2' waits for approval"):
                await call.session.approve("c2")
            await call.session.approve("c1")
            for decide in (call.session.approve, call.session.reject):
                with pytest.raises(ConfigError, match="no call 'c1' waits for approval"):
                    await decide("c1")
            await call.says(ToolCall("r2", "c3", "pay", '{"amount": 1}'))
            await call.says(ToolCancelled("c3"))
            with pytest.raises(ConfigError, match="no call 'c3' waits for approval"):
                await call.session.approve("c3")
            await call.says(ToolCall("r2", "c4", "pay", '{"amount": 1}'))
            call.channel.hang_up()
            await call.session.wait_closed()
            for decide in (call.session.approve, call.session.reject):
                with pytest.raises(ConfigError, match="the session is over"):
                    await decide("c4")

            assert outputs(call) == ["paid 7"]

    play(scene)


def test_approval_before_connect_is_refused() -> None:
    async def scene() -> None:
        with pytest.raises(ConfigError, match="not connected"):
            await Scene(tools=(pay,)).session.approve("c1")

    play(scene)


def test_a_response_waits_for_an_approved_call_like_for_any_other() -> None:
    async def scene() -> None:
        slow = work(1000, name="slow", needs_approval=True)
        async with Scene(tools=(slow, work(2500))) as call:
            await call.says(*called("slow", "work"))
            await call.passes(2000)
            await call.session.approve("slow")
            await call.passes(900)
            before = (outputs(call), words(call))
            await call.passes(200)

            assert (before, outputs(call), words(call)) == ((["found"], []), ["found", "found"], [None])

    play(scene)


def test_the_caller_is_answered_while_a_call_waits_for_approval() -> None:
    async def scene() -> None:
        async with Scene(tools=(pay, work(100))) as call:
            await call.says(*paying(), ToolCall("r1", "work", "work", "{}"))
            await call.passes(200)
            others = (outputs(call), words(call))
            await call.replies("r2", 100)
            await call.session.send_message("Is it done?")

            assert others == (["found"], [None])
            assert words(call) == [None, None]

    play(scene)


# ---- a caller who interrupts ----


def test_a_caller_who_interrupts_stops_interruptible_calls_and_no_others() -> None:
    stopped: list[str] = []

    @tool(rules=ToolRules(interruptible=True))
    async def search() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            stopped.append("search")
            raise

    async def scene() -> None:
        async with Scene(tools=(search, work(3000))) as call:
            await call.says(*reply("r1", voice(2000), done=False), *called("search", "work")[1:])
            await call.passes(500)
            await call.begins_to_speak()
            await call.passes(500)
            interrupted = (list(stopped), outputs(call), words(call))
            await call.stops_speaking()
            await call.passes(500)
            await call.replies("r2", 500)
            await call.passes(3000)

            assert interrupted == (["search"], [INTERRUPTED], [])
            assert (outputs(call), words(call)) == ([INTERRUPTED, "found"], [None])

    play(scene)


def test_the_model_is_not_asked_to_speak_of_a_stopped_call_when_it_answers_the_caller() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(9000, interruptible=True),)) as call:
            await call.says(*reply("r1", voice(2000), done=False), *called("work")[1:])
            await call.passes(500)
            await call.begins_to_speak()
            await call.passes(600)
            await call.stops_speaking()
            await call.replies("r2", 500)
            await call.passes(10_000)

            assert (outputs(call), words(call), call.session.is_quiet) == ([INTERRUPTED], [], True)

    play(scene)


def test_the_model_is_asked_to_speak_of_a_call_that_a_cough_stopped() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(9000, interruptible=True),)) as call:
            await call.says(*reply("r1", voice(2000), done=False), *called("work")[1:])
            await call.passes(500)
            await call.begins_to_speak()
            await call.passes(300)
            await call.stops_speaking(text="")
            await call.passes(1000 * ANSWER_S - 100)
            before = words(call)
            await call.passes(200)

            assert (outputs(call), before, words(call)) == ([INTERRUPTED], [], [None])

    play(scene)


def test_the_model_is_not_asked_to_speak_of_a_call_that_the_program_stopped() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(9000, interruptible=True),)) as call:
            await call.says(*reply("r1", voice(2000), done=False), *called("work")[1:])
            await call.passes(500)
            await call.session.interrupt()
            await call.passes(10_000)

            assert (outputs(call), words(call)) == ([INTERRUPTED], [])

    play(scene)


def test_an_interruption_that_is_told_late_stops_no_call_of_the_response_that_followed_it() -> None:
    async def scene() -> None:
        line = LateLine()
        tools = (work(9000, name="old", interruptible=True), work(2000, name="new", interruptible=True))
        async with Scene(line, tools=tools) as call:
            await call.says(*reply("r1", voice(3000), done=False), *called("old")[1:])
            await call.passes(1000)
            await call.begins_to_speak()
            await call.passes(700)
            await call.stops_speaking(text="What day is it?")
            await call.says(*called("new", response_id="r2"))
            await call.passes(100)
            line.tell()
            await call.passes(5000)

            assert (outputs(call), words(call)) == ([INTERRUPTED, "found"], [None])

    play(scene)


def test_a_line_that_is_taken_elsewhere_stops_no_call(tmp_path: Path) -> None:
    async def scene() -> None:
        music = recorded(tmp_path, 10_000)

        @tool(rules=ToolRules(interruptible=True))
        async def transfers() -> str:
            await call.session.hold(music, is_reminded=False)
            await asyncio.sleep(2)
            call.channel.leave()
            await asyncio.sleep(2)
            return "put through"

        async with Scene(tools=(transfers,)) as call:
            await call.says(*called("transfers"))
            await call.passes(1000)
            was_playing = call.channel.is_playing
            await call.passes(4000)

            assert (was_playing, outputs(call)) == (True, ["put through"])

    play(scene)


def test_a_caller_who_speaks_into_a_filler_stops_an_interruptible_call() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(9000, interruptible=True, filler=ONE_MOMENT),)) as call:
            await call.says(*called("work"))
            await call.passes(1600)
            await call.replies("r2", 1000)
            await call.passes(500)
            await call.begins_to_speak()
            await call.passes(500)

            assert outputs(call) == [INTERRUPTED]
            assert call.sent(ResponseCancel) == []

    play(scene)


def test_a_caller_who_speaks_while_the_agent_is_silent_stops_no_call() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(2000, interruptible=True),)) as call:
            await call.says(*called("work"))
            await call.passes(500)
            await call.begins_to_speak()
            await call.passes(1600)

            assert outputs(call) == ["found"]

    play(scene)


def test_a_call_in_the_background_that_the_caller_stopped_is_told_and_not_spoken_of() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(9000, interruptible=True, background=True),)) as call:
            await call.says(*called("work"))
            await call.replies("r2", 1000)
            await call.passes(500)
            await call.begins_to_speak()
            await call.stops_speaking()
            await call.passes(100)
            await call.replies("r3", 500)
            await call.passes(5000)

            assert (outputs(call), words(call)) == ([BEGUN], [None])
            assert [note.endswith(INTERRUPTED) for note in notes(call)] == [True]

    play(scene)


def test_a_call_in_the_background_that_a_cough_stopped_is_spoken_of() -> None:
    async def scene() -> None:
        async with Scene(tools=(work(9000, interruptible=True, background=True),)) as call:
            await call.says(*called("work"))
            await call.replies("r2", 1000)
            await call.passes(500)
            await call.begins_to_speak()
            await call.stops_speaking(text="")
            await call.passes(5000)

            assert (outputs(call), words(call)) == ([BEGUN], [None, None])
            assert [note.endswith(INTERRUPTED) for note in notes(call)] == [True]

    play(scene)


def test_an_interruptible_tool_that_takes_no_notice_is_answered_once() -> None:
    @tool(rules=ToolRules(interruptible=True, filler=Filler(after_ms=600, say="Hm.")))
    async def stubborn() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(10)
        await asyncio.sleep(3)
        return "late"

    async def scene() -> None:
        async with Scene(tools=(stubborn,)) as call:
            await call.says(*reply("r1", voice(2000), done=False), *called("stubborn")[1:])
            await call.passes(500)
            await call.begins_to_speak()
            await call.passes(600)
            await call.stops_speaking()
            await call.replies("r2", 500)
            await call.passes(5000)

            assert (outputs(call), words(call), call.session.closed) == ([INTERRUPTED], [], None)

    play(scene)


# ---- enabled or not ----


@pytest.mark.parametrize("is_enabled", [False, breaks, never_says, lambda context: context == "somebody else"])
def test_a_disabled_tool_is_neither_advertised_nor_dispatched(is_enabled: Any) -> None:
    off = work(0, name="off", is_enabled=is_enabled)

    async def scene() -> None:
        async with Scene(tools=(off, work(0)), options={"context": "ctx"}) as call:
            config = await call.session.agent.session_config("ctx")
            await call.says(*called("off", "work"))
            await call.passes(1000 * PREDICATE_TIMEOUT_S + 100)

            assert [tool.name for tool in config.tools] == ["work"]
            assert sorted(outputs(call)) == ["Error: there is no tool named 'off'.", "found"]

    play(scene)


def test_whether_a_tool_is_enabled_is_asked_at_each_connect_and_again_at_each_call() -> None:
    is_on = [True]

    async def ask(context: object) -> bool:
        return is_on[0]

    async def scene() -> None:
        tools = (work(0, is_enabled=ask),)
        async with Scene(tools=tools) as call:
            agent = RealtimeAgent(name="a", model=call.model, tools=tools)
            advertised = len((await agent.session_config(None)).tools)
            await call.says(ToolCall("r1", "c1", "work", "{}"))
            is_on[0] = False
            await call.says(ToolCall("r1", "c2", "work", "{}"))

            assert (advertised, len((await agent.session_config(None)).tools)) == (1, 0)
            assert outputs(call) == ["found", "Error: there is no tool named 'work'."]

    play(scene)
