"""Whole sessions with the fake ElevenLabs, in virtual time, on a line whose caller hears as time passes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from agents import RealtimeAgent, RealtimeSession, hang_up
from agents.events import Closed, Error, Interrupted, Response, SessionEvent, Speech, Transcript
from agents.realtime import PCMU, RealtimeConnectOptions, SessionConfig
from agents.tools import tool
from channels.carrier.virtual_time import run_virtual
from channels.memory import MemoryChannel
from tests.fake_ear import silence, tone
from tests.fake_elevenlabs import DEFAULT_EVENTS, ERRORS, Settings
from tests.fake_elevenlabs_conversation import Conversation
from tests.provider_call import ProviderCall
from tests.rig import Calls, Says, ToolUse
from tests.rig_elevenlabs import ElevenLabsRig

FRAME_MS = 20
E = TypeVar("E")

PLAIN = Settings(events=DEFAULT_EVENTS, says_final=False)
"""An agent as the platform makes it: it tells neither of voices nor of the end of a reply."""


@tool
def clock() -> str:
    """Tells the time."""
    return "five"


class Call:
    """A session under way. `told` is all that observers were told."""

    def __init__(self, rig: ElevenLabsRig, config: SessionConfig | None = None, **more: Any) -> None:
        config = config or SessionConfig()
        self.rig = rig
        self.line = MemoryChannel(config.output_format)
        agent = RealtimeAgent(name="test", model=rig.model(), config=config, **more)
        options = RealtimeConnectOptions(websocket=rig.websocket)
        self.session = RealtimeSession(agent, channel=self.line, connect_options=options)
        self.told: list[SessionEvent] = []
        for kind in ("closed", "error", "interrupted", "response", "speech", "transcript"):
            self.session.on(kind, self.told.append)

    @property
    def far(self) -> Conversation:
        return self.rig.fake.conversations[0]

    async def passes(self, ms: int, voice: Callable[[int], bytes] = silence) -> None:
        """Time in which the caller hears what is played and sounds like this."""
        for _ in range(ms // FRAME_MS):
            self.line.say(voice(FRAME_MS))
            self.line.play(FRAME_MS)
            await asyncio.sleep(FRAME_MS / 1000)

    async def speaks(self, ms: int = 600) -> None:
        await self.passes(ms, tone)

    def seen(self, kind: type[E]) -> list[E]:
        return [event for event in self.told if isinstance(event, kind)]

    @property
    def replies(self) -> list[tuple[str, str | None]]:
        """Each response with how it ended; None while it has not."""
        ends = {event.response_id: event.status for event in self.seen(Response)}
        return list(ends.items())

    @property
    def words(self) -> list[tuple[str, str]]:
        return [(event.role, event.text) for event in self.seen(Transcript)]


def played(call: Call) -> int:
    """Milliseconds of all audio that the line was sent."""
    return sum(len(pcm) for _, pcm in call.line.heard) // call.line.audio_format.bytes_per_ms


def play(call: Call, scene: Callable[[Call], Awaitable[None]]) -> None:
    async def main() -> None:
        async with call.session:
            await scene(call)
        assert call.rig.violations == []

    run_virtual(main())


@pytest.mark.parametrize("settings", [Settings(), PLAIN, Settings(heard_format="ulaw_8000", spoken_format="pcm_24000")])
def test_a_greeting_a_question_and_an_answer(settings: Settings) -> None:
    rig = ElevenLabsRig(settings)
    rig.will(Says("Welcome!", audio_ms=600), Says("It is five.", audio_ms=800))

    async def scene(call: Call) -> None:
        await call.passes(2500)
        assert call.replies[0][1] == "completed"
        await call.speaks()
        await call.passes(3000)
        assert call.words == [("assistant", "Welcome!"), ("user", "What time is it?"), ("assistant", "It is five.")]
        assert [status for _, status in call.replies] == ["completed", "completed"]
        assert played(call) == 1400
        assert [event.active for event in call.seen(Speech)] == [True, False]
        assert call.far.responses == 2
        assert call.far.heard.texts == []

    play(Call(rig, greeting="Welcome!"), scene)


@pytest.mark.parametrize("settings", [Settings(), PLAIN])
def test_a_tools_result_is_answered_once(settings: Settings) -> None:
    rig = ElevenLabsRig(settings)
    rig.will(Calls((ToolUse("clock"), ToolUse("clock")), first=Says("One moment.")), Says("It is five."))

    async def scene(call: Call) -> None:
        await call.speaks()
        await call.passes(4000)
        assert rig.results() == {"call_1": "five", "call_2": "five"}
        assert call.words == [("user", "What time is it?"), ("assistant", "One moment."), ("assistant", "It is five.")]
        assert call.far.responses == 2
        assert call.far.heard.texts == []
        assert {status for _, status in call.replies} <= {"completed", "incomplete"}
        assert not call.session.history[-1].unheard_text
        await call.session.send_message("And now?")
        await call.passes(2000)
        assert call.far.heard.texts == ["And now?"]
        assert call.words[-1] == ("assistant", Says().text)

    play(Call(rig, tools=(clock,)), scene)


@pytest.mark.parametrize("settings", [Settings(), PLAIN, Settings(interruption_ahead=True)])
@pytest.mark.parametrize("holds", [True, False])
def test_the_callers_voice_stops_the_agent_and_is_answered(settings: Settings, holds: bool) -> None:
    rig = ElevenLabsRig(settings)
    rig.will(Says("This is a very long story.", audio_ms=5000, holds=holds), Says("Yes?", audio_ms=400))

    async def scene(call: Call) -> None:
        await call.session.send_message("Tell me a story.")
        await call.passes(1000)
        await call.speaks()
        assert call.line.interruptions == 1
        assert len(call.seen(Interrupted)) == 1
        await call.passes(3000)
        assert call.words[-2:] == [("user", "What time is it?"), ("assistant", "Yes?")]
        story = next(item for item in call.session.history if item.text.startswith("This is"))
        assert story.status == "cut"
        assert story.heard_ms == pytest.approx(1000, abs=60)
        assert story.heard_text and story.unheard_text
        assert call.line.interruptions == 1
        assert call.far.responses == 2

    play(Call(rig), scene)


def test_the_telephones_own_format_goes_through() -> None:
    rig = ElevenLabsRig(Settings(heard_format="ulaw_8000", spoken_format="ulaw_8000"))

    async def scene(call: Call) -> None:
        await call.passes(600, lambda ms: tone(ms, PCMU))
        await call.passes(2000, lambda ms: silence(ms, PCMU))
        assert played(call) == 600
        assert call.words == [("user", "What time is it?"), ("assistant", Says().text)]

    play(Call(rig, SessionConfig(input_format=PCMU, output_format=PCMU)), scene)


def test_words_of_ours_are_asked_for_and_nobody_takes_them_for_the_callers() -> None:
    rig = ElevenLabsRig(Settings())

    async def scene(call: Call) -> None:
        await call.session.send_message("One.", respond=False)
        await call.passes(1500)
        assert call.far.heard.context == ["The caller wrote: One."]
        await call.session.send_message("Two.")
        await call.passes(1500)
        assert call.far.heard.texts == ["Two."]
        assert [role for role, _ in call.words] == ["assistant"]

    play(Call(rig), scene)


def test_a_pong_follows_each_ping() -> None:
    rig = ElevenLabsRig(Settings())

    async def scene(call: Call) -> None:
        await call.passes(6100)
        assert call.far.heard.pongs == [1, 2, 3, 4]

    play(Call(rig), scene)


@pytest.mark.parametrize(
    ("end", "reason", "code"),
    [
        (lambda far: far.close(1000, ""), "provider", None),
        (lambda far: far.fail(*ERRORS["session_limit"]), "provider", "max_duration_exceeded"),
        (lambda far: far.fail(*ERRORS["quota"]), "provider", "1002"),
    ],
)
def test_how_the_platform_ends_a_conversation_is_told(
    end: Callable[[Conversation], Awaitable[None]], reason: str, code: str | None
) -> None:
    rig = ElevenLabsRig(Settings())

    async def scene(call: Call) -> None:
        await call.passes(200)
        await end(call.far)
        await call.passes(200)
        [closed] = call.seen(Closed)
        assert closed.reason == reason
        assert {event.code for event in call.seen(Error)} == ({code} if code else set())

    play(Call(rig), scene)


def test_a_tool_that_hangs_up_lets_the_goodbye_be_heard() -> None:
    rig = ElevenLabsRig(PLAIN)
    rig.will(Calls((ToolUse("hang_up"),), first=Says("Goodbye.", audio_ms=1500)))

    async def scene(call: Call) -> None:
        await call.speaks()
        await call.passes(6000)
        [closed] = call.seen(Closed)
        assert closed.reason == "agent"
        assert played(call) == 1500

    play(Call(rig, tools=(hang_up,)), scene)


def test_another_conversation_hears_what_was_said_before_it_hears_anything_else() -> None:
    rig = ElevenLabsRig()
    rig.will(Says("Welcome!", audio_ms=300))

    async def main() -> None:
        async with ProviderCall(rig, greeting="Welcome!") as call:
            await call.until_heard_out()
            rig.drop()
            await call.session.send_message("And now?")
            await call.listens(1000)

        opening, first, *rest = rig.fake.conversations[1].heard.messages
        assert (opening["type"], first["type"]) == ("conversation_initiation_client_data", "contextual_update")
        assert '{"role":"assistant","text":"Welcome!"}' in first["text"]
        assert {"user_message"} <= {each.get("type") for each in rest}
        assert rig.violations == []

    run_virtual(main())
