"""What callers get for whom there is no room: document by document, and in whole calls in virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from agents import RealtimeAgent, hang_up
from agents.errors import Problem
from agents.events import ResponseCreate, ToolCall
from agents.providers.scripted import ScriptedModel
from agents.providers.scripted.steps import Expect, Wait
from agents.providers.scripted.steps import Say as Spoken
from channels.carrier import ACCOUNT_SID, CallReport, Dial, Script, loop_time, place_call, run_virtual, started
from channels.carrier.app_socket import App
from channels.carrier.twiml import parse
from channels.carrier.twiml_verbs import Hangup, Pause, Redirect, Reject
from channels.carrier.twiml_verbs import Say as Says
from gateway import twiml
from gateway.admission import Admission
from gateway.app import make_app
from gateway.busy import CHARS_PER_S, RETURN_S, SAY_AGAIN_S, BusyAnswers
from gateway.busy_spec import BusySpec, QueueSpec
from gateway.calls import Calls
from gateway.loop_lag import LOOK_BACK, LoopLoad
from gateway.numbers import Numbers, check_numbers
from gateway.settings import read_settings
from gateway.waiting_callers import GRACE_S, WaitingCallers
from tests.service import running, voice_fields

PUBLIC = "https://gw.example.com"
TOKEN = "test-token-0123456789abcdef"
VOICE_URL = f"{PUBLIC}/twilio/voice"
WORDS = "Please hold."
OFFICE = "+15550100300"
RINGS = {"CallStatus": "ringing", "From": "+15550100100", "To": "+15550100200"}
ANSWERED = RINGS | {"CallStatus": "in-progress"}
QUEUE = BusySpec(queue=QueueSpec(say=WORDS, max_callers=2, longest_wait_s=60))


class Desk:
    """The answers, on a clock that stands until it is set."""

    def __init__(self, spec: BusySpec | None) -> None:
        self.now = 0.0
        self.waiting = WaitingCallers(lambda: self.now)
        self.answers = BusyAnswers(spec, self.waiting, VOICE_URL)

    def ask(self, at: float, sid: str = "CA1", parameters: dict[str, str] = RINGS) -> list[object]:
        self.now = at
        return list(parse(self.answers.no_room(sid, parameters)))


# ---- the documents ----


def test_without_a_word_in_the_file_the_caller_hears_the_busy_tone() -> None:
    assert Desk(None).ask(0) == [Reject("busy")]


def test_words_are_said_and_the_call_ends() -> None:
    assert Desk(BusySpec(say="Call again.")).ask(0) == [Says("Call again.", 1), Hangup()]


@pytest.mark.parametrize(
    ("number", "noun"), [(OFFICE, f"<Number>{OFFICE}</Number>"), ("sip:a@b.com", "<Sip>sip:a@b.com</Sip>")]
)
def test_another_telephone_rings_after_the_words_from_the_callers_number(number: str, noun: str) -> None:
    document = Desk(BusySpec(say="One moment.", number=number)).answers.no_room("CA1", RINGS)

    assert f'<Say>One moment.</Say><Dial timeout="30">{noun}</Dial><Hangup />' in document


@pytest.mark.parametrize(
    ("caller", "called", "caller_id"),
    [("sip:x@y.com", "+15550100200", ' callerId="+15550100200"'), ("client:x", "client:y", ""), ("+1555010", "z", "")],
)
def test_for_a_caller_without_a_number_it_rings_from_the_number_that_was_dialled(
    caller: str, called: str, caller_id: str
) -> None:
    document = Desk(BusySpec(number=OFFICE)).answers.no_room("CA1", {"From": caller, "To": called})

    assert f"<Response><Dial{caller_id} " in document
    assert "callerId" in document or not caller_id


def test_who_waits_hears_the_words_now_and_then_and_silence_between() -> None:
    desk = Desk(QUEUE)

    first, second, third = desk.ask(0), desk.ask(8, parameters=ANSWERED), desk.ask(SAY_AGAIN_S, parameters=ANSWERED)

    pause = [Pause(RETURN_S), Redirect(VOICE_URL)]
    assert (first, second, third) == ([Says(WORDS, 1), *pause], pause, [Says(WORDS, 1), *pause])


def test_when_the_caller_is_to_be_back_takes_the_words_into_account() -> None:
    desk = Desk(QUEUE)
    desk.ask(0)

    waiting = desk.waiting.find("CA1")
    assert waiting and waiting.back_by == RETURN_S + len(WORDS) / CHARS_PER_S + GRACE_S


def test_who_finds_the_queue_full_gets_what_comes_after_it() -> None:
    desk = Desk(QUEUE)
    desk.ask(0, "CA1")
    desk.ask(0, "CA2")

    assert desk.ask(0, "CA3") == [Reject("busy")]
    assert desk.ask(1, "CA2", ANSWERED) == [Pause(RETURN_S), Redirect(VOICE_URL)]


@pytest.mark.parametrize("say", [None, "Nobody is free."])
def test_who_has_waited_in_vain_is_told_so_and_no_longer_waits(say: str | None) -> None:
    desk = Desk(QUEUE.model_copy(update={"say": say}))
    for at in range(0, 60, 10):
        desk.ask(at)

    assert desk.ask(60, parameters=ANSWERED) == [Says(say or twiml.STILL_BUSY, 1), Hangup()]
    assert len(desk.waiting) == 0


# ---- the operator's file ----


def read(folder: Path, busy: str) -> tuple[Numbers | None, list[Problem]]:
    (folder / "numbers.yaml").write_text(f"default: desk\nbusy: {busy}\n")
    return check_numbers(folder, ["desk"])


def test_the_file_says_what_busy_callers_get(tmp_path: Path) -> None:
    numbers, _ = read(tmp_path, '{queue: {max_callers: 5}, say: Later., number: "+15550100300"}')

    assert numbers and numbers.busy == BusySpec(queue=QueueSpec(max_callers=5), say="Later.", number=OFFICE)


@pytest.mark.parametrize(
    ("busy", "field", "right"),
    [
        ("{}", "busy", "give callers something: queue, say or number; without busy they hear the busy tone"),
        ('{number: "5550100"}', "busy.number", "should be: Who is telephoned"),
        ('{number: "client:desk"}', "busy.number", "should be: Who is telephoned"),
        ("{queue: {max_callers: 0}}", "busy.queue.max_callers", "must be a whole number from 1 to 100"),
        ("{queue: {longest_wait_s: 5}}", "busy.queue.longest_wait_s", "must be a whole number from 10 to 3600"),
        ("{words: Later.}", "busy.words", "no such field"),
    ],
)
def test_a_wrong_busy_block_is_a_problem_with_its_cure(busy: str, field: str, right: str, tmp_path: Path) -> None:
    numbers, [problem] = read(tmp_path, busy)

    assert numbers is None
    assert (problem.line, problem.field) == (2, field)
    assert problem.right.startswith(right)


# ---- whole calls ----


@dataclass
class House:
    """A service with so many places, and a carrier that calls it; when each caller first heard the agent, in order."""

    calls: Calls
    app: App
    heard: list[tuple[float, str]] = field(default_factory=list)

    async def call(self, sid: str, at: float, *, hang_up_after_s: float | None = None) -> CallReport:
        """A caller who dials at that second, and stays until the agent, or they themselves, hang up."""
        await asyncio.sleep(at - loop_time())
        dial = Dial(public_url=PUBLIC, auth_token=TOKEN, call_sid=sid)
        report = await place_call(dial, Script(stays=True, hang_up_after_s=hang_up_after_s), app=self.app)
        if report.answer_ms is not None:
            self.heard.append((at + report.answer_ms / 1000, sid))
            self.heard.sort()
        return report

    @property
    def served(self) -> list[str]:
        return [sid for _, sid in self.heard]


Played = TypeVar("Played")


def played(
    scenario: Callable[[House], Coroutine[Any, Any, Played]],
    busy: BusySpec | None,
    *,
    places: int = 1,
    talks_ms: int = 20_000,
) -> Played:
    """The scenario with a service of one agent, who talks with each caller for so long and hangs up."""

    async def run() -> Played:
        settings = read_settings({"PUBLIC_URL": PUBLIC, "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_ACCOUNT_SID": ACCOUNT_SID})
        steps = (Expect(ResponseCreate), Spoken("Hello.", 600), Wait(talks_ms), ToolCall("r1", "c1", "hang_up", "{}"))
        model = ScriptedModel(steps, patience_s=10_000)
        agents = {"desk": RealtimeAgent(name="desk", model=model, greeting="Hello.", tools=(hang_up,))}
        calls = Calls(agents, places, clock=loop_time)
        async with started(make_app(settings, agents, Numbers("desk", {}, busy), calls)) as app:
            return await scenario(House(calls, app))

    return run_virtual(run())


def test_callers_who_wait_are_served_in_the_order_in_which_they_came_and_newcomers_after_them() -> None:
    async def scenario(house: House) -> list[str]:
        async with asyncio.TaskGroup() as calling:
            # CA1 is over at about 21 s: at that moment CA4 calls, before either of those who wait has come back
            for sid, at in (("CA1", 0.0), ("CA2", 1.0), ("CA3", 2.0), ("CA4", 21.3)):
                calling.create_task(house.call(sid, at))
        assert len(house.calls.waiting) == 0
        return house.served

    assert played(scenario, BusySpec(queue=QueueSpec(say=WORDS, longest_wait_s=300))) == ["CA1", "CA2", "CA3", "CA4"]


def test_a_caller_is_let_in_within_seconds_of_there_being_room() -> None:
    async def scenario(house: House) -> float:
        async with asyncio.TaskGroup() as calling:
            first = calling.create_task(house.call("CA1", 0.0))
            calling.create_task(house.call("CA2", 1.0))
        return house.heard[1][0] - first.result().duration_ms / 1000

    assert 0 < played(scenario, QUEUE) < RETURN_S + 2


def test_two_places_that_become_free_are_not_kept_for_one_who_has_not_come_back_yet() -> None:
    async def scenario(house: House) -> list[bool]:
        waiting = house.calls.waiting
        waiting.put("CA8", {}, within_s=60)
        waiting.put("CA9", {}, within_s=60)
        return [house.calls.why_not(sid) is None for sid in ("CA8", "CA9", "CA10")]

    assert played(scenario, QUEUE, places=2) == [True, True, False]


def test_who_hangs_up_while_waiting_is_forgotten_at_once() -> None:
    async def scenario(house: House) -> list[int]:
        async with asyncio.TaskGroup() as calling:
            calling.create_task(house.call("CA1", 0.0))
            waits = calling.create_task(house.call("CA2", 1.0, hang_up_after_s=7))
            await asyncio.sleep(5)
            during = len(house.calls.waiting)
            assert (await waits).ended_by == "caller"
            return [during, len(house.calls.waiting)]

    assert played(scenario, QUEUE) == [1, 0]


def test_who_has_waited_for_too_long_is_told_so_and_put_through() -> None:
    async def scenario(house: House) -> CallReport:
        async with asyncio.TaskGroup() as calling:
            calling.create_task(house.call("CA1", 0.0))
            waited = calling.create_task(house.call("CA2", 1.0))
        return waited.result()

    spec = BusySpec(queue=QueueSpec(say=WORDS, longest_wait_s=20), say="You are put through.", number=OFFICE)
    report = played(scenario, spec, talks_ms=120_000)

    assert (report.answer_ms, report.errors) == (None, ())
    assert report.carrier_said == (WORDS, "You are put through.")
    assert [type(event).__name__ for event in report.carrier_did] == ["DialBegan", "DialEnded"]


def test_who_waits_when_the_service_stops_is_told_so_and_who_calls_then_hears_the_busy_tone() -> None:
    async def scenario(house: House) -> list[CallReport]:
        async with asyncio.TaskGroup() as calling:
            calling.create_task(house.call("CA1", 0.0))
            waited = calling.create_task(house.call("CA2", 1.0))
            await asyncio.sleep(3)
            house.calls.drain()
            late = calling.create_task(house.call("CA3", 4.0))
        return [waited.result(), late.result()]

    waited, late = played(scenario, QUEUE)

    assert waited.carrier_said == (WORDS, twiml.STILL_BUSY)
    assert (late.ended_by, late.carrier_said) == ("rejected", ())


def test_nobody_waits_where_the_file_does_not_say_so() -> None:
    async def scenario(house: House) -> str:
        async with asyncio.TaskGroup() as calling:
            calling.create_task(house.call("CA1", 0.0))
            refused = calling.create_task(house.call("CA2", 1.0))
        return refused.result().ended_by

    assert played(scenario, None) == "rejected"


def test_what_the_numbers_address_says_of_a_caller_is_known_after_waiting(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> tuple[str, str, str | None]:
        agent = RealtimeAgent(name="desk", model=ScriptedModel((Wait(60_000),)))
        async with running(agent, numbers=Numbers("desk", {}, QUEUE), MAX_CALLS="1") as service:
            await service.post("/twilio/voice", voice_fields("CA1"))
            _, waits = await service.post("/twilio/voice?shop=Mill+Lane", voice_fields("CA2"))
            await service.post("/twilio/status", voice_fields("CA1") | {"CallStatus": "completed"})
            _, served = await service.post("/twilio/voice", voice_fields("CA2") | {"CallStatus": "in-progress"})
            call = service.calls.live("CA2")
            return waits, served, call.context.parameters.get("shop") if call else None

    waits, served, shop = asyncio.run(scenario())

    assert "<Redirect>" in waits and "<Stream " in served
    assert shop == "Mill Lane"
    assert "call from …100 waits: 1 calls are live" in caplog.text


# ---- calls that the service places ----


def overloaded() -> Admission:
    """One that lets nobody in beside a first call."""
    load = LoopLoad()
    admission = Admission(10, load, max_lag_ms=10)
    for _ in range(LOOK_BACK):
        load.came_round(0.0, 0.5)
        load.second_passed(1.0)
    return admission


def test_in_overload_nobody_is_called_and_who_answers_a_call_of_ours_is_served() -> None:
    async def scenario() -> tuple[bool, list[bool]]:
        agents = {"desk": RealtimeAgent(name="desk", model=ScriptedModel((Wait(60_000),)))}
        async with Calls(agents, overloaded(), clock=loop_time) as calls:
            calls.open("CA1", "desk", "", "", {})
            called = calls.open("CA2", "desk", "", "", {})
            answered = calls.open("CA3", "desk", "", "", {}, placed={})
            await asyncio.sleep(1)
            return calls.has_room, [called is None, answered is None]

    assert run_virtual(scenario()) == (False, [True, False])
