"""What a client may send to AssemblyAI's Voice Agent, field by field.

Written by hand from the published events reference and from what others saw its server take: the vendor's Python
package has no types for it.
"""

from typing import Any, Final

from tests.wire_shape import ANYTHING, Is, Maybe

_FORMAT: Final = {"encoding": Is("audio/pcm", "audio/pcmu", "audio/pcma"), "sample_rate": Maybe(int)}
_TOOL: Final = {
    "type": Is("function"),
    "name": str,
    "description": str,
    "parameters": ANYTHING,
    "execution_mode": Maybe(Is("interactive", "hold")),
    "timeout_seconds": Maybe(int),
}
_INPUT: Final = {
    "type": Maybe(Is("audio")),
    "format": Maybe(_FORMAT),
    "keyterms": Maybe([str]),
    "turn_detection": Maybe(
        {
            "vad_threshold": Maybe(float),
            "min_silence": Maybe(int),
            "max_silence": Maybe(int),
            "interrupt_response": Maybe(bool),
            "interruption_delay": Maybe(int),
        }
    ),
    "transcription_prompt": Maybe(str),
    "transcription_mode": Maybe(str),
    "language_codes": Maybe([str]),
    "voice_focus": Maybe(Is("near-field", "far-field")),
    "voice_focus_threshold": Maybe(float),
}
SESSION: Final = {
    "system_prompt": Maybe(str),
    "greeting": Maybe(str),
    "tools": Maybe([_TOOL]),
    "input": Maybe(_INPUT),
    "output": Maybe({"type": Maybe(Is("audio")), "voice": Maybe(str), "format": Maybe(_FORMAT), "volume": Maybe(int)}),
}
STORED: Final = {"agent_id": str}

MESSAGES: Final[dict[str, Any]] = {
    "session.update": {"type": str, "session": ANYTHING},
    "session.resume": {"type": str, "session_id": str},
    "session.end": {"type": str},
    "input.audio": {"type": str, "audio": str},
    "tool.result": {"type": str, "call_id": str, "result": str, "is_error": Maybe(bool)},
    "reply.create": {"type": str, "instructions": Maybe(str)},
    "conversation.message": {"type": str, "role": Is("user", "system"), "content": str},
}
