"""A cascade speaks the contract of a realtime model, whichever parts it has and whichever of them fails."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.cascade.stretch import END_WITHIN_S, SOUND_WITHIN_S
from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.events import (
    AudioInputAppend,
    AudioInputClear,
    AudioInputCommit,
    AudioOutputDelta,
    ItemTruncate,
    ItemTruncated,
    ResponseCancel,
    ResponseCreate,
    ResponseDone,
    SessionCreated,
    SessionError,
    SessionUpdate,
    SessionUpdated,
    TranscriptInput,
    TranscriptOutput,
)
from agents.local.brain import Say, Step
from agents.local.connection import LocalConnection
from agents.local.dialogue import SORRY
from agents.realtime import (
    PCMU,
    PastMessage,
    PastToolCall,
    RealtimeConnectOptions,
    SessionConfig,
    SessionResumeConfig,
    TokenCredential,
    TurnDetection,
    Voice,
)
from channels.carrier.virtual_time import run_virtual
from tests.fake_cartesia import CartesiaCall
from tests.fake_deepgram_listen import FluxCall, NovaCall
from tests.fake_deepgram_speak import SpeakCall
from tests.fake_ear import silence, tone
from tests.local_call import kinds, until
from tests.rig import Says
from tests.rig_cascade import CascadeRig, ElevenLabsVoiceRig, NovaAndAuraRig, RigBrain

LONG = Says("A very long story that goes on and on. And then it went on further.", 8000, holds=True)


@asynccontextmanager
async def connected(
    rig: CascadeRig, config: SessionConfig | None = None, **more: Any
) -> AsyncIterator[LocalConnection]:
    options = RealtimeConnectOptions(websocket=rig.websocket, session_config=config or SessionConfig(), **more)
    async with await rig.model().connect(options) as connection:
        await until(connection, SessionUpdated)
        yield connection
    assert rig.violations == []


def call(
    rig: CascadeRig,
    talk: Callable[[LocalConnection], Awaitable[None]],
    config: SessionConfig | None = None,
    **more: Any,
) -> None:
    """A call in virtual time, with nothing left over at its end."""

    async def main() -> None:
        async with connected(rig, config, **more) as connection:
            await talk(connection)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main())


async def speak(connection: LocalConnection, ms: int = 800) -> None:
    await connection.send(AudioInputAppend(tone(ms) + silence(800)))


async def ended(connection: LocalConnection) -> ProviderError:
    """Why the connection ends."""
    with pytest.raises(ProviderError) as caught:
        async for _ in connection:
            pass
    return caught.value


# ---- a turn ----


@pytest.mark.parametrize("make_rig", [CascadeRig, NovaAndAuraRig, ElevenLabsVoiceRig])
def test_a_turn_and_its_answer_come_in_the_order_of_a_realtime_model(make_rig: type[CascadeRig]) -> None:
    rig = make_rig()
    rig.will(Says("It is noon.", 600))

    async def talk(connection: LocalConnection) -> None:
        await speak(connection)
        done, events = await until(connection, ResponseDone)

        told = [kind for kind in kinds(events) if kind != "transcript.input.delta"]
        assert told == [
            "speech.started",
            "speech.stopped",
            "audio.input.committed",
            "transcript.input",
            "response.created",
            "transcript.output.delta",
            "audio.output.delta",
            "audio.output.done",
            "transcript.output",
            "response.done",
        ]
        heard = next(event for event in events if isinstance(event, TranscriptInput))
        assert heard.text == rig.caller_words
        pcm = b"".join(event.pcm for event in events if isinstance(event, AudioOutputDelta))
        assert pcm == tone(600)
        assert done.status == "completed"

    call(rig, talk)


@pytest.mark.parametrize("make_rig", [CascadeRig, NovaAndAuraRig, ElevenLabsVoiceRig])
def test_the_telephones_own_audio_passes_through(make_rig: type[CascadeRig]) -> None:
    rig = make_rig()
    rig.will(Says("It is noon.", 600))

    async def talk(connection: LocalConnection) -> None:
        await connection.send(AudioInputAppend(tone(800, PCMU) + silence(800, PCMU)))
        _, events = await until(connection, ResponseDone)

        assert b"".join(event.pcm for event in events if isinstance(event, AudioOutputDelta)) == tone(600, PCMU)
        assert rig.ear.calls[0].format == PCMU

    call(rig, talk, SessionConfig(input_format=PCMU, output_format=PCMU))


def test_a_sentence_is_heard_while_the_next_one_is_still_being_thought_of(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = CascadeRig()
    thinking = asyncio.Event()

    async def answer(self: RigBrain, *_: object) -> AsyncIterator[Step]:
        yield Say("One.")
        await thinking.wait()
        yield Say("Two.")

    monkeypatch.setattr(RigBrain, "answer", answer)

    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e"))
        await until(connection, AudioOutputDelta)
        assert not thinking.is_set()
        thinking.set()
        said, _ = await until(connection, TranscriptOutput)

        assert said.text == "One. Two."
        voice = rig.mouth.calls[0]
        assert isinstance(voice, CartesiaCall)
        assert list(voice.contexts.values()) == ["One. Two. "]

    call(rig, talk)


def test_a_context_that_has_paused_too_long_is_not_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = CascadeRig()

    async def answer(self: RigBrain, *_: object) -> AsyncIterator[Step]:
        yield Say("One.")
        await asyncio.sleep(2)
        yield Say("Two.")

    monkeypatch.setattr(RigBrain, "answer", answer)

    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e"))
        done, events = await until(connection, ResponseDone)

        assert done.status == "completed"
        assert [event.text for event in events if isinstance(event, TranscriptOutput)] == ["One. Two."]
        voice = rig.mouth.calls[0]
        assert isinstance(voice, CartesiaCall)
        assert list(voice.contexts.values()) == ["One. ", "Two. "]

    call(rig, talk)


@pytest.mark.parametrize("is_forgotten", [True, False])
def test_the_end_of_a_context_that_has_paused_too_long_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, is_forgotten: bool
) -> None:
    """Whether the voice then says that it knows no such context, or nothing at all."""
    rig = CascadeRig()

    async def answer(self: RigBrain, *_: object) -> AsyncIterator[Step]:
        yield Say("One.")
        await asyncio.sleep(2)
        rig.mouth.voice.holds = True
        voice = rig.mouth.calls[0]
        if is_forgotten and isinstance(voice, CartesiaCall):
            voice.expire()

    monkeypatch.setattr(RigBrain, "answer", answer)

    async def talk(connection: LocalConnection) -> None:
        began = asyncio.get_running_loop().time()
        await connection.send(ResponseCreate("e"))
        done, _ = await until(connection, ResponseDone)

        assert done.status == "completed"
        waited_s = 0 if is_forgotten else END_WITHIN_S
        assert asyncio.get_running_loop().time() - began == pytest.approx(2 + waited_s, abs=0.1)
        rig.mouth.violations.clear()  # it was told of a context that it had forgotten: nobody could know

    call(rig, talk)


@pytest.mark.parametrize("make_rig", [CascadeRig, NovaAndAuraRig, ElevenLabsVoiceRig])
def test_a_thought_that_ends_after_its_only_sentence_was_spoken_ends_the_response_at_once(
    monkeypatch: pytest.MonkeyPatch, make_rig: type[CascadeRig]
) -> None:
    rig = make_rig()

    async def answer(self: RigBrain, *_: object) -> AsyncIterator[Step]:
        yield Say("One.")
        await asyncio.sleep(1)

    monkeypatch.setattr(RigBrain, "answer", answer)

    async def talk(connection: LocalConnection) -> None:
        began = asyncio.get_running_loop().time()
        for number in (1, 2):
            await connection.send(ResponseCreate(f"e{number}"))
            done, _ = await until(connection, ResponseDone)

            assert done.status == "completed"
            assert asyncio.get_running_loop().time() - began == pytest.approx(number, abs=0.1)

    call(rig, talk)


# ---- interruption ----


@pytest.mark.parametrize("make_rig", [CascadeRig, NovaAndAuraRig, ElevenLabsVoiceRig])
def test_the_callers_voice_ends_the_response_and_nothing_of_it_comes_later(make_rig: type[CascadeRig]) -> None:
    rig = make_rig()
    rig.will(LONG, Says("Yes?", 300))

    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e"))
        await until(connection, AudioOutputDelta)
        await connection.send(AudioInputAppend(tone(800)))
        done, events = await until(connection, ResponseDone)
        rig.mouth.voice.holds = False
        await connection.send(AudioInputAppend(silence(800)))
        _, later = await until(connection, ResponseDone)

        assert (done.status, done.reason) == ("interrupted", "turn_detected")
        told = [kind for kind in kinds(events) if not kind.startswith(("audio", "transcript"))]
        assert told == ["speech.started", "response.interrupted", "response.done"]
        assert not [event for event in later if getattr(event, "response_id", "") == done.response_id]
        assert [event.text for event in later if isinstance(event, TranscriptOutput)] == ["Yes?"]
        assert b"".join(event.pcm for event in later if isinstance(event, AudioOutputDelta)) == tone(300)

    call(rig, talk)


def test_a_voice_that_waited_for_its_reader_says_nothing_any_more_once_it_is_stopped() -> None:
    rig = CascadeRig()
    rig.will(Says("A very long story.", 60_000), Says("Yes?", 300))

    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e"))
        await asyncio.sleep(1)  # in which nobody reads
        await connection.send(ResponseCancel())
        first, events = await until(connection, ResponseDone)
        await connection.send(ResponseCreate("f"))
        second, later = await until(connection, ResponseDone)

        assert sum(isinstance(event, AudioOutputDelta) for event in events) < 60_000 / 200
        assert (first.status, second.status) == ("cancelled", "completed")
        assert {getattr(event, "response_id", second.response_id) for event in later} == {second.response_id}

    call(rig, talk)


def test_what_the_caller_did_not_hear_is_not_remembered() -> None:
    rig = CascadeRig()
    rig.will(Says("We are open from nine in the morning until five in the afternoon.", 6500))

    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e"))
        _, events = await until(connection, ResponseDone)
        item_id = next(event.item_id for event in events if isinstance(event, TranscriptOutput))
        await connection.send(ItemTruncate(item_id, 0, 2000))
        cut, _ = await until(connection, ItemTruncated)

        assert cut.audio_end_ms == 2000
        [spoken] = rig._memories[0].items
        assert spoken.text == "We are open from nine"  # type: ignore[union-attr]

    call(rig, talk)


def test_an_interrupted_voice_that_does_not_confirm_is_left_for_another_connection() -> None:
    rig = NovaAndAuraRig()
    rig.mouth.confirms_clear = False  # type: ignore[union-attr]
    rig.will(LONG, Says("Yes?", 300))

    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e"))
        await until(connection, AudioOutputDelta)
        await connection.send(ResponseCancel())
        await until(connection, ResponseDone)
        rig.mouth.voice.holds = False
        await connection.send(ResponseCreate("f"))
        said, _ = await until(connection, TranscriptOutput)

        assert said.text == "Yes?"
        assert len(rig.mouth.calls) == 2
        assert rig.mouth.calls[0].close_code == 1000

    call(rig, talk)


def test_a_connection_with_too_many_silenced_contexts_is_left_for_another() -> None:
    rig = ElevenLabsVoiceRig()

    async def talk(connection: LocalConnection) -> None:
        for number in range(6):
            rig.will(LONG)
            await connection.send(ResponseCreate(f"{number}"))
            _, before = await until(connection, AudioOutputDelta)
            await connection.send(ResponseCancel())
            done, after = await until(connection, ResponseDone)
            assert done.status == "cancelled"
            assert "session.error" not in kinds(before + after)

        assert len(rig.mouth.calls) == 2

    call(rig, talk)


# ---- turns that we end ----


@pytest.mark.parametrize("make_rig", [CascadeRig, NovaAndAuraRig])
@pytest.mark.parametrize("mode", ["manual", "server_vad"])
def test_a_committed_turn_is_answered_with_its_words(make_rig: type[CascadeRig], mode: Any) -> None:
    rig = make_rig()
    rig.will(Says("It is noon.", 300))

    async def talk(connection: LocalConnection) -> None:
        await connection.send(AudioInputAppend(tone(800)))
        await asyncio.sleep(0.1)
        await connection.send(AudioInputCommit())
        await connection.send(ResponseCreate("e"))
        _, events = await until(connection, ResponseDone)

        told = kinds(events)
        assert ("speech.started" in told) == (mode == "server_vad")
        assert told.index("audio.input.committed") < told.index("response.created") < told.index("transcript.input")
        assert rig._memories[0].items[0].text == rig.caller_words  # type: ignore[union-attr]
        assert rig.responses() == 1

    call(rig, talk, SessionConfig(turn_detection=TurnDetection(mode=mode)))


def test_a_committed_turn_that_the_recogniser_says_nothing_of_is_empty_after_a_while() -> None:
    rig = CascadeRig()

    async def talk(connection: LocalConnection) -> None:
        await connection.send(AudioInputAppend(silence(800)))
        await connection.send(AudioInputCommit())
        heard, _ = await until(connection, TranscriptInput)
        await connection.send(AudioInputCommit())
        error, _ = await until(connection, SessionError)

        assert heard.text == ""
        assert (error.code, error.benign) == ("input_audio_buffer_commit_empty", True)

    call(rig, talk)


def test_without_interrupt_response_the_answer_comes_after_what_is_being_said() -> None:
    rig = CascadeRig()
    rig.will(LONG, Says("Yes?", 300))

    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e"))
        await until(connection, AudioOutputDelta)
        await speak(connection)
        await until(connection, TranscriptInput)
        await rig.release()
        first, _ = await until(connection, ResponseDone)
        said, _ = await until(connection, TranscriptOutput)

        assert first.status == "completed" and said.text == "Yes?"

    call(rig, talk, SessionConfig(turn_detection=TurnDetection(interrupt_response=False)))


def test_audio_that_was_heard_cannot_be_cleared() -> None:
    async def talk(connection: LocalConnection) -> None:
        with pytest.raises(NotSupportedError):
            await connection.send(AudioInputClear())

    call(CascadeRig(), talk)


@pytest.mark.parametrize("make_rig", [CascadeRig, NovaAndAuraRig])
def test_a_recogniser_that_hears_nothing_is_kept_awake(make_rig: type[CascadeRig]) -> None:
    rig = make_rig()

    async def talk(connection: LocalConnection) -> None:
        await asyncio.sleep(11)
        match rig.ear.calls[0]:
            case NovaCall() as nova:
                assert nova.controlled == ["KeepAlive", "KeepAlive"]
            case FluxCall() as flux:
                assert flux.heard_ms == 160 and not flux.ear.is_speech

    call(rig, talk)


# ---- what goes wrong ----


def test_a_voice_that_was_lost_between_two_replies_is_connected_again() -> None:
    rig = CascadeRig()

    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e", say="One."))
        await until(connection, ResponseDone)
        rig.mouth.calls[0].wire.drop()
        await asyncio.sleep(1)
        await connection.send(ResponseCreate("f", say="Two."))
        done, events = await until(connection, ResponseDone)

        assert done.status == "completed" and "session.error" not in kinds(events)
        assert len(rig.mouth.calls) == 2

    call(rig, talk)


def test_a_voice_that_is_lost_while_it_speaks_fails_the_response_and_apologises() -> None:
    rig = CascadeRig()
    rig.will(LONG)

    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e"))
        await until(connection, AudioOutputDelta)
        rig.mouth.calls[0].wire.drop()
        rig.mouth.voice.holds = False
        error, _ = await until(connection, SessionError)
        done, events = await until(connection, ResponseDone)

        assert error.message.startswith("speak (cartesia): ")
        assert (error.code, error.category, error.retryable) == ("network", "network", True)
        assert (done.status, done.reason) == ("failed", "network")
        assert [event.text for event in events if isinstance(event, TranscriptOutput)][-1] == SORRY

    call(rig, talk)


def test_a_voice_that_cannot_be_connected_again_ends_the_conversation() -> None:
    rig = CascadeRig()

    async def talk(connection: LocalConnection) -> None:
        rig.mouth.calls[0].wire.drop()
        rig.mouth.refusal = (401, {"error_code": "unauthorized", "message": "no such key"})
        await asyncio.sleep(1)
        await connection.send(ResponseCreate("e", say="One."))
        error = await ended(connection)

        assert str(error).startswith("speak (cartesia): ") and "CARTESIA_API_KEY" in str(error)
        assert (error.category, error.retryable) == ("auth", False)

    call(rig, talk)


def test_a_voice_with_nothing_left_to_spend_ends_the_conversation() -> None:
    rig = CascadeRig()
    rig.mouth.failure = (402, "quota_exceeded", "no credits")  # type: ignore[union-attr]

    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e", say="One."))
        error = await ended(connection)

        assert (error.code, error.category) == ("quota_exceeded", "quota")
        assert "speak (cartesia)" in str(error)

    call(rig, talk)


def test_a_recogniser_that_is_lost_ends_the_conversation() -> None:
    rig = CascadeRig()

    async def talk(connection: LocalConnection) -> None:
        rig.drop()
        error = await ended(connection)

        assert str(error).startswith("listen (deepgram-flux): ")
        assert (error.category, error.retryable) == ("network", True)
        with pytest.raises(ProviderError):
            await connection.send(AudioInputAppend(silence(200)))

    call(rig, talk)


def test_a_voice_that_never_tells_of_its_end_has_come_to_it_when_it_is_silent() -> None:
    rig = CascadeRig()
    rig.will(Says("One.", 400, holds=True))

    async def talk(connection: LocalConnection) -> None:
        began = asyncio.get_running_loop().time()
        await connection.send(ResponseCreate("e"))
        async with asyncio.timeout(2 * SOUND_WITHIN_S):
            async for event in connection:
                if isinstance(event, ResponseDone):
                    break

        assert isinstance(event, ResponseDone) and event.status == "completed"
        assert asyncio.get_running_loop().time() - began == pytest.approx(SOUND_WITHIN_S, abs=0.5)

    call(rig, talk)


def test_a_voice_that_says_nothing_at_all_fails_the_response() -> None:
    rig = CascadeRig()
    rig.will(Says("One.", 0, holds=True))

    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e"))
        error, _ = await until(connection, SessionError)
        assert (error.code, error.message) == (
            "timeout",
            f"speak (cartesia): the voice was silent for {SOUND_WITHIN_S:g} s",
        )

    call(rig, talk)


# ---- what is configured ----


def test_another_voice_in_the_middle_of_a_call_is_another_connection() -> None:
    rig = ElevenLabsVoiceRig()

    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e", say="One."))
        await until(connection, ResponseDone)
        await connection.send(SessionUpdate(SessionConfig(voice=Voice(voice_id="another", speed=1.1))))
        await connection.send(ResponseCreate("f", say="Two."))
        await until(connection, ResponseDone)

        first, second = rig.mouth.calls
        assert (first.voice, second.voice) == ("aura-2-thalia-en", "another")  # type: ignore[union-attr]
        assert list(second.settings.values()) == [{"speed": 1.1}]  # type: ignore[union-attr]

    call(rig, talk)


@pytest.mark.parametrize(
    "config",
    [
        SessionConfig(input_format=PCMU),
        SessionConfig(output_format=PCMU),
        SessionConfig(turn_detection=TurnDetection(silence_duration_ms=900)),
        SessionConfig(turn_detection=TurnDetection(mode="manual")),
        SessionConfig(noise_reduction="near_field"),
    ],
)
def test_what_cannot_change_during_a_call_is_refused(config: SessionConfig) -> None:
    async def talk(connection: LocalConnection) -> None:
        with pytest.raises(NotSupportedError):
            await connection.send(SessionUpdate(config))
        await connection.send(SessionUpdate(SessionConfig(instructions="Be brief.")))
        await until(connection, SessionUpdated)

    call(NovaAndAuraRig(), talk)


def test_a_conversation_goes_on_from_its_history_and_says_nothing_about_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = CascadeRig()
    past = (
        PastMessage("1", "assistant", "Good evening."),
        PastMessage("2", "user", "What time is it?"),
        PastToolCall("c", "clock", "{}", "noon"),
        PastMessage("3", "assistant", "It is noon."),
        PastMessage("4", "user", "And now?"),
    )

    async def talk(connection: LocalConnection) -> None:
        await asyncio.sleep(5)
        assert rig.responses() == 0
        memory = rig._memories[0]
        assert [item.item_id for item in memory.items] == ["1", "2", "c", "3", "4"]
        assert [message.text for message in memory.unanswered] == ["And now?"]

    call(rig, talk, history=past)


# ---- connecting ----


def test_connecting_without_a_key_names_its_variable_and_opens_nothing() -> None:
    rig = CascadeRig()
    model = rig.model()
    model._keys = {"DEEPGRAM_API_KEY": "k"}

    with pytest.raises(ConfigError, match="CARTESIA_API_KEY"):
        asyncio.run(model.connect(RealtimeConnectOptions(websocket=rig.websocket)))

    assert rig.connections == 0


def test_a_key_may_be_a_function_that_is_asked_at_each_connect() -> None:
    rig = CascadeRig()
    model = rig.model()
    keys = dict(model._keys)
    model._keys = {name: lambda key=key: key for name, key in keys.items()}  # type: ignore[misc]

    async def main() -> None:
        connection = await model.connect(RealtimeConnectOptions(websocket=rig.websocket))
        await connection.close()

    asyncio.run(main())

    assert rig.connections == 1
    assert [each.close_code for each in (*rig.ear.calls, *rig.mouth.calls)] == [1000, 1000]


@pytest.mark.parametrize(
    "options",
    [
        RealtimeConnectOptions(api_key="key"),
        RealtimeConnectOptions(credential=TokenCredential("t", datetime.now(UTC) + timedelta(hours=1))),
        RealtimeConnectOptions(resume=SessionResumeConfig("handle")),
        RealtimeConnectOptions(provider_options={"a": "b"}),
        RealtimeConnectOptions(session_config=SessionConfig(voice=Voice(speed=0.5))),
    ],
)
def test_options_that_say_nothing_of_which_part_they_are_for_are_refused(options: RealtimeConnectOptions) -> None:
    with pytest.raises(NotSupportedError):
        asyncio.run(CascadeRig().model().connect(options))


def test_there_is_no_credential_for_all_parts() -> None:
    with pytest.raises(NotSupportedError):
        asyncio.run(CascadeRig().model().authenticate())


def test_an_abort_before_the_connection_is_open_is_honoured() -> None:
    rig = CascadeRig()

    async def main() -> None:
        abort = asyncio.Event()
        abort.set()
        await rig.model().connect(RealtimeConnectOptions(websocket=rig.websocket, abort=abort))

    with pytest.raises(ProviderError) as caught:
        asyncio.run(main())

    assert caught.value.code == "aborted" and rig.connections == 0


@pytest.mark.parametrize(
    ("refusal", "category"),
    [
        ((401, {"error_code": "unauthorized", "message": "no"}), "auth"),
        ((402, {"error_code": "quota_exceeded", "message": "no"}), "quota"),
        ((429, {"error_code": "concurrency_limited", "message": "no"}), "rate"),
        ((503, {}), "unavailable"),
    ],
)
def test_a_part_that_is_refused_is_named_and_the_other_one_is_hung_up(refusal: Any, category: str) -> None:
    rig = CascadeRig()
    rig.mouth.refusal = refusal

    with pytest.raises(ProviderError) as caught:
        asyncio.run(rig.model().connect(RealtimeConnectOptions(websocket=rig.websocket)))

    assert str(caught.value).startswith("speak (cartesia): ")
    assert caught.value.category == category
    assert [each.close_code for each in rig.ear.calls] == [1000]


def test_the_first_event_names_the_session_and_the_capabilities_follow_from_the_parts() -> None:
    rig = NovaAndAuraRig()

    async def main() -> None:
        async with await rig.model().connect(RealtimeConnectOptions(websocket=rig.websocket)) as connection:
            first = await anext(aiter(connection))
            assert isinstance(first, SessionCreated) and first.session_id.startswith("cascade_")

    asyncio.run(main())
    able = rig.model().capabilities
    assert PCMU in able.input_formats and PCMU in able.output_formats
    assert (able.say, able.resume, able.truncate, able.cancel) == ("verbatim", "history", True, True)
    assert isinstance(rig.mouth.calls[0], SpeakCall)
