"""What an operator may write of the telephone call in an agent's YAML: whom it may reach, and calls that we place."""

import re
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from agents.spec import Sentence, Spec

NUMBER: Final = r"^\+[1-9][0-9]{6,14}$"
ADDRESS: Final = r"^(\+[1-9][0-9]{6,14}|sip:\S+)$"
_TIME: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"

Address = Annotated[str, StringConstraints(pattern=ADDRESS)]
Number = Annotated[str, StringConstraints(pattern=NUMBER)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"must be a name such as Europe/Paris; {name} is none")
    return ZoneInfo(name).key


Timezone = Annotated[str, AfterValidator(_known_zone)]


class TransferSpec(Spec):
    """How callers are put through."""

    ring_s: int = Field(25, ge=5, le=120, description="How long it rings before the caller comes back, in seconds.")
    whisper: Sentence | None = Field(
        None, description="What transfer says to whoever answers, before they hear the caller. {{ variables }}."
    )
    hold_music: str | None = Field(
        None, pattern=r"\.wav$", description="What callers on hold hear, a WAV file; without it, a quiet melody."
    )


class MessagesSpec(Spec):
    """How text messages are sent."""

    sender: Number | None = Field(
        None, description="The number of your account that sends them; without it, the one that the call is held on."
    )


class HoursSpec(Spec):
    """When calls may be placed."""

    begin: str = Field("09:00", pattern=_TIME, description="From when on, in quotes.")
    end: str = Field("20:00", pattern=_TIME, description="Until when, in quotes; later than begin.")
    days: tuple[Day, ...] = Field(("mon", "tue", "wed", "thu", "fri"), min_length=1, description="On which days.")
    timezone: Timezone = Field("UTC", description="Whose time that is, such as Europe/Paris.")

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Self:
        if self.begin >= self.end:
            raise ValueError(f"end ({self.end}) must be later than begin ({self.begin})")
        return self


class OutboundSpec(Spec):
    """Calls that this agent places."""

    caller_id: Number | None = Field(
        None, description="The number of your account that they come from; a request may name another."
    )
    ring_s: int = Field(30, ge=5, le=120, description="How long it rings before nobody is there, in seconds.")
    detect_machine: Literal["off", "sync", "async"] = Field(
        "off",
        description="sync: the agent speaks once Twilio knows who answered. async: at once, and learns it meanwhile.",
    )
    on_machine: Literal["hang_up", "leave_message", "talk"] = Field(
        "hang_up", description="What to do when a machine answered; leave_message says voicemail after the beep."
    )
    voicemail: Sentence | None = Field(
        None, description="The message that is left on answering machines, word for word. {{ variables }}."
    )
    hours: HoursSpec | None = Field(None, description="When calls may be placed; null for always.")

    @model_validator(mode="after")
    def _has_what_it_leaves(self) -> Self:
        if self.on_machine == "leave_message" and self.voicemail is None:
            raise ValueError("on_machine: leave_message needs the message: add voicemail")
        if self.on_machine != "hang_up" and self.detect_machine == "off":
            raise ValueError("no machine is noticed: set detect_machine to sync or async")
        return self


def is_number(address: str) -> bool:
    """Whether an address is a telephone number: SIP addresses get no texts and are nobody's caller id."""
    return re.fullmatch(NUMBER, address) is not None
