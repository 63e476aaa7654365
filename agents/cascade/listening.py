"""Which recogniser hears, how it is asked to, and what of a configuration it cannot honour."""

from collections.abc import Iterator
from typing import Final

from agents.cascade import deepgram, flux_wire, nova_wire
from agents.cascade.ear_wire import EarCodec
from agents.cascade.flux_wire import FluxCodec
from agents.cascade.nova_wire import NovaCodec
from agents.cascade.part import Address, address
from agents.cascade_spec import ListenSpec
from agents.local.refusals import transcription_faults, turn_faults
from agents.local.turns import TurnSettings
from agents.providers import Fault
from agents.realtime import SessionConfig, Transcription, TurnDetection

_ONLY_FLUX: Final = ("eot_threshold", "eot_timeout_ms")
_ONLY_REMOTE: Final = ("model", "keyterms", "base_url", "options")

_ELSEWHERE: Final = {
    "deepgram-flux": {
        "threshold": "with Flux it is cascade.listen.eot_threshold",
        "silence_duration_ms": "with Flux it is cascade.listen.eot_timeout_ms",
        "prefix_padding_ms": "a streaming recogniser hears everything: remove it",
        "eagerness": "with Flux it is cascade.listen.eot_threshold",
        "idle_timeout_ms": "write idle: steps instead",
    },
    "deepgram-nova": {
        "threshold": "Nova has none: remove it",
        "prefix_padding_ms": "a streaming recogniser hears everything: remove it",
        "eagerness": "it belongs to semantic_vad: remove it",
        "idle_timeout_ms": "write idle: steps instead",
    },
}
"""Fields of turn detection that a recogniser has not, and what to write instead."""


def part(listen: ListenSpec) -> str:
    """Its name in errors."""
    return f"listen ({listen.provider})"


def recogniser(listen: ListenSpec, config: SessionConfig, key: str) -> tuple[Address, EarCodec]:
    """Where a remote recogniser is, and the codec of one connection to it. Raises ConfigError for a wrong address."""
    audio_format = config.input_format
    turns = TurnSettings.of(config.turn_detection)
    base_url = listen.base_url or deepgram.BASE_URL
    if listen.provider == "deepgram-flux":
        path, codec = flux_wire.PATH, FluxCodec(audio_format, is_manual=turns.is_manual)
        query = flux_wire.query(
            audio_format,
            model=listen.model or flux_wire.MODEL,
            language=listen.language,
            keyterms=listen.keyterms,
            eot_threshold=listen.eot_threshold,
            eot_timeout_ms=listen.eot_timeout_ms,
            is_manual=turns.is_manual,
            options=listen.options,
        )
        url = address(base_url, path, query, like=deepgram.BASE_URL)
        return Address(part(listen), url, deepgram.authorization(key), deepgram.KEY_NAME), codec
    wanted = config.turn_detection
    query = nova_wire.query(
        audio_format,
        model=listen.model or nova_wire.MODEL,
        language=listen.language,
        keyterms=listen.keyterms,
        silence_ms=wanted.silence_duration_ms if isinstance(wanted, TurnDetection) else None,
        is_manual=turns.is_manual,
        options=listen.options,
    )
    url = address(base_url, nova_wire.PATH, query, like=deepgram.BASE_URL)
    line = Address(part(listen), url, deepgram.authorization(key), deepgram.KEY_NAME)
    return line, NovaCodec(audio_format, is_manual=turns.is_manual)


def listen_faults(listen: ListenSpec) -> Iterator[Fault]:
    """What this recogniser has no use for, in the block `cascade.listen`."""
    for name in _ONLY_FLUX:
        if getattr(listen, name) is not None and listen.provider != "deepgram-flux":
            yield Fault(("cascade", "listen", name), str(getattr(listen, name)), "it is for deepgram-flux: remove it")
    if listen.provider == "local":
        for name in _ONLY_REMOTE:
            if getattr(listen, name):
                right = "the recogniser on this machine has none: remove it"
                yield Fault(("cascade", "listen", name), str(getattr(listen, name)), right)
    is_english = listen.language is None or listen.language.partition("-")[0] == "en"
    knows_english = listen.provider == "local" or (
        listen.provider == "deepgram-flux" and listen.model in (None, flux_wire.MODEL)
    )
    if knows_english and not is_english:
        right = "must be en, unless with deepgram-nova, or with model: flux-general-multi of deepgram-flux"
        yield Fault(("cascade", "listen", "language"), str(listen.language), right)


def hearing_faults(listen: ListenSpec, config: SessionConfig) -> Iterator[Fault]:
    """What of a configuration this recogniser cannot honour."""
    turns, transcription = config.turn_detection, config.transcription
    if listen.provider == "local":
        if isinstance(turns, TurnDetection):
            yield from turn_faults(turns)
        if isinstance(transcription, Transcription):
            yield from transcription_faults(transcription)
        return
    if isinstance(turns, TurnDetection):
        for name, right in _ELSEWHERE[listen.provider].items():
            if getattr(turns, name) is not None:
                yield Fault(("turn_detection", name), str(getattr(turns, name)), right)
        if turns.mode == "semantic_vad" and listen.provider != "deepgram-flux":
            yield Fault(("turn_detection", "mode"), turns.mode, "Nova knows server_vad and manual; Flux knows this one")
    if isinstance(transcription, Transcription):
        for name, instead in (("model", "model"), ("language", "language"), ("prompt", "keyterms")):
            if (value := getattr(transcription, name)) is not None:
                yield Fault(("transcription", name), str(value), f"in a cascade it is cascade.listen.{instead}")
