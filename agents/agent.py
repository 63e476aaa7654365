"""What an agent is: a definition without state, from which any number of sessions run."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from agents.barge_in import BargeInRules
from agents.call_context import CallContext as CallContext
from agents.digits import DigitRules
from agents.errors import ConfigError
from agents.guardrails.contract import Guardrail, OutputGuardrailSettings
from agents.handoffs import Handoff
from agents.idle import IdleStep
from agents.last_resort import LastResort
from agents.realtime import RealtimeModel, SessionConfig, TurnDetection, Unset
from agents.templates import render
from agents.time_limit import DurationWarning
from agents.tools.answer import error_text
from agents.tools.contract import AgentTool, ToolErrorFormatter, Toolkit
from agents.tools.predicates import enabled
from agents.tools.toolbox import all_tools

STALLED_S: Final = 0.75
"""Audio that stops for so long in the middle of speech has stalled. Frames come every 20 ms, in silence too."""

MAX_DURATION_S: Final = 3600.0
"""Default for the longest call: an hour, as long as OpenAI keeps one session."""

Instructions = str | Callable[[object], str | Awaitable[str]]
"""A text with {{ variables }}, or a sync or async function of the session's context that gives the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeAgent:
    """Who speaks: a model, what it is told, what it may call.

    `greeting` is spoken first, word for word. `config` holds voice, turn detection and the like; its instructions,
    tools and variables are filled in for each session. `barge_in` says what stops the agent while it speaks, `keys`
    how the caller's keys are collected, `idle` what happens step by step when the caller is silent. `max_duration_s`
    ends a call that goes on for too long, after `duration_warning`. A caller's audio that stops for `stalled_s` in the
    middle of speech is followed by silence, so that the turn ends; None leaves the turn open. `last_resort` is for
    whoever carries the line.

    `toolkits` are more tools, kept while a session lasts; `tool_error` makes what the model reads of a tool that
    failed. `handoffs` are agents that may go on with the conversation; `description` says to others what this one is
    for. `timezone`, such as Europe/Paris, is whose time the variables of a call tell.
    """

    name: str
    model: RealtimeModel
    instructions: Instructions = ""
    greeting: str | None = None
    description: str = ""
    tools: tuple[AgentTool, ...] = ()
    toolkits: tuple[Toolkit, ...] = ()
    tool_error: ToolErrorFormatter = error_text
    handoffs: tuple[Handoff, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    guardrail_settings: OutputGuardrailSettings = field(default_factory=OutputGuardrailSettings)
    config: SessionConfig = field(default_factory=SessionConfig)
    variables: Mapping[str, str] = field(default_factory=dict)
    timezone: str = "UTC"
    barge_in: BargeInRules = field(default_factory=BargeInRules)
    keys: DigitRules = field(default_factory=DigitRules)
    idle: tuple[IdleStep, ...] = ()
    max_duration_s: float = MAX_DURATION_S
    duration_warning: DurationWarning | None = None
    stalled_s: float | None = STALLED_S
    last_resort: LastResort = field(default_factory=LastResort)

    def __post_init__(self) -> None:
        names = [tool.schema.name for tool in self.tools] + [handoff.tool_name for handoff in self.handoffs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f"agent {self.name}: two tools of one name: {', '.join(twice)}")

    async def session_config(self, context: object) -> SessionConfig:
        """The configuration of one session: instructions asked for once, templates filled in, tools listed."""
        instructions = self.instructions if isinstance(self.instructions, str) else self.instructions(context)
        text = await instructions if inspect.isawaitable(instructions) else instructions
        variables = self.variables_for(context)
        return replace(
            self.config,
            instructions=render(text, variables) or None,
            tools=tuple(tool.schema for tool in await enabled(await all_tools(self), context)),
            variables=variables,
            turn_detection=self._turn_detection(),
            greeting=self.greeting_for(context),
        )

    def _turn_detection(self) -> TurnDetection | Unset | None:
        """What the model is told of turns: where a voice is weighed first, it neither stops nor answers by itself."""
        turns = self.config.turn_detection
        if not self.barge_in.weigh_voice or turns is None:
            return turns
        known = turns if isinstance(turns, TurnDetection) else TurnDetection()
        return replace(known, interrupt_response=False, create_response=False)

    def greeting_for(self, context: object) -> str | None:
        return render(self.greeting, self.variables_for(context)) if self.greeting else None

    def idle_for(self, context: object) -> tuple[IdleStep, ...]:
        """The steps of a caller's silence with their words filled in. Raises ConfigError for a missing variable."""
        variables = self.variables_for(context)
        return tuple(replace(step, say=render(step.say, variables)) if step.say else step for step in self.idle)

    def duration_warning_for(self, context: object) -> DurationWarning | None:
        """The warning with its words filled in. Raises ConfigError for a missing variable."""
        warning = self.duration_warning
        return replace(warning, say=render(warning.say, self.variables_for(context))) if warning else None

    def apology_for(self, context: object) -> str | None:
        """The words of the last resort, filled in. Raises ConfigError for a missing variable."""
        say = self.last_resort.say
        return render(say, self.variables_for(context)) if say else None

    def variables_for(self, context: object) -> dict[str, str]:
        """The agent's own variables and, over them, those of a call, or of a context with a `variables` mapping.

        None in such a mapping counts as no value.
        """
        if isinstance(context, CallContext):
            return {**context.variables_for(self.variables, self.timezone), "agent": self.name}
        given = getattr(context, "variables", None)
        named = given if isinstance(given, Mapping) else {}
        return {**self.variables, **{name: value for name, value in named.items() if value is not None}}
