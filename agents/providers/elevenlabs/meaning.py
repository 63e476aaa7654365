"""What the messages of an ElevenLabs conversation say, read into facts."""

from dataclasses import dataclass
from typing import Final

from agents.events import SessionError
from agents.providers.elevenlabs.errors import session_error
from agents.providers.socket import WireError
from agents.providers.wire_json import Message, from_base64, optional_object, optional_text, read_object, write

ROUTINE: Final = frozenset(
    {"asr_initiation_metadata", "internal_tentative_agent_response", "internal_turn_probability"}
)
"""Message types that say nothing that others do not."""

DEFAULT_FORMAT: Final = "pcm_16000"
"""What the platform's own clients take a format for that it does not name."""

MAX_DIGITS: Final = 18
"""Event ids are 64 bit numbers."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The conversation begins. The formats are the names that the agent's settings have."""

    session_id: str | None
    heard_format: str
    spoken_format: str


@dataclass(frozen=True, slots=True)
class Ping:
    event_id: int | str


@dataclass(frozen=True, slots=True)
class CallerSaid:
    """All words of a turn."""

    text: str


@dataclass(frozen=True, slots=True)
class CallerMaySay:
    """Words that may still change."""

    text: str


@dataclass(frozen=True, slots=True)
class VoiceScore:
    """How sure the platform is that the caller speaks, 0 to 1."""

    score: float


@dataclass(frozen=True, slots=True)
class AgentSound:
    """`is_final` is None where the platform does not say whether more comes."""

    audio: bytes
    event_id: int | None
    is_final: bool | None


@dataclass(frozen=True, slots=True)
class AgentText:
    """A whole text."""

    text: str
    event_id: int | None


@dataclass(frozen=True, slots=True)
class AgentTextPart:
    """`kind` is start, delta or stop."""

    kind: str
    text: str
    event_id: int | None


@dataclass(frozen=True, slots=True)
class AgentComplete:
    event_id: int | None


@dataclass(frozen=True, slots=True)
class Interruption:
    event_id: int | None


@dataclass(frozen=True, slots=True)
class Correction:
    """What the agent was to say, and what it believes it said before it was interrupted."""

    original: str
    corrected: str


@dataclass(frozen=True, slots=True)
class ClientToolCall:
    """`arguments` is JSON text. The agent goes on by itself, without waiting, where it expects no result."""

    call_id: str
    name: str
    arguments: str
    event_id: int | None
    expects_result: bool


@dataclass(frozen=True, slots=True)
class Routine:
    """Nothing of interest."""


@dataclass(frozen=True, slots=True)
class Unknown:
    kind: str
    fields: Message


OfCaller = CallerSaid | CallerMaySay | VoiceScore
OfAgent = AgentSound | AgentText | AgentTextPart | AgentComplete | Interruption | Correction | ClientToolCall
Fact = Ready | Ping | SessionError | OfCaller | OfAgent | Routine | Unknown


def read(message: str | bytes) -> Fact:
    """What the message says. Raises WireError for all that a healthy server does not send."""
    fields = read_object(message)
    match fields.get("type"):
        case "ping":
            return Ping(_ping_id(optional_object(fields, "ping_event")))
        case "conversation_initiation_metadata":
            return _ready(optional_object(fields, "conversation_initiation_metadata_event"))
        case "error" | "client_error":
            return session_error(fields)
        case str(kind) if kind in ROUTINE:
            return Routine()
        case str(kind):
            return _of_caller(kind, fields) or _of_agent(kind, fields) or Unknown(kind, fields)
        case _:
            raise WireError("expected a type")


def _ready(event: Message) -> Ready:
    return Ready(
        optional_text(event, "conversation_id"),
        optional_text(event, "user_input_audio_format") or DEFAULT_FORMAT,
        optional_text(event, "agent_output_audio_format") or DEFAULT_FORMAT,
    )


def _of_caller(kind: str, fields: Message) -> OfCaller | None:
    match kind:
        case "user_transcript":
            return CallerSaid(_text(optional_object(fields, "user_transcription_event"), "user_transcript").strip())
        case "tentative_user_transcript":
            event = optional_object(fields, "tentative_user_transcription_event")
            return CallerMaySay(_text(event, "user_transcript").strip())
        case "vad_score":
            match optional_object(fields, "vad_score_event").get("vad_score"):
                case int() | float() as score:
                    return VoiceScore(score)
                case _:
                    raise WireError("vad_score should be a number")
        case _:
            return None


def _of_agent(kind: str, fields: Message) -> OfAgent | None:
    match kind:
        case "audio":
            return _sound(optional_object(fields, "audio_event"))
        case "agent_response":
            event = optional_object(fields, "agent_response_event")
            return AgentText(_text(event, "agent_response").strip(), _event_id(event))
        case "agent_chat_response_part":
            event = optional_object(fields, "text_response_part")
            kind = optional_text(event, "type") or "delta"
            return AgentTextPart(kind, optional_text(event, "text") or "", _event_id(event))
        case "agent_response_complete":
            return AgentComplete(_event_id(optional_object(fields, "agent_response_complete_event")))
        case "interruption":
            return Interruption(_event_id(optional_object(fields, "interruption_event")))
        case "agent_response_correction":
            event = optional_object(fields, "agent_response_correction_event")
            return Correction(_text(event, "original_agent_response"), _text(event, "corrected_agent_response"))
        case "client_tool_call":
            return _tool_call(optional_object(fields, "client_tool_call"))
        case _:
            return None


def _sound(event: Message) -> AgentSound:
    is_final = event.get("is_final")
    if not isinstance(is_final, bool | None):
        raise WireError("audio_event.is_final should be true or false")
    return AgentSound(from_base64(_text(event, "audio_base_64")), _event_id(event), is_final)


def _tool_call(event: Message) -> ClientToolCall:
    return ClientToolCall(
        _text(event, "tool_call_id"),
        _text(event, "tool_name"),
        write(dict(optional_object(event, "parameters"))),
        _event_id(event),
        event.get("expects_response") is not False,
    )


def _text(fields: Message, key: str) -> str:
    match fields.get(key):
        case str(text):
            return text
        case _:
            raise WireError(f"{key} should be text")


def _event_id(fields: Message) -> int | None:
    match fields.get("event_id"):
        case None | int() as number:
            return number
        case str(digits) if digits.isdecimal() and len(digits) <= MAX_DIGITS:
            return int(digits)
        case _:
            raise WireError("event_id should be a whole number")


def _ping_id(event: Message) -> int | str:
    match event.get("event_id"):
        case int() | str() as event_id:
            return event_id
        case _:
            raise WireError("ping_event.event_id should be a number")
