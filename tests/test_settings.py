"""The environment is read once, and a wrong one is refused with the names of its variables."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from agents.errors import ConfigError
from agents.local.model import MAX_WORKERS, workers_in
from gateway.settings import Settings, read_settings, wrong_variables

TOKEN = "0123456789abcdef0123456789abcdef"
ACCOUNT = "AC" + "0" * 32
KEY = "SK" + "0" * 32
PUBLIC = {"PUBLIC_URL": "https://voice.example.com", "TWILIO_AUTH_TOKEN": TOKEN}


# ---- what stands when nothing is set ----


def test_without_an_environment_the_service_runs_for_this_machine_alone() -> None:
    settings = read_settings({})

    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 8080, "")
    assert settings.base_url == "http://127.0.0.1:8080"
    assert settings.media_url == "ws://127.0.0.1:8080/twilio/media"
    assert (settings.config_dir, settings.max_calls, settings.drain_s) == (Path("config"), 50, 30.0)
    assert (settings.log_format, settings.log_level) == ("text", "info")


def test_a_token_is_invented_each_time_when_there_is_none() -> None:
    first, second = read_settings({}), read_settings({})

    assert first.has_invented_token
    assert len(first.auth_tokens) == 1
    assert len(first.auth_tokens[0]) == 32
    assert first.auth_tokens != second.auth_tokens


def test_blank_variables_count_as_not_set() -> None:
    settings = read_settings({"PORT": "", "PUBLIC_URL": "  ", "TWILIO_AUTH_TOKEN": ""})

    assert (settings.port, settings.public_url, settings.has_invented_token) == (8080, "", True)


def test_variables_of_others_are_ignored() -> None:
    assert read_settings({"PATH": "/bin", "HOME": "/home/ann", "TWILIO_REGION": "ie1"}).port == 8080


# ---- what can be set ----


def test_every_variable_is_read() -> None:
    settings = read_settings(
        {
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_API_KEY": KEY,
            "TWILIO_API_SECRET": "secret",
            "TWILIO_API_URL": "https://api.dublin.ie1.twilio.com/",
            "PUBLIC_URL": "https://voice.example.com",
            "HOST": "0.0.0.0",
            "PORT": "9000",
            "CONFIG_DIR": "elsewhere",
            "MAX_CALLS": "3",
            "DRAIN_S": "1.5",
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "debug",
            "SPEECH_WORKERS": "4",
        }
    )

    assert settings.auth_tokens == (TOKEN,)
    assert settings.account_sid == ACCOUNT
    assert (settings.api_key, settings.api_secret) == (KEY, "secret")
    assert settings.api_url == "https://api.dublin.ie1.twilio.com"
    assert settings.base_url == "https://voice.example.com"
    assert (settings.host, settings.port) == ("0.0.0.0", 9000)
    assert (settings.config_dir, settings.max_calls, settings.drain_s) == (Path("elsewhere"), 3, 1.5)
    assert (settings.log_format, settings.log_level) == ("json", "debug")
    assert settings.speech_workers == 4
    assert not settings.has_invented_token


def test_several_tokens_are_separated_by_commas() -> None:
    assert read_settings({"TWILIO_AUTH_TOKEN": f" {TOKEN}, second ,,"}).auth_tokens == (TOKEN, "second")


def test_the_command_line_wins() -> None:
    settings = read_settings({"HOST": "localhost", "PORT": "9000"}, host="127.0.0.2", port=9001)

    assert (settings.host, settings.port) == ("127.0.0.2", 9001)


@pytest.mark.parametrize(
    ("public_url", "base_url", "media_url"),
    [
        ("https://voice.example.com", "https://voice.example.com", "wss://voice.example.com/twilio/media"),
        ("https://voice.example.com/", "https://voice.example.com", "wss://voice.example.com/twilio/media"),
        (
            "https://voice.example.com:8443",
            "https://voice.example.com:8443",
            "wss://voice.example.com:8443/twilio/media",
        ),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000", "ws://127.0.0.1:9000/twilio/media"),
        ("http://localhost:9000", "http://localhost:9000", "ws://localhost:9000/twilio/media"),
        ("http://[::1]:9000", "http://[::1]:9000", "ws://[::1]:9000/twilio/media"),
        ("HTTPS://voice.example.com", "https://voice.example.com", "wss://voice.example.com/twilio/media"),
    ],
)
def test_addresses_come_from_the_public_url(public_url: str, base_url: str, media_url: str) -> None:
    settings = read_settings(PUBLIC | {"PUBLIC_URL": public_url})

    assert (settings.base_url, settings.media_url) == (base_url, media_url)


def test_an_ipv6_host_is_an_address_that_can_be_called() -> None:
    settings = read_settings({"HOST": "::1"})

    assert settings.base_url == "http://[::1]:8080"
    assert settings.media_url == "ws://[::1]:8080/twilio/media"


@pytest.mark.parametrize(
    ("environment", "credentials"),
    [
        ({}, None),
        ({"TWILIO_AUTH_TOKEN": TOKEN}, None),
        ({"TWILIO_ACCOUNT_SID": ACCOUNT}, None),
        ({"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": f"{TOKEN},second"}, (ACCOUNT, TOKEN)),
        ({"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_API_KEY": KEY, "TWILIO_API_SECRET": "secret"}, (KEY, "secret")),
        (
            {
                "TWILIO_ACCOUNT_SID": ACCOUNT,
                "TWILIO_AUTH_TOKEN": TOKEN,
                "TWILIO_API_KEY": KEY,
                "TWILIO_API_SECRET": "secret",
            },
            (KEY, "secret"),
        ),
    ],
)
def test_rest_is_asked_with_the_key_else_with_the_first_token_of_a_known_account(
    environment: dict[str, str], credentials: tuple[str, str] | None
) -> None:
    assert read_settings(environment).rest_credentials == credentials


def test_rest_may_be_simulated_on_this_machine() -> None:
    assert read_settings({"TWILIO_API_URL": "http://127.0.0.1:9000"}).api_url == "http://127.0.0.1:9000"


# ---- what is refused ----


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "http"),
        ("MAX_CALLS", "0"),
        ("DRAIN_S", "-1"),
        ("DRAIN_S", "nan"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
        ("TWILIO_ACCOUNT_SID", "AC123"),
        ("TWILIO_API_KEY", "AC" + "0" * 32),
        ("TWILIO_API_URL", "http://api.twilio.com"),
        ("TWILIO_API_URL", "api.twilio.com"),
        ("TWILIO_API_URL", "https://user:pass@api.twilio.com"),
        ("TWILIO_API_URL", "https://api.twilio.com?x=1"),
        ("PUBLIC_URL", "voice.example.com"),
        ("PUBLIC_URL", "wss://voice.example.com"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://voice.example.com?x=1"),
        ("PUBLIC_URL", "https://voice.example.com#x"),
        ("PUBLIC_URL", "https://voice.example.com:port"),
        ("PUBLIC_URL", "https://voice.example.com:99999"),
        ("PUBLIC_URL", "https://[::1"),
        ("PUBLIC_URL", "http://voice.example.com"),
        ("PUBLIC_URL", "http://10.0.0.7:8080"),
        ("PUBLIC_URL", "https://ann@voice.example.com"),
        ("PUBLIC_URL", "https://ann:secret@voice.example.com"),
        ("PUBLIC_URL", "https://@voice.example.com"),
        ("SPEECH_WORKERS", "abc"),
        ("SPEECH_WORKERS", "0"),
        ("SPEECH_WORKERS", "65"),
        ("SPEECH_WORKERS", "2.0"),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"the environment is wrong:\n  {variable}: "):
        read_settings({"TWILIO_AUTH_TOKEN": TOKEN, variable: value})


def test_every_wrong_variable_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings({"PORT": "x", "LOG_LEVEL": "x", "MAX_CALLS": "x"})

    assert all(name in str(caught.value) for name in ("PORT", "LOG_LEVEL", "MAX_CALLS"))


def test_each_wrong_variable_is_one_line() -> None:
    lines = wrong_variables({"PORT": "abc", "TWILIO_ACCOUNT_SID": "bad", "HOST": "0.0.0.0"})

    assert [line.partition(":")[0] for line in lines] == ["TWILIO_ACCOUNT_SID", "PORT"]
    assert wrong_variables({"HOST": "0.0.0.0"}) == [
        "TWILIO_AUTH_TOKEN must be set: without it nobody could tell Twilio from a stranger"
    ]
    assert wrong_variables({}) == []


def test_the_most_speech_workers_are_as_many_as_the_embedded_agent_takes() -> None:
    most = {"SPEECH_WORKERS": str(MAX_WORKERS)}

    assert read_settings(most).speech_workers == workers_in(most)
    assert wrong_variables({"SPEECH_WORKERS": str(MAX_WORKERS + 1)})


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_API_KEY": KEY}, "must be set together"),
        ({"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_API_SECRET": "secret"}, "must be set together"),
        ({"TWILIO_API_KEY": KEY, "TWILIO_API_SECRET": "secret"}, "TWILIO_ACCOUNT_SID must be set"),
    ],
)
def test_half_of_an_api_key_is_refused(environment: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        read_settings(environment)


@pytest.mark.parametrize(
    "environment",
    [
        {"PUBLIC_URL": "https://voice.example.com"},
        {"HOST": "0.0.0.0"},
        {"HOST": "::"},
        {"HOST": "10.0.0.7"},
        {"HOST": "gateway.internal"},
        {"HOST": "0.0.0.0", "TWILIO_AUTH_TOKEN": " , "},
    ],
)
def test_who_can_be_reached_by_strangers_needs_a_token(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="TWILIO_AUTH_TOKEN must be set"):
        read_settings(environment)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "localhost", "::1"])
def test_loopback_needs_no_token(host: str) -> None:
    assert read_settings({"HOST": host}).has_invented_token


# ---- secrets ----


def test_secrets_are_in_no_repr_and_in_no_error() -> None:
    key = {"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_API_KEY": KEY, "TWILIO_API_SECRET": TOKEN}
    settings = read_settings(PUBLIC | key)
    with pytest.raises(ConfigError) as caught:
        read_settings(PUBLIC | {"TWILIO_ACCOUNT_SID": TOKEN, "PORT": "x", "PUBLIC_URL": f"https://a:{TOKEN}@b.example"})

    assert TOKEN not in f"{settings!r} {settings}"
    assert TOKEN not in str(caught.value)


def test_settings_cannot_be_changed() -> None:
    settings = read_settings({})

    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


def test_the_environment_cannot_say_that_a_token_was_invented() -> None:
    assert not read_settings(PUBLIC | {"has_invented_token": "true"}).has_invented_token


def test_every_field_has_a_variable_but_what_a_process_is_among_others_and_whether_its_token_was_invented() -> None:
    without = [name for name, field in Settings.model_fields.items() if not field.alias]

    assert without == ["has_invented_token", "worker"]
