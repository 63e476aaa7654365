"""Errors say where, what was found and what would be right."""

from pathlib import Path

import pytest

from agents.errors import (
    ChannelError,
    ConfigError,
    GatewayError,
    NotSupportedError,
    Problem,
    ProviderError,
    ToolError,
)

FILE = Path("config/agents/desk.yaml")


@pytest.mark.parametrize("error", [ConfigError, NotSupportedError, ProviderError, ChannelError, ToolError])
def test_every_error_of_ours_is_a_gateway_error(error: type[Exception]) -> None:
    assert issubclass(error, GatewayError)


def test_what_is_not_supported_is_an_error_of_configuration() -> None:
    assert issubclass(NotSupportedError, ConfigError)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (
            Problem(FILE, 3, "voice.speed", "fast", "must be a number"),
            f"{FILE}:3: voice.speed: found fast; must be a number",
        ),
        (Problem(FILE, None, "model", "nothing", "is required"), f"{FILE}: model: found nothing; is required"),
        (Problem(FILE, 1, "", "a list", "must be a mapping"), f"{FILE}:1: found a list; must be a mapping"),
    ],
)
def test_a_problem_says_where_it_is_what_was_found_and_what_would_be_right(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_a_config_error_carries_every_problem() -> None:
    problems = (Problem(FILE, 1, "a", "b", "c"), Problem(FILE, 2, "d", "e", "f"))

    assert ConfigError("two things are wrong", problems).problems == problems
    assert ConfigError("one thing is wrong").problems == ()


def test_a_provider_error_says_whether_trying_again_may_help() -> None:
    error = ProviderError("the line to the model broke", code="network", retryable=True)

    assert (str(error), error.code, error.retryable) == ("the line to the model broke", "network", True)
