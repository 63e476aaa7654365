"""Brain one: a script of intents, each with its answers."""

from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final
from uuid import uuid4

from agents.local.brain import CallTool, Say, Step
from agents.local.matching import Matcher
from agents.local.memory import Memory, Message
from agents.local.sentences import sentences
from agents.realtime import SessionConfig
from agents.schema import IntentSpec, NoMatchSpec, ScriptSpec
from agents.templates import render, undeclared

HANG_UP: Final = "hang_up"
"""The session's tool that ends the call once the caller has heard the agent out."""


class ScriptBrain:
    """One call's place in the script: which answers were given, and how often in a row nothing matched."""

    follows_instructions = False

    def __init__(self, script: ScriptSpec, matcher: Matcher, variables: Mapping[str, str]) -> None:
        self._script = script
        self._matcher = matcher
        self._variables = variables
        self._given: Counter[str] = Counter()
        self._misses = 0

    async def answer(
        self, conversation: Memory, asked: Sequence[Message], config: SessionConfig, instructions: str | None
    ) -> AsyncGenerator[Step]:
        """Answers what was asked, all of it as one; says nothing when nothing was."""
        if not asked:
            return
        text, action = self._choose(" ".join(message.text for message in asked))
        for sentence in sentences(render(text, {**self._variables, **config.variables})):
            yield Say(sentence)
        if action == HANG_UP:
            yield CallTool(f"call_{uuid4().hex}", HANG_UP, "{}")

    def _choose(self, heard: str) -> tuple[str, str | None]:
        intent = self._matcher.match(heard)
        if intent is None:
            return self._no_match()
        self._misses = 0
        given = self._given[intent.name]
        self._given[intent.name] += 1
        choices = answers(intent)
        return choices[given % len(choices)], intent.action

    def _no_match(self) -> tuple[str, str | None]:
        ladder: tuple[NoMatchSpec, ...] = self._script.no_match
        step = ladder[min(self._misses, len(ladder) - 1)]
        self._misses += 1
        return step.answer, step.action


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
