"""Brain one: a script of intents, each with its answers."""

import json
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final
from uuid import uuid4

from agents.errors import ConfigError
from agents.local.brain import CallTool, Say, Step
from agents.local.matching import Matcher
from agents.local.memory import Call, Memory, Message
from agents.local.sentences import sentences
from agents.realtime import SessionConfig
from agents.script_spec import ActionSpec, IntentSpec, NoMatchSpec, ScriptSpec
from agents.templates import filled, render, undeclared

log = logging.getLogger(__name__)

DID_NOT_WORK: Final = "I am sorry, that did not work."
"""What is said of a tool that did not do it, or whose answer the script's words do not fit."""


class ScriptBrain:
    """One call's place in the script: which answers were given, and how often in a row nothing matched."""

    follows_instructions = False

    def __init__(self, script: ScriptSpec, matcher: Matcher, variables: Mapping[str, str]) -> None:
        self._script = script
        self._matcher = matcher
        self._variables = variables
        self._given: Counter[str] = Counter()
        self._misses = 0
        self._called: dict[str, ActionSpec] = {}

    async def answer(
        self, conversation: Memory, asked: Sequence[Message], config: SessionConfig, instructions: str | None
    ) -> AsyncGenerator[Step]:
        """Says what tools have answered, then answers what was asked, all of it as one."""
        variables = {**self._variables, **config.variables}
        for call in self._answered(conversation):
            for sentence in sentences(_said_of(call, self._called.pop(call.item_id), variables)):
                yield Say(sentence)
        if not asked:
            return
        text, step = self._choose(" ".join(message.text for message in asked))
        for sentence in sentences(render(text, variables)):
            yield Say(sentence)
        if step.action:
            call_id = f"call_{uuid4().hex}"
            self._called[call_id] = step
            yield CallTool(call_id, step.action, json.dumps(filled(step.arguments, variables)))

    def _answered(self, conversation: Memory) -> list[Call]:
        """The tools that have answered since."""
        items = [item for item in conversation.items if isinstance(item, Call) and item.item_id in self._called]
        return [call for call in items if call.output is not None]

    def _choose(self, heard: str) -> tuple[str, ActionSpec]:
        intent = self._matcher.match(heard)
        if intent is None:
            return self._no_match()
        self._misses = 0
        given = self._given[intent.name]
        self._given[intent.name] += 1
        choices = answers(intent)
        return choices[given % len(choices)], intent

    def _no_match(self) -> tuple[str, ActionSpec]:
        ladder: tuple[NoMatchSpec, ...] = self._script.no_match
        step = ladder[min(self._misses, len(ladder) - 1)]
        self._misses += 1
        return step.answer, step


def _said_of(call: Call, step: ActionSpec, variables: Mapping[str, str]) -> str:
    """What the caller is told of a tool's answer: the script's words for it; nothing where it has none."""
    output = call.output or ""
    if call.has_failed or output.startswith("Error:"):
        return DID_NOT_WORK
    if not step.result:
        return ""
    try:
        return render(step.result, {**variables, "result": _parsed(output)})
    except ConfigError as error:
        log.warning("%s answered something that the script has no words for: %s", call.name, error)
        return DID_NOT_WORK


def _parsed(output: str) -> object:
    """An answer that is JSON by its parts; any other as it is."""
    try:
        return json.loads(output)
    except ValueError:
        return output


def answers(intent: IntentSpec) -> tuple[str, ...]:
    return (intent.answer,) if isinstance(intent.answer, str) else intent.answer


def fixed_sentences(script: ScriptSpec, variables: Mapping[str, str]) -> list[str]:
    """Every sentence of the script that is known before a call: those that need no fact of the call."""
    texts = [answer for intent in script.intents for answer in answers(intent)]
    texts += [step.answer for step in script.no_match]
    return [sentence for text in texts for sentence in known_sentences(text, variables)]


def known_sentences(text: str, variables: Mapping[str, str]) -> list[str]:
    """The sentences of a text with these variables; none when it needs others."""
    return sentences(render(text, variables)) if undeclared(text) <= variables.keys() else []
