"""Watches a simulated call: passes events on, keeps the tape and the counts, has the agent's words written down."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import numpy as np

from agents import mulaw
from agents.audio import PCM_RATE_HZ, resampled
from channels.carrier.caller import Caller, Move
from channels.carrier.playout import Tick
from channels.carrier.recording import Tape, write_wav
from channels.carrier.report import (
    AgentEnded,
    AgentHeard,
    CallEnded,
    CallEvent,
    CallReport,
    CallUpdated,
    CarrierEvent,
    CarrierPlayed,
    CarrierSaid,
    DialBegan,
    DialEnded,
    DigitsGathered,
    DigitsSent,
    MessageRecorded,
    TroubleFound,
    Turn,
    WhisperHeard,
)
from channels.carrier.tally import Tally

TRANSCRIBE_TIMEOUT_S: Final = 30.0

MAX_UNHEARD: Final = 1000
"""So many stretches of sound may wait to be written down."""

MARGIN_MS: Final = 200
"""What is transcribed has so much before and after it: small recognisers repeat or invent words at hard edges."""

Transcribe = Callable[[bytes], Awaitable[str]]
"""Writes down speech, PCM16 mono 24 kHz."""


class Witness:
    """One call's memory. `origin_s` on the loop's clock is when it was dialled."""

    def __init__(self, on_event: Callable[[CallEvent], None], transcribe: Transcribe | None, origin_s: float) -> None:
        self.tally = Tally()
        self.origin_s = origin_s
        self._on_event = on_event
        self._transcribe = transcribe
        self._tape = Tape()
        self._carrier_said: list[CarrierSaid] = []
        self._carrier_did: list[CarrierEvent] = []
        self._words: defaultdict[int, list[str]] = defaultdict(list)
        self._unheard: asyncio.Queue[AgentEnded | None] = asyncio.Queue()
        self._ended: CallEnded | None = None

    def now_ms(self) -> int:
        return round((asyncio.get_running_loop().time() - self.origin_s) * 1000)

    def tell(self, event: CallEvent) -> None:
        """Passes an event on, after taking from it what the report will need."""
        match event:
            case TroubleFound(_, text):
                self.tally.fail(text)
            case CarrierSaid():
                self._carrier_said.append(event)
            case (
                CarrierPlayed()
                | DigitsSent()
                | DigitsGathered()
                | MessageRecorded()
                | DialBegan()
                | WhisperHeard()
                | DialEnded()
                | CallUpdated()
            ):
                self._carrier_did.append(event)
            case AgentEnded() if self._unheard.qsize() < MAX_UNHEARD:
                self._unheard.put_nowait(event)
            case AgentEnded():
                self.tally.warn(f"a transcript is missing: more than {MAX_UNHEARD} stretches waited to be written down")
            case CallEnded():
                self._ended = event
                self._unheard.put_nowait(None)
                return  # told at the end of `write_down`, after the last words that were heard in the call
        self._on_event(event)

    def trouble(self, text: str) -> None:
        self.tell(TroubleFound(self.now_ms(), text))

    def saw(self, tick: Tick, move: Move) -> None:
        """Keeps what was played and said at one tick."""
        if tick.ulaw is not None:
            self._tape.play(tick.began_ms, tick.ulaw)
        # A frame goes out when it is complete, so it began to be spoken one frame ago.
        self._tape.say(tick.at_ms - mulaw.FRAME_MS, move.ulaw)

    async def write_down(self) -> None:
        """Writes down the agent's words, stretch by stretch, until the call has ended and all is written."""
        while (sound := await self._unheard.get()) is not None:
            if self._transcribe is not None:
                await self._hear(self._transcribe, sound)
        if self._ended is not None:
            self._on_event(self._ended)

    async def save(self, path: Path) -> None:
        """Writes the recording. A disk that cannot take it is an error in the report."""
        try:
            await asyncio.to_thread(write_wav, path, self._tape)
        except OSError as error:
            self.tally.fail(f"{path}: the recording could not be written: {error.strerror}")

    def report(self, call_sid: str, caller: Caller, recording: Path | None) -> CallReport:
        """Sums a call up that has ended."""
        assert self._ended is not None
        ears, tally, message_from_ms = caller.ears, self.tally, caller.message_from_ms
        return CallReport(
            call_sid=call_sid,
            answer_ms=ears.first_sound_ms,
            greeting=self._heard(0),
            turns=tuple(Turn(turn.said, turn.reply_ms, self._heard(n)) for n, turn in enumerate(caller.turns, 1)),
            unsaid=caller.unsaid,
            frames_sent=tally.frames_sent,
            frames_received=tally.frames_received,
            marks=tally.marks,
            clears=tally.clears,
            played_ms=tally.played_ms,
            clearings=tuple(tally.clearings),
            playout_gaps=ears.gaps,
            playout_gap_ms=ears.gap_ms,
            ended_by=self._ended.by,
            duration_ms=self._ended.at_ms,
            lateness_p99_ms=round(float(np.percentile(tally.lateness_ms, 99)), 1) if tally.lateness_ms else 0.0,
            recording=str(recording) if recording else None,
            carrier_said=tuple(said.text for said in self._carrier_said),
            carrier_did=tuple(self._carrier_did),
            warnings=tuple(tally.warnings),
            errors=tuple(tally.errors),
            tape=self._tape,
            message_from_ms=message_from_ms,
            carrier_said_to_machine=tuple(
                said.text
                for said in self._carrier_said
                if message_from_ms is not None and said.at_ms >= message_from_ms
            ),
        )

    async def _hear(self, transcribe: Transcribe, sound: AgentEnded) -> None:
        heard = self._tape.heard(sound.began_ms - MARGIN_MS, sound.at_ms + MARGIN_MS)
        pcm = await asyncio.to_thread(resampled, heard, mulaw.RATE_HZ, PCM_RATE_HZ)
        try:
            async with asyncio.timeout(TRANSCRIBE_TIMEOUT_S):
                text = await transcribe(pcm)
        except Exception as error:
            self.tally.warn(f"a transcript is missing: {error or type(error).__name__}")
            return
        self._words[sound.turn].append(text)
        self._on_event(AgentHeard(self.now_ms(), sound.turn, text))

    def _heard(self, turn: int) -> str | None:
        return None if self._transcribe is None else " ".join(filter(None, self._words[turn]))
