"""Hanging up over Twilio's REST API: the client alone, then whole calls in which somebody ends the call."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Self

import pytest
from twilio.http.async_http_client import AsyncTwilioHttpClient

import gateway.rest
from agents import RealtimeAgent, hang_up
from agents.events import ResponseCreate, ToolCall
from agents.providers.scripted import ScriptedModel
from agents.providers.scripted.steps import Expect, Fail, Say, Step, Wait
from channels.carrier.account import Account
from channels.carrier.caller import Move
from channels.carrier.live_call import After, LiveCall
from channels.carrier.report import CallReport, CallUpdated
from channels.carrier.rest import serve_rest
from gateway.rest import BACKOFF_S, RestFailed, TwilioRest, rest_of
from gateway.settings import read_settings
from tests.service import ACCOUNT, TOKEN, RunningService, free_port, running

SID = "CA" + "1" * 32
KEY = "SK" + "2" * 32
SECRET = "secret-of-the-key"
TRIES = 1 + len(BACKOFF_S)

GREETING: tuple[Step, ...] = (Expect(ResponseCreate), Say("Hello.", 300))
GOODBYE: tuple[Step, ...] = (*GREETING, ToolCall("r1", "c1", "hang_up", "{}"), Wait(20_000))


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(bounded())


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.rest, "BACKOFF_S", tuple(0.01 for _ in BACKOFF_S))


# ---- the client ----


def account() -> Account:
    return Account(sid=ACCOUNT, auth_token=TOKEN, api_keys={KEY: SECRET})


def client(url: str, user: str = ACCOUNT, password: str = TOKEN) -> TwilioRest:
    return TwilioRest(user=user, password=password, account_sid=ACCOUNT, api_url=url)


def live_call(kind: type[LiveCall] = LiveCall, sid: str = SID) -> LiveCall:
    call = kind(
        sid=sid,
        account_sid=ACCOUNT,
        from_number="+15550100100",
        to_number="+15550100200",
        direction="inbound",
        now_ms=lambda: 0,
        leaves_after_s=None,
        tell=lambda event: None,
        post=lambda url, params: None,
    )
    call.answer()
    return call


@pytest.mark.parametrize(("user", "password"), [(ACCOUNT, TOKEN), (KEY, SECRET)])
def test_a_call_is_hung_up_with_the_accounts_token_or_an_api_key(user: str, password: str) -> None:
    async def test() -> None:
        known, call = account(), live_call()
        known.add(call)
        async with serve_rest(known) as url, client(url, user, password) as rest:
            assert await rest.hang_up(SID)
        assert call.is_ordered
        assert [(request.method, dict(request.form)) for request in known.requests] == [
            ("POST", {"Status": ("completed",)})
        ]

    run(test)


@pytest.mark.parametrize("is_known", [True, False])
def test_a_call_that_is_over_already_is_no_problem(is_known: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        known = account()
        if is_known:
            known.add(live_call())
            known.calls[SID].end("completed")
        async with serve_rest(known) as url, client(url) as rest:
            assert await rest.hang_up(SID)
        assert len(known.requests) == 1
        assert caplog.records == []

    run(test)


def test_too_many_requests_and_a_failing_api_are_asked_again() -> None:
    async def test() -> None:
        known = account()
        known.add(live_call())
        known.fail_next(429, 20429)
        known.fail_next(503, 20503)
        async with serve_rest(known) as url, client(url) as rest:
            assert await rest.hang_up(SID)
        assert len(known.requests) == 3

    run(test)


@pytest.mark.parametrize(
    ("status", "code", "tries"), [(503, 20503, TRIES), (429, 20429, TRIES), (403, 20403, 1), (400, 20001, 1)]
)
def test_what_stays_wrong_is_one_warning_with_twilios_words(
    status: int, code: int, tries: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        known = account()
        known.add(live_call())
        for _ in range(TRIES + 1):
            known.fail_next(status, code, "the reason")
        async with serve_rest(known) as url, client(url) as rest:
            assert not await rest.hang_up(SID)
        assert len(known.requests) == tries
        [record] = caplog.records
        assert record.levelno == logging.WARNING
        assert f"{code}: " in record.getMessage() and "the reason" in record.getMessage()

    run(test)


def test_wrong_credentials_are_a_warning_without_them(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        with caplog.at_level(logging.DEBUG):
            async with serve_rest(account()) as url, client(url, password="another-token-entirely") as rest:
                assert not await rest.hang_up(SID)
        assert "20003" in caplog.text
        assert "another-token-entirely" not in caplog.text

    run(test)


def test_the_client_logs_no_headers_and_no_numbers(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        known = account()
        known.add(live_call())
        with caplog.at_level(logging.INFO):
            async with serve_rest(known) as url, client(url) as rest:
                assert await rest.hang_up(SID)
        assert caplog.records == []

    run(test)


def test_an_api_that_is_not_there_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with client(f"http://127.0.0.1:{free_port()}") as rest:
            assert not await rest.hang_up(SID)
        assert len(caplog.records) == 1

    run(test)


@pytest.mark.parametrize(("one_s", "all_s"), [(0.02, 5.0), (5.0, 0.05)])
def test_an_api_that_never_answers_is_given_up(
    one_s: float, all_s: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gateway.rest, "TRY_TIMEOUT_S", one_s)
    monkeypatch.setattr(gateway.rest, "TOTAL_TIMEOUT_S", all_s)

    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            async with client(f"http://127.0.0.1:{silent.getsockname()[1]}") as rest:
                assert not await rest.hang_up(SID)
        [record] = caplog.records
        assert f"no answer within {min(one_s, all_s):g} s" in record.getMessage()

    run(test)


def test_an_answer_that_makes_no_sense_does_not_come_out(caplog: pytest.LogCaptureFixture) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes")
        await writer.drain()
        writer.close()

    async def test() -> None:
        async with (
            await asyncio.start_server(babble, "127.0.0.1", 0) as server,
            client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as rest,
        ):
            assert not await rest.hang_up(SID)
        assert len(caplog.records) == 1

    run(test)


def test_the_processs_own_environment_does_not_lead_the_client_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TWILIO_REGION": "ie1", "TWILIO_EDGE": "dublin", "TWILIO_AUTH_TOKEN": "another"}.items():
        monkeypatch.setenv(name, value)

    async def test() -> None:
        known = account()
        known.add(live_call())
        async with serve_rest(known) as url, client(url) as rest:
            assert await rest.hang_up(SID)

    run(test)


# ---- what else it is asked for ----

NEW_CALL: dict[str, Any] = {"to": "+15550100300", "sender": "+15550100200", "url": "https://gw.example.com/b?id=x"}


def forms(known: Account) -> list[dict[str, tuple[str, ...]]]:
    return [dict(request.form) for request in known.requests]


def asks(test: Callable[[TwilioRest, Account], Awaitable[None]], known: Account | None = None) -> None:
    """Runs a test with a live call, on an API of which the test may make requests fail."""

    async def main() -> None:
        ours = known or account()
        ours.public_url = "https://gw.example.com"
        ours.add(live_call())
        async with serve_rest(ours) as url, client(url) as rest:
            await test(rest, ours)

    run(main)


def test_a_live_call_goes_on_with_other_twiml_or_from_another_address() -> None:
    async def test(rest: TwilioRest, known: Account) -> None:
        assert await rest.update_call(SID, twiml="<Response/>")
        assert await rest.update_call(SID, url="https://gw.example.com/next")
        assert forms(known) == [{"Twiml": ("<Response/>",)}, {"Url": ("https://gw.example.com/next",)}]

    asks(test)


@pytest.mark.parametrize(("status", "code"), [(404, 20404), (400, 21220)])
def test_changing_a_call_that_is_over_is_no_error(status: int, code: int) -> None:
    async def test(rest: TwilioRest, known: Account) -> None:
        known.fail_next(status, code)
        assert not await rest.update_call(SID, twiml="<Response/>")
        assert len(known.requests) == 1

    asks(test)


def test_a_change_that_was_seen_to_happen_is_not_asked_for_again() -> None:
    async def test(rest: TwilioRest, known: Account) -> None:
        for _ in range(TRIES):
            known.fail_next(503, 20503)
        assert await rest.update_call(SID, twiml="<Response/>", is_done=lambda: len(known.requests) == 2)
        assert len(known.requests) == 2

    asks(test)


def test_what_fails_for_good_says_twilios_code_and_words_and_no_whole_number() -> None:
    async def test(rest: TwilioRest, known: Account) -> None:
        known.fail_next(400, 21211, "The 'To' number +15550100300 is not valid.")
        with pytest.raises(
            RestFailed, match=r"^21211: Unable to create record: The 'To' number \+… is not valid\.$"
        ) as raised:
            await rest.create_call(**NEW_CALL, timeout_s=25)
        assert (raised.value.code, raised.value.is_over) == (21211, False)

    asks(test)


def test_a_call_is_placed_with_all_that_twilio_may_be_told_of_it() -> None:
    async def test(rest: TwilioRest, known: Account) -> None:
        sid = await rest.create_call(
            **NEW_CALL,
            timeout_s=25,
            status_callback="https://gw.example.com/s",
            status_events=("initiated", "completed"),
            machine_detection="DetectMessageEnd",
            async_amd_callback="https://gw.example.com/amd",
            time_limit_s=600,
        )
        assert sid in known.calls
        assert forms(known) == [
            {
                "To": ("+15550100300",),
                "From": ("+15550100200",),
                "Url": ("https://gw.example.com/b?id=x",),
                "Timeout": ("25",),
                "StatusCallback": ("https://gw.example.com/s",),
                "StatusCallbackEvent": ("initiated", "completed"),
                "MachineDetection": ("DetectMessageEnd",),
                "AsyncAmd": ("true",),
                "AsyncAmdStatusCallback": ("https://gw.example.com/amd",),
                "TimeLimit": ("600",),
            }
        ]

    asks(test)


Makes = Callable[[TwilioRest], Awaitable[str]]

MAKING: list[Makes] = [
    lambda rest: rest.create_call(**NEW_CALL, timeout_s=25),
    lambda rest: rest.start_recording(SID, "https://gw.example.com/r"),
    lambda rest: rest.send_message(to="+15550100300", sender="+15550100200", body="Hello."),
]
NEW = pytest.mark.parametrize("make", MAKING, ids=["call", "recording", "message"])


@NEW
def test_nothing_new_is_made_twice_when_twilio_may_have_made_it(make: Makes) -> None:
    async def test(rest: TwilioRest, known: Account) -> None:
        known.fail_next(503, 20503, "unclear")
        with pytest.raises(RestFailed, match=r"20503: .*unclear"):
            await make(rest)
        assert len(known.requests) == 1

    asks(test)


@NEW
def test_something_new_that_twilio_was_too_busy_to_look_at_is_asked_for_again(make: Makes) -> None:
    async def test(rest: TwilioRest, known: Account) -> None:
        known.fail_next(429, 20429)
        known.fail_next(429, 20429)
        assert await make(rest)
        assert len(known.requests) == TRIES

    asks(test)


class Counting:
    """The client that Twilio's package uses, and how often it was used."""

    is_async = True
    requests = 0

    async def __aenter__(self) -> Self:
        self._client = AsyncTwilioHttpClient()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def request(self, *args: Any, **more: Any) -> Any:
        self.requests += 1
        return await self._client.request(*args, **more)


@NEW
def test_something_new_is_asked_for_again_where_nobody_was_reached(make: Makes) -> None:
    async def test() -> None:
        counting = Counting()
        nowhere = f"http://127.0.0.1:{free_port()}"
        async with TwilioRest(
            user=ACCOUNT, password=TOKEN, account_sid=ACCOUNT, api_url=nowhere, http=lambda: counting
        ) as rest:
            with pytest.raises(RestFailed, match="Connect"):
                await make(rest)
        assert counting.requests == TRIES

    run(test)


@NEW
def test_an_answer_to_something_new_that_never_comes_is_waited_for_once(
    make: Makes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.rest, "TRY_TIMEOUT_S", 0.01)
    monkeypatch.setattr(gateway.rest, "TOTAL_TIMEOUT_S", 0.2)

    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            async with client(f"http://127.0.0.1:{silent.getsockname()[1]}") as rest:
                with pytest.raises(RestFailed, match=r"no answer within 0\.2 s"):
                    await make(rest)

    run(test)


def test_a_recording_has_both_sides_and_is_paused_and_resumed() -> None:
    async def test(rest: TwilioRest, known: Account) -> None:
        recording = await rest.start_recording(SID, "https://gw.example.com/r")
        await rest.pause_recording(SID, recording)
        assert known.calls[SID].recordings[recording].status == "paused"
        await rest.resume_recording(SID, recording)
        assert known.calls[SID].recordings[recording].status == "in-progress"
        assert forms(known) == [
            {"RecordingChannels": ("dual",), "RecordingStatusCallback": ("https://gw.example.com/r",)},
            {"Status": ("paused",), "PauseBehavior": ("silence",)},
            {"Status": ("in-progress",)},
        ]

    asks(test)


def test_a_message_goes_from_the_number_that_is_named() -> None:
    async def test(rest: TwilioRest, known: Account) -> None:
        sid = await rest.send_message(to="+15550100300", sender="+15550100200", body="At nine.")
        [message] = known.messages
        assert (message.sid, message.to, message.sender, message.body) == (
            sid,
            "+15550100300",
            "+15550100200",
            "At nine.",
        )

    asks(test)


@pytest.mark.parametrize(
    ("environment", "has_rest"),
    [
        ({}, False),
        ({"TWILIO_ACCOUNT_SID": ACCOUNT}, False),
        ({"TWILIO_AUTH_TOKEN": TOKEN}, False),
        ({"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": TOKEN}, True),
        ({"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_API_KEY": KEY, "TWILIO_API_SECRET": SECRET}, True),
    ],
)
def test_without_credentials_nothing_is_asked(environment: dict[str, str], has_rest: bool) -> None:
    assert (rest_of(read_settings(environment)) is not None) == has_rest


# ---- whole calls ----


def agent(*steps: Step, **more: Any) -> RealtimeAgent:
    model = ScriptedModel(steps, patience_s=20)
    return RealtimeAgent(name="test", model=model, greeting="Hello.", tools=(hang_up,), **more)


def updates(report: CallReport) -> list[str]:
    return [event.what for event in report.carrier_did if isinstance(event, CallUpdated)]


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 seen from outside the service, there is no event
            await asyncio.sleep(0.005)


async def until_nothing_is_left(service: RunningService) -> None:
    await until(lambda: not len(service.calls))


@pytest.mark.parametrize(
    ("steps", "limit_s", "reason"), [(GOODBYE, 60, "agent"), ((*GREETING, Wait(20_000)), 1, "time-limit")]
)
def test_a_call_that_ends_by_our_side_is_hung_up_by_rest(
    steps: tuple[Step, ...], limit_s: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        known = account()
        with caplog.at_level(logging.INFO):
            async with running(agent(*steps, max_duration_s=limit_s), account=known) as service:
                report = await service.call(wait_s=20)
                await until_nothing_is_left(service)
        assert updates(report) == ["hung up: completed"]
        assert (report.ended_by, report.errors, report.carrier_said) == ("agent", (), ())
        assert f"call ended: {reason}" in caplog.text
        [call] = known.calls.values()
        assert call.status == "completed"

    run(test)


def test_the_stream_is_closed_only_when_the_api_has_been_asked() -> None:
    async def test() -> None:
        known, was_open = account(), list[bool]()
        async with running(agent(*GOODBYE), account=known) as service:
            start = await service.ring()
            async with service.leg(start) as leg:

                class Watched(LiveCall):
                    def order(self, after: After, what: str) -> None:
                        was_open.append(leg.socket.close_code is None)

                known.add(live_call(Watched, start.call_sid))
                has_hung_up = await leg.run(lambda tick: Move(), asyncio.get_running_loop().time())
        assert (was_open, has_hung_up) == ([True], False)

    run(test)


def test_a_caller_who_hangs_up_needs_no_rest() -> None:
    async def test() -> None:
        known = account()
        async with running(agent(*GREETING, Wait(20_000)), account=known) as service:
            report = await service.call(hang_up_after_s=0.6)
            await until_nothing_is_left(service)
        assert (report.ended_by, list(known.requests)) == ("caller", [])

    run(test)


def test_a_provider_that_drops_is_an_apology_and_no_hanging_up_by_rest() -> None:
    async def test() -> None:
        known = account()
        async with running(agent(*GREETING, Fail("network", "gone")), account=known) as service:
            report = await service.call(wait_s=20)
            await until_nothing_is_left(service)
        assert "technical problem" in report.carrier_said[0]
        assert (updates(report), list(known.requests)) == ([], [])

    run(test)


def test_a_socket_that_dies_needs_no_rest() -> None:
    async def test() -> None:
        known = account()
        async with running(agent(*GREETING, Wait(20_000)), account=known) as service:
            start = await service.ring()
            async with service.leg(start) as leg:
                await leg.connected()
                await leg.begin()
                await service.started(start)
                leg.reset()
                await until_nothing_is_left(service)
        assert list(known.requests) == []

    run(test)


@pytest.mark.parametrize("has_rest", [True, False])
def test_where_rest_fails_or_is_not_there_the_end_of_the_stream_ends_the_call(has_rest: bool) -> None:
    async def test() -> None:
        known = account()
        for _ in range(TRIES):
            known.fail_next(500, 20500)
        async with running(agent(*GOODBYE), account=known if has_rest else None) as service:
            report = await service.call(wait_s=20)
            await until_nothing_is_left(service)
        assert (report.ended_by, report.errors, updates(report)) == ("agent", (), [])
        assert report.carrier_said == ()
        assert len(known.requests) == (TRIES if has_rest else 0)

    run(test)


def test_a_service_that_stops_hangs_its_calls_up_by_rest() -> None:
    async def test() -> None:
        known = account()
        async with running(agent(*GREETING, Wait(20_000)), account=known, after_stream_s=1.0) as service:
            calling = asyncio.create_task(service.call(wait_s=20))
            await until(lambda: any(call.status == "in-progress" for call in known.calls.values()))
            service.stop()
            report = await calling
        assert updates(report) == ["hung up: completed"]
        assert report.errors == ()

    run(test)


def test_two_calls_that_end_together_are_both_hung_up() -> None:
    async def test() -> None:
        known = account()
        async with running(agent(*GOODBYE), account=known) as service:
            reports = await asyncio.gather(service.call(wait_s=20), service.call(wait_s=20))
            await until_nothing_is_left(service)
        assert [updates(report) for report in reports] == [["hung up: completed"]] * 2

    run(test)
