"""OpenAI's own clients talk with our fake OpenAI, and OpenAI's own types judge all that our codec says."""

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import pytest

openai = pytest.importorskip("openai")
pytest.importorskip("websockets.asyncio.client")

from agents.events import (  # noqa: E402
    AudioInputAppend,
    AudioInputClear,
    AudioInputCommit,
    ClientEvent,
    ItemCreate,
    ItemDelete,
    ItemTruncate,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
    ToolResult,
)
from agents.providers.openai.dialects import AZURE, OPENAI  # noqa: E402
from agents.providers.openai.wire import OpenAICodec  # noqa: E402
from agents.realtime import (  # noqa: E402
    PCMU,
    PastMessage,
    PastToolCall,
    SessionConfig,
    ToolSchema,
    Transcription,
    TurnDetection,
    Voice,
)
from tests.fake_ear import silence, tone  # noqa: E402
from tests.fake_openai import Call, CallTools, Fail, FakeOpenAI, Speak  # noqa: E402
from tests.openai_oracle import client_faults  # noqa: E402

NAME: Final = "gpt-realtime-2.1"
PATIENCE_S: Final = 60
"""Longest that openai-agents may take: importing it alone takes seconds."""


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, PATIENCE_S))


class Client:
    """OpenAI's client in one conversation with the fake. `heard` is every event that it made of our messages."""

    def __init__(self, fake: FakeOpenAI) -> None:
        self.sdk = openai.AsyncOpenAI(api_key=fake.key, base_url=fake.url, max_retries=0)
        self._opening = self.sdk.realtime.connect(model=NAME)
        self.heard: list[Any] = []

    async def __aenter__(self) -> "Client":
        self.connection: Any = await self._opening.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._opening.__aexit__(exc_type, exc, tb)
        await self.sdk.close()

    async def until(self, kind: str, is_it: Callable[[Any], bool] = lambda event: True) -> Any:
        async for event in self.connection:
            self.heard.append(event)
            if event.type == kind and is_it(event):
                return event
        raise AssertionError(f"the connection ended before {kind}")

    async def speak(self, pcm: bytes) -> None:
        for start in range(0, len(pcm), 4800):
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(pcm[start : start + 4800]).decode())


def test_openais_client_has_a_whole_conversation() -> None:
    async def main() -> None:
        replies = (
            Speak("Good evening.", 300),
            CallTools((Call("look_up", '{"order": 7}'),)),
            Speak("It is on its way.", 5000, holds=True),
            Speak("Yes?", 200),
        )
        async with FakeOpenAI(*replies, hears="Where is my order?") as fake, Client(fake) as client:
            created = await client.until("session.created")
            assert created.session.id == "sess_1"
            tool = {"type": "function", "name": "look_up", "parameters": {"type": "object"}}
            heard = {"transcription": {"model": "gpt-transcribe"}, "turn_detection": {"type": "server_vad"}}
            await client.connection.session.update(
                session={"type": "realtime", "audio": {"input": heard}, "tools": [tool]}
            )
            updated = await client.until("session.updated")
            assert updated.session.tools[0].name == "look_up"

            await client.connection.response.create()
            greeted = await client.until("response.done")
            assert greeted.response.status == "completed"
            assert greeted.response.usage.output_token_details.audio_tokens == 6
            pcm = b"".join(base64.b64decode(e.delta) for e in client.heard if e.type == "response.output_audio.delta")
            assert pcm == tone(100) * 3

            await client.speak(tone(600) + silence(700))
            call = await client.until("response.function_call_arguments.done")
            assert (call.name, call.arguments) == ("look_up", '{"order": 7}')
            await client.until("response.done")
            types = [event.type for event in client.heard]
            assert types.index("input_audio_buffer.speech_started") < types.index("input_audio_buffer.speech_stopped")
            [written] = [e for e in client.heard if e.type.endswith("transcription.completed")]
            assert written.transcript == "Where is my order?"

            await client.connection.conversation.item.create(
                item={"type": "function_call_output", "call_id": call.call_id, "output": '{"where": "near"}'}
            )
            await client.connection.response.create()
            delta = await client.until("response.output_audio.delta")
            await client.speak(tone(200))
            cut = await client.until("response.done")
            assert (cut.response.status, cut.response.status_details.reason) == ("cancelled", "turn_detected")
            await client.connection.conversation.item.truncate(item_id=delta.item_id, content_index=0, audio_end_ms=400)
            truncated = await client.until("conversation.item.truncated")
            assert truncated.audio_end_ms == 400

            await client.connection.response.cancel()
            error = await client.until("error")
            assert error.error.code == "response_cancel_not_active"
            await client.speak(silence(700))
            answered = await client.until("response.done")
            assert answered.response.status == "completed"
        assert fake.violations == []

    run(main())


def test_openais_client_sees_failures_and_the_end_of_the_hour() -> None:
    async def main() -> None:
        async with FakeOpenAI(Fail("insufficient_quota", "Pay first.")) as fake, Client(fake) as client:
            await client.connection.response.create()
            done = await client.until("response.done")
            assert done.response.status == "failed"
            assert done.response.status_details.error.code == "insufficient_quota"
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(fake.expire())
                rest = [event.type async for event in client.connection]
            assert rest == []
        assert fake.violations == []

    run(main())


def test_openais_client_is_refused_with_a_wrong_key() -> None:
    async def main() -> None:
        async with FakeOpenAI() as fake:
            fake.key = "another"
            client = Client(fake)
            fake.key = "the-right-one"
            with pytest.raises(Exception, match="401"):
                await client.__aenter__()
            await client.sdk.close()

    run(main())


def test_openais_client_gets_a_client_secret_and_connects_with_it() -> None:
    async def main() -> None:
        async with FakeOpenAI() as fake:
            async with openai.AsyncOpenAI(api_key=fake.key, base_url=fake.url) as sdk:
                secret = await sdk.realtime.client_secrets.create(
                    expires_after={"anchor": "created_at", "seconds": 60},
                    session={"type": "realtime", "model": NAME},
                )
            assert secret.value.startswith("ek_")
            fake.key = secret.value
            async with Client(fake) as client:
                await client.until("session.created")

    run(main())


# ---- openai-agents: its package has the name of ours, so it runs on its own ----

AGENTS_SCRIPT: Final = """
import asyncio, json, sys

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner

url, key, audio = sys.argv[1], sys.argv[2], open(sys.argv[3], "rb").read()
seen = []

@function_tool
def look_up(order: int) -> str:
    "Looks an order up."
    return f"order {order} is near"

async def main():
    agent = RealtimeAgent(name="desk", instructions="You are kind.", tools=[look_up])
    settings = {"input_audio_transcription": {"model": "gpt-transcribe"}, "turn_detection": {"type": "server_vad"}}
    runner = RealtimeRunner(agent, config={"model_settings": settings})
    session = await runner.run(model_config={"url": url, "api_key": key})
    spoken = 0
    async with session:
        await session.send_audio(audio)
        async for event in session:
            name = event.type
            if name == "raw_model_event":
                name = "raw:" + event.data.type
            if name == "audio":
                spoken += len(event.audio.data)
                if spoken == 48 * 5000:
                    await session.interrupt()
                    await session.send_message("Stop it.")
            if name == "error":
                seen.append("error:" + str(event.error))
            seen.append(name)
            if name == "tool_end":
                seen.append("output:" + str(event.output))
            if "Yes?" in json.dumps([str(item) for item in session._history]) and name == "agent_end":
                break
    print(json.dumps({"seen": seen, "spoken": spoken}))

asyncio.run(asyncio.wait_for(main(), 30))
"""


def test_openai_agents_talks_calls_a_tool_interrupts_and_finds_no_fault(tmp_path: Path) -> None:
    find = "from agents.realtime import RealtimeRunner"  # which ours has not
    if subprocess.run([sys.executable, "-P", "-c", find], cwd=tmp_path, capture_output=True).returncode:
        pytest.skip("openai-agents is not installed")
    (tmp_path / "script.py").write_text(AGENTS_SCRIPT)
    (tmp_path / "caller.pcm").write_bytes(tone(600) + silence(700))

    async def main() -> None:
        replies = (
            CallTools((Call("look_up", '{"order": 7}'),)),
            Speak("It is on its way, and a long story with it.", 5000, holds=True),
            Speak("Yes?", 200),
        )
        async with FakeOpenAI(*replies, hears="Where is my order?") as fake:
            url = fake.url.replace("http", "ws") + f"/realtime?model={NAME}"
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "script.py", url, fake.key, "caller.pcm"),
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            output, complaint = await process.communicate()
            assert process.returncode == 0, complaint.decode()
            found = json.loads(output)
            session = await fake.session()
            told = [message["type"] for message in session.received]
        seen = found["seen"]
        assert [name for name in seen if name.startswith("error")] == []
        assert "output:order 7 is near" in seen
        assert "audio_interrupted" in seen
        assert found["spoken"] >= 48 * 5000
        assert "conversation.item.truncate" in told
        assert fake.violations == []

    run(main())


# ---- what our codec says ----

FULL: Final = SessionConfig(
    instructions="You are kind.",
    tools=(ToolSchema(name="look_up", description="Looks up.", parameters={"type": "object", "properties": {}}),),
    tool_choice="auto",
    voice=Voice(voice_id="marin", speed=1.1),
    input_format=PCMU,
    output_format=PCMU,
    turn_detection=TurnDetection(threshold=0.4, silence_duration_ms=400, create_response=True, idle_timeout_ms=6000),
    transcription=Transcription(language="en", prompt="Otto"),
    noise_reduction="far_field",
    max_output_tokens=300,
    provider_options={
        "parallel_tool_calls": True,
        "reasoning": {"effort": "low"},
        "truncation": "auto",
        "tracing": None,
        "tools": [
            {"type": "mcp", "server_label": "crm", "server_url": "https://x.example", "require_approval": "never"}
        ],
    },
)
SAID: Final[tuple[ClientEvent, ...]] = (
    SessionUpdate(FULL),
    SessionUpdate(SessionConfig(turn_detection=TurnDetection(mode="semantic_vad", eagerness="low"))),
    SessionUpdate(SessionConfig(turn_detection=None, transcription=None, noise_reduction=None, modalities=("text",))),
    AudioInputAppend(bytes(160)),
    AudioInputCommit(),
    AudioInputClear(),
    ItemCreate("user", "Hi", "item_1", "root"),
    ItemCreate("assistant", "Hello"),
    ItemCreate("system", "The caller is in a hurry."),
    ItemDelete("item_1"),
    ItemTruncate("item_2", 0, 1200),
    ResponseCreate("create_1"),
    ResponseCreate("create_2", instructions="Be brief."),
    ResponseCreate("create_3", say="Thank you for calling."),
    ResponseCancel(),
    ResponseCancel("resp_1"),
    ToolResult("call_1", "{}"),
)
HISTORY: Final = (
    PastMessage("item_1", "user", "Hi"),
    PastMessage("x" * 50, "assistant", "Hello"),
    PastToolCall("y" * 50, "look_up", "{}", "found"),
    PastToolCall("call_2", "look_up", "{}", None),
)


@pytest.mark.parametrize("dialect", [OPENAI, AZURE], ids=lambda dialect: dialect.name)
def test_all_that_our_codec_says_is_what_openais_types_know(dialect: Any) -> None:
    codec = OpenAICodec(dialect, NAME, HISTORY)
    messages = [json.loads(text) for event in SAID for text in codec.encode(event)]
    assert len(messages) == len(SAID) + 5
    assert [fault for message in messages for fault in client_faults(message)] == []
    ids = [message["item"].get("id", "") for message in messages if "item" in message]
    assert max(map(len, ids)) <= 32
