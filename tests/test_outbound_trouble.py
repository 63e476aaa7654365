"""Whole calls that the service places where something comes at a bad moment: machines, a slow network, a full house."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agents.agent import RealtimeAgent
from agents.events import ResponseCreate
from agents.providers.scripted import ScriptedConnection, ScriptedModel
from agents.providers.scripted.steps import Expect, Fail, Say
from agents.realtime import RealtimeConnectOptions, SessionConfig, Transcription, TurnDetection
from agents.tools.contract import AgentTool
from agents.tools.voicemail import leave_voicemail_tool
from channels.carrier import Account, Callee, CallReport, FarParty, Script
from channels.carrier.app_socket import App
from gateway.calls import Calls
from tests.asgi import Answer, ask
from tests.rig import Calls as Uses
from tests.rig import Reply, Says, ToolUse
from tests.rig_openai import OpenAIRig
from tests.test_outbound_calls import BEARER, ENVIRONMENT, MACHINE, THEM, WANTED, loud_ms, place, states
from tests.through import through

SOMEBODY = "+15550100777"
DESK = "+15550100300"

LEAVE_A_MESSAGE = "  detect_machine: {}\n  on_machine: leave_message\n  voicemail: Quill for {{{{ name }}}}.\n"


async def told_of(app: App, answer: Answer) -> dict[str, str]:
    told: dict[str, str] = (await ask(app, "GET", answer.headers["location"], headers=BEARER)).json
    return told


def talker(rings_s: float = 2, until_s: float = 60) -> Callee:
    """A person who picks up and stays on the line."""
    return Callee(party=FarParty(rings_s=rings_s), script=Script(stays=True, hang_up_after_s=until_s))


# ---- machines ----


class Late(ScriptedModel):
    """Its connections take so long, one after the other; those after them no time."""

    waits_s: list[float]

    async def connect(self, options: RealtimeConnectOptions | None = None) -> ScriptedConnection:
        await asyncio.sleep(self.waits_s.pop(0) if self.waits_s else 0)
        return await super().connect(options)


def test_a_machine_that_is_noticed_before_the_model_is_there_gets_its_message_and_hurts_no_other_call(
    tmp_path: Path,
) -> None:
    said: list[str] = []

    def remake(agent: RealtimeAgent) -> RealtimeAgent:
        model = Late((Expect(ResponseCreate), Say("Whatever it is.", 1500)), patience_s=600)
        model.waits_s = [0.0, 6.0]
        return replace(agent, model=model)

    async def scene(app: App, account: Account) -> None:
        account.callees = {SOMEBODY: talker(until_s=40), THEM: Callee(machine=MACHINE)}
        other = await ask(app, "POST", "/calls", {**WANTED, "to": SOMEBODY}, BEARER)
        await asyncio.sleep(5)
        await ask(app, "POST", "/calls", WANTED, BEARER)
        await asyncio.sleep(25)
        said.append((await told_of(app, other))["state"])
        await asyncio.sleep(20)
        said.append((await told_of(app, other))["state"])

    machine, person = place(tmp_path, scene, outbound=LEAVE_A_MESSAGE.format("async"), remake=remake)

    assert loud_ms(machine.left_message) == pytest.approx(1500, abs=60)
    assert (machine.ended_by, person.ended_by) == ("agent", "caller")
    assert said == ["in-progress", "completed"]


def to_machine(folder: Path, detect: str, *replies: Reply, tools: tuple[AgentTool, ...] = ()) -> CallReport:
    """What becomes of a call to a machine, with a model that hears turns by itself, as OpenAI's do."""
    rig = OpenAIRig()
    rig.will(*replies)
    config = SessionConfig(turn_detection=TurnDetection(), transcription=Transcription())

    async def scene(app: App, account: Account) -> None:
        await ask(app, "POST", "/calls", WANTED, BEARER)
        await asyncio.sleep(45)

    [report] = place(
        folder,
        scene,
        outbound=LEAVE_A_MESSAGE.format(detect),
        callee=Callee(machine=MACHINE),
        remake=lambda agent: replace(agent, model=through(rig), config=config, tools=tools),
    )
    assert (report.errors, rig.violations) == ((), [])
    return report


@pytest.mark.parametrize("detect", ["sync", "async"])
def test_the_message_alone_is_recorded_by_a_machine_whose_beep_the_model_would_answer(
    tmp_path: Path, detect: str
) -> None:
    report = to_machine(tmp_path, detect, *[Says("Whatever it is.", 700)] * 6)

    assert report.ended_by == "agent"
    assert loud_ms(report.left_message) == pytest.approx(700, abs=60)


def test_a_message_is_left_once_whoever_asks_for_it(tmp_path: Path) -> None:
    uses = Uses((ToolUse("leave_voicemail", "{}"),), None)
    replies: list[Reply] = [Says("Hello Ann.", 900), uses, *[Says("Quill for Ann.", 700)] * 5]
    tools = (leave_voicemail_tool("Quill for {{ name }}."),)

    report = to_machine(tmp_path, "async", *replies, tools=tools)

    assert report.ended_by == "agent"
    assert loud_ms(report.left_message) == pytest.approx(700, abs=60)


# ---- a model that is not there ----


def last_resort(folder: Path, callee: Callee, resort: str, detect: str = "sync") -> CallReport:
    """What becomes of a placed call that no model can serve, of an agent with that last resort."""

    async def scene(app: App, account: Account) -> None:
        await ask(app, "POST", "/calls", WANTED, BEARER)
        await asyncio.sleep(60)

    down = ScriptedModel((Fail("down", "it is down"),))
    [report] = place(
        folder,
        scene,
        outbound=f"{LEAVE_A_MESSAGE.format(detect)}last_resort: {{{resort}}}\n",
        callee=callee,
        remake=lambda agent: replace(agent, model=down),
    )
    return report


@pytest.mark.parametrize("resort", [f'dial: "{DESK}"', "voicemail: true"])
def test_a_machine_is_hung_up_on_without_a_word_when_no_model_can_serve_the_call(tmp_path: Path, resort: str) -> None:
    report = last_resort(tmp_path, Callee(machine=MACHINE), resort)

    assert (report.ended_by, report.carrier_said, report.carrier_did, report.errors) == ("agent", (), (), ())


@pytest.mark.parametrize("resort", [f'say: Sorry., dial: "{DESK}"', "say: Sorry., voicemail: true"])
def test_a_person_whom_we_called_hears_the_last_resorts_words_and_nothing_else(tmp_path: Path, resort: str) -> None:
    report = last_resort(tmp_path, talker(), resort)

    assert (report.ended_by, report.carrier_said, report.errors) == ("agent", ("Sorry.",), ())
    assert report.carrier_did == ()


# ---- a network that does not answer ----


def test_a_call_that_the_network_makes_and_answers_too_late_for_goes_on_as_any_other(tmp_path: Path) -> None:
    told: list[tuple[str, str | None]] = []

    async def scene(app: App, account: Account) -> None:
        account.answer_late(6, path="/Calls.json")
        told.extend(await states(app, await ask(app, "POST", "/calls", WANTED, BEARER), 15))

    [report] = place(tmp_path, scene)

    assert told == [("queued", None), ("ringing", None), ("in-progress", None), ("completed", None)]
    assert report.answer_ms is not None


def test_a_call_of_which_the_network_never_tells_fails_after_its_ringing_as_one_that_nobody_knows_of(
    tmp_path: Path,
) -> None:
    told: list[dict[str, str]] = []

    async def scene(app: App, account: Account) -> None:
        account.fail_next(500, 20500, "Internal Server Error", path="/Calls.json")
        answer = await ask(app, "POST", "/calls", WANTED, BEARER)
        for _ in range(2):
            await asyncio.sleep(40)
            told.append(await told_of(app, answer))

    assert place(tmp_path, scene) == []
    assert [each["state"] for each in told] == ["dialing", "failed"]
    assert told[1]["detail"].startswith("it is unknown whether they were called: 20500: ")


# ---- room ----


def test_calls_that_ring_have_their_room_so_that_whoever_answers_is_talked_with(tmp_path: Path) -> None:
    told: list[dict[str, str]] = []

    async def scene(app: App, account: Account) -> None:
        account.callees = {THEM: talker(10, 20), SOMEBODY: talker(10, 20)}
        first = await ask(app, "POST", "/calls", WANTED, BEARER)
        second = await ask(app, "POST", "/calls", {**WANTED, "to": SOMEBODY}, BEARER)
        await asyncio.sleep(25)
        third = await ask(app, "POST", "/calls", {**WANTED, "to": SOMEBODY}, BEARER)
        await asyncio.sleep(25)
        told.extend([await told_of(app, each) for each in (first, second, third)])

    reports = place(tmp_path, scene, environment={**ENVIRONMENT, "MAX_CALLS": "1"})

    assert [(report.answer_ms, report.carrier_said) for report in reports] == [(10_000, ()), (10_000, ())]
    assert [each["state"] for each in told] == ["completed", "failed", "completed"]
    assert told[1]["detail"] == "as many calls are live as the service may serve"


def test_a_caller_is_not_let_into_the_room_of_a_call_that_rings(tmp_path: Path) -> None:
    async def scene(app: App, account: Account) -> None:
        account.callees = {THEM: talker(10, 20)}
        states_of = [(await ask(app, "GET", "/readyz")).json["status"]]
        await ask(app, "POST", "/calls", WANTED, BEARER)
        await asyncio.sleep(5)
        states_of.append((await ask(app, "GET", "/readyz")).json["status"])
        await asyncio.sleep(20)
        states_of.append((await ask(app, "GET", "/readyz")).json["status"])

        assert states_of == ["ready", "full", "ready"]

    place(tmp_path, scene, environment={**ENVIRONMENT, "MAX_CALLS": "1"})


# ---- the end of the service ----


def test_a_service_that_stops_lets_no_telephone_ring_on_and_calls_nobody_who_waits(tmp_path: Path) -> None:
    made: list[Calls] = []
    told: list[dict[str, str]] = []

    async def scene(app: App, account: Account) -> None:
        account.callees = {THEM: talker(20), SOMEBODY: talker(20)}
        answers = [await ask(app, "POST", "/calls", {**WANTED, "to": to}, BEARER) for to in (THEM, SOMEBODY)]
        await asyncio.sleep(5)
        was_busy = made[0].is_busy
        made[0].drain()
        await asyncio.sleep(2)
        told.extend([await told_of(app, each) for each in answers])

        assert (was_busy, made[0].is_busy) == (True, False)

    [report] = place(tmp_path, scene, made=made.append, environment={**ENVIRONMENT, "CALLS_PER_SECOND": "0.1"})

    assert (report.answer_ms, report.carrier_said) == (None, ())
    assert [(each["state"], each["detail"]) for each in told] == [
        ("canceled", ""),
        ("canceled", "the service stopped before its turn"),
    ]


def test_a_call_that_is_being_dialled_when_the_service_stops_is_taken_back_once_the_network_has_named_it(
    tmp_path: Path,
) -> None:
    made: list[Calls] = []

    async def scene(app: App, account: Account) -> None:
        account.callees = {THEM: talker(20)}
        account.api_delay_s = 2
        answer = await ask(app, "POST", "/calls", WANTED, BEARER)
        await asyncio.sleep(1)
        made[0].drain()
        await asyncio.sleep(8)

        assert (await told_of(app, answer))["state"] == "canceled"

    place(tmp_path, scene, made=made.append)


def test_who_answers_while_the_service_stops_hears_nothing_and_it_is_said_why(tmp_path: Path) -> None:
    made: list[Calls] = []
    told: list[dict[str, str]] = []

    async def scene(app: App, account: Account) -> None:
        answer = await ask(app, "POST", "/calls", WANTED, BEARER)
        await asyncio.sleep(1)
        account.fail_next(400, 20001, "not now", path="/Calls/")  # it goes on ringing
        made[0].drain()
        await asyncio.sleep(8)
        told.append(await told_of(app, answer))

    [report] = place(tmp_path, scene, made=made.append)

    assert (report.ended_by, report.carrier_said, report.errors) == ("agent", (), ())
    assert [each["detail"] for each in told] == ["they answered when no more calls could be served"]
