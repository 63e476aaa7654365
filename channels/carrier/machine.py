"""An answering machine that picks up a placed call: greeting, beep, message, and how it is detected. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from agents import mulaw
from channels.carrier.caller import SILENT_FRAME, Caller, Move, Script, SpokenTurn, Utterance
from channels.carrier.far_party import AnsweredBy, FarParty
from channels.carrier.loudness import speech_end_ms
from channels.carrier.playout import Tick
from channels.carrier.report import CallerBegan, CallEvent

Detection = Literal["Enable", "DetectMessageEnd"]

BREATH_MS: Final = 500
"""Between the greeting and the beep."""

BEEP_MS: Final = 400
BEEP_HZ: Final = 1000
_BEEP_AMPLITUDE: Final = 9000

BEEP_NOTICED_S: Final = 0.2
"""So long after the beep Twilio knows that it was one."""

SILENCE_NOTICED_S: Final = 1.2
"""So long a greeting must be over that ends without a beep: MachineDetectionSpeechEndThreshold, if nobody sets it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweringMachine:
    """What picks up: says `greeting` from the answer on, beeps, then records for `records_s` and hangs up.

    It listens to nobody meanwhile. Without `has_beep` the message begins where the beep would.
    """

    greeting: Utterance
    has_beep: bool = True
    records_s: float = 60.0
    sound: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        beep = _beep() if self.has_beep else b""
        ulaw = mulaw.encode(self.greeting.pcm16_8k + bytes(BREATH_MS * mulaw.RATE_HZ // 1000 * 2) + beep)
        object.__setattr__(self, "sound", ulaw + SILENT_FRAME[: -len(ulaw) % mulaw.FRAME_BYTES])

    @property
    def message_after_ms(self) -> int:
        """From the answer until it records."""
        return len(self.sound) * 1000 // mulaw.RATE_HZ

    @property
    def hangs_up_after_s(self) -> float:
        """From the answer."""
        return self.message_after_ms / 1000 + self.records_s

    @property
    def detected_end(self) -> tuple[AnsweredBy, float]:
        """What DetectMessageEnd makes of it, and how long after the answer."""
        if self.has_beep:
            return "machine_end_beep", self.message_after_ms / 1000 + BEEP_NOTICED_S
        spoken_s = speech_end_ms(self.greeting.pcm16_8k) / 1000
        return "machine_end_silence", spoken_s + SILENCE_NOTICED_S


def verdict(
    detection: Detection, party: FarParty, machine: AnsweringMachine | None, timeout_s: float
) -> tuple[AnsweredBy, float]:
    """What Twilio finds to have answered, and how long after the answer.

    `Enable` tells of a machine as soon as it knows; `DetectMessageEnd` waits for the end of its greeting. What takes
    longer than `timeout_s` is unknown.
    """
    found, after_s = party.answered_by, party.detected_s
    is_machine = machine is not None or found.startswith("machine")
    if is_machine and detection == "Enable":
        found = "machine_start"
    elif machine is not None:
        found, after_s = machine.detected_end
    elif found == "machine_start":
        found = "machine_end_beep"
    return (found, after_s) if after_s <= timeout_s else ("unknown", timeout_s)


class MachineCaller(Caller):
    """An answering machine in a caller's place: what it does counts from when it picked up.

    Its greeting is the first turn, its beep the second: what the agent says into the message is the second's reply.
    """

    def __init__(self, machine: AnsweringMachine, tell: Callable[[CallEvent], None]) -> None:
        super().__init__(Script(stays=True), tell)
        self._answered_ms: int | None = None
        self._machine = machine

    def answered(self, at_ms: int | None) -> None:
        self._answered_ms = at_ms

    @property
    def message_from_ms(self) -> int | None:
        """When it begins to record; None while nothing was answered."""
        return None if self._answered_ms is None else self._answered_ms + self._machine.message_after_ms

    def tick(self, heard: Tick) -> Move:
        answered_ms = self._answered_ms or 0
        self._begin_turns(heard.at_ms, answered_ms)
        self._listen(heard)
        self._notice_reply(heard.at_ms, self._begin_or_go_on(heard.at_ms))
        # A frame is sent when it is complete: what goes out now was spoken in the 20 ms before.
        spoken_ms = heard.at_ms - mulaw.FRAME_MS - answered_ms
        at = spoken_ms // mulaw.FRAME_MS * mulaw.FRAME_BYTES
        frame = self._machine.sound[at : at + mulaw.FRAME_BYTES] if spoken_ms >= 0 else b""
        return Move(frame or SILENT_FRAME, is_hang_up=spoken_ms >= self._machine.hangs_up_after_s * 1000)

    def _begin_turns(self, at_ms: int, answered_ms: int) -> None:
        """Those that have begun by now."""
        greeting, beeped_ms = self._machine.greeting, answered_ms + self._machine.message_after_ms
        beginnings = (
            (answered_ms, greeting.said, answered_ms + speech_end_ms(greeting.pcm16_8k)),
            (beeped_ms, None, beeped_ms),
        )
        for began_ms, said, end_ms in beginnings[len(self.turns) :]:
            if at_ms >= began_ms:
                self.turns.append(SpokenTurn(said, end_ms))
                self._await_reply(began_ms)
                self._tell(CallerBegan(began_ms, len(self.turns), said))


def _beep() -> bytes:
    """PCM16 8 kHz."""
    at = np.arange(BEEP_MS * mulaw.RATE_HZ // 1000)
    beep: bytes = (_BEEP_AMPLITUDE * np.sin(2 * np.pi * BEEP_HZ * at / mulaw.RATE_HZ)).astype("<i2").tobytes()
    return beep
