"""What every caller of a load does, and what must become of it: one cycle, computed once, that all calls repeat. Pure.

A caller is silent, says something and is answered, breaks into the answer, hears the next one to its end, presses keys,
speaks again. No two frames of a caller's words are alike, nor of a reply, so that a frame that is lost, doubled or
swapped shows. Each call begins at a place of its own in the cycle.
"""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np

from agents.audio import PCM_BYTES_PER_MS, resampled
from agents.mulaw import FRAME_BYTES, FRAME_MS, RATE_HZ, SILENCE, PcmToUlaw, UlawToPcm, decode, encode

Mode = Literal["transcode", "passthrough"]
"""What the agent hears and speaks: PCM16 at 24 kHz, or the telephone's own mu-law."""

VOICE_LEVEL: Final = 6000
"""The standard deviation of the noise that stands for a voice, in steps of PCM16: as loud as a near telephone."""

APPEND: Final = b'{"type":"input_audio_buffer.append","audio":"'
APPEND_END: Final = b'"}'
"""What a gateway of ours puts around the base64 in its most frequent message; others' are read as JSON."""

SILENT_FRAME: Final = bytes([SILENCE]) * FRAME_BYTES

_BYTES_PER_MS: Final = RATE_HZ // 1000


@dataclass(frozen=True, slots=True)
class Burst:
    """Words of the caller, from `at_ms` of the cycle to `end_ms`. The answer to them speaks for `reply_ms`."""

    at_ms: int
    end_ms: int
    reply_ms: int


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys that the caller presses at `at_ms` of the cycle. What the agent says to them takes `reply_ms`."""

    at_ms: int
    digits: str
    reply_ms: int


CYCLE_MS: Final = 10_000
BURSTS: Final = (Burst(1000, 1800, 5000), Burst(2600, 3200, 2000), Burst(7400, 8200, 1400))
"""The second breaks into the answer to the first, while the provider still sends it."""

KEYS: Final = Keys(5600, "5#", 1500)
"""Pressed when the answer before is heard: the caller's words are in 22 % of the cycle, the agent's in 57 %."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of the provider: what it sends, and what the caller must get of it.

    `deltas` are base64, `begins` where each begins in `ulaw`, in bytes. `places` has the index of each 20 ms frame.
    """

    voice: int
    deltas: tuple[bytes, ...]
    begins: tuple[int, ...]
    delta_ms: int
    audio_ms: int
    ulaw: bytes
    places: dict[bytes, int]


@dataclass(frozen=True, kw_only=True)
class Script:
    """A cycle of whole seconds, and the replies to it in two voices that take turns.

    `delta_ms` is how much of a reply comes in one message, `speed` how many times faster than it sounds.
    """

    mode: Mode = "transcode"
    cycle_ms: int = CYCLE_MS
    bursts: tuple[Burst, ...] = BURSTS
    keys: Keys | None = KEYS
    delta_ms: int = 200
    speed: float = 5.0
    seed: int = 6

    @property
    def frames(self) -> int:
        """How many the cycle has."""
        return self.cycle_ms // FRAME_MS

    @cached_property
    def ulaw(self) -> bytes:
        """One cycle of the caller's audio."""
        voice = _voice(self.cycle_ms, self.seed)
        cycle = bytearray(bytes([SILENCE]) * (self.cycle_ms * _BYTES_PER_MS))
        for burst in self.bursts:
            words = slice(burst.at_ms * _BYTES_PER_MS, burst.end_ms * _BYTES_PER_MS)
            cycle[words] = voice[words]
        return bytes(cycle)

    @cached_property
    def payloads(self) -> tuple[bytes, ...]:
        """The base64 of each frame of the cycle."""
        return tuple(b64encode(frame) for frame in pieces(self.ulaw, FRAME_BYTES))

    @property
    def window_bytes(self) -> int:
        """How much a frame is in the audio that the provider gets."""
        return PCM_BYTES_PER_MS * FRAME_MS if self.mode == "transcode" else FRAME_BYTES

    @cached_property
    def windows(self) -> tuple[bytes, ...]:
        """What the provider must get for each frame of the cycle when the cycle before was played.

        Transcoded it is as much later as a resampler looks ahead: what is certain when that frame has come.
        """
        if self.mode == "passthrough":
            return tuple(pieces(self.ulaw, FRAME_BYTES))
        resampler = UlawToPcm()
        resampler.feed(self.ulaw)
        return tuple(pieces(resampler.feed(self.ulaw), self.window_bytes))

    @cached_property
    def appends(self) -> tuple[bytes, ...]:
        """The message with each of these windows, as a gateway of ours writes it."""
        return tuple(APPEND + b64encode(window) + APPEND_END for window in self.windows)

    @cached_property
    def lag_bytes(self) -> int:
        """How much less than a window the first frame of a call gives."""
        return 0 if self.mode == "passthrough" else self.window_bytes - len(UlawToPcm().feed(SILENT_FRAME))

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The frames of the cycle with which a call may begin: it, the one before and the next are silent."""
        silent = [frame == SILENT_FRAME for frame in pieces(self.ulaw, FRAME_BYTES)]
        return tuple(i for i in range(self.frames) if silent[i - 1] and silent[i] and silent[(i + 1) % self.frames])

    @cached_property
    def began(self) -> frozenset[int]:
        """The first frames of the caller's words."""
        return frozenset(burst.at_ms // FRAME_MS for burst in self.bursts)

    @cached_property
    def ended(self) -> dict[int, int]:
        """The last frames of the caller's words, with the milliseconds of the answer."""
        return {burst.end_ms // FRAME_MS - 1: burst.reply_ms for burst in self.bursts}

    @cached_property
    def pressed(self) -> dict[int, str]:
        """The frames before which keys are pressed."""
        return {self.keys.at_ms // FRAME_MS: self.keys.digits} if self.keys else {}

    @property
    def asked_reply_ms(self) -> int:
        """How long the provider speaks when it is asked to by a message, such as one about keys."""
        return self.keys.reply_ms if self.keys else self.bursts[-1].reply_ms

    @cached_property
    def replies(self) -> dict[tuple[int, int], Reply]:
        """The replies by voice (0 or 1) and length."""
        lengths = {*self.ended.values(), self.asked_reply_ms}
        voices = [_voice(max(lengths), self.seed + 1 + voice) for voice in (0, 1)]
        return {(voice, ms): self._reply(voice, voices[voice], ms) for voice in (0, 1) for ms in lengths}

    def _reply(self, voice: int, ulaw: bytes, audio_ms: int) -> Reply:
        said, step = ulaw[: audio_ms * _BYTES_PER_MS], self.delta_ms * _BYTES_PER_MS
        if self.mode == "transcode":
            said, step = resampled(decode(said), RATE_HZ, PCM_BYTES_PER_MS * 500), self.delta_ms * PCM_BYTES_PER_MS
            resampler = PcmToUlaw()
            heard = resampler.feed(said) + resampler.flush()
        else:
            heard = said
        heard += bytes([SILENCE]) * (-len(heard) % FRAME_BYTES)
        deltas = tuple(b64encode(piece) for piece in pieces(said, step))
        return Reply(
            voice=voice,
            deltas=deltas,
            begins=tuple(range(0, len(deltas) * self.delta_ms * _BYTES_PER_MS, self.delta_ms * _BYTES_PER_MS)),
            delta_ms=self.delta_ms,
            audio_ms=audio_ms,
            ulaw=heard,
            places={frame: place for place, frame in enumerate(pieces(heard, FRAME_BYTES))},
        )


def pieces(audio: bytes, size: int) -> Iterator[bytes]:
    """The audio cut into so many bytes each; the last may be shorter."""
    return (audio[start : start + size] for start in range(0, len(audio), size))


def _voice(ms: int, seed: int) -> bytes:
    """Noise as mu-law: no frame of it is like another, or like silence."""
    noise = np.random.default_rng(seed).normal(0, VOICE_LEVEL, ms * _BYTES_PER_MS)
    return encode(noise.clip(-32768, 32767).astype("<i2").tobytes())
