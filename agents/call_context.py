"""What is known of a telephone call before its first word, and the variables that it gives to texts."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

MAX_VALUE_CHARS: Final = 500
"""Longest value of a variable that comes from outside: half a minute of speech. The rest is cut."""

SIP_HEADER: Final = "SipHeader_"
"""What Twilio puts before the name of each SIP header that it passes on."""

_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True)
class CallContext:
    """The context of sessions that the gateway makes.

    `parameters` is all that Twilio told of the call, as it was told: SIP headers and what stands in the webhook's
    address among it. `given` is what whoever placed the call said of it. `began_at` is timezone-aware.
    """

    call_id: str
    caller: str
    called: str
    agent: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    direction: Literal["inbound", "outbound"] = "inbound"
    given: Mapping[str, str] = field(default_factory=dict, repr=False)
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)

    @property
    def other_party(self) -> str:
        """Who is at the other end: the caller, or of a call that we placed, whom it was placed to."""
        return self.caller if self.direction == "inbound" else self.called

    def variables_for(self, declared: Mapping[str, str], timezone: str) -> dict[str, str]:
        """The variables of this call: those that an agent declares, and over them those that every call has.

        A declared one has the value that the call was placed with, else that of the parameter of its name, else the one
        it was declared with; an empty value counts as none. Values from outside are data: one line, no control
        characters, at most MAX_VALUE_CHARS.
        """
        outside = {**_custom(self.parameters), **self.given}
        cleaned = {name: _cleaned(value) for name, value in outside.items() if name in declared}
        return {**declared, **{name: value for name, value in cleaned.items() if value}, **self._facts(timezone)}

    def _facts(self, timezone: str) -> dict[str, str]:
        return {
            "agent": self.agent,
            "caller": _cleaned(self.caller),
            "called": _cleaned(self.called),
            "call_id": self.call_id,
            **_in_words(self.began_at.astimezone(ZoneInfo(timezone))),
        }


def _in_words(now: datetime) -> dict[str, str]:
    """A time as it is read aloud: no order of numbers that half of the world reads the other way round."""
    return {
        "date": f"{now.day} {_MONTHS[now.month - 1]} {now.year}",
        "time": f"{now.hour % 12 or 12}:{now.minute:02} {'AM' if now.hour < 12 else 'PM'}",
        "weekday": _WEEKDAYS[now.weekday()],
    }


def _custom(parameters: Mapping[str, str]) -> dict[str, str]:
    """By variable: the SIP headers, without their X-, and over them what the webhook's address says.

    Twilio's own parameters, which begin with a capital, are none of them: a variable called direction is the agent's.
    """
    named = [(name.removeprefix(SIP_HEADER), name, value) for name, value in parameters.items() if value.strip()]
    headers = {_variable(short.removeprefix("X-")): value for short, name, value in named if short != name}
    address = {_variable(name): value for _, name, value in named if name[:1].islower()}
    return {**headers, **address}


def _variable(name: str) -> str:
    return name.lower().replace("-", "_")


def _cleaned(value: str) -> str:
    line = " ".join(value.split())
    return "".join(char for char in line if unicodedata.category(char) not in ("Cc", "Cs"))[:MAX_VALUE_CHARS].strip()
