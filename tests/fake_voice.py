"""How the fake voices sound: so long for each text, in the format that was asked for, and with or without an end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from agents.realtime import AudioFormat
from tests.fake_ear import tone

PIECE_MS = 200


def usual_length(text: str) -> int:
    """60 ms for each character."""
    return 60 * len(text.strip())


@dataclass
class FakeVoice:
    """`length` says how many milliseconds a text takes. While `holds`, nothing that is spoken is told the end of.

    `spoken` is all text that was spoken, in order.
    """

    length: Callable[[str], int] = usual_length
    holds: bool = False
    spoken: list[str] = field(default_factory=list)

    def speak(self, text: str, audio_format: AudioFormat) -> Iterator[bytes]:
        self.spoken.append(text.strip())
        audio = tone(self.length(text), audio_format)
        size = PIECE_MS * audio_format.bytes_per_ms
        return (audio[at : at + size] for at in range(0, len(audio), size))
