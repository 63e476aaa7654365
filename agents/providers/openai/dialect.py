"""What one dialect of OpenAI's realtime protocol has in its own way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from agents.realtime import PCM, AudioFormat, Capabilities

Lack = Literal[
    "cancel",
    "create_response",
    "delete",
    "eagerness",
    "idle_timeout_ms",
    "interrupt_response",
    "max_output_tokens",
    "noise_reduction",
    "prompt",
    "semantic_vad",
    "speed",
    "text",
    "tool_choice",
    "truncate",
]
"""What OpenAI's own wire has and another may lack. `create_response` and `interrupt_response`: that false is heeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one service's wire has in its own way.

    name, title         as in `model: name/...`, and as operators call it
    names               its names of events: OpenAI's of today ("ga"), or those of the beta; both are understood of all
    layout              of its session: nested (OpenAI's), flat (the beta's), or xAI's, between the two
    path, query         of its address, below the base URL; in `query`, {model} and {unique} are filled in
    instead_of_model    query parameters that take the place of `model`
    base_url            None where every operator has an address of their own
    base_url_variable, base_url_example
                        the environment variable that holds the base URL, and what it looks like
    auth                how a key is sent; a token credential is always a bearer's
    key_variable        the environment variable that holds the key
    needs_key           false for servers that may run without one
    header_variables    headers, each with the environment variable that it comes from
    secrets             how `/client_secrets` is asked below the path: "openai" with the session and the anchor of the
                        expiry, "bare" without; None where there is none
    input_formats, output_formats
                        what its wire takes and gives, each with its name there, the best PCM first
    voice               a voice's name as the wire has it
    voices              all voices, where their list is closed
    transcription_model writes the caller's words down when nobody names another; None where the server has its own
    modes               its names of the modes of turn detection
    renamed             its names of other fields
    lacks               what its wire has no words for, or is not known to heed
    model_in_session    the model is named in the session too
    nested_tools        a function is an object inside its tool
    says_turns          turn detection is always said, with create_response: what is left out is off there
    says_verbatim       the item type that makes it speak words of ours as they are
    is_loose            leaves out ids, indexes, beginnings of responses or names in errors, which are then made up for
    truncate_may_fail   it is not known for certain to know truncating: its errors about it are nothing
    ready               the message types of which the first says that the session is there
    ignored             message types of its own that say nothing
    max_connection_s    how long a session lasts; the shortest that is told, where more than one is
    has_tracing         it keeps traces of its own, which a session may name
    """

    name: str
    title: str
    path: str
    base_url_variable: str
    base_url_example: str
    key_variable: str
    names: Literal["ga", "beta"] = "ga"
    layout: Literal["nested", "flat", "xai"] = "nested"
    query: Mapping[str, str] = field(default_factory=lambda: {"model": "{model}"})
    instead_of_model: frozenset[str] = frozenset({"call_id"})
    base_url: str | None = None
    auth: Literal["bearer", "api-key", "basic"] = "bearer"
    needs_key: bool = True
    header_variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Literal["openai", "bare"] | None = None
    input_formats: Mapping[AudioFormat, object]
    output_formats: Mapping[AudioFormat, object]
    voice: Callable[[str], object] = str
    voices: tuple[str, ...] = ()
    transcription_model: str | None = None
    modes: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    lacks: frozenset[Lack] = frozenset()
    model_in_session: bool = False
    nested_tools: bool = False
    says_turns: bool = False
    says_verbatim: str | None = None
    is_loose: bool = False
    truncate_may_fail: bool = False
    ready: frozenset[str] = frozenset({"session.created", "session.updated"})
    ignored: frozenset[str] = frozenset()
    max_connection_s: float | None = None
    has_tracing: bool = False

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            input_formats=_ours(self.input_formats),
            output_formats=_ours(self.output_formats),
            truncate="truncate" not in self.lacks,
            cancel="cancel" not in self.lacks,
            delete="delete" not in self.lacks,
            say="verbatim" if self.says_verbatim else "asked",
            max_connection_s=self.max_connection_s,
            max_session_s=self.max_connection_s,
        )


def _ours(formats: Mapping[AudioFormat, object]) -> tuple[AudioFormat, ...]:
    return (PCM, *(each for each in formats if each.mime_type != "audio/pcm"))
