from collections.abc import Callable

from agents import mulaw
from channels.carrier.caller import SILENT_FRAME, Caller, Script, Utterance
from channels.carrier.loudness import is_sound
from channels.carrier.playout import Tick
from channels.carrier.report import AgentBegan, AgentEnded, CallerBegan, CallEvent, KeyPressed, TroubleFound
from tests.carrier_service import silence, tone

SOUND = mulaw.encode(tone(20))
HELLO = Utterance(tone(300), "hello")
BYE = Utterance(tone(200), "bye")

Phone = Callable[[int], Tick]


def plays(*stretches: tuple[int, int], clears: tuple[int, ...] = (), silent: tuple[int, int] = (0, 0)) -> Phone:
    """A phone on which the agent sounds from and to these times, and plays silence from and to others."""

    def phone(at_ms: int) -> Tick:
        is_silence = silent[0] <= at_ms < silent[1]
        ulaw = SOUND if any(a <= at_ms < b for a, b in stretches) else SILENT_FRAME if is_silence else None
        return Tick(at_ms, ulaw, at_ms, at_ms in clears)

    return phone


class Call:
    """A caller run against a phone until they hang up, with what they did."""

    def __init__(self, script: Script, phone: Phone, until_ms: int = 60_000) -> None:
        self.events: list[CallEvent] = []
        self.sent: list[bytes] = []
        self.hung_up_ms: int | None = None
        self.caller = Caller(script, self.events.append)
        for at_ms in range(0, until_ms, 20):
            move = self.caller.tick(phone(at_ms))
            self.sent.append(move.ulaw)
            if move.is_hang_up:
                self.hung_up_ms = at_ms
                break
        self.caller.end()

    def spoke_ms(self) -> list[int]:
        return [event.at_ms for event in self.events if isinstance(event, CallerBegan)]


def test_the_caller_speaks_800_ms_after_the_greeting_and_hangs_up_800_ms_after_the_reply() -> None:
    call = Call(Script(utterances=(HELLO,)), plays((100, 500), (2000, 2400)))

    # The frame that goes out at 1300 was spoken from 1280 on.
    assert call.events == [
        AgentBegan(100, 0),
        AgentEnded(500, 0, 100, False),
        CallerBegan(1280, 1, "hello"),
        AgentBegan(2000, 1),
        AgentEnded(2400, 1, 2000, False),
    ]
    assert call.hung_up_ms == 3200
    assert [turn.reply_ms for turn in call.caller.turns] == [2000 - 1580]
    assert [is_sound(ulaw) for ulaw in call.sent].index(True) == 1300 // 20
    assert sum(is_sound(ulaw) for ulaw in call.sent) == 300 // 20


def test_without_a_greeting_the_caller_speaks_after_the_wait() -> None:
    call = Call(Script(utterances=(HELLO,), wait_s=1.5), plays((2200, 2400)))

    assert call.spoke_ms() == [1480]
    assert call.caller.turns[0].reply_ms == 2200 - 1780
    assert call.caller.ears.first_sound_ms == 2200


def test_the_silence_at_the_end_of_a_recording_is_not_part_of_the_wait_for_the_reply() -> None:
    call = Call(Script(utterances=(Utterance(tone(300) + silence(700)),), wait_s=0), plays((500, 700)))

    assert call.caller.turns[0].reply_ms == 500 - 280


def test_pauses_inside_a_reply_are_waited_out_and_counted_as_gaps() -> None:
    call = Call(Script(utterances=(HELLO,), wait_s=0), plays((600, 800), (1000, 1200), (1900, 2000)))

    assert call.hung_up_ms == 2800
    assert (call.caller.ears.gaps, call.caller.ears.gap_ms) == (2, 900)
    assert [event for event in call.events if isinstance(event, AgentEnded)] == [AgentEnded(2000, 1, 600, False)]


def test_silence_that_the_agent_plays_inside_a_reply_is_no_gap_and_no_end() -> None:
    call = Call(Script(utterances=(HELLO,), wait_s=0), plays((600, 800), (2000, 2200), silent=(800, 2000)))

    assert call.caller.ears.gaps == 0
    assert call.hung_up_ms == 3000


def test_an_agent_that_never_replies_is_given_up_after_15_s() -> None:
    call = Call(Script(utterances=(HELLO, BYE), wait_s=0), plays())

    assert call.hung_up_ms == 280 + 15_000
    assert call.events[-1] == TroubleFound(15_280, "the agent said nothing for 15 s after utterance 1")
    assert call.caller.turns[0].reply_ms is None
    assert call.caller.unsaid == 1


def test_an_agent_that_plays_silence_for_ever_is_given_up() -> None:
    call = Call(Script(utterances=(HELLO,)), plays((0, 200), silent=(200, 60_000)))

    complaint = "the agent's audio went on without a sound for 15 s before the first utterance"
    assert call.hung_up_ms == 180 + 15_000
    assert TroubleFound(15_180, complaint) in call.events


def test_the_caller_interrupts_so_long_after_the_agent_became_audible() -> None:
    script = Script(utterances=(HELLO, BYE), interrupt_ms=400)
    phone = plays((100, 580), (1000, 1580), (2200, 2400), clears=(580, 1580))
    call = Call(script, phone)

    assert call.spoke_ms() == [480, 1380]
    assert [event for event in call.events if isinstance(event, AgentEnded)] == [
        AgentEnded(580, 0, 100, True),
        AgentEnded(1580, 1, 1000, True),
        AgentEnded(2400, 2, 2200, False),
    ]
    assert [turn.reply_ms for turn in call.caller.turns] == [1000 - 780, 2200 - 1580]
    assert call.hung_up_ms == 3200


def test_an_agent_that_talks_on_over_the_caller_has_not_replied() -> None:
    call = Call(Script(utterances=(HELLO,), interrupt_ms=400), plays((100, 3000)))

    assert call.caller.turns[0].reply_ms is None
    assert call.hung_up_ms == 2980 + 15_000


def test_a_reply_after_the_agents_old_words_ran_out_under_the_caller_counts() -> None:
    call = Call(Script(utterances=(HELLO,), interrupt_ms=400), plays((100, 600), (900, 1100)))

    assert call.caller.turns[0].reply_ms == 900 - 780


def test_sound_that_the_caller_talks_down_is_not_the_reply() -> None:
    script = Script(utterances=(Utterance(tone(200) + silence(400) + tone(200)),), wait_s=0)
    call = Call(script, plays((300, 640), (1200, 1400), clears=(640,)))

    assert call.caller.turns[0].reply_ms == 1200 - 780
    assert [event.was_cleared for event in call.events if isinstance(event, AgentEnded)] == [True, False]


def test_a_reply_that_begins_under_the_callers_last_sounds_is_early_by_a_negative_time() -> None:
    call = Call(Script(utterances=(HELLO,), wait_s=0), plays((200, 800)))

    assert call.caller.turns[0].reply_ms == 200 - 280


def test_keys_are_pressed_after_the_greeting_and_what_comes_of_them_is_listened_to() -> None:
    call = Call(Script(utterances=(HELLO,), digits="1#"), plays((0, 100), (1500, 1700), (3200, 3300)))

    assert [event for event in call.events if isinstance(event, KeyPressed)] == [
        KeyPressed(900, "1"),
        KeyPressed(1100, "#"),
    ]
    assert call.spoke_ms() == [2480]
    assert call.caller.turns[0].reply_ms == 3200 - 2780


def test_the_caller_hangs_up_when_their_time_is_over() -> None:
    call = Call(Script(utterances=(HELLO,), hang_up_after_s=0.5), plays((0, 5000)))

    assert call.hung_up_ms == 500
    assert call.caller.unsaid == 1
    assert call.events[-1] == AgentEnded(520, 0, 0, False)


def test_a_caller_who_stays_says_all_and_listens_until_their_time_is_over() -> None:
    script = Script(utterances=(HELLO,), stays=True, hang_up_after_s=50)
    call = Call(script, plays((0, 200), (2000, 2200), (30_000, 30_100)))

    assert (call.spoke_ms(), call.hung_up_ms) == ([980], 50_000)
    assert [event for event in call.events if isinstance(event, TroubleFound)] == []
    assert [event.at_ms for event in call.events if isinstance(event, AgentBegan)] == [0, 2000, 30_000]


def test_a_caller_who_stays_gives_up_an_agent_that_never_replies() -> None:
    call = Call(Script(utterances=(HELLO,), wait_s=0, stays=True), plays())

    assert call.hung_up_ms == 15_280


def test_without_utterances_the_caller_hears_the_greeting_and_hangs_up() -> None:
    assert Call(Script(), plays((0, 200))).hung_up_ms == 1000
