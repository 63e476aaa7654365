"""The tools that an agent's YAML may name without a dotted path: control of the call, each allowed by its name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from agents.errors import ConfigError
from agents.schema import AgentSpec
from agents.tools.collect_digits import collect_digits
from agents.tools.destinations import destinations_of
from agents.tools.function import FunctionTool
from agents.tools.hang_up import hang_up
from agents.tools.hold import hold_tool, resume
from agents.tools.recording import pause_recording, start_recording
from agents.tools.send_digits import send_digits
from agents.tools.send_sms import send_sms_tool
from agents.tools.transfer import transfer_tool, warm_transfer_tool
from agents.tools.voicemail import leave_voicemail_tool

Make = Callable[[AgentSpec, Path], FunctionTool]
"""Makes the tool of an agent's file; paths in it start in the folder."""


def _transfer(spec: AgentSpec, folder: Path) -> FunctionTool:
    return transfer_tool(destinations_of(spec), ring_s=spec.transfer.ring_s, whisper=spec.transfer.whisper)


def _warm_transfer(spec: AgentSpec, folder: Path) -> FunctionTool:
    return warm_transfer_tool(destinations_of(spec), ring_s=spec.transfer.ring_s, music=_music(spec, folder))


def _hold(spec: AgentSpec, folder: Path) -> FunctionTool:
    return hold_tool(_music(spec, folder))


def _send_sms(spec: AgentSpec, folder: Path) -> FunctionTool:
    return send_sms_tool(destinations_of(spec), sender=spec.messages.sender)


def _leave_voicemail(spec: AgentSpec, folder: Path) -> FunctionTool:
    if spec.outbound is None or spec.outbound.voicemail is None:
        raise ConfigError("leave_voicemail needs the message: add outbound.voicemail")
    return leave_voicemail_tool(spec.outbound.voicemail)


def _music(spec: AgentSpec, folder: Path) -> Path | None:
    return folder / spec.transfer.hold_music if spec.transfer.hold_music else None


BUILT_IN: Final[Mapping[str, Make]] = {
    "hang_up": lambda spec, folder: hang_up,
    "transfer": _transfer,
    "warm_transfer": _warm_transfer,
    "send_digits": lambda spec, folder: send_digits,
    "send_sms": _send_sms,
    "hold": _hold,
    "resume": lambda spec, folder: resume,
    "start_recording": lambda spec, folder: start_recording,
    "pause_recording": lambda spec, folder: pause_recording,
    "collect_digits": lambda spec, folder: collect_digits,
    "leave_voicemail": _leave_voicemail,
}
"""By the names that the models know them by as well."""
