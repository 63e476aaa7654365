"""What is done for a caller whom no model can serve any more."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LastResort:
    """First the caller is told so: in the words of `say`, or by a `recording` of them; None for an apology.

    Then somebody is telephoned (`dial`: a number, or sip:name@host), or the caller may leave a message (`voicemail`),
    or the call ends.
    """

    say: str | None = None
    recording: Path | None = None
    dial: str | None = None
    voicemail: bool = False
