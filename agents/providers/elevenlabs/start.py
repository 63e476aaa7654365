"""What an ElevenLabs conversation begins with: the first message, and what was said before it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from agents.errors import NotSupportedError, ProviderError
from agents.providers import Fault
from agents.providers.wire_json import JsonObject, merged, without_none, write
from agents.realtime import PCMU, UNSET, AudioFormat, Past, PastMessage, SessionConfig, Transcription, TurnDetection
from agents.schema import TurnDetectionSpec

OURS: Final = frozenset({"public"})
"""Provider options that are for us, and no part of the message."""

SPEED_RANGE: Final = (0.7, 1.2)
"""How slow and how fast ElevenLabs' voices speak."""

PLATFORM: Final = "is a setting of the agent at ElevenLabs, not of its connections; leave it out here and set it there"

_TURNS: Final = (
    "threshold",
    "silence_duration_ms",
    "prefix_padding_ms",
    "eagerness",
    "idle_timeout_ms",
)

BEFORE: Final = """\
This conversation began earlier. What was said and done so far follows, oldest first, one JSON object on each line; \
the role user is the caller, assistant is you. Go on from there when the caller speaks. Do not greet again."""


def initiation(config: SessionConfig, *, has_history: bool) -> JsonObject:
    """`conversation_initiation_client_data`: only what is set, as each override must be allowed on the agent.

    The greeting is the agent's first message; a conversation that has begun before has none. Raises NotSupportedError
    for what the wire cannot say.
    """
    _refuse(config)
    wanted = config.transcription if isinstance(config.transcription, Transcription) else Transcription()
    agent = without_none(
        prompt=None if config.instructions is None else {"prompt": config.instructions},
        first_message="" if has_history else config.greeting,
        language=wanted.language,
    )
    overrides = without_none(
        agent=agent or None,
        tts=without_none(voice_id=config.voice.voice_id, speed=config.voice.speed) or None,
        asr=None if wanted.prompt is None else {"keywords": keywords(wanted.prompt)},
    )
    message: JsonObject = {"type": "conversation_initiation_client_data"}
    if overrides:
        message["conversation_config_override"] = overrides
    if config.variables:
        message["dynamic_variables"] = dict(config.variables)
    return merged(message, {key: value for key, value in config.provider_options.items() if key not in OURS})


def first_message(message: Mapping[str, Any]) -> str | None:
    """What the agent is told to say first; None leaves it to the agent's own settings."""
    match message:
        case {"conversation_config_override": {"agent": {"first_message": str(text)}}}:
            return text
        case _:
            return None


def keywords(prompt: str) -> list[str]:
    """Words and names to expect, which commas or line ends part."""
    return [word.strip() for word in prompt.replace("\n", ",").split(",") if word.strip()]


def misplaced(turns: TurnDetection | TurnDetectionSpec) -> list[str]:
    """Each field of turn detection that asks for something that only the agent's settings at ElevenLabs decide."""
    found = [] if turns.mode == "server_vad" else ["mode"]
    found += [name for name in _TURNS if getattr(turns, name) is not None]
    found += [name for name in ("interrupt_response", "create_response") if getattr(turns, name, None) is False]
    return found


def option_faults(options: Mapping[str, Any], greeting: str | None) -> Iterator[Fault]:
    """Everything that provider options may not say, by the name of the option."""
    at = ("provider_options",)
    if not isinstance(options.get("public", False), bool):
        yield Fault(at, "public", "public is true for an agent that needs no key, else false")
    if "type" in options:
        yield Fault(at, "type", "leave the type of the message out")
    match options:
        case {"conversation_config_override": {"tts": {"agent_output_audio_format": _}}}:
            yield Fault(at, "tts.agent_output_audio_format", f"the audio format {PLATFORM}")
    match options:
        case {"conversation_config_override": {"asr": {"user_input_audio_format": _}}}:
            yield Fault(at, "asr.user_input_audio_format", f"the audio format {PLATFORM}")
    match options:
        case {"conversation_config_override": {"conversation": {"text_only": True}}}:
            yield Fault(at, "conversation.text_only", "a call has sound; leave it out")
    if greeting is not None and first_message(options) is not None:
        yield Fault(at, "agent.first_message", "the greeting is the first message; write one of them only")


def history_text(history: Sequence[Past]) -> str:
    """What was said before, for the agent to read."""
    lines = [
        {"role": past.role, "text": past.text}
        if isinstance(past, PastMessage)
        else {"tool": past.name, "arguments": past.arguments, "output": past.output}
        for past in history
    ]
    return "\n".join([BEFORE, *(write(line) for line in lines)])


def audio_format(name: str) -> AudioFormat | None:
    """What `pcm_16000` or `ulaw_8000` means; None for a format that we cannot turn into ours."""
    if name == "ulaw_8000":
        return PCMU
    kind, _, rate = name.partition("_")
    if kind != "pcm" or rate not in ("8000", "16000", "24000", "48000"):
        return None
    return AudioFormat(sample_rate=int(rate))


def wrong_format(setting: str, found: str, ours: AudioFormat) -> ProviderError:
    """The end of a conversation whose agent is set to audio that does not become ours."""
    right = "ulaw_8000, for audio: passthrough"
    if ours != PCMU:
        right = "ulaw_8000, pcm_8000, pcm_16000, pcm_24000 or pcm_48000"
    return ProviderError(
        f"the agent's {setting} at ElevenLabs is {found[:40]!r}; set it to {right}",
        code="unsupported_audio_format",
        retryable=False,
        category="invalid_request",
    )


def _refuse(config: SessionConfig) -> None:
    turns = config.turn_detection
    if turns is None:
        raise NotSupportedError("ElevenLabs always detects turns itself; leave turn_detection as it is")
    if isinstance(turns, TurnDetection):
        for name in misplaced(turns):
            raise NotSupportedError(f"turn_detection.{name} {PLATFORM}")
    if isinstance(config.transcription, Transcription) and config.transcription.model is not None:
        raise NotSupportedError(f"transcription.model {PLATFORM}")
    if config.noise_reduction not in (UNSET, None):
        raise NotSupportedError(f"noise_reduction {PLATFORM}")
    if config.max_output_tokens is not None:
        raise NotSupportedError(f"max_output_tokens {PLATFORM}")
    if config.tool_choice not in (None, "auto"):
        raise NotSupportedError(f"tool_choice {PLATFORM}")
    if "audio" not in config.modalities:
        raise NotSupportedError("a conversation with ElevenLabs has sound; leave modalities as they are")
    if config.voice.speed is not None and not SPEED_RANGE[0] <= config.voice.speed <= SPEED_RANGE[1]:
        raise NotSupportedError(f"ElevenLabs speaks at a speed of {SPEED_RANGE[0]:g} to {SPEED_RANGE[1]:g}")
    for fault in option_faults(config.provider_options, config.greeting):
        raise NotSupportedError(f"provider_options: found {fault.found}; {fault.right}")
