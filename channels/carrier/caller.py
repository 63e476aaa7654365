"""The simulated caller: a script of utterances, said when the agent has finished. Pure, one tick at a time."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from agents import mulaw
from channels.carrier.ears import OVER_MS, Ears, Sound
from channels.carrier.loudness import speech_end_ms
from channels.carrier.playout import Tick
from channels.carrier.report import AgentBegan, AgentEnded, CallerBegan, CallEvent, KeyPressed, TroubleFound

WAIT_S: Final = 4.0
"""So long the caller waits for a greeting before speaking anyway."""

GIVE_UP_MS: Final = 15_000
"""So long a silence makes the caller give up: no reply to the last words, or a reply that neither sounds nor ends."""

KEY_EVERY_MS: Final = 200

MAX_KEYS: Final = 32
"""So many keys, the latest, a caller keeps in mind: what one document can press at once."""

SILENT_FRAME: Final = bytes([mulaw.SILENCE]) * mulaw.FRAME_BYTES


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something for the caller to say, PCM16 mono 8 kHz. `said` is what it says in words, None when unknown."""

    pcm16_8k: bytes = field(repr=False)
    said: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What the caller does.

    The caller waits for the greeting and its end (`wait_s` for its beginning), presses `digits`, then says each
    utterance and waits for the reply and its end, then hangs up. With `interrupt_ms` the next utterance begins so long
    after the agent became audible instead. With `stays` the caller does not hang up at the end, but stays on the line,
    silent, for as long as the service lets them. `hang_up_after_s` counts from dialling and comes before all else.

    `answers` makes a telephone computer of the caller: as soon as the last keys that the service pressed are those, it
    says that; of several such keys, the longest count.

    All of it goes on across streams. Between two, nobody is heard: what the caller was saying goes on unheard, and what
    is to be said waits for the next.
    """

    utterances: tuple[Utterance, ...] = ()
    digits: str = field(default="", repr=False)
    answers: Mapping[str, Utterance] = field(default_factory=dict, repr=False)
    wait_s: float = WAIT_S
    interrupt_ms: int | None = None
    stays: bool = False
    hang_up_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """What the caller does at one tick: 20 ms of mu-law, a key, hanging up."""

    ulaw: bytes = SILENT_FRAME
    digit: str | None = field(default=None, repr=False)
    is_hang_up: bool = False


@dataclass(slots=True)
class SpokenTurn:
    """An utterance that was begun. `speech_end_ms` is when its last sound was spoken."""

    said: str | None
    speech_end_ms: int
    reply_began_ms: int | None = None

    @property
    def reply_ms(self) -> int | None:
        return None if self.reply_began_ms is None else self.reply_began_ms - self.speech_end_ms


@dataclass(slots=True)
class _Step:
    """The wait that the caller is in. `heard_ms` is when the sound that it waits for began; None before it does.

    `is_reply_due`: without that sound the caller gives up; without this, the caller goes on after `wait_s`.
    """

    began_ms: int
    is_reply_due: bool
    heard_ms: int | None = None


class Caller:
    """Runs a script against what is heard. `tell` gets each event when it is known. `at_ms` only grows."""

    def __init__(self, script: Script, tell: Callable[[CallEvent], None]) -> None:
        self.turns: list[SpokenTurn] = []
        self.ears = Ears()
        self._script = script
        self._tell = tell
        self._step: _Step | None = None
        self._keys = deque(script.digits)
        self._next_key_ms: int | None = None
        self._unsaid = deque(script.utterances)
        self._speech: deque[bytes] = deque()
        self._heard_keys = ""
        self._unsaid_answers: deque[Utterance] = deque(maxlen=MAX_KEYS)
        self._has_heard_keys = False
        self._last_tick_ms: int | None = None
        self._is_on_stream = False
        self._is_done = False
        self._is_staying = False

    @property
    def unsaid(self) -> int:
        """How many utterances of the script were never begun."""
        return len(self._unsaid)

    def answered(self, at_ms: int | None) -> None:
        """The call was answered then; None when it was not. What a person does begins with the first tick."""

    @property
    def message_from_ms(self) -> int | None:
        """When an answering machine began to record; None for a person."""
        return None

    def tick(self, heard: Tick) -> Move:
        """Takes what the phone plays for 20 ms, gives what the caller does in them."""
        at_ms = heard.at_ms
        step = self._begin_or_go_on(at_ms)
        self._listen(heard)
        self._notice_reply(at_ms, step)
        digit = None
        if self._is_time_up(at_ms):
            self._is_done = True
        elif self._unsaid_answers:
            if not self._speech:
                self._speak(at_ms, self._unsaid_answers.popleft())
        elif self._is_staying:
            pass
        elif self._is_ready(at_ms, step):
            digit = self._go_on(at_ms)
        elif self._has_given_up(at_ms, step):
            self._tell(TroubleFound(at_ms, self._complaint(step)))
            self._is_done = True
        ulaw = self._speech.popleft() if self._speech else SILENT_FRAME
        return Move(ulaw, digit, self._is_done)

    @property
    def next_key(self) -> str | None:
        """The key that the caller would press next; None when the script has no more."""
        return self._keys[0] if self._keys else None

    def press(self, at_ms: int) -> None:
        """Presses that key, on a line without a stream."""
        self._tell(KeyPressed(at_ms, self._keys.popleft()))

    def take_utterance(self) -> Utterance | None:
        """The next utterance, for the caller to say to a recording; None when the script has no more."""
        return self._unsaid.popleft() if self._unsaid else None

    def hear_keys(self, keys: str) -> None:
        """The service pressed keys. What the script answers is said as soon as there is a stream."""
        self._has_heard_keys = True
        for key in keys:
            self._heard_keys = (self._heard_keys + key)[-MAX_KEYS:]
            if known := [known for known in self._script.answers if self._heard_keys.endswith(known)]:
                self._unsaid_answers.append(self._script.answers[max(known, key=len)])
                self._heard_keys = ""

    def end(self) -> None:
        """The stream is over: what still sounded ended with it."""
        self._is_on_stream = False
        self._tell_ended(self.ears.end(was_cleared=False))

    def _begin_or_go_on(self, at_ms: int) -> _Step:
        """The wait that the caller is in. A new stream begins it anew; keys are an answer to what was said before."""
        was_on_stream, self._is_on_stream = self._is_on_stream, True
        last_ms, self._last_tick_ms = self._last_tick_ms, at_ms
        if was_on_stream and self._step is not None:
            return self._step
        unheard = 0 if last_ms is None else (at_ms - last_ms) // mulaw.FRAME_MS - 1
        for _ in range(min(unheard, len(self._speech))):
            self._speech.popleft()
        is_due = self._step is not None and self._step.is_reply_due and self._step.heard_ms is None
        is_due, self._has_heard_keys = is_due and not self._has_heard_keys, False
        self._step = _Step(at_ms, is_due)
        return self._step

    def _listen(self, heard: Tick) -> None:
        is_speaking = bool(self.turns) and heard.at_ms < self.turns[-1].speech_end_ms
        was_sounding_ms = self.ears.sounding_ms
        ended = self.ears.hear(heard, len(self.turns), is_speaking)
        self._tell_ended(ended)
        began_ms = self.ears.sounding_ms
        if began_ms is not None and (ended is not None or was_sounding_ms is None):
            self._tell(AgentBegan(began_ms, self.ears.turn))

    def _await_reply(self, at_ms: int) -> None:
        self._step = _Step(at_ms, is_reply_due=True)

    def _tell_ended(self, sound: Sound | None) -> None:
        if sound is not None:
            self._tell(AgentEnded(sound.ended_ms, sound.turn, sound.began_ms, sound.was_cleared))

    def _notice_reply(self, at_ms: int, step: _Step) -> None:
        """The sound we wait for began in this turn and goes on after our last word: earlier sound was not for us."""
        if step.heard_ms is not None or self.ears.sounding_ms is None or self.ears.turn != len(self.turns):
            return
        if not step.is_reply_due:
            step.heard_ms = self.ears.sounding_ms if self.ears.sounding_ms >= step.began_ms else None
        elif at_ms >= self.turns[-1].speech_end_ms:
            step.heard_ms = self.turns[-1].reply_began_ms = self.ears.sounding_ms

    def _is_time_up(self, at_ms: int) -> bool:
        limit_s = self._script.hang_up_after_s
        return limit_s is not None and at_ms >= limit_s * 1000

    def _is_ready(self, at_ms: int, step: _Step) -> bool:
        if self._keys and self._next_key_ms is not None:
            return at_ms >= self._next_key_ms
        if step.heard_ms is None:
            return not step.is_reply_due and at_ms >= step.began_ms + self._script.wait_s * 1000
        if self._script.interrupt_ms is not None and (self._keys or self._unsaid):
            return at_ms >= step.heard_ms + self._script.interrupt_ms
        return self.ears.quiet_ms(at_ms) >= OVER_MS

    def _has_given_up(self, at_ms: int, step: _Step) -> bool:
        silent_since_ms = max(step.began_ms, self.ears.last_sound_ms or 0)
        if step.is_reply_due:
            silent_since_ms = max(silent_since_ms, self.turns[-1].speech_end_ms)
        return at_ms - silent_since_ms >= GIVE_UP_MS

    def _complaint(self, step: _Step) -> str:
        after = f"after utterance {len(self.turns)}" if self.turns else "before the first utterance"
        if step.heard_ms is None:
            return f"the agent said nothing for {GIVE_UP_MS // 1000} s {after}"
        return f"the agent's audio went on without a sound for {GIVE_UP_MS // 1000} s {after}"

    def _go_on(self, at_ms: int) -> str | None:
        """The next thing in the script. Gives the key to press, if it is one."""
        if self._keys:
            digit = self._keys.popleft()
            self._tell(KeyPressed(at_ms, digit))
            self._next_key_ms = at_ms + KEY_EVERY_MS
            if not self._keys:
                self._step = _Step(at_ms, is_reply_due=False)
            return digit
        if self._unsaid:
            self._speak(at_ms, self._unsaid.popleft())
        else:
            self._is_staying = self._script.stays
            self._is_done = not self._is_staying
        return None

    def _speak(self, at_ms: int, utterance: Utterance) -> None:
        ulaw = mulaw.encode(utterance.pcm16_8k)
        ulaw += SILENT_FRAME[: -len(ulaw) % mulaw.FRAME_BYTES]
        self._speech = deque(ulaw[at : at + mulaw.FRAME_BYTES] for at in range(0, len(ulaw), mulaw.FRAME_BYTES))
        # A frame is sent when it is complete: what goes out now was spoken in the 20 ms before.
        speech_end = at_ms - mulaw.FRAME_MS + speech_end_ms(utterance.pcm16_8k)
        self.turns.append(SpokenTurn(utterance.said, speech_end))
        self._await_reply(at_ms)
        self._tell(CallerBegan(at_ms - mulaw.FRAME_MS, len(self.turns), utterance.said))
