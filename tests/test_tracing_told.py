"""What providers are told of their own tracing, and when."""

import asyncio
import json
import logging
from typing import Any

import pytest

from agents import RealtimeAgent, RealtimeSession, SessionConfig
from agents.events import SessionUpdate
from agents.providers.openai import OpenAIModel
from agents.providers.openai.dialects import DIALECTS, OPENAI
from agents.providers.openai.wire import OpenAICodec
from agents.realtime import RealtimeSessionOptions, Tracing
from agents.tracing.told import config_fields
from tests.fake_openai import FakeOpenAI


def told(**options: Any) -> dict[str, Any]:
    """The session that OpenAI is told of first, by a session with these options."""

    async def scene() -> dict[str, Any]:
        async with FakeOpenAI() as fake:
            model = OpenAIModel("gpt-realtime-2.1", api_key=fake.key, base_url=fake.url)
            async with RealtimeSession(RealtimeAgent(name="test", model=model), **options):
                session = await fake.session()
                first = await session.expect("session.update")
        assert fake.violations == []
        return dict(first["session"])

    return asyncio.run(scene())


def updates(*configs: SessionConfig, dialect: str = "openai") -> list[dict[str, Any]]:
    codec = OpenAICodec(DIALECTS[dialect])
    return [json.loads(message)["session"] for config in configs for message in codec.encode(SessionUpdate(config))]


def test_tracing_disabled_is_null_on_the_providers_wire() -> None:
    assert told(tracing_disabled=True, workflow_name="desk")["tracing"] is None


def test_a_workflow_name_is_an_object_with_group_and_metadata_on_the_providers_wire() -> None:
    session = told(workflow_name="desk", group_id="g7", trace_metadata={"tier": "gold"})

    assert session["tracing"] == {"workflow_name": "desk", "group_id": "g7", "metadata": {"tier": "gold"}}


def test_a_workflow_name_alone_is_an_object_with_nothing_else() -> None:
    assert told(workflow_name="desk")["tracing"] == {"workflow_name": "desk"}


@pytest.mark.parametrize(
    ("options", "named"),
    [({"group_id": "g7"}, "group_id"), ({"trace_metadata": {"tier": "gold"}}, "trace_metadata")],
)
def test_a_group_or_metadata_without_a_workflow_name_is_warned_of_and_the_provider_traces_as_it_likes(
    options: dict[str, Any], named: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "agents.tracing"):
        fields = config_fields(RealtimeSessionOptions(**options))

    assert fields == {"tracing": "auto"}
    assert f"{named}: a provider's own trace takes them with a workflow_name only" in caplog.text
    assert told(**options)["tracing"] == "auto"


def test_unless_an_option_asks_nothing_is_said_of_tracing(caplog: pytest.LogCaptureFixture) -> None:
    assert "tracing" not in told()
    assert caplog.records == []


def test_what_config_says_of_tracing_wins() -> None:
    assert told(workflow_name="desk", config={"tracing": None})["tracing"] is None


def test_tracing_is_told_once_per_connection_as_it_cannot_be_changed() -> None:
    named = SessionConfig(tracing=Tracing(workflow_name="desk"))

    first, second = updates(named, SessionConfig(instructions="I am billing.", tracing=Tracing(workflow_name="other")))

    assert first["tracing"] == {"workflow_name": "desk"}
    assert "tracing" not in second
    assert second["instructions"] == "I am billing."


def test_tracing_in_provider_options_is_told_once_as_well() -> None:
    own = SessionConfig(provider_options={"tracing": "auto"})

    first, second = updates(own, own)

    assert first["tracing"] == "auto"
    assert "tracing" not in second


@pytest.mark.parametrize("dialect", sorted(DIALECTS.keys() - {OPENAI.name}))
def test_a_service_that_is_not_known_to_trace_is_told_nothing_and_refuses_nothing(dialect: str) -> None:
    [session] = updates(SessionConfig(tracing=Tracing(workflow_name="desk")), dialect=dialect)

    assert "tracing" not in session
