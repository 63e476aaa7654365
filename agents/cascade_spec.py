"""The block `cascade` of an agent's file: who hears, who thinks and who speaks."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from agents.spec import Spec

ADDRESS = r"^(https?|wss?)://"


class ListenSpec(Spec):
    """Who hears the caller."""

    provider: Literal["deepgram-flux", "deepgram-nova", "local"] = Field(
        description="deepgram-flux: turns by what was said. deepgram-nova: turns by silence. local: on this machine."
    )
    model: str | None = Field(None, min_length=1, description="The recogniser's model: flux-general-en, nova-3.")
    language: str | None = Field(None, min_length=2, description="What callers speak, such as en.")
    keyterms: tuple[str, ...] = Field((), max_length=100, description="Names and words to expect.")
    eot_threshold: float | None = Field(
        None, ge=0.5, le=1, description="deepgram-flux: how sure it must be that a turn is over, 0.5 to 1."
    )
    eot_timeout_ms: int | None = Field(
        None, ge=500, le=60000, description="deepgram-flux: silence that ends a turn in any case, in milliseconds."
    )
    base_url: str | None = Field(None, pattern=ADDRESS, description="Another address of the recogniser's API.")
    options: dict[str, Any] = Field(default_factory=dict, description="More query parameters of its connection.")


class ThinkSpec(Spec):
    """Who thinks: an OpenAI-compatible chat endpoint, or the script."""

    provider: Literal["chat", "script"] = Field(
        "chat", description="chat: an OpenAI-compatible chat endpoint. script: the block script of this file."
    )
    url: str | None = Field(
        None, pattern=r"^https?://", description="chat: base address, such as http://127.0.0.1:11434/v1."
    )
    model: str | None = Field(None, min_length=1, description="chat: the model's name at that endpoint.")
    api_key_env: str | None = Field(
        None, pattern=r"^[A-Z][A-Z0-9_]*$", description="chat: the environment variable that holds the endpoint's key."
    )
    temperature: float | None = Field(None, ge=0, le=2, description="chat: as the endpoint understands it.")
    max_tokens: int = Field(400, ge=1, le=4096, description="chat: longest answer, in tokens.")

    @model_validator(mode="after")
    def _is_somebody(self) -> Self:
        of_chat = {"url": self.url, "model": self.model}
        if self.provider == "chat":
            missing = [name for name, value in of_chat.items() if value is None]
            if missing:
                raise ValueError(f"a chat endpoint needs {' and '.join(missing)}; or write provider: script")
        else:
            given = [name for name in self.model_fields_set if name != "provider"]
            if given:
                raise ValueError(f"a script has no {' and no '.join(sorted(given))}; its block is script")
        return self


class SpeakSpec(Spec):
    """Who speaks."""

    provider: Literal["cartesia", "elevenlabs", "deepgram", "local"] = Field(description="Whose voice it is.")
    model: str | None = Field(
        None, min_length=1, description="cartesia, elevenlabs: the model that speaks, such as sonic-3."
    )
    voice: str | None = Field(
        None, min_length=1, description="The voice, by its provider's id; deepgram: such as aura-2-thalia-en."
    )
    language: str | None = Field(None, min_length=2, description="cartesia, elevenlabs: what the voice speaks.")
    base_url: str | None = Field(None, pattern=ADDRESS, description="Another address of the voice's API.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="More: query parameters of its connection; with cartesia, of each request."
    )


class CascadeSpec(Spec):
    """A model put together from three parts."""

    listen: ListenSpec = Field(description="Who hears the caller.")
    think: ThinkSpec = Field(description="Who thinks of what to say.")
    speak: SpeakSpec = Field(description="Who speaks.")
