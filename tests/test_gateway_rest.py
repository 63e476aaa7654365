"""Hanging up over Twilio's REST API: the client alone, then whole calls in which somebody ends the call."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

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
from gateway.rest import BACKOFF_S, TwilioRest, rest_of
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
