"""Where the service runs and what secrets it holds: the environment, read once."""

import secrets
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from agents.errors import ConfigError
from gateway.addresses import Addresses, worker_prefix


class Settings(BaseModel):
    """One field for each environment variable, named in its alias; `config/README.md` explains them."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    auth_tokens: tuple[str, ...] = Field((), alias="TWILIO_AUTH_TOKEN", repr=False)
    account_sid: str | None = Field(None, alias="TWILIO_ACCOUNT_SID", pattern=r"^AC[0-9a-f]{32}$")
    api_key: str | None = Field(None, alias="TWILIO_API_KEY", pattern=r"^SK[0-9a-f]{32}$")
    api_secret: str | None = Field(None, alias="TWILIO_API_SECRET", repr=False)
    api_url: str = Field("https://api.twilio.com", alias="TWILIO_API_URL")
    public_url: str = Field("", alias="PUBLIC_URL")
    host: str = Field("127.0.0.1", alias="HOST", min_length=1)
    port: int = Field(8080, alias="PORT", ge=1, le=65535)
    config_dir: Path = Field(Path("config"), alias="CONFIG_DIR")
    calls_token: str | None = Field(None, alias="CALLS_TOKEN", min_length=8, repr=False)
    calls_per_second: float = Field(1.0, alias="CALLS_PER_SECOND", gt=0, le=100)
    status_posts_allow_private: bool = Field(False, alias="STATUS_POSTS_ALLOW_PRIVATE")
    max_calls: int = Field(50, alias="MAX_CALLS", ge=1, le=10_000)
    max_loop_lag_ms: int = Field(10, alias="MAX_LOOP_LAG_MS", ge=0, le=1000)
    max_cpu_percent: int = Field(85, alias="MAX_CPU_PERCENT", ge=0, le=100)
    drain_s: float = Field(30.0, alias="DRAIN_S", ge=0, le=3600)
    log_format: Literal["text", "json"] = Field("text", alias="LOG_FORMAT")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", alias="LOG_LEVEL")
    workers: int = Field(1, alias="WORKERS", ge=1, le=64)
    speech_workers: int = Field(1, alias="SPEECH_WORKERS", ge=1, le=64)
    has_invented_token: bool = Field(False, init=False)
    worker: int | None = Field(None, init=False)

    @field_validator("auth_tokens", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("speech_workers", mode="before")
    @classmethod
    def _is_written_in_digits(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip().isdecimal():  # as the embedded agent reads it once more
            raise ValueError("must be a whole number")
        return value

    @field_validator("public_url")
    @classmethod
    def _is_an_origin(cls, url: str) -> str:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        if url and (not is_web or parts.query or parts.fragment):
            raise ValueError("must be like https://voice.example.com")
        if "@" in parts.netloc:
            raise ValueError("must hold no user and no password: it is logged, and Twilio signs without them")
        if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
            raise ValueError("must begin with https://: Twilio opens no media stream to ws://")
        return parts.geturl().rstrip("/")

    @field_validator("api_url")
    @classmethod
    def _keeps_secrets(cls, url: str) -> str:
        parts = urlsplit(url)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))
        if not is_safe or not parts.hostname or parts.port == 0 or parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("must be like https://api.twilio.com; http:// only on this machine")
        return parts.geturl().rstrip("/")

    @model_validator(mode="after")
    def _has_whole_credentials(self) -> Self:
        if (self.api_key is None) != (self.api_secret is None):
            raise ValueError("TWILIO_API_KEY and TWILIO_API_SECRET must be set together")
        if self.api_key and not self.account_sid:
            raise ValueError("TWILIO_ACCOUNT_SID must be set: TWILIO_API_KEY does not say which account it is of")
        return self

    @model_validator(mode="after")
    def _verifies_what_it_can(self) -> Self:
        if not self.auth_tokens and (self.public_url or not _is_loopback(self.host)):
            raise ValueError("TWILIO_AUTH_TOKEN must be set: without it nobody could tell Twilio from a stranger")
        if not self.public_url and not _is_loopback(self.host):
            raise ValueError("PUBLIC_URL must be set: Twilio signs its requests for that address")
        return self

    @property
    def rest_credentials(self) -> tuple[str, str] | None:
        """User and password for Twilio's REST API: the API key, else the account with its first token."""
        if self.api_key and self.api_secret:
            return self.api_key, self.api_secret
        if self.account_sid and self.auth_tokens and not self.has_invented_token:
            return self.account_sid, self.auth_tokens[0]
        return None

    @property
    def base_url(self) -> str:
        """What our addresses begin with in the eyes of the caller's network."""
        return self.public_url or self.local_url

    @property
    def local_url(self) -> str:
        """Where the service is reached from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def addresses(self) -> Addresses:
        """Where Twilio finds us: this process, where there are several."""
        return Addresses(self.base_url + (worker_prefix(self.worker) if self.worker else ""))

    @property
    def media_url(self) -> str:
        """Where media streams come to: wss where webhooks are https."""
        return self.addresses.media


def read_settings(
    environment: Mapping[str, str], *, host: str | None = None, port: int | None = None, workers: int | None = None
) -> Settings:
    """The settings, those of the command line winning. Raises ConfigError that names every wrong variable.

    Without TWILIO_AUTH_TOKEN, on loopback, a token is invented: checks stay on, and only who can read the run file can
    call.
    """
    given = {**environment} | {
        name: str(value) for name, value in (("HOST", host), ("PORT", port), ("WORKERS", workers)) if value is not None
    }
    try:
        settings = _parsed(given)
    except ValidationError as error:
        raise ConfigError("the environment is wrong:\n  " + "\n  ".join(_lines(error))) from None
    if settings.auth_tokens:
        return settings
    return settings.model_copy(update={"auth_tokens": (secrets.token_hex(16),), "has_invented_token": True})


def wrong_variables(environment: Mapping[str, str]) -> list[str]:
    """Each wrong variable as a line: its name and what would be right, never its value. Empty when all are right."""
    try:
        _parsed(environment)
    except ValidationError as error:
        return _lines(error)
    return []


def _parsed(environment: Mapping[str, str]) -> Settings:
    return Settings.model_validate(
        {name: value for name, value in environment.items() if name.isupper() and value.strip()}
    )


def _lines(error: ValidationError) -> list[str]:
    return [": ".join([*map(str, e["loc"]), e["msg"].removeprefix("Value error, ")]) for e in error.errors()]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
