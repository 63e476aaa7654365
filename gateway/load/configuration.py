"""The configuration of the gateway that a load is put on: one agent with everything on that a call has."""

from pathlib import Path
from typing import Final

from gateway.load.script import Mode

AGENT: Final = "load"

_AGENT_YAML: Final = """\
# The agent of `voice-gateway load`. Its provider tells the calls apart by their instructions.
model: openai/gpt-realtime-2.1
instructions: You answer call {{{{ call_id }}}}.
audio: {audio}
keys:
  to_model: true
"""


def write_configuration(folder: Path, mode: Mode) -> None:
    """Writes the files of a CONFIG_DIR whose only agent answers every number, with audio of the script's mode."""
    (folder / "agents").mkdir(parents=True, exist_ok=True)
    audio = "pcm16" if mode == "transcode" else "passthrough"
    (folder / "agents" / f"{AGENT}.yaml").write_text(_AGENT_YAML.format(audio=audio), encoding="utf-8")
    (folder / "numbers.yaml").write_text(f"default: {AGENT}\n", encoding="utf-8")
