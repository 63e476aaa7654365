"""A live call that is moved to another document and back to a stream: what the caller and a telephone computer do."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from channels.carrier import Account, Callee, FarParty, RestInProcess, run_virtual
from channels.carrier.call import ACCOUNT_SID, Dial, place_call
from channels.carrier.caller import Script, Utterance
from channels.carrier.live_call import Given
from channels.carrier.loudness import is_sound
from channels.carrier.report import CallEvent, CallReport, DigitsSent, StreamStarted
from channels.carrier.streams import RECONNECT_S
from channels.media_streams import Media, Start
from gateway.rest import BasicAuth
from tests.carrier_service import CONNECT, PUBLIC_URL, TOKEN, FakeService, ToneAgent, tone

BASIC = BasicAuth(ACCOUNT_SID, TOKEN).get_auth_string()
SID = "CA" + "1" * 32
US, THEM = "+15550100200", "+15550100300"
AGAIN = CONNECT.removeprefix("<Response>")
MENU, BALANCE, NO = Utterance(tone(600), "menu"), Utterance(tone(900), "balance"), Utterance(tone(300), "no")


def moved(
    script: Script, *orders: tuple[float, str], reconnect_s: float = RECONNECT_S, agent: ToneAgent | None = None
) -> tuple[CallReport, ToneAgent, list[CallEvent]]:
    """A call that is given further documents, each so long after dialling."""
    agent = agent or ToneAgent()
    service, account = FakeService(agent, {"/twilio/voice": CONNECT}), Account(sid=ACCOUNT_SID, auth_token=TOKEN)
    dial = Dial(public_url=PUBLIC_URL, auth_token=TOKEN, call_sid=SID, reconnect_s=reconnect_s)
    events: list[CallEvent] = []

    async def run() -> CallReport:
        async with asyncio.TaskGroup() as tasks:
            calling = place_call(dial, script, app=service.app(), account=account, on_event=events.append)
            placed = tasks.create_task(calling)
            began_s = 0.0
            for at_s, text in orders:
                await asyncio.sleep(at_s - began_s)
                began_s = at_s
                account.calls[SID].order(Given(f"<Response>{text}"), "as ordered")
        return placed.result()

    return run_virtual(run()), agent, events


def streams(events: list[CallEvent]) -> list[StreamStarted]:
    return [event for event in events if isinstance(event, StreamStarted)]


def starts(agent: ToneAgent) -> list[Start]:
    return [message for message in agent.received if isinstance(message, Start)]


def heard_ms(agent: ToneAgent) -> int:
    """How much of the caller's voice the service was sent."""
    return 20 * sum(isinstance(message, Media) and is_sound(message.ulaw) for message in agent.received)


# ---- the gap ----


@pytest.mark.parametrize(("given", "gap_s"), [(RECONNECT_S, 1.5), (0.5, 0.5)])
def test_a_stream_that_follows_another_has_a_new_name_and_comes_after_a_gap(given: float, gap_s: float) -> None:
    report, agent, events = moved(Script(stays=True, hang_up_after_s=9), (4, AGAIN), reconnect_s=given)

    first, second = starts(agent)
    assert first.stream_sid != second.stream_sid
    assert first.call_sid == second.call_sid == SID
    assert second.parameters == {"token": "a&b"}
    assert streams(events)[1].at_ms == pytest.approx(4000 + gap_s * 1000, abs=25)
    assert (report.errors, report.ended_by) == ((), "caller")


def test_what_a_caller_says_while_there_is_no_stream_is_heard_by_nobody() -> None:
    long = Script(utterances=(Utterance(tone(5000)),), wait_s=0.5, hang_up_after_s=12)
    undisturbed, whole, _ = moved(long)
    report, agent, _ = moved(long, (3, f"<Pause length='1'/>{AGAIN}"))

    assert heard_ms(whole) == 5000
    assert heard_ms(agent) == pytest.approx(5000 - 2500, abs=60)
    assert report.turns[0].reply_ms == pytest.approx(undisturbed.turns[0].reply_ms, abs=40)
    assert report.errors == ()


def test_what_a_caller_has_not_begun_to_say_waits_for_the_next_stream() -> None:
    script = Script(utterances=(Utterance(tone(500)),), wait_s=5)
    report, agent, events = moved(script, (0.5, f"<Pause length='30'/>{AGAIN}"))

    assert heard_ms(agent) == 500
    assert streams(events)[1].at_ms > 30_000
    assert (report.errors, report.unsaid, report.ended_by) == ((), 0, "caller")
    assert report.turns[0].reply_ms is not None


def test_a_caller_who_was_owed_a_reply_does_not_give_up_because_of_the_gap() -> None:
    script = Script(utterances=(Utterance(tone(500)),), wait_s=0.2)
    report, _, _ = moved(script, (1.2, f"<Pause length='40'/>{AGAIN}"), agent=ToneAgent(reply_ms=0))

    assert report.errors == ()
    assert report.duration_ms > 41_000


# ---- a telephone computer ----


def test_keys_that_the_service_presses_are_answered_in_the_next_stream() -> None:
    ivr = Script(utterances=(MENU,), wait_s=0.2, stays=True, answers={"2": BALANCE}, hang_up_after_s=12)
    report, agent, events = moved(ivr, (3, f"<Play digits='w2'/>{AGAIN}"))

    assert [turn.said for turn in report.turns] == ["menu", "balance"]
    assert heard_ms(agent) == 600 + 900
    assert report.turns[1].reply_ms is not None
    assert [event.digits for event in report.carrier_did if isinstance(event, DigitsSent)] == ["w2"]
    assert streams(events)[1].at_ms == pytest.approx(3000 + 700 + 1500, abs=25)
    assert report.errors == ()


@pytest.mark.parametrize(
    ("pressed", "said"),
    [
        (("1234#",), ["balance"]),
        (("12", "34#"), ["balance"]),
        (("9",), []),
        (("91234#",), ["balance"]),
        (("5", "5"), ["no", "no"]),
    ],
)
def test_the_last_keys_count_and_of_several_the_longest(pressed: tuple[str, ...], said: list[str]) -> None:
    script = Script(stays=True, wait_s=0.1, answers={"1234#": BALANCE, "4#": NO, "5": NO}, hang_up_after_s=20)
    orders = tuple((2.0 + 5 * n, f"<Play digits='{digits}'/>{AGAIN}") for n, digits in enumerate(pressed))
    report, _, _ = moved(script, *orders)

    assert [turn.said for turn in report.turns] == said
    assert report.errors == ()


def test_a_placed_calls_digits_reach_a_telephone_computer_that_answers() -> None:
    service = FakeService(ToneAgent(), {"/twilio/voice": CONNECT})
    ivr = Callee(party=FarParty(rings_s=1), script=Script(stays=True, answers={"42": BALANCE}, hang_up_after_s=9))
    account = Account(sid=ACCOUNT_SID, auth_token=TOKEN, public_url=PUBLIC_URL, app=service.app(), callees={THEM: ivr})

    asked(account, To=THEM, From=US, Url=f"{PUBLIC_URL}/twilio/voice", SendDigits="w42")

    [report] = account.reports
    assert [turn.said for turn in report.turns] == ["balance"]
    assert report.errors == ()


def test_a_fallback_address_is_asked_where_another_has_no_twiml() -> None:
    service = FakeService(
        ToneAgent(), {"/twilio/voice": "Hello", "/twilio/other": "<Response><Say>Hi</Say></Response>"}
    )
    account = Account(sid=ACCOUNT_SID, auth_token=TOKEN, public_url=PUBLIC_URL, app=service.app())

    asked(account, To=THEM, From=US, Url=f"{PUBLIC_URL}/twilio/voice", FallbackUrl=f"{PUBLIC_URL}/twilio/other")

    [report], [form] = account.reports, service.forms("/twilio/other")
    assert report.carrier_said == ("Hi",)
    assert (form["ErrorCode"], form["ErrorUrl"]) == ("12100", f"{PUBLIC_URL}/twilio/voice")
    assert (report.errors, len(report.warnings)) == ((), 1)


# ---- keys are nobody's business ----


@pytest.mark.parametrize(
    "shown",
    [
        lambda: Script(digits="4711", answers={"4711": NO}),
        lambda: moved(Script(stays=True), (2, "<Play digits='4711'/></Response>"))[0].carrier_did[-1],
        lambda: request_for(SendDigits="4711"),
    ],
    ids=["a script", "a deed", "a request"],
)
def test_keys_are_in_no_repr(shown: Callable[[], object]) -> None:
    assert "4711" not in repr(shown())


def request_for(**fields: str) -> object:
    account = Account(sid=ACCOUNT_SID, auth_token=TOKEN)
    asked(account, **fields)
    return account.requests[0]


def asked(account: Account, **fields: str) -> Mapping[str, object]:
    """One request for a new call, to its end."""

    async def run() -> Mapping[str, object]:
        async with RestInProcess(account) as http:
            url = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json"
            await http.request("POST", url, data=fields, headers={"Authorization": BASIC})
            await asyncio.sleep(120)
        return {}

    return run_virtual(run())
