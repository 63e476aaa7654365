"""What an operator may write of callers for whom there is no room: `busy` in `config/numbers.yaml`."""

from typing import Self

from pydantic import Field, model_validator

from agents.call_spec import Address
from agents.spec import Sentence, Spec


class QueueSpec(Spec):
    """Callers wait for their turn."""

    say: Sentence = Field(
        "All our lines are busy. Please stay on the line, and you will be connected.",
        description="What callers who wait are told, at first and every half minute.",
    )
    max_callers: int = Field(20, ge=1, le=100, description="How many may wait. Further ones get what comes after it.")
    longest_wait_s: int = Field(300, ge=10, le=3600, description="How long a caller may wait, in seconds.")


class BusySpec(Spec):
    """What callers get for whom there is no room: they wait, then are told something, then are put through."""

    queue: QueueSpec | None = Field(
        None, description="Lets callers wait until there is room, first come, first served."
    )
    say: Sentence | None = Field(None, description="What callers are told who do not wait, or have waited in vain.")
    number: Address | None = Field(
        None, description="Who is telephoned for them then: a number, or sip:name@host; null for nobody."
    )

    @model_validator(mode="after")
    def _gives_something(self) -> Self:
        if not (self.queue or self.say or self.number):
            raise ValueError("give callers something: queue, say or number; without busy they hear the busy tone")
        return self
