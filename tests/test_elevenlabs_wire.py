"""The ElevenLabs wire: what each of our events says, what each of theirs means, and when a reply begins and ends."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from agents import mulaw
from agents.errors import NotSupportedError, ProviderError
from agents.events import (
    ActivityStart,
    AudioInputAppend,
    AudioInputClear,
    AudioInputCommit,
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    ClientEvent,
    ItemCreate,
    ItemCreated,
    ItemDelete,
    ItemTruncate,
    ItemTruncated,
    RawEvent,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ResponseInterrupted,
    SessionCreated,
    SessionError,
    SessionUpdate,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
    TranscriptOutputDelta,
)
from agents.providers.elevenlabs.agent import ANNOUNCED_S, ANSWER_S, ENDED_S, GAP_S
from agents.providers.elevenlabs.wire import HELD_TEXT_S, ElevenLabsCodec
from agents.providers.socket import Answer, WireError
from agents.realtime import (
    PCM,
    PCMU,
    AudioFormat,
    PastMessage,
    PastToolCall,
    SessionConfig,
    Transcription,
    TurnDetection,
    Voice,
)
from tests.elevenlabs_talk import Talk, kinds, message
from tests.fake_ear import tone

SOUND = tone(100)
R1, I1 = "el-response-1", "el-item-1"
R2, I2 = "el-response-2", "el-item-2"


def second(ms: int = 1000) -> AudioInputAppend:
    return AudioInputAppend(bytes(48 * ms))


# ---- the beginning ----


def test_the_opening_overrides_only_what_the_agents_file_sets() -> None:
    assert Talk().opening == {"type": "conversation_initiation_client_data"}

    config = SessionConfig(
        instructions="Be kind.",
        greeting="Hello!",
        voice=Voice(voice_id="v1", speed=1.1),
        transcription=Transcription(language="de", prompt="Acme, Bern\nZug"),
        turn_detection=TurnDetection(),
        variables={"caller": "+15550100100"},
        provider_options={"user_id": "u1", "public": True, "dynamic_variables": {"tier": "gold"}},
    )

    assert Talk(config).opening == {
        "type": "conversation_initiation_client_data",
        "conversation_config_override": {
            "agent": {"prompt": {"prompt": "Be kind."}, "first_message": "Hello!", "language": "de"},
            "tts": {"voice_id": "v1", "speed": 1.1},
            "asr": {"keywords": ["Acme", "Bern", "Zug"]},
        },
        "dynamic_variables": {"caller": "+15550100100", "tier": "gold"},
        "user_id": "u1",
    }


@pytest.mark.parametrize(
    "config",
    [
        SessionConfig(turn_detection=None),
        SessionConfig(turn_detection=TurnDetection(mode="semantic_vad")),
        SessionConfig(turn_detection=TurnDetection(mode="manual")),
        SessionConfig(turn_detection=TurnDetection(threshold=0.5)),
        SessionConfig(turn_detection=TurnDetection(silence_duration_ms=400)),
        SessionConfig(turn_detection=TurnDetection(interrupt_response=False)),
        SessionConfig(turn_detection=TurnDetection(create_response=False)),
        SessionConfig(transcription=Transcription(model="m")),
        SessionConfig(noise_reduction="near_field"),
        SessionConfig(max_output_tokens=100),
        SessionConfig(tool_choice="none"),
        SessionConfig(modalities=("text",)),
        SessionConfig(voice=Voice(speed=1.4)),
    ],
)
def test_what_only_the_platform_can_set_is_refused(config: SessionConfig) -> None:
    with pytest.raises(NotSupportedError):
        Talk(config)


def test_the_session_begins_with_the_formats_and_what_was_sent_before_follows() -> None:
    talk = Talk(is_ready=False)
    assert talk.sends(second(20)) == talk.sends(ItemCreate("system", "Be brief.")) == []

    assert talk.becomes_ready() == [SessionCreated("conv_1")]

    assert [next(iter(each)) for each in talk.answers] == ["user_audio_chunk", "type"]
    assert talk.answers[1] == {"type": "contextual_update", "text": "Be brief."}
    assert talk.becomes_ready() == []


def test_the_session_is_there_once_its_history_and_what_was_sent_before_are_said() -> None:
    codec = ElevenLabsCodec(SessionConfig(), (PastMessage("1", "user", "Hello?"),), name="el")
    for event in (SessionUpdate(SessionConfig()), second(20), ResponseCreate("e", say="Hello.")):
        assert codec.encode(event) == () or isinstance(event, SessionUpdate)
    formats = {"user_input_audio_format": "pcm_24000", "agent_output_audio_format": "pcm_24000"}

    *before, last = codec.decode(message("conversation_initiation_metadata", conversation_id="conv_1", **formats))

    said = [orjson.loads(each.message) for each in before if isinstance(each, Answer)]
    assert [each.get("type", "audio") for each in said] == ["contextual_update", "audio", "user_message"]
    assert len(said) == len(before)
    assert last == SessionCreated("conv_1")


def test_of_the_audio_before_the_beginning_the_newest_two_seconds_count() -> None:
    talk = Talk(is_ready=False)
    for number in range(150):
        talk.sends(AudioInputAppend(bytes([number]) * 960))

    talk.becomes_ready()

    assert len(talk.answers) == 100


def test_too_much_before_the_beginning_is_the_end() -> None:
    talk = Talk(is_ready=False)
    for _ in range(64):
        talk.sends(ItemCreate("user", "Hello?"))
    with pytest.raises(ProviderError, match="not ready"):
        talk.sends(ItemCreate("user", "Hello?"))


@pytest.mark.parametrize("name", ["pcm_22050", "pcm_44100", "opus_48000", "pcm_"])
@pytest.mark.parametrize("way", ["heard", "spoken"])
def test_a_format_that_we_do_not_speak_ends_the_conversation_and_names_the_setting(way: str, name: str) -> None:
    talk = Talk(is_ready=False)
    setting = {"heard": "user_input_audio_format", "spoken": "agent_output_audio_format"}[way]
    formats = talk.formats | {setting: name}
    metadata = {"conversation_id": "conv_1"} | formats
    text = f'{{"type":"conversation_initiation_metadata","conversation_initiation_metadata_event":{metadata}}}'

    [error] = talk.codec.decode(text.replace("'", '"'))

    assert isinstance(error, ProviderError)
    assert setting in str(error) and "ulaw_8000" in str(error)
    assert (error.category, error.retryable) == ("invalid_request", False)


@pytest.mark.parametrize("name", ["pcm_8000", "pcm_16000", "pcm_24000", "pcm_48000", "ulaw_8000"])
def test_audio_becomes_ours_from_each_format_and_theirs_again(name: str) -> None:
    talk = Talk(heard=name, spoken=name)
    rate = int(name.partition("_")[2])
    theirs = PCMU if name == "ulaw_8000" else AudioFormat(sample_rate=rate)

    [sent] = talk.sends(AudioInputAppend(tone(1000)))
    told = talk.sound(tone(1000, theirs)) + talk.waits()

    assert len(sent["user_audio_chunk"]) * 3 // 4 == pytest.approx(1000 * theirs.bytes_per_ms, rel=0.01)
    assert sum(len(each.pcm) for each in told if isinstance(each, AudioOutputDelta)) == 1000 * PCM.bytes_per_ms


def test_mu_law_passes_through_where_the_agent_is_set_to_it_and_else_is_an_error() -> None:
    config = SessionConfig(input_format=PCMU, output_format=PCMU)
    ulaw = mulaw.encode(tone(20))
    talk = Talk(config, heard="ulaw_8000", spoken="ulaw_8000")

    assert talk.sends(AudioInputAppend(b"\x00\x7f\xff")) == [{"user_audio_chunk": "AH//"}]
    assert [each.pcm for each in talk.sound(ulaw) if isinstance(each, AudioOutputDelta)] == [ulaw]

    for heard, spoken in (("pcm_16000", "ulaw_8000"), ("ulaw_8000", "pcm_16000")):
        with pytest.raises(ProviderError, match="passthrough"):
            Talk(config, heard=heard, spoken=spoken)


def test_history_goes_first_as_context_and_keeps_the_agent_from_greeting() -> None:
    history = (
        PastMessage("1", "assistant", "Hello!"),
        PastMessage("2", "user", "What time\nis it?"),
        PastToolCall("c", "clock", "{}", '{"time": 5}'),
    )

    talk = Talk(SessionConfig(greeting="Hello!"), history)

    assert talk.opening["conversation_config_override"] == {"agent": {"first_message": ""}}
    [context] = talk.answers
    assert context["type"] == "contextual_update"
    assert context["text"].splitlines()[1:] == [
        '{"role":"assistant","text":"Hello!"}',
        '{"role":"user","text":"What time\\nis it?"}',
        '{"tool":"clock","arguments":"{}","output":"{\\"time\\": 5}"}',
    ]
    assert talk.codec.wait is None


# ---- what we say ----


@pytest.mark.parametrize(
    "event",
    [
        ItemDelete("i"),
        ItemTruncate("i", 0, 100),
        AudioInputCommit(),
        AudioInputClear(),
        ActivityStart(),
        ResponseCancel(),
        SessionUpdate(SessionConfig()),
        ItemCreate("user", "Hi", previous_item_id="i"),
    ],
)
@pytest.mark.parametrize("is_ready", [True, False])
def test_what_the_wire_has_no_words_for_is_refused_at_once(event: ClientEvent, is_ready: bool) -> None:
    with pytest.raises(NotSupportedError):
        Talk(is_ready=is_ready).sends(event)


def test_system_and_assistant_messages_are_context_at_once() -> None:
    talk = Talk()
    assert talk.sends(ItemCreate("system", "It rains.")) == [{"type": "contextual_update", "text": "It rains."}]
    assert talk.sends(ItemCreate("assistant", "Hi.")) == [{"type": "contextual_update", "text": "You said: Hi."}]


def test_a_message_with_a_request_is_a_user_message_which_is_answered() -> None:
    talk = Talk()
    assert talk.sends(ItemCreate("user", "Are you open?")) == []
    assert talk.sends(ResponseCreate("r")) == [{"type": "user_message", "text": "Are you open?"}]
    assert talk.wait_s == ANSWER_S
    assert kinds(talk.text("Yes.")) == ["response.created", "item.created", "transcript.output.delta"]


def test_a_message_without_a_request_becomes_context_after_a_while() -> None:
    talk = Talk()
    talk.sends(ItemCreate("user", "My name is Ann."))
    assert talk.wait_s == HELD_TEXT_S
    assert talk.waits() == []
    assert talk.answers == [{"type": "contextual_update", "text": "The caller wrote: My name is Ann."}]
    assert talk.codec.wait is None


def test_a_message_waits_for_its_request_as_long_as_the_agent_speaks() -> None:
    talk = Talk()
    talk.text("Let me think", 1)
    talk.sends(ItemCreate("user", "And?"))
    assert talk.wait_s == ANNOUNCED_S
    assert kinds(talk.waits())[-1] == "response.done"
    assert talk.wait_s == HELD_TEXT_S
    assert talk.sends(ResponseCreate("r")) == [{"type": "user_message", "text": "And?"}]


def test_our_own_message_that_comes_back_is_not_what_the_caller_said() -> None:
    talk = Talk()
    talk.sends(ItemCreate("user", "Are you open?"))
    talk.sends(ResponseCreate("r"))
    assert talk.caller("Are you open?") == []
    assert kinds(talk.caller("Are you open?")) == [
        "speech.started",
        "speech.stopped",
        "audio.input.committed",
        "transcript.input",
    ]


@pytest.mark.parametrize(
    ("create", "words"),
    [
        (ResponseCreate("r", say="Goodbye."), "Say exactly the following words, all of them and no others:\nGoodbye."),
        (ResponseCreate("r", instructions="Be brief."), "Be brief."),
        (ResponseCreate("r"), "It is your turn to speak: go on."),
    ],
)
def test_a_request_is_a_message_that_says_whose_it_is(create: ResponseCreate, words: str) -> None:
    text = f"[From the system, not from the caller: {words}]"
    assert Talk().sends(create) == [{"type": "user_message", "text": text}]


def test_an_agent_that_stays_silent_when_asked_gives_an_empty_response() -> None:
    talk = Talk()
    talk.sends(ResponseCreate("r", say="Goodbye."))
    assert talk.wait_s == ANSWER_S
    assert talk.waits() == [ResponseCreated(R1), ResponseDone(R1, "incomplete", reason="no answer")]
    assert talk.codec.wait is None


def test_a_request_with_words_while_the_agent_speaks_of_its_own_accord_is_to_be_made_again() -> None:
    talk = Talk()
    talk.text("Are you still there?")
    assert talk.sends(ResponseCreate("r", say="Goodbye.")) == []
    assert talk.wait_s == 0
    [error] = talk.waits()
    assert isinstance(error, SessionError)
    assert (error.code, error.event_id, error.benign) == ("conversation_already_has_active_response", "r", True)


def test_a_plain_request_while_the_agent_speaks_of_its_own_accord_is_answered_by_that() -> None:
    talk = Talk()
    talk.text("Are you still there?")
    assert talk.sends(ResponseCreate("r")) == []
    assert talk.wait_s == ANNOUNCED_S


# ---- a reply ----


def test_a_reply_goes_from_its_first_sign_to_its_end_in_order() -> None:
    talk = Talk()
    told = talk.text("Hello there.") + talk.sound(SOUND) + talk.sound(SOUND)
    assert talk.wait_s == GAP_S
    assert told + talk.waits() == [
        ResponseCreated(R1),
        ItemCreated(I1, "assistant"),
        TranscriptOutputDelta(R1, I1, "Hello there."),
        AudioOutputDelta(R1, I1, 0, SOUND),
        AudioOutputDelta(R1, I1, 0, SOUND),
        AudioOutputDone(R1, I1, 0),
        TranscriptOutput(R1, I1, "Hello there."),
        ResponseDone(R1, "completed"),
    ]
    assert talk.codec.wait is None


def test_text_may_come_after_the_audio_began_and_in_several_sentences() -> None:
    talk = Talk()
    told = talk.sound(SOUND, 1) + talk.text("One.", 1) + talk.sound(SOUND, 2) + talk.text("Two.", 2) + talk.waits()
    assert kinds(told).count("response.created") == 1
    assert [each.text for each in told if isinstance(each, TranscriptOutputDelta)] == ["One.", " Two."]
    assert TranscriptOutput(R1, I1, "One. Two.") in told


def test_text_in_pieces_is_told_piece_by_piece_and_once() -> None:
    talk = Talk()
    told = [
        each
        for kind, text in (("start", ""), ("delta", "Hel"), ("delta", "lo."), ("stop", ""))
        for each in talk.says("agent_chat_response_part", type=kind, text=text, event_id=1)
    ]
    told += talk.text("Hello.", 1) + talk.sound(SOUND, 1) + talk.waits()
    assert [each.text for each in told if isinstance(each, TranscriptOutputDelta)] == ["Hel", "lo."]
    assert TranscriptOutput(R1, I1, "Hello.") in told


@pytest.mark.parametrize(
    ("last", "wait_s"),
    [
        (lambda talk: talk.sound(SOUND), GAP_S),
        (lambda talk: talk.sound(SOUND, is_final=False), ANNOUNCED_S),
        (lambda talk: talk.sound(SOUND, is_final=True), ENDED_S),
        (lambda talk: talk.says("agent_response_complete", event_id=1), ENDED_S),
        (lambda talk: talk.says("agent_chat_response_part", type="delta", text="and", event_id=1), ANNOUNCED_S),
        (lambda talk: talk.says("agent_chat_response_part", type="stop", text="", event_id=1), GAP_S),
    ],
)
def test_how_long_a_reply_may_pause_follows_from_what_was_announced(last: Callable[[Talk], Any], wait_s: float) -> None:
    talk = Talk()
    talk.text("Hello.")
    assert talk.wait_s == ANNOUNCED_S
    talk.sound(SOUND)
    last(talk)
    assert talk.wait_s == wait_s


def test_pings_are_answered_at_once_and_do_not_keep_a_reply_going() -> None:
    talk = Talk()
    talk.sound(SOUND)
    wait = talk.codec.wait
    assert talk.says("ping", event_id=7, ping_ms=30) == []
    assert talk.answers == [{"type": "pong", "event_id": 7}]
    assert talk.codec.wait is wait


def test_every_piece_of_a_reply_begins_the_wait_anew() -> None:
    talk = Talk()
    talk.sound(SOUND)
    wait = talk.codec.wait
    talk.sound(SOUND)
    assert talk.codec.wait is not wait


def test_the_tail_of_resampled_audio_comes_with_the_end_of_the_reply() -> None:
    talk = Talk(spoken="pcm_16000")
    talk.sound(tone(100, AudioFormat(sample_rate=16_000)))
    told = talk.waits()
    assert kinds(told) == ["audio.output.delta", "audio.output.done", "response.done"]


def test_a_late_text_of_a_reply_that_was_over_is_told_as_its_own() -> None:
    talk = Talk()
    talk.sound(SOUND, 3)
    talk.waits()
    assert talk.text("Hello.", 3) == [TranscriptOutput(R1, I1, "Hello.")]
    assert kinds(talk.text("More?", 4))[0] == "response.created"


def test_what_says_nothing_begins_no_reply() -> None:
    talk = Talk()
    assert talk.says("agent_chat_response_part", type="stop", text="", event_id=1) == []
    assert talk.sound(b"", 1, is_final=True) == talk.text("", 1) == []
    assert kinds(talk.says("agent_chat_response_part", type="delta", text="Hi", event_id=1))[0] == "response.created"


def test_each_request_is_waited_for_anew() -> None:
    talk = Talk()
    talk.sends(ResponseCreate("r", say="One."))
    wait = talk.codec.wait
    talk.waits()
    talk.sends(ResponseCreate("s", say="Two."))
    assert talk.wait_s == ANSWER_S
    assert talk.codec.wait is not wait


# ---- the greeting ----


def test_the_greeting_is_held_back_until_it_is_asked_for_and_said_once() -> None:
    talk = Talk(SessionConfig(greeting="Hello!"))
    assert talk.text("Hello!") == talk.sound(SOUND) == []

    assert talk.sends(ResponseCreate("r", say="Hello!")) == []

    assert kinds(talk.waits()) == ["response.created", "item.created", "transcript.output.delta", "audio.output.delta"]
    assert kinds(talk.waits()) == ["audio.output.done", "transcript.output", "response.done"]
    assert len(talk.sends(ResponseCreate("r2", say="Hello!"))) == 1


def test_a_greeting_that_ended_before_it_is_asked_for_is_told_whole() -> None:
    talk = Talk(SessionConfig(greeting="Hello!"))
    talk.sound(SOUND)
    assert talk.waits() == []
    talk.sends(ResponseCreate("r", say="Hello!"))
    assert kinds(talk.waits())[-1] == "response.done"


def test_a_greeting_that_is_asked_for_first_is_waited_for() -> None:
    talk = Talk(SessionConfig(greeting="Hello!"))
    assert talk.sends(ResponseCreate("r", say="Hello!")) == []
    assert talk.wait_s == ANSWER_S
    assert kinds(talk.sound(SOUND))[0] == "response.created"


def test_a_greeting_that_has_begun_is_not_waited_for_again() -> None:
    talk = Talk(SessionConfig(greeting="Hello!"))
    talk.sound(SOUND)
    talk.waits()
    talk.sends(ResponseCreate("r", say="Hello!"))
    talk.waits()
    assert talk.codec.wait is None


def test_an_endless_greeting_is_not_held_for_ever() -> None:
    talk = Talk(SessionConfig(greeting="Hello!"))
    told = [talk.sound(bytes(48_000 * 10)) for _ in range(7)]
    assert told[:6] == [[]] * 6
    assert kinds(told[6]) == ["response.created", "item.created"] + ["audio.output.delta"] * 7
    talk.waits()
    assert talk.sends(ResponseCreate("r", say="Hello!")) == []
    assert kinds(talk.waits()) == ["response.created", "response.done"]


@pytest.mark.parametrize("first", [lambda talk: talk.caller("Hello?"), lambda talk: talk.sends(ResponseCreate("r"))])
def test_nothing_is_held_back_any_more_once_something_else_comes_first(first: Callable[[Talk], Any]) -> None:
    talk = Talk(SessionConfig(greeting="Hello!"))
    first(talk)
    assert kinds(talk.sound(SOUND))[-1] == "audio.output.delta"


def test_the_agents_own_first_message_is_a_response_that_nobody_asked_for() -> None:
    assert kinds(Talk().text("Welcome!"))[0] == "response.created"


# ---- the caller ----


def test_words_alone_make_a_whole_turn() -> None:
    talk = Talk()
    talk.sends(second())
    assert talk.caller("What time is it?") == [
        SpeechStarted("el-caller-1", 1000),
        SpeechStopped("el-caller-1", 1000),
        AudioInputCommitted("el-caller-1"),
        TranscriptInput("el-caller-1", "What time is it?"),
    ]


def test_voice_scores_tell_of_the_turn_before_its_words() -> None:
    talk = Talk()
    assert talk.says("vad_score", vad_score=0.2) == []
    assert talk.says("vad_score", vad_score=0.9) == [SpeechStarted("el-caller-1", 0)]
    assert talk.says("vad_score", vad_score=0.9) == []
    talk.sends(second(600))
    assert talk.says("vad_score", vad_score=0.1) == [SpeechStopped("el-caller-1", 600)]
    assert talk.caller("Hi.") == [AudioInputCommitted("el-caller-1"), TranscriptInput("el-caller-1", "Hi.")]


def test_a_noise_is_a_turn_without_words() -> None:
    talk = Talk()
    talk.says("vad_score", vad_score=0.9)
    talk.sends(second(3000))
    told = talk.says("vad_score", vad_score=0.1) + talk.says("ping", event_id=1)
    assert told == [
        SpeechStopped("el-caller-1", 3000),
        AudioInputCommitted("el-caller-1"),
        TranscriptInput("el-caller-1", ""),
    ]


def test_a_voice_of_which_nothing_more_is_heard_is_over_in_the_end() -> None:
    talk = Talk()
    talk.says("tentative_user_transcript", user_transcript="I", event_id=1)
    talk.sends(second(19_000))
    assert talk.says("ping", event_id=1) == []
    talk.sends(second(2000))
    assert kinds(talk.says("ping", event_id=2)) == ["speech.stopped", "audio.input.committed", "transcript.input"]


def test_a_reply_ends_the_callers_turn_and_its_words_may_still_come() -> None:
    talk = Talk()
    talk.says("tentative_user_transcript", user_transcript="What", event_id=1)
    assert kinds(talk.text("It is five.", 2))[:3] == ["speech.stopped", "audio.input.committed", "response.created"]
    assert talk.caller("What time is it?") == [TranscriptInput("el-caller-1", "What time is it?")]


def test_with_transcription_off_a_turn_has_no_words() -> None:
    talk = Talk(SessionConfig(transcription=None))
    assert kinds(talk.caller("Secret")) == ["speech.started", "speech.stopped", "audio.input.committed"]


def test_a_voice_over_the_agents_that_does_not_interrupt_it_does_not_silence_the_line() -> None:
    talk = Talk()
    talk.sound(tone(2000))
    talk.sends(second())
    assert talk.says("vad_score", vad_score=0.9) == []
    assert kinds(talk.caller("Mhm.")) == ["audio.input.committed", "transcript.input"]
    assert kinds(talk.sound(SOUND, 1)) == ["audio.output.delta"]


def test_after_words_that_did_not_interrupt_the_reply_goes_on_and_the_next_turns_is_another() -> None:
    talk = Talk()
    talk.sound(tone(2000), 3)
    talk.caller("Mhm.", 3)
    assert kinds(talk.sound(SOUND, 3)) == ["audio.output.delta"]
    assert kinds(talk.sound(SOUND, 4))[:3] == ["audio.output.done", "response.done", "response.created"]


def test_a_voice_that_pauses_for_a_moment_is_not_over() -> None:
    talk = Talk()
    talk.says("vad_score", vad_score=0.9)
    talk.sends(second(400))
    assert talk.says("vad_score", vad_score=0.1) == []
    talk.sends(second(200))
    assert kinds(talk.says("vad_score", vad_score=0.1)) == ["speech.stopped"]


def test_a_voice_after_the_agent_was_heard_out_ends_its_reply() -> None:
    talk = Talk()
    talk.sound(tone(400))
    talk.sends(second())
    assert kinds(talk.says("vad_score", vad_score=0.9)) == ["audio.output.done", "response.done", "speech.started"]


# ---- interruptions ----


def test_an_interruption_starts_the_callers_turn_and_ends_the_reply() -> None:
    talk = Talk()
    talk.text("It is a long story.", 3)
    talk.sound(tone(1000), 3)
    assert talk.says("interruption", event_id=3) == [
        SpeechStarted("el-caller-1", 0),
        TranscriptOutput(R1, I1, "It is a long story."),
        ResponseInterrupted(R1),
        ResponseDone(R1, "interrupted", reason="interruption"),
    ]
    assert talk.sound(SOUND, 3) == talk.sound(SOUND, 2) == []
    assert talk.caller("Stop.", 4) == [
        SpeechStopped("el-caller-1", 0),
        AudioInputCommitted("el-caller-1"),
        TranscriptInput("el-caller-1", "Stop."),
    ]
    assert kinds(talk.sound(SOUND, 4))[0] == "response.created"


def test_an_interruption_after_all_audio_came_still_starts_the_callers_turn() -> None:
    talk = Talk()
    talk.sound(tone(5000), 3)
    talk.waits()
    assert talk.says("interruption", event_id=3) == [SpeechStarted("el-caller-1", 0)]
    assert talk.sound(SOUND, 3) == []


def test_audio_with_the_interruptions_own_id_is_the_next_replys_when_the_last_one_had_another() -> None:
    talk = Talk()
    talk.sound(SOUND, 3)
    talk.says("interruption", event_id=4)
    assert talk.sound(SOUND, 3) == []
    assert "response.created" in kinds(talk.sound(SOUND, 4))


def test_all_that_is_older_than_the_interruption_is_gone() -> None:
    talk = Talk()
    talk.sound(SOUND, 3)
    talk.says("interruption", event_id=6)
    assert talk.sound(SOUND, 5) == talk.text("Old.", 5) == []


def test_a_new_text_lets_audio_with_the_interrupted_id_through() -> None:
    talk = Talk()
    talk.text("One.", 3)
    talk.sound(SOUND, 3)
    talk.says("interruption", event_id=3)
    assert talk.sound(SOUND, 3) == []
    assert kinds(talk.text("Two.", 3) + talk.sound(SOUND, 3)) == [
        "speech.stopped",
        "audio.input.committed",
        "response.created",
        "item.created",
        "transcript.output.delta",
        "audio.output.delta",
    ]


def test_the_text_of_an_interrupted_reply_that_comes_after_all_begins_none() -> None:
    talk = Talk()
    talk.sound(SOUND, 3)
    talk.says("interruption", event_id=3)
    assert talk.text("One.", 3) == talk.text("Zero.", 2) == []


def test_a_correction_tells_how_much_of_the_item_counts_as_heard() -> None:
    talk = Talk()
    talk.text("12345678", 3)
    talk.sound(tone(1000), 3)
    talk.says("interruption", event_id=3)
    correction = {"original_agent_response": "12345678", "corrected_agent_response": "12", "event_id": 3}
    assert talk.says("agent_response_correction", **correction) == [ItemTruncated(I1, 250)]


def test_a_correction_brings_the_text_that_had_not_come() -> None:
    talk = Talk()
    talk.sound(tone(1000), 3)
    talk.says("interruption", event_id=3)
    correction = {"original_agent_response": "12345678", "corrected_agent_response": "", "event_id": 3}
    told = talk.says("agent_response_correction", **correction)
    assert told == [TranscriptOutput(R1, I1, "12345678"), ItemTruncated(I1, 0)]


def test_an_interruption_by_our_own_message_is_not_the_callers() -> None:
    talk = Talk()
    talk.sound(tone(5000), 3)
    talk.waits()
    talk.sends(ResponseCreate("r", say="Goodbye."))
    assert talk.says("interruption", event_id=4) == []
    assert kinds(talk.sound(SOUND, 4))[0] == "response.created"


# ---- tools ----


def test_a_tool_call_is_part_of_the_reply_which_ends_with_its_result() -> None:
    talk = Talk()
    told = talk.text("One moment.") + talk.sound(SOUND) + talk.calls("c1")
    assert told[-1] == ToolCall(R1, "c1", "lookup", '{"city":"Bern"}')

    sent = talk.sends(ToolResult("c1", '{"weather": "rain"}'))

    result = {"tool_call_id": "c1", "result": '{"weather": "rain"}', "is_error": False}
    assert sent == [{"type": "client_tool_result"} | result]
    assert talk.wait_s == 0
    assert kinds(talk.waits()) == ["audio.output.done", "transcript.output", "response.done"]
    assert talk.sends(ResponseCreate("r")) == []
    assert talk.wait_s == ANSWER_S
    assert kinds(talk.text("It rains.", 2))[0] == "response.created"


def test_a_tool_that_takes_its_time_does_not_keep_the_reply_open() -> None:
    talk = Talk()
    assert kinds(talk.calls("c1")) == ["response.created", "tool.call"]
    assert talk.wait_s == GAP_S
    assert talk.waits() == [ResponseDone(R1, "completed")]


def test_of_several_tools_the_last_result_ends_the_reply() -> None:
    talk = Talk()
    talk.calls("c1")
    talk.calls("c2")
    talk.sends(ToolResult("c2", "2"))
    assert talk.wait_s == GAP_S
    talk.sends(ToolResult("c1", "1"))
    assert talk.waits() == [ResponseDone(R1, "completed")]


def test_an_answer_that_comes_before_it_is_asked_for_needs_no_second_one() -> None:
    talk = Talk()
    talk.calls("c1")
    talk.sends(ToolResult("c1", "1"))
    told = talk.text("It rains.", 2) + talk.sound(SOUND, 2)
    assert kinds(told)[:2] == ["response.done", "response.created"]
    talk.waits()
    assert talk.sends(ResponseCreate("r")) == []
    assert kinds(talk.waits()) == ["response.created", "response.done"]
    assert len(talk.sends(ResponseCreate("r2"))) == 1


def test_the_callers_turn_after_such_an_answer_wants_one_of_its_own() -> None:
    talk = Talk()
    talk.calls("c1")
    talk.sends(ToolResult("c1", "1"))
    talk.text("It rains.", 2)
    talk.sound(SOUND, 2)
    talk.waits()
    talk.caller("And tomorrow?", 3)
    assert talk.sends(ResponseCreate("r")) == []
    assert talk.wait_s == ANSWER_S


def test_a_result_that_nobody_waits_for_is_answered_on_request_only() -> None:
    talk = Talk()
    talk.calls("c1", expects_response=False)
    talk.sends(ToolResult("c1", "1"))
    talk.waits()
    [nudge] = talk.sends(ResponseCreate("r"))
    assert nudge["type"] == "user_message"


def test_what_a_tool_says_went_wrong_is_marked_so() -> None:
    talk = Talk()
    talk.calls("c1")
    [result] = talk.sends(ToolResult("c1", "Error: there is no such city."))
    assert result["is_error"] is True


# ---- errors and the rest ----


def test_an_error_fails_the_reply_and_explains_the_close_that_follows() -> None:
    talk = Talk()
    talk.sends(ResponseCreate("r", say="Goodbye."))
    error, created, done = talk.says("error", code=1011, error_type="llm_timeout", message="too slow")
    assert isinstance(error, SessionError)
    assert (error.code, error.category, error.retryable) == ("llm_timeout", "unavailable", True)
    assert [created, done] == [ResponseCreated(R1), ResponseDone(R1, "failed", reason="llm_timeout")]

    loss = talk.codec.loss(1000, "")

    assert loss is not None
    assert (loss.code, loss.category) == ("llm_timeout", "unavailable")


def test_an_error_after_which_it_goes_on_is_not_the_reason_of_its_end() -> None:
    talk = Talk()
    talk.text("Hello.")
    assert kinds(talk.says("error", code=1011, error_type="mcp_tool_error"))[-1] == "response.done"
    talk.sound(SOUND, 2)
    assert talk.codec.loss(1000, "") is None


def test_an_error_before_the_beginning_is_the_end() -> None:
    talk = Talk(SessionConfig(greeting="Hello!"), is_ready=False)
    refusal = "Override for field 'first_message' is not allowed by config."
    with pytest.raises(ProviderError, match="leave greeting out") as caught:
        talk.says("error", code=1008, error_type="override_error", message=refusal)
    assert (caught.value.code, caught.value.category) == ("override_error", "invalid_request")


@pytest.mark.parametrize(
    ("event", "category"),
    [
        ({"code": 1002, "message": "This request exceeds your quota limit."}, "quota"),
        ({"code": 1008, "message": "Unauthorized: could not authenticate"}, "auth"),
        ({"code": 1008, "reason": "Too many concurrent conversations"}, "rate"),
        ({"code": 1000, "error_type": "max_duration_exceeded"}, "session_limit"),
        ({"code": 1008, "error_type": "missing_dynamic_variable", "message": "x"}, "invalid_request"),
        ({"code": 1011, "error_type": "websocket_disconnect"}, "network"),
        ({"code": 1011, "error_type": "tts_cascade_error"}, "unavailable"),
        ({"code": 1008}, "invalid_request"),
    ],
)
def test_errors_have_our_categories(event: dict[str, Any], category: str) -> None:
    [error] = Talk().says("error", **event)
    assert isinstance(error, SessionError)
    assert error.category == category
    assert error.retryable is (category in ("rate", "session_limit", "network", "unavailable"))


@pytest.mark.parametrize(
    ("code", "reason", "found"),
    [
        (1000, "", None),
        (1000, "Conversation ended by the agent, as authorized", None),
        (1000, "Max conversation duration exceeded", ("session_expired", "session_limit")),
        (1002, "This request exceeds your quota limit.", ("quota", "quota")),
        (1008, "Override for field 'prompt' is not allowed by config.", ("closed", "invalid_request")),
        (1008, "This agent requires authentication", ("auth", "auth")),
        (1011, "oops", ("closed", "network")),
        (3000, "", ("auth", "auth")),
        (4300, "", ("rate", "rate")),
        (None, "no close frame", ("network", "network")),
    ],
)
def test_closes_have_our_categories(code: int | None, reason: str, found: tuple[str, str] | None) -> None:
    loss = Talk().codec.loss(code, reason)
    assert (loss and (loss.code, loss.category)) == found


def test_unknown_types_are_shown_and_routine_ones_are_not() -> None:
    talk = Talk()
    fields = {"type": "mcp_tool_call", "mcp_tool_call": {"state": "loading"}}
    assert talk.codec.decode('{"type":"mcp_tool_call","mcp_tool_call":{"state":"loading"}}') == [
        RawEvent("mcp_tool_call", fields)
    ]
    assert talk.codec.decode('{"type":"internal_turn_probability"}') == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"type":1}',
        '{"type":"audio"}',
        '{"type":"audio","audio_event":[]}',
        '{"type":"audio","audio_event":{"audio_base_64":"!","event_id":1}}',
        '{"type":"audio","audio_event":{"audio_base_64":"","event_id":1.5}}',
        '{"type":"audio","audio_event":{"audio_base_64":"","event_id":"9999999999999999999"}}',
        '{"type":"audio","audio_event":{"audio_base_64":"","is_final":"yes"}}',
        '{"type":"ping","ping_event":{}}',
        '{"type":"vad_score","vad_score_event":{"vad_score":"high"}}',
        '{"type":"client_tool_call","client_tool_call":{"tool_name":"x"}}',
        '{"type":"client_tool_call","client_tool_call":{"tool_name":"x","tool_call_id":"c","parameters":"p"}}',
        '{"type":"error","error_event":{"code":"1008"}}',
    ],
)
def test_malformed_messages_are_wire_errors(text: str) -> None:
    with pytest.raises(WireError):
        Talk().codec.decode(text)


def test_audio_before_the_beginning_is_a_wire_error() -> None:
    with pytest.raises(WireError, match="metadata"):
        Talk(is_ready=False).sound(SOUND)
