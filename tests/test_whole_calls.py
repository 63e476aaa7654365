"""Whole calls: the real service under uvicorn, the simulated carrier, and a model at the other end."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents import RealtimeAgent, TurnDetection, hang_up, tool
from agents.assemble import make_agent
from agents.audio import resampled
from agents.loader import check_agents
from agents.local.speech import Speech, kept_speech_workers
from agents.providers.openai import OpenAIModel
from agents.realtime import SessionConfig, Transcription
from channels.carrier.recording import read_wav
from tests.fake_openai import Call, CallTools, FakeOpenAI, Speak
from tests.service import free_port, running

CONFIG = Path("config")
HUMAN = Path("tests/recordings/something-is-terribly-wrong.wav")
"""A woman says that something is terribly wrong (see the README beside it)."""


@pytest.fixture(scope="module")
def engines() -> Iterator[Speech]:
    with kept_speech_workers() as speech:
        yield speech


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(90):
            await test()

    asyncio.run(bounded())


def reception() -> RealtimeAgent:
    return make_agent("reception", check_agents(CONFIG)[0]["reception"], CONFIG, {})


def openai(fake: FakeOpenAI, **more: Any) -> RealtimeAgent:
    config = SessionConfig(turn_detection=TurnDetection(), transcription=Transcription())
    model = OpenAIModel("gpt-realtime-2.1", api_key=fake.key, base_url=fake.url)
    return RealtimeAgent(name="cloud", model=model, config=config, instructions="Be brief.", **more)


async def said_8k(speech: Speech, text: str) -> bytes:
    """A caller's words as PCM16 at 8 kHz."""
    return resampled(await speech.synthesize(text), 24_000, 8000)


# ---- the embedded agent ----


def test_a_human_voice_gets_a_sensible_spoken_answer_from_the_embedded_agent(engines: Speech, tmp_path: Path) -> None:
    async def test() -> None:
        async with running(reception()) as service:
            report = await service.call(read_wav(HUMAN), transcribe=engines.transcribe, recording=tmp_path / "call.wav")
        assert report.errors == ()
        assert report.ended_by == "caller"
        assert "quill" in (report.greeting or "").lower().replace(" ", "")
        answer = (report.turns[0].heard or "").lower()
        assert "urgent line" in answer
        assert "day and night" in answer
        assert (tmp_path / "call.wav").stat().st_size > 100_000

    run(test)


def test_the_embedded_agent_says_goodbye_to_its_end_and_hangs_up(engines: Speech) -> None:
    async def test() -> None:
        goodbye = await said_8k(engines, "Thank you, that is all. Goodbye.")
        async with running(reception()) as service:
            report = await service.call(goodbye, transcribe=engines.transcribe)
        assert report.errors == ()
        assert report.ended_by == "agent"
        assert "goodbye" in (report.turns[0].heard or "").lower().replace(" ", "")
        assert report.carrier_said == ()

    run(test)


def test_speech_over_the_embedded_agents_voice_interrupts_it(engines: Speech) -> None:
    async def test() -> None:
        parking = await said_8k(engines, "Where can I park my car?")
        async with running(reception()) as service:
            report = await service.call(read_wav(HUMAN), parking, interrupt_ms=1500, transcribe=engines.transcribe)
        assert report.errors == ()
        assert report.clears >= 1
        assert "parking spaces" in (report.turns[1].heard or "").lower()

    run(test)


def test_eight_embedded_calls_at_once_are_all_answered_without_a_gap(engines: Speech) -> None:
    async def test() -> None:
        async with running(reception()) as service:
            human = read_wav(HUMAN)
            reports = await asyncio.gather(*(service.call(human) for _ in range(8)))
        assert [report.errors for report in reports] == [()] * 8
        assert sum(report.playout_gaps for report in reports) == 0

    run(test)


# ---- OpenAI's protocol ----


def test_a_whole_call_over_openai_realtime_keeps_to_openais_own_types() -> None:
    async def test() -> None:
        async with FakeOpenAI(Speak("Hello.", 600), Speak("Ring the urgent line.", 1500), hears="Help!") as fake:
            async with running(openai(fake, greeting="Hello.")) as service:
                report = await service.call(read_wav(HUMAN))
            session = await fake.session()
            assert fake.violations == []
        assert report.errors == ()
        assert report.answer_ms is not None
        assert report.turns[0].reply_ms is not None
        assert report.clears == 0
        kinds = [message["type"] for message in session.received]
        assert kinds[0] == "session.update"
        assert kinds.count("response.create") == 1
        assert "response.cancel" not in kinds

    run(test)


def test_a_barge_in_over_openai_is_cleared_and_truncated_where_it_was_heard() -> None:
    async def test() -> None:
        async with FakeOpenAI(Speak("A very long story.", 8000), Speak("Yes?", 500)) as fake:
            async with running(openai(fake, greeting="Tell a story.")) as service:
                report = await service.call(read_wav(HUMAN), interrupt_ms=1000)
            session = await fake.session()
            assert fake.violations == []
        truncates = [message for message in session.received if message["type"] == "conversation.item.truncate"]
        assert report.errors == ()
        assert report.clears == 1
        assert len(truncates) == 1
        assert 900 <= truncates[0]["audio_end_ms"] <= 2500
        assert [message["type"] for message in session.received].count("response.cancel") == 0

    run(test)


def test_an_openai_model_uses_a_tool_and_hangs_up_after_its_goodbye() -> None:
    @tool
    def opening_hours(day: str) -> dict[str, str]:
        """The opening hours of a day."""
        return {"day": day, "hours": "nine to five"}

    async def test() -> None:
        replies = (
            CallTools((Call("opening_hours", '{"day": "Monday"}'),)),
            CallTools((Call("hang_up"),), first=Speak("We open at nine. Goodbye.", 900)),
        )
        async with FakeOpenAI(*replies) as fake:
            async with running(openai(fake, tools=(opening_hours, hang_up))) as service:
                report = await service.call(read_wav(HUMAN), wait_s=0.2)
            session = await fake.session()
            assert fake.violations == []
        assert (report.errors, report.ended_by) == ((), "agent")
        outputs = [m["item"]["output"] for m in session.received if m["type"] == "conversation.item.create"]
        assert json.loads(outputs[0]) == {"day": "Monday", "hours": "nine to five"}
        assert report.frames_received == 45  # all 900 ms of the goodbye

    run(test)


@pytest.mark.parametrize("end", ["expire", "drop"])
def test_a_provider_that_dies_in_mid_call_is_an_apology_and_nothing_is_left(end: str) -> None:
    async def test() -> None:
        greeting = Speak("Hello.", 400)
        async with FakeOpenAI(greeting) as fake, running(openai(fake, greeting="Hello.")) as service:
            calling = asyncio.create_task(service.call(read_wav(HUMAN), wait_s=30))
            session = await fake.session()
            await session.expect("response.create")
            if end == "expire":
                await fake.expire()
            else:
                fake.drop()
            report = await calling
        assert "technical problem" in report.carrier_said[0]
        assert report.ended_by == "agent"

    run(test)


def test_a_wrong_key_is_an_apology_and_never_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with FakeOpenAI() as fake:
            model = OpenAIModel("gpt-realtime-2.1", api_key="test-wrong-key", base_url=fake.url)
            async with running(replace(openai(fake), model=model)) as service:
                report = await service.call()
        assert "technical problem" in report.carrier_said[0]
        assert "OPENAI_API_KEY" in caplog.text
        assert "test-wrong-key" not in caplog.text

    run(test)


# ---- the process ----


def test_serve_and_call_as_commands_share_a_token_and_serve_stops_with_status_0(tmp_path: Path) -> None:
    port = free_port()
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "PORT": str(port), "DRAIN_S": "1"}
    for variable in ("TWILIO_AUTH_TOKEN", "PUBLIC_URL", "CONFIG_DIR"):
        environment.pop(variable, None)
    serve = subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert serve.stdout is not None
        while b"Ready" not in (line := serve.stdout.readline()):
            assert line, serve.stderr.read() if serve.stderr else ""
        assert (tmp_path / "voice-gateway" / f"{port}.json").stat().st_mode & 0o777 == 0o600
        call = subprocess.run(
            [
                sys.executable,
                "-m",
                "gateway",
                "call",
                "--wav",
                str(HUMAN),
                "--json",
                "--output",
                str(tmp_path / "c.wav"),
            ],
            env=environment,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert call.returncode == 0, call.stderr
        report = json.loads(call.stdout)
        assert report["ended_by"] == "caller"
        assert "urgent" in report["turns"][0]["heard"].lower()
        assert {"answer_ms", "turns", "frames_sent", "frames_received", "marks", "clears", "recording"} <= report.keys()
    finally:
        serve.send_signal(signal.SIGTERM)
        _, err = serve.communicate(timeout=20)
    assert serve.returncode == 0, err
    assert b"Traceback" not in err
    assert not list((tmp_path / "voice-gateway").iterdir())
