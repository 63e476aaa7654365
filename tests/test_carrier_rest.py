"""The simulated REST API, asked by the twilio package's own client wherever that can ask."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from channels.carrier.account import MAX_FAILURES, MAX_REMEMBERED, Account, Callee
from channels.carrier.call import ACCOUNT_SID, Dial, place_call
from channels.carrier.call_recording import MAX_STRETCHES, CallRecording
from channels.carrier.caller import Script
from channels.carrier.far_party import FarParty
from channels.carrier.live_call import MAX_RECORDINGS, Fetch, Given, LiveCall
from channels.carrier.report import CallEvent, CallReport, DigitsSent, StreamStarted
from channels.carrier.rest import MAX_BODY_BYTES, serve_rest
from channels.carrier.rest_api import RestApi
from channels.carrier.rest_forms import (
    INVALID,
    Form,
    RestError,
    read_new_call,
    read_new_message,
    read_new_recording,
    read_recording_update,
    read_update,
)
from channels.carrier.virtual_time import loop_time, run_virtual
from gateway.rest import BasicAuth
from tests.carrier_service import CONNECT, PUBLIC_URL, TOKEN, FakeService, ToneAgent, serving

SID = "CA" + "1" * 32
KEY = "SK" + "2" * 32
US, THEM = "+15550100200", "+15550100300"
BYE = "<Response><Say>Bye</Say></Response>"
QUICK = FarParty(rings_s=0.05, detected_s=0.05)
BRIEF = Script(hang_up_after_s=0.6)


def account(**more: Any) -> Account:
    return Account(sid=ACCOUNT_SID, auth_token=TOKEN, api_keys={KEY: "key-secret"}, **more)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


@asynccontextmanager
async def client(url: str, user: str = ACCOUNT_SID, password: str = TOKEN) -> AsyncIterator[Any]:
    """Twilio's own client, for that address."""
    async with AsyncTwilioHttpClient() as http:
        found = Client(
            account_sid=ACCOUNT_SID,
            http_client=http,
            credential_provider=BasicAuth(user, password),
            environment={"TWILIO_ACCOUNT_SID": ACCOUNT_SID},
        )
        found.api.base_url = url
        yield found


@asynccontextmanager
async def in_a_call(
    known: Account, script: Script, **twiml: str
) -> AsyncIterator[tuple[Any, FakeService, asyncio.Task[CallReport]]]:
    """A call whose stream has begun: a client of the API, the service that is called, and the call itself."""
    has_begun = asyncio.Event()

    def on_event(event: CallEvent) -> None:
        if isinstance(event, StreamStarted):
            has_begun.set()

    async with serving(ToneAgent(60_000), **twiml) as service, serve_rest(known) as url, client(url) as api:
        dial = Dial(public_url=PUBLIC_URL, local_url=service.url, auth_token=TOKEN, call_sid=SID)
        async with asyncio.TaskGroup() as tasks:
            placed = tasks.create_task(place_call(dial, script, on_event=on_event, account=known))
            await has_begun.wait()
            yield api, service, placed


@asynccontextmanager
async def placing(callee: Callee, voice: str = CONNECT) -> AsyncIterator[tuple[Any, FakeService, Account]]:
    """A service that can place calls to THEM: a client of the API, the service, and its account."""
    async with serving(ToneAgent(), voice=voice) as service:
        known = account(public_url=PUBLIC_URL, local_url=service.url, callees={THEM: callee})
        async with serve_rest(known) as url, client(url) as api:
            yield api, service, known


async def until(happened: Callable[[], object]) -> None:
    while not happened():  # noqa: ASYNC110 seen from outside the call, there is no event
        await asyncio.sleep(0.005)


async def until_over(known: Account, sid: str) -> LiveCall:
    await until(lambda: known.calls[sid].is_over)
    return known.calls[sid]


async def refusal(request: Awaitable[object]) -> tuple[int, int]:
    with pytest.raises(TwilioRestException) as caught:
        await request
    return caught.value.status, caught.value.code


# ---- who may ask, and for what ----


@pytest.mark.parametrize(("user", "password"), [(ACCOUNT_SID, "wrong"), (KEY, TOKEN), ("AC" + "9" * 32, TOKEN)])
def test_strangers_are_refused(user: str, password: str) -> None:
    async def test() -> None:
        async with serve_rest(account()) as url, client(url, user, password) as api:
            assert await refusal(api.calls(SID).fetch_async()) == (401, 20003)

    run(test)


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic ***"}])
def test_who_brings_no_credentials_is_refused_in_twilios_words(header: Mapping[str, str]) -> None:
    async def test() -> None:
        async with serve_rest(account()) as url, aiohttp.ClientSession() as http:
            path = f"{url}/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{SID}.json"
            async with http.get(path, headers=header) as answer:
                body = await answer.json()
        assert answer.status == 401
        more_info = "https://www.twilio.com/docs/errors/20003"
        assert body == {"code": 20003, "message": "Authenticate", "more_info": more_info, "status": 401}

    run(test)


@pytest.mark.parametrize(("user", "password"), [(ACCOUNT_SID, TOKEN), (KEY, "key-secret")])
def test_what_the_account_does_not_have_is_not_found(user: str, password: str) -> None:
    async def test() -> None:
        async with serve_rest(account()) as url, client(url, user, password) as api:
            assert await refusal(api.calls(SID).fetch_async()) == (404, 20404)
            assert await refusal(api.calls(SID).update_async(status="completed")) == (404, 20404)
            assert await refusal(api.calls(SID).recordings("RE1").update_async(status="stopped")) == (404, 20404)
            assert await refusal(api.queues.create_async(friendly_name="q")) == (404, 20404)
            assert await refusal(api.calls(SID).delete_async()) == (405, 20004)

    run(test)


def test_a_request_can_be_made_to_fail_and_the_next_one_goes_through() -> None:
    async def test() -> None:
        known = account()
        async with serve_rest(known) as url, client(url) as api:
            known.fail_next(429, 20429, "Too Many Requests")
            known.fail_next(503, 20503)
            assert await refusal(api.messages.create_async(to=THEM, from_=US, body="x")) == (429, 20429)
            assert await refusal(api.messages.create_async(to=THEM, from_=US, body="x")) == (503, 20503)
            await api.messages.create_async(to=THEM, from_=US, body="x")
        assert len(known.messages) == 1
        assert [(request.method, request.form["Body"]) for request in known.requests] == [("POST", ("x",))] * 3

    run(test)


def test_the_requests_of_one_path_can_be_made_to_fail() -> None:
    async def test() -> None:
        known = account()
        async with serve_rest(known) as url, client(url) as api:
            known.fail_next(503, 20503, path="/Calls/")
            await api.messages.create_async(to=THEM, from_=US, body="x")
            assert await refusal(api.calls(SID).update_async(status="completed")) == (503, 20503)
            assert await refusal(api.calls(SID).update_async(status="completed")) == (404, 20404)

    run(test)


def test_only_so_many_requests_can_be_made_to_fail() -> None:
    known = account()
    for _ in range(MAX_FAILURES):
        known.fail_next(503, 20503)

    with pytest.raises(ValueError, match=str(MAX_FAILURES)):
        known.fail_next(503, 20503)


def test_a_request_can_be_answered_late_that_was_carried_out_at_once() -> None:
    async def test() -> None:
        known = account()
        async with RestApi(known) as api:
            known.answer_late(60, path="/Messages.json")
            ours = BasicAuth(ACCOUNT_SID, TOKEN).get_auth_string()
            path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
            form = {"To": [THEM], "From": [US], "Body": ["x"]}
            began = loop_time()
            asking = [asyncio.ensure_future(api.answer("POST", path, form, authorization=ours)) for _ in range(2)]
            await asking[1]
            assert (loop_time() - began, len(known.messages)) == (0, 2)
            await asking[0]
            assert loop_time() - began == 60

    run_virtual(test())


def test_only_so_many_requests_can_be_answered_late() -> None:
    known = account()
    for _ in range(MAX_FAILURES):
        known.answer_late(1)

    with pytest.raises(ValueError, match=str(MAX_FAILURES)):
        known.answer_late(1)


def test_an_endless_form_is_refused() -> None:
    async def test() -> None:
        async with serve_rest(account()) as url, aiohttp.ClientSession() as http:
            form = {"Body": "x" * (MAX_BODY_BYTES + 1)}
            async with http.post(f"{url}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json", data=form) as answer:
                assert answer.status == 413

    run(test)


# ---- a live call ----


def test_a_call_that_is_completed_by_rest_ends_with_stop_and_is_over() -> None:
    async def test() -> None:
        known = account()
        async with in_a_call(known, Script()) as (api, service, placed):
            live = await api.calls(SID).fetch_async()
            assert (live.status, live.direction, live.from_formatted or live._from) == (
                "in-progress",
                "inbound",
                "+15550100100",
            )
            await api.calls(SID).update_async(status="completed")
            report = await placed
            over = await api.calls(SID).fetch_async()
            assert (over.status, int(over.duration), over.start_time <= over.end_time) == ("completed", 0, True)
            assert await refusal(api.calls(SID).update_async(status="completed")) == (400, 21220)
        assert (report.ended_by, report.errors) == ("agent", ())
        assert service.forms("/twilio/after-stream") == []
        assert [form["CallStatus"] for form in service.forms("/twilio/status")] == ["completed"]
        assert isinstance(service.media, ToneAgent) and '"event":"stop"' in service.media.texts[-1].replace(" ", "")

    run(test)


def test_a_call_is_moved_to_new_twiml_and_then_to_an_address() -> None:
    async def test() -> None:
        known = account()
        async with in_a_call(known, Script()) as (api, service, placed):
            service.answers["/twilio/next"] = BYE
            await api.calls(SID).update_async(twiml="<Response><Say>One moment.</Say><Pause length='60'/></Response>")
            await until(lambda: not known.calls[SID].is_ordered)
            await api.calls(SID).update_async(url=f"{PUBLIC_URL}/twilio/next")
            report = await placed
        assert report.carrier_said == ("One moment.", "Bye")
        assert service.forms("/twilio/next")[0]["CallStatus"] == "in-progress"

    run(test)


def test_canceling_does_nothing_to_a_call_that_is_in_progress() -> None:
    async def test() -> None:
        async with in_a_call(account(), BRIEF) as (api, _, placed):
            assert (await api.calls(SID).update_async(status="canceled")).status == "in-progress"
            assert (await placed).ended_by == "caller"

    run(test)


def test_a_time_limit_is_counted_from_the_answer() -> None:
    async def test() -> None:
        async with in_a_call(account(), Script()) as (api, _, placed):
            await api.calls(SID).update_async(time_limit=1)
            report = await placed
        assert (report.ended_by, report.duration_ms >= 1000) == ("agent", True)

    run(test)


def test_a_recording_is_begun_paused_and_stopped_and_the_service_is_told() -> None:
    async def test() -> None:
        known = account()
        async with in_a_call(known, Script()) as (api, service, placed):
            recordings = api.calls(SID).recordings
            begun = await recordings.create_async(
                recording_channels="dual",
                recording_status_callback=f"{PUBLIC_URL}/twilio/recorded",
                recording_status_callback_event=["in-progress", "completed"],
            )
            assert (begun.status, begun.channels, begun.duration) == ("in-progress", 2, "-1")
            one = api.calls(SID).recordings("Twilio.CURRENT")
            assert (await one.update_async(status="paused", pause_behavior="skip")).status == "paused"
            assert (await one.update_async(status="in-progress")).status == "in-progress"
            assert (await api.calls(SID).recordings(begun.sid).update_async(status="stopped")).duration == "0"
            assert await refusal(one.update_async(status="paused")) == (400, 21220)
            await api.calls(SID).update_async(status="completed")
            await placed
            assert await refusal(recordings.create_async()) == (400, 21220)
        told = service.forms("/twilio/recorded")
        assert [form["RecordingStatus"] for form in told] == ["in-progress", "completed"]
        assert told[1]["RecordingSid"] == begun.sid and told[1]["RecordingUrl"].endswith(begun.sid)

    run(test)


def test_a_recording_that_goes_on_is_complete_when_the_call_is_over() -> None:
    async def test() -> None:
        known = account()
        async with in_a_call(known, BRIEF) as (api, service, placed):
            callback = f"{PUBLIC_URL}/twilio/recorded"
            for _ in range(MAX_RECORDINGS):
                await api.calls(SID).recordings.create_async(recording_status_callback=callback)
            assert await refusal(api.calls(SID).recordings.create_async()) == (400, 21220)
            await placed
        assert [form["RecordingStatus"] for form in service.forms("/twilio/recorded")] == ["completed"] * MAX_RECORDINGS
        assert {recording.status for recording in known.calls[SID].recordings.values()} == {"completed"}

    run(test)


# ---- calls that the service places ----


def test_a_placed_call_rings_is_answered_and_talked_through_and_every_step_is_told() -> None:
    async def test() -> None:
        async with placing(Callee(party=QUICK, script=BRIEF)) as (api, service, known):
            call = await api.calls.create_async(
                to=THEM,
                from_=US,
                url=f"{PUBLIC_URL}/twilio/voice",
                status_callback=f"{PUBLIC_URL}/twilio/progress",
                status_callback_event=["initiated", "ringing", "answered", "completed"],
                machine_detection="Enable",
            )
            assert (call.status in ("queued", "ringing"), call.direction, call.to) == (True, "outbound-api", THEM)
            assert (await until_over(known, call.sid)).status == "completed"
        told = service.forms("/twilio/progress")
        assert [form["CallStatus"] for form in told] == ["initiated", "ringing", "in-progress", "completed"]
        assert [form["SequenceNumber"] for form in told] == ["0", "1", "2", "3"]
        [voice] = service.forms("/twilio/voice")
        assert (voice["Direction"], voice["CallStatus"], voice["AnsweredBy"]) == (
            "outbound-api",
            "in-progress",
            "human",
        )
        assert (voice["From"], voice["To"], voice["CallSid"]) == (US, THEM, call.sid)
        assert service.forms("/twilio/status") == [] and service.refused == []
        [report] = known.reports
        assert (report.ended_by, report.errors, report.frames_received > 0) == ("caller", (), True)

    run(test)


@pytest.mark.parametrize(
    ("party", "status"),
    [
        (FarParty(does="busy", rings_s=0.05), "busy"),
        (FarParty(does="failed", rings_s=0.05), "failed"),
        (FarParty(does="no-answer"), "no-answer"),
    ],
)
def test_a_placed_call_that_nobody_answers_tells_why(party: FarParty, status: str) -> None:
    async def test() -> None:
        async with placing(Callee(party=party)) as (api, service, known):
            progress = f"{PUBLIC_URL}/twilio/progress"
            call = await api.calls.create_async(to=THEM, from_=US, twiml=BYE, timeout=1, status_callback=progress)
            await until_over(known, call.sid)
        assert [form["CallStatus"] for form in service.forms("/twilio/progress")] == [status]
        assert [report.ended_by for report in known.reports] == ["unanswered"]

    run(test)


@pytest.mark.parametrize("order", ["canceled", "completed"])
def test_a_placed_call_can_be_taken_back_while_it_rings(order: str) -> None:
    async def test() -> None:
        async with placing(Callee(party=FarParty(does="no-answer"))) as (api, _, known):
            call = await api.calls.create_async(to=THEM, from_=US, twiml=BYE)
            assert await refusal(api.calls(call.sid).update_async(twiml=BYE)) == (400, 21220)
            await api.calls(call.sid).update_async(status=order)
            assert (await until_over(known, call.sid)).status == "canceled"

    run(test)


def test_digits_are_sent_to_who_answers_and_leave_machine_detection_out() -> None:
    async def test() -> None:
        async with placing(Callee(party=QUICK)) as (api, service, known):
            call = await api.calls.create_async(
                to=THEM, from_=US, url=f"{PUBLIC_URL}/twilio/voice2", send_digits="1w", machine_detection="Enable"
            )
            await until_over(known, call.sid)
        assert "AnsweredBy" not in service.forms("/twilio/voice2")[0]
        [sent] = known.reports[0].carrier_did
        assert isinstance(sent, DigitsSent) and sent.digits == "1w"

    run(test)


def test_a_verdict_on_a_machine_comes_by_itself_when_it_is_not_waited_for() -> None:
    async def test() -> None:
        party = FarParty(rings_s=0.05, detected_s=0.1, answered_by="machine_start")
        async with placing(Callee(party=party, script=BRIEF)) as (api, service, known):
            call = await api.calls.create_async(
                to=THEM,
                from_=US,
                twiml="<Response><Pause length='2'/></Response>",
                machine_detection="Enable",
                async_amd="true",
                async_amd_status_callback=f"{PUBLIC_URL}/twilio/amd",
            )
            await until_over(known, call.sid)
        [verdict] = service.forms("/twilio/amd")
        assert (verdict["CallSid"], verdict["AnsweredBy"]) == (call.sid, "machine_start")

    run(test)


def test_an_account_without_a_service_places_no_calls() -> None:
    async def test() -> None:
        async with serve_rest(account()) as url, client(url) as api:
            assert await refusal(api.calls.create_async(to=THEM, from_=US, twiml=BYE)) == (500, 20500)

    run(test)


def test_calls_that_go_on_are_hung_up_when_the_api_closes() -> None:
    async def test() -> None:
        async with placing(Callee(party=QUICK)) as (api, _, known):
            call = await api.calls.create_async(to=THEM, from_=US, twiml="<Response><Pause length='600'/></Response>")
            await until(lambda: known.calls[call.sid].status == "in-progress")
        assert (known.calls[call.sid].status, len(known.reports)) == ("completed", 1)

    run(test)


def test_calls_that_are_over_are_forgotten_one_day_and_live_ones_never() -> None:
    async def test() -> None:
        known = account()
        for n in range(MAX_REMEMBERED + 2):
            known.add(_live(f"CA{n}"))
            if n != 0:
                known.calls[f"CA{n}"].end("completed")
        assert (len(known.calls), "CA0" in known.calls, "CA1" in known.calls) == (MAX_REMEMBERED, True, False)

    run(test)


def _live(sid: str) -> LiveCall:
    return LiveCall(
        sid=sid,
        account_sid=ACCOUNT_SID,
        from_number=THEM,
        to_number=US,
        direction="inbound",
        now_ms=lambda: 0,
        leaves_after_s=None,
        tell=lambda event: None,
        post=lambda url, params: None,
    )


# ---- recordings, in time ----


@pytest.mark.parametrize(("keeps_silence", "duration_ms"), [(True, 9000), (False, 5000)])
def test_a_pause_counts_only_where_silence_is_kept(keeps_silence: bool, duration_ms: int) -> None:
    recording = CallRecording(
        call_sid=SID,
        account_sid=ACCOUNT_SID,
        source="StartCallRecordingAPI",
        channels=1,
        status_callback=None,
        status_events=frozenset(),
        post=lambda url, params: None,
        counted_since_ms=1000,
    )
    recording.turn("paused", 3000, keeps_silence=keeps_silence)
    recording.turn("in-progress", 7000)
    recording.turn("stopped", 10_000)
    recording.turn("completed", 20_000)

    assert (recording.status, recording.duration_ms) == ("stopped", duration_ms)
    assert recording.held == [(1000, 3000), (7000, 10_000)]
    assert recording.silent == ([(3000, 7000)] if keeps_silence else [])


def test_a_recording_is_changed_no_more_often_than_can_be_told() -> None:
    async def test() -> None:
        known = account()
        async with in_a_call(known, BRIEF) as (api, _, placed):
            begun = await api.calls(SID).recordings.create_async()
            known.calls[SID].recordings[begun.sid].silent.extend([(0, 0)] * MAX_STRETCHES)
            one = api.calls(SID).recordings(begun.sid)
            assert await refusal(one.update_async(status="paused")) == (400, 21220)
            await placed

    run(test)


# ---- messages ----


def test_a_message_is_kept_with_all_that_was_said() -> None:
    async def test() -> None:
        known = account()
        async with serve_rest(known) as url, client(url) as api:
            sent = await api.messages.create_async(
                to=THEM, from_=US, body="Hello", media_url=["https://x.example/a.png"]
            )
            other = await api.messages.create_async(to=THEM, messaging_service_sid="MG" + "3" * 32, body="Hi")
        assert (sent.status, sent.to, sent.num_media) == ("queued", THEM, "1")
        assert (other.from_, other.messaging_service_sid) == (None, "MG" + "3" * 32)
        assert [(message.body, message.media_urls) for message in known.messages] == [
            ("Hello", ("https://x.example/a.png",)),
            ("Hi", ()),
        ]

    run(test)


# ---- forms that are refused ----


CALL = {"To": [THEM], "From": [US], "Twiml": [BYE]}
MESSAGE = {"To": [THEM], "From": [US], "Body": ["Hello"]}


def without(form: Form, name: str) -> Form:
    return {field: value for field, value in form.items() if field != name}


@pytest.mark.parametrize(
    ("read", "form", "code"),
    [
        (read_new_call, without(CALL, "To"), 21201),
        (read_new_call, without(CALL, "From"), 21213),
        (read_new_call, without(CALL, "Twiml"), 21205),
        (read_new_call, CALL | {"To": ["5550100"]}, 21211),
        (read_new_call, CALL | {"From": ["+0"]}, 21212),
        (read_new_call, CALL | {"Url": ["voice.example.com"]}, 21205),
        (read_new_call, CALL | {"Url": ["https://my_host.example/voice"]}, 21205),
        (read_new_call, CALL | {"Url": ["http://[::1"]}, 21205),
        (read_new_call, CALL | {"StatusCallback": ["https://h.example:port/"]}, 21205),
        (read_new_call, CALL | {"Timeout": ["9" * 5000]}, 21208),
        (read_new_call, CALL | {"Url": ["https://h.example"], "Method": ["GET"]}, INVALID),
        (read_new_call, CALL | {"Url": ["https://h.example"], "Method": ["PUT"]}, 21209),
        (read_new_call, CALL | {"Twiml": ["x" * 4001]}, INVALID),
        (read_new_call, CALL | {"SendDigits": ["12x"]}, 21206),
        (read_new_call, CALL | {"Timeout": ["601"]}, 21208),
        (read_new_call, CALL | {"StatusCallback": ["x"]}, 21205),
        (read_new_call, CALL | {"StatusCallbackEvent": ["answered", "rang"]}, 21626),
        (read_new_call, CALL | {"MachineDetection": ["Yes"]}, INVALID),
        (read_new_call, CALL | {"Record": ["true"]}, INVALID),
        (read_new_call, CALL | {"MachineDetectionTimeout": ["60"]}, INVALID),
        (read_new_call, CALL | {"FallbackUrl": ["x"]}, 21205),
        (read_new_call, CALL | {"FallbackUrl": ["https://h.example"], "FallbackMethod": ["GET"]}, INVALID),
        (read_update, {}, INVALID),
        (read_update, {"Status": ["ringing"]}, INVALID),
        (read_update, {"Url": ["https://h.example"], "Twiml": [BYE]}, INVALID),
        (read_update, {"TimeLimit": ["0"]}, INVALID),
        (read_new_recording, {"RecordingChannels": ["quad"]}, INVALID),
        (read_new_recording, {"RecordingStatusCallbackEvent": ["ringing"]}, 21626),
        (read_recording_update, {"Status": ["completed"]}, INVALID),
        (read_recording_update, {}, INVALID),
        (read_new_message, without(MESSAGE, "To"), 21604),
        (read_new_message, without(MESSAGE, "From"), 21603),
        (read_new_message, without(MESSAGE, "Body"), 21602),
        (read_new_message, MESSAGE | {"Body": ["x" * 1601]}, 21617),
        (read_new_message, MESSAGE | {"To": ["mum"]}, 21211),
    ],
)
def test_a_wrong_form_is_refused_with_twilios_code(read: Callable[[Form], object], form: Form, code: int) -> None:
    with pytest.raises(RestError) as caught:
        read(form)

    assert (caught.value.failure.status, caught.value.failure.code) == (400, code)


def test_of_an_address_and_twiml_a_new_call_takes_the_address() -> None:
    first = read_new_call(CALL | {"Url": ["https://h.example/voice"]}).first

    assert first == Fetch("https://h.example/voice")
    assert read_new_call(CALL).first == Given(BYE)
