import asyncio
import json
import wave
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path

import numpy as np
import pytest
from starlette.websockets import WebSocket

from channels.carrier.call import Dial, place_call
from channels.carrier.caller import Script, Utterance
from channels.carrier.media import open_leg
from channels.carrier.report import (
    AgentBegan,
    AgentEnded,
    AgentHeard,
    CallEnded,
    CallerBegan,
    CallEvent,
    CallReport,
    KeyPressed,
    StreamStarted,
)
from channels.carrier.signature import sign
from channels.carrier.tally import MAX_COMPLAINTS, Tally
from channels.media_streams import Connected, Dtmf, Mark, Media, Start, Stop, write_mark, write_media
from tests.carrier_service import (
    CONNECT,
    PUBLIC_URL,
    TOKEN,
    FakeService,
    MediaDoor,
    ToneAgent,
    says,
    serving,
    tone,
)

HELLO = Utterance(tone(200), "hello")
SID = "CA" + "1" * 32
SHORT = Script(hang_up_after_s=0.15)
ONE_FRAME = "/" * 213 + "w=="


def dial(service: FakeService) -> Dial:
    return Dial(public_url=PUBLIC_URL, local_url=service.url, auth_token=TOKEN, call_sid=SID)


def call(media: MediaDoor, script: Script, **twiml: str) -> tuple[CallReport, FakeService, list[CallEvent]]:
    """One call to a service with this media socket, and TwiML for `voice` and `after`."""

    async def run() -> tuple[CallReport, FakeService, list[CallEvent]]:
        events: list[CallEvent] = []
        async with serving(media, **twiml) as service:
            report = await place_call(dial(service), script, on_event=events.append)
        return report, service, events

    return asyncio.run(run())


def test_a_whole_call_is_dialled_talked_through_hung_up_and_recorded(tmp_path: Path) -> None:
    agent, events, path = ToneAgent(), list[CallEvent](), tmp_path / "call.wav"

    async def transcribe(pcm: bytes) -> str:
        return f"{len(pcm) // 48} ms"

    async def run() -> tuple[CallReport, FakeService]:
        async with serving(agent) as service:
            script = Script(utterances=(HELLO,), digits="5", wait_s=0.2)
            report = await place_call(
                dial(service), script, on_event=events.append, transcribe=transcribe, recording=path
            )
        return report, service

    report, service = asyncio.run(run())

    assert report.errors == () and report.is_good
    assert service.refused == []
    assert (report.ended_by, report.greeting, report.unsaid) == ("caller", "600 ms", 0)
    [turn] = report.turns
    assert (turn.said, turn.heard) == ("hello", "600 ms")
    assert turn.reply_ms is not None and 80 <= turn.reply_ms <= 250
    assert report.answer_ms is not None and 0 < report.answer_ms < 1000
    assert (report.marks, report.clears, report.frames_received, report.playout_gaps) == (2, 1, 20, 0)
    assert report.frames_sent == sum(isinstance(message, Media) for message in agent.received)
    assert [type(event) for event in events if not isinstance(event, AgentHeard)] == [
        *(StreamStarted, AgentBegan, AgentEnded, KeyPressed, CallerBegan, AgentBegan, AgentEnded, CallEnded)
    ]
    with wave.open(str(path), "rb") as wav:
        both = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2)
    loud_ms = (np.abs(both) > 1000).sum(axis=0) / 8
    assert 150 < loud_ms[0] < 210 and 300 < loud_ms[1] < 410


def test_the_service_gets_what_twilio_sends_in_twilios_order() -> None:
    agent = ToneAgent(hangs_up_after=1)
    report, service, _ = call(agent, Script(utterances=(HELLO,), wait_s=0.2))

    assert report.errors == () and report.is_good and report.ended_by == "agent"
    paths = [path for path, _ in service.posts if path != "/twilio/stream-status"]
    assert paths == ["/twilio/voice", "/twilio/after-stream", "/twilio/status"]
    [voice], [after], [status] = (service.forms(path) for path in paths)
    assert (voice["CallSid"], voice["CallStatus"], voice["Direction"]) == (SID, "ringing", "inbound")
    assert voice["From"] == voice["Caller"] == "+15550100100" and voice["FromCity"] == ""
    assert after["CallStatus"] == "in-progress"
    assert (status["CallStatus"], status["SequenceNumber"]) == ("completed", "0")
    assert int(status["CallDuration"]) == report.duration_ms // 1000
    assert parsedate_to_datetime(status["Timestamp"])
    streams = service.forms("/twilio/stream-status")
    assert [form["StreamEvent"] for form in streams] == ["stream-started", "stream-stopped"]
    assert streams[0]["StreamName"] == streams[0]["StreamSid"] and streams[0]["Timestamp"].endswith("Z")
    [headers] = service.upgrade_headers
    assert not headers.keys() & {"origin", "sec-websocket-protocol", "sec-websocket-extensions"}


def test_the_media_socket_carries_every_message_in_twilios_shape() -> None:
    agent = ToneAgent(greeting_ms=40)
    report, _, _ = call(agent, Script(digits="5#", interrupt_ms=60, hang_up_after_s=0.5))

    first, second, *rest = agent.received
    assert first == Connected() and isinstance(second, Start)
    assert (second.call_sid, second.parameters) == (SID, {"token": "a&b"})
    assert [message for message in rest if not isinstance(message, Media)] == [
        *(Mark("greeting"), Dtmf("5"), Dtmf("#"), Stop())
    ]
    media = [message for message in rest if isinstance(message, Media)]
    assert [message.timestamp_ms for message in media] == [53 + 20 * n for n in range(len(media))]
    numbered = [json.loads(text) for text in agent.texts[1:]]
    assert [message["sequenceNumber"] for message in numbered] == [str(n) for n in range(1, len(numbered) + 1)]
    assert all(message["streamSid"] == second.stream_sid for message in numbered)
    chunks = [message["media"]["chunk"] for message in numbered if message["event"] == "media"]
    assert chunks == [str(n) for n in range(1, report.frames_sent + 1)]


def test_frames_come_every_20_ms_by_deadlines_that_do_not_drift() -> None:
    report, _, _ = call(ToneAgent(), Script(hang_up_after_s=0.5))

    said_ms = [at_ms for at_ms, _ in report.tape.said]
    assert said_ms == list(range(said_ms[0], said_ms[0] + 20 * len(said_ms), 20))
    assert 500 <= said_ms[-1] + 20 < 520
    assert report.lateness_p99_ms < 100


def test_an_interrupted_agent_is_cut_at_its_clear_and_its_marks_come_back() -> None:
    agent = ToneAgent(greeting_ms=5000, hangs_up_after=1)
    report, _, events = call(agent, Script(utterances=(HELLO,), interrupt_ms=200))

    assert report.is_good and report.clears == 1
    greeting = next(event for event in events if isinstance(event, AgentEnded))
    assert greeting.was_cleared and 200 <= greeting.at_ms - greeting.began_ms <= 400
    assert [message.name for message in agent.received if isinstance(message, Mark)] == ["greeting", "reply 1"]


def test_the_record_of_what_was_played_is_exact_to_the_frame() -> None:
    frames = [bytes([value]) * 160 for value in (10, 20, 30)]
    messages = [write_media("SID", frames[0] + frames[1]), write_mark("SID", "m"), write_media("SID", frames[2])]
    report, _, _ = call(says(messages), SHORT)

    assert [ulaw for _, ulaw in report.tape.played] == frames
    first_ms = report.tape.played[0][0]
    assert [at_ms - first_ms for at_ms, _ in report.tape.played] == [0, 20, 40]
    assert report.answer_ms == first_ms


def test_every_message_that_twilio_would_not_take_fails_the_call_and_has_no_other_effect() -> None:
    wrong: dict[str | bytes, str] = {
        "not json": "not JSON",
        b'{"event":"clear","streamSid":"SID"}': "binary frame",
        '{"event":"clear","streamSid":"MZother"}': "streamSid 'MZother'",
        '{"event":"clear","streamSid":"SID","extra":1}': "extra field",
        '{"event":"media","streamSid":"SID","media":{"payload":"AAAA"}}': "not whole frames",
        '{"event":"mark","streamSid":"SID","mark":{}}': "31951",
    }
    report, _, _ = call(says(list(wrong)), SHORT)

    assert len(report.errors) == len(wrong)
    for error, complaint in zip(report.errors, wrong.values(), strict=True):
        assert error.startswith("protocol: ") and complaint in error
    assert (report.is_good, report.clears, report.frames_received) == (False, 0, 0)


def test_a_flood_of_wrong_messages_is_kept_only_in_part() -> None:
    report, _, _ = call(says(["{}"] * 200), SHORT)

    assert len(report.errors) == MAX_COMPLAINTS


def test_audio_beyond_ten_minutes_is_lost_with_a_warning() -> None:
    minute = write_media("SID", b"\xff" * 160 * 3000)
    report, _, _ = call(says([minute] * 11), SHORT)

    assert report.frames_received == 33_000
    assert [warning for warning in report.warnings if "31931" in warning]
    assert report.errors == ()


def test_a_call_that_is_turned_away_never_gets_a_stream() -> None:
    report, service, _ = call(ToneAgent(), Script(), voice='<Response><Reject reason="busy"/></Response>')

    assert (report.ended_by, report.is_good, report.errors) == ("rejected", False, ())
    assert service.forms("/twilio/status")[0]["CallStatus"] == "busy"
    assert service.upgrade_headers == []


def test_words_of_the_carrier_take_their_time_and_are_reported() -> None:
    voice = "<Response><Say>Sorry.</Say><Redirect>/twilio/next</Redirect></Response>"
    report, service, _ = call(ToneAgent(), Script(utterances=(HELLO,)), voice=voice)

    assert report.carrier_said == ("Sorry.",)
    assert report.duration_ms >= 6 * 60
    assert [path for path, _ in service.posts] == ["/twilio/voice", "/twilio/next", "/twilio/status"]
    assert report.errors == ("the agent ended the call with 1 of the caller's utterances unsaid",)


def test_the_caller_can_hang_up_while_the_line_only_waits() -> None:
    report, _, _ = call(ToneAgent(), SHORT, voice='<Response><Pause length="60"/></Response>')

    assert report.ended_by == "caller"
    assert 150 <= report.duration_ms < 1000


@pytest.mark.parametrize(
    ("voice", "complaint"),
    [
        ("<Response><Enqueue>desk</Enqueue></Response>", "<Enqueue>, which is not simulated"),
        ("<Response><Start><Stream url='wss://h'/></Start></Response>", "<Connect><Stream> can"),
        ("<Response><Say>x</Say><Reject/></Response>", "<Reject> for a call that has been answered"),
        ("<Response>", "12100"),
        ("<Response><Redirect>/twilio/voice</Redirect></Response>", "more than 20 documents"),
    ],
)
def test_twiml_that_cannot_be_run_ends_the_call_with_its_reason(voice: str, complaint: str) -> None:
    report, service, _ = call(ToneAgent(), Script(), voice=voice)

    assert report.ended_by == "carrier-error"
    assert [error for error in report.errors if complaint in error]
    assert len(service.forms("/twilio/status")) == 1


async def _refuse(websocket: WebSocket) -> None:
    await websocket.close(1011, "no model")


@pytest.mark.parametrize(
    ("media", "voice", "complaint"),
    [
        (ToneAgent(), CONNECT.replace("twilio/media", "twilio/nowhere"), "refused with HTTP 403 (31920)"),
        (ToneAgent(), CONNECT.replace("wss://gw.example.com", "ws://gw.example.com"), "31922"),
        (_refuse, CONNECT, "broke with code 1011: no model"),
    ],
)
def test_a_stream_that_fails_is_told_of_and_the_twiml_goes_on(media: MediaDoor, voice: str, complaint: str) -> None:
    report, service, _ = call(media, Script(), voice=voice)

    assert [error for error in report.errors if complaint in error] and not report.is_good
    last = service.forms("/twilio/stream-status")[-1]
    assert last["StreamEvent"] == "stream-error" and complaint in last["StreamError"]
    assert len(service.forms("/twilio/after-stream")) == 1


def test_a_stream_address_with_a_query_string_is_connected_without_it() -> None:
    report, service, _ = call(ToneAgent(), SHORT, voice=CONNECT.replace("/media", "/media?token=1"))

    assert service.refused == [] and len(service.upgrade_headers) == 1
    assert [warning for warning in report.warnings if "query string" in warning]


def test_a_service_that_refuses_the_signature_is_reported() -> None:
    async def run() -> CallReport:
        async with serving(ToneAgent()) as service:
            wrong = Dial(public_url=PUBLIC_URL, local_url=service.url, auth_token="another token")
            return await place_call(wrong, Script())

    report = asyncio.run(run())

    assert report.ended_by == "carrier-error"
    assert report.errors[0] == f"{PUBLIC_URL}/twilio/voice answered HTTP 403 (11200)"


def test_an_observer_that_raises_ends_the_call_at_once() -> None:
    def on_event(event: CallEvent) -> None:
        raise ValueError(f"did not expect {event}")

    async def run() -> None:
        async with serving(ToneAgent()) as service:
            with pytest.raises(ExceptionGroup):
                await place_call(dial(service), Script(), on_event=on_event)

    asyncio.run(run())


def test_a_service_that_is_not_there_is_reported_once() -> None:
    nowhere = Dial(public_url="http://127.0.0.1:9", auth_token=TOKEN)
    report = asyncio.run(place_call(nowhere, Script()))

    assert report.ended_by == "carrier-error"
    [error] = report.errors
    assert error.startswith("cannot reach http://127.0.0.1:9/twilio/voice")


def test_a_media_leg_alone_sends_whatever_a_test_wants() -> None:
    agent = ToneAgent(greeting_ms=20)
    start = Start("MZ" + "2" * 32, SID, "AC" + "0" * 32)

    async def run() -> Tally:
        signature = sign("wss://gw.example.com/twilio/media", {}, TOKEN)
        async with serving(agent) as service:
            url = service.url.replace("http", "ws") + "/twilio/media"
            async with open_leg(url, start, signature=signature) as leg:
                await leg.begin()
                await leg.raw('{"event":"foo"}')
                await leg.media(b"\xff" * 160)
                await leg.stop()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await leg.receive()
        return leg.tally

    tally = asyncio.run(run())

    assert (tally.marks, tally.frames_received, tally.frames_sent) == (1, 1, 1)
    assert [json.loads(text)["event"] for text in agent.texts] == ["start", "foo", "media", "stop"]
