"""Whole calls that the service places, on the simulated carrier and in virtual time: asked for, answered, ended."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.agent import RealtimeAgent
from channels.carrier import (
    ACCOUNT_SID,
    Account,
    Callee,
    CallReport,
    FarParty,
    RestInProcess,
    Script,
    loop_time,
    run_virtual,
    started,
)
from channels.carrier.app_socket import App
from channels.carrier.caller import Utterance
from channels.carrier.machine import AnsweringMachine
from gateway.app import make_app
from gateway.calls import Calls
from gateway.configuration import load_configuration
from gateway.on_trial import service_of
from gateway.placing import Placing
from gateway.rest import rest_of
from gateway.settings import read_settings
from tests.asgi import Answer, ask

TOKEN = "test-calls-token"
ENVIRONMENT = {
    "PUBLIC_URL": "https://gw.example.com",
    "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
    "TWILIO_AUTH_TOKEN": "test-token-0123456789abcdef",
    "CALLS_TOKEN": TOKEN,
}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
THEM = "+15550100500"
WANTED = {"to": THEM, "agent": "reminders", "variables": {"name": "Ann"}}

AGENT = """
model: scripted/rehearsals/reminder.yaml
greeting: Hello {{ name }}.
variables: {name: our patient}
tools: [hang_up]
outbound:
  caller_id: "+15550100200"
"""

TALKS = """
- expect: {kind: response.create, say: Hello Ann.}
- say: {text: Hello Ann., audio_ms: 900}
- wait_ms: 10000000
"""

LEAVES_A_MESSAGE = """
- expect: {kind: response.create, say: Quill for Ann.}
- say: {text: Quill for Ann., audio_ms: 1500}
- wait_ms: 10000000
"""

IS_INTERRUPTED = """
- expect: {kind: response.create, say: Hello Ann.}
- say: {text: Hello Ann., audio_ms: 900}
- expect: {kind: response.create, say: Quill for Ann.}
- say: {text: Quill for Ann., audio_ms: 1500}
- wait_ms: 10000000
"""

MACHINE = AnsweringMachine(greeting=Utterance(b"\x00\x20\x00\xe0" * 8000), records_s=30)
"""Two seconds of a greeting."""


def place(
    tmp_path: Path,
    scene: Callable[[App, Account], Coroutine[Any, Any, None]],
    *,
    outbound: str = "",
    steps: str = TALKS,
    callee: Callee | None = None,
    environment: Mapping[str, str] = ENVIRONMENT,
    remake: Callable[[RealtimeAgent], RealtimeAgent] = lambda agent: agent,
    made: Callable[[Calls], object] = lambda calls: None,
) -> list[CallReport]:
    """Runs the service of such an agent; afterwards, the reports of the calls that it placed.

    `remake` may change what comes of the file; `made` is given the calls before the first.
    """
    (tmp_path / "agents").mkdir()
    (tmp_path / "rehearsals").mkdir()
    (tmp_path / "agents" / "reminders.yaml").write_text(AGENT + outbound)
    (tmp_path / "agents" / "reception.yaml").write_text("model: scripted/rehearsals/reminder.yaml\n")
    (tmp_path / "rehearsals" / "reminder.yaml").write_text(steps)
    (tmp_path / "numbers.yaml").write_text("default: reception\n")
    account = Account(
        sid=ACCOUNT_SID,
        auth_token=ENVIRONMENT["TWILIO_AUTH_TOKEN"],
        public_url=ENVIRONMENT["PUBLIC_URL"],
        callees={THEM: callee or Callee(party=FarParty(rings_s=2), script=Script(stays=True, hang_up_after_s=8))},
    )

    async def played() -> None:
        settings = read_settings({**environment, "CONFIG_DIR": str(tmp_path)})
        configuration = load_configuration(tmp_path, environment)
        agents = {name: remake(agent) for name, agent in configuration.make_agents(tmp_path, environment).items()}
        rest = rest_of(settings, http=lambda: RestInProcess(account))
        assert rest
        calls = Calls(agents, settings.max_calls, clock=loop_time, rest=rest, addresses=settings.addresses)
        made(calls)
        placing = Placing(settings, configuration.agents, calls, rest, loop_time)
        async with started(make_app(settings, agents, configuration.numbers, calls, placing)) as app:
            account.app = app
            await scene(app, account)

    run_virtual(played())
    return list(account.reports)


async def states(app: App, answer: Answer, seconds: int) -> list[tuple[str, str | None]]:
    """What the service says of the call, second by second, each once."""
    seen: list[tuple[str, str | None]] = []
    for _ in range(seconds):
        told = (await ask(app, "GET", answer.headers["location"], headers=BEARER)).json
        if (state := (told["state"], told["answered_by"])) not in seen:
            seen.append(state)
        await asyncio.sleep(1)
    return seen


# ---- people ----


def test_whoever_answers_hears_the_agent_with_the_variables_of_the_request(tmp_path: Path) -> None:
    told: list[tuple[str, str | None]] = []

    async def scene(app: App, account: Account) -> None:
        answer = await ask(app, "POST", "/calls", WANTED, BEARER)
        assert (answer.status, answer.json["state"], answer.json["agent"]) == (202, "queued", "reminders")
        told.extend(await states(app, answer, 12))

    [report] = place(tmp_path, scene)

    assert report.errors == ()
    assert report.answer_ms is not None
    assert told == [("queued", None), ("ringing", None), ("in-progress", None), ("completed", None)]


@pytest.mark.parametrize(("does", "state"), [("busy", "busy"), ("no-answer", "no-answer"), ("failed", "failed")])
def test_a_call_that_nobody_answers_ends_in_the_networks_word_for_it(tmp_path: Path, does: Any, state: str) -> None:
    told: list[tuple[str, str | None]] = []

    async def scene(app: App, account: Account) -> None:
        told.extend(await states(app, await ask(app, "POST", "/calls", WANTED, BEARER), 40))

    place(tmp_path, scene, callee=Callee(party=FarParty(does=does)))

    assert told[-1] == (state, None)


def test_a_number_that_the_network_refuses_is_a_call_that_failed_and_says_why(tmp_path: Path) -> None:
    async def scene(app: App, account: Account) -> None:
        account.fail_next(400, 21211, "The 'To' number is not a valid phone number.")
        answer = await ask(app, "POST", "/calls", WANTED, BEARER)
        await asyncio.sleep(2)
        told = (await ask(app, "GET", answer.headers["location"], headers=BEARER)).json

        assert (told["state"], told["call_sid"]) == ("failed", None)
        assert "21211" in told["detail"]

    assert place(tmp_path, scene) == []


# ---- machines ----


def test_a_machine_is_hung_up_on_before_anything_is_said(tmp_path: Path) -> None:
    told: list[tuple[str, str | None]] = []

    async def scene(app: App, account: Account) -> None:
        told.extend(await states(app, await ask(app, "POST", "/calls", WANTED, BEARER), 20))

    [report] = place(tmp_path, scene, outbound="  detect_machine: sync\n", callee=Callee(machine=MACHINE))

    assert (report.ended_by, report.answer_ms, report.errors) == ("agent", None, ())
    assert told[-1] == ("completed", "machine_start")


def loud_ms(pcm16_8k: bytes) -> int:
    """Of how much of it something is to be heard."""
    frames = np.frombuffer(pcm16_8k[: len(pcm16_8k) // 320 * 320], "<i2").reshape(-1, 160).astype(float)
    return 20 * int((np.abs(frames).max(axis=1) > 500).sum())


@pytest.mark.parametrize(
    ("detect", "steps"), [("sync", LEAVES_A_MESSAGE), ("async", IS_INTERRUPTED)], ids=["sync", "async"]
)
def test_a_message_is_left_after_the_beep_and_then_the_call_ends(tmp_path: Path, detect: str, steps: str) -> None:
    outbound = f"  detect_machine: {detect}\n  on_machine: leave_message\n  voicemail: Quill for {{{{ name }}}}.\n"

    async def scene(app: App, account: Account) -> None:
        await ask(app, "POST", "/calls", WANTED, BEARER)
        await asyncio.sleep(30)

    [report] = place(tmp_path, scene, outbound=outbound, steps=steps, callee=Callee(machine=MACHINE))

    assert (report.ended_by, report.errors) == ("agent", ())
    assert loud_ms(report.left_message) == pytest.approx(1500, abs=60)


def test_a_person_is_talked_with_where_machines_are_looked_for(tmp_path: Path) -> None:
    told: list[tuple[str, str | None]] = []

    async def scene(app: App, account: Account) -> None:
        told.extend(await states(app, await ask(app, "POST", "/calls", WANTED, BEARER), 15))

    [report] = place(tmp_path, scene, outbound="  detect_machine: async\n")

    assert report.errors == ()
    assert report.answer_ms is not None
    assert told[-1] == ("completed", "human")


# ---- who may ----


def test_without_the_token_nobody_places_calls_or_learns_of_them(tmp_path: Path) -> None:
    async def scene(app: App, account: Account) -> None:
        for headers in ({}, {"Authorization": "Bearer wrong-token"}, {"Authorization": TOKEN}):
            assert (await ask(app, "POST", "/calls", WANTED, headers)).status == 401
            assert (await ask(app, "GET", "/calls/out_1", headers=headers)).status == 401

    assert place(tmp_path, scene) == []


def test_where_no_token_is_set_nobody_places_calls(tmp_path: Path) -> None:
    async def scene(app: App, account: Account) -> None:
        answer = await ask(app, "POST", "/calls", WANTED, {"Authorization": "Bearer "})

        assert (answer.status, answer.json["error"]) == (403, "nobody may place calls: CALLS_TOKEN is not set")

    environment = {name: value for name, value in ENVIRONMENT.items() if name != "CALLS_TOKEN"}
    place(tmp_path, scene, environment=environment)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"no JSON", 422, "body: Invalid JSON"),
        ({**WANTED, "to": "911"}, 422, "to: String should match pattern"),
        ({**WANTED, "to": "sip:x"}, 202, ""),
        ({"to": THEM}, 422, "agent: Field required"),
        ({**WANTED, "agent": "reception"}, 422, "agent 'reception' places no calls; those that do: reminders"),
        ({**WANTED, "variables": {"Name": "Ann"}}, 422, "variables.Name"),
        ({**WANTED, "extra": 1}, 422, "extra: Extra inputs are not permitted"),
        (b"x" * 70_000, 413, ""),
    ],
)
def test_what_is_wrong_with_a_request_is_said(tmp_path: Path, body: object, status: int, error: str) -> None:
    async def scene(app: App, account: Account) -> None:
        answer = await ask(app, "POST", "/calls", body, BEARER)

        assert answer.status == status
        assert error in answer.body.decode()
        assert "911" not in answer.body.decode()

    place(tmp_path, scene)


def test_the_same_idempotency_key_places_one_call(tmp_path: Path) -> None:
    async def scene(app: App, account: Account) -> None:
        keyed = {**BEARER, "Idempotency-Key": "visit-4711"}
        first = await ask(app, "POST", "/calls", WANTED, keyed)
        second = await ask(app, "POST", "/calls", WANTED, keyed)
        other = await ask(app, "POST", "/calls", {**WANTED, "to": "+15550100501"}, keyed)
        bad = await ask(app, "POST", "/calls", WANTED, {**BEARER, "Idempotency-Key": "two words"})
        await asyncio.sleep(15)

        assert (first.status, second.status, other.status, bad.status) == (202, 200, 409, 400)
        assert first.json["id"] == second.json["id"]

    assert len(place(tmp_path, scene)) == 1


def test_calls_are_placed_as_fast_as_the_account_allows_and_no_faster(tmp_path: Path) -> None:
    async def scene(app: App, account: Account) -> None:
        for _ in range(3):
            await ask(app, "POST", "/calls", WANTED, BEARER)
        await asyncio.sleep(0.4)
        placed = [len(account.calls)]
        for _ in range(2):
            await asyncio.sleep(0.5)
            placed.append(len(account.calls))
        await asyncio.sleep(15)

        assert placed == [1, 2, 3]

    environment = {**ENVIRONMENT, "CALLS_PER_SECOND": "2"}
    assert len(place(tmp_path, scene, environment=environment)) == 3


def test_a_service_that_can_serve_no_more_calls_calls_nobody(tmp_path: Path) -> None:
    async def scene(app: App, account: Account) -> None:
        await ask(app, "POST", "/calls", WANTED, BEARER)
        await asyncio.sleep(4)
        second = await ask(app, "POST", "/calls", WANTED, BEARER)
        await asyncio.sleep(1)
        told = (await ask(app, "GET", second.headers["location"], headers=BEARER)).json
        await asyncio.sleep(8)

        assert (told["state"], told["detail"]) == ("failed", "as many calls are live as the service may serve")

    assert len(place(tmp_path, scene, environment={**ENVIRONMENT, "MAX_CALLS": "1"})) == 1


def test_a_service_without_credentials_for_the_network_says_so(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    script = "script: {intents: [{name: a, examples: [a], answer: A.}]}"
    (tmp_path / "agents" / "reception.yaml").write_text(f"model: local/script\n{script}\n")
    (tmp_path / "numbers.yaml").write_text("default: reception\n")

    async def played() -> None:
        app = service_of(tmp_path, {"CALLS_TOKEN": TOKEN})
        answer = await ask(app, "POST", "/calls", WANTED, BEARER)

        assert (answer.status, "credentials" in answer.json["error"]) == (503, True)

    run_virtual(played())
