"""What the seeds' sessions promise, where no module's own tests say it: sessions side by side, events, one context."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from agents import (
    Guardrail,
    GuardrailContext,
    ProviderError,
    RealtimeAgent,
    RealtimeConnectOptions,
    RealtimeSession,
    RealtimeSessionOptions,
    ToolContext,
    tool,
)
from agents.events import (
    Audio,
    AudioInputCommit,
    Error,
    Interrupted,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    SessionError,
    SessionEvent,
    Status,
    Text,
    TextOutput,
    TextOutputDelta,
    ToolCall,
    Transcript,
    TranscriptInput,
    TranscriptInputDelta,
    TranscriptOutput,
    TranscriptOutputDelta,
    Usage,
    UsageReport,
)
from agents.providers.openai import OpenAIModel
from agents.providers.scripted import ScriptedModel
from agents.providers.scripted.steps import Expect
from agents.realtime import RealtimeAuthenticateOptions
from channels.memory import MemoryChannel
from tests.fake_net import in_memory
from tests.fake_openai import FakeOpenAI
from tests.scene import Scene, play, reply, voice


def test_sessions_of_one_model_have_an_id_a_mute_flag_and_a_ledger_of_their_own() -> None:
    async def test() -> None:
        model = ScriptedModel([Expect(ResponseCreate), *reply("r1", voice(1000))])
        ours = RealtimeAgent(name="test", model=model, greeting="Hello.")
        lines = [MemoryChannel(), MemoryChannel()]
        sessions = [RealtimeSession(ours, channel=line) for line in lines]
        cut: list[list[Interrupted]] = [[], []]
        for session, told in zip(sessions, cut, strict=True):
            session.on("interrupted", told.append)
        async with sessions[0], sessions[1]:
            await asyncio.sleep(0.1)
            for line, heard_ms in zip(lines, (300, 700), strict=True):
                line.play(heard_ms)
            for session in sessions:
                await session.interrupt()
            await sessions[0].mute()

            assert [session.id for session in sessions] == ["scripted-1", "scripted-2"]
            assert [session.muted for session in sessions] == [True, False]
            assert [told[0].heard[0].heard_ms for told in cut] == [300, 700]

    play(test)


def test_commit_sends_one_commit_and_with_voice_detection_none_is_sent_by_itself() -> None:
    async def test() -> None:
        async with Scene() as scene:
            await scene.hears(200)
            await scene.begins_to_speak()
            await scene.stops_speaking(text="Hello?")
            await scene.replies("r1", 100)
            by_itself = scene.sent(AudioInputCommit)
            await scene.session.commit()

            assert by_itself == []
            assert scene.sent(AudioInputCommit) == [AudioInputCommit()]

    play(test)


def test_the_five_documented_events_are_told_audio_transcript_text_error_and_status() -> None:
    async def test() -> None:
        scene = Scene()
        told: list[SessionEvent] = []
        for kind in ("audio", "transcript", "text", "error", "status"):
            scene.session.on(kind, told.append)
        async with scene:
            await scene.says(TranscriptInputDelta("u1", "When "), TranscriptInput("u1", "When do you open?"))
            await scene.says(*reply("r1", voice(100), done=False, words="At "))
            await scene.says(TranscriptOutput("r1", "item-r1", "At nine."), ResponseDone("r1", "completed"))
            await scene.says(TextOutputDelta("r2", "t1", "9:"), TextOutput("r2", "t1", "9:00"))
            await scene.says(SessionError("rate_limit_exceeded", "slow down", retryable=True))

        assert told == [
            Status("connecting"),
            Status("connected"),
            Transcript("user", "u1", "When do you open?"),
            Audio("item-r1", voice(100, seed=0)),
            Transcript("assistant", "item-r1", "At nine."),
            Audio("item-r1", b"", done=True),
            Text("t1", "9:00"),
            Error("rate_limit_exceeded", "slow down", retryable=True),
            Status("closed"),
        ]

    play(test)


def test_the_end_of_a_response_tells_its_status_and_usage_and_the_sum_counts_cancelled_ones() -> None:
    async def test() -> None:
        async with Scene() as scene:
            scene.session.on("usage", scene.told.append)
            await scene.says(ResponseCreated("r1"), ResponseDone("r1", "completed", Usage(10, 20)))
            await scene.says(ResponseCreated("r2"), ResponseDone("r2", "cancelled", Usage(1, 2), "client_cancelled"))

            ended = [event for event in scene.told if event.kind == "response" and getattr(event, "status", None)]
            assert [(event.status, event.reason) for event in ended] == [  # type: ignore[union-attr]
                ("completed", ""),
                ("cancelled", "client_cancelled"),
            ]
            assert scene.seen(UsageReport) == [
                UsageReport(Usage(10, 20), Usage(10, 20)),
                UsageReport(Usage(1, 2), Usage(11, 22)),
            ]
            assert scene.session.usage == Usage(11, 22)

    play(test)


def test_one_context_object_reaches_instructions_tools_guardrails_and_listeners() -> None:
    seen: dict[str, object] = {}
    ours = object()

    def instructions(context: object) -> str:
        seen["instructions"] = context
        return "Be kind."

    @tool
    def look_up(context: ToolContext) -> str:
        """Looks it up."""
        seen["tool"] = context.context
        return "found"

    def check(text: str, context: GuardrailContext) -> None:
        seen["guardrail"] = context.context

    async def test() -> None:
        told = asyncio.Event()
        kind = Guardrail(name="kind", check=check)
        async with Scene(
            options={"context": ours}, instructions=instructions, tools=(look_up,), guardrails=(kind,)
        ) as scene:
            session = scene.session
            session.on("tool", lambda event: told.set() if event.output else None)
            session.on("transcript", lambda _: seen.update(listener=session.context))
            await scene.says(ToolCall("r1", "c1", "look_up", "{}"))
            await told.wait()  # a tool without await runs in a thread
            await scene.says(ResponseCreated("r2"), TranscriptOutputDelta("r2", "a1", "Hello."))
            await scene.says(TranscriptOutput("r2", "a1", "Hello."), ResponseDone("r2", "completed"))
            await scene.passes(100)

    play(test)

    assert sorted(seen) == ["guardrail", "instructions", "listener", "tool"]
    assert all(context is ours for context in seen.values())


@pytest.mark.parametrize("is_async", [False, True])
def test_a_lazy_key_is_in_no_log_no_repr_and_no_error(is_async: bool, caplog: pytest.LogCaptureFixture) -> None:
    secret = "sk-lazy-0123456789abcdef"

    async def given() -> str:
        return secret

    async def test() -> None:
        fake = FakeOpenAI(key="another")
        key: Any = given if is_async else lambda: secret
        options = RealtimeSessionOptions(
            api_key=key, connect_options=RealtimeConnectOptions(websocket=in_memory(fake), api_key=key)
        )
        agent = RealtimeAgent(name="test", model=OpenAIModel("gpt-realtime-2.1", base_url="https://x.example/v1"))
        session = RealtimeSession(agent, options)
        with pytest.raises(ProviderError, match="answered 401") as caught:
            await session.connect()
        await session.close()

        shown: Mapping[str, object] = {
            "error": caught.value,
            "options": options,
            "authenticate": RealtimeAuthenticateOptions(api_key=secret),
            "connect": RealtimeConnectOptions(api_key=secret),
            "session": vars(session),
        }
        assert {name for name, what in shown.items() if secret in repr(what) or secret in str(what)} == set()

    with caplog.at_level(logging.DEBUG):
        play(test)
    assert secret not in caplog.text
