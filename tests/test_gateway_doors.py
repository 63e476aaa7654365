"""What the service does with strangers, liars and lines that break: over real sockets."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import pytest

import channels.streams
import channels.twilio
import gateway.body
import gateway.media
from agents import RealtimeAgent
from agents.errors import ChannelError
from agents.events import AudioInputAppend, ResponseCreate
from agents.providers.scripted import ScriptedModel
from agents.providers.scripted.steps import Expect, Fail, Say, Step
from channels.carrier.sids import new_call_sid
from channels.carrier.signature import sign
from channels.media_streams import Start
from gateway.numbers import Numbers
from tests.service import ACCOUNT, NUMBER, PUBLIC, TOKEN, RunningService, running, voice_fields

GREETING: tuple[Step, ...] = (Expect(ResponseCreate), Say("Hello.", 300))
QUIET = bytes([0xFF]) * 160
LOUD = bytes([0x80, 0x00]) * 80


def agent(*steps: Step, name: str = "test", **more: Any) -> RealtimeAgent:
    return RealtimeAgent(name=name, model=ScriptedModel(steps or GREETING, patience_s=20), greeting="Hello.", **more)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(bounded())


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 seen from outside the service, there is no event
            await asyncio.sleep(0.005)


def models(connected: RealtimeAgent) -> list[Any]:
    assert isinstance(connected.model, ScriptedModel)
    return connected.model.connections


async def healthy(service: RunningService) -> None:
    """A whole call still works."""
    report = await service.call(hang_up_after_s=0.6)
    assert report.answer_ms is not None
    assert report.errors == ()


# ---- webhooks ----


@pytest.mark.parametrize(
    ("fields", "signature"),
    [
        (voice_fields("CA" + "1" * 32), None),
        (voice_fields("CA" + "1" * 32), "bm90IGEgc2lnbmF0dXJl"),
        (voice_fields("CA" + "1" * 32), "é"),
    ],
)
def test_a_webhook_without_twilios_signature_is_refused_and_opens_nothing(
    fields: dict[str, str], signature: str | None
) -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            for path in ("/twilio/voice", "/twilio/after-stream", "/twilio/status", "/twilio/stream-status"):
                status, _ = await service.post(path, fields, signature)
                assert status == 403
            assert (models(ours), len(service.calls)) == ([], 0)

    run(test)


def test_a_signature_for_other_parameters_is_refused() -> None:
    async def test() -> None:
        async with running(agent()) as service:
            fields = voice_fields(new_call_sid())
            signature = sign(PUBLIC + "/twilio/voice", fields, TOKEN)
            assert (await service.post("/twilio/voice", fields | {"Extra": ""}, signature))[0] == 403
            assert (await service.post("/twilio/voice", {**fields, "To": "+15550100201"}, signature))[0] == 403

    run(test)


def test_a_webhook_of_another_account_is_refused() -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            fields = voice_fields(new_call_sid()) | {"AccountSid": "AC" + "9" * 32}
            assert (await service.post("/twilio/voice", fields))[0] == 403
            assert models(ours) == []

    run(test)


def test_a_huge_or_broken_body_is_refused() -> None:
    async def test() -> None:
        async with running(agent()) as service:
            assert (await service.post("/twilio/voice", {"a": "b" * 70_000}))[0] == 413
            assert (await service.post("/twilio/voice", [(f"f{n}", "") for n in range(300)]))[0] == 400
            await healthy(service)

    run(test)


def test_a_client_that_leaves_in_mid_body_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with running(agent()) as service:
            _, writer = await unfinished_request(service)
            writer.close()
            await writer.wait_closed()
            await until(lambda: not service.server.server_state.tasks)
            await healthy(service)

    run(test)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_body_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.body, "BODY_TIMEOUT_S", 0.2)

    async def test() -> None:
        async with running(agent()) as service:
            reader, writer = await unfinished_request(service)
            answer = await reader.read()  # to the end: the connection is closed as well
            assert answer.startswith(b"HTTP/1.1 408 ")
            writer.close()

    run(test)


async def unfinished_request(service: RunningService) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection with a webhook of which the body is still to come, taken up by the service."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(service.url).port)
    writer.write(b"POST /twilio/voice HTTP/1.1\r\nHost: gw\r\nContent-Length: 1000\r\n\r\nCallSid=CA")
    await until(lambda: service.server.server_state.tasks)
    return reader, writer


@pytest.mark.parametrize("path", ["/twilio/voice", "/twilio/after-stream", "/twilio/status", "/twilio/stream-status"])
def test_a_head_request_opens_nothing(path: str) -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours) as service, aiohttp.ClientSession() as http:
            path_and_query = f"{path}?{urlencode(voice_fields(new_call_sid()))}"
            signature = {"X-Twilio-Signature": sign(PUBLIC + path_and_query, {}, TOKEN)}
            async with http.head(service.url + path_and_query, headers=signature) as answer:
                assert answer.status == 405
                assert set(answer.headers["Allow"].split(", ")) == {"GET", "POST"}
            assert models(ours) == []
            async with http.get(service.url + path_and_query, headers=signature) as answer:
                assert answer.status == 200

    run(test)


@pytest.mark.parametrize("sid", ["", "CA 1", "CA1\n", "../CA1", "\uff23\uff211", "CA-1", "C" * 65])
def test_a_call_sid_that_is_none_is_refused(sid: str) -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            for path in ("/twilio/voice", "/twilio/after-stream", "/twilio/status", "/twilio/stream-status"):
                assert (await service.post(path, voice_fields(sid)))[0] == 400
            assert (await service.post("/twilio/status", {"AccountSid": ACCOUNT}))[0] == 400
            assert (await service.post("/twilio/voice", voice_fields("C" * 64)))[0] == 200
            assert len(models(ours)) == 1

    run(test)


def test_the_answer_connects_the_stream_without_a_query_and_with_an_action_that_ends_the_call() -> None:
    async def test() -> None:
        async with running(agent()) as service:
            sid = new_call_sid()
            status, body = await service.post("/twilio/voice", voice_fields(sid))
            assert status == 200
            assert 'url="wss://gw.example.com/twilio/media"' in body
            assert 'action="https://gw.example.com/twilio/after-stream"' in body
            assert 'statusCallback="https://gw.example.com/twilio/stream-status"' in body
            assert '<Parameter name="token"' in body
            _, after = await service.post("/twilio/after-stream", voice_fields(sid))
            assert after.endswith("<Hangup /></Response>")

    run(test)


def test_a_stream_that_never_came_is_an_apology_and_an_ended_call() -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            start = await service.ring()
            _, body = await service.post("/twilio/after-stream", voice_fields(start.call_sid))
            assert "technical problem" in body
            assert (len(service.calls), models(ours)[0].is_closed) == (0, True)

    run(test)


def test_the_dialled_number_chooses_the_agent_and_others_get_the_default_or_an_apology() -> None:
    async def test() -> None:
        day, night = agent(name="day"), agent(name="night")
        async with running(day, night, numbers=Numbers("day", {NUMBER: "night"})) as service:
            await service.call(hang_up_after_s=0.3)
            await service.call(hang_up_after_s=0.3, number="+15550100999")
            assert (len(models(day)), len(models(night))) == (1, 1)
        async with running(agent(), numbers=Numbers(None, {NUMBER: "test"})) as service:
            report = await service.call(number="+15550100999")
            assert report.carrier_said == ("Sorry, this number is not in service.",)
            assert report.ended_by == "agent"

    run(test)


def test_a_webhook_delivered_twice_opens_one_call() -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            first = await service.ring()
            again = await service.ring(first.call_sid)
            assert again.parameters == first.parameters
            assert (len(service.calls), len(models(ours))) == (1, 1)

    run(test)


def test_calls_beyond_the_limit_hear_a_busy_signal_and_a_slot_is_free_again_after_a_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        async with running(agent(), MAX_CALLS="1") as service:
            start = await service.ring()
            refused = await service.call()
            assert refused.ended_by == "rejected"
            assert "turned away: 1 calls are live" in caplog.text
            await service.post("/twilio/status", voice_fields(start.call_sid) | {"CallStatus": "completed"})
            await until(lambda: not len(service.calls))
            await healthy(service)

    run(test)


def test_a_call_that_is_over_cannot_be_opened_again_by_its_webhook(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            fields = voice_fields(new_call_sid())
            await service.post("/twilio/status", fields | {"CallStatus": "completed"})
            _, body = await service.post("/twilio/voice", fields)
            assert "<Reject" in body
            assert models(ours) == []
            assert "turned away: the call is over" in caplog.text
            assert "are live" not in caplog.text

    run(test)


# ---- the media socket's door ----


@pytest.mark.parametrize("signature", [None, "bm90IGEgc2lnbmF0dXJl"])
def test_a_media_socket_without_twilios_signature_is_refused_at_the_handshake(signature: str | None) -> None:
    async def test() -> None:
        async with running(agent()) as service:
            start = await service.ring()
            with pytest.raises(ChannelError, match="403"):
                async with service.leg(start, signature=signature):
                    pass

    run(test)


def test_an_https_signature_is_not_taken_for_the_socket() -> None:
    async def test() -> None:
        async with running(agent()) as service:
            start = await service.ring()
            with pytest.raises(ChannelError, match="403"):
                async with service.leg(start, signature=sign(f"{PUBLIC}/twilio/media", {}, TOKEN)):
                    pass

    run(test)


def other(start: Start, **changes: Any) -> Start:
    fields = {name: getattr(start, name) for name in Start.__slots__}
    return Start(**(fields | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"parameters": {}},
        {"parameters": {"token": "guess"}},
        {"parameters": {"token": "ünï"}},
        {"call_sid": "CA" + "7" * 32},
        {"account_sid": "AC" + "7" * 32},
        {"media_format": ("audio/x-mulaw", 16000, 1)},
        {"media_format": ("audio/l16", 8000, 1)},
    ],
)
def test_a_start_with_a_wrong_token_call_account_or_format_is_closed(changes: dict[str, Any]) -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            start = await service.ring()
            async with service.leg(other(start, **changes)) as leg:
                await leg.connected()
                await leg.begin()
                await leg.receive()
                assert leg.tally.frames_received == 0
            await healthy(service)

    run(test)


def test_a_token_opens_one_stream_only() -> None:
    async def test() -> None:
        async with running(agent()) as service:
            start = await service.ring()
            async with service.leg(start) as first, service.leg(start) as second:
                for leg in (first, second):
                    await leg.connected()
                    await leg.begin()
                await second.receive()
                assert second.tally.frames_received == 0
                await first.stop()
                await first.receive()

    run(test)


def test_a_token_expires() -> None:
    async def test() -> None:
        async with running(agent()) as service:
            start = await service.ring()
            call = service.calls.live(start.call_sid)
            assert call is not None
            call.expires_at = 0.0
            async with service.leg(start) as leg:
                await leg.connected()
                await leg.begin()
                await leg.receive()
                assert leg.tally.frames_received == 0

    run(test)


def test_a_socket_that_sends_no_start_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.media, "START_TIMEOUT_S", 0.2)

    async def test() -> None:
        async with running(agent()) as service:
            start = await service.ring()
            async with service.leg(start) as leg:
                await leg.connected()
                await leg.receive()
            async with service.leg(start) as leg:
                await leg.connected()
                await leg.dtmf("5")
                await leg.receive()

    run(test)


def test_media_before_the_start_is_ignored() -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            start = await service.ring()
            async with service.leg(start) as leg:
                await leg.connected()
                await leg.media(LOUD)
                await leg.begin()
                await leg.media(QUIET)
                await until(lambda: any(isinstance(event, AudioInputAppend) for event in models(ours)[0].sent))
                await leg.stop()
                await leg.receive()
            heard = b"".join(event.pcm for event in models(ours)[0].sent if isinstance(event, AudioInputAppend))
            assert heard.strip(b"\0") == b""

    run(test)


def test_a_caller_who_never_comes_costs_no_model_session_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels.streams, "ARRIVAL_TIMEOUT_S", 0.2)

    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            await service.ring()
            await until(lambda: models(ours) and models(ours)[0].is_closed and not len(service.calls))

    run(test)


# ---- a line that misbehaves ----

NONSENSE: tuple[str | bytes, ...] = (
    "not json",
    "[]",
    '"x"',
    "null",
    "{}",
    '{"event":5}',
    '{"event":"media"}',
    '{"event":"media","media":{"payload":null}}',
    '{"event":"media","media":{"payload":7}}',
    '{"event":"media","media":{"payload":""}}',
    '{"event":"media","media":{"payload":"***"}}',
    '{"event":"media","media":{"payload":"abc"}}',
    '{"event":"media","media":{"payload":"/w=="}}',
    '{"event":"media","media":{"track":"outbound","payload":"////"}}',
    '{"event":"media","media":{"timestamp":"-5","payload":"////"}}',
    '{"event":"media","media":{"timestamp":"99999999999999999999","payload":"////"}}',
    '{"event":"media","media":{"timestamp":"999999999","payload":"////"}}',
    '{"event":"media","media":{"timestamp":1e400,"payload":"////"}}',
    '{"event":"media","media":{"timestamp":NaN,"payload":"////"}}',
    '{"event":"start"}',
    '{"event":"start","start":[]}',
    '{"event":"foo"}',
    '{"event":"mark","mark":{"name":"never asked for"}}',
    '{"event":"mark","mark":{"name":"' + "x" * 10_000 + '"}}',
    '{"event":"mark","mark":{"name":5}}',
    '{"event":"dtmf","dtmf":{"digit":""}}',
    '{"event":"dtmf","dtmf":{"digit":"12"}}',
    '{"event":"connected","event":"connected"}',
    "[" * 5000 + "]" * 5000,
    b'{"event":"connected"}',
)


def test_nonsense_on_the_line_is_ignored_and_the_call_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            start = await service.ring()
            async with service.leg(start) as leg:
                await leg.connected()
                await leg.begin()
                for text in NONSENSE:
                    await leg.raw(text)
                before = len(models(ours)[0].sent)
                for _ in range(5):
                    await leg.media(QUIET)
                await until(lambda: len(models(ours)[0].sent) >= before + 5)
                await leg.stop()
                await leg.receive()
            await until(lambda: not len(service.calls))
            assert not [record for record in caplog.records if record.levelno >= logging.ERROR]

    run(test)


@pytest.mark.parametrize("text", ['{"event":"media","media":{"payload":"' + "/" * 1_000_000 + '"}}', "x" * 100_000])
def test_an_oversize_message_ends_only_its_own_call(text: str) -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            start = await service.ring()
            async with service.leg(start) as leg:
                await leg.connected()
                await leg.begin()
                await service.started(start)
                await leg.raw(text)
                await leg.receive()
            await until(lambda: models(ours)[0].is_closed and not len(service.calls))
            await healthy(service)

    run(test)


def test_too_much_nonsense_ends_the_call() -> None:
    async def test() -> None:
        async with running(agent()) as service:
            start = await service.ring()
            async with service.leg(start) as leg:
                await leg.connected()
                await leg.begin()
                for _ in range(150):
                    await leg.raw("nonsense")
                await leg.receive()
            await until(lambda: not len(service.calls))

    run(test)


def test_a_flood_of_frames_does_not_flood_the_model() -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            start = await service.ring()
            async with service.leg(start) as leg:
                await leg.connected()
                await leg.begin()
                for _ in range(3000):
                    await leg.media(QUIET)
                await leg.dtmf("1")
                await leg.stop()
                await leg.receive()
            await until(lambda: not len(service.calls))
            heard = sum(len(event.pcm) for event in models(ours)[0].sent if isinstance(event, AudioInputAppend))
            assert heard < 48 * 15_000

    run(test)


def test_a_connection_reset_closes_the_model_and_frees_the_call() -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            start = await service.ring()
            async with service.leg(start) as leg:
                await leg.connected()
                await leg.begin()
                await leg.media(QUIET)
                leg.reset()
            await until(lambda: models(ours)[0].is_closed and not len(service.calls))
            await healthy(service)

    run(test)


def test_a_line_without_frames_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels.twilio, "MEDIA_TIMEOUT_S", 0.2)

    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            start = await service.ring()
            async with service.leg(start) as leg:
                await leg.connected()
                await leg.begin()
                await leg.receive()
            await until(lambda: service.calls.how_it_ended(start.call_sid))
            ended = service.calls.how_it_ended(start.call_sid)
            assert ended is not None
            assert (ended.closed.reason, models(ours)[0].is_closed) == ("line", True)

    run(test)


def test_a_stop_whose_socket_stays_open_is_closed_by_us() -> None:
    async def test() -> None:
        async with running(agent()) as service:
            start = await service.ring()
            async with service.leg(start) as leg, asyncio.timeout(5):
                await leg.connected()
                await leg.begin()
                await leg.stop()
                await leg.receive()

    run(test)


def test_a_stream_that_was_taken_away_is_closed_by_us_and_the_call_goes_on() -> None:
    async def test() -> None:
        async with running(agent()) as service:
            start = await service.ring()
            async with service.leg(start) as leg, asyncio.timeout(5):
                await leg.connected()
                await leg.begin()
                await service.started(start)
                call = service.calls.live(start.call_sid)
                assert call
                await until(lambda: call.channel.streams.present)
                call.channel.leave(5)
                await leg.stop()
                await leg.receive()
                assert call.is_elsewhere and call.session.closed is None

    run(test)


@pytest.mark.parametrize("times", [1, 2])
def test_a_completed_status_before_the_stop_ends_the_call(times: int) -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            start = await service.ring()
            async with service.leg(start) as leg:
                await leg.connected()
                await leg.begin()
                for _ in range(times):
                    await service.post("/twilio/status", voice_fields(start.call_sid) | {"CallStatus": "completed"})
                await leg.receive()
            assert models(ours)[0].is_closed

    run(test)


def test_a_second_stream_of_the_same_call_starts_fresh_and_only_one_is_live() -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            first = await service.ring()
            async with service.leg(first) as old:
                await old.connected()
                await old.begin()
                await old.media(QUIET)
                second = await service.ring(first.call_sid)
                assert second.parameters != first.parameters
                await old.receive()
                async with service.leg(second) as new:
                    await new.connected()
                    await new.begin()
                    await until(lambda: len(models(ours)) == 2)
                    assert len(service.calls) == 1
                    await new.stop()
                    await new.receive()

    run(test)


def test_a_second_start_in_the_stream_is_ignored() -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            start = await service.ring()
            async with service.leg(start) as leg:
                await leg.connected()
                await leg.begin()
                await leg.begin()
                await leg.media(QUIET)
                await until(lambda: any(isinstance(event, AudioInputAppend) for event in models(ours)[0].sent))
                await leg.stop()
                await leg.receive()
            assert len(models(ours)) == 1

    run(test)


# ---- a model that fails ----


def test_a_model_that_cannot_be_reached_is_an_apology_to_the_caller() -> None:
    async def test() -> None:
        async with running(agent(Fail("network", "no route", retryable=True))) as service:
            report = await service.call()
            assert "technical problem" in report.carrier_said[0]

    run(test)


def test_a_model_that_dies_in_mid_call_is_an_apology_and_other_calls_do_not_notice() -> None:
    async def test() -> None:
        sick = agent(*GREETING, Expect(AudioInputAppend), Fail("network", "gone", retryable=True), name="sick")
        well = agent(name="well")
        async with running(sick, well, numbers=Numbers("sick", {NUMBER: "well"})) as service:
            other, report = await asyncio.gather(service.call(hang_up_after_s=2.0), service.call(number="+15550100999"))
            assert "technical problem" in report.carrier_said[0]
            assert report.ended_by == "agent"
            assert (other.ended_by, other.errors, other.playout_gaps) == ("caller", (), 0)

    run(test)


def test_twenty_calls_at_once_share_nothing() -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours) as service:
            reports = await asyncio.gather(*(service.call(hang_up_after_s=1.5) for _ in range(20)))
            assert [report.errors for report in reports] == [()] * 20
            assert all(report.answer_ms is not None for report in reports)
            assert len({connection.session_id for connection in models(ours)}) == 20
            await until(lambda: all(connection.is_closed for connection in models(ours)))

    run(test)


# ---- shutdown ----


def test_a_stopping_service_refuses_new_calls_and_lets_live_ones_finish(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with running(agent(), DRAIN_S="20") as service:
            start = await service.ring()
            async with service.leg(start) as leg:
                await leg.connected()
                await leg.begin()
                service.stop()
                await until(lambda: service.calls.is_draining)
                assert (await service.call()).ended_by == "rejected"
                assert "turned away: the service is stopping" in caplog.text
                await leg.media(QUIET)
                assert len(service.calls) == 1
                await leg.stop()
                await leg.receive()

    run(test)


def test_live_calls_are_ended_when_the_time_for_them_is_over() -> None:
    async def test() -> None:
        ours = agent()
        async with running(ours, DRAIN_S="0.2") as service:
            start = await service.ring()
            async with service.leg(start) as leg:
                await leg.connected()
                await leg.begin()
                service.stop()
                await leg.receive()
            assert models(ours)[0].is_closed

    run(test)
