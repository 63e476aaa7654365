"""What an operator may write in an agent's YAML: one strict schema, the source of its documentation.

Every field has a description; `voice-gateway schema` prints the JSON schema, `config/README.md` explains each field,
and a test keeps the three equal.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, Self

from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from agents.call_spec import Address, MessagesSpec, OutboundSpec, Timezone, TransferSpec
from agents.cascade_spec import CascadeSpec
from agents.guardrails.spec import EveryChars, GuardrailSpec
from agents.script_spec import ScriptSpec
from agents.spec import Sentence as Sentence
from agents.spec import Spec as Spec
from agents.templates import undeclared
from agents.tools.spec import HttpToolSpec, McpServerSpec, ToolRulesSpec

SAMPLE_CALL: Final = {
    "agent": "reception",
    "caller": "+15550100100",
    "called": "+15550100200",
    "call_id": "CA0123456789abcdef0123456789abcdef",
    "date": "21 November 2026",
    "time": "2:05 PM",
    "weekday": "Saturday",
}
"""The variables of a made-up call, with which texts are tried before there is a real one."""

CALL_VARIABLES = frozenset(SAMPLE_CALL)
"""Variables that every call provides to templates, beside the YAML's own `variables`."""

MAX_MODELS: Final = 5
"""With more, the last one would be asked after a caller has hung up."""

PARTS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "script": ("local", "cascade"),
    "brain": ("local",),
    "cascade": ("cascade",),
}
"""The parts of an agent that only these providers make use of: of several models, the others are not given them."""

MAX_IDLE_STEPS: Final = 10
"""Longer ladders are mistakes: nobody is asked ten times whether they are still there."""


class TurnDetectionSpec(Spec):
    """Who decides that the caller's turn begins and ends."""

    mode: Literal["server_vad", "semantic_vad", "manual"] = Field(
        "server_vad",
        description="server_vad: by silence. semantic_vad: by what was said (OpenAI). manual: only by commit().",
    )
    threshold: float | None = Field(None, ge=0, le=1, description="How sure voice detection must be, 0 to 1.")
    silence_duration_ms: int | None = Field(
        None, ge=100, le=5000, description="Silence that ends the caller's turn, in milliseconds."
    )
    prefix_padding_ms: int | None = Field(
        None, ge=0, le=2000, description="Audio kept from before speech was noticed, in milliseconds."
    )
    eagerness: Literal["low", "medium", "high", "auto"] | None = Field(
        None, description="semantic_vad: how soon to take the turn."
    )
    idle_timeout_ms: int | None = Field(
        None, ge=5000, le=30000, description="server_vad: the model speaks up after this silence, in milliseconds."
    )
    interrupt_response: bool | None = Field(None, description="Whether the caller's voice interrupts the agent.")


class TranscriptionSpec(Spec):
    """How the caller's words are written down by the provider."""

    model: str | None = Field(None, description="The provider's transcription model.")
    language: str | None = Field(None, description="Language code of the callers, such as en.")
    prompt: str | None = Field(None, description="Words and names to expect.")


class InterruptionSpec(Spec):
    """What stops the agent while it speaks."""

    protect_greeting: bool = Field(False, description="The greeting is heard to its end, whatever the caller says.")
    min_speech_ms: int = Field(
        0, ge=0, le=5000, description="The caller must speak for so long to stop the agent, in milliseconds."
    )
    min_words: int = Field(
        0, ge=0, le=20, description="Or until so many words are understood, whichever comes first; 0 asks for none."
    )
    on_key: bool = Field(False, description="Whether a key stops the agent as well.")
    resume_after_ms: int | None = Field(
        None,
        ge=500,
        le=10000,
        description="When no word is understood for so long, in milliseconds, the agent goes on where it was cut off.",
    )


class DurationWarningSpec(Spec):
    """What is said before the longest call is over."""

    before_s: float = Field(gt=0, description="How long before the end, in seconds; less than max_duration_s.")
    say: Sentence = Field(description="What to say, word for word. {{ variables }} are filled in.")


class IdleStepSpec(Spec):
    """One step of what happens when the caller is silent."""

    after_s: float = Field(
        gt=0, le=3600, description="Silence since the agent was heard, or since the step before, in seconds."
    )
    say: Sentence | None = Field(None, description="What to say, word for word. {{ variables }} are filled in.")
    hang_up: bool = Field(False, description="Whether the call ends then, when the words have been heard.")

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.say is None and not self.hang_up:
            raise ValueError("a step must say something, hang up, or both: add say or hang_up: true")
        return self


class KeysSpec(Spec):
    """How the keys that a caller presses are collected."""

    to_model: bool = Field(False, description="Whether the model is told what the caller entered.")
    terminator: Literal["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#", "A", "B", "C", "D"] | None = Field(
        "#", description="The key that completes an entry and is no part of it, in quotes; null for none."
    )
    max_digits: int = Field(20, ge=1, le=100, description="An entry of so many keys is complete.")
    timeout_s: float = Field(3, gt=0, le=60, description="An entry is complete when no key follows for so long.")
    sensitive: bool = Field(False, description="Entries are secrets: models, logs and transcripts learn their length.")


class BrainSpec(Spec):
    """An OpenAI-compatible chat endpoint that thinks for the embedded agent."""

    url: str = Field(
        pattern=r"^https?://", description="Base address, such as http://127.0.0.1:11434/v1 (…/chat/completions)."
    )
    model: str = Field(min_length=1, description="The model's name at that endpoint.")
    api_key_env: str | None = Field(
        None,
        pattern=r"^[A-Z][A-Z0-9_]*$",
        description="The environment variable that holds the endpoint's key, such as CHAT_API_KEY.",
    )
    temperature: float | None = Field(None, ge=0, le=2, description="As the endpoint understands it.")
    max_tokens: int = Field(400, ge=1, le=4096, description="Longest answer, in tokens.")


MODEL_PATTERN: Final = r"^[a-z][a-z0-9_-]*/\S+$"


class ModelSpec(Spec):
    """One of several models, and what is different with it. What it does not say is the agent's."""

    model: str = Field(pattern=MODEL_PATTERN, description="provider/model, as in the agent's own model.")
    voice: str | None = Field(None, description="The provider's name of a voice.")
    speed: float | None = Field(None, ge=0.25, le=1.5, description="Speed of speech, 1 is normal.")
    turn_detection: TurnDetectionSpec | None = Field(
        None, description="Who decides when the caller's turn is over; all of it, where it is different."
    )
    transcription: TranscriptionSpec | None = Field(None, description="How the caller's words are written down.")
    noise_reduction: Literal["near_field", "far_field"] | None = Field(
        None, description="The provider's noise reduction."
    )
    base_url: str | None = Field(
        None, pattern=r"^(https?|wss?)://", description="Where the provider's API is, instead of its own address."
    )
    provider_options: dict[str, Any] = Field(
        default_factory=dict, description="Merged into the provider's own session object."
    )


class LastResortSpec(Spec):
    """What is done for the caller when no model can go on."""

    say: Sentence | None = Field(
        None, description="What the caller is told; without it, an apology. {{ variables }} are filled in."
    )
    recording: str | None = Field(
        None, pattern=r"\.(wav|mp3)$", description="A recording of those words, played in their place."
    )
    dial: str | None = Field(
        None,
        pattern=r"^(\+[1-9][0-9]{6,14}|sip:\S+)$",
        description="Who is telephoned then: a number, or sip:name@host.",
    )
    voicemail: bool = Field(False, description="Whether the caller may leave a message instead.")

    @model_validator(mode="after")
    def _goes_one_way(self) -> Self:
        if self.dial and self.voicemail:
            raise ValueError("the caller can be put through or leave a message: remove dial or voicemail")
        return self


class AgentSpec(Spec):
    """One agent: a file in `config/agents/`, named after the file."""

    model: str | None = Field(
        None,
        pattern=MODEL_PATTERN,
        description="provider/model: local/script, local/chat, openai/gpt-realtime-2.1, scripted/<file of events>.",
    )
    models: tuple[ModelSpec, ...] = Field(
        (), description="Instead of model: several, the first that can serve the call serves it, and then the next."
    )
    instructions: str = Field("", description="Who the agent is and how it behaves. {{ variables }} are filled in.")
    greeting: Sentence | None = Field(
        None, description="What the agent says first, word for word. Without it the agent waits for the caller."
    )
    voice: str | None = Field(None, description="The provider's name of a voice.")
    speed: float | None = Field(None, ge=0.25, le=1.5, description="Speed of speech, 1 is normal.")
    audio: Literal["pcm16", "passthrough"] = Field(
        "pcm16", description="pcm16: PCM16 at 24 kHz. passthrough: the telephone's own mu-law, for models that take it."
    )
    turn_detection: TurnDetectionSpec = Field(
        TurnDetectionSpec(), description="Who decides when the caller's turn is over."
    )
    transcription: TranscriptionSpec | None = Field(
        TranscriptionSpec(),
        description="How the caller's words are written down; null turns transcripts off.",
    )
    interruption: InterruptionSpec = Field(InterruptionSpec(), description="What stops the agent while it speaks.")
    noise_reduction: Literal["near_field", "far_field"] | None = Field(
        None, description="The provider's noise reduction, for a handset or for a room."
    )
    tools: tuple[str, ...] = Field(
        (), description="hang_up, or the dotted name of a Python function such as mypackage.crm.lookup."
    )
    tool_timeout_s: float = Field(15, gt=0, le=300, description="Longest a tool may take, in seconds.")
    tool_rules: tuple[ToolRulesSpec, ...] = Field((), description="How the calls of single tools are run.")
    http_tools: tuple[HttpToolSpec, ...] = Field((), description="Tools that are HTTP requests.")
    mcp_servers: tuple[McpServerSpec, ...] = Field((), description="Servers of tools.")
    handoffs: tuple[str, ...] = Field((), description="Other agents that the caller may be handed over to.")
    description: str | None = Field(
        None, description="What this agent is for, told to agents that may hand over to it."
    )
    guardrails: tuple[GuardrailSpec, ...] = Field((), description="Rules that words must keep.")
    guardrail_every_chars: EveryChars = Field(
        100, ge=-1, le=10_000, description="How often growing words of the agent's are checked; -1: only when complete."
    )
    destinations: dict[str, Address] = Field(
        default_factory=dict, description="Whom the agent may reach by transfer and send_sms, by name."
    )
    transfer: TransferSpec = Field(TransferSpec(), description="How callers are put through.")
    messages: MessagesSpec = Field(MessagesSpec(), description="How text messages are sent.")
    outbound: OutboundSpec | None = Field(None, description="Calls that this agent places; null lets nobody place any.")
    timezone: Timezone = Field("UTC", description="Whose time the variables date, time and weekday are.")
    max_output_tokens: int | None = Field(None, ge=1, le=4096, description="Longest answer, in tokens.")
    max_duration_s: int = Field(3600, ge=1, le=14400, description="Longest call, in seconds.")
    duration_warning: DurationWarningSpec | None = Field(
        None, description="What to say before the longest call is over."
    )
    idle: tuple[IdleStepSpec, ...] = Field(
        (), description="What happens when the caller is silent, step by step; only the last step may hang up."
    )
    keys: KeysSpec = Field(KeysSpec(), description="How the keys that a caller presses are collected.")
    last_resort: LastResortSpec = Field(
        LastResortSpec(), description="What is done for the caller when no model can go on."
    )
    base_url: str | None = Field(
        None, pattern=r"^(https?|wss?)://", description="Where the provider's API is, instead of its own address."
    )
    variables: dict[str, str] = Field(default_factory=dict, description="Facts to use as {{ name }} in texts.")
    script: ScriptSpec | None = Field(None, description="For model local/script: intents and answers.")
    brain: BrainSpec | None = Field(None, description="For model local/chat: the chat endpoint.")
    cascade: CascadeSpec | None = Field(
        None, description="For model cascade/<a name>: who hears, who thinks and who speaks."
    )
    provider_options: dict[str, Any] = Field(
        default_factory=dict, description="Merged into the provider's own session object, for what has no field here."
    )

    @field_validator("variables")
    @classmethod
    def _variables_can_be_named(cls, variables: dict[str, str]) -> dict[str, str]:
        for name in variables:
            if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
                raise ValueError(f"variable names are lower-case words joined by _; {name!r} is not")
            if name in CALL_VARIABLES:
                raise ValueError(f"{name} is a variable that every call sets itself; choose another name")
        return variables

    @field_validator("tools")
    @classmethod
    def _tools_are_named_once(cls, tools: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in tools if tools.count(name) > 1})
        if twice:
            raise ValueError(f"each tool may be named once; twice: {', '.join(twice)}")
        return tools

    @field_validator("interruption")
    @classmethod
    def _the_voice_may_interrupt(cls, interruption: InterruptionSpec, info: ValidationInfo) -> InterruptionSpec:
        """Refuses rules about the voice where no voice interrupts, and rules about words that nobody writes down."""
        turns = info.data.get("turn_detection", TurnDetectionSpec())
        if turns.interrupt_response is False:
            _refuse(interruption, _OF_THE_VOICE, "turn_detection.interrupt_response: false lets no voice interrupt")
        if turns.mode == "manual":
            _refuse(interruption, _OF_THE_VOICE, "turn_detection.mode: manual lets no voice interrupt")
        if info.data.get("transcription", TranscriptionSpec()) is None:
            _refuse(interruption, _OF_WORDS, "transcription: null writes no words down")
        return interruption

    @field_validator("duration_warning")
    @classmethod
    def _the_warning_comes_within_the_call(
        cls, warning: DurationWarningSpec | None, info: ValidationInfo
    ) -> DurationWarningSpec | None:
        longest_s = info.data.get("max_duration_s")
        if warning and longest_s is not None and warning.before_s >= longest_s:
            raise ValueError(
                f"duration_warning.before_s ({warning.before_s:g}) must be less than max_duration_s ({longest_s})"
            )
        return warning

    @field_validator("idle")
    @classmethod
    def _the_ladder_ends(cls, idle: tuple[IdleStepSpec, ...]) -> tuple[IdleStepSpec, ...]:
        if len(idle) > MAX_IDLE_STEPS:
            raise ValueError(f"at most {MAX_IDLE_STEPS} steps are allowed; these are {len(idle)}")
        for number, step in enumerate(idle[:-1], 1):
            if step.hang_up:
                raise ValueError(f"only the last step may hang up; step {number} of {len(idle)} does")
        return idle

    @model_validator(mode="after")
    def _names_its_models(self) -> Self:
        if (self.model is None) == (not self.models):
            raise ValueError("an agent has a model, or a list of models: give one of the two")
        if len(self.models) > MAX_MODELS:
            raise ValueError(f"at most {MAX_MODELS} models are allowed; these are {len(self.models)}")
        for i, choice in enumerate(self.choices() if self.models else ()):
            try:
                type(self).model_validate(choice.model_dump())
            except ValidationError as error:
                reason = error.errors()[0]["msg"].removeprefix("Value error, ")
                raise ValueError(f"models[{i}] contradicts the agent's own fields: {reason}") from None
        return self

    def choices(self) -> "tuple[AgentSpec, ...]":
        """The agent with each of its models: what it is when that one serves the call."""
        return tuple(self._with(choice) for choice in self.models) or (self,)

    def _with(self, choice: ModelSpec) -> "AgentSpec":
        own = {name: getattr(choice, name) for name in choice.model_fields_set}
        provider = choice.model.partition("/")[0]
        others = {part: None for part, users in PARTS_OF.items() if provider not in users}
        return self.model_copy(update={"models": (), **others, **own})

    @property
    def provider(self) -> str:
        return (self.model or "").partition("/")[0]

    @property
    def model_id(self) -> str:
        return (self.model or "").partition("/")[2]

    def templates(self) -> list[tuple[tuple[str | int, ...], str]]:
        """Every text that may hold {{ variables }}, with the path to its field."""
        found: list[tuple[tuple[str | int, ...], str]] = [(("instructions",), self.instructions)]
        if self.greeting:
            found.append((("greeting",), self.greeting))
        if self.last_resort.say:
            found.append((("last_resort", "say"), self.last_resort.say))
        if self.duration_warning:
            found.append((("duration_warning", "say"), self.duration_warning.say))
        found += [(("idle", i, "say"), step.say) for i, step in enumerate(self.idle) if step.say]
        fillers = [(i, rules.filler) for i, rules in enumerate(self.tool_rules)]
        found += [(("tool_rules", i, "filler", "say"), each.say) for i, each in fillers if each and each.say]
        if self.transfer.whisper:
            found.append((("transfer", "whisper"), self.transfer.whisper))
        if self.outbound and self.outbound.voicemail:
            found.append((("outbound", "voicemail"), self.outbound.voicemail))
        if self.script:
            found += [(("script", *path), text) for path, text in self.script.templates()]
        return found

    def unknown_variables(self) -> list[tuple[tuple[str | int, ...], str]]:
        """Each {{ name }} that neither this file nor a call provides, with the path to its field."""
        known = CALL_VARIABLES | self.variables.keys()
        return [(path, name) for path, text in self.templates() for name in sorted(undeclared(text) - known)]


_OF_WORDS: Final = ("min_words", "resume_after_ms")
"""Rules of interruption that need the caller's words."""

_OF_THE_VOICE: Final = ("protect_greeting", "min_speech_ms", *_OF_WORDS)
"""Rules of interruption that say something of the caller's voice."""


def _refuse(interruption: InterruptionSpec, names: tuple[str, ...], reason: str) -> None:
    """Raises ValueError when any of the named rules is set."""
    set_names = [f"interruption.{name}" for name in names if getattr(interruption, name)]
    if set_names:
        raise ValueError(f"{' and '.join(set_names)} can have no effect, as {reason}; remove one or the other")
