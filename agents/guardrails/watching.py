"""The guardrails of one conversation: what they look at, and what follows when one objects."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from agents.agent import RealtimeAgent
from agents.events import (
    AudioInputCommitted,
    Error,
    GuardrailTripped,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionEvent,
    SpeechStarted,
    SpeechStopped,
    TextOutput,
    TextOutputDelta,
    ToolCall,
    TranscriptInput,
    TranscriptOutput,
    TranscriptOutputDelta,
)
from agents.guardrails import words_to_model
from agents.guardrails.checking import Checks, Verdict, check_all
from agents.guardrails.contract import Guardrail, GuardrailContext
from agents.guardrails.growing import GrowingText
from agents.guardrails.looked_at import Reply, Said
from agents.guardrails.spec import Stage
from agents.speaking import Spawn, Speaking
from agents.waiting import set_within

if TYPE_CHECKING:
    from agents.session import RealtimeSession

MAX_RESPONSES: Final = 32
"""Responses whose words may still be on their way; what is found in older ones cuts nothing."""

MAX_ITEMS: Final = 32
"""Pieces of one response whose words are not complete."""

MAX_INTERIM: Final = 2
"""Checks of growing words by one guardrail at the same time: a slow one looks at every other step, and at the end."""

MAX_CORRECTIONS: Final = 3
"""In a row, without a word of the caller's: a model that cannot but object to itself would never be done."""

ANSWER_S: Final = 2.0
"""How long after the caller's words a model that answers by itself has begun to: after that, it waits to be asked."""


class Guardrails:
    """Looks at what is said and done in one conversation, beside it: nothing waits for a check but a tool's call.

    The first guardrail that objects to a response stops it, in the way that everything stops it, and lets the model say
    something else. What is found when a newer response has begun, or the caller has gone on, is told and stops nothing.
    """

    def __init__(
        self,
        session: "RealtimeSession",
        speaking: Speaking,
        spawn: Spawn,
        tell: Callable[[SessionEvent], object],
        note: Callable[[str], Awaitable[None]],
    ) -> None:
        """`note` gives the model a text that nobody said."""
        self._session = session
        self._speaking = speaking
        self._spawn = spawn
        self._tell = tell
        self._note = note
        self._checks = Checks(spawn, tell)
        self._replies: OrderedDict[str, Reply] = OrderedDict()
        self._latest: Reply | None = None
        self._said: Said | None = None
        self._voice_of = ""
        self._has_begun = False
        self._corrections = 0
        self.use(session.agent)

    def use(self, agent: RealtimeAgent) -> None:
        """Lets that agent's rules hold, beside the session's, from the next response and the caller's next words on."""
        session = self._session
        self._rules = (*agent.guardrails, *session.output_guardrails)
        self._every_chars = (session.output_guardrail_settings or agent.guardrail_settings).debounce_text_length

    # ---- what is said ----

    def take(self, event: ServerEvent) -> None:
        """Takes what the model says, as it comes. Returns at once: what is to be done about it is done beside."""
        match event:
            case TranscriptOutputDelta(response_id, item_id, text) | TextOutputDelta(response_id, item_id, text):
                self._grew(self._reply(response_id), item_id, text)
            case ResponseCreated(response_id):
                self._reply(response_id)
                self._has_begun = True
            case TranscriptOutput(response_id, item_id, text) | TextOutput(response_id, item_id, text):
                self._ended(self._reply(response_id), item_id, text)
            case ResponseDone(response_id) if reply := self._replies.get(response_id):
                for item_id in list(reply.texts):
                    self._ended(reply, item_id)
            case SpeechStarted(item_id):
                self._voice_of = item_id
                self._voice_began()
            case SpeechStopped() | AudioInputCommitted():
                self._voice_of = ""
                self._has_begun = False
            case TranscriptInput(item_id, text) if text.strip():
                self._corrections = 0
                self._hear(item_id, text)

    def _voice_began(self) -> None:
        self._has_begun = False
        if self._said:
            self._said.has_gone_on = True
            if self._said.answered:
                self._said.answered.set()

    def _reply(self, response_id: str) -> Reply:
        reply = self._replies.get(response_id)
        if reply is None:
            if self._latest and not self._latest.has_tripped:
                self._corrections = 0
            reply = Reply(response_id, self._rules, _those_for(self._rules, "output"), self._every_chars)
            if self._said and self._said.answered and self._speaking.is_silenced(response_id):
                reply.why_stopped = self._said.why_not
            self._replies[response_id] = self._latest = reply
            while len(self._replies) > MAX_RESPONSES:
                self._replies.popitem(last=False)
        return reply

    def _grew(self, reply: Reply, item_id: str, piece: str) -> None:
        if not reply.of_words or self._speaking.is_silenced(reply.response_id):
            return  # nobody looks at it, or nobody hears it
        text = self._text(reply, item_id).grow(piece)
        if text is not None:
            self._look(reply, item_id, text, is_complete=False)

    def _ended(self, reply: Reply, item_id: str, whole: str = "") -> None:
        if not reply.of_words:
            return
        is_heard = not self._speaking.is_silenced(reply.response_id)
        text = self._text(reply, item_id).end(whole if is_heard else "")
        if text is not None:
            self._look(reply, item_id, text, is_complete=True)

    def _text(self, reply: Reply, item_id: str) -> GrowingText:
        if item_id not in reply.texts:
            reply.texts[item_id] = GrowingText(reply.every_chars)
            while len(reply.texts) > MAX_ITEMS:
                reply.texts.popitem(last=False)
        return reply.texts[item_id]

    def _look(self, reply: Reply, item_id: str, text: str, *, is_complete: bool) -> None:
        context = GuardrailContext(session=self._session, stage="output", is_complete=is_complete)
        for guardrail in reply.of_words:
            if reply.has_tripped:
                return
            if is_complete or reply.interim[guardrail.name] < MAX_INTERIM:
                reply.interim[guardrail.name] += not is_complete
                self._checks.begin(guardrail, text, context, partial(self._judged, reply, item_id, is_complete))

    def _hear(self, item_id: str, text: str) -> None:
        if self._said is None or self._said.item_id != item_id:
            self._said = Said(item_id, has_gone_on=self._voice_of not in ("", item_id))
        said = self._said
        context = GuardrailContext(session=self._session, stage="input")
        for guardrail in _those_for(self._rules, "input"):
            self._checks.begin(guardrail, text, context, partial(self._heard, said))

    # ---- what was found ----

    def _judged(self, reply: Reply, item_id: str, is_complete: bool, verdict: Verdict) -> None:
        guardrail = verdict.guardrail
        reply.interim[guardrail.name] -= not is_complete
        self._checks.tell_failure(verdict, reply.failures)
        if verdict.objection is None or reply.has_tripped:
            return
        reply.has_tripped, reply.why_stopped = True, words_to_model.about_own_words(guardrail)
        response_id = reply.response_id
        self._tell(
            GuardrailTripped(guardrail.name, "output", verdict.objection, response_id=response_id, item_id=item_id)
        )
        self._spawn(lambda: self._correct(reply, guardrail), f"guardrail {guardrail.name}")

    async def _correct(self, reply: Reply, guardrail: Guardrail) -> None:
        """Stops the response and lets the model say something else, unless it has begun to.

        A response that was stopped before is not answered by another: whoever stopped it has the word.
        """
        if reply is not self._latest or self._speaking.is_saying_last:
            return
        was_stopped = self._speaking.is_silenced(reply.response_id)
        if not was_stopped:
            await self._speaking.stop(cancel=True)
        await self._note(reply.why_stopped)
        if was_stopped:
            return
        self._corrections += 1
        if self._corrections <= MAX_CORRECTIONS:
            await self._speaking.request_after_tools()  # and after a caller who is speaking
        else:
            problem = f"{guardrail.name} and others objected to {self._corrections} answers in a row: none is asked for"
            self._tell(Error("guardrail_repeated", problem))

    def _heard(self, said: Said, verdict: Verdict) -> None:
        guardrail = verdict.guardrail
        self._checks.tell_failure(verdict, said.failures)
        if verdict.objection is None or said.why_not:
            return
        said.why_not = words_to_model.about_callers_words(guardrail)
        self._tell(GuardrailTripped(guardrail.name, "input", verdict.objection, item_id=said.item_id))
        self._spawn(lambda: self._answer_otherwise(said), f"guardrail {guardrail.name}")

    async def _answer_otherwise(self, said: Said) -> None:
        """Stops the answer to what the caller said, or the one that the model is about to begin, for another."""
        if said is not self._said or self._speaking.has_last_words:
            return
        if self._has_begun and self._latest:
            self._latest.why_stopped = said.why_not
        with self._speaking.refusing_unasked() as said.answered:
            is_to_begin = not (self._is_answering or said.has_gone_on)
            await self._speaking.stop(cancel=True)
            await self._note(said.why_not)
            if is_to_begin and await set_within(said.answered, ANSWER_S) and not said.has_gone_on:
                await self._speaking.stop(cancel=True)
        said.answered = None
        if said is not self._said:
            return  # what they said since is answered
        if said.has_gone_on:
            await self._speaking.request_after_tools()  # and after a caller who is speaking
        else:
            await self._speaking.request()

    @property
    def _is_answering(self) -> bool:
        """Whether a response to what the caller said has begun or was asked for: not one that they have stopped."""
        was_stopped = self._latest is not None and self._speaking.is_silenced(self._latest.response_id)
        return self._has_begun or (self._speaking.is_owed and not was_stopped)

    # ---- what is done ----

    async def before(self, call: ToolCall) -> str | None:
        """What a call is answered with that is not to be made; None of one that may."""
        if tripped := await self._first_objection("tool_call", call, call.arguments):
            return words_to_model.instead_of_call(tripped)
        reply = self._replies.get(call.response_id)  # which may have been stopped by now
        return words_to_model.instead_of_stopped_call(reply.why_stopped) if reply and reply.why_stopped else None

    async def after(self, call: ToolCall, output: str) -> str:
        """What the model is told of a call: its output, or why not."""
        tripped = await self._first_objection("tool_result", call, output)
        return words_to_model.instead_of_result(tripped) if tripped else output

    async def _first_objection(self, stage: Stage, call: ToolCall, text: str) -> Guardrail | None:
        reply = self._replies.get(call.response_id)
        rules = _those_for(reply.rules if reply else self._rules, stage, call.name)
        context = GuardrailContext(session=self._session, stage=stage, tool=call.name)
        first: Verdict | None = None
        told = set[str]()
        for verdict in await check_all(rules, text, context):
            self._checks.tell_failure(verdict, told)
            if first is None and verdict.objection is not None:
                first = verdict
        if first is None:
            return None
        name, detail = first.guardrail.name, first.objection or ""
        self._tell(GuardrailTripped(name, stage, detail, response_id=call.response_id, call_id=call.call_id))
        return first.guardrail


def _those_for(rules: Sequence[Guardrail], stage: Stage, tool: str = "") -> tuple[Guardrail, ...]:
    return tuple(
        each for each in rules if stage in each.stages and (not tool or each.tools is None or tool in each.tools)
    )
