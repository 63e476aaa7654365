"""AssemblyAI's model: addresses, keys, credentials, stored agents, the agent's file, and calls over a real socket."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.candidates import Candidate
from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.events import (
    AudioInputAppend,
    AudioOutputDelta,
    ItemCreate,
    ResponseCreate,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionResumable,
    Tool,
    TranscriptInput,
    TranscriptOutput,
)
from agents.lasting import LastingModel
from agents.providers import provider
from agents.providers.assemblyai import AssemblyAIModel
from agents.realtime import (
    PCMU,
    PastMessage,
    RealtimeAuthenticateOptions,
    RealtimeConnection,
    RealtimeConnectOptions,
    SessionConfig,
    SessionResumeConfig,
    TokenCredential,
    ToolSchema,
    UrlCredential,
    Voice,
)
from agents.schema import AgentSpec
from agents.tools import tool
from agents.unfinished import GO_ON
from channels.carrier.virtual_time import run_virtual
from tests.fake_assemblyai import KEY, FakeAssemblyAI
from tests.fake_ear import silence, tone
from tests.fake_net import in_memory, served
from tests.provider_call import ProviderCall
from tests.rig import Calls, Says, ToolUse
from tests.rig_assemblyai import AssemblyAIRig
from tests.scene import play

HERE = Path()
SOON = datetime.now(UTC) + timedelta(minutes=5)


def spec(**fields: Any) -> AgentSpec:
    return AgentSpec.model_validate_json(AgentSpec(**{"model": "assemblyai/voice-agent", **fields}).model_dump_json())


def faults(**fields: Any) -> list[str]:
    return [".".join(map(str, fault.path)) for fault in provider("assemblyai").faults(spec(**fields), HERE)]


def model(model_id: str = "voice-agent", **more: Any) -> AssemblyAIModel:
    return AssemblyAIModel(model_id, **{"api_key": KEY, **more})


async def events_until(connection: RealtimeConnection, last: type[ServerEvent]) -> list[ServerEvent]:
    found: list[ServerEvent] = []
    async for event in connection:
        found.append(event)
        if isinstance(event, last):
            break
    return found


# ---- connecting ----


def test_a_key_opens_the_documented_address_and_the_session_is_ended_at_the_close() -> None:
    async def main() -> None:
        service = FakeAssemblyAI()
        options = RealtimeConnectOptions(websocket=in_memory(service), provider_options={"region": "x"})
        async with await model().connect(options) as connection:
            assert await anext(connection) == SessionCreated("sess_1")
            assert await anext(connection) == SessionResumable("sess_1")
            assert service.unended == ["sess_1"]
        assert service.urls == ["wss://agents.assemblyai.com/v1/ws?region=x"]
        assert service.headers == [{"Authorization": f"Bearer {KEY}"}]
        assert service.connections[0].heard[-1] == {"type": "session.end"}
        assert service.unended == []
        assert service.violations == []

    run_virtual(main())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (RealtimeConnectOptions(), "ASSEMBLYAI_API_KEY"),
        (RealtimeConnectOptions(credential=TokenCredential("t", datetime(2020, 1, 1, tzinfo=UTC))), "expired"),
        (RealtimeConnectOptions(credential=UrlCredential("wss://x", SOON)), "token credential"),
        (RealtimeConnectOptions(api_key=KEY, session_config=SessionConfig(voice=Voice(speed=1.2))), "speed"),
        (RealtimeConnectOptions(api_key=KEY, provider_options={"a": []}), "provider_options.a"),
    ],
)
def test_what_the_operator_can_mend_is_refused_before_any_socket(options: RealtimeConnectOptions, error: str) -> None:
    async def main() -> None:
        service = FakeAssemblyAI()
        with pytest.raises(ConfigError, match=error):
            await AssemblyAIModel("voice-agent").connect(replace(options, websocket=in_memory(service)))
        assert service.urls == []

    run_virtual(main())


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="should be like"):
        model(base_url="ftp://x")


@pytest.mark.parametrize("is_passthrough", [False, True])
def test_a_call_over_a_real_socket(is_passthrough: bool) -> None:
    config = SessionConfig(greeting="Good evening.")
    if is_passthrough:
        config = replace(config, input_format=PCMU, output_format=PCMU)
    heard = config.input_format

    async def main() -> None:
        service = FakeAssemblyAI(Says("Good evening.", 300), Says("It is noon.", 500))
        async with served(service) as base_url:
            connecting = model(base_url=base_url).connect(RealtimeConnectOptions(session_config=config))
            async with await connecting as connection:
                await connection.send(ResponseCreate("r1", say="Good evening."))
                greeting = await events_until(connection, ResponseDone)
                await connection.send(AudioInputAppend(tone(400, heard)))
                await connection.send(AudioInputAppend(silence(700, heard)))
                answer = await events_until(connection, ResponseDone)
        for said, ms in ((greeting, 300), (answer, 500)):
            audio = b"".join(event.pcm for event in said if isinstance(event, AudioOutputDelta))
            assert audio == tone(ms, heard)
        assert [event.text for event in answer if isinstance(event, TranscriptInput)] == ["What time is it?"]
        assert service.connections[0].sent("reply.create") == []
        assert service.unended == service.violations == []

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize("category", ["auth", "quota", "rate", "unavailable"])
def test_a_connection_that_is_taken_and_refused_then_says_why(category: Any) -> None:
    async def main() -> None:
        service = FakeAssemblyAI()
        service.refuses = category
        async with served(service) as base_url:
            with pytest.raises(ProviderError) as caught:
                async with await model(base_url=base_url).connect() as connection:
                    await anext(connection)
        assert caught.value.category == category

    asyncio.run(asyncio.wait_for(main(), 20))


def test_settings_that_are_refused_end_the_session_before_it_is_ready() -> None:
    async def main() -> None:
        service = FakeAssemblyAI()
        config = SessionConfig(provider_options={"input": {"volume": 11}})
        options = RealtimeConnectOptions(websocket=in_memory(service), session_config=config)
        async with await model().connect(options) as connection:
            with pytest.raises(ProviderError, match="volume") as caught:
                await anext(connection)
        assert (caught.value.code, caught.value.category) == ("invalid_config", "invalid_request")

    run_virtual(main())


# ---- going on with a session ----


def test_a_lost_session_is_resumed_by_its_id_and_greets_nobody_again() -> None:
    async def main() -> None:
        service = FakeAssemblyAI()
        options = RealtimeConnectOptions(websocket=in_memory(service), session_config=SessionConfig(greeting="Hello."))
        async with await model().connect(options) as first:
            await first.send(ResponseCreate("r1", say="Hello."))
            await events_until(first, ResponseDone)
            service.connections[0].wire.drop()
            with pytest.raises(ProviderError):
                await anext(first)
        options = replace(options, resume=SessionResumeConfig("sess_1"), history=(PastMessage("1", "user", "x"),))
        async with await model().connect(options) as second:
            assert await anext(second) == SessionCreated("sess_1")
            await second.send(ResponseCreate("r1", say="Hello."))
            said = await events_until(second, ResponseDone)
        assert service.connections[1].heard[0] == {"type": "session.resume", "session_id": "sess_1"}
        assert [event.text for event in said if isinstance(event, TranscriptOutput)] == ["Hello."]
        assert service.connections[1].responses == 1
        assert service.unended == service.violations == []

    run_virtual(main())


def test_what_a_resumed_session_was_told_before_stays_in_its_prompt() -> None:
    async def main() -> None:
        service = FakeAssemblyAI()
        config = SessionConfig(instructions="Be kind.")
        options = RealtimeConnectOptions(websocket=in_memory(service), session_config=config)
        async with await model().connect(options) as first:
            await anext(first)
            await first.send(ItemCreate("user", "My number is 4711."))
            service.connections[0].wire.drop()
        history = (PastMessage("1", "user", "My number is 4711."),)
        options = replace(options, resume=SessionResumeConfig("sess_1"), history=history)
        async with await model().connect(options) as second:
            await anext(second)
            assert [message["type"] for message in service.connections[1].heard] == ["session.resume"]
            await second.send(ItemCreate("user", "My street is Elm."))
            prompt = service.connections[1].config["system_prompt"]
            assert [words in prompt for words in ("Be kind.", "4711", "Elm")] == [True, True, True]
        assert service.violations == []

    run_virtual(main())


def test_a_greeting_that_is_cut_off_is_gone_on_with_and_not_said_again() -> None:
    async def scene() -> None:
        rig = AssemblyAIRig()
        rig.will(Says("Good evening.", 3000, holds=True), Says("And welcome.", 600), Says("Again?", 600))
        async with ProviderCall(rig, greeting="Good evening.") as call:
            await call.until(lambda: call.heard_ms > 0)
            await call.listens(600)
            rig.drop()
            await call.listens(9000)
            asked = [message["instructions"] for message in rig.service.connections[1].sent("reply.create")]
            assert asked == [GO_ON]
            assert rig.responses() == 1
        assert rig.violations == []

    play(scene)


def test_what_a_tool_answered_is_not_lost_with_the_connection_that_it_waited_for() -> None:
    @tool
    def lookup() -> str:
        """Looks it up."""
        return "half past six"

    async def scene() -> None:
        rig = AssemblyAIRig()
        rig.will(Calls((ToolUse("lookup"),), Says("Let me look.", 3000)), Says("It is half past six.", 500))
        async with ProviderCall(rig, tools=(lookup,)) as call:
            await call.takes_a_turn()
            await call.until(lambda: any(each.output for each in call.seen(Tool)))
            assert rig.results() == {}  # the reply that called it is under way
            rig.drop()
            await call.until(lambda: rig.connections == 2 and rig.responses() == 1)
            [create] = rig.service.connections[1].sent("reply.create")
            assert "half past six" in create["instructions"]
        assert rig.violations == []

    play(scene)


def test_a_stored_agent_that_goes_on_knows_what_was_written_meanwhile() -> None:
    async def scene() -> None:
        rig = AssemblyAIRig()
        rig.service.stored["agent_7"] = {"system_prompt": "You sell tea."}
        lasting = LastingModel([Candidate(model("agent_7"))])
        async with ProviderCall(rig, model=lasting, instructions="Be kind.") as call:
            await call.session.send_message("Is it green?")
            await call.listens(3000)
            await rig.expire()
            await call.session.send_message("And now?")
            await call.until(lambda: rig.connections == 2 and rig.responses() == 1)

            update, *later = rig.service.connections[1].heard[1:]
            assert "Is it green?" in update["session"]["system_prompt"]
            assert "And now?" in rig.service.connections[1].config["system_prompt"]
            assert "Is it green?" in rig.service.connections[1].config["system_prompt"]
            assert later[-1]["type"] == "reply.create"
        assert rig.violations == []

    play(scene)


def test_a_session_that_cannot_be_resumed_is_over_and_another_may_go_on() -> None:
    async def main() -> None:
        options = RealtimeConnectOptions(websocket=in_memory(FakeAssemblyAI()), resume=SessionResumeConfig("sess_9"))
        async with await model().connect(options) as connection:
            with pytest.raises(ProviderError) as caught:
                await anext(connection)
        error = caught.value
        assert (error.code, error.category, error.retryable) == ("session_not_found", "session_limit", True)

    run_virtual(main())


# ---- stored agents ----

STORED = {
    "system_prompt": "You sell tea.",
    "greeting": "Tea?",
    "input": {"format": {"encoding": "audio/pcmu"}},
    "output": {"voice": "anna", "format": {"encoding": "audio/pcmu"}},
}


def test_a_stored_agent_is_named_by_its_id_and_heard_in_the_format_it_has() -> None:
    async def main() -> None:
        service = FakeAssemblyAI()
        service.stored["agent_7"] = STORED
        async with await model("agent_7").connect(RealtimeConnectOptions(websocket=in_memory(service))) as connection:
            greeting = await events_until(connection, ResponseDone)
            await connection.send(AudioInputAppend(tone(400)))
        assert service.connections[0].heard[0] == {"type": "session.update", "session": {"agent_id": "agent_7"}}
        assert [event.text for event in greeting if isinstance(event, TranscriptOutput)] == ["Tea?"]
        audio = b"".join(event.pcm for event in greeting if isinstance(event, AudioOutputDelta))
        assert len(audio) == 600 * 48  # from mu-law at 8000 Hz
        assert service.connections[0].heard_ms == pytest.approx(400, abs=5)
        assert service.violations == []

    run_virtual(main())


def test_a_stored_agent_is_told_of_tools_and_instructions_once_it_is_there() -> None:
    tool = ToolSchema(name="look", description="Looks.", parameters={"type": "object"})

    async def main() -> None:
        service = FakeAssemblyAI()
        service.stored["agent_7"] = {"system_prompt": "You sell tea."}
        config = SessionConfig(instructions="You sell coffee.", tools=(tool,))
        options = RealtimeConnectOptions(websocket=in_memory(service), session_config=config)
        async with await model("agent_7").connect(options) as connection:
            await anext(connection)
            await connection.send(ResponseCreate("r1", say="Hi."))
            await events_until(connection, ResponseDone)
            assert service.connections[0].config["system_prompt"] == "You sell coffee."
            assert service.connections[0].config["tools"][0]["name"] == "look"
        assert service.violations == []

    run_virtual(main())


@pytest.mark.parametrize("takes_messages", [True, False])
def test_a_stored_agent_that_goes_on_with_a_conversation_is_told_of_it_and_its_greeting_is_not_heard(
    takes_messages: bool,
) -> None:
    async def main() -> None:
        service = FakeAssemblyAI(takes_messages=takes_messages)
        service.stored["agent_7"] = STORED
        options = RealtimeConnectOptions(
            websocket=in_memory(service), history=(PastMessage("1", "user", "Is it green?"),)
        )
        async with await model("agent_7").connect(options) as connection:
            await anext(connection)
            await connection.send(ResponseCreate("r1", say="It is."))
            said = await events_until(connection, ResponseDone)
        assert [event.text for event in said if isinstance(event, TranscriptOutput)] == ["It is."]
        [told] = service.connections[0].sent("conversation.message")
        assert "Caller: Is it green?" in told["content"]
        assert service.violations == []

    run_virtual(main())


@pytest.mark.parametrize(
    "fields", [{"greeting": "Hi."}, {"voice": Voice(voice_id="anna")}, {"provider_options": {"a": 1}}]
)
def test_what_a_stored_agent_has_itself_is_refused(fields: dict[str, Any]) -> None:
    options = RealtimeConnectOptions(session_config=SessionConfig(**fields))
    with pytest.raises(NotSupportedError, match="stored agent"):
        asyncio.run(model("agent_7").connect(options))


# ---- credentials for browsers ----


@pytest.mark.parametrize(("ttl_s", "lasts_s"), [(None, 300), (60, 60)])
def test_a_token_opens_one_session(ttl_s: int | None, lasts_s: int) -> None:
    async def main() -> None:
        service = FakeAssemblyAI()
        async with served(service) as base_url:
            there = model(base_url=base_url)
            credential = await there.authenticate(RealtimeAuthenticateOptions(ttl_s=ttl_s))
            left_s = (credential.expires_at - datetime.now(UTC)).total_seconds()
            assert lasts_s - 20 < left_s <= lasts_s
            async with await there.connect(RealtimeConnectOptions(credential=credential)) as connection:
                assert isinstance(await anext(connection), SessionCreated)
            assert "Authorization" not in service.headers[0]
            with pytest.raises(ProviderError) as caught:
                async with await there.connect(RealtimeConnectOptions(credential=credential)) as connection:
                    await anext(connection)
            assert caught.value.category == "auth"

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize("ttl_s", [0, 601])
def test_a_time_to_live_that_cannot_be_is_refused(ttl_s: int) -> None:
    with pytest.raises(ConfigError, match="1 to 600"):
        asyncio.run(model().authenticate(RealtimeAuthenticateOptions(ttl_s=ttl_s)))


def test_tokens_are_for_no_agent_of_their_own() -> None:
    with pytest.raises(NotSupportedError, match="agent_id"):
        asyncio.run(model().authenticate(RealtimeAuthenticateOptions(agent_id="a")))


def test_a_refused_key_gives_no_token_and_is_not_told() -> None:
    async def main() -> None:
        async with served(FakeAssemblyAI()) as base_url:
            with pytest.raises(ProviderError, match="ASSEMBLYAI_API_KEY") as caught:
                await model(base_url=base_url, api_key="wrong-key-123").authenticate()
        assert caught.value.category == "auth"
        assert "wrong-key-123" not in str(caught.value)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_an_answer_without_a_token_is_malformed() -> None:
    class Silent(FakeAssemblyAI):
        async def request(self, *_: object) -> tuple[int, dict[str, Any]]:
            return 200, {"token": ""}

    async def main() -> None:
        async with served(Silent()) as base_url:
            with pytest.raises(ProviderError) as caught:
                await model(base_url=base_url).authenticate()
        assert caught.value.code == "malformed"

    asyncio.run(asyncio.wait_for(main(), 20))


# ---- the agent's file ----


def test_a_plain_agent_has_no_faults() -> None:
    turns = {"threshold": 0.6, "silence_duration_ms": 900, "interrupt_response": False}
    assert faults(greeting="Hi.", voice="anna", noise_reduction="far_field", turn_detection=turns) == []
    assert faults(audio="passthrough", turn_detection={"mode": "semantic_vad"}) == []
    assert faults(model="assemblyai/agent_7", instructions="Be kind.") == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"speed": 1.2}, "speed"),
        ({"max_output_tokens": 200}, "max_output_tokens"),
        ({"turn_detection": {"mode": "manual"}}, "turn_detection.mode"),
        ({"turn_detection": {"prefix_padding_ms": 100}}, "turn_detection.prefix_padding_ms"),
        ({"turn_detection": {"idle_timeout_ms": 6000}}, "turn_detection.idle_timeout_ms"),
        ({"turn_detection": {"mode": "semantic_vad", "eagerness": "low"}}, "turn_detection.eagerness"),
        ({"interruption": {"resume_after_ms": 1000}}, "interruption"),
        ({"transcription": {"model": "x"}}, "transcription.model"),
        ({"transcription": {"language": "en"}}, "transcription.language"),
        ({"transcription": {"prompt": ",".join("ab" for _ in range(101))}}, "transcription.prompt"),
        ({"provider_options": {"output": {"format": {}}}}, "provider_options.output"),
        ({"provider_options": {"agent_id": "x"}}, "provider_options"),
        ({"model": "assemblyai/agent_7", "greeting": "Hi."}, "greeting"),
        ({"model": "assemblyai/agent_7", "voice": "anna"}, "voice"),
    ],
)
def test_what_assemblyai_has_not_is_a_fault_with_its_field(fields: dict[str, Any], path: str) -> None:
    assert faults(**fields) == [path]


def test_the_key_is_missed_until_it_is_set() -> None:
    missing = provider("assemblyai").missing_key
    assert missing(spec(), {}) == "ASSEMBLYAI_API_KEY"
    assert missing(spec(), {"ASSEMBLYAI_API_KEY": KEY}) is None


@pytest.mark.parametrize(
    ("fields", "environment", "address"),
    [
        ({}, {}, "wss://agents.assemblyai.com/"),
        ({}, {"ASSEMBLYAI_BASE_URL": "https://agents.eu.assemblyai.com"}, "wss://agents.eu.assemblyai.com/"),
        ({"base_url": "http://file.test"}, {"ASSEMBLYAI_BASE_URL": "https://env.test"}, "ws://file.test/"),
    ],
)
def test_the_files_address_wins_over_the_environments(
    fields: dict[str, Any], environment: dict[str, str], address: str
) -> None:
    async def main() -> None:
        service = FakeAssemblyAI()
        there = provider("assemblyai").open_model(spec(**fields), HERE, {**environment, "ASSEMBLYAI_API_KEY": KEY})
        async with await there.connect(RealtimeConnectOptions(websocket=in_memory(service))):
            pass
        assert service.urls == [f"{address}v1/ws"]

    run_virtual(main())
