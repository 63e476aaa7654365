"""What the agent says, from the request for it to the caller's ear, and the one way to stop it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from math import inf
from typing import Final

from agents.audio_turns import AudioTurns
from agents.cut import Cut
from agents.emitter import Emitter
from agents.events import (
    Audio,
    AudioOutputDelta,
    ClientEvent,
    Error,
    Heard,
    History,
    Interrupted,
    ItemTruncate,
    Response,
    ResponseDone,
    Resumed,
    SessionError,
    Usage,
    UsageReport,
)
from agents.history import CallHistory, HistoryItem
from agents.realtime import RealtimeChannel, SpokenItem
from agents.replies import BUSY, Replies
from agents.sounding import Sounding

Send = Callable[[ClientEvent], Awaitable[None]]

_RECORDING = "recording-"
"""What the items of our own begin with, of which no model knows."""

RESULT_KNOWN_S: Final = 0.5
"""How long after a tool's result was sent a response of the model's own surely knows of it: a slow round trip."""

PLAYED_LOOK_S: Final = 0.25
"""How often it is looked whether the agent was heard out where a recording sounds behind its words."""

VOICE_LOOK_S: Final = 5.0
"""How often it is looked whether one does: longer than a line waits for late news of what it played."""

Spawn = Callable[[Callable[[], Awaitable[None]], str], asyncio.Task[None] | None]
"""Runs a function beside the rest of the conversation, under a name. None once the conversation is ending."""


def _is_recording(item_id: str) -> bool:
    return item_id.startswith(_RECORDING)


def tell_changed(emitter: Emitter, items: tuple[HistoryItem, ...]) -> None:
    """Tells observers what changed in the call's history."""
    for item in items:
        emitter.emit(History(item))


class Speaking:
    """The agent's side of one conversation: one response after the other, each played, and each stopped in one way.

    To stop is: silence the line, then cancel the response if one is active, then, as soon as the line knows what was
    heard of it, truncate each item there and tell observers. What still comes of that response goes nowhere. A response
    that is asked for meanwhile waits, so that the model answers knowing what was heard.
    """

    def __init__(
        self,
        channel: RealtimeChannel | None,
        send: Send,
        emitter: Emitter,
        history: CallHistory,
        spawn: Spawn,
        *,
        keeps_audio: bool,
    ) -> None:
        self._send = send
        self._emitter = emitter
        self._tell = emitter.emit
        self._history = history
        self._spawn = spawn
        self._replies = Replies()
        self._sounding = Sounding(channel, keeps_audio=keeps_audio)
        self._audio_turns = AudioTurns(emitter)
        self._settled = asyncio.Event()
        self._settled.set()
        self._unsettlings = 0
        self._item: SpokenItem | None = None
        self._cuts: list[Cut] = []
        self._cuts_made = 0
        self._interruptions = 0
        self._turns = 0
        self._recordings = 0
        self._now = asyncio.get_running_loop().time
        self._result_at = -inf
        self._silencing = asyncio.Lock()
        self._is_over = False
        self._is_away = False
        self._has_last_words = False
        self._is_saying_last = False
        self._refusals: list[asyncio.Event] = []
        self.is_on_hold = False
        """Whether the caller hears music until they are taken back. Whoever puts them on hold says so here."""
        self.on_stop: Callable[[], Callable[[], object]] | None = None
        """Asked when somebody stops the agent, but not when its line leaves; what it gives is called if that was an
        interruption, which may be known much later."""
        self.usage = Usage()

    @property
    def is_owed(self) -> bool:
        """True while a response is asked for or under way."""
        return self._replies.is_busy

    @property
    def is_settled(self) -> bool:
        """True when nothing more is to come: no response, no words that wait to be said, no cut or pause in them."""
        return self._settled.is_set()

    @property
    def is_at_work(self) -> bool:
        """True while a tool runs."""
        return self._replies.is_at_work

    @property
    def is_over(self) -> bool:
        """True once the line was closed."""
        return self._is_over

    @property
    def is_away(self) -> bool:
        """True while the line is elsewhere: nothing is asked for, and nothing is said."""
        return self._is_away

    @property
    def has_last_words(self) -> bool:
        """True once `only_what_was_asked` was called: nothing else is taken up any more."""
        return self._has_last_words

    @property
    def is_saying_last(self) -> bool:
        """True once `say_last` was called: nothing stops what it says."""
        return self._is_saying_last

    @property
    def turns(self) -> int:
        """How many turns were taken up for an answer: each plain request, and each response that nobody asked for."""
        return self._turns

    def is_silenced(self, response_id: str) -> bool:
        """Whether this response was stopped before its end."""
        return self._replies.is_silenced(response_id)

    @property
    def is_heard(self) -> bool:
        """True while the caller has not heard all that was said, a pause in it included."""
        return self._sounding.is_heard

    @property
    def is_voice_heard(self) -> bool:
        """True while the caller has not heard all that the model said: `is_heard`, but for recordings."""
        return self.is_heard and not all(_is_recording(item.item_id) for item in self._sounding.items)

    @property
    def is_recording_heard(self) -> bool:
        """True while the caller has not heard all that `play_recording` plays."""
        return self.is_heard and any(_is_recording(item.item_id) for item in self._sounding.items)

    @property
    def is_only_music(self) -> bool:
        """True while a caller on hold hears no voice: no sound or key of theirs interrupts anything."""
        return self.is_on_hold and not self.is_voice_heard

    @property
    def is_greeting(self) -> bool:
        """True while the greeting is still to be heard."""
        is_sounding = any(self._replies.is_greeting(item.response_id) for item in self._sounding.items)
        return self._replies.is_greeting_to_come or (is_sounding and self.is_heard)

    # ---- responses ----

    async def greet(self, text: str) -> None:
        """Asks for the greeting, which `is_greeting` follows until it was heard."""
        if not self._has_last_words:
            self._replies.ask(say=text, is_greeting=True)
            await self._advance()

    async def request(self, *, say: str | None = None, instructions: str | None = None) -> None:
        """Asks for a response as soon as none is under way. Does nothing after the last words."""
        if self._has_last_words:
            return
        self._turns += say is None
        self._replies.ask(say=say, instructions=instructions)
        await self._advance()

    def only_what_was_asked(self) -> None:
        """Whatever the model says without having been asked for it before is cancelled from here on, and silent."""
        self._has_last_words = True
        self._replies.forget_after_tools()

    async def say_last(self, text: str) -> None:
        """Stops the agent, and has a text said in place of all that waits to be said. Nothing is said after it."""
        self._has_last_words = True
        await self.stop(cancel=True)
        self._is_saying_last = True
        self._replies.forget_waiting()
        self._replies.forget_after_tools()
        self._replies.ask(say=text)
        await self._advance()

    @contextlib.contextmanager
    def refusing_unasked(self) -> Iterator[asyncio.Event]:
        """Meanwhile a response that the model begins of its own accord is cancelled, and nothing of it is heard.

        The event is set when a response begins, whoever wanted it.
        """
        has_begun = asyncio.Event()
        self._refusals.append(has_begun)
        try:
            yield has_begun
        finally:
            self._refusals.remove(has_begun)

    async def created(self, response_id: str) -> None:
        is_unasked = not self._replies.is_busy
        if is_unasked:
            self._turns += 1
            if self._now() - self._result_at >= RESULT_KNOWN_S:
                self._replies.forget_after_tools()
        cancel = self._replies.created(response_id)
        is_unwanted = self._is_away or (is_unasked and bool(self._has_last_words or self._refusals))
        if is_unwanted and self._replies.silence(is_cancelled=True):  # one of the model's own, which nobody hears
            cancel = self._replies.cancel()
        for refusal in self._refusals:
            refusal.set()
        self._note_whether_settled()
        self._tell(Response(response_id))
        if cancel:
            await self._send(cancel)

    async def done(self, done: ResponseDone) -> None:
        if self._item and self._item.response_id == done.response_id:
            await self.end_item(self._item)  # a model that did not say so itself
        await self._truncate_dropped(done.response_id)
        self._replies.done(done.response_id)
        self._audio_turns.done(done.response_id, has_line=self._sounding.has_line)
        self.usage += done.usage
        self._tell(UsageReport(done.usage, self.usage))
        self._tell(Response(done.response_id, done.status, done.reason))
        if done.status == "failed":
            self._tell(Error("response_failed", done.reason or "the model could not answer", retryable=True))
        await self._advance()

    async def refused(self, error: SessionError) -> None:
        """The model refuses what was asked for, if this error is about that."""
        if self._has_last_words and error.code == BUSY and self._replies.is_last_sent(error.event_id):
            await self.stop(cancel=True)  # a response of the model's own, which began in place of the one asked for
        self._replies.refused(error)
        await self._advance()

    def tool_called(self, call_id: str) -> None:
        self._replies.tool_called(call_id)

    async def tool_held(self, call_id: str) -> None:
        """A tool that was called waits for somebody: until `tool_called` again, no response waits for it."""
        self._replies.tool_held(call_id)
        await self._advance()

    async def tool_answered(self, call_id: str, *, respond: bool) -> None:
        """The model has the result of a tool, or will get none. To `respond` is for the model to speak of it."""
        self._replies.tool_answered(call_id)
        self._result_at = self._now()
        if respond and not self._has_last_words:
            self._replies.ask_after_tools()
        await self._advance()

    async def request_after_tools(self) -> None:
        """Asks for a response to what tools have found, as `tool_answered` does. Does nothing after the last words."""
        if not self._has_last_words:
            self._replies.ask_after_tools()
            await self._advance()

    def callers_turn_began(self) -> None:
        """The caller is speaking: tools' results are answered together with what they say."""
        self._replies.callers_turn(is_open=True)

    async def callers_turn_ended(self) -> None:
        """A response to the caller began, or none will come."""
        self._replies.callers_turn(is_open=False)
        await self._advance()

    async def _advance(self) -> None:
        create = None if self._cuts or self._sounding.is_paused or self._is_away else self._replies.next()
        self._note_whether_settled()
        if create:
            await self._send(create)

    def _note_whether_settled(self) -> None:
        if self._is_over or (self._replies.is_quiet and not self._cuts and not self._sounding.is_paused):
            self._settled.set()
        elif self._settled.is_set():
            self._settled.clear()
            self._unsettlings += 1

    # ---- audio ----

    async def play(self, delta: AudioOutputDelta) -> bool:
        """Lets the line have a piece of the agent's voice. False for one of a response that was stopped."""
        item = SpokenItem(delta.response_id, delta.item_id, delta.content_index)
        if self._item and item != self._item and not self._replies.is_silenced(delta.response_id):
            await self.end_item(self._item)  # a model that did not say so itself
        if self._replies.is_silenced(delta.response_id):
            self._replies.drop(item)
            return False
        self._item = item
        changed = self._history.take(delta)  # before the line has it: who silences the line asks how much there was
        await self._sounding.play(item, delta.pcm)
        self._audio_turns.came(item)
        if self._emitter.is_watched("audio"):
            self._tell(Audio(delta.item_id, delta.pcm))
        tell_changed(self._emitter, changed)
        return True

    async def play_recording(self, pcm: bytes) -> bool:
        """Lets the caller hear audio in the line's format that no model says or learns of. It is stopped as speech is.

        False, and nothing is played, while the agent is in the middle of saying something, or is to be silent.
        """
        is_to_be_silent = self._is_over or self._is_away or self._has_last_words
        if self._item or self._cuts or self._sounding.is_paused or is_to_be_silent:
            return False
        self._recordings += 1
        item = SpokenItem("", f"{_RECORDING}{self._recordings}")
        await self._sounding.play(item, pcm)
        await self._sounding.end(item)
        return True

    async def stop_recordings(self) -> None:
        """Silences what `play_recording` plays, and returns when the line is silent. No model is told."""
        if not any(_is_recording(item.item_id) for item in self._sounding.items):
            return
        async with self._silencing:
            if self._is_over:
                return
            cut = await self._cut()
        self._spawn(lambda: self._settle_recordings(cut), "recording")

    async def _settle_recordings(self, cut: Cut) -> None:
        _, changed = await self._tell_model(cut, await cut.unheard())
        tell_changed(self._emitter, changed)
        self._cuts.remove(cut)
        await self._advance()

    async def end_item(self, item: SpokenItem) -> None:
        if item == self._item:
            self._item = None
            await self._sounding.end(item)
            self._tell(Audio(item.item_id, b"", done=True))

    def heard(self, heard: Heard) -> None:
        """The caller has heard an item to its end."""
        tell_changed(self._emitter, self._history.heard(heard.item_id, self._sounding.heard(heard)))
        self._audio_turns.heard(heard)

    async def _truncate_dropped(self, response_id: str) -> None:
        """Lets the model know of items that came after their response was stopped: nothing of them was heard."""
        for item in self._replies.dropped(response_id):
            known = self._history.item(item.item_id)
            if self._sounding.has_line and not (known and known.total_ms):
                await self._send(ItemTruncate(item.item_id, item.content_index, 0))

    async def wait_played(self, timeout_s: float, *, recordings: bool = False) -> bool:
        """Waits, at most so long, until the agent has no more to say and the caller heard it all, or the call is over.

        What `play_recording` plays, such as music, is waited for only with `recordings`. False when the caller
        interrupted meanwhile.
        """
        before = self._interruptions
        unsettlings = -1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while unsettlings != self._unsettlings:
                    await self._settled.wait()
                    unsettlings = self._unsettlings
                    if recordings:
                        await self._sounding.wait_played(timeout_s)
                    await self._wait_voice_played()
        return self._interruptions == before

    async def _wait_voice_played(self) -> None:
        """Waits until the caller heard all that the line has of the agent's voice, or it is paused."""
        while self.is_voice_heard and not self._sounding.is_paused:
            if self.is_recording_heard:
                await asyncio.sleep(PLAYED_LOOK_S)
            elif await self._sounding.wait_played(VOICE_LOOK_S):
                return

    # ---- stopping: one path for every cause ----

    async def give_way(self, *, cancel: bool) -> asyncio.Task[None] | None:
        """Stops for a sound or a key of the caller's, as `stop` does; not while they are on hold, nor in `say_last`."""
        return None if self.is_only_music or self._is_saying_last else await self.stop(cancel=cancel)

    async def stop(self, *, cancel: bool) -> asyncio.Task[None] | None:
        """Silences the line, then tells the model. `cancel` is false where the model stops its response by itself.

        Returns when the line is silent, with the task that then truncates what was not heard; None when the agent was
        silent anyway, or others stop it already. Raises ChannelError when the line breaks.
        """
        is_responding = self._replies.silence(is_cancelled=cancel)
        if not (is_responding or self._sounding.items or self._sounding.is_paused):
            return None
        cuts_made = self._cuts_made
        async with self._silencing:
            if self._is_over or (cuts_made != self._cuts_made and not is_responding):
                return None
            is_responding |= self._replies.silence(is_cancelled=cancel)  # of what has begun meanwhile
            if not (is_responding or self.is_heard):
                return None
            return await self._stop(cancel=cancel, is_responding=is_responding)

    async def _stop(self, *, cancel: bool, is_responding: bool) -> asyncio.Task[None] | None:
        self._replies.forget_waiting()
        self._item = None
        self._interruptions += 1  # before the wait below: who waits for the end of playback must know why it ended
        cut = await self._cut()
        if not (is_responding or cut.told):
            self._interruptions -= 1
            self._cuts.remove(cut)
            self._sounding.restore(cut)
            await self._advance()
            return None
        self._replies.greeting_stopped()
        on_interrupted = self.on_stop() if self.on_stop and not self._is_away else None
        if cancel and (cancelling := self._replies.cancel()):
            await self._send(cancelling)
        return self._spawn(lambda: self._truncate(cut, is_responding, on_interrupted), "truncate")

    async def _cut(self) -> Cut:
        """Silences the line, if a pause has not. From here on no response is asked for until the cut is settled."""
        cut = self._sounding.take()
        self._cuts.append(cut)
        self._cuts_made += 1
        self._note_whether_settled()
        await self._sounding.silence(cut)
        return cut

    async def _truncate(self, cut: Cut, is_responding: bool, on_interrupted: Callable[[], object] | None) -> None:
        unheard = await cut.unheard()
        heard, changed = await self._tell_model(cut, unheard)
        if unheard or is_responding:
            first = self._history.item(heard[0].item_id) if heard else None
            self._tell(Interrupted(heard, (first and first.heard_text) or ""))
            if on_interrupted:
                on_interrupted()
        else:
            self._interruptions -= 1  # all was heard by the time the line fell silent
        tell_changed(self._emitter, changed)
        self._cuts.remove(cut)
        await self._advance()

    async def _tell_model(
        self, cut: Cut, unheard: tuple[Heard, ...]
    ) -> tuple[tuple[Heard, ...], tuple[HistoryItem, ...]]:
        """Lets the model know what was not heard of what it said. Gives that, and what it changes in the history."""
        heard = tuple(each for each in unheard if not _is_recording(each.item_id))
        changed = self._settle(cut, heard)  # first: a model that others' words were told to is told of them anew
        for each in heard:
            await self._send(ItemTruncate(each.item_id, each.content_index, each.heard_ms))
        return heard, changed

    def _settle(self, cut: Cut, heard: tuple[Heard, ...]) -> tuple[HistoryItem, ...]:
        """Lets the history know what the caller heard of what was cut, and of nothing that came after it."""
        if not self._sounding.has_line:
            return self._history.interrupted(heard)
        self._audio_turns.cut(cut.items, heard)
        changed = [item for each in heard for item in self._history.cut(each)]
        unheard = {each.item_id for each in heard}
        for item_id in dict.fromkeys(item.item_id for item in cut.items):
            known = self._history.item(item_id)
            if known and item_id not in unheard:  # all that came of it was heard
                total_ms = known.total_ms or 0
                changed += self._history.cut(Heard(item_id, 0, total_ms, total_ms))
        return tuple(changed)

    # ---- pausing, for a sound that may be no interruption ----

    async def pause(self) -> bool:
        """Silences the line without telling the model, for as long as it takes to know whether somebody speaks.

        False when nothing was playing, or music for a caller on hold; else, paused before or not, `resume` or `stop`
        must follow. What comes meanwhile is kept. Raises ChannelError when the line breaks.
        """
        async with self._silencing:
            if self._sounding.is_paused:
                return True
            pause = None if self.is_only_music else self._sounding.pause()
            if pause is None:
                return False
            self._note_whether_settled()
            await self._sounding.silence(pause)
            if pause.told is None:
                await self._sounding.go_on_as_if_not_paused(pause)
                await self._advance()
            return self._sounding.is_paused

    async def resume(self) -> bool:
        """Goes on with the paused reply from where it was heard, unless it was stopped meanwhile.

        False when it is too long to have been kept: it is to be stopped. Raises ChannelError when the line breaks.
        """
        await self._sounding.know_pause()  # not below: the line, which tells it, may have to wait for the lock
        async with self._silencing:
            if not self._sounding.is_paused:
                return True
            heard_out = await self._sounding.resume()
            if heard_out is None:
                return False
        for heard in heard_out:
            tell_changed(self._emitter, self._history.heard(heard.item_id, heard.heard_ms))
            self._audio_turns.heard(heard)
        self._tell(Resumed())
        await self._advance()
        return True

    # ---- a line that is elsewhere for a while ----

    async def leave(self) -> None:
        """The line is gone: what was not heard is cut off, and what is asked for meanwhile waits for it to be back."""
        self._is_away = True
        await self.stop(cancel=True)

    async def come_back(self) -> None:
        self._is_away = False
        await self._advance()

    # ---- the end ----

    async def close(self) -> None:
        """Closes the line. Nothing is said or stopped from here on, and nobody waits for it."""
        self._is_over = True
        self._note_whether_settled()
        await self._sounding.close()

    async def settle(self) -> None:
        """Says what the caller heard of the last words, once the line is closed."""
        if not self._sounding.has_line:
            return
        for cut in self._cuts:
            if cut.is_known:
                tell_changed(self._emitter, self._settle(cut, await cut.unheard()))
        if all(cut.is_known for cut in self._cuts):
            last = await self._cut()
            if last.is_known:
                tell_changed(self._emitter, self._history.interrupted(await last.unheard()))
