"""One contract for every provider: the same tests over the fake of each."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from agents import ToolError
from agents.candidates import Candidate
from agents.errors import ConfigError, ErrorCategory, NotSupportedError, ProviderError
from agents.events import (
    AudioInputAppend,
    Closed,
    Error,
    Interrupted,
    ModelStep,
    Raw,
    Response,
    Speech,
    Tool,
    Transcript,
    UsageReport,
)
from agents.lasting import LastingModel
from agents.providers import PROVIDERS, provider
from agents.realtime import (
    PCM,
    PCMU,
    AudioFormat,
    RealtimeConnection,
    RealtimeConnectOptions,
    SessionConfig,
    SessionResumeConfig,
    TokenCredential,
    UrlCredential,
)
from agents.schema import AgentSpec
from agents.tools import tool
from tests.fake_ear import tone
from tests.provider_call import FRAME_MS, ProviderCall
from tests.rig import Calls, Fails, Rig, Says, ToolUse
from tests.rigs import all_rigs
from tests.scene import play

RIGS = all_rigs()
EVERY = pytest.mark.parametrize("make_rig", RIGS, ids=[rig.name for rig in RIGS])


WITHOUT_TOKENS = {"assemblyai", "deepgram", "elevenlabs", "elevenlabs-plain", "openai-live"}
"""Their wires tell of no tokens; OpenAI Live counts seconds. A cascade's are its brain's, and the rigs' has none."""


def having(**wanted: object) -> pytest.MarkDecorator:
    """The rigs whose models have these capabilities."""
    able = [rig for rig in RIGS if all(getattr(rig().model().capabilities, name) == v for name, v in wanted.items())]
    return pytest.mark.parametrize("make_rig", able, ids=[rig.name for rig in able])


@tool
def lookup(name: str) -> dict[str, object]:
    """Looks a name up."""
    return {"name": name, "age": 7}


@tool
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@tool
def broken() -> str:
    """Never works."""
    raise ToolError("the shop is closed")


LOOKUP = ToolUse("lookup", '{"name": "Ann"}')
ADD = ToolUse("add", '{"a": 3, "b": 4}')


def _has_answered(rig: Rig, times: int) -> bool:
    return rig.responses() == times


# ---- connecting ----


@EVERY
def test_a_session_gets_its_id_and_closes_without_a_trace(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        async with ProviderCall(rig, instructions="Be kind.") as call:
            assert call.session.id
            assert rig.connections == 1
        assert call.session.closed == Closed("closed")
        assert rig.violations == []

    play(scene)


@EVERY
@pytest.mark.parametrize("category", ["auth", "quota", "rate", "unavailable"])
def test_a_refused_connection_says_why_in_the_words_of_all_providers(
    make_rig: type[Rig], category: ErrorCategory
) -> None:
    async def scene() -> None:
        rig = make_rig()
        rig.refuse(category)
        call = ProviderCall(rig)
        errors: list[ProviderError] = []
        try:
            async with asyncio.timeout(20):
                async with call:
                    await call.session.wait_closed()
        except ProviderError as error:
            errors.append(error)
        except AssertionError:
            pass  # the connection opened, and was refused in words
        found = [error.category for error in errors] + [error.category for error in call.seen(Error)]
        assert category in found

    play(scene)


@EVERY
def test_a_connection_that_was_aborted_before_is_not_opened(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig, abort = make_rig(), asyncio.Event()
        abort.set()
        with pytest.raises(ProviderError) as caught:
            await rig.model().connect(RealtimeConnectOptions(websocket=rig.websocket, abort=abort))
        assert caught.value.code == "aborted"
        assert rig.connections == 0

    play(scene)


@EVERY
def test_an_expired_credential_is_refused_before_there_is_a_socket(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        expired = datetime.now(UTC) - timedelta(seconds=1)
        for credential in (TokenCredential("token", expired), UrlCredential("wss://example.com", expired)):
            with pytest.raises(ConfigError):
                await rig.model().connect(RealtimeConnectOptions(websocket=rig.websocket, credential=credential))
        assert rig.connections == 0

    play(scene)


@EVERY
def test_a_handle_is_refused_where_there_are_none(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        if rig.model().capabilities.resume == "handle":
            pytest.skip("it has handles")
        resume = SessionResumeConfig("handle")
        with pytest.raises(NotSupportedError):
            await rig.model().connect(RealtimeConnectOptions(websocket=rig.websocket, resume=resume))
        assert rig.connections == 0

    play(scene)


@pytest.mark.parametrize("name", [name for name in PROVIDERS if name not in ("cascade", "local", "scripted")])
def test_a_missing_key_is_named_before_there_is_a_socket(name: str) -> None:
    async def scene() -> None:
        spec, environment = AgentSpec(model=f"{name}/x"), dict[str, str]()
        while missing := provider(name).missing_key(spec, environment):
            environment[missing] = "https://example.com"
        keys = [variable for variable in environment if variable.endswith("_KEY")]
        if not keys:
            pytest.skip("it needs none")
        del environment[keys[0]]
        model = provider(name).open_model(spec, Path(), environment)
        with pytest.raises(ConfigError, match=keys[0]):
            await model.connect(RealtimeConnectOptions(websocket=_no_socket))

    play(scene)


async def _no_socket(url: str, headers: Mapping[str, str]) -> object:
    raise AssertionError("a socket was asked for")


@EVERY
def test_a_function_is_asked_for_the_key_at_each_connect(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig, asked = make_rig(), 0
        if rig.name.startswith("cascade"):
            pytest.skip("each of its parts has a key of its own")

        async def key() -> str:
            nonlocal asked
            asked += 1
            return "wrong-key"

        for _ in range(2):
            with suppress(ProviderError):
                options = RealtimeConnectOptions(websocket=rig.websocket, api_key=key, session_config=SessionConfig())
                await (await rig.model().connect(options)).close()
        assert asked == 2

    play(scene)


@EVERY
def test_audio_travels_as_declared_and_a_silent_connection_is_kept_alive_as_declared(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig, sent = make_rig(), list[str | bytes]()
        able = rig.model().capabilities

        async def watched(url: str, headers: Mapping[str, str]) -> object:
            socket = await rig.websocket(url, headers)
            send = socket.send

            async def sending(message: str | bytes) -> None:
                sent.append(message)
                await send(message)

            socket.send = sending
            return socket

        options = RealtimeConnectOptions(websocket=watched, session_config=SessionConfig())
        async with await rig.model().connect(options) as connection, asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(_read(connection))
            await asyncio.sleep(1)
            sent.clear()
            await connection.send(AudioInputAppend(tone(200)))
            await asyncio.sleep(0.01)
            assert any(isinstance(message, bytes) for message in sent) == able.binary_audio
            sent.clear()
            await asyncio.sleep(2 * (able.keepalive_s or 30))
            assert bool(sent) == (able.keepalive_s is not None)
            reading.cancel()

    play(scene)


async def _read(connection: RealtimeConnection) -> None:
    async for _ in connection:
        pass


# ---- speaking ----


@EVERY
def test_the_greeting_is_spoken_once(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        rig.will(Says("Good evening.", 800))
        async with ProviderCall(rig, greeting="Good evening.") as call:
            await call.until(lambda: bool(call.seen(Response)))
            await call.until_heard_out()
            await call.listens(2000)

            assert rig.responses() == 1
            assert call.heard_ms == pytest.approx(800, abs=FRAME_MS)
            assert [each.text for each in call.seen(Transcript)] == ["Good evening."]
            assert call.seen(Response)[-1].status == "completed"
        assert rig.violations == []

    play(scene)


@EVERY
@pytest.mark.parametrize("format", [PCM, PCMU], ids=["pcm16", "passthrough"])
def test_a_turn_is_heard_written_down_and_answered(make_rig: type[Rig], format: AudioFormat) -> None:
    async def scene() -> None:
        rig = make_rig()
        able = rig.model().capabilities
        if format not in able.input_formats or format not in able.output_formats:
            pytest.skip("not in its capabilities")
        rig.will(Says("It is noon.", 700))
        async with ProviderCall(rig, format=format) as call:
            await call.takes_a_turn()
            await call.until(lambda: bool(call.seen(Response)))
            await call.until_heard_out()

            assert [each.active for each in call.seen(Speech)] == [True, False]
            texts = {(each.role, each.text) for each in call.seen(Transcript)}
            assert texts == {("user", rig.caller_words), ("assistant", "It is noon.")}
            assert call.heard_ms == pytest.approx(700, abs=FRAME_MS)
            assert [(item.role, item.text.strip()) for item in call.session.history] == [
                ("user", rig.caller_words),
                ("assistant", "It is noon."),
            ]
            assert rig.heard_ms() == pytest.approx(call.sent_ms, abs=120)
        assert rig.violations == []

    play(scene)


@EVERY
def test_turns_follow_one_another(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        async with ProviderCall(rig) as call:
            for number in range(1, 4):
                rig.will(Says(f"Answer {number}.", 400))
                await call.takes_a_turn()
                await call.until(partial(_has_answered, rig, number))
                await call.until_heard_out()

            spoken = [each.text for each in call.seen(Transcript) if each.role == "assistant"]
            assert spoken == ["Answer 1.", "Answer 2.", "Answer 3."]
            ended = [each for each in call.seen(Response) if each.status]
            assert [each.status for each in ended] == ["completed"] * 3
            assert len({each.response_id for each in ended}) == 3
        assert rig.violations == []

    play(scene)


@EVERY
def test_what_a_call_has_used_is_the_sum_of_its_responses(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        async with ProviderCall(rig) as call:
            for number in range(1, 3):
                await call.takes_a_turn()
                await call.until(partial(_has_answered, rig, number))
                await call.until_heard_out()

            reports = call.seen(UsageReport)
            assert len(reports) == 2
            assert call.session.usage == reports[-1].total == reports[0].response + reports[1].response
            assert bool(call.session.usage.total_tokens) == (
                rig.name not in WITHOUT_TOKENS and not rig.name.startswith("cascade")
            )

    play(scene)


@EVERY
def test_a_text_message_is_answered(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        rig.will(Says("I am here.", 300))
        async with ProviderCall(rig) as call:
            await call.session.send_message("Are you there?")
            await call.until(lambda: bool(call.seen(Transcript)))
            await call.until_heard_out()

            assert rig.responses() == 1
            assert call.seen(Response)[-1].status == "completed"
        assert rig.violations == []

    play(scene)


@EVERY
def test_a_muted_caller_is_not_heard_and_is_heard_again_later(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        async with ProviderCall(rig) as call:
            await call.listens(200)
            await call.session.mute()
            before_ms = rig.heard_ms()
            await call.speaks(3000)
            assert rig.heard_ms() == before_ms
            await call.session.unmute()
            await call.takes_a_turn()
            await call.until(lambda: rig.responses() == 1)
            await call.until_heard_out()
        assert rig.violations == []

    play(scene)


# ---- tools ----


@EVERY
def test_a_tools_answer_reaches_the_model_and_is_spoken_of_once(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        rig.will(Calls((LOOKUP,)), Says("Ann is seven.", 400))
        async with ProviderCall(rig, tools=(lookup,)) as call:
            await call.takes_a_turn()
            await call.until(lambda: bool(call.seen(Transcript)) and "seven" in call.seen(Transcript)[-1].text)
            await call.until_heard_out()
            await call.listens(1500)

            assert [json.loads(output) for output in rig.results().values()] == [{"name": "Ann", "age": 7}]
            assert [each.name for each in call.seen(Tool)] == ["lookup", "lookup"]
            assert rig.responses() == 2
            assert {each.status for each in call.seen(Response)} <= {None, "completed"}
        assert rig.violations == []

    play(scene)


@EVERY
def test_parallel_tools_are_answered_each_and_spoken_of_once(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        rig.will(Calls((LOOKUP, ADD)), Says("Seven, both.", 400))
        async with ProviderCall(rig, tools=(lookup, add)) as call:
            await call.takes_a_turn()
            await call.until(lambda: any(each.text == "Seven, both." for each in call.seen(Transcript)))
            await call.until_heard_out()
            await call.listens(1500)

            outputs = sorted(rig.results().values(), key=len)
            assert [json.loads(output) for output in outputs] == [7, {"name": "Ann", "age": 7}]
            assert rig.responses() == 2
        assert rig.violations == []

    play(scene)


@EVERY
def test_a_slow_tool_holds_up_neither_audio_nor_the_answer(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        waiting = asyncio.Event()

        @tool
        async def slow() -> str:
            """Takes its time."""
            await waiting.wait()
            return "done"

        rig = make_rig()
        rig.will(Calls((ToolUse("slow"),)), Says("It is done.", 400))
        async with ProviderCall(rig, tools=(slow,)) as call:
            await call.takes_a_turn()
            await call.until(lambda: bool(call.seen(Tool)))
            before_ms = rig.heard_ms()
            await call.listens(3000)
            assert rig.heard_ms() - before_ms == pytest.approx(3000, abs=120)
            waiting.set()
            await call.until(lambda: any(each.text == "It is done." for each in call.seen(Transcript)))

            assert list(rig.results().values()) == ["done"]
        assert rig.violations == []

    play(scene)


@EVERY
def test_a_tool_that_fails_tells_the_model_why(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        rig.will(Calls((ToolUse("broken"),)), Says("They are closed.", 400))
        async with ProviderCall(rig, tools=(broken,)) as call:
            await call.takes_a_turn()
            await call.until(lambda: any(each.text == "They are closed." for each in call.seen(Transcript)))

            [output] = rig.results().values()
            assert "the shop is closed" in output
        assert rig.violations == []

    play(scene)


@having(cancels_tools=True)
def test_a_tool_call_that_the_model_takes_back_is_cancelled_and_not_answered(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        cancelled = asyncio.Event()

        @tool
        async def slow() -> str:
            """Takes for ever."""
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return "never"

        rig = make_rig()
        rig.will(Calls((ToolUse("slow"),)))
        async with ProviderCall(rig, tools=(slow,)) as call:
            await call.takes_a_turn()
            await call.until(lambda: bool(call.seen(Tool)))
            await rig.take_back(call.seen(Tool)[0].call_id)
            await call.until(cancelled.is_set)

            assert rig.results() == {}
            await call.takes_a_turn()
            await call.until(lambda: any(each.role == "assistant" for each in call.seen(Transcript)))
        assert rig.violations == []

    play(scene)


# ---- interrupting ----


@EVERY
def test_a_caller_who_speaks_up_stops_the_agent_and_is_answered(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        able = rig.model().capabilities
        rig.will(Says("A very long story that goes on and on and on.", 8000), Says("Yes?", 300))
        async with ProviderCall(rig) as call:
            await call.takes_a_turn()
            await call.until(lambda: call.heard_ms > 1000)
            await call.listens(1000)
            await call.takes_a_turn()
            await call.until(lambda: any(each.text == "Yes?" for each in call.seen(Transcript)))
            await call.until_heard_out()

            assert call.channel.interruptions == 1
            [interrupted] = call.seen(Interrupted)
            [cut] = [each for each in interrupted.heard if each.heard_ms]
            assert 900 <= cut.heard_ms <= 2600
            if able.truncate:
                assert rig.truncations() == [cut.heard_ms]
            story = next(item for item in call.session.history if item.role == "assistant")
            assert (story.status, story.heard_ms) == ("cut", cut.heard_ms)
        assert rig.violations == []

    play(scene)


@EVERY
def test_the_program_can_stop_the_agent(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        able = rig.model().capabilities
        rig.will(Says("A very long story that goes on and on and on.", 8000, holds=True))
        async with ProviderCall(rig) as call:
            await call.takes_a_turn()
            await call.until(lambda: call.heard_ms > 1000)
            await call.session.interrupt()

            assert not call.channel.is_playing
            assert len(call.seen(Interrupted)) == 1
            if able.cancel:
                assert rig.cancels() == 1
            else:
                await rig.release()
            await call.listens(1000)
            assert not call.channel.is_playing
            rig.will(Says("Yes?", 300))
            await call.takes_a_turn()
            await call.until(lambda: any(each.text == "Yes?" for each in call.seen(Transcript)))
        assert rig.violations == []

    play(scene)


# ---- errors ----


@EVERY
def test_a_model_that_cannot_answer_says_so_and_can_answer_later(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        rig.will(Fails("unavailable"), Says("Now I can.", 300))
        async with ProviderCall(rig) as call:
            await call.takes_a_turn()
            await call.until(lambda: bool(call.seen(Error) or call.seen(ModelStep)))
            for _ in range(3):
                if not any(each.text == "Now I can." for each in call.seen(Transcript)):
                    await call.takes_a_turn()
                    await call.listens(1000)

            assert any(each.text == "Now I can." for each in call.seen(Transcript))
            assert not call.seen(Closed)
        assert rig.violations == []

    play(scene)


@EVERY
def test_what_nobody_understands_is_shown_and_ends_nothing(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        async with ProviderCall(rig) as call:
            await call.listens(100)
            for message in ("not json {", '{"type": 7}', "[]", '{"type": "brand.new", "brandNew": {"a": 1}}'):
                await rig.say_raw(message)
            await call.listens(200)
            assert call.seen(Raw)
            assert {each.code for each in call.seen(Error)} <= {"malformed"}
            rig.will(Says("Still here.", 300))
            await call.takes_a_turn()
            await call.until(lambda: any(each.text == "Still here." for each in call.seen(Transcript)))
        assert rig.violations == []

    play(scene)


# ---- outliving a connection ----


def said(rig: Rig) -> list[tuple[str, str]]:
    return [(role, text.strip()) for role, text in rig.past()]


@EVERY
def test_a_connection_that_is_cut_is_followed_by_one_that_goes_on(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        rig.will(Says("Good evening.", 400), Says("It is noon.", 400))
        async with ProviderCall(rig, greeting="Good evening.") as call:
            await call.until(lambda: bool(call.seen(Transcript)))
            await call.until_heard_out()
            await call.takes_a_turn()
            await call.until(lambda: rig.responses() == 2)
            await call.until_heard_out()
            rig.drop()
            await call.until(lambda: rig.connections == 2)
            await call.listens(1000)

            assert [step.step for step in call.seen(ModelStep)] == ["failed", "resumed"]
            if rig.resumed() is None:
                assert said(rig) == [
                    ("assistant", "Good evening."),
                    ("user", rig.caller_words),
                    ("assistant", "It is noon."),
                ]
            assert rig.responses() == 0
            rig.will(Says("Here again.", 300))
            await call.takes_a_turn()
            await call.until(lambda: any(each.text == "Here again." for each in call.seen(Transcript)))
            texts = [each.text for each in call.seen(Transcript)]
            assert texts.count("Good evening.") == 1
        assert rig.violations == []

    play(scene)


@EVERY
def test_a_connection_at_its_limit_is_followed_by_one_that_goes_on(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        rig.will(Says("Good evening.", 400))
        async with ProviderCall(rig, greeting="Good evening.") as call:
            await call.until(lambda: bool(call.seen(Transcript)))
            await call.until_heard_out()
            await rig.expire()
            await call.until(lambda: rig.connections == 2)
            rig.will(Says("Here again.", 300))
            await call.takes_a_turn()
            await call.until(lambda: any(each.text == "Here again." for each in call.seen(Transcript)))

            assert [each.text for each in call.seen(Transcript)].count("Good evening.") == 1
        assert rig.violations == []

    play(scene)


@EVERY
def test_before_its_limit_a_connection_is_renewed_and_the_caller_hears_nothing_of_it(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        longest_s = rig.model().capabilities.max_connection_s
        if longest_s is None:
            pytest.skip("it has no limit")
        rig.will(Says("Good evening.", 400))
        async with ProviderCall(rig, greeting="Good evening.", max_duration_s=2 * longest_s) as call:
            await call.until(lambda: bool(call.seen(Transcript)))
            await call.until_heard_out()
            before_ms = call.heard_ms
            await asyncio.sleep(longest_s - 150)  # a caller whose telephone sends nothing
            await call.listens(60_000)

            assert [step.step for step in call.seen(ModelStep)] == ["renewed"]
            assert rig.connections == 2
            assert rig.responses() == 0
            assert call.heard_ms == before_ms
            heard_ms = rig.heard_ms(0) + rig.heard_ms(1)
            assert call.sent_ms <= heard_ms + FRAME_MS <= call.sent_ms + 1000
            rig.will(Says("Here still.", 300))
            await call.takes_a_turn()
            await call.until(lambda: any(each.text == "Here still." for each in call.seen(Transcript)))
        assert rig.violations == []

    play(scene)


@EVERY
def test_another_model_goes_on_with_what_this_one_began(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        models = LastingModel([Candidate(rig.model()), Candidate(rig.model())])
        rig.will(Says("Good evening.", 400))
        async with ProviderCall(rig, greeting="Good evening.", model=models) as call:
            await call.until(lambda: bool(call.seen(Transcript)))
            await call.until_heard_out()
            rig.will(Fails("quota"))
            await call.takes_a_turn()
            await call.until(lambda: rig.connections == 2)
            await call.until(lambda: any(step.step == "replaced" for step in call.seen(ModelStep)))

            assert ("assistant", "Good evening.") in said(rig)
            rig.will(Says("I take over.", 300))
            await call.takes_a_turn()
            await call.until(lambda: any(each.text == "I take over." for each in call.seen(Transcript)))
        assert rig.violations == []

    play(scene)
