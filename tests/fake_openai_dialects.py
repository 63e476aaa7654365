"""How services that are not OpenAI speak its protocol: the fake is OpenAI at heart, and these translate.

`read` makes of a client's message what it is in OpenAI's own words, with everything that the service would not take;
`write` makes of OpenAI's message what the service says instead. Written from the services' pages, not from our code.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from agents.realtime import PCM, AudioFormat

Json = dict[str, Any]

BETA: Final = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "conversation.item.added": "conversation.item.created",
}
FORCED: Final = "fake.forced"
"""What a message that makes xAI speak is called after reading: OpenAI has no words for it."""

G711: Final = {"g711_ulaw": {"type": "audio/pcmu"}, "g711_alaw": {"type": "audio/pcma"}}
_WRITTEN: Final = "conversation.item.input_audio_transcription"
_NESTED_KEYS: Final = ("instructions", "tool_choice", "tools")
_FLAT_KEYS: Final = {
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
    "turn_detection": "turn_detection",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeDialect:
    """One service. `query` has what its address must have, with the value where there is only one."""

    path: str = "/v1/realtime"
    base: str = "/v1"
    query: Mapping[str, str | None] = field(default_factory=lambda: {"model": None})
    key_header: str = "Authorization"
    key_scheme: str = "Bearer "
    secrets: Literal["openai", "bare"] | None = None
    layout: Literal["nested", "flat", "xai"] = "nested"
    is_beta: bool = False
    hears: AudioFormat = PCM
    """What its PCM is."""
    formats: Mapping[str, Json] = field(default_factory=dict)
    """Of a flat session: its names of formats, as OpenAI has them."""
    nests_tools: bool = False
    turn_types: Mapping[str, str] = field(default_factory=lambda: {"semantic_vad": "semantic_vad"})
    refuses: frozenset[str] = frozenset()
    """Message types that it has not."""
    names_model: bool = False
    omits: frozenset[str] = frozenset()
    """Fields that its messages of responses leave out."""
    forgets_responses: bool = False
    """After a tool's result it says neither that a response begins nor that it ends."""
    always_writes: bool = False
    """It writes down what callers say, whether it is asked to or not."""
    names_no_events: bool = False
    """Its errors do not say which message they are about."""

    def read(self, message: Json) -> tuple[Json, list[str]]:
        kind = message.get("type")
        if kind in self.refuses:
            return message, [f"{kind}: not a message of this service"]
        match message:
            case {"type": "session.update", "session": dict(session)}:
                ga, faults = _SESSIONS[self.layout](session, self)
                return {**message, "session": ga}, faults
            case {"type": "conversation.item.create", "item": {"type": "force_message", **forced}}:
                return _forced(message, {str(key): value for key, value in forced.items()}, self)
            case {"type": "conversation.item.create", "item": {"role": "assistant", "content": content} as item}:
                parts = [_part(part, self) for part in content]
                faults = [fault for _, some in parts for fault in some]
                return {**message, "item": {**item, "content": [part for part, _ in parts]}}, faults
        return message, []

    def write(self, message: Json) -> Iterator[Json]:
        kind = message["type"]
        if self.is_beta and kind == "conversation.item.done":
            return
        if kind == "error" and self.names_no_events:
            message = {**message, "error": {**message["error"], "event_id": None}}
        if kind in ("session.created", "session.updated"):
            message = {**message, "session": self._snapshot(message["session"])}
        if self.layout == "xai":
            message = _of_xai(message)
        name = BETA.get(kind, kind) if self.is_beta else message["type"]
        if kind.startswith("response.") and kind not in ("response.created", "response.done"):
            message = {key: value for key, value in message.items() if key not in self.omits}
        yield {**message, "type": name}

    def _snapshot(self, session: Json) -> Json:
        if self.layout != "nested":
            return {"id": session["id"], "object": "realtime.session"}
        heard = session["audio"]["input"]
        if heard["format"]["type"] == "audio/pcm":
            heard = {**heard, "format": {"type": "audio/pcm", "rate": self.hears.sample_rate}}
        return {**session, "audio": {**session["audio"], "input": heard}}


def _of_xai(message: Json) -> Json:
    match message:
        case {"type": "session.created"}:
            return {"type": "conversation.created", "event_id": "event_0", "conversation": {"id": "conv_1"}}
        case {"type": "response.done", "response": response}:
            return {**message, "response": {**response, "usage": {}}, "usage": response["usage"]}
        case {"type": kind, "delta": delta, **rest} if kind == f"{_WRITTEN}.delta":
            return {"type": f"{_WRITTEN}.updated", "transcript": delta, **rest}
    if message["type"].startswith("input_audio_buffer."):
        return {key: value for key, value in message.items() if key not in ("audio_start_ms", "audio_end_ms")}
    return message


# ---- what clients say ----


def _forced(message: Json, forced: Json, dialect: FakeDialect) -> tuple[Json, list[str]]:
    if dialect.layout != "xai":
        return message, ["force_message: no such item"]
    match forced:
        case {"role": "assistant", "content": [{"type": "output_text", "text": str(text)}]} if len(forced) == 2:
            return {"type": FORCED, "text": text, "event_id": message.get("event_id")}, []
    return message, ["force_message: wants role assistant and one output_text"]


def _part(part: Json, dialect: FakeDialect) -> tuple[Json, list[str]]:
    wanted = "text" if dialect.is_beta else "output_text"
    faults = [] if part.get("type") == wanted else [f"assistant content: {part.get('type')} where {wanted} belongs"]
    return {**part, "type": "output_text"}, faults


def _nested(session: Json, dialect: FakeDialect) -> tuple[Json, list[str]]:
    faults = ["session: lacks model"] if dialect.names_model and "model" not in session else []
    if dialect.hears == PCM:
        return session, faults
    audio = session.get("audio", {})
    heard = dict(audio.get("input", {}))
    if heard.get("format") != {"type": "audio/pcm", "rate": dialect.hears.sample_rate}:
        faults.append(f"audio.input.format: {heard.get('format')}")
    heard["format"] = {"type": "audio/pcm", "rate": 24_000}
    return {**session, "audio": {**audio, "input": heard}}, faults


def _flat(session: Json, dialect: FakeDialect) -> tuple[Json, list[str]]:
    heard: Json = {}
    spoken: Json = {}
    ga: Json = {"type": "realtime", "audio": {"input": heard, "output": spoken}}
    faults: list[str] = []
    for key, value in session.items():
        match key:
            case "modalities" if value in (["text"], ["text", "audio"]):
                ga["output_modalities"] = value[-1:]
            case "input_audio_format" | "output_audio_format" if value in dialect.formats:
                (heard if key.startswith("input") else spoken)["format"] = dialect.formats[value]
            case "voice":
                spoken["voice"] = value if isinstance(value, str) else {"id": value["name"]}
            case "input_audio_transcription" | "input_audio_noise_reduction" | "turn_detection":
                heard[_FLAT_KEYS[key]] = value
            case "max_response_output_tokens":
                ga["max_output_tokens"] = value
            case "instructions" | "tool_choice" | "tools":
                ga[key] = value
            case _:
                faults.append(f"session.{key}: {value}")
    _turns(heard, dialect, faults)
    _tools(ga, dialect, faults)
    return ga, faults


def _xai(session: Json, dialect: FakeDialect) -> tuple[Json, list[str]]:
    known = {"voice", "instructions", "turn_detection", "audio", "tools", "reasoning", "resumption", "replace"}
    faults = [f"session.{key}: no such field" for key in session.keys() - known]
    audio = session.get("audio", {})
    heard, spoken = dict(audio.get("input", {})), dict(audio.get("output", {}))
    faults += [f"audio.input.{key}" for key in heard.keys() - {"format", "transcription", "transport"}]
    faults += [f"audio.output.{key}" for key in spoken.keys() - {"format", "speed", "transport"}]
    if transcription := dict(heard.get("transcription") or {}):
        faults += [f"transcription.{key}" for key in transcription.keys() - {"model", "language_hint", "keyterms"}]
        hint = transcription.pop("language_hint", None)
        heard["transcription"] = transcription | ({} if hint is None else {"language": hint})
    if "turn_detection" in session:
        heard["turn_detection"] = session["turn_detection"]
    _turns(heard, dialect, faults)
    if "voice" in session:
        spoken["voice"] = session["voice"]
    ga: Json = {key: session[key] for key in _NESTED_KEYS if key in session}
    return {"type": "realtime", **ga, "audio": {"input": heard, "output": spoken}}, faults


def _turns(heard: Json, dialect: FakeDialect, faults: list[str]) -> None:
    turns = heard.get("turn_detection")
    if turns is None or turns.get("type") == "server_vad":
        return
    if turns.get("type") in dialect.turn_types:
        heard["turn_detection"] = {**turns, "type": dialect.turn_types[turns["type"]]}
    else:
        faults.append(f"turn_detection.type: {turns.get('type')}")


def _tools(ga: Json, dialect: FakeDialect, faults: list[str]) -> None:
    if not dialect.nests_tools:
        return
    tools = []
    for tool in ga.get("tools", []):
        match tool:
            case {"type": "function", "function": dict(function)} if len(tool) == 2:
                tools.append({"type": "function", **function})
            case _:
                faults.append(f"tools: {tool}")
    ga["tools"] = tools


_SESSIONS: Final = {"nested": _nested, "flat": _flat, "xai": _xai}

_24K: Final = {"type": "audio/pcm", "rate": 24_000}
_16K: Final = AudioFormat(sample_rate=16_000)

FAKE_DIALECTS: Final[Mapping[str, FakeDialect]] = {
    "openai": FakeDialect(secrets="openai"),
    "azure": FakeDialect(
        path="/openai/v1/realtime", base="", key_header="api-key", key_scheme="", secrets="openai", turn_types={}
    ),
    "azure-voice-live": FakeDialect(
        path="/voice-live/realtime",
        base="",
        query={"model": None, "api-version": "2026-07-15"},
        key_header="api-key",
        key_scheme="",
        layout="flat",
        is_beta=True,
        formats={"pcm16": _24K, **G711},
        turn_types={"azure_semantic_vad": "semantic_vad"},
    ),
    "xai": FakeDialect(
        secrets="bare",
        layout="xai",
        turn_types={},
        omits=frozenset({"output_index", "content_index", "part"}),
        names_no_events=True,
        refuses=frozenset({"conversation.item.retrieve", "output_audio_buffer.clear"}),
    ),
    "inworld": FakeDialect(
        path="/api/v1/realtime/session",
        base="",
        query={"key": None, "protocol": "realtime"},
        key_scheme="Basic ",
        names_model=True,
        always_writes=True,
        refuses=frozenset({"conversation.item.truncate"}),
    ),
    "qwen": FakeDialect(
        path="/api-ws/v1/realtime",
        base="",
        layout="flat",
        is_beta=True,
        hears=_16K,
        formats={"pcm": _24K},
        nests_tools=True,
        refuses=frozenset({"conversation.item.truncate"}),
    ),
    "speaches": FakeDialect(
        base="",
        layout="flat",
        is_beta=True,
        formats={"pcm16": _24K},
        turn_types={},
        always_writes=True,
        refuses=frozenset({"conversation.item.truncate"}),
    ),
    "localai": FakeDialect(base="", always_writes=True, names_no_events=True),
    "vllm-omni": FakeDialect(
        base="",
        always_writes=True,
        hears=_16K,
        omits=frozenset({"response_id", "item_id", "output_index", "content_index"}),
        refuses=frozenset({"conversation.item.truncate", "conversation.item.delete", "response.cancel"}),
    ),
    "speech-to-speech": FakeDialect(base="", always_writes=True, forgets_responses=True),
}
