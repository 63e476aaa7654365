"""Two workers at one port keep every promise that one process keeps, wherever a connection comes in."""

import asyncio
import os
import signal
from collections import Counter

from channels.carrier.account import Account, Callee
from channels.carrier.caller import Script
from channels.carrier.media import MediaLeg
from tests.service import ACCOUNT, TOKEN, voice_fields
from tests.workers_service import CALLS_TOKEN, MAX_CALLS, PATIENCE_S, THEM, Rung, Workers, two_workers

OTHER = {1: 2, 2: 1}


def test_two_workers_keep_every_promise_that_one_process_keeps() -> None:
    """One service for all of it, as it takes seconds to start."""
    callee = Callee(script=Script(hang_up_after_s=60))
    account = Account(sid=ACCOUNT, auth_token=TOKEN, callees={THEM: callee})

    async def whole() -> None:
        async with asyncio.timeout(60), two_workers(account) as service:
            for part in (
                streams_come_to_the_worker_of_their_call_wherever_they_come_in,
                a_token_opens_one_stream_once_at_its_worker_only,
                webhooks_come_to_the_worker_of_their_call,
                callers_are_spread_evenly,
                the_limit_is_kept_in_a_burst,
                a_request_with_a_key_places_one_call_wherever_it_comes_in,
                a_worker_that_is_killed_is_replaced,
                a_first_signal_lets_calls_finish,
            ):
                await part(service)

    asyncio.run(whole())


async def heard(leg: MediaLeg) -> None:
    """Waits until the agent is heard."""
    receiving = asyncio.create_task(leg.receive())
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not leg.tally.frames_received:
                await leg.media(b"\xff" * 160)
                await asyncio.sleep(0.02)
    finally:
        receiving.cancel()


async def refused(service: Workers, rung: Rung, path: str) -> None:
    """The stream is closed at once at this path."""
    async with service.media(rung, path) as leg, asyncio.timeout(PATIENCE_S):
        await leg.receive()
        assert not leg.tally.frames_received


async def streams_come_to_the_worker_of_their_call_wherever_they_come_in(service: Workers) -> None:
    for worker in (1, 2):
        rung = await service.one_at(worker)
        with service.stopped(worker):  # so that the other one takes the connection
            opening = asyncio.create_task(_talk(service, rung))
            await asyncio.sleep(0.2)
            assert not opening.done()
        await opening
        await service.hang_up(rung.sid)
    await service.has_calls(0)


async def _talk(service: Workers, rung: Rung) -> None:
    async with service.media(rung) as leg:
        await heard(leg)


async def a_token_opens_one_stream_once_at_its_worker_only(service: Workers) -> None:
    rung = await service.one_at(1)
    await refused(service, rung, rung.path.replace("/1/", "/2/"))
    async with service.media(rung) as leg:
        await heard(leg)
        await refused(service, rung, rung.path)
        await refused(service, rung, rung.path.replace("/1/", "/2/"))
    await service.hang_up(rung.sid)
    await service.has_calls(0)


async def webhooks_come_to_the_worker_of_their_call(service: Workers) -> None:
    """Of each worker's call, with the other worker alone to take the connection."""
    for worker in (1, 2):
        rung = await service.one_at(worker)

        again = await service.voice(rung.sid)
        assert again
        assert (again.worker, again.start.parameters) == (worker, rung.start.parameters)

        with service.stopped(worker):
            asking = asyncio.create_task(
                service.post(f"/twilio/w/{worker}/twilio/after-stream", voice_fields(rung.sid))
            )
            await asyncio.sleep(0.1)
            assert not asking.done()
        status, body = await asking
        assert status == 200
        assert "The desk is closed." in body  # the stream never came: the agent's words, which its worker knows
        await service.has_calls(0)

    assert (await service.post("/twilio/w/9/twilio/after-stream", voice_fields("CA9")))[0] == 200
    assert (await service.post("/twilio/w/1/twilio/voice", voice_fields("CA9"), signature="x"))[0] == 403


async def callers_are_spread_evenly(service: Workers) -> None:
    rung = [each for _ in range(MAX_CALLS) if (each := await service.voice())]

    assert Counter(each.worker for each in rung) == {1: MAX_CALLS // 2, 2: MAX_CALLS // 2}

    for each in rung:
        await service.hang_up(each.sid)
    await service.has_calls(0)


async def the_limit_is_kept_in_a_burst(service: Workers) -> None:
    rung = [each for each in await asyncio.gather(*(service.voice() for _ in range(3 * MAX_CALLS))) if each]

    assert len(rung) == MAX_CALLS
    assert (await service.ask("GET", "/readyz"))[1]["status"] == "full"

    await service.hang_up(rung[0].sid)
    await service.has_calls(MAX_CALLS - 1)
    admitted = [each for each in await asyncio.gather(*(service.voice() for _ in range(4))) if each]
    assert len(admitted) == 1

    for each in (*rung[1:], *admitted):
        await service.hang_up(each.sid)
    await service.has_calls(0)


async def a_request_with_a_key_places_one_call_wherever_it_comes_in(service: Workers) -> None:
    bearer = {"Authorization": f"Bearer {CALLS_TOKEN}"}
    wanted = {"to": THEM, "agent": "hello"}

    answers = [await service.ask("POST", "/calls", wanted, **bearer, **{"Idempotency-Key": "key-1"}) for _ in range(6)]
    assert [status for status, _ in answers] == [202, 200, 200, 200, 200, 200]
    [placed_id] = {placed["id"] for _, placed in answers}

    await service.has_calls(1)  # they answered, and their stream came to the worker that placed the call
    shown = [await service.ask("GET", f"/calls/{placed_id}", **bearer) for _ in range(6)]
    assert {(status, placed["state"]) for status, placed in shown} == {(200, "in-progress")}
    assert service.account
    assert len(service.account.calls) == 1

    await service.hang_up(shown[0][1]["call_sid"])
    await service.has_calls(0)


async def a_worker_that_is_killed_is_replaced(service: Workers) -> None:
    lost, kept = await service.one_at(2), await service.one_at(1)
    async with service.media(kept) as leg:
        await heard(leg)
        os.kill(service.process_of(2), signal.SIGKILL)
        await service.logged("another starts")
        status, body = await service.post("/twilio/w/2/twilio/after-stream", voice_fields(lost.sid))
        assert status == 200
        assert "Hangup" in body
        await service.logged("all 2 workers answer again")
        await service.has_calls(1)
        await service.hang_up((await service.one_at(2)).sid)
    await service.hang_up(kept.sid)
    await service.has_calls(0)


async def a_first_signal_lets_calls_finish(service: Workers) -> None:
    rung = await service.one_at(1)
    async with service.media(rung) as leg:
        await heard(leg)
        service.process.send_signal(signal.SIGTERM)
        await service.logged("w1 stopping")
        await service.logged("w2 stopping")
        assert await service.voice() is None
        assert service.process.returncode is None
        await service.hang_up(rung.sid)
    async with asyncio.timeout(PATIENCE_S):
        assert await service.process.wait() == 0
