"""Where Twilio finds us: the paths that it asks at, and the addresses that it is given."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

MEDIA_PATH: Final = "/twilio/media"
VOICE_PATH: Final = "/twilio/voice"
AFTER_STREAM_PATH: Final = "/twilio/after-stream"
STATUS_PATH: Final = "/twilio/status"
STREAM_STATUS_PATH: Final = "/twilio/stream-status"
VOICEMAIL_PATH: Final = "/twilio/voicemail"
RECORDING_PATH: Final = "/twilio/recording"
RECORDING_STATUS_PATH: Final = "/twilio/recording-status"
AFTER_DIAL_PATH: Final = "/twilio/after-dial"
DIAL_STATUS_PATH: Final = "/twilio/dial-status"
WHISPER_PATH: Final = "/twilio/whisper"
BRIEFING_PATH: Final = "/twilio/briefing"
BRIEFING_ANSWER_PATH: Final = "/twilio/briefing-answer"
BRIEFED_STATUS_PATH: Final = "/twilio/briefed-status"
OUTBOUND_PATH: Final = "/twilio/outbound"
OUTBOUND_STATUS_PATH: Final = "/twilio/outbound-status"
OUTBOUND_MACHINE_PATH: Final = "/twilio/outbound-machine"


TWILIO: Final = "/twilio/"
"""What Twilio asks at begins with it, workers' own addresses too: a proxy need let no more pass."""


def worker_prefix(worker: int) -> str:
    """What stands before the paths of one worker of several, so that what is asked there comes to that one."""
    return f"{TWILIO}w/{worker}"


@dataclass(frozen=True, slots=True)
class Addresses:
    """`base_url` is what our addresses begin with in the eyes of the caller's network."""

    base_url: str

    @property
    def media(self) -> str:
        """Where media streams come to: wss where webhooks are https."""
        return f"ws{self.base_url.removeprefix('http')}{MEDIA_PATH}"

    def of(self, path: str, errand: str | None = None) -> str:
        """`errand` is the name of what it is asked about, where the call that asks does not say that."""
        return f"{self.base_url}{path}" + (f"?{urlencode({'id': errand})}" if errand else "")
