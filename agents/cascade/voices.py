"""Whose voice speaks, how it is asked to, and what of a configuration it cannot honour."""

from collections.abc import Iterator
from typing import Final

from agents.cascade import aura_wire, deepgram, eleven_wire, sonic_wire
from agents.cascade.aura_wire import AuraCodec
from agents.cascade.eleven_wire import ElevenCodec
from agents.cascade.mouth_wire import MouthCodec
from agents.cascade.part import Address, address
from agents.cascade.remote_mouth import Manner
from agents.cascade.sonic_wire import SonicCodec
from agents.cascade_spec import SpeakSpec
from agents.local.refusals import MIN_SPEED
from agents.local.refusals import VOICES as EMBEDDED_VOICES
from agents.providers import Fault
from agents.realtime import SessionConfig

KEY_NAMES: Final = {
    "cartesia": sonic_wire.KEY_NAME,
    "deepgram": deepgram.KEY_NAME,
    "elevenlabs": eleven_wire.KEY_NAME,
}
"""The variable that holds each voice provider's key; the one on this machine needs none."""

_SPEEDS: Final = {
    "cartesia": sonic_wire.SPEEDS,
    "deepgram": aura_wire.SPEEDS,
    "elevenlabs": eleven_wire.SPEEDS,
    "local": (MIN_SPEED, 1.5),
}

_USELESS: Final = {
    "deepgram": {
        "model": "with deepgram the voice is the model: write voice: aura-2-thalia-en",
        "language": "with deepgram the voice has its language: write voice: aura-2-thalia-en",
    },
    "local": dict.fromkeys(("model", "language", "base_url"), "the voice on this machine has none: remove it"),
}


def part(speak: SpeakSpec) -> str:
    """Its name in errors."""
    return f"speak ({speak.provider})"


def voice_line(speak: SpeakSpec, manner: Manner, key: str) -> tuple[Address, MouthCodec]:
    """Where a remote voice is, and the codec of one connection to it. Raises ConfigError for a wrong address."""
    voice, audio_format = manner.voice, manner.audio_format
    match speak.provider:
        case "cartesia":
            url = address(speak.base_url or sonic_wire.BASE_URL, sonic_wire.PATH, {}, like=sonic_wire.BASE_URL)
            headers = {"Authorization": f"Bearer {key}", "Cartesia-Version": sonic_wire.VERSION}
            codec: MouthCodec = SonicCodec(
                audio_format,
                model=speak.model or sonic_wire.MODEL,
                voice=voice,
                language=speak.language,
                options=speak.options,
            )
        case "elevenlabs":
            query = eleven_wire.query(
                audio_format, model=speak.model or eleven_wire.MODEL, language=speak.language, options=speak.options
            )
            base_url = speak.base_url or eleven_wire.BASE_URL
            url = address(base_url, eleven_wire.path(voice), query, like=eleven_wire.BASE_URL)
            headers = {"xi-api-key": key}
            codec = ElevenCodec(voice)
        case _:
            query = aura_wire.query(audio_format, voice, speak.options)
            url = address(speak.base_url or deepgram.BASE_URL, aura_wire.PATH, query, like=deepgram.BASE_URL)
            headers = deepgram.authorization(key)
            codec = AuraCodec()
    return Address(part(speak), url, headers, KEY_NAMES[speak.provider]), codec


def speak_faults(speak: SpeakSpec, voice: str | None) -> Iterator[Fault]:
    """What this voice has no use for, in the block `cascade.speak`. `voice` is the file's own."""
    for name, right in _USELESS.get(speak.provider, {}).items():
        if getattr(speak, name) is not None:
            yield Fault(("cascade", "speak", name), str(getattr(speak, name)), right)
    if speak.provider == "local" and speak.options:
        yield Fault(("cascade", "speak", "options"), ", ".join(speak.options), "remove them: they are for no one")
    if speak.voice is not None and voice is not None:
        yield Fault(("voice",), voice, "there is cascade.speak.voice as well: remove one of them")


def speaking_faults(speak: SpeakSpec, config: SessionConfig) -> Iterator[Fault]:
    """What of a configuration this voice cannot honour."""
    voice_id, speed = config.voice.voice_id or speak.voice, config.voice.speed
    if speak.provider in ("cartesia", "elevenlabs") and voice_id is None:
        yield Fault(("cascade", "speak", "voice"), "nothing", f"{speak.provider} needs the id of a voice")
    if speak.provider == "local" and voice_id not in (None, *EMBEDDED_VOICES):
        right = f"the voice on this machine is {', '.join(EMBEDDED_VOICES)}"
        yield Fault(("voice",) if config.voice.voice_id else ("cascade", "speak", "voice"), str(voice_id), right)
    slowest, fastest = _SPEEDS[speak.provider]
    if speed is not None and not slowest <= speed <= fastest:
        yield Fault(("speed",), str(speed), f"must be {slowest:g} to {fastest:g} with {speak.provider}")
