"""Calls that the service places: taken once, dialled in their turn and within their hours, followed to their end."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agents.call_spec import HoursSpec, OutboundSpec
from agents.errors import GatewayError
from channels.carrier import loop_time
from channels.carrier.virtual_time import run_virtual
from gateway import outbound
from gateway.calling_hours import Pace
from gateway.outbound import ANSWER_S, OutboundCalls
from gateway.placed_call import Placed, Refused, Unanswered, Wanted
from gateway.rest import RestFailed

SPEC = OutboundSpec(caller_id="+15550100200")
NIGHT = OutboundSpec(caller_id="+15550100200", hours=HoursSpec(begin="20:00", end="23:00", timezone="UTC"))
WANTED = Wanted(to="+15550100500", agent="sales", variables={"name": "Ann"})


class Network:
    """Notes when it was asked to dial whom, from which number."""

    def __init__(self, failure: GatewayError | None = None) -> None:
        self.dialled: list[tuple[float, str, str]] = []
        self.taken_back: list[str] = []
        self._failure = failure

    async def place(self, placed: Placed, spec: OutboundSpec, sender: str) -> str:
        if self._failure:
            raise self._failure
        self.dialled.append((loop_time(), placed.wanted.to, sender))
        return f"CA{len(self.dialled)}"

    async def take_back(self, call_sid: str) -> None:
        self.taken_back.append(call_sid)


def play(
    scene: Callable[[OutboundCalls, Network], Awaitable[None]],
    *,
    network: Network | None = None,
    told: Callable[[Placed], None] = lambda placed: None,
    now: datetime = datetime(2026, 11, 20, 12, tzinfo=UTC),
) -> None:
    async def played() -> None:
        net = network or Network()
        specs = {"sales": SPEC, "night": NIGHT, "mute": OutboundSpec()}
        async with OutboundCalls(specs, net, pace=Pace(1), clock=loop_time, wall=lambda: now, told=told) as calls:
            await scene(calls, net)

    run_virtual(played())


def test_a_call_is_dialled_from_the_agents_number_or_from_the_one_that_is_asked_for() -> None:
    async def scene(calls: OutboundCalls, network: Network) -> None:
        calls.ask(WANTED)
        calls.ask(replace(WANTED, caller_id="+15550100900"))
        await asyncio.sleep(2)

        assert [sender for _, _, sender in network.dialled] == ["+15550100200", "+15550100900"]

    play(scene)


def test_calls_are_dialled_one_a_second_in_the_order_in_which_they_were_asked_for() -> None:
    async def scene(calls: OutboundCalls, network: Network) -> None:
        began = loop_time()
        placed = [calls.ask(replace(WANTED, to=f"+1555010050{i}"))[0] for i in range(3)]
        await asyncio.sleep(0.5)
        states = [each.state for each in placed]
        await asyncio.sleep(3)

        assert [(round(at - began, 3), to[-1]) for at, to, _ in network.dialled] == [(0, "0"), (1, "1"), (2, "2")]
        assert states == ["dialing", "queued", "queued"]

    play(scene)


def test_a_request_with_a_key_that_came_before_places_no_second_call() -> None:
    async def scene(calls: OutboundCalls, network: Network) -> None:
        first, is_new = calls.ask(WANTED, "key-1")
        again, is_new_again = calls.ask(WANTED, "key-1")
        other, _ = calls.ask(WANTED, "key-2")
        await asyncio.sleep(3)

        assert (again is first, other is first) == (True, False)
        assert (is_new, is_new_again, len(network.dialled)) == (True, False, 2)
        with pytest.raises(Refused, match="another request") as refused:
            calls.ask(replace(WANTED, to="+15550100501"), "key-1")
        assert refused.value.status == 409

    play(scene)


def test_outside_the_allowed_hours_nobody_is_called_and_the_hours_are_told() -> None:
    async def scene(calls: OutboundCalls, network: Network) -> None:
        with pytest.raises(Refused, match=r"from 20:00 to 23:00 \(UTC\) on mon, tue") as refused:
            calls.ask(replace(WANTED, agent="night"))
        await asyncio.sleep(1)

        assert (refused.value.status, network.dialled) == (403, [])

    play(scene)


def test_a_call_whose_turn_comes_after_the_allowed_hours_is_not_placed() -> None:
    begin = datetime(2026, 11, 20, 22, 59, 59, tzinfo=UTC)
    times = iter([begin, begin, begin, begin.replace(hour=23, minute=0, second=0)])
    told: list[tuple[str, str]] = []

    async def scene() -> None:
        network = Network()
        async with OutboundCalls(
            {"night": NIGHT},
            network,
            pace=Pace(1),
            clock=loop_time,
            wall=lambda: next(times),
            told=lambda placed: told.append((placed.state, placed.detail)),
        ) as calls:
            calls.ask(replace(WANTED, agent="night"))
            calls.ask(replace(WANTED, agent="night"))
            await asyncio.sleep(3)

        assert len(network.dialled) == 1
        assert told[-1] == ("failed", "calls may be placed from 20:00 to 23:00 (UTC) on mon, tue, wed, thu, fri")

    run_virtual(scene())


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (replace(WANTED, agent="nobody"), "agent 'nobody' places no calls; those that do: mute, night, sales"),
        (replace(WANTED, agent="mute"), "no caller_id: name one here, or in outbound.caller_id of agent mute"),
    ],
)
def test_what_cannot_be_placed_is_refused_with_its_reason(wanted: Wanted, why: str) -> None:
    async def scene(calls: OutboundCalls, network: Network) -> None:
        with pytest.raises(Refused) as refused:
            calls.ask(wanted)

        assert (refused.value.status, str(refused.value)) == (422, why)

    play(scene)


def test_no_more_calls_wait_than_can_be_dialled_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "MAX_WAITING", 2)

    async def scene(calls: OutboundCalls, network: Network) -> None:
        calls.ask(WANTED)
        calls.ask(WANTED)

        with pytest.raises(Refused, match="2 calls are waiting already") as refused:
            calls.ask(WANTED)
        assert refused.value.status == 429

    play(scene)


def test_a_service_that_stops_takes_no_more_and_cancels_those_waiting() -> None:
    is_stopping = False

    async def scene() -> None:
        nonlocal is_stopping
        network = Network()
        async with OutboundCalls(
            {"sales": SPEC}, network, pace=Pace(1), clock=loop_time, is_draining=lambda: is_stopping
        ) as calls:
            calls.ask(WANTED)
            waiting, _ = calls.ask(WANTED)
            await asyncio.sleep(0.1)
            is_stopping = True

            with pytest.raises(Refused, match="stopping"):
                calls.ask(WANTED)
        await asyncio.sleep(5)
        assert (len(network.dialled), waiting.state) == (1, "canceled")

    run_virtual(scene())


def test_what_the_network_refuses_is_the_end_of_the_call_and_is_told() -> None:
    told: list[tuple[str, str]] = []

    async def scene(calls: OutboundCalls, network: Network) -> None:
        placed, _ = calls.ask(WANTED)
        await asyncio.sleep(1)

        assert (placed.state, placed.detail) == ("failed", "21211: no such number")
        assert told == [("dialing", ""), ("failed", "21211: no such number")]

    failure = RestFailed("21211: no such number", status=400, code=21211, may_pass=False, was_not_done=False)
    play(scene, network=Network(failure), told=lambda placed: told.append((placed.state, placed.detail)))


def test_a_call_of_which_progress_is_told_goes_on_though_the_network_did_not_answer() -> None:
    async def scene(calls: OutboundCalls, network: Network) -> None:
        placed, _ = calls.ask(WANTED)
        await asyncio.sleep(1)
        was = placed.state
        calls.progressed(placed.id, "in-progress", "CA7")
        calls.landed(placed.id)
        await asyncio.sleep(SPEC.ring_s + ANSWER_S + 1)

        assert (was, placed.state, placed.call_sid, placed.detail) == ("dialing", "in-progress", "CA7", "")
        assert (calls.expected, calls.is_busy) == (0, False)

    play(scene, network=Network(Unanswered("no answer within 5 s")))


def test_a_call_that_nobody_knows_of_fails_in_the_end_and_late_news_of_it_count() -> None:
    told: list[tuple[str, str]] = []

    async def scene(calls: OutboundCalls, network: Network) -> None:
        placed, _ = calls.ask(WANTED)
        await asyncio.sleep(SPEC.ring_s + ANSWER_S - 1)
        kept = calls.expected
        await asyncio.sleep(2)
        calls.progressed(placed.id, "in-progress", "CA7")
        calls.progressed(placed.id, "completed", "CA7")
        calls.progressed(placed.id, "in-progress", "CA7")

        assert (kept, calls.expected) == (1, 0)
        assert told == [
            ("dialing", ""),
            ("failed", "it is unknown whether they were called: no answer within 5 s"),
            ("in-progress", ""),
            ("completed", ""),
        ]

    network = Network(Unanswered("no answer within 5 s"))
    play(scene, network=network, told=lambda placed: told.append((placed.state, placed.detail)))


def test_a_call_that_rings_and_is_never_told_of_again_frees_its_room() -> None:
    async def scene(calls: OutboundCalls, network: Network) -> None:
        placed, _ = calls.ask(WANTED)
        await asyncio.sleep(1)
        calls.progressed(placed.id, "ringing", "CA1")
        await asyncio.sleep(SPEC.ring_s + ANSWER_S)

        assert (placed.state, placed.detail) == ("failed", "nothing was heard of how it went on")
        assert (calls.expected, calls.is_busy) == (0, False)

    play(scene)


def test_an_error_of_our_own_ends_one_call_and_no_other() -> None:
    class Broken(Network):
        async def place(self, placed: Placed, spec: OutboundSpec, sender: str) -> str:
            if not self.dialled:
                self.dialled.append((0, "", ""))
                raise KeyError("of ours")
            return await super().place(placed, spec, sender)

    async def scene(calls: OutboundCalls, network: Network) -> None:
        first, _ = calls.ask(WANTED)
        second, _ = calls.ask(WANTED)
        await asyncio.sleep(3)

        assert (first.state, first.detail) == ("failed", "an error of the service's own")
        assert (second.state, second.call_sid) == ("dialing", "CA2")

    play(scene, network=Broken())


def test_calls_are_expected_from_dialling_until_they_have_landed() -> None:
    async def scene(calls: OutboundCalls, network: Network) -> None:
        first, _ = calls.ask(WANTED)
        calls.ask(WANTED)
        await asyncio.sleep(0.5)
        expected = [calls.expected]
        await asyncio.sleep(1)
        expected.append(calls.expected)
        calls.progressed(first.id, "in-progress", "CA1")  # and nobody has asked yet what they are to hear
        expected.append(calls.expected)
        calls.landed(first.id)
        expected.append(calls.expected)

        assert expected == [1, 2, 2, 1]

    play(scene)


def test_calls_are_taken_back_that_ring_and_those_waiting_are_canceled_and_told() -> None:
    told: list[tuple[str, str]] = []

    async def scene(calls: OutboundCalls, network: Network) -> None:
        talks, _ = calls.ask(WANTED)
        calls.ask(WANTED)
        waits, _ = calls.ask(WANTED)
        await asyncio.sleep(1.5)
        calls.progressed(talks.id, "in-progress", "CA1")
        calls.landed(talks.id)
        calls.take_back()
        await asyncio.sleep(2)

        assert (network.taken_back, len(network.dialled)) == (["CA2"], 2)
        assert told[-1] == (waits.id, "canceled")

    play(scene, told=lambda placed: told.append((placed.id, placed.state)))


def test_progress_is_followed_to_the_end_and_what_comes_late_changes_nothing() -> None:
    states: list[str] = []

    async def scene(calls: OutboundCalls, network: Network) -> None:
        placed, _ = calls.ask(WANTED)
        await asyncio.sleep(1)
        for said in ("ringing", "initiated", "in-progress", "ringing", "no such word", "completed", "in-progress"):
            calls.progressed(placed.id, said, "CA1")
        calls.progressed("out_unknown", "completed", "CA2")

        assert states == ["dialing", "ringing", "in-progress", "completed"]
        assert (placed.call_sid, placed.is_over) == ("CA1", True)

    play(scene, told=lambda placed: states.append(placed.state))


def test_who_answered_is_told_once() -> None:
    async def scene(calls: OutboundCalls, network: Network) -> None:
        placed, _ = calls.ask(WANTED)

        assert calls.answered_by(placed.id, "machine_end_beep") is placed
        assert calls.answered_by(placed.id, "human") is None
        assert calls.answered_by("out_unknown", "human") is None
        assert (placed.answered_by, placed.is_machine) == ("machine_end_beep", True)

    play(scene)


def test_whom_it_goes_to_and_what_is_known_of_them_stands_in_no_log() -> None:
    shown = repr(Placed("out_1", WANTED))

    assert "+1555" not in shown
    assert "Ann" not in shown


def test_a_call_that_was_given_up_and_rings_after_all_is_kept_room_for_and_taken_back() -> None:
    is_stopping = False

    async def scene() -> None:
        nonlocal is_stopping
        network = Network(Unanswered("no answer within 5 s"))
        async with OutboundCalls(
            {"sales": SPEC}, network, pace=Pace(1), clock=loop_time, is_draining=lambda: is_stopping
        ) as calls:
            placed, _ = calls.ask(WANTED)
            await asyncio.sleep(SPEC.ring_s + ANSWER_S + 1)
            given_up = placed.state
            calls.progressed(placed.id, "ringing", "CA7")
            expected, is_busy = calls.expected, calls.is_busy
            is_stopping = True
            calls.take_back()
            await asyncio.sleep(1)

            assert (given_up, placed.state, expected, is_busy) == ("failed", "ringing", 1, True)
            assert network.taken_back == ["CA7"]

    run_virtual(scene())
