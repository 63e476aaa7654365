"""The REST API without sockets, asked by the twilio package's own client, in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from channels.carrier import ACCOUNT_SID, Account, Callee, FarParty, RestInProcess, Script, loop_time, run_virtual
from gateway.rest import BasicAuth
from tests.carrier_service import CONNECT, PUBLIC_URL, TOKEN, FakeService, ToneAgent

US, THEM = "+15550100200", "+15550100300"
TEN_MINUTES_S = 600


@asynccontextmanager
async def client(account: Account, password: str = TOKEN) -> AsyncIterator[Any]:
    async with RestInProcess(account) as http:
        yield Client(
            account_sid=ACCOUNT_SID,
            http_client=http,
            credential_provider=BasicAuth(ACCOUNT_SID, password),
            environment={"TWILIO_ACCOUNT_SID": ACCOUNT_SID},
        )


def account(service: FakeService, **more: Any) -> Account:
    return Account(sid=ACCOUNT_SID, auth_token=TOKEN, public_url=PUBLIC_URL, app=service.app(), **more)


def test_a_call_is_placed_told_of_and_hung_up_after_ten_minutes_of_virtual_time() -> None:
    service = FakeService(ToneAgent(), {"/twilio/voice": CONNECT})
    known = account(service, callees={THEM: Callee(party=FarParty(rings_s=5), script=Script(stays=True))})

    async def run() -> tuple[str, str]:
        async with client(known) as api:
            placed = await api.calls.create_async(
                to=THEM,
                from_=US,
                url=f"{PUBLIC_URL}/twilio/voice",
                status_callback=f"{PUBLIC_URL}/twilio/progress",
                status_callback_event=["ringing", "answered", "completed"],
            )
            await asyncio.sleep(TEN_MINUTES_S)
            await api.calls(placed.sid).update_async(status="completed")
            await asyncio.sleep(1)
            return placed.status, (await api.calls(placed.sid).fetch_async()).status

    assert run_virtual(run()) == ("ringing", "completed")
    [report] = known.reports
    assert (report.ended_by, report.errors) == ("agent", ())
    assert report.duration_ms == pytest.approx(TEN_MINUTES_S * 1000, abs=40)
    told = service.forms("/twilio/progress")
    assert [form["CallStatus"] for form in told] == ["ringing", "in-progress", "completed"]
    assert told[-1]["CallDuration"] == str(TEN_MINUTES_S - 5)


def test_a_call_that_is_under_way_when_the_api_closes_is_hung_up() -> None:
    service = FakeService(ToneAgent(), {"/twilio/voice": CONNECT})
    known = account(service, callees={THEM: Callee(script=Script(stays=True))})

    async def run() -> None:
        async with client(known) as api:
            await api.calls.create_async(to=THEM, from_=US, url=f"{PUBLIC_URL}/twilio/voice")

    run_virtual(run())

    assert [report.ended_by for report in known.reports] == ["unanswered"]


def test_a_request_that_nobody_waits_for_any_more_is_carried_out_all_the_same() -> None:
    known = account(FakeService(ToneAgent()), api_delay_s=2)

    async def run() -> None:
        async with client(known) as api:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await api.messages.create_async(to=THEM, from_=US, body="Hello")
            assert len(known.messages) == 0
            await asyncio.sleep(1.5)

    run_virtual(run())

    assert len(known.messages) == 1


def test_a_call_is_not_placed_when_the_api_has_closed() -> None:
    known = account(FakeService(ToneAgent()), api_delay_s=2)

    async def run() -> None:
        async with client(known) as api:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await api.calls.create_async(to=THEM, from_=US, url=f"{PUBLIC_URL}/twilio/voice")

    run_virtual(run())

    assert (len(known.requests), len(known.calls)) == (1, 0)


def test_requests_take_as_long_as_they_are_told_to_and_are_refused_as_over_a_network() -> None:
    known = account(FakeService(ToneAgent()), api_delay_s=0.4)

    async def run() -> tuple[float, int, int]:
        began_s = loop_time()
        async with client(known) as api:
            await api.messages.create_async(to=THEM, from_=US, body="Hello")
        took_s = loop_time() - began_s
        async with client(known, password="wrong") as api:
            with pytest.raises(TwilioRestException) as refused:
                await api.messages.create_async(to=THEM, from_=US, body="Hello")
        return took_s, refused.value.status, refused.value.code

    took_s, status, code = run_virtual(run())

    assert took_s == pytest.approx(0.4)
    assert (status, code) == (401, 20003)
    assert len(known.messages) == 1
