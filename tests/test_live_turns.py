"""The caller's turns made of a live model's transcript."""

from agents.events import (
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    ResponseDone,
    ResponseInterrupted,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    TranscriptInput,
    TranscriptInputDelta,
)
from agents.providers.openai_live.replies import QUIET_MS, LiveReplies
from agents.providers.openai_live.sound import WINDOW_MS
from agents.providers.openai_live.turns import GAP_MS, YIELDED_MS, LiveTurns
from agents.realtime import PCM
from tests.fake_ear import silence, tone


class Duet:
    """A model's output and a caller's words beside each other."""

    def __init__(self, *, writes: bool = True) -> None:
        self.replies = LiveReplies(PCM, PCM, "p")
        self.turns = LiveTurns(self.replies, "p", writes=writes)

    def model(self, ms: int, *, speaks: bool) -> list[ServerEvent]:
        """What comes of so much output, audio apart."""
        events: list[ServerEvent] = []
        for _ in range(ms // WINDOW_MS):
            if speaks and self.replies.sounds_since_ms is None:
                events += self.turns.agent_begins()
            events += self.replies.hear((tone if speaks else silence)(WINDOW_MS), 5000.0 if speaks else 0.0)
            events += self.turns.time_passed()
        return [event for event in events if not isinstance(event, AudioOutputDelta)]

    def caller(self, text: str, start_ms: int | None = None) -> list[ServerEvent]:
        start_ms = self.replies.now_ms if start_ms is None else start_ms
        return list(self.turns.wrote(text, start_ms, start_ms + 200))


def test_words_into_silence_are_speech_from_the_first_one_on() -> None:
    duet = Duet()

    assert duet.caller("What") == [SpeechStarted("p_u1", 0), TranscriptInputDelta("p_u1", "What")]
    duet.model(400, speaks=False)
    assert duet.caller(" time?") == [TranscriptInputDelta("p_u1", " time?")]


def test_a_gap_ends_a_turn() -> None:
    duet = Duet()
    duet.caller(" What time?")

    assert duet.model(GAP_MS - WINDOW_MS, speaks=False) == []
    assert duet.model(WINDOW_MS, speaks=False) == [
        SpeechStopped("p_u1", 200),
        AudioInputCommitted("p_u1"),
        TranscriptInput("p_u1", "What time?"),
    ]


def test_a_gap_between_words_that_come_together_ends_a_turn_too() -> None:
    duet = Duet()
    duet.model(3000, speaks=False)
    duet.caller("Hello.", start_ms=500)

    events = duet.caller("Anyone?", start_ms=1700)

    assert events[2:] == [
        TranscriptInput("p_u1", "Hello."),
        SpeechStarted("p_u2", 1700),
        TranscriptInputDelta("p_u2", "Anyone?"),
    ]


def test_the_answer_ends_a_turn_before_it_begins_and_its_last_words_may_follow() -> None:
    duet = Duet()
    duet.caller("What")
    duet.model(100, speaks=False)

    answer = duet.model(100, speaks=True)
    late = duet.caller(" time?", start_ms=60)
    end = duet.model(GAP_MS, speaks=True)

    assert answer[:2] == [SpeechStopped("p_u1", 200), AudioInputCommitted("p_u1")]
    assert late == [TranscriptInputDelta("p_u1", " time?")]
    assert end == [TranscriptInput("p_u1", "What time?")]


def test_words_into_the_answer_are_another_turn() -> None:
    duet = Duet()
    duet.caller("What?")
    duet.model(200, speaks=True)

    events = duet.caller("Wait!", start_ms=150)

    assert events == [TranscriptInput("p_u1", "What?"), TranscriptInputDelta("p_u2", "Wait!")]


def test_a_voice_beside_the_models_own_is_not_told_of_as_speech() -> None:
    duet = Duet()
    duet.model(500, speaks=True)

    heard = duet.caller("mm-hm")
    after = duet.model(GAP_MS, speaks=True)

    assert heard == [TranscriptInputDelta("p_u1", "mm-hm")]
    assert after == [AudioInputCommitted("p_u1"), TranscriptInput("p_u1", "mm-hm")]


def test_a_model_that_falls_silent_beside_the_caller_was_interrupted() -> None:
    duet = Duet()
    duet.model(500, speaks=True)
    duet.caller("Wait!")
    assert duet.model(400, speaks=True) == []

    assert duet.model(YIELDED_MS - WINDOW_MS, speaks=False) == []
    assert duet.model(WINDOW_MS, speaks=False) == [
        SpeechStarted("p_u1", 500),
        ResponseInterrupted("p_r1"),
        ResponseDone("p_r1", "interrupted"),
    ]


def test_a_model_that_was_at_its_end_when_the_caller_spoke_was_not_interrupted() -> None:
    duet = Duet()
    duet.model(500, speaks=True)
    duet.model(200, speaks=False)
    duet.caller("Thanks.")

    assert duet.model(100, speaks=False) == [
        AudioOutputDone("p_r1", "p_a1", 0),
        ResponseDone("p_r1", "completed"),
        SpeechStarted("p_u1", 700),
    ]


def test_a_model_that_pauses_long_after_a_sound_of_the_callers_was_not_interrupted() -> None:
    duet = Duet()
    duet.model(500, speaks=True)
    duet.caller("mm-hm")
    duet.model(GAP_MS, speaks=True)

    events = duet.model(QUIET_MS, speaks=False)

    assert events == [AudioOutputDone("p_r1", "p_a1", 0), ResponseDone("p_r1", "completed")]


def test_a_caller_who_speaks_while_an_answer_is_awaited_does_not_stop_it() -> None:
    duet = Duet()
    duet.replies.ask()
    list(duet.replies.due())

    assert duet.caller("Hello?") == [TranscriptInputDelta("p_u1", "Hello?")]
    assert duet.replies.is_open


def test_without_transcripts_turns_are_told_and_words_are_not() -> None:
    duet = Duet(writes=False)

    assert duet.caller("What?") == [SpeechStarted("p_u1", 0)]
    assert duet.model(GAP_MS, speaks=False) == [SpeechStopped("p_u1", 200), AudioInputCommitted("p_u1")]


def test_words_without_a_place_were_said_just_now() -> None:
    duet = Duet()
    duet.model(600, speaks=False)

    assert next(iter(duet.turns.wrote("Hello", None, None))) == SpeechStarted("p_u1", 600)
