"""What guardrails look at in a conversation, and what they found: a response, and something that the caller said."""

import asyncio
from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from agents.guardrails.contract import Guardrail
from agents.guardrails.growing import GrowingText


@dataclass(slots=True, eq=False)
class Reply:
    """One response: the rules that hold for it, those of its words, these words, and what was found in them.

    `why_stopped` is what the model is told where a guardrail stopped it: none of its tools is called then.
    """

    response_id: str
    rules: tuple[Guardrail, ...]
    of_words: tuple[Guardrail, ...]
    every_chars: int
    texts: OrderedDict[str, GrowingText] = field(default_factory=OrderedDict)
    interim: Counter[str] = field(default_factory=Counter)
    failures: set[str] = field(default_factory=set)
    has_tripped: bool = False
    why_stopped: str = ""


@dataclass(slots=True, eq=False)
class Said:
    """Something that the caller said: `why_not` is what the model is told where it may not answer that.

    `has_gone_on` once the caller speaks again. `answered` is there while an answer of the model's own is refused, until
    one begins or the caller goes on.
    """

    item_id: str
    failures: set[str] = field(default_factory=set)
    why_not: str = ""
    has_gone_on: bool = False
    answered: asyncio.Event | None = None
