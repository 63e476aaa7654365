"""The two voices of a conversation, between the session's audio format and the one that a provider's wire takes."""

from agents import mulaw
from agents.audio import SAMPLE_BYTES, Resampler
from agents.errors import NotSupportedError
from agents.realtime import PCMU, AudioFormat


class WireAudio:
    """One direction of one conversation: `feed` gives what is ready of `wanted` for a piece that is `given`.

    Equal formats pass through untouched. Formats are PCM16 mono little-endian at any multiple of 1000 Hz, and mu-law
    at 8000 Hz; NotSupportedError for others. What a resampler holds (2 ms) comes with `flush`, at the end of an item,
    or is forgotten by `reset`, when the rest of the item is.
    """

    def __init__(self, given: AudioFormat, wanted: AudioFormat) -> None:
        for each in (given, wanted):
            if each != PCMU and (each.mime_type != "audio/pcm" or each.sample_rate % 1000):
                raise NotSupportedError(f"no way from {given} to {wanted}")
        self._is_same = given == wanted
        self._decodes = given == PCMU
        self._encodes = wanted == PCMU
        self._odd = b""
        self._resampler = (
            None if given.sample_rate == wanted.sample_rate else Resampler(given.sample_rate, wanted.sample_rate)
        )

    def feed(self, audio: bytes) -> bytes:
        if self._is_same:
            return audio
        pcm16 = mulaw.decode(audio) if self._decodes else audio
        return self._out(self._resampler.feed(pcm16) if self._resampler else pcm16)

    def flush(self) -> bytes:
        """The tail; the next piece begins a new stream."""
        tail = self._out(self._resampler.flush()) if self._resampler else b""
        self._odd = b""
        return tail

    def reset(self) -> None:
        self._odd = b""
        if self._resampler:
            self._resampler.reset()

    def _out(self, pcm16: bytes) -> bytes:
        if not self._encodes:
            return pcm16
        pcm16 = self._odd + pcm16
        whole = len(pcm16) - len(pcm16) % SAMPLE_BYTES
        self._odd = pcm16[whole:]
        return mulaw.encode(pcm16[:whole])
