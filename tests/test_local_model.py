"""The embedded model can be used again and again, by many calls at once, and leaves nothing behind."""

import asyncio
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

import agents.local as local
from agents.errors import NotSupportedError, ProviderError
from agents.events import AudioOutputDelta, ResponseCreate, ResponseDone, TranscriptOutput
from agents.local import speech as speech_module
from agents.local.dialogue import NOT_HEARD, SORRY
from agents.local.matching import Matcher
from agents.local.model import LocalModel
from agents.local.script import ScriptBrain
from agents.local.sentences import sentences
from agents.local.speech import Speech
from agents.realtime import (
    SPEC,
    RealtimeConnectOptions,
    SessionConfig,
    SessionResumeConfig,
    TokenCredential,
    Voice,
)
from agents.schema import AgentSpec
from agents.script_spec import ScriptSpec
from tests.local_call import engines, say, until
from tests.local_phrases import SCRIPT

__all__ = ["engines"]

GREETING = "Hello, you are talking to the tests."


def model(**fields: object) -> LocalModel:
    spec = AgentSpec.model_validate({"model": "local/script", "script": SCRIPT, "tools": ("hang_up",)} | fields)
    return cast(LocalModel, local.open_model(spec, Path(), {}))


def test_the_model_says_what_it_is() -> None:
    mine = model()

    assert (mine.spec, mine.provider, mine.model_id) == (SPEC, "local", "script")


@pytest.mark.parametrize(
    "options",
    [
        RealtimeConnectOptions(api_key="key"),
        RealtimeConnectOptions(credential=TokenCredential("t", datetime.now(UTC) + timedelta(hours=1))),
        RealtimeConnectOptions(resume=SessionResumeConfig("handle")),
        RealtimeConnectOptions(provider_options={"a": "b"}),
        RealtimeConnectOptions(websocket=lambda url, headers: asyncio.sleep(0)),
        RealtimeConnectOptions(session_config=SessionConfig(voice=Voice(voice_id="emma"))),
    ],
)
def test_options_that_mean_nothing_here_are_refused(options: RealtimeConnectOptions) -> None:
    with pytest.raises(NotSupportedError):
        asyncio.run(model().connect(options))


def test_there_is_nothing_to_authenticate_with() -> None:
    with pytest.raises(NotSupportedError):
        asyncio.run(model().authenticate())


def test_an_abort_before_the_connection_is_open_is_honoured() -> None:
    async def main() -> None:
        abort = asyncio.Event()
        abort.set()
        await model().connect(RealtimeConnectOptions(abort=abort))

    with pytest.raises(ProviderError) as caught:
        asyncio.run(main())

    assert caught.value.code == "aborted"


def test_connecting_starts_nothing_until_the_connection_is_entered() -> None:
    async def main() -> None:
        holders = speech_module._holders
        connection = await model().connect()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert speech_module._holders == holders
        async with connection:
            assert speech_module._holders == holders + 1
        assert speech_module._holders == holders

    asyncio.run(main())


def test_a_warm_model_has_spoken_its_known_sentences_before_the_call(engines: Speech) -> None:
    async def main() -> None:
        async with model(greeting=GREETING, speed=1.1):
            for text in (GREETING, "Goodbye.", *sentences(SORRY), *sentences(NOT_HEARD)):
                assert engines._spoken.get(text, 1.1)

    asyncio.run(main())


def test_a_sentence_that_cannot_be_spoken_is_logged_and_does_not_keep_the_model_from_starting(
    engines: Speech, caplog: pytest.LogCaptureFixture
) -> None:
    script = ScriptSpec.model_validate(SCRIPT)

    async def main() -> None:
        brain = ScriptBrain(script, Matcher(script.intents, script.threshold), {})
        never = 0.0  # a speed at which the voice fails
        async with LocalModel("script", lambda: nullcontext(brain), known=[GREETING], speed=never):
            pass

    asyncio.run(main())

    warnings = [record.getMessage() for record in caplog.records if record.name == "agents.local.model"]
    assert len(warnings) == len([GREETING, *sentences(SORRY), *sentences(NOT_HEARD)])
    assert GREETING in warnings[0]


def test_a_model_can_be_warmed_twice_and_connected_many_times(engines: Speech) -> None:
    async def main() -> set[str | None]:
        ids = set()
        mine = model()
        async with mine, mine:
            for _ in range(2):
                async with await mine.connect() as connection:
                    await connection.send(ResponseCreate("e", say="Goodbye."))
                    await until(connection, ResponseDone)
                    ids.add(connection.session_id)
        return ids

    assert len(asyncio.run(main())) == 2


async def converse(mine: LocalModel, speech: Speech, question: str) -> str:
    async with await mine.connect(RealtimeConnectOptions(session_config=SessionConfig())) as connection:
        await connection.send(ResponseCreate("e", say=GREETING))
        await until(connection, ResponseDone)
        await say(connection, speech, question)
        said, events = await until(connection, TranscriptOutput)
        assert any(isinstance(event, AudioOutputDelta) for event in events)
        return said.text


def test_eight_calls_at_once_each_get_their_own_answer(engines: Speech) -> None:
    questions = ["When are you open?", "What is your address?", "Where can I park my car?", "How much is a cleaning?"]
    openings = ["We are open", "We are at", "There is a car park", "A check-up is"]

    async def main() -> list[str]:
        async with model(greeting=GREETING) as mine, asyncio.TaskGroup() as tasks:
            for question in questions:
                await engines.synthesize(question)
            calls = [tasks.create_task(converse(mine, engines, question)) for question in questions * 2]
            said = [await each for each in calls]
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return said

    said = asyncio.run(main())

    assert [text.startswith(opening) for text, opening in zip(said, openings * 2, strict=True)] == [True] * 8
