"""Two calls of one account in a conference, and words for `<Gather>`: what a transfer needs of a telephone network."""

import asyncio
from collections.abc import Mapping

import pytest

from channels.carrier import Account, Callee, FarParty, RestInProcess, run_virtual
from channels.carrier.call import ACCOUNT_SID, Dial, place_call
from channels.carrier.caller import Script, Utterance
from channels.carrier.conference import WAITING_MUSIC
from channels.carrier.report import CallReport, CarrierPlayed, DialEnded, DigitsGathered
from gateway.rest import BasicAuth
from tests.carrier_service import PUBLIC_URL, TOKEN, FakeService, ToneAgent, tone

CALLER, US, DESK = "+15550100100", "+15550100200", "+15550100300"
NEXT = "/twilio/next"
BYE = "<Response><Say>Bye</Say></Response>"
LONG = FarParty(rings_s=1, talks_s=None)


def room(attributes: str = "", action: str = "") -> str:
    return f"<Response><Dial{action}><Conference{attributes}>desk</Conference></Dial><Say>Over.</Say></Response>"


def two(
    caller: str,
    desk: str,
    *,
    script: Script | None = None,
    party: FarParty = LONG,
    desk_after_s: float = 2,
    answers: Mapping[str, str] | None = None,
) -> tuple[CallReport, CallReport, FakeService]:
    """A caller's call and one that the service places, each with its document: their reports, the caller's first."""
    service = FakeService(ToneAgent(), {"/twilio/voice": caller, "/twilio/desk": desk, **(answers or {})})
    account = Account(sid=ACCOUNT_SID, auth_token=TOKEN, public_url=PUBLIC_URL, app=service.app())
    account.callees = {DESK: Callee(party=party)}
    dial = Dial(public_url=PUBLIC_URL, auth_token=TOKEN, from_number=CALLER)

    async def run() -> CallReport:
        async with RestInProcess(account) as http, asyncio.TaskGroup() as tasks:
            calling = place_call(dial, script or Script(), app=service.app(), account=account)
            placed = tasks.create_task(calling)
            await asyncio.sleep(desk_after_s)
            form = {"To": DESK, "From": US, "Url": f"{PUBLIC_URL}/twilio/desk"}
            headers = {"Authorization": BasicAuth(ACCOUNT_SID, TOKEN).get_auth_string()}
            url = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json"
            assert (await http.request("POST", url, data=form, headers=headers)).status_code == 201
            while not account.reports:  # noqa: ASYNC110 seen from outside the call, there is no event
                await asyncio.sleep(0.1)
        return placed.result()

    report = run_virtual(run())
    return report, account.reports[0], service


def met(report: CallReport) -> DialEnded:
    [ended] = [event for event in report.carrier_did if isinstance(event, DialEnded)]
    return ended


def music(report: CallReport) -> list[tuple[int, str]]:
    return [(event.at_ms, event.url) for event in report.carrier_did if isinstance(event, CarrierPlayed)]


# ---- rooms ----


def test_two_calls_meet_in_a_room_by_its_name_and_each_report_says_with_whom_and_how_long() -> None:
    ends = " endConferenceOnExit='true'"
    caller, desk, _ = two(room(ends), room(ends), script=Script(hang_up_after_s=33))

    assert met(caller) == DialEnded(33_000, "desk", "completed", 30_000, (DESK,))
    assert (met(desk).talked_ms, met(desk).joined_with) == (30_000, (CALLER,))
    assert (caller.errors, desk.errors) == ((), ())


def test_who_is_alone_in_a_room_hears_waiting_music_until_somebody_comes() -> None:
    ends = " endConferenceOnExit='true'"
    caller, desk, _ = two(room(ends), room(ends), script=Script(hang_up_after_s=10))

    assert music(caller) == [(0, WAITING_MUSIC)]
    assert music(desk) == []


@pytest.mark.parametrize(
    ("wait_url", "heard"), [("", []), ("/sounds/wait.wav", [(0, f"{PUBLIC_URL}/sounds/wait.wav")])]
)
def test_the_waiting_music_is_the_rooms_own_or_silence(wait_url: str, heard: list[tuple[int, str]]) -> None:
    caller, _, _ = two(
        room(f" waitUrl='{wait_url}'"), room(" endConferenceOnExit='true'"), script=Script(hang_up_after_s=10)
    )

    assert music(caller)[:1] == heard


def test_a_caller_who_hangs_up_ends_the_others_dial_where_the_room_says_so() -> None:
    caller, desk, _ = two(room(" endConferenceOnExit='true'"), room(), script=Script(hang_up_after_s=20))

    assert (caller.ended_by, desk.ended_by) == ("caller", "agent")
    assert desk.carrier_said == ("Over.",)
    assert met(desk).status == "answered"
    assert caller.carrier_said == ()


def test_who_stays_behind_in_a_room_that_goes_on_waits_again() -> None:
    caller, _, _ = two(room(), room(), script=Script(hang_up_after_s=30), party=FarParty(rings_s=1, talks_s=7))

    assert (caller.ended_by, met(caller).talked_ms) == ("caller", 7000)
    assert [at_ms for at_ms, _ in music(caller)] == [0, 10_000]


def test_who_was_rung_talks_as_long_as_they_do_and_the_callers_dial_goes_on_with_its_action() -> None:
    action = f" action='{NEXT}'"
    caller, desk, service = two(
        room(action=action),
        room(" endConferenceOnExit='true'"),
        party=FarParty(rings_s=1, talks_s=12),
        answers={NEXT: BYE},
    )

    assert (desk.ended_by, met(desk).talked_ms) == ("caller", 12_000)
    assert (met(caller).status, met(caller).talked_ms, caller.carrier_said) == ("answered", 12_000, ("Bye",))
    assert service.forms(NEXT)[0]["DialCallStatus"] == "answered"


def test_a_conference_begins_when_somebody_is_there_who_starts_it() -> None:
    waits = " startConferenceOnEnter='false'"
    caller, desk, _ = two(room(waits), room(waits), script=Script(hang_up_after_s=10))

    assert (met(caller).talked_ms, met(caller).joined_with) == (0, ())
    assert [at_ms for at_ms, _ in music(caller)] == [0]
    assert [url for _, url in music(desk)] == [WAITING_MUSIC]


def test_a_dial_into_a_room_lasts_no_longer_than_its_time_limit() -> None:
    limited = room(" endConferenceOnExit='true'").replace("<Dial>", "<Dial timeLimit='15'>")
    caller, _, _ = two(limited, room())

    assert (met(caller).at_ms, met(caller).talked_ms, caller.carrier_said) == (15_000, 12_000, ("Over.",))


# ---- words for Gather ----


def gathered(gather: str, script: Script, next_: str = BYE) -> tuple[CallReport, list[dict[str, str]]]:
    """A placed call whose first document gathers something of whoever answers."""
    text = f"<Response><Gather {gather} action='{NEXT}'><Say>Accept?</Say></Gather><Say>Nothing.</Say></Response>"
    service = FakeService(ToneAgent(), {"/twilio/voice": text, NEXT: next_})
    report = run_virtual(place_call(Dial(public_url=PUBLIC_URL, auth_token=TOKEN), script, app=service.app()))
    return report, service.forms(NEXT)


YES = Script(utterances=(Utterance(tone(800), "Yes, please."),))


def test_words_that_are_said_to_a_gather_are_sent_with_how_sure_they_are() -> None:
    report, [form] = gathered("input='dtmf speech' numDigits='1' timeout='4' hints='yes, no'", YES)

    assert (form["SpeechResult"], 0 < float(form["Confidence"]) <= 1) == ("Yes, please.", True)
    assert "Digits" not in form
    assert report.carrier_did == (DigitsGathered(420 + 800 + 4000, "", "Yes, please."),)
    assert report.carrier_said == ("Accept?", "Bye")


@pytest.mark.parametrize(("attribute", "quiet_ms"), [("speechTimeout='auto'", 1000), ("speechTimeout='2'", 2000)])
def test_words_are_over_after_the_silence_that_the_gather_asks_for(attribute: str, quiet_ms: int) -> None:
    report, _ = gathered(f"input='speech' {attribute}", YES)

    assert report.carrier_did[0].at_ms == 420 + 800 + quiet_ms


def test_keys_come_before_words_where_both_are_taken() -> None:
    script = Script(digits="1", utterances=YES.utterances)
    _, [form] = gathered("input='dtmf speech' numDigits='1'", script)

    assert (form["Digits"], "SpeechResult" in form) == ("1", False)


def test_a_gather_for_words_alone_hears_no_keys() -> None:
    _, [form] = gathered("input='speech'", Script(digits="1", utterances=YES.utterances))

    assert form["SpeechResult"] == "Yes, please."


@pytest.mark.parametrize("script", [Script(), Script(utterances=(Utterance(tone(800)),))], ids=["silence", "mumbling"])
def test_what_nobody_understands_is_no_result(script: Script) -> None:
    report, forms = gathered("input='dtmf speech' timeout='3'", script)
    asking, [form] = gathered("input='dtmf speech' timeout='3' actionOnEmptyResult='true'", script)

    assert (report.carrier_said, forms) == (("Accept?", "Nothing."), [])
    assert (asking.carrier_said, form["Digits"], "SpeechResult" in form) == (("Accept?", "Bye"), "", False)


def test_a_second_gather_hears_the_next_words() -> None:
    script = Script(utterances=(Utterance(tone(300), "Who is that?"), Utterance(tone(300), "Yes.")))
    again = f"<Response><Gather input='speech' timeout='2' action='{NEXT}'/></Response>"
    _, forms = gathered("input='speech' timeout='2'", script, again)

    assert [form["SpeechResult"] for form in forms] == ["Who is that?", "Yes."]
