"""The scripted model: steps in order, what it was sent, and scripts in files."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents import mulaw
from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.events import (
    AudioInputAppend,
    AudioOutputDelta,
    AudioOutputDone,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    SpeechStarted,
    ToolCall,
    ToolResult,
    TranscriptOutput,
    Usage,
)
from agents.providers import provider
from agents.providers.scripted import ScriptedModel, faults, missing_key, open_model
from agents.providers.scripted.steps import Close, Expect, Fail, Say, Step, Wait, read_steps
from agents.realtime import (
    PCMU,
    AudioFormat,
    RealtimeAuthenticateOptions,
    RealtimeConnection,
    RealtimeConnectOptions,
    RealtimeModel,
    SessionConfig,
    SessionResumeConfig,
    TokenCredential,
)
from agents.schema import AgentSpec

EXAMPLE = """
- expect: session.update            # wait for such an event from our side; others may come before it
- emit: session.updated
- expect: {kind: response.create, say: Hi!}
- say: Hi!
- say: {text: Please hold., audio_ms: 5000}
- wait_ms: 500
- emit: {kind: speech.started, item_id: item_u1, audio_start_ms: 300}
- emit: {kind: tool.call, response_id: r1, call_id: c1, name: hang_up, arguments: "{}"}
- emit: {kind: response.done, response_id: r1, status: completed, usage: {input_tokens: 3}}
- fail: {code: network, message: The line to the model broke., retryable: true}
- close:
"""
STEPS: tuple[Step, ...] = (
    Expect(SessionUpdate),
    SessionUpdated(),
    Expect(ResponseCreate, {"say": "Hi!"}),
    Say("Hi!"),
    Say("Please hold.", 5000),
    Wait(500),
    SpeechStarted("item_u1", 300),
    ToolCall("r1", "c1", "hang_up", "{}"),
    ResponseDone("r1", "completed", Usage(input_tokens=3)),
    Fail("network", "The line to the model broke.", retryable=True),
    Close(),
)


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 10))


async def played(steps: Sequence[Step]) -> list[ServerEvent]:
    async with await ScriptedModel(steps).connect() as connection:
        return [event async for event in connection]


def spec(model: str) -> AgentSpec:
    return AgentSpec(model=model)


# ---- playing ----


def test_events_are_said_as_they_are_after_the_sessions_own_first_one() -> None:
    async def main() -> None:
        said: list[ServerEvent] = [SpeechStarted("item_1"), ToolCall("r1", "c1", "hang_up", "{}")]
        assert await played([*said, Close()]) == [SessionCreated("scripted-1"), *said]

    run(main())


def test_each_connection_plays_from_the_start_with_its_own_name_and_its_own_record() -> None:
    async def main() -> None:
        model: RealtimeModel = ScriptedModel([SessionUpdated(), Close()])
        names: list[str | None] = []
        for _ in range(2):
            connection: RealtimeConnection = await model.connect()
            assert connection.session_id is None
            assert [event async for event in connection][1:] == [SessionUpdated()]
            names.append(connection.session_id)
        assert names == ["scripted-1", "scripted-2"]

    run(main())


def test_the_configuration_is_the_first_of_what_was_sent() -> None:
    async def main() -> None:
        model = ScriptedModel([])
        config = SessionConfig(instructions="Be kind.")
        async with await model.connect(RealtimeConnectOptions(session_config=config)) as connection:
            await connection.send(AudioInputAppend(b"\0\0"))
        assert model.connections == [connection]
        assert connection.sent == [SessionUpdate(config), AudioInputAppend(b"\0\0")]
        assert connection.options.session_config is config

    run(main())


def test_saying_is_a_whole_response_with_a_tone_of_that_length() -> None:
    async def main() -> None:
        _, created, *heard, done = await played([Say("Please hold.", audio_ms=250), Close()])
        assert isinstance(created, ResponseCreated)
        assert done == ResponseDone(created.response_id, "completed")
        pieces = [event.pcm for event in heard if isinstance(event, AudioOutputDelta)]
        assert [len(pcm) // 48 for pcm in pieces] == [100, 100, 50]
        assert any(pieces[0])
        assert [event.text for event in heard if isinstance(event, TranscriptOutput)] == ["Please hold."]
        assert sum(isinstance(event, AudioOutputDone) for event in heard) == 1

    run(main())


def test_expecting_waits_for_the_event_with_these_fields_and_passes_over_others() -> None:
    async def main() -> None:
        model = ScriptedModel([Expect(ToolResult, {"output": "yes"}), SessionUpdated(), Expect(ToolResult), Close()])
        async with await model.connect() as connection, asyncio.TaskGroup() as tasks:
            await anext(connection)
            answer = tasks.create_task(asyncio.wait_for(anext(connection), 5))
            for output in ("no", "yes"):
                assert not answer.done()
                await connection.send(AudioInputAppend(b"\0\0"))
                await connection.send(ToolResult("c1", output))
            assert await answer == SessionUpdated()
            await connection.send(ToolResult("c2", "and one more"))
            assert [event async for event in connection] == []

    run(main())


def test_one_event_does_not_fulfil_two_expectations() -> None:
    async def main() -> None:
        model = ScriptedModel([Expect(ToolResult), Expect(ToolResult), Close()], patience_s=0.01)
        async with await model.connect() as connection:
            await connection.send(ToolResult("c1", "only one"))
            with pytest.raises(ProviderError, match="step 2"):
                [event async for event in connection]

    run(main())


def test_an_expectation_in_vain_tells_its_step_and_what_came_instead() -> None:
    async def main() -> None:
        model = ScriptedModel([SessionUpdated(), Expect(ResponseCreate, {"say": "Hi!"})], patience_s=0.01)
        async with await model.connect() as connection:
            await connection.send(AudioInputAppend(b"\0\0"))
            await connection.send(AudioInputAppend(b"\0\0"))
            with pytest.raises(
                ProviderError, match=r"step 2 .*response.create.*'Hi!'.*audio.input.append x 2"
            ) as caught:
                [event async for event in connection]
            assert caught.value.code == "script"

    run(main())


def test_an_expectation_of_a_field_that_no_such_event_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="text"):
        Expect(ResponseCreate, {"text": "Hi!"})


def test_a_failure_raises_what_the_script_says() -> None:
    async def main() -> None:
        async with await ScriptedModel(
            [SessionUpdated(), Fail("network", "Cut.", retryable=True)]
        ).connect() as connection:
            heard = []
            with pytest.raises(ProviderError, match="Cut") as caught:
                async for event in connection:
                    heard.append(event)
            assert heard[1:] == [SessionUpdated()]
            assert (caught.value.code, caught.value.retryable) == ("network", True)

    run(main())


def test_a_failure_that_comes_first_makes_connecting_fail() -> None:
    async def main() -> None:
        model = ScriptedModel([Fail("auth", "No.")])
        with pytest.raises(ProviderError, match="No"):
            await model.connect()
        assert model.connections == []

    run(main())


@pytest.mark.parametrize("steps", [[], [Wait(60_000)], [Expect(ToolResult)]])
def test_close_works_twice_and_ends_an_iteration_that_waits(steps: list[Step]) -> None:
    async def main() -> None:
        connection = await ScriptedModel(steps).connect()
        async with asyncio.TaskGroup() as tasks:
            await anext(connection)
            waiting = tasks.create_task(anext(connection, None))
            await asyncio.sleep(0)
            await connection.close()
            await connection.close()
            assert await waiting is None
        assert connection.is_closed
        with pytest.raises(ProviderError) as caught:
            await connection.send(AudioInputAppend(b"\0\0"))
        assert caught.value.code == "closed"

    run(main())


def test_waiting_lets_time_pass_before_the_next_step() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await played([Wait(20), Close()])
        assert loop.time() - began >= 0.019

    run(main())


def test_to_a_session_in_mu_law_it_speaks_mu_law() -> None:
    async def main() -> None:
        config = SessionConfig(input_format=PCMU, output_format=PCMU)
        connection = await ScriptedModel([Say("Hi", audio_ms=250), Close()]).connect(
            RealtimeConnectOptions(session_config=config)
        )
        pieces = [event.pcm async for event in connection if isinstance(event, AudioOutputDelta)]
        assert [len(ulaw) // 8 for ulaw in pieces] == [100, 100, 50]
        tone = np.frombuffer(mulaw.decode(pieces[0]), "<i2")
        assert 5_800 < max(abs(tone)) <= 6_000
        assert int(np.argmax(np.abs(np.fft.rfft(tone)))) == 400 // 10  # 10 Hz each: a window of 100 ms

    run(main())


# ---- options ----


def test_options_that_a_script_cannot_honour_are_refused() -> None:
    async def no_socket(url: str, headers: object) -> None: ...

    async def main() -> None:
        model = ScriptedModel([])
        aborted = asyncio.Event()
        aborted.set()
        expired = TokenCredential("t", datetime.now(UTC) - timedelta(seconds=1))
        alaw = AudioFormat(mime_type="audio/pcma", sample_rate=8000)
        for options, error in (
            (RealtimeConnectOptions(resume=SessionResumeConfig("h")), NotSupportedError),
            (RealtimeConnectOptions(websocket=no_socket), NotSupportedError),
            (RealtimeConnectOptions(session_config=SessionConfig(output_format=alaw)), NotSupportedError),
            (RealtimeConnectOptions(credential=expired), ConfigError),
            (RealtimeConnectOptions(abort=aborted), ProviderError),
        ):
            with pytest.raises(error):
                await model.connect(options)
        with pytest.raises(NotSupportedError):
            await model.authenticate(RealtimeAuthenticateOptions(agent_id="a"))

    run(main())


def test_a_credential_of_a_script_opens_it() -> None:
    async def main() -> None:
        model = ScriptedModel([Close()])
        credential = await model.authenticate(RealtimeAuthenticateOptions(ttl_s=60))
        connection = await model.connect(RealtimeConnectOptions(credential=credential))
        assert connection.options.credential == credential
        await connection.close()

    run(main())


# ---- files ----


def test_every_kind_of_step_can_be_written_in_yaml(tmp_path: Path) -> None:
    (tmp_path / "hello.yaml").write_text(EXAMPLE)
    assert read_steps(tmp_path / "hello.yaml") == STEPS


def test_a_script_may_be_json(tmp_path: Path) -> None:
    (tmp_path / "hello.json").write_text('[{"say": {"text": "Hi!", "audio_ms": 100}}, {"close": null}]')
    assert read_steps(tmp_path / "hello.json") == (Say("Hi!", 100), Close())


def test_the_example_in_the_documentation_is_a_script(tmp_path: Path) -> None:
    documentation = read_steps.__globals__["__doc__"]
    example = [line for line in documentation.splitlines() if line.startswith("    - ")]
    (tmp_path / "hello.yaml").write_text("\n".join(example))
    assert len(read_steps(tmp_path / "hello.yaml")) == len(example) > 5


def test_an_agents_file_names_its_script_relative_to_its_folder(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "hello.yaml").write_text("- say: Hi!\n- close:\n")
    agent = spec("scripted/scripts/hello.yaml")
    assert faults(agent, tmp_path) == []
    assert missing_key(agent, {}) is None
    model = provider("scripted").open_model(agent, tmp_path, {})
    assert (model.spec, model.provider, model.model_id) == ("1.0", "scripted", "scripts/hello.yaml")

    async def main() -> None:
        async with await model.connect() as connection:
            assert any([isinstance(event, AudioOutputDelta) async for event in connection])

    run(main())


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("- say: Hi!\n- dance: 1\n", 2, "one key"),
        ("- say: Hi!\n  close:\n", 1, "one key"),
        ("- expect: session.created\n", 1, "session.update"),
        ("- expect: {kind: response.create, text: Hi!}\n", 1, "no field text"),
        ("- emit: {kind: speech.started}\n", 1, "item_id"),
        ("- emit: {kind: speech.started, item_id: 7}\n", 1, "item_id"),
        ("- emit: {kind: speech.started, item_id: a, when: 7}\n", 1, "no field when"),
        ("- emit: audio.output.delta\n", 1, "audio.output.delta"),
        ("- say: {audio_ms: 7}\n", 1, "text"),
        ("- close:\n- close:\n- wait_ms: long\n", 3, "ms"),
        ("- fail: {code: 2026-01-01, message: m}\n", 1, "date"),
    ],
)
def test_a_step_that_is_none_is_a_fault_with_its_line(tmp_path: Path, text: str, line: int, found: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(ConfigError, match=found) as caught:
        read_steps(tmp_path / "bad.yaml")
    assert [problem.line for problem in caught.value.problems] == [line]
    [fault] = faults(spec("scripted/bad.yaml"), tmp_path)
    assert fault.path == ("model",)
    assert f"bad.yaml:{line}" in fault.found


@pytest.mark.parametrize("content", [None, b"", b"say: Hi!", b"- [", b"\xff\xfe\xff", b"[]"])
def test_a_file_that_is_no_script_is_a_fault(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "bad.yaml").write_bytes(content)
    [fault] = faults(spec("scripted/bad.yaml"), tmp_path)
    assert "list of steps" in fault.right
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        open_model(spec("scripted/bad.yaml"), tmp_path, {})
