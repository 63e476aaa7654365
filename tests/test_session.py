import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents import (
    ConfigError,
    NotSupportedError,
    ProviderError,
    RealtimeAgent,
    RealtimeConnectOptions,
    RealtimeSession,
    TokenCredential,
    ToolContext,
    TurnDetection,
    hang_up,
    tool,
    watch,
)
from agents.events import (
    AudioInputAppend,
    AudioInputCommit,
    AudioOutputDelta,
    AudioOutputDone,
    ClientEvent,
    Closed,
    Error,
    Heard,
    Interrupted,
    ItemCreate,
    ItemTruncate,
    RawEvent,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionError,
    SessionEvent,
    SessionUpdate,
    SpeechStarted,
    SpeechStopped,
    Status,
    ToolCall,
    ToolResult,
    Transcript,
    TranscriptInput,
    Usage,
)
from agents.providers.scripted import ScriptedModel
from agents.providers.scripted.steps import Close, Expect, Fail, Say, Step
from agents.realtime import AudioFormat, SessionConfig
from channels.memory import MemoryChannel
from tests.scene import Scene, play

FRAME = bytes(960)
"""20 ms of silence."""

VOICED = b"\x10\x27" * 480
"""20 ms of sound."""


def agent(*steps: Step, **more: Any) -> RealtimeAgent:
    return RealtimeAgent(name="test", model=ScriptedModel(steps, patience_s=5), **more)


def sent(session: RealtimeSession, *kinds: type[ClientEvent]) -> list[ClientEvent]:
    model = session.model
    assert isinstance(model, ScriptedModel)
    return [event for event in model.connections[-1].sent if isinstance(event, kinds or (object,))]


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not happened():  # noqa: ASYNC110 the sessions under test have no event for it
            await asyncio.sleep(0.001)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks survived: {left}"

    asyncio.run(bounded())


def cue() -> Step:
    """A step that waits until the test lets the caller say something."""
    return Expect(AudioInputAppend)


def reply(response_id: str, ms: int, *, done: bool = True) -> list[ServerEvent]:
    """A response of `ms` of audio, in pieces of 100 ms, generated at once."""
    events: list[ServerEvent] = [ResponseCreated(response_id)]
    events += [AudioOutputDelta(response_id, f"item-{response_id}", 0, bytes(4800)) for _ in range(ms // 100)]
    events.append(AudioOutputDone(response_id, f"item-{response_id}", 0))
    return [*events, ResponseDone(response_id, "completed")] if done else events


# ---- connecting and closing ----


def test_id_is_none_before_connect_and_the_providers_after_session_created() -> None:
    async def test() -> None:
        session = RealtimeSession(agent())
        assert session.id is None
        async with session:
            await until(lambda: session.id)
            assert session.id == "scripted-1"

    run(test)


def test_agent_model_channel_and_context_are_exposed_and_a_model_option_wins() -> None:
    channel_less = RealtimeSession(agent())
    assert channel_less.channel is None

    async def test() -> None:
        ours, other, channel = agent(), ScriptedModel([]), MemoryChannel()
        session = RealtimeSession(ours, model=other, channel=channel, context={"a": 1})
        assert (session.agent, session.model, session.channel, session.context) == (ours, other, channel, {"a": 1})
        with pytest.raises(AttributeError):
            session.agent = ours  # type: ignore[misc]

    run(test)


def test_a_transport_that_handles_audio_takes_no_channel() -> None:
    class Webrtc:
        handles_audio = True

        async def connect(self, model: Any, options: Any) -> Any:
            raise AssertionError("never connected")

    async def test() -> None:
        with pytest.raises(ConfigError, match="takes no channel"):
            RealtimeSession(agent(), transport=Webrtc(), channel=MemoryChannel())

    run(test)


def test_a_transport_makes_the_connection_in_the_models_place() -> None:
    class Wrapped:
        handles_audio = False

        async def connect(self, model: Any, options: RealtimeConnectOptions) -> Any:
            seen.append(options)
            return await model.connect(options)

    seen: list[RealtimeConnectOptions] = []

    async def test() -> None:
        async with RealtimeSession(agent(instructions="Be kind."), transport=Wrapped()):
            assert seen[0].session_config is not None
            assert seen[0].session_config.instructions == "Be kind."

    run(test)


def test_a_transport_that_nobody_honours_is_refused() -> None:
    with pytest.raises(NotSupportedError, match="webrtc is not supported"):
        RealtimeSession(agent(), transport="webrtc")


def test_unknown_config_fields_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="voise"):
        RealtimeSession(agent(), config={"voise": "x"})


@pytest.mark.parametrize("name", ["instructions", "tools", "variables"])
def test_config_cannot_say_what_the_agent_says(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        RealtimeSession(agent(), config={name: ()})


def test_a_session_config_among_the_connect_options_is_refused_and_not_overwritten() -> None:
    with pytest.raises(ConfigError, match="session_config"):
        RealtimeSession(agent(), connect_options=RealtimeConnectOptions(session_config=SessionConfig()))


@pytest.mark.parametrize("name", ["input_format", "output_format"])
def test_a_channel_takes_no_other_format_than_its_own(name: str) -> None:
    async def test() -> None:
        session = RealtimeSession(agent(), channel=MemoryChannel(), config={name: AudioFormat(mime_type="audio/pcmu")})
        with pytest.raises(NotSupportedError, match=f"the channel carries audio/pcm at .* {name} .*audio/pcmu"):
            await session.connect()
        await session.close()

    run(test)


def test_the_first_message_has_instructions_tools_and_the_config_option_over_the_agents() -> None:
    @tool
    def lookup(name: str) -> str:
        """Finds a customer."""
        return name

    async def test() -> None:
        turns = TurnDetection(silence_duration_ms=300)
        ours = agent(instructions="I am {{ agent }}.", tools=(lookup,), variables={"agent": "Ann"})
        async with RealtimeSession(ours, config={"turn_detection": turns, "tool_choice": "none"}) as session:
            first = sent(session)[0]
            assert isinstance(first, SessionUpdate)
            assert first.config.instructions == "I am Ann."
            assert [schema.name for schema in first.config.tools] == ["lookup"]
            assert (first.config.turn_detection, first.config.tool_choice) == (turns, "none")

    run(test)


def test_instructions_may_be_a_sync_or_async_function_called_once_per_connect() -> None:
    calls: list[object] = []

    def words(context: object) -> str:
        calls.append(context)
        return "sync"

    async def later(context: object) -> str:
        calls.append(context)
        return "async"

    async def test() -> None:
        for function, expected in ((words, "sync"), (later, "async")):
            calls.clear()
            async with RealtimeSession(agent(instructions=function), context="ctx") as session:
                update = sent(session)[0]
                assert isinstance(update, SessionUpdate)
                assert update.config.instructions == expected
            assert calls == ["ctx"]

    run(test)


def test_credentials_win_in_the_order_session_connect_option_key() -> None:
    def token(text: str) -> TokenCredential:
        return TokenCredential(text, datetime.now(UTC) + timedelta(minutes=1))

    async def test() -> None:
        ours = agent()
        mine, theirs = token("mine"), token("theirs")
        options = RealtimeConnectOptions(credential=theirs, api_key="test-key")
        async with RealtimeSession(ours, credential=mine, connect_options=options, api_key="other-key"):
            pass
        async with RealtimeSession(ours, connect_options=options):
            pass
        model = ours.model
        assert isinstance(model, ScriptedModel)
        assert [c.options.credential for c in model.connections] == [mine, theirs]
        assert [c.options.api_key for c in model.connections] == ["other-key", "test-key"]

    run(test)


def test_status_goes_connecting_connected_closed_and_a_late_listener_still_gets_connected() -> None:
    async def test() -> None:
        seen: list[str] = []
        late: list[str] = []
        session = RealtimeSession(agent()).on("status", lambda event: seen.append(event.status))
        async with session:
            session.on("status", lambda event: late.append(event.status))
            assert late == ["connected"]
        assert seen == ["connecting", "connected", "closed"]
        assert late == ["connected", "closed"]

    run(test)


def test_overlapping_connects_raise_and_a_second_one_after_the_first_does_nothing() -> None:
    async def test() -> None:
        session = RealtimeSession(agent())
        first = asyncio.create_task(session.connect())
        await asyncio.sleep(0)
        with pytest.raises(ConfigError, match="under way"):
            await session.connect()
        await first
        await session.connect()
        assert len(session.model.connections) == 1  # type: ignore[attr-defined]
        await session.close()

    run(test)


def test_a_failed_connect_leaves_the_session_retryable_and_listeners_single() -> None:
    async def test() -> None:
        seen: list[SessionEvent] = []
        session = RealtimeSession(agent(Fail("network", "no route", retryable=True))).on("status", seen.append)
        for _ in range(2):
            seen.clear()
            with pytest.raises(ProviderError, match="no route"):
                await session.connect()
            assert seen == [Status("connecting"), Status("closed")]
        await session.close()

    run(test)


def test_connect_after_close_is_refused() -> None:
    async def test() -> None:
        session = RealtimeSession(agent())
        async with session:
            pass
        with pytest.raises(ConfigError, match="over"):
            await session.connect()

    run(test)


def test_a_cancelled_connect_leaves_nothing_behind() -> None:
    async def test() -> None:
        async def slow(_: object) -> str:
            await asyncio.sleep(60)
            return ""

        session = RealtimeSession(agent(instructions=slow))
        connecting = asyncio.create_task(session.connect())
        await asyncio.sleep(0.01)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting

    run(test)


@pytest.mark.parametrize("is_waited_for", [True, False])
def test_closing_in_the_turn_in_which_connecting_began_ends_both(is_waited_for: bool) -> None:
    async def test() -> None:
        channel, ours = MemoryChannel(), agent()
        session = RealtimeSession(ours, channel=channel)
        events = session.events()
        connecting, closing = (asyncio.create_task(each) for each in (session.connect(), session.close("caller")))
        await asyncio.sleep(0)
        if not is_waited_for:
            closing.cancel()
        with pytest.raises(ConfigError, match="closed while it was connecting"):
            await connecting
        await asyncio.wait({closing})
        assert closing.cancelled() is not is_waited_for
        assert (session.closed, channel.is_closed) == (Closed("caller"), True)
        assert [event async for event in events] == [Status("closed"), Closed("caller")]
        assert isinstance(ours.model, ScriptedModel)
        assert not ours.model.connections

    run(test)


def test_close_is_safe_before_connect_twice_and_while_connecting() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        never = RealtimeSession(agent(), channel=channel)
        await never.close()
        await never.close()
        assert channel.is_closed

        session = RealtimeSession(agent())
        await session.connect()
        await session.close()
        await session.close()

        async def slow(_: object) -> str:
            await asyncio.sleep(60)
            return ""

        hesitating = RealtimeSession(agent(instructions=slow))
        connecting = asyncio.create_task(hesitating.connect())
        await asyncio.sleep(0.01)
        await hesitating.close()
        with pytest.raises(ConfigError, match="closed while"):
            await connecting

    run(test)


@pytest.mark.parametrize("moments", range(8))
def test_closing_at_any_moment_of_connecting_leaves_nobody_waiting(moments: int) -> None:
    async def test() -> None:
        session = RealtimeSession(agent())
        connecting = asyncio.create_task(session.connect())
        for _ in range(moments):
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await session.close("caller")
            await asyncio.wait({connecting})
        assert session.closed == Closed("caller")
        assert connecting.done()
        assert type(connecting.exception()) in (ConfigError, type(None))

    run(test)


def test_closing_while_connecting_tells_observers_closes_the_channel_and_keeps_the_reason() -> None:
    async def test() -> None:
        async def slow(_: object) -> str:
            await asyncio.sleep(60)
            return ""

        channel = MemoryChannel()
        session = RealtimeSession(agent(instructions=slow), channel=channel)
        events = session.events()
        connecting = asyncio.create_task(session.connect())
        await asyncio.sleep(0.01)
        await session.close("caller")
        with pytest.raises(ConfigError):
            await connecting
        assert [event async for event in events] == [Status("connecting"), Status("closed"), Closed("caller")]
        assert (session.closed, channel.is_closed) == (Closed("caller"), True)

    run(test)


def test_closing_before_connecting_ends_the_iterators_too() -> None:
    async def test() -> None:
        session = RealtimeSession(agent())
        events = session.events()
        await session.close()
        assert [event async for event in events] == [Status("closed"), Closed("closed")]

    run(test)


def test_a_connect_that_timed_out_may_be_tried_again() -> None:
    async def test() -> None:
        waits = [60.0, 0.0]

        async def slow(_: object) -> str:
            await asyncio.sleep(waits.pop(0))
            return ""

        session = RealtimeSession(agent(instructions=slow))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await session.connect()
        await session.connect()
        await session.close()

    run(test)


@pytest.mark.parametrize("is_async", [False, True])
def test_close_inside_a_listener_ends_the_session(is_async: bool) -> None:
    async def test() -> None:
        session = RealtimeSession(agent(TranscriptInput("i", "stop")), channel=MemoryChannel())
        finished: list[str] = []

        async def close(_: object) -> None:
            await session.close()
            await session.close()
            finished.append("async")

        def begin_close(_: object) -> Any:
            return close(_)

        session.on("transcript", close if is_async else begin_close)
        await session.connect()
        await session.wait_closed()
        assert finished == ["async"]

    run(test)


def test_connect_inside_a_listener_is_safe() -> None:
    async def test() -> None:
        session = RealtimeSession(agent())

        async def again(_: object) -> None:
            await session.connect()

        session.on("status", again)
        async with session:
            await asyncio.sleep(0.01)
        assert len(session.model.connections) == 1  # type: ignore[attr-defined]

    run(test)


def test_the_channel_is_closed_before_the_connection_and_no_handler_fires_after_close() -> None:
    order: list[str] = []

    class Watched(MemoryChannel):
        async def close(self) -> None:
            order.append("late" if model.connections[0].is_closed else "channel")
            await super().close()

    async def test() -> None:
        session = RealtimeSession(agent(), model=model, channel=Watched())
        seen: list[SessionEvent] = []
        for kind in ("status", "closed", "error", "transcript"):
            session.on(kind, seen.append)
        async with session:
            pass
        assert order == ["channel"]
        assert seen[-1] == Closed("closed")
        seen.clear()
        assert session.emit(Error("x", "y")) is False
        assert seen == []

    model = ScriptedModel([])
    run(test)


def test_sending_before_connect_raises_and_after_the_end_does_nothing() -> None:
    async def test() -> None:
        session = RealtimeSession(agent())
        sends: tuple[Callable[[], Awaitable[None]], ...] = (
            lambda: session.send_audio(FRAME),
            session.commit,
            lambda: session.send_message("x"),
            session.interrupt,
            session.mute,
        )
        for send in sends:
            with pytest.raises(ConfigError, match="not connected"):
                await send()
        async with session:
            pass
        before = len(sent(session))
        await session.send_audio(FRAME)
        await session.commit()
        await session.send_message("x")
        await session.interrupt()
        assert len(sent(session)) == before

    run(test)


# ---- endings ----


def test_a_caller_who_hangs_up_ends_the_session_and_the_model() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        session = RealtimeSession(agent(), channel=channel)
        async with session:
            channel.hang_up()
            assert await session.wait_closed() == Closed("caller")
        assert session.model.connections[0].is_closed  # type: ignore[attr-defined]

    run(test)


def test_a_line_that_breaks_ends_the_session_with_its_reason() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        async with RealtimeSession(agent(), channel=channel) as session:
            channel.drop("half-open")
            assert await session.wait_closed() == Closed("line", "half-open")

    run(test)


def test_a_provider_that_fails_is_an_error_event_and_ends_the_session() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        errors: list[Error] = []
        session = RealtimeSession(agent(cue(), Fail("network", "gone", retryable=True)), channel=channel)
        session.on("error", errors.append)
        async with session:
            channel.say(FRAME)
            assert await session.wait_closed() == Closed("provider", "network: gone")
        assert errors == [Error("network", "gone", retryable=True)]
        assert channel.is_closed

    run(test)


def test_a_provider_that_closes_in_good_order_ends_the_session() -> None:
    async def test() -> None:
        async with RealtimeSession(agent(Close()), channel=MemoryChannel()) as session:
            assert (await session.wait_closed()).reason == "provider"

    run(test)


def test_a_call_longer_than_the_agent_allows_ends() -> None:
    async def test() -> None:
        async with RealtimeSession(agent(max_duration_s=0.05), channel=MemoryChannel()) as session:
            assert await session.wait_closed() == Closed("time-limit")

    run(test)


def test_a_server_error_does_not_end_the_session_and_a_benign_one_is_not_told() -> None:
    async def test() -> None:
        errors: list[Error] = []
        steps = [SessionError("invalid_value", "bad"), SessionError("late", "never mind", benign=True)]
        session = RealtimeSession(agent(*steps, TranscriptInput("i", "still here")))
        session.on("error", errors.append)
        async with session:
            heard = asyncio.Event()
            session.on("transcript", lambda _: heard.set())
            await asyncio.wait_for(heard.wait(), 5)
            assert errors == [Error("invalid_value", "bad")]
            assert session.agent.name == "test"

    run(test)


@pytest.mark.parametrize("steps", [(), (Expect(ResponseCreate),)])
def test_a_model_that_owes_an_answer_and_says_nothing_is_given_up(
    steps: tuple[Step, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "MODEL_SILENCE_S", 0.05)
    monkeypatch.setattr(watch, "CHECK_S", 0.01)

    async def test() -> None:
        async with RealtimeSession(agent(*steps, greeting="Hello."), channel=MemoryChannel()) as session:
            assert await session.wait_closed() == Closed("provider", "timeout: the model was silent for 0.05 s")

    run(test)


def test_a_model_that_owes_nothing_may_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MODEL_SILENCE_S", 0.02)
    monkeypatch.setattr(watch, "CHECK_S", 0.01)

    async def test() -> None:
        async with RealtimeSession(agent(), channel=MemoryChannel()) as session:
            await asyncio.sleep(0.1)
            assert session.closed is None

    run(test)


# ---- observation ----


@pytest.mark.parametrize("is_async", [False, True])
def test_a_listener_that_ends_in_cancelled_error_hurts_nobody(is_async: bool, caplog: pytest.LogCaptureFixture) -> None:
    def cancelled(_: object) -> None:
        raise asyncio.CancelledError

    async def cancelled_later(_: object) -> None:
        raise asyncio.CancelledError

    async def test() -> None:
        seen: list[Any] = []

        async def note(event: object) -> None:
            seen.append(event)

        channel = MemoryChannel()
        session = RealtimeSession(
            agent(cue(), TranscriptInput("a", "one"), TranscriptInput("b", "two")), channel=channel
        )
        session.on("transcript", cancelled_later if is_async else cancelled).on("transcript", note)
        async with session:
            channel.say(FRAME)
            await until(lambda: len(seen) == 2)

    with caplog.at_level(logging.CRITICAL):
        run(test)


def test_a_listener_that_raises_hurts_neither_the_others_nor_the_call(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        seen: list[str] = []

        def broken(_: object) -> None:
            raise RuntimeError("listener bug")

        channel = MemoryChannel()
        session = RealtimeSession(
            agent(cue(), TranscriptInput("a", "one"), TranscriptInput("b", "two")), channel=channel
        )
        session.on("transcript", broken).on("transcript", lambda event: seen.append(event.text))
        async with session:
            channel.say(FRAME)
            await until(lambda: len(seen) == 2)
        assert seen == ["one", "two"]

    with caplog.at_level(logging.CRITICAL):
        run(test)


def test_the_async_iterator_gives_the_same_events_and_ends_with_closed() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        session = RealtimeSession(agent(cue(), TranscriptInput("a", "hello"), Close()), channel=channel)
        events = session.events()
        async with session:
            channel.say(FRAME)
            seen = [event async for event in events]
        assert Transcript("user", "a", "hello") in seen
        assert isinstance(seen[-1], Closed)

    run(test)


def test_unknown_provider_events_are_visible_as_raw() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        session = RealtimeSession(agent(cue(), RawEvent("new.thing", {"a": 1})), channel=channel)
        raw: list[Any] = []
        session.on("raw", raw.append)
        async with session:
            channel.say(FRAME)
            await until(lambda: raw)
        assert (raw[0].type, raw[0].payload) == ("new.thing", {"a": 1})

    run(test)


def test_audio_is_told_for_delta_and_done_and_usage_is_summed() -> None:
    async def test() -> None:
        done = ResponseDone("r2", "cancelled", Usage(1, 2), "turn_detected")
        steps = [
            *reply("r1", 200, done=False),
            ResponseDone("r1", "completed", Usage(10, 20)),
            ResponseCreated("r2"),
            done,
        ]
        channel = MemoryChannel()
        session = RealtimeSession(agent(cue(), *steps), channel=channel)
        audio: list[Any] = []
        session.on("audio", audio.append)
        async with session:
            channel.say(FRAME)
            await until(lambda: session.usage.total_tokens == 33)
        assert [(len(event.pcm), event.done) for event in audio] == [(4800, False), (4800, False), (0, True)]
        assert session.usage == Usage(11, 22)

    run(test)


# ---- audio in ----


def test_channel_audio_reaches_the_model_once_in_order_and_unchanged() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        frames = [bytes([n]) * 960 for n in range(50)]
        async with RealtimeSession(agent(), channel=channel) as session:
            for frame in frames:
                channel.say(frame)
            await until(lambda: len(sent(session, AudioInputAppend)) == 50)
            assert [event.pcm for event in sent(session, AudioInputAppend)] == frames  # type: ignore[union-attr]
            assert sent(session, AudioInputCommit) == []

    run(test)


def test_send_audio_with_commit_appends_and_then_commits() -> None:
    async def test() -> None:
        async with RealtimeSession(agent()) as session:
            await session.send_audio(FRAME, commit=True)
            assert sent(session)[1:] == [AudioInputAppend(FRAME), AudioInputCommit()]

    run(test)


def test_send_message_adds_a_user_item_and_requests_a_response_unless_told_not_to() -> None:
    async def test() -> None:
        async with RealtimeSession(agent()) as session:
            await session.send_message("quiet", respond=False)
            await session.send_message("hello")
            messages = [event for event in sent(session, ItemCreate) if isinstance(event, ItemCreate)]
            assert [(event.role, event.text) for event in messages] == [("user", "quiet"), ("user", "hello")]
            assert [item.item_id for item in session.history] == [event.item_id for event in messages]
            assert len(sent(session, ResponseCreate)) == 1

    run(test)


def test_mute_keeps_audio_from_the_model_and_unmute_resumes() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        async with RealtimeSession(agent(), channel=channel) as session:
            await session.mute()
            await session.mute()
            assert session.muted
            channel.say(VOICED)
            channel.press("1")
            digits: list[Any] = []
            session.on("dtmf", digits.append)
            await until(lambda: digits)
            assert sent(session, AudioInputAppend) == []
            await session.unmute()
            assert not session.muted
            channel.say(VOICED)
            await until(lambda: sent(session, AudioInputAppend))
            assert sent(session, AudioInputAppend) == [AudioInputAppend(VOICED)]

    run(test)


def test_muting_in_mid_speech_sends_silence_until_the_model_noticed_the_end() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        steps = [cue(), SpeechStarted("u1"), cue(), cue(), SpeechStopped("u1")]
        session = RealtimeSession(agent(*steps), channel=channel)
        speech: list[bool] = []
        session.on("speech", lambda event: speech.append(event.active))
        async with session:
            channel.say(VOICED)
            await until(lambda: speech == [True])
            await session.mute()
            channel.say(VOICED)
            channel.say(VOICED)
            await until(lambda: speech == [True, False])
            channel.say(VOICED)
            channel.press("1")
            digits: list[Any] = []
            session.on("dtmf", digits.append)
            await until(lambda: digits)
            assert [event.pcm for event in sent(session, AudioInputAppend)] == [VOICED, FRAME, FRAME]  # type: ignore[union-attr]

    run(test)


# ---- greeting and sequencing ----


def test_the_greeting_is_requested_once_after_the_line_and_the_config_are_there() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        ours = agent(
            Expect(ResponseCreate, {"say": "Hello Bob."}),
            *reply("r1", 300),
            greeting="Hello {{ who }}.",
            variables={"who": "Bob"},
        )
        async with RealtimeSession(ours, channel=channel) as session:
            await until(lambda: len(channel.heard) == 3)
            assert [type(event) for event in sent(session)] == [SessionUpdate, ResponseCreate]

    run(test)


def test_without_a_greeting_the_agent_waits() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        async with RealtimeSession(agent(), channel=channel) as session:
            channel.say(FRAME)
            await until(lambda: sent(session, AudioInputAppend))
            assert sent(session, ResponseCreate) == []

    run(test)


def test_two_response_creates_are_never_in_flight_and_plain_requests_merge() -> None:
    async def test() -> None:
        steps: list[Step] = [Expect(ResponseCreate), ResponseCreated("r1"), cue(), ResponseDone("r1", "completed")]
        async with RealtimeSession(agent(*steps)) as session:
            for text in ("one", "two", "three"):
                await session.send_message(text)
            assert len(sent(session, ResponseCreate)) == 1
            await session.send_audio(FRAME)
            await until(lambda: len(sent(session, ResponseCreate)) == 2)

    run(test)


def test_a_refused_request_frees_the_slot_and_is_repeated_after_the_models_own_response() -> None:
    async def test() -> None:
        busy = SessionError("conversation_already_has_active_response", "busy", event_id="request-1")
        steps: list[Step] = [
            Expect(ResponseCreate),
            ResponseCreated("own"),
            busy,
            ResponseDone("own", "completed"),
            Expect(ResponseCreate),
            ResponseCreated("ours"),
        ]
        errors: list[Any] = []
        session = RealtimeSession(agent(*steps)).on("error", errors.append)
        async with session:
            await session.send_message("hello")
            await until(lambda: len(sent(session, ResponseCreate)) == 2)
        assert errors == []

    run(test)


# ---- interruption ----


def barge_in(*before: Step, channel: MemoryChannel, **more: Any) -> RealtimeSession:
    """A session whose model speaks on the first cue and hears the caller on the second."""
    return RealtimeSession(agent(cue(), *before, cue(), SpeechStarted("u1"), **more), channel=channel)


def test_speech_during_playback_silences_the_line_then_truncates_where_it_was_heard() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        session = barge_in(*reply("r1", 2000, done=False), channel=channel)
        told: list[Interrupted] = []
        session.on("interrupted", told.append)
        async with session:
            channel.say(FRAME)
            await until(lambda: len(channel.heard) == 20)
            channel.play(700)
            channel.say(FRAME)
            await until(lambda: told)
            assert channel.interruptions == 1
            assert sent(session, ItemTruncate, ResponseCancel) == [ItemTruncate("item-r1", 0, 700)]
            assert told == [Interrupted((Heard("item-r1", 0, 700, 2000),))]

    run(test)


def test_speech_with_nothing_playing_and_no_response_does_nothing() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        session = barge_in(channel=channel)
        speech: list[Any] = []
        told: list[Any] = []
        session.on("speech", speech.append).on("interrupted", told.append)
        async with session:
            channel.say(FRAME)
            channel.say(FRAME)
            await until(lambda: speech)
            assert (channel.interruptions, told) == (0, [])
            assert sent(session, ItemTruncate, ResponseCancel) == []

    run(test)


def test_barge_in_after_response_done_still_silences_and_truncates_and_does_not_cancel() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        session = barge_in(*reply("r1", 1000), channel=channel)
        async with session:
            channel.say(FRAME)
            await until(lambda: len(channel.heard) == 10)
            channel.play(300)
            channel.say(FRAME)
            await until(lambda: sent(session, ItemTruncate))
            assert sent(session, ItemTruncate, ResponseCancel) == [ItemTruncate("item-r1", 0, 300)]

    run(test)


def test_an_answer_heard_to_its_end_is_not_truncated() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        session = barge_in(*reply("r1", 1000), channel=channel)
        speech: list[Any] = []
        session.on("speech", speech.append)
        async with session:
            channel.say(FRAME)
            await until(lambda: len(channel.heard) == 10)
            await until(lambda: session.channel is not None)
            await asyncio.sleep(0.01)
            channel.play_all()
            channel.say(FRAME)
            await until(lambda: speech)
            assert (channel.interruptions, sent(session, ItemTruncate)) == (0, [])

    run(test)


def test_of_two_queued_items_the_first_is_cut_where_it_was_heard_and_the_second_at_zero() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        session = barge_in(*reply("r1", 500), *reply("r2", 500), channel=channel)
        async with session:
            channel.say(FRAME)
            await until(lambda: len(channel.heard) == 10)
            channel.play(200)
            channel.say(FRAME)
            await until(lambda: len(sent(session, ItemTruncate)) == 2)
            assert sent(session, ItemTruncate) == [ItemTruncate("item-r1", 0, 200), ItemTruncate("item-r2", 0, 0)]

    run(test)


def test_interrupt_cancels_an_active_response_once_and_drops_its_late_audio() -> None:
    async def test() -> None:
        late = AudioOutputDelta("r1", "item-r1", 0, bytes(4800))
        steps = [
            cue(),
            *reply("r1", 500, done=False)[:-1],
            Expect(ResponseCancel),
            late,
            late,
            ResponseDone("r1", "cancelled"),
            *reply("r2", 100),
        ]
        channel = MemoryChannel()
        session = RealtimeSession(agent(*steps), channel=channel)
        async with session:
            channel.say(FRAME)
            await until(lambda: len(channel.heard) == 5)
            await asyncio.gather(session.interrupt(), session.interrupt())
            await until(lambda: len(channel.heard) == 6)
            assert [item.response_id for item, _ in channel.heard] == ["r1"] * 5 + ["r2"]
            assert (channel.interruptions, len(sent(session, ResponseCancel))) == (1, 1)
            assert len(sent(session, ItemTruncate)) == 1

    run(test)


def test_two_interrupts_in_a_row_are_told_once() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        session = RealtimeSession(agent(cue(), *reply("r1", 500, done=False)), channel=channel)
        told: list[Any] = []
        session.on("interrupted", told.append)
        async with session:
            channel.say(FRAME)
            await until(lambda: len(channel.heard) == 5)
            await asyncio.gather(session.interrupt(), session.interrupt())
            await session.interrupt()
            assert len(told) == 1

    run(test)


def test_a_response_that_is_cancelled_before_it_began_never_sounds_and_the_next_one_does() -> None:
    async def test() -> None:
        steps = [Expect(ResponseCancel), *reply("r1", 300), cue(), *reply("r2", 300)]
        channel = MemoryChannel()
        session = RealtimeSession(agent(*steps, greeting="Hello."), channel=channel)
        ended: list[Any] = []
        session.on("response", lambda event: ended.append(event) if event.status else None)
        async with session:
            await until(lambda: sent(session, ResponseCreate))
            await session.interrupt()
            await until(lambda: ended)
            assert channel.heard == []
            channel.say(FRAME)
            await until(lambda: len(channel.heard) == 3)

    run(test)


def test_a_response_asked_for_while_the_caller_speaks_is_heard() -> None:
    async def test() -> None:
        steps = [Expect(ResponseCreate), SpeechStarted("u1"), *reply("r1", 300)]
        channel = MemoryChannel()
        async with RealtimeSession(agent(*steps, greeting="Hello."), channel=channel):
            await until(lambda: len(channel.heard) == 3)

    run(test)


def test_audio_that_comes_while_the_line_is_being_silenced_is_dropped() -> None:
    class Slow(MemoryChannel):
        async def interrupt(self) -> Awaitable[tuple[Heard, ...]] | None:
            heard = await super().interrupt()
            await until(lambda: len(told) == 2)
            return heard

    told: list[Any] = []

    async def test() -> None:
        late = AudioOutputDelta("r1", "item-r1", 0, bytes(4800))
        steps = [cue(), *reply("r1", 500, done=False)[:-1], cue(), late, late, TranscriptInput("x", "1"),
                 TranscriptInput("y", "2")]  # fmt: skip
        channel = Slow()
        session = RealtimeSession(agent(*steps), channel=channel)
        session.on("transcript", told.append)
        async with session:
            channel.say(FRAME)
            await until(lambda: len(channel.heard) == 5)
            interrupting = asyncio.create_task(session.interrupt())
            await asyncio.sleep(0)
            channel.say(FRAME)
            await interrupting
            assert len(channel.heard) == 5

    run(test)


def test_interrupt_of_a_silent_agent_sends_nothing() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        async with RealtimeSession(agent(), channel=channel) as session:
            await session.interrupt()
            assert sent(session, ItemTruncate, ResponseCancel) == []
            assert channel.interruptions == 0

    run(test)


def test_interrupt_response_false_disables_barge_in_but_not_interrupt() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        quiet = SessionConfig(turn_detection=TurnDetection(interrupt_response=False))
        session = barge_in(*reply("r1", 1000), channel=channel, config=quiet)
        speech: list[Any] = []
        session.on("speech", speech.append)
        async with session:
            channel.say(FRAME)
            await until(lambda: len(channel.heard) == 10)
            channel.say(FRAME)
            await until(lambda: speech)
            assert channel.interruptions == 0
            await session.interrupt()
            assert channel.interruptions == 1

    run(test)


def test_the_line_is_silenced_before_the_model_is_told() -> None:
    async def test() -> None:
        order: list[str] = []

        class Watched(MemoryChannel):
            async def interrupt(self) -> Awaitable[tuple[Heard, ...]] | None:
                if not self.is_closed:
                    order.append("late clear" if sent(session, ItemTruncate, ResponseCancel) else "clear")
                return await super().interrupt()

        channel = Watched()
        session = barge_in(*reply("r1", 1000), channel=channel)
        async with session:
            channel.say(FRAME)
            await until(lambda: len(channel.heard) == 10)
            channel.say(FRAME)
            await until(lambda: sent(session, ItemTruncate))
        assert order == ["clear"]

    run(test)


# ---- tools ----


def test_a_tool_is_answered_with_its_call_id_and_exactly_one_response_follows_the_last_result() -> None:
    release = asyncio.Event()

    @tool
    async def slow(call: ToolContext, n: int) -> dict[str, object]:
        """Waits."""
        await release.wait()
        return {"n": n, "context": call.context}

    @tool
    async def fast() -> str:
        """Does not wait."""
        return "quick"

    async def test() -> None:
        steps = [
            cue(),
            ResponseCreated("r1"),
            ToolCall("r1", "c1", "slow", '{"n": 3}'),
            ToolCall("r1", "c2", "fast", ""),
            Expect(ToolResult, {"call_id": "c2"}),
            ResponseDone("r1", "completed"),
            Expect(ResponseCreate),
            *reply("r2", 100),
        ]
        channel = MemoryChannel()
        session = RealtimeSession(agent(*steps, tools=(slow, fast)), channel=channel, context="ctx")
        ended: list[Any] = []
        session.on("response", lambda event: ended.append(event) if event.status else None)
        async with session:
            channel.say(FRAME)
            await until(lambda: ended)
            assert sent(session, ResponseCreate) == []
            release.set()
            await until(lambda: channel.heard)
            assert sent(session, ToolResult, ResponseCreate)[:2] == [
                ToolResult("c2", "quick"),
                ToolResult("c1", '{"n":3,"context":"ctx"}'),
            ]
            assert len(sent(session, ResponseCreate)) == 1

    run(test)


def test_an_unknown_tool_is_answered_with_an_error_that_names_it() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        async with RealtimeSession(agent(cue(), ToolCall("r1", "c1", "nope", "{}")), channel=channel) as session:
            channel.say(FRAME)
            await until(lambda: sent(session, ToolResult))
            assert sent(session, ToolResult) == [
                ToolResult("c1", "Error: there is no tool named 'nope'.", has_failed=True)
            ]

    run(test)


def test_a_slow_tool_delays_neither_audio_nor_barge_in_and_is_cancelled_at_hang_up() -> None:
    cancelled: list[bool] = []

    @tool
    async def forever() -> str:
        """Never ends."""
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return ""

    async def test() -> None:
        channel = MemoryChannel()
        call = ToolCall("r0", "c1", "forever", "{}")
        session = barge_in(call, *reply("r1", 500), channel=channel, tools=(forever,))
        async with session:
            channel.say(FRAME)
            await until(lambda: len(channel.heard) == 5)
            channel.say(FRAME)
            await until(lambda: channel.interruptions)
            channel.hang_up()
            assert (await session.wait_closed()).reason == "caller"
        assert cancelled == [True]

    run(test)


def test_a_repeated_call_id_runs_once(caplog: pytest.LogCaptureFixture) -> None:
    runs: list[int] = []

    @tool
    async def count() -> str:
        """Counts."""
        runs.append(1)
        return "ok"

    async def test() -> None:
        channel = MemoryChannel()
        call = ToolCall("r1", "c1", "count", "{}")
        steps = [cue(), call, call, TranscriptInput("x", "end")]
        session = RealtimeSession(agent(*steps, tools=(count,)), channel=channel)
        said: list[Any] = []
        session.on("transcript", said.append)
        async with session:
            channel.say(FRAME)
            await until(lambda: said and sent(session, ToolResult))
        assert runs == [1]

    with caplog.at_level(logging.ERROR):
        run(test)


def test_hang_up_ends_the_call_when_the_goodbye_was_heard() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        goodbye = [
            *reply("r1", 500, done=False),
            ToolCall("r1", "c1", "hang_up", "{}"),
            ResponseDone("r1", "completed"),
        ]
        session = RealtimeSession(agent(cue(), *goodbye, tools=(hang_up,)), channel=channel)
        async with session:
            channel.say(FRAME)
            await until(lambda: len(channel.heard) == 5)
            channel.play(400)
            await asyncio.sleep(0.02)
            assert not channel.is_closed
            channel.play_all()
            assert await session.wait_closed() == Closed("agent")

    run(test)


def test_a_caller_who_interrupts_the_goodbye_keeps_the_call() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        goodbye = [
            *reply("r1", 500, done=False),
            ToolCall("r1", "c1", "hang_up", "{}"),
            ResponseDone("r1", "completed"),
        ]
        session = barge_in(*goodbye, channel=channel, tools=(hang_up,))
        async with session:
            channel.say(FRAME)
            await until(lambda: len(channel.heard) == 5)
            channel.play(100)
            await asyncio.sleep(0.02)
            channel.say(FRAME)
            await until(lambda: sent(session, ToolResult))
            output = sent(session, ToolResult)[0]
            assert isinstance(output, ToolResult)
            assert "goes on" in output.output
            assert not channel.is_closed

    run(test)


def test_an_interruption_counts_before_the_line_is_silent() -> None:
    class Slow(MemoryChannel):
        async def interrupt(self) -> Awaitable[tuple[Heard, ...]] | None:
            heard = await super().interrupt()
            await asyncio.sleep(0.02)
            return heard

    async def test() -> None:
        channel = Slow()
        session = RealtimeSession(agent(cue(), *reply("r1", 500)), channel=channel)
        async with session:
            channel.say(FRAME)
            await until(lambda: len(channel.heard) == 5)
            waiting = asyncio.create_task(session.wait_played(5))
            await asyncio.sleep(0.01)
            await session.interrupt()
            assert await waiting is False

    run(test)


def test_nothing_is_sent_to_the_model_once_a_tool_has_hung_up() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        bye: list[Step] = [
            ResponseCreated("r1"),
            ToolCall("r1", "c1", "hang_up", "{}"),
            ResponseDone("r1", "completed"),
        ]
        session = RealtimeSession(agent(cue(), *bye, tools=(hang_up,)), channel=channel)
        async with session:
            channel.say(FRAME)
            await session.wait_closed()
        assert sent(session, ToolResult, ResponseCreate) == []

    run(test)


def test_close_after_playback_lets_the_caller_hear_the_agent_out() -> None:
    async def test() -> None:
        channel = MemoryChannel()
        session = RealtimeSession(agent(Expect(ResponseCreate), Say("Bye.", 300), greeting="Bye."), channel=channel)
        async with session:
            await until(lambda: len(channel.heard) == 3)
            closing = asyncio.create_task(session.close(after_playback=True))
            await asyncio.sleep(0.02)
            assert not channel.is_closed
            channel.play_all()
            await closing
        assert channel.is_closed

    run(test)


@pytest.mark.parametrize("from_tool", [False, True])
def test_close_after_playback_inside_a_listener_or_a_tool_returns_at_once_and_outlives_its_time(
    from_tool: bool,
) -> None:
    returned: list[str] = []

    @tool
    async def leave(call: ToolContext) -> None:
        await call.session.close("agent", after_playback=True)
        returned.append("tool")

    async def scene() -> None:
        async with Scene(tools=(leave,)) as call:

            async def close(_: Transcript) -> None:
                await call.session.close("agent", after_playback=True)
                returned.append("listener")

            call.session.on("transcript", close)
            await call.replies("r1", 40_000, done=False)
            await call.says(ToolCall("r1", "c1", "leave", "{}") if from_tool else TranscriptInput("u1", "That is all."))
            await call.says(AudioOutputDone("r1", "item-r1", 0), ResponseDone("r1", "completed"))
            at_once = list(returned)
            await call.passes(39_900)
            before_the_end = call.session.closed
            await call.passes(100)

            assert at_once == ["tool" if from_tool else "listener"]
            assert (before_the_end, call.session.closed) == (None, Closed("agent"))
            assert call.sent(ResponseCreate) == []

    play(scene)


def test_a_caller_who_interrupts_what_close_waits_for_ends_the_call_at_once() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 10_000)
            closing = asyncio.create_task(call.session.close("agent", after_playback=True))
            await call.passes(1000)
            before = call.session.closed

            await call.begins_to_speak()

            assert (before, call.session.closed) == (None, Closed("agent"))
            await closing

    play(scene)


def test_close_after_playback_waits_only_so_long() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 10_000)
            closing = asyncio.create_task(call.session.close(after_playback=True, timeout_s=3))
            await call.passes(2900)
            before = call.session.closed
            await call.passes(100)

            assert (before, call.session.closed) == (None, Closed("closed"))
            await closing

    play(scene)


def test_who_is_cancelled_while_closing_after_playback_has_closed_the_session_all_the_same() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 1000)
            closing = asyncio.create_task(call.session.close(after_playback=True))
            await call.settles()
            closing.cancel()
            await call.passes(980)
            before = call.session.closed
            await call.passes(20)

            assert (before, call.session.closed) == (None, Closed("closed"))

    play(scene)
