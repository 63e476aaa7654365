"""Whole calls that are put through, briefed, sent digits: the service, a simulated Twilio, OpenAI's fake, virtual time.

What counts is what the caller heard, what the telephone network reports, and what the model was told.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from agents import RealtimeAgent, tool
from agents.call_control import Destination
from agents.digits import DigitRules
from agents.realtime import SessionConfig, Transcription, TurnDetection
from agents.tools.collect_digits import collect_digits
from agents.tools.contract import ToolContext
from agents.tools.recording import start_recording
from agents.tools.send_sms import send_sms_tool
from channels.carrier import (
    ACCOUNT_SID,
    Account,
    Callee,
    Dial,
    FarParty,
    Network,
    RestInProcess,
    Script,
    Utterance,
    loop_time,
    place_call,
    run_virtual,
    started,
)
from channels.carrier.account import Failure
from channels.carrier.report import (
    CallEvent,
    CallReport,
    DialEnded,
    DigitsSent,
    KeyPressed,
    StreamStarted,
    WhisperHeard,
)
from gateway.app import make_app
from gateway.call_control import MAX_TEXTS
from gateway.calls import Calls
from gateway.numbers import Numbers
from gateway.rest import rest_of
from gateway.settings import read_settings
from tests.rig import Calls as Uses
from tests.rig import Reply, Says, ToolUse
from tests.rig_openai import OpenAIRig
from tests.through import through

PUBLIC, TOKEN = "https://gw.example.com", "test-token-0123456789abcdef"
CALLER, US, DESK = "+15550100100", "+15550100200", "+15550100300"
SALES = Destination(name="sales", address=DESK)
GREETING = Says("Hello, this is Quill.", 800)
RING_S = 20.0
CARD_S = 9
AFTERWARDS_S = 8
"""By then whatever a call that is over had set off is over too: less than a telephone rings here."""


def speech(ms: int) -> bytes:
    """What the fake's voice detection takes for a caller: PCM16 8 kHz."""
    return bytes((np.sin(np.arange(ms * 8) * 0.3) * 9000).astype("<i2").tobytes())


PLEASE = Utterance(speech(900), "Put me through, please.")
AND_THEN = Utterance(speech(700), "What was it again?")
ACCEPTS, DECLINES = Utterance(speech(400), "Yes."), Utterance(speech(400), "No, not now.")
MACHINE = Utterance(speech(900), "Please leave a message.")
THINKS_MS = 200
"""How long a telephone computer says nothing after a key."""


@tool(timeout_s=120)
async def put_through(call: ToolContext) -> str:
    """Put the caller through to sales."""
    await call.session.wait_goodbye(call.response_id)
    return await call.control.transfer(SALES, ring_s=RING_S, whisper="A caller about the pump.")


@tool(timeout_s=120)
async def brief_sales(call: ToolContext) -> str:
    """Ask sales whether they take the call."""
    return await call.control.warm_transfer(SALES, ring_s=RING_S, briefing="Ada, whose pump leaks.")


@tool(timeout_s=60)
async def press(digits: str, call: ToolContext) -> str:
    """Press keys."""
    await call.session.wait_goodbye(call.response_id)
    await call.control.send_digits(digits)
    return "pressed"


@tool(timeout_s=60)
async def pause_around_a_card(call: ToolContext) -> str:
    """Record the call, but not the number of the card, and thank the caller by a text."""
    await call.control.start_recording()
    await asyncio.sleep(2)
    await call.control.pause_recording()
    await asyncio.sleep(CARD_S)
    await call.control.start_recording()
    await call.control.send_sms(CALLER, "Thank you, Ada.", sender=None)
    return "done"


@dataclass
class Told:
    """What came of one call. `events` is what was told of it while it went on."""

    report: CallReport
    rig: OpenAIRig
    account: Account
    events: list[CallEvent] = field(default_factory=list)

    @property
    def streams(self) -> list[int]:
        """When each media stream of the call began."""
        return [event.at_ms for event in self.events if isinstance(event, StreamStarted)]

    @property
    def dialled(self) -> list[tuple[str, str]]:
        return [(event.to, event.status) for event in self.report.carrier_did if isinstance(event, DialEnded)]

    @property
    def told_to_model(self) -> list[str]:
        """The outputs of its tools, of the one connection there was."""
        assert self.rig.connections == 1
        return list(self.rig.results().values())


def call(
    *replies: Reply,
    greeting: Reply = GREETING,
    script: Script | None = None,
    far: FarParty | None = None,
    callee: Callee | None = None,
    network: Network | None = None,
    failures: Sequence[Failure] = (),
    api_delay_s: float = 0.0,
    late: Mapping[str, float] | None = None,
) -> Told:
    """One call to the service, of which nothing is left shortly after it, at Twilio or in the service.

    `failures` are what its first requests to the REST API are answered with, each after `api_delay_s`. `late` is how
    late the first request to a path is answered that was carried out at once.
    """
    rig = OpenAIRig()
    rig.will(greeting, *replies)
    callees: Mapping[str, Callee] = {DESK: callee} if callee else {}
    account = Account(sid=ACCOUNT_SID, auth_token=TOKEN, public_url=PUBLIC, callees=callees, network=network)
    account.api_delay_s = api_delay_s
    for failure in failures:
        account.fail_next(failure.status, failure.code, path=failure.path)
    for path, seconds in (late or {}).items():
        account.answer_late(seconds, path=path)
    agent = RealtimeAgent(
        name="quill",
        model=through(rig),
        greeting="Hello.",
        tools=(
            *(put_through, brief_sales, press, pause_around_a_card),
            *(start_recording, collect_digits, send_sms_tool(())),
        ),
        keys=DigitRules(sensitive=True),
        config=SessionConfig(turn_detection=TurnDetection(), transcription=Transcription()),
    )
    dial = Dial(public_url=PUBLIC, auth_token=TOKEN, from_number=CALLER, far_parties={DESK: far} if far else {})
    told: list[CallEvent] = []

    async def run() -> CallReport:
        settings = read_settings({"TWILIO_AUTH_TOKEN": TOKEN, "PUBLIC_URL": PUBLIC, "TWILIO_ACCOUNT_SID": ACCOUNT_SID})
        rest = rest_of(settings, http=lambda: RestInProcess(account))
        agents = {agent.name: agent}
        calls = Calls(agents, 10, clock=loop_time, rest=rest, addresses=settings.addresses)
        async with started(make_app(settings, agents, Numbers(agent.name, {}), calls)) as app:
            account.app = app
            with_us = script or Script(utterances=(PLEASE,))
            report = await place_call(dial, with_us, app=app, account=account, network=network, on_event=told.append)
            await asyncio.sleep(AFTERWARDS_S)
            assert [each for each in account.calls.values() if not each.is_over] == []
            assert len(calls) == 0
            return report

    report = run_virtual(run())
    assert rig.violations == []
    return Told(report, rig, account, told)


def uses(name: str, arguments: str = "{}", first: Says | None = None) -> Uses:
    return Uses((ToolUse(name, arguments),), first)


def met(report: CallReport) -> DialEnded:
    [ended] = [event for event in report.carrier_did if isinstance(event, DialEnded)]
    return ended


DOWN = Failure(503, 20503, "down")
THROUGH = uses("put_through", first=Says("One moment.", 500))
BACK = Says("Nobody is there. Shall I take a message?", 900)
NETWORKS = [
    pytest.param(None, id="good network"),
    pytest.param(Network(rtt_ms=150, jitter_ms=30, duplicate_callbacks=True), id="slow, callbacks twice"),
    pytest.param(Network(reorder_callbacks=True, seed=1), id="callbacks out of order"),
    pytest.param(Network(duplicate_callbacks=True, reorder_callbacks=True, seed=7), id="both"),
]


# ---- transfer ----


@pytest.mark.parametrize("network", NETWORKS)
def test_a_transfer_that_is_answered_connects_the_caller_for_as_long_as_they_talk(network: Network | None) -> None:
    told = call(THROUGH, far=FarParty(rings_s=4, talks_s=60), network=network)

    ended = met(told.report)
    assert (ended.to, ended.status, ended.talked_ms) == (DESK, "completed", 60_000)
    [whisper] = [event for event in told.report.carrier_did if isinstance(event, WhisperHeard)]
    assert (whisper.to, whisper.text) == (DESK, "A caller about the pump.")
    assert len(told.streams) == 1
    assert (told.report.errors, told.report.ended_by, told.report.carrier_said) == ((), "agent", ())


NOBODY = FarParty(does="no-answer")


@pytest.mark.parametrize(
    ("far", "status", "network"),
    [
        pytest.param(FarParty(does="busy", rings_s=2), "busy", None, id="busy"),
        pytest.param(FarParty(does="failed", rings_s=2), "failed", None, id="failed"),
        *(pytest.param(NOBODY, "no-answer", *each.values, id=f"no answer, {each.id}") for each in NETWORKS),
    ],
)
def test_a_transfer_that_is_unanswered_brings_the_caller_back_to_the_same_conversation(
    far: FarParty, status: str, network: Network | None
) -> None:
    remembers = Says("You asked about the pump.", 700)
    script = Script(utterances=(PLEASE, AND_THEN))
    told = call(THROUGH, BACK, remembers, far=far, script=script, network=network)

    assert told.dialled == [(DESK, status)]
    assert told.told_to_model == [status]  # by the one connection that there was, which had heard the rest
    assert len(told.streams) == 2
    assert told.report.turns[1].reply_ms is not None  # "You asked about the pump", on the second stream
    assert told.report.frames_received == (800 + 500 + 900 + 700) // 20
    assert told.report.played_ms == 800 + 500 + 900 + 700
    assert (told.report.errors, told.report.ended_by, told.report.carrier_said) == ((), "caller", ())


@pytest.mark.parametrize("network", NETWORKS)
def test_a_transfer_to_somebody_who_hangs_up_in_the_whisper_brings_the_caller_back(network: Network | None) -> None:
    far = FarParty(rings_s=4, hangs_up_after_whisper=True)
    told = call(THROUGH, BACK, far=far, script=WAITS, network=network)

    assert met(told.report).talked_ms == 0
    assert told.told_to_model == ["declined"]
    assert len(told.streams) == 2
    assert told.report.played_ms == 800 + 500 + 900
    assert (told.report.errors, told.report.ended_by, told.report.carrier_said) == ((), "caller", ())


def test_a_caller_who_hangs_up_while_it_rings_ends_the_conversation() -> None:
    told = call(THROUGH, far=FarParty(does="no-answer"), script=Script(utterances=(PLEASE,), hang_up_after_s=14))

    assert (told.report.ended_by, told.dialled) == ("caller", [(DESK, "canceled")])
    assert (told.rig.responses(), told.report.errors) == (2, ())


def test_two_transfers_in_one_call_both_come_back() -> None:
    again = Says("Still nobody.", 600)
    script = Script(utterances=(PLEASE, AND_THEN))
    told = call(THROUGH, BACK, THROUGH, again, far=FarParty(does="busy", rings_s=1), script=script)

    assert told.dialled == [(DESK, "busy")] * 2
    assert len(told.streams) == 3
    assert told.report.played_ms == 800 + 500 + 900 + 500 + 600
    assert told.report.errors == ()


# ---- warm transfer ----

BRIEFS = uses("brief_sales", first=Says("I am asking.", 500))
SORRY = Says("That does not work now.", 700)
WAITS = Script(utterances=(PLEASE,), stays=True, hang_up_after_s=90)
"""A caller who has nothing to add, and hears what comes of it."""

BY_KEY, BY_VOICE = Script(digits="1"), Script(utterances=(ACCEPTS,))


@pytest.mark.parametrize(
    ("script", "network"),
    [
        pytest.param(BY_VOICE, None, id="by voice"),
        *(pytest.param(BY_KEY, *each.values, id=f"by key, {each.id}") for each in NETWORKS),
    ],
)
def test_a_warm_transfer_that_is_accepted_joins_the_two(script: Script, network: Network | None) -> None:
    desk = Callee(party=FarParty(rings_s=3, talks_s=45), script=script)
    told = call(BRIEFS, callee=desk, script=WAITS, network=network)

    [person] = told.account.reports
    assert "Ada, whose pump leaks." in person.carrier_said[0]
    assert met(told.report).joined_with == (DESK,)
    assert met(person).joined_with == (CALLER,)
    assert met(person).talked_ms == pytest.approx(45_000, abs=50)
    assert (told.report.errors, person.errors) == ((), ())
    assert (person.ended_by, told.report.ended_by) == ("caller", "agent")
    assert len(told.streams) == 1


@pytest.mark.parametrize(
    ("desk", "outcome"),
    [
        (Callee(party=FarParty(rings_s=3), script=Script(digits="2")), "declined"),
        (Callee(party=FarParty(rings_s=3), script=Script(utterances=(DECLINES,))), "declined"),
        (Callee(party=FarParty(rings_s=3), script=Script(utterances=(MACHINE,))), "declined"),
        (Callee(party=FarParty(rings_s=3)), "declined"),  # says nothing, as voicemail does
        (Callee(party=FarParty(rings_s=3), script=Script(hang_up_after_s=5)), "declined"),
        (Callee(party=FarParty(does="no-answer")), "no-answer"),
        (Callee(party=FarParty(does="busy", rings_s=2)), "busy"),
        (Callee(party=FarParty(does="failed", rings_s=2)), "failed"),
    ],
    ids=["by key", "by voice", "by a machine", "by silence", "by hanging up", "no answer", "busy", "failed"],
)
def test_a_warm_transfer_that_is_declined_changes_nothing_for_the_caller(desk: Callee, outcome: str) -> None:
    told = call(BRIEFS, SORRY, callee=desk, script=WAITS)

    assert told.told_to_model == [outcome]
    assert (len(told.streams), told.dialled) == (1, [])
    assert told.report.played_ms == 800 + 500 + 700
    assert told.report.errors == ()
    [person] = told.account.reports
    assert person.errors == ()


@pytest.mark.parametrize(
    ("when_s", "api_delay_s"),
    [(4.4, 1.5), (6.0, 0.0), (12.0, 0.7)],
    ids=["while it is asked for", "while it rings", "in the briefing"],
)
def test_a_caller_who_hangs_up_in_a_warm_transfer_takes_the_persons_call_down(
    when_s: float, api_delay_s: float
) -> None:
    desk = Callee(party=FarParty(rings_s=15 if when_s < 12 else 5), script=Script(stays=True))
    script = replace(WAITS, hang_up_after_s=when_s)
    told = call(BRIEFS, callee=desk, script=script, api_delay_s=api_delay_s)

    [person] = told.account.reports
    assert told.report.ended_by == "caller"
    assert person.ended_by in ("agent", "unanswered")
    assert met_nobody(person)
    assert (told.report.errors, person.errors) == ((), ())


def test_a_person_whose_telephone_rings_though_twilio_did_not_say_so_in_time_is_rung_no_longer() -> None:
    desk = Callee(party=FarParty(rings_s=15), script=BY_KEY)
    told = call(BRIEFS, SORRY, callee=desk, script=WAITS, late={"/Calls.json": 6.0})

    [person] = told.account.reports
    assert (person.ended_by, met_nobody(person)) == ("unanswered", True)
    assert "cannot be called" in told.told_to_model[0]
    assert told.report.played_ms == 800 + 500 + 700
    assert (told.report.errors, person.errors) == ((), ())


def test_a_caller_who_hangs_up_when_they_are_joined_ends_the_persons_call_too() -> None:
    desk = Callee(party=FarParty(rings_s=3, talks_s=None), script=BY_KEY)
    told = call(BRIEFS, callee=desk, script=replace(WAITS, hang_up_after_s=60))

    [person] = told.account.reports
    assert (told.report.ended_by, person.ended_by) == ("caller", "agent")
    assert met(told.report).joined_with == (DESK,)
    assert met(person).talked_ms == met(told.report).talked_ms > 30_000


def met_nobody(report: CallReport) -> bool:
    return not [event for event in report.carrier_did if isinstance(event, DialEnded)]


# ---- digits ----


def test_digits_sent_into_a_telephone_computer_are_answered_and_the_model_hears_it() -> None:
    menu = Utterance(speech(1500), "For your balance press 2.")
    balance = Utterance(bytes(16 * THINKS_MS) + speech(2000), "Eleven euros.")
    computer = Script(utterances=(menu,), wait_s=1, stays=True, answers={"2": balance}, hang_up_after_s=25)
    presses = uses("press", '{"digits": "w2"}')
    told = call(presses, Says("I pressed it.", 400), Says("Eleven, thank you.", 800), script=computer)

    assert [event.digits for event in told.report.carrier_did if isinstance(event, DigitsSent)] == ["w2"]
    assert [turn.said for turn in told.report.turns] == ["For your balance press 2.", "Eleven euros."]
    assert told.report.turns[1].reply_ms is not None
    assert len(told.streams) == 2
    assert told.told_to_model == ["pressed"]
    assert told.rig.responses() == 4  # the greeting, the tool, what came of it, and the answer to the second utterance
    assert told.report.errors == ()


# ---- beside the conversation ----


def test_a_recording_has_silence_where_the_card_number_was_and_a_text_follows() -> None:
    asks = uses("pause_around_a_card", first=Says("Please tell me its number.", 800))
    told = call(asks, Says("Thank you.", 500), script=WAITS)

    [recorded] = [each for each in told.account.calls.values() if each.recordings]
    [recording] = recorded.recordings.values()
    [(paused_ms, resumed_ms)] = recording.silent
    assert resumed_ms - paused_ms == CARD_S * 1000
    assert recording.held == [(recording.held[0][0], paused_ms), (resumed_ms, told.report.duration_ms)]
    assert [(text.to, text.sender, text.body) for text in told.account.messages] == [(CALLER, US, "Thank you, Ada.")]
    assert (told.told_to_model, told.report.errors) == (["done"], ())


def test_a_card_number_is_in_no_recording_of_which_nobody_knows_that_it_runs() -> None:
    asks = uses("collect_digits", first=Says("Please type its number.", 800))
    types = Script(digits="4111#", interrupt_ms=10_000, stays=True, hang_up_after_s=30)
    records = uses("start_recording", first=GREETING)
    told = call(asks, Says("Thank you.", 500), greeting=records, script=types, late={"/Recordings.json": 6.0})

    [recorded] = [each for each in told.account.calls.values() if each.recordings]
    [recording] = recorded.recordings.values()
    [(paused_ms, resumed_ms)] = recording.silent
    keys_ms = [event.at_ms for event in told.events if isinstance(event, KeyPressed)]
    assert len(keys_ms) == 5
    assert paused_ms < keys_ms[0] < keys_ms[-1] <= resumed_ms
    assert "no answer" in told.told_to_model[0] and "4 digits" in told.told_to_model[1]


def test_an_agent_that_is_made_to_write_without_end_stops_after_a_few_texts() -> None:
    text = ToolUse("send_sms", '{"to": "the caller", "text": "Hello."}')
    told = call(Uses((text,) * 12), Says("Enough.", 500), script=WAITS)

    assert len(told.account.messages) == MAX_TEXTS
    refused = [output for output in told.told_to_model if "as many as one call may" in output]
    assert len(refused) == 12 - MAX_TEXTS
    assert told.report.errors == ()


# ---- the REST API fails ----


@pytest.mark.parametrize(
    ("tool_use", "failures"),
    [
        (THROUGH, [DOWN] * 3),
        (THROUGH, [Failure(400, 21218, "wrong")]),
        (BRIEFS, [Failure(400, 21216, "not allowed")]),
        (BRIEFS, [DOWN] * 3),
        (uses("press", '{"digits": "1"}', Says("Wait.", 500)), [DOWN] * 3),
    ],
    ids=["transfer, down", "transfer, refused", "warm, refused", "warm, down", "digits, down"],
)
def test_a_rest_api_that_fails_leaves_the_caller_with_the_agent(tool_use: Uses, failures: Sequence[Failure]) -> None:
    told = call(tool_use, SORRY, script=WAITS, far=FarParty(), failures=failures)

    assert len(told.streams) == 1
    assert told.report.played_ms == 800 + 500 + 700
    assert (told.dialled, list(told.account.reports)) == ([], [])
    [told_to_model] = told.told_to_model
    assert told_to_model not in ("answered", "pressed")
    assert (told.report.errors, told.report.ended_by) == ((), "caller")


def test_a_request_that_twilio_is_too_busy_for_is_tried_again_and_the_transfer_goes_through() -> None:
    told = call(THROUGH, far=FarParty(rings_s=2, talks_s=10), failures=[Failure(429, 20429, "too many")])

    assert told.dialled == [(DESK, "completed")]
    assert told.report.errors == ()


def test_a_caller_whose_leg_cannot_be_moved_stays_and_the_person_is_told_and_hung_up_on() -> None:
    desk = Callee(party=FarParty(rings_s=3, talks_s=45), script=BY_KEY)
    failures = [replace(DOWN, path="/Calls/")] * 3
    told = call(BRIEFS, SORRY, callee=desk, script=WAITS, failures=failures)

    [person] = told.account.reports
    assert person.ended_by == "agent"
    assert len(person.carrier_said) >= 2  # the briefing, and an apology
    assert (told.dialled, met_nobody(person), len(told.streams)) == ([], True, 1)
    assert told.report.played_ms == 800 + 500 + 700
    assert (told.report.errors, person.errors) == ((), ())
