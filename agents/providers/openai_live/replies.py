"""The agent's replies in a stream that has no beginnings and no ends. Pure: time is the model's output.

A reply begins when the model sounds, when it was asked to, or when it calls a tool, and ends when it is quiet.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from agents.events import (
    AudioOutputDelta,
    AudioOutputDone,
    ItemCreated,
    ResponseCreated,
    ResponseDone,
    ResponseInterrupted,
    ResponseStatus,
    ServerEvent,
    ToolCall,
    TranscriptOutput,
    TranscriptOutputDelta,
    Usage,
)
from agents.providers.openai_live.sound import FAINT, LOUD, WINDOW_MS
from agents.providers.wire_audio import WireAudio
from agents.realtime import AudioFormat

QUIET_MS: Final = 800
"""Silence that ends a reply. Shorter pauses are part of what is said."""

LEAD_MS: Final = 100
"""What is kept of the time before a sound: soft consonants lie below any level.

Of a pause no more is sent than this. The output comes at the pace of speech, so that the rest of it passes by itself.
"""

CUSHION_MS: Final = 100
"""A reply is sent once there is more than this of it: its pieces, of 100 ms, come in time but not quite."""

PATIENCE_MS: Final = 8_000
"""Longest that a reply which was asked for may take to sound; those who wait give the model up after ten seconds."""

LINGER_MS: Final = 1_000
"""How long a reply in which a tool was called waits for words: the model says what it does while it does it."""


@dataclass(slots=True)
class _Reply:
    """`waits_ms` is what is left of the time in which it must sound, `if_silent` what it is when it does not."""

    response_id: str
    item_id: str
    waits_ms: int
    if_silent: tuple[ResponseStatus, str]
    text: str = ""
    began_ms: int | None = None
    quiet_ms: int = 0
    is_pausing: bool = False
    is_cushioned: bool = False
    audio: bytearray = field(default_factory=bytearray)


class LiveReplies:
    """`given` is the format of the windows, `wanted` that of the events. Ids begin with `prefix`.

    What gives events must be taken to its end.
    """

    def __init__(self, given: AudioFormat, wanted: AudioFormat, prefix: str) -> None:
        self._voice = WireAudio(given, wanted)
        self._cushion = CUSHION_MS * given.bytes_per_ms
        self._prefix = prefix
        self._count = 0
        self._reply: _Reply | None = None
        self._last: tuple[str, str, int] | None = None  # response, item, and where it ended
        self._lead: deque[bytes] = deque(maxlen=LEAD_MS // WINDOW_MS)
        self._usage = Usage()
        self._asked_ms: int | None = None
        self.now_ms = 0
        """How much output there was."""
        self.loud_until_ms = 0
        """Where the model was last heard to speak."""

    @property
    def is_open(self) -> bool:
        return self._reply is not None

    @property
    def sounds_since_ms(self) -> int | None:
        """Where the reply under way began to sound; None while it does not, or there is none."""
        return self._reply.began_ms if self._reply else None

    @property
    def quiet_ms(self) -> int:
        """How long the reply under way has been silent since it last sounded."""
        return self._reply.quiet_ms if self._reply else 0

    def ask(self, patience_ms: int = PATIENCE_MS) -> None:
        """A reply is wanted: `due` begins it, unless one is under way, which then is it.

        One that sounds within no time is over at once: what it was to say was said.
        """
        self._asked_ms = patience_ms

    def forget_ask(self) -> bool:
        """Nothing will come of what was asked for. False when a reply has begun for it."""
        was_asked, self._asked_ms = self._asked_ms is not None, None
        return was_asked

    def due(self) -> Iterator[ServerEvent]:
        """Begins the reply that was asked for."""
        patience_ms, self._asked_ms = self._asked_ms, None
        if patience_ms is not None and self._reply is None:
            yield ResponseCreated(self._new(patience_ms, ("incomplete", "no_speech")).response_id)
            if not patience_ms:
                yield from self.end("completed")

    # ---- what the model does ----

    def hear(self, window: bytes, level: float) -> Iterator[ServerEvent]:
        """The next window of the output. Its audio comes with `flush`, and before what must follow it."""
        self.now_ms += WINDOW_MS
        reply = self._reply
        if level >= LOUD:
            yield from self._sounds(window)
        elif reply is None or reply.began_ms is None:
            if level < FAINT:
                self._lead.clear()
            else:
                self._lead.append(window)
            yield from self._waited()
        else:
            reply.quiet_ms += WINDOW_MS
            reply.is_pausing |= level < FAINT
            if reply.is_pausing:
                self._lead.append(window)
            else:
                reply.audio += window
            if reply.quiet_ms >= QUIET_MS:
                yield from self.end("completed")

    def flush(self) -> Iterator[ServerEvent]:
        """The audio of the windows heard so far, but for the little that waits for more."""
        reply = self._reply
        if reply is None or not reply.audio:
            return
        is_enough = reply.is_cushioned or reply.quiet_ms >= CUSHION_MS or len(reply.audio) > self._cushion
        if is_enough:
            reply.is_cushioned = True
            yield from self._send(reply)

    def is_late(self, end_ms: int | None) -> bool:
        """Whether words up to this place belong to the reply that is over."""
        return self._reply is None and self._last is not None and end_ms is not None and end_ms <= self._last[2]

    def wrote(self, text: str, end_ms: int | None) -> Iterator[ServerEvent]:
        """Words of the model's, up to this place in its output. They are speech, however soft it is."""
        if self._last and self.is_late(end_ms):
            response_id, item_id, _ = self._last
            yield TranscriptOutputDelta(response_id, item_id, text)
            return
        yield from self._speaks()
        if reply := self._reply:
            text = spaced(reply.text, text)
            reply.text += text
            yield TranscriptOutputDelta(reply.response_id, reply.item_id, text)

    def called(self, call_id: str, name: str, arguments: str) -> Iterator[ServerEvent]:
        """The model calls a tool: in the reply under way, or in one that waits for words a little."""
        if (reply := self._reply) is None:
            reply = self._new(LINGER_MS, ("completed", ""))
            yield ResponseCreated(reply.response_id)
        reply.waits_ms, reply.if_silent = LINGER_MS, ("completed", "")
        yield ToolCall(reply.response_id, call_id, name, arguments)

    def spent(self, usage: Usage) -> None:
        """Tokens of the backend's, which the next end of a reply tells of."""
        self._usage += usage

    # ---- the ends of a reply ----

    def end(self, status: ResponseStatus, reason: str = "") -> Iterator[ServerEvent]:
        """Ends the reply under way, if there is one."""
        if (reply := self._reply) is None:
            return
        if reply.began_ms is not None:
            yield from self._send(reply)
            if tail := self._voice.flush():
                yield AudioOutputDelta(reply.response_id, reply.item_id, 0, tail)
            yield AudioOutputDone(reply.response_id, reply.item_id, 0)
        yield from self._close(reply, status, reason)

    def interrupted(self) -> Iterator[ServerEvent]:
        """The model gave way to the caller."""
        if (reply := self._reply) is None:
            return
        self._voice.reset()
        yield ResponseInterrupted(reply.response_id)
        yield from self._close(reply, "interrupted", "")

    def _close(self, reply: _Reply, status: ResponseStatus, reason: str) -> Iterator[ServerEvent]:
        self._reply = None
        self._last = (reply.response_id, reply.item_id, self.now_ms)
        self._lead.clear()
        if reply.text:
            yield TranscriptOutput(reply.response_id, reply.item_id, reply.text)
        usage, self._usage = self._usage, Usage()
        yield ResponseDone(reply.response_id, status, usage, reason)

    # ---- the beginning ----

    def _new(self, waits_ms: int, if_silent: tuple[ResponseStatus, str]) -> _Reply:
        self._count += 1
        response_id, item_id = f"{self._prefix}_r{self._count}", f"{self._prefix}_a{self._count}"
        self._reply = _Reply(response_id, item_id, waits_ms, if_silent)
        return self._reply

    def _sounds(self, window: bytes) -> Iterator[ServerEvent]:
        yield from self._speaks()
        if reply := self._reply:
            reply.is_pausing = False
            reply.audio += b"".join(self._lead) + window
        self._lead.clear()

    def _speaks(self) -> Iterator[ServerEvent]:
        """The model speaks: in the reply under way, or it begins one."""
        self.loud_until_ms = self.now_ms
        if (reply := self._reply) is None:
            reply = self._new(PATIENCE_MS, ("completed", ""))
            yield ResponseCreated(reply.response_id)
        if reply.began_ms is None:
            reply.began_ms = self.now_ms
            yield ItemCreated(reply.item_id, "assistant")
        reply.quiet_ms = 0

    def _send(self, reply: _Reply) -> Iterator[ServerEvent]:
        pcm = self._voice.feed(bytes(reply.audio))
        reply.audio.clear()
        if pcm:
            yield AudioOutputDelta(reply.response_id, reply.item_id, 0, pcm)

    def _waited(self) -> Iterator[ServerEvent]:
        """Silence, in which nothing has sounded yet."""
        if self._reply:
            self._reply.waits_ms -= WINDOW_MS
            if self._reply.waits_ms <= 0:
                yield from self.end(*self._reply.if_silent)


def spaced(before: str, text: str) -> str:
    """A fragment of a transcript, to be put after what came before it.

    Fragments bring the spaces within a sentence, and none before the next one.
    """
    is_next_sentence = before.endswith((".", "?", "!", "…")) and text[:1].isupper()
    return f" {text}" if is_next_sentence else text
