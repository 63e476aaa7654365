"""One ElevenLabs codec and both its sides, message by message."""

from base64 import b64encode
from typing import Any

import orjson

from agents.errors import ProviderError
from agents.events import ClientEvent, ServerEvent, SessionUpdate
from agents.providers.elevenlabs.wire import ElevenLabsCodec
from agents.providers.socket import Answer
from agents.realtime import Past, SessionConfig
from tests.elevenlabs_messages import client_faults, server_faults

Json = dict[str, Any]

PAYLOADS = {"client_tool_call": "client_tool_call", "agent_chat_response_part": "text_response_part"}
PAYLOADS |= {"user_transcript": "user_transcription_event"}
PAYLOADS |= {"tentative_user_transcript": "tentative_user_transcription_event"}


def message(kind: str, **event: Any) -> str:
    """A server's message, which must be one of the published schema."""
    whole = {"type": kind, PAYLOADS.get(kind, f"{kind}_event"): event}
    assert server_faults(whole) == []
    return orjson.dumps(whole).decode()


class Talk:
    """A conversation that is ready, unless `is_ready` is False. With PCM of 24 kHz audio goes through unchanged."""

    def __init__(
        self,
        config: SessionConfig | None = None,
        history: tuple[Past, ...] = (),
        *,
        heard: str = "pcm_24000",
        spoken: str = "pcm_24000",
        is_ready: bool = True,
    ) -> None:
        self.formats = {"user_input_audio_format": heard, "agent_output_audio_format": spoken}
        config = config or SessionConfig()
        self.codec = ElevenLabsCodec(config, history, name="el")
        self.answers: list[Json] = []
        [self.opening] = self.sends(SessionUpdate(config))
        if is_ready:
            self.becomes_ready()

    def becomes_ready(self) -> list[ServerEvent]:
        return self.says("conversation_initiation_metadata", conversation_id="conv_1", **self.formats)

    def sends(self, event: ClientEvent) -> list[Json]:
        """The messages of an event, each of which must be one of the published schema."""
        messages = [orjson.loads(text) for text in self.codec.encode(event)]
        assert [client_faults(each) for each in messages] == [[]] * len(messages)
        return messages

    def says(self, kind: str, **event: Any) -> list[ServerEvent]:
        """What a server's message says; what is answered goes to `answers`."""
        return self._told(self.codec.decode(message(kind, **event)))

    def text(self, text: str, event_id: int = 1) -> list[ServerEvent]:
        return self.says("agent_response", agent_response=text, event_id=event_id)

    def sound(self, pcm: bytes, event_id: int = 1, **more: Any) -> list[ServerEvent]:
        return self.says("audio", audio_base_64=b64encode(pcm).decode(), event_id=event_id, **more)

    def caller(self, text: str, event_id: int = 1) -> list[ServerEvent]:
        return self.says("user_transcript", user_transcript=text, event_id=event_id)

    def calls(self, call_id: str, name: str = "lookup", event_id: int = 1, **more: Any) -> list[ServerEvent]:
        call = {"tool_call_id": call_id, "tool_name": name, "parameters": {"city": "Bern"}, "event_id": event_id}
        return self.says("client_tool_call", **call, **more)

    @property
    def wait_s(self) -> float | None:
        return self.codec.wait.after_s if self.codec.wait else None

    def waits(self) -> list[ServerEvent]:
        """What follows when the codec's wait is over."""
        assert self.codec.wait is not None
        return self._told(self.codec.waited())

    def _told(self, said: list[ServerEvent | Answer | ProviderError]) -> list[ServerEvent]:
        told: list[ServerEvent] = []
        for each in said:
            if isinstance(each, Answer):
                answer = orjson.loads(each.message)
                assert client_faults(answer) == []
                self.answers.append(answer)
            elif isinstance(each, ProviderError):
                raise each
            else:
                told.append(each)
        return told


def kinds(events: list[ServerEvent]) -> list[str]:
    return [event.kind for event in events]
