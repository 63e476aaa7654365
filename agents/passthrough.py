"""Whether an agent's model takes and gives the telephone's own audio, asked before there is a call."""

from pathlib import Path
from typing import Final

from agents.errors import ConfigError
from agents.providers import Fault, provider
from agents.realtime import PCMU
from agents.schema import AgentSpec

_STAND_IN: Final = "https://stand-in.invalid"
"""In place of what the environment has to say: nothing is opened. It does for an address as it does for a key."""


def passthrough_faults(spec: AgentSpec, folder: Path) -> list[Fault]:
    """What is wrong with `audio: passthrough` in a spec that is otherwise without faults.

    What a model can do is its `capabilities`, whoever provides it. One that cannot be made without more of the
    environment is asked when a call connects: the session refuses it then.
    """
    if spec.audio != "passthrough":
        return []
    its, environment = provider(spec.provider), dict[str, str]()
    while (name := its.missing_key(spec, environment)) and name not in environment:
        environment[name] = _STAND_IN
    try:
        known = its.open_model(spec, folder, environment).capabilities
    except ConfigError:
        return []
    ways = {"hears": known.input_formats, "speaks": known.output_formats}
    lacking = [way for way, formats in ways.items() if PCMU not in formats]
    if not lacking:
        return []
    found = f"passthrough, and {spec.model} {' and '.join(lacking)} no mu-law"
    return [Fault(("audio",), found, "must be pcm16 for this model")]
