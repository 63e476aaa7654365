"""Every ending of a call, from both sides, in virtual time: the caller hears the last word, nothing is left open."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import pytest

from agents import RealtimeAgent, ToolContext, hang_up, tool
from agents.events import AudioOutputDelta, ResponseCreate, ResponseDone, ToolCall
from agents.idle import IdleStep
from agents.mulaw import FRAME_BYTES, SILENCE, PcmToUlaw
from agents.providers.scripted import ScriptedModel
from agents.providers.scripted.steps import Expect, Fail, Say, Step, Wait
from agents.time_limit import DurationWarning
from channels.carrier import ACCOUNT_SID, Account, CallReport, Dial, Network, Script, loop_time, place_call, run_virtual
from channels.carrier import started as starting
from channels.carrier.app_socket import App, Message, Receive, Scope, Send
from channels.carrier.live_call import CallStatus, Fetch
from channels.carrier.report import CallUpdated
from channels.carrier.rest_in_process import RestInProcess
from gateway.addresses import AFTER_STREAM_PATH, STATUS_PATH, VOICE_PATH
from gateway.app import make_app
from gateway.calls import Calls
from gateway.numbers import Numbers
from gateway.rest import TOTAL_TIMEOUT_S, HttpClient, rest_of
from gateway.settings import read_settings

PUBLIC: Final = "https://gw.example.com"
TOKEN: Final = "test-token-0123456789abcdef"
SID: Final = "CA" + "1" * 32

HELLO: Final = Say("Hello.", 600)
GOODBYE: Final = Say("Thank you for calling. Goodbye.", 2345)
GREETING: Final[tuple[Step, ...]] = (Expect(ResponseCreate), HELLO)
FOREVER: Final = Wait(10_000_000)
HANG_UP: Final = ToolCall("r1", "c1", "hang_up", "{}")

FAR: Final = Network(rtt_ms=180, jitter_ms=40, playback_delay_ms=120, seed=3)
BOTH: Final = pytest.mark.parametrize("has_rest", [True, False], ids=["rest", "no rest"])
LINES: Final = pytest.mark.parametrize("network", [None, FAR], ids=["near", "far"])


@dataclass(frozen=True)
class Ended:
    """What is left of a call, on both sides."""

    report: CallReport
    status: CallStatus
    tasks: set[str]
    live_calls: int
    sockets: list[str]
    posts: list[str]
    requests: int

    def is_clean(self) -> bool:
        """Nothing is left on either side, and every callback was answered as it should be."""
        return not (self.tasks or self.live_calls) and set(self.sockets) <= {"closed"} and self.report.errors == ()

    @property
    def updates(self) -> list[str]:
        return [event.what for event in self.report.carrier_did if isinstance(event, CallUpdated)]


class Watched:
    """An application, and how each of its media sockets ended: `closed` once both sides know that it is."""

    def __init__(self, app: App) -> None:
        self.sockets: list[str] = []
        self.posts: list[str] = []
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.posts.append(scope["path"])
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        number, told = len(self.sockets), set[str]()
        self.sockets.append("open")

        async def receiving() -> Message:
            message = await receive()
            told.add(message["type"])
            return message

        async def sending(message: Message) -> None:
            told.add(message["type"])
            await send(message)

        await self._app(scope, receiving, sending)
        if told & {"websocket.close", "websocket.disconnect"}:
            self.sockets[number] = "closed"


def agent(*steps: Step, **more: Any) -> RealtimeAgent:
    more = {"tools": (hang_up,), **more}
    return RealtimeAgent(name="test", model=ScriptedModel(steps, patience_s=10_000), greeting="Hello.", **more)


def call(
    agent: RealtimeAgent,
    script: Script | None = None,
    *,
    has_rest: bool,
    network: Network | None = None,
    account: Account | None = None,
    http: HttpClient | None = None,
    beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> Ended:
    """One call through the whole service, from the webhook to the last callback. `beside` begins with it."""
    known = account or Account(sid=ACCOUNT_SID, auth_token=TOKEN)
    dial = Dial(public_url=PUBLIC, auth_token=TOKEN, call_sid=SID)
    told = script or Script(stays=True)

    async def run() -> Ended:
        before = asyncio.all_tasks()
        settings = read_settings({"PUBLIC_URL": PUBLIC, "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_ACCOUNT_SID": ACCOUNT_SID})
        rest = rest_of(settings, http=http or (lambda: RestInProcess(known))) if has_rest else None
        calls = Calls({agent.name: agent}, 1, clock=loop_time, rest=rest, addresses=settings.addresses)
        app = Watched(make_app(settings, {agent.name: agent}, Numbers(agent.name, {}), calls))
        async with starting(app) as running:
            serving = asyncio.all_tasks()
            async with asyncio.TaskGroup() as tasks:
                calling = tasks.create_task(place_call(dial, told, app=running, network=network, account=known))
                if beside is not None:
                    tasks.create_task(beside())
            report = calling.result()
            left = asyncio.all_tasks() - serving
            live_calls = len(calls)
        left |= asyncio.all_tasks() - before
        # Requests that nobody waits for any more are Twilio's own business.
        names = {name for task in left if not (name := task.get_name()).startswith("REST POST")}
        status = known.calls[SID].status
        return Ended(report, status, names, live_calls, app.sockets, app.posts, len(known.requests))

    return run_virtual(run())


def on_the_wire(*said: Say) -> bytes:
    """What a line should hear of these, one item each, in whole frames."""

    async def spoken() -> list[bytes]:
        items = [b""]
        async for event in await ScriptedModel(said).connect():
            match event:
                case AudioOutputDelta(_, _, _, pcm):
                    items[-1] += pcm
                case ResponseDone():
                    items.append(b"")
                    if len(items) > len(said):
                        break
        return items

    heard = b""
    for pcm in filter(None, asyncio.run(spoken())):
        codec = PcmToUlaw()
        ulaw = codec.feed(pcm) + codec.flush()
        heard += ulaw + bytes([SILENCE]) * (-len(ulaw) % FRAME_BYTES)
    return heard


def heard(ended: Ended) -> bytes:
    return b"".join(ulaw for _, ulaw in ended.report.tape.played)


# ---- the six endings ----


@BOTH
@LINES
def test_a_caller_who_hangs_up_in_the_middle_of_a_word_leaves_nothing(has_rest: bool, network: Network | None) -> None:
    ended = call(agent(*GREETING, GOODBYE, FOREVER), Script(hang_up_after_s=2), has_rest=has_rest, network=network)

    assert ended.is_clean()
    assert (ended.report.ended_by, ended.status) == ("caller", "completed")
    assert (ended.requests, ended.posts.count(STATUS_PATH), AFTER_STREAM_PATH in ended.posts) == (0, 1, False)
    assert on_the_wire(HELLO, GOODBYE).startswith(heard(ended))


@tool
async def leave(call: ToolContext) -> str:
    """Ends the call when the caller has heard everything."""
    await call.session.close("agent", after_playback=True)
    return "over"


@BOTH
@LINES
@pytest.mark.parametrize("goodbye", ["hang_up", "leave"])
def test_an_agent_that_hangs_up_is_heard_to_its_last_word(
    has_rest: bool, network: Network | None, goodbye: str
) -> None:
    steps = (*GREETING, GOODBYE, replace(HANG_UP, name=goodbye), FOREVER)
    ended = call(agent(*steps, tools=(hang_up, leave)), has_rest=has_rest, network=network)

    assert heard(ended) == on_the_wire(HELLO, GOODBYE)
    assert ended.is_clean()
    assert (ended.report.ended_by, ended.status, ended.report.carrier_said) == ("agent", "completed", ())
    assert ended.updates == (["hung up: completed"] if has_rest else [])
    assert (AFTER_STREAM_PATH in ended.posts) is not has_rest


@BOTH
@LINES
def test_a_provider_that_drops_is_an_apology_and_the_end(has_rest: bool, network: Network | None) -> None:
    ended = call(agent(*GREETING, Wait(3000), Fail("network", "gone")), has_rest=has_rest, network=network)

    assert heard(ended) == on_the_wire(HELLO)
    assert ended.is_clean()
    assert (ended.report.ended_by, ended.status, ended.requests) == ("agent", "completed", 0)
    assert ["technical problem" in said for said in ended.report.carrier_said] == [True]


@BOTH
@LINES
def test_a_socket_that_dies_ends_the_call_by_its_twiml(has_rest: bool, network: Network | None) -> None:
    dying = replace(network or Network(), reset_after_s=3.0)
    ended = call(agent(*GREETING, FOREVER), has_rest=has_rest, network=dying)

    [error] = ended.report.errors
    assert error == "the media socket broke with code 1006 (31903)"
    assert replace(ended, report=replace(ended.report, errors=())).is_clean()
    assert (ended.report.ended_by, ended.status, ended.requests) == ("agent", "completed", 0)
    assert ["technical problem" in said for said in ended.report.carrier_said] == [True]


@BOTH
def test_a_line_that_falls_silent_ends_the_call_by_its_twiml(has_rest: bool) -> None:
    ended = call(agent(*GREETING, FOREVER), has_rest=has_rest, network=Network(silent_after_s=3.0))

    assert ended.is_clean()
    assert (ended.report.ended_by, ended.status, ended.requests) == ("agent", "completed", 0)
    assert 13_000 <= ended.report.duration_ms <= 22_000


@BOTH
@LINES
def test_the_time_limit_ends_the_call_after_its_warning_was_heard(has_rest: bool, network: Network | None) -> None:
    limited = agent(
        *GREETING,
        Expect(ResponseCreate),
        GOODBYE,
        FOREVER,
        max_duration_s=60,
        duration_warning=DurationWarning(before_s=10, say=GOODBYE.text),
    )
    ended = call(limited, Script(stays=True), has_rest=has_rest, network=network)

    assert heard(ended) == on_the_wire(HELLO, GOODBYE)
    assert ended.is_clean()
    assert (ended.report.ended_by, ended.status, ended.report.carrier_said) == ("agent", "completed", ())
    assert 60_000 <= ended.report.duration_ms <= 62_000
    assert ended.updates == (["hung up: completed"] if has_rest else [])


@BOTH
@LINES
def test_a_silent_caller_hears_the_last_words_whole_before_the_call_is_given_up(
    has_rest: bool, network: Network | None
) -> None:
    idle = (IdleStep(after_s=8, say="Are you there?"), IdleStep(after_s=8, say=GOODBYE.text, hang_up=True))
    asked = Say("Are you there?", 700)
    steps = (*GREETING, Expect(ResponseCreate), asked, Expect(ResponseCreate), GOODBYE, FOREVER)
    ended = call(agent(*steps, idle=idle), Script(stays=True), has_rest=has_rest, network=network)

    assert heard(ended) == on_the_wire(HELLO, asked, GOODBYE)
    assert ended.is_clean()
    assert (ended.report.ended_by, ended.status, ended.report.carrier_said) == ("agent", "completed", ())
    assert ended.updates == (["hung up: completed"] if has_rest else [])


# ---- hanging up that does not succeed ----


GONE: Final = (*GREETING, GOODBYE, HANG_UP, FOREVER)


@pytest.mark.parametrize(
    ("status", "code", "tries"), [(401, 20003, 1), (404, 20404, 1), (400, 21220, 1), (429, 20429, 3), (500, 20500, 3)]
)
def test_a_hanging_up_that_twilio_refuses_is_the_end_of_the_stream_and_then_of_the_twiml(
    status: int, code: int, tries: int
) -> None:
    known = Account(sid=ACCOUNT_SID, auth_token=TOKEN)
    for _ in range(tries):
        known.fail_next(status, code)

    ended = call(agent(*GONE), has_rest=True, account=known)

    assert_ended_by_twiml(ended)
    assert ended.requests == tries


def test_a_hanging_up_that_is_never_answered_is_given_up_for_the_twiml() -> None:
    ended = call(agent(*GONE), has_rest=True, account=Account(sid=ACCOUNT_SID, auth_token=TOKEN, api_delay_s=3600))

    assert_ended_by_twiml(ended)
    assert ended.report.duration_ms == pytest.approx(600 + 2360 + TOTAL_TIMEOUT_S * 1000, abs=100)


class Unreachable:
    """An HTTP client for Twilio's package where nobody listens."""

    is_async: Final = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def request(self, *_: object, **__: object) -> None:
        raise ConnectionRefusedError("nobody listens")


def test_an_api_that_cannot_be_reached_is_given_up_for_the_twiml() -> None:
    assert_ended_by_twiml(call(agent(*GONE), has_rest=True, http=Unreachable))


def assert_ended_by_twiml(ended: Ended) -> None:
    assert heard(ended) == on_the_wire(HELLO, GOODBYE)
    assert ended.is_clean()
    assert (ended.report.ended_by, ended.status, ended.updates) == ("agent", "completed", [])
    assert (ended.report.carrier_said, ended.posts.count(AFTER_STREAM_PATH)) == ((), 1)


@BOTH
@pytest.mark.parametrize(
    ("network", "errors"),
    [
        pytest.param(Network(), (), id="stop"),
        pytest.param(Network(lose_stop=True), (), id="close"),
        pytest.param(Network(reset_after_s=2.0), ("the media socket broke with code 1006 (31903)",), id="reset"),
    ],
)
def test_stop_a_closed_socket_and_a_reset_each_end_the_providers_session_within_a_second_and_leave_no_task(
    has_rest: bool, network: Network, errors: tuple[str, ...]
) -> None:
    silent = agent(*GREETING, FOREVER)
    model = silent.model
    assert isinstance(model, ScriptedModel)
    is_closed: list[bool] = []

    async def look() -> None:
        for wait_s in (1.9, 1.1):  # until shortly before the line ends, and a second after it has
            await asyncio.sleep(wait_s)
            is_closed.append(model.connections[0].is_closed)

    ended = call(
        silent,
        Script(stays=True, hang_up_after_s=None if network.reset_after_s else 2.0),
        has_rest=has_rest,
        network=network,
        beside=look,
    )

    assert is_closed == [False, True]
    assert (len(model.connections), ended.tasks, ended.live_calls, ended.sockets) == (1, set(), 0, ["closed"])
    assert ended.report.errors == errors


# ---- endings that meet ----


@BOTH
@LINES
@pytest.mark.parametrize("late_ms", range(-300, 320, 20))
def test_a_caller_who_hangs_up_while_the_agent_does_does_no_harm(
    has_rest: bool, network: Network | None, late_ms: int
) -> None:
    known = Account(sid=ACCOUNT_SID, auth_token=TOKEN, api_delay_s=0.1)
    agent_ends_ms = 2960 if network is None else 3600
    script = Script(hang_up_after_s=(agent_ends_ms + late_ms) / 1000)

    ended = call(agent(*GONE), script, has_rest=has_rest, network=network, account=known)

    assert ended.is_clean()
    assert ended.status == "completed"
    assert ended.report.carrier_said == ()
    assert ended.posts.count(STATUS_PATH) == 1
    assert on_the_wire(HELLO, GOODBYE).startswith(heard(ended))


def test_the_callers_hanging_up_and_the_agents_really_meet() -> None:
    by = set()
    for late_ms in range(-300, 320, 20):
        script = Script(hang_up_after_s=(2960 + late_ms) / 1000)
        by.add(call(agent(*GONE), script, has_rest=True).report.ended_by)

    assert by == {"caller", "agent"}


@BOTH
def test_callbacks_that_come_twice_and_out_of_order_and_a_stop_that_is_lost_do_no_harm(has_rest: bool) -> None:
    rough = Network(rtt_ms=150, jitter_ms=60, lose_stop=True, duplicate_callbacks=True, reorder_callbacks=True, seed=5)
    for script in (Script(hang_up_after_s=2), Script(stays=True)):
        ended = call(agent(*GONE), script, has_rest=has_rest, network=rough)

        assert ended.is_clean()
        assert (ended.status, ended.report.carrier_said) == ("completed", ())
        assert ended.posts.count(STATUS_PATH) == 2


def test_a_stream_that_takes_the_place_of_another_takes_its_room_too() -> None:
    """The service has room for one call, and that call goes back to its beginning."""
    known = Account(sid=ACCOUNT_SID, auth_token=TOKEN)

    async def move(call: ToolContext) -> str:
        """Sends the caller back to the beginning, once."""
        if not known.calls[SID].recordings:
            known.calls[SID].record(None, frozenset(), 1)
            known.calls[SID].order(Fetch(f"{PUBLIC}{VOICE_PATH}"), "back to the beginning")
        return "done"

    moving = agent(
        *GREETING,
        Wait(1000),
        ToolCall("r1", "c1", "move", "{}"),
        Wait(5000),
        HANG_UP,
        FOREVER,
        tools=(tool(move), hang_up),
    )
    ended = call(moving, has_rest=True, account=known)

    assert ended.is_clean()
    assert (ended.report.ended_by, ended.sockets) == ("agent", ["closed", "closed"])
    assert heard(ended) == on_the_wire(HELLO, HELLO)
