"""What may be done with a live call, piece by piece: the service in this process, a simulated Twilio, virtual time.

Whole calls, and what those in them hear, are in test_call_control_calls.py.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest

from agents import RealtimeAgent, ToolError
from agents.call_control import Destination
from agents.events import EndReason, ResponseCreate, TransferStep
from agents.providers.scripted import ScriptedModel
from agents.providers.scripted.steps import Expect, Say, Wait
from channels.carrier import (
    ACCOUNT_SID,
    Account,
    Callee,
    Dial,
    FarParty,
    RestInProcess,
    Script,
    loop_time,
    place_call,
    run_virtual,
    started,
)
from channels.carrier.in_process import InProcess
from channels.carrier.live_call import OVER
from channels.carrier.signature import sign
from channels.carrier.twiml import parse
from channels.carrier.twiml_verbs import Connect, Hangup
from channels.carrier.twiml_verbs import Say as Spoken
from channels.media_streams import ULAW_8K, Start
from gateway import twiml
from gateway.addresses import (
    AFTER_DIAL_PATH,
    AFTER_STREAM_PATH,
    BRIEFED_STATUS_PATH,
    BRIEFING_ANSWER_PATH,
    BRIEFING_PATH,
    DIAL_STATUS_PATH,
    RECORDING_STATUS_PATH,
    WHISPER_PATH,
)
from gateway.app import make_app
from gateway.call import TOKEN_TTL_S, Call
from gateway.call_control import MAX_RINGS, MAX_TEXTS, TwilioCallControl
from gateway.calls import Calls
from gateway.cold_transfer import AFTER_RING_S, ColdTransfer
from gateway.numbers import Numbers
from gateway.rest import TwilioRest, rest_of
from gateway.settings import read_settings
from gateway.warm_transfer import BRIEFING_S, WarmTransfer

PUBLIC: Final = "https://gw.example.com"
TOKEN: Final = "test-token-0123456789abcdef"
SID: Final = "CA" + "1" * 32
CALLER, US, DESK = "+15550100100", "+15550100200", "+15550100300"
SALES: Final = Destination(name="sales", address=DESK)
LEG: Final = "CA" + "9" * 32
NO_LEG: Final = FarParty(does="no-answer")


@dataclass
class Rig:
    """One live call, in a test's hands. `steps` is what its session told of transfers."""

    calls: Calls
    call: Call
    account: Account
    rest: TwilioRest
    way: InProcess
    steps: list[str] = field(default_factory=list)
    finished: list[EndReason] = field(default_factory=list)

    @property
    def control(self) -> TwilioCallControl:
        control = self.call.session.call_control
        assert isinstance(control, TwilioCallControl)
        return control

    @property
    def asked(self) -> list[str]:
        """What the REST API was asked for: the last part of each path, and the fields."""
        return [f"{each.path.rpartition('/')[2]} {' '.join(sorted(each.form))}" for each in self.account.requests]

    def cold(self, whisper: str | None = None) -> ColdTransfer:
        return ColdTransfer(self.call, SALES, whisper, connect=self.control.connect, finish=self.finished.append)

    def warm(self, redirect: Callable[[str], Awaitable[bool]]) -> WarmTransfer:
        return WarmTransfer(self.call, self.rest, SALES, "Ada calls.", redirect=redirect, finish=self.finished.append)

    async def post(self, path: str, sid: str = SID, **fields: str) -> tuple[int, str]:
        """A webhook of Twilio's, signed: status and body."""
        form = {"CallSid": sid, "AccountSid": ACCOUNT_SID, **fields}
        url = PUBLIC + path
        answer = await self.way.post(url, form, {"X-Twilio-Signature": sign(url, form, TOKEN)})
        return answer.status, answer.body.decode()

    async def passes(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def scene(
    test: Callable[[Rig], Awaitable[None]],
    *,
    far: FarParty | None = None,
    callee: Callee | None = None,
    script: Script | None = None,
    **dial: Any,
) -> None:
    """Runs a test while a caller is on the line; the caller hangs up after it, if they are still there."""
    account = Account(sid=ACCOUNT_SID, auth_token=TOKEN, public_url=PUBLIC, callees={DESK: callee} if callee else {})
    dialled = Dial(
        public_url=PUBLIC,
        auth_token=TOKEN,
        call_sid=SID,
        from_number=CALLER,
        to_number=US,
        far_parties={DESK: far} if far else {},
    )

    async def main() -> None:
        settings = read_settings({"PUBLIC_URL": PUBLIC, "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_ACCOUNT_SID": ACCOUNT_SID})
        rest = rest_of(settings, http=lambda: RestInProcess(account))
        assert rest
        model = ScriptedModel((Expect(ResponseCreate), Say("Hello.", 300), Wait(10_000_000)), patience_s=10_000)
        agents = {"test": RealtimeAgent(name="test", model=model, greeting="Hello.")}
        calls = Calls(agents, 5, clock=loop_time, rest=rest, addresses=settings.addresses)
        async with (
            started(make_app(settings, agents, Numbers("test", {}), calls)) as app,
            InProcess(app, PUBLIC) as way,
            asyncio.TaskGroup() as tasks,
        ):
            account.app = app
            stays = script or Script(stays=True)
            placing = tasks.create_task(place_call(replace(dialled, **dial), stays, app=app, account=account))
            await asyncio.sleep(2)
            call = calls.live(SID)
            assert call
            rig = Rig(calls, call, account, rest, way)
            call.session.on("transfer", lambda step: rig.steps.append(_told(step)))
            await test(rig)
            if (line := account.calls[SID]).status not in OVER:
                line.order("caller", "the test is over")
            await placing

    run_virtual(main())


def _told(step: TransferStep) -> str:
    return f"{step.to}: {step.step}{', warm' if step.is_warm else ''}"


async def refused(doing: Awaitable[object], why: str) -> None:
    with pytest.raises(ToolError, match=why):
        await doing


# ---- transfer ----


def test_a_transfer_that_is_answered_ends_the_session_as_transferred_and_does_not_hang_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(rig: Rig) -> None:
        with suppress(asyncio.CancelledError):
            assert await rig.control.transfer(SALES, ring_s=20, whisper=None) == "answered"
        await rig.call.ended.wait()
        ended = rig.calls.how_it_ended(SID)
        assert ended and ended.closed.reason == "transferred"
        assert rig.steps == ["sales: began", "sales: answered"]
        assert rig.asked == [f"{SID}.json Twiml"]
        assert rig.account.calls[SID].status == "in-progress"

    with caplog.at_level(logging.INFO):
        scene(test, far=FarParty(rings_s=3, talks_s=30))
    assert "transfer to sales: answered" in caplog.text
    assert "call ended: transferred" in caplog.text
    assert DESK not in caplog.text and CALLER not in caplog.text


def test_a_transfer_that_is_not_answered_tells_its_outcome_when_the_line_is_back() -> None:
    async def test(rig: Rig) -> None:
        began, was = loop_time(), rig.call.token
        ringing = asyncio.ensure_future(rig.control.transfer(SALES, ring_s=20, whisper=None))
        await rig.passes(10)
        assert rig.call.is_elsewhere and rig.call.session.is_quiet
        assert await ringing == "no-answer"
        assert loop_time() - began == pytest.approx(20, abs=3)
        assert not rig.call.is_elsewhere and rig.call.session.closed is None
        assert rig.call.is_claimed and rig.call.token != was
        assert rig.steps == ["sales: began", "sales: no-answer"]

    scene(test, far=NO_LEG)


def test_a_call_that_is_over_cannot_be_put_through_and_that_is_no_error() -> None:
    async def test(rig: Rig) -> None:
        rig.account.fail_next(400, 21220)
        assert await rig.control.transfer(SALES, ring_s=20, whisper=None) == "failed"
        rig.account.fail_next(404, 20404)
        await rig.control.send_digits("1")

    scene(test)


def test_a_transfer_that_twilio_refuses_leaves_the_caller_on_the_line_and_another_may_follow() -> None:
    async def test(rig: Rig) -> None:
        rig.account.fail_next(400, 21218, "not like this")
        await refused(rig.control.transfer(SALES, ring_s=20, whisper=None), "not like this")
        assert not rig.call.is_elsewhere
        assert rig.steps == ["sales: began", "sales: failed"]
        assert await rig.control.transfer(SALES, ring_s=20, whisper=None) == "busy"

    scene(test, far=FarParty(does="busy"))


def test_the_callers_leg_is_moved_by_one_at_a_time() -> None:
    async def test(rig: Rig) -> None:
        ringing = asyncio.ensure_future(rig.control.transfer(SALES, ring_s=20, whisper=None))
        await rig.passes(1)
        await refused(rig.control.send_digits("1"), "at the moment")
        await refused(rig.control.warm_transfer(SALES, ring_s=5, briefing="Ada."), "at the moment")
        assert await ringing == "no-answer"

    scene(test, far=NO_LEG)


def test_a_transfer_whose_tool_is_given_up_still_brings_the_caller_back() -> None:
    async def test(rig: Rig) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await rig.control.transfer(SALES, ring_s=20, whisper=None)
        await refused(rig.control.send_digits("1"), "not on the line")
        await rig.passes(20)
        assert not rig.call.is_elsewhere and rig.call.session.closed is None
        assert rig.steps == ["sales: began", "sales: no-answer"]

    scene(test, far=NO_LEG)


def test_what_twilio_tells_twice_and_late_of_an_answered_transfer_counts_once() -> None:
    async def test(rig: Rig) -> None:
        transfer = rig.cold()
        transfer.leg_told("in-progress")
        transfer.leg_told("in-progress")
        assert parse(transfer.dialled("completed", was_bridged=True) or "") == (Hangup(),)
        transfer.leg_told("completed")
        assert (rig.steps, rig.finished) == (["sales: answered"], ["transferred"])
        assert await transfer.outcome(20) == "answered"

    scene(test)


def test_the_callers_own_leg_says_in_the_end_whether_a_transfer_was_answered() -> None:
    async def test(rig: Rig) -> None:
        answered, unanswered = rig.cold(), rig.cold()
        assert parse(answered.dialled("completed", was_bridged=True) or "") == (Hangup(),)
        assert isinstance(parse(unanswered.dialled("no-answer", was_bridged=False) or "")[0], Connect)
        unanswered.leg_told("in-progress")  # of something else, or much too late
        assert rig.steps == ["sales: answered", "sales: no-answer"]
        assert rig.finished == ["transferred"]

    scene(test)


def test_who_answers_and_hangs_up_before_they_hear_the_caller_has_declined() -> None:
    async def test(rig: Rig) -> None:
        transfer = rig.cold("A caller.")
        assert isinstance(parse(transfer.dialled("completed", was_bridged=False) or "")[0], Connect)
        assert await transfer.outcome(20) == "declined"

    scene(test)


def test_who_picks_up_is_not_taken_for_answered_before_the_whisper_was_said() -> None:
    async def test(rig: Rig) -> None:
        transfer = rig.cold("A caller.")
        began = loop_time()
        transfer.leg_told("in-progress")
        await rig.passes(1)
        transfer.leg_told("in-progress")
        assert await transfer.outcome(20) == "answered"
        assert loop_time() - began == pytest.approx(transfer.whisper_s)
        assert (rig.steps, rig.finished) == (["sales: answered"], ["transferred"])

    scene(test)


def test_who_hangs_up_in_the_whisper_has_declined_and_the_caller_comes_back() -> None:
    async def test(rig: Rig) -> None:
        transfer = rig.cold("A caller.")
        transfer.leg_told("in-progress")
        transfer.leg_told("completed")
        assert isinstance(parse(transfer.dialled("completed", was_bridged=False) or "")[0], Connect)
        await rig.passes(transfer.whisper_s + 1)
        assert (rig.steps, rig.finished) == (["sales: declined"], [])

    scene(test)


def test_a_whisper_to_whoever_picks_up_when_the_call_is_over_tells_nothing() -> None:
    async def test(rig: Rig) -> None:
        transfer = rig.cold("A caller.")
        transfer.leg_told("in-progress")
        await rig.calls.end(SID, "caller")
        await rig.passes(transfer.whisper_s + 1)
        assert (rig.steps, rig.finished) == ([], [])

    scene(test)


def test_a_transfer_of_which_nothing_is_told_is_taken_for_answered_after_the_ringing() -> None:
    async def test(rig: Rig) -> None:
        began = loop_time()
        assert await rig.cold().outcome(20) == "answered"
        assert loop_time() - began == pytest.approx(20 + AFTER_RING_S)
        assert rig.finished == ["transferred"]

    scene(test)


def test_a_caller_who_does_not_come_back_from_a_transfer_that_nobody_answered_has_hung_up() -> None:
    async def test(rig: Rig) -> None:
        transfer = rig.cold()
        transfer.leg_told("no-answer")
        assert await transfer.outcome(20) == "no-answer"
        assert rig.finished == ["caller"]

    scene(test)


@pytest.mark.parametrize("status", ["completed", "no-answer"])
def test_a_leg_that_comes_from_a_transfer_as_its_call_ends_ends_the_session_as_the_callers(status: str) -> None:
    async def test(rig: Rig) -> None:
        errand = rig.calls.errands.add(rig.cold())
        fields = {"CallStatus": "completed", "DialCallStatus": status}
        assert await rig.post(f"{AFTER_DIAL_PATH}?id={errand}", **fields) == (200, twiml.nothing())
        ended = rig.calls.how_it_ended(SID)
        assert ended and ended.closed.reason == "caller"

    scene(test)


def test_a_caller_whose_conversation_is_over_when_nobody_answers_hears_so() -> None:
    async def test(rig: Rig) -> None:
        errand = rig.calls.errands.add(rig.cold())
        await rig.calls.end(SID, "transferred")
        status, text = await rig.post(f"{AFTER_DIAL_PATH}?id={errand}", CallStatus="in-progress", DialCallStatus="busy")
        assert (status, parse(text)) == (200, (Spoken(twiml.NOT_THROUGH), Hangup()))

    scene(test)


def test_a_caller_whose_agent_broke_while_it_rang_gets_the_last_resort() -> None:
    async def test(rig: Rig) -> None:
        errand = rig.calls.errands.add(rig.cold())
        await rig.calls.end(SID, "provider")
        _, text = await rig.post(f"{AFTER_DIAL_PATH}?id={errand}", CallStatus="in-progress", DialCallStatus="busy")
        assert twiml.TROUBLE in text

    scene(test)


# ---- the token of the next stream ----


def test_a_renewed_token_opens_one_stream_and_the_old_one_none() -> None:
    async def test(rig: Rig) -> None:
        old, new = rig.call.token, rig.call.renew_token()
        assert rig.call.renew_token() == new != old  # until it is used
        start = Start("MZ" + "7" * 32, SID, ACCOUNT_SID, media_format=ULAW_8K)
        with pytest.raises(Exception, match="not that of its call"):
            rig.calls.claim(start, old)
        assert rig.calls.claim(start, new) is rig.call
        with pytest.raises(Exception, match="used before"):
            rig.calls.claim(start, new)

    scene(test)


def test_a_renewed_token_expires_counted_from_when_twilio_can_use_it() -> None:
    async def test(rig: Rig) -> None:
        start = Start("MZ" + "7" * 32, SID, ACCOUNT_SID, media_format=ULAW_8K)
        token = rig.call.renew_token(after_s=10)
        await rig.passes(10 + TOKEN_TTL_S - 1)
        assert rig.calls.claim(start, token)
        token = rig.call.renew_token(after_s=10)
        await rig.passes(10 + TOKEN_TTL_S + 1)
        with pytest.raises(Exception, match="expired"):
            rig.calls.claim(start, token)

    scene(test)


def test_a_leg_that_is_elsewhere_and_asks_what_follows_its_stream_comes_back() -> None:
    async def test(rig: Rig) -> None:
        ringing = asyncio.ensure_future(rig.control.transfer(SALES, ring_s=20, whisper=None))
        await rig.passes(5)
        _, text = await rig.post(AFTER_STREAM_PATH, CallStatus="in-progress")
        [connect] = parse(text)
        assert isinstance(connect, Connect) and connect.stream.parameters == {"token": rig.call.token}
        assert rig.call.session.closed is None
        await ringing

    scene(test, far=NO_LEG)


# ---- keys ----


@pytest.mark.parametrize("digits", ["", "1" * 33, "5x", "1 2", "4242;"])
def test_only_keys_are_pressed_and_others_are_not_said_again(digits: str) -> None:
    async def test(rig: Rig) -> None:
        with pytest.raises(ToolError) as raised:
            await rig.control.send_digits(digits)
        assert not digits or digits not in str(raised.value)
        assert rig.asked == []

    scene(test)


def test_keys_are_pressed_and_the_line_is_back_when_it_is_done(caplog: pytest.LogCaptureFixture) -> None:
    async def test(rig: Rig) -> None:
        await rig.control.send_digits("1w2#")
        assert not rig.call.is_elsewhere and rig.call.is_claimed and rig.call.session.closed is None

    with caplog.at_level(logging.DEBUG):
        scene(test)
    assert "1w2#" not in caplog.text


# ---- warm transfer ----


async def joins(document: str) -> bool:
    return True


def test_a_warm_transfer_that_is_accepted_ends_the_session_as_transferred() -> None:
    async def test(rig: Rig) -> None:
        with suppress(asyncio.CancelledError):
            assert await rig.control.warm_transfer(SALES, ring_s=20, briefing="Ada calls.") == "answered"
        await rig.call.ended.wait()
        ended = rig.calls.how_it_ended(SID)
        assert ended and ended.closed.reason == "transferred"
        assert rig.steps == ["sales: began, warm", "sales: accepted, warm"]
        assert rig.asked[0] == "Calls.json From StatusCallback StatusCallbackEvent Timeout To Url"
        assert rig.asked[1:] == [f"{SID}.json Twiml"]

    scene(test, callee=Callee(party=FarParty(talks_s=20), script=Script(digits="1")))


def test_a_warm_transfer_that_is_given_up_hangs_up_on_the_person_before_it_returns() -> None:
    async def test(rig: Rig) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await rig.control.warm_transfer(SALES, ring_s=20, briefing="Ada calls.")
        [leg] = [call for call in rig.account.calls.values() if call.sid != SID]
        assert rig.asked[-1] == f"{leg.sid}.json Status"
        await rig.passes(1)
        assert leg.status == "canceled"
        assert rig.steps == ["sales: began, warm"]

    scene(test, callee=Callee(party=FarParty(rings_s=15)))


def test_a_person_who_is_rung_for_a_transfer_that_was_given_up_meanwhile_is_hung_up_on() -> None:
    async def test(rig: Rig) -> None:
        transfer = rig.warm(joins)
        errand = rig.calls.errands.add(transfer)

        async def never() -> str:
            await asyncio.Event().wait()
            return LEG

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await transfer.run(never, 20)
        assert rig.asked == []
        await rig.post(f"{BRIEFED_STATUS_PATH}?id={errand}", LEG, CallStatus="initiated")
        assert rig.asked == [f"{LEG}.json Status"]
        _, text = await rig.post(f"{BRIEFING_PATH}?id={errand}", LEG, CallStatus="in-progress")
        assert parse(text) == (Spoken(twiml.CALLER_GONE), Hangup())

    scene(test)


def test_a_person_who_rings_though_nobody_knows_whether_they_were_rung_is_hung_up_on() -> None:
    async def test(rig: Rig) -> None:
        rig.account.answer_late(6, path="/Calls.json")
        await refused(rig.control.warm_transfer(SALES, ring_s=20, briefing="Ada calls."), "no answer")
        [leg] = [call for call in rig.account.calls.values() if call.sid != SID]
        await rig.passes(1)
        assert (leg.status, rig.asked[-1]) == ("canceled", f"{leg.sid}.json Status")

    scene(test, callee=Callee(party=FarParty(rings_s=15)))


def test_others_are_rung_so_often_in_a_call_and_no_more() -> None:
    async def test(rig: Rig) -> None:
        for _ in range(MAX_RINGS - 1):
            assert await rig.control.transfer(SALES, ring_s=20, whisper=None) == "busy"
        assert await rig.control.warm_transfer(SALES, ring_s=20, briefing="Ada.") == "declined"
        await refused(rig.control.warm_transfer(SALES, ring_s=20, briefing="Ada."), "5 times")
        await refused(rig.control.transfer(SALES, ring_s=20, whisper=None), "5 times")
        assert len([each for each in rig.asked if "Twiml" in each or "Url" in each]) == MAX_RINGS

    scene(test, far=FarParty(does="busy"), callee=Callee(script=Script(digits="2")))


def test_an_answer_that_nobody_understands_is_asked_for_once_more_and_then_declines() -> None:
    async def test(rig: Rig) -> None:
        transfer = rig.warm(joins)
        errand = rig.calls.errands.add(transfer)
        path = f"{BRIEFING_ANSWER_PATH}?id={errand}"
        _, again = await rig.post(path, LEG, SpeechResult="Well, who is that then?")
        assert twiml.ASK in again and "Ada calls." not in again
        _, over = await rig.post(path, LEG, SpeechResult="Hello?")
        assert parse(over) == (Hangup(),)
        assert rig.steps == ["sales: declined, warm"]

    scene(test)


def test_an_acceptance_that_comes_twice_moves_the_caller_once() -> None:
    async def test(rig: Rig) -> None:
        moved: list[str] = []

        async def slowly(document: str) -> bool:
            moved.append(document)
            await asyncio.sleep(1)
            return True

        path = f"{BRIEFING_ANSWER_PATH}?id={rig.calls.errands.add(rig.warm(slowly))}"
        first, second = await asyncio.gather(rig.post(path, LEG, Digits="1"), rig.post(path, LEG, Digits="1"))
        assert first == second == (200, moved[0])
        assert (len(moved), rig.finished, rig.steps) == (1, ["transferred"], ["sales: accepted, warm"])

    scene(test)


def test_a_person_who_hangs_up_while_the_caller_is_on_the_way_leaves_nobody_waiting_for_them() -> None:
    async def test(rig: Rig) -> None:
        transfer = rig.warm(joins)

        async def leaves(document: str) -> bool:
            await transfer.leg_told("completed", LEG)
            return True

        transfer = rig.warm(leaves)
        await transfer.replied("1", "", f"{PUBLIC}{BRIEFING_ANSWER_PATH}")
        [request] = rig.account.requests
        assert request.path.endswith(f"{SID}.json") and twiml.NOT_THROUGH in request.form["Twiml"][0]

    scene(test)


def test_a_person_who_was_never_in_the_room_ends_the_callers_wait_there() -> None:
    async def test(rig: Rig) -> None:
        transfer = rig.warm(joins)
        await transfer.replied("1", "", f"{PUBLIC}{BRIEFING_ANSWER_PATH}")
        await transfer.leg_told("completed", LEG)
        assert rig.asked == [f"{SID}.json Status"]

    scene(test)


@pytest.mark.parametrize(("has_picked_up", "outcome"), [(True, "declined"), (False, "no-answer")])
def test_a_warm_transfer_of_which_nothing_is_told_ends_by_itself(has_picked_up: bool, outcome: str) -> None:
    async def test(rig: Rig) -> None:
        transfer = rig.warm(joins)
        if has_picked_up:
            transfer.answered(f"{PUBLIC}{BRIEFING_ANSWER_PATH}")

        async def place() -> str:
            return LEG

        began = loop_time()
        assert await transfer.run(place, 20) == outcome
        assert loop_time() - began == pytest.approx(20 + BRIEFING_S)
        assert rig.asked == [f"{LEG}.json Status"]

    scene(test)


def test_a_person_who_accepts_at_the_last_moment_has_accepted() -> None:
    async def test(rig: Rig) -> None:
        async def slowly(document: str) -> bool:
            await asyncio.sleep(2)
            return True

        async def place() -> str:
            return LEG

        transfer = rig.warm(slowly)
        running = asyncio.ensure_future(transfer.run(place, 20))
        await rig.passes(20 + BRIEFING_S - 1)
        await transfer.replied("1", "", f"{PUBLIC}{BRIEFING_ANSWER_PATH}")
        assert await running == "answered"
        assert (rig.steps, rig.asked) == (["sales: began, warm", "sales: accepted, warm"], [])

    scene(test)


# ---- beside the conversation ----


def test_a_recording_is_begun_once_paused_and_gone_on_with() -> None:
    async def test(rig: Rig) -> None:
        control = rig.control
        await control.pause_recording()
        assert not control.is_recording
        await asyncio.gather(control.start_recording(), control.start_recording())
        assert control.is_recording
        await control.pause_recording()
        assert not control.is_recording
        await control.start_recording()
        assert control.is_recording
        [recording] = rig.account.calls[SID].recordings.values()
        assert (recording.status, recording.channels) == ("in-progress", 2)
        assert len(rig.asked) == 3

    scene(test)


def test_a_recording_whose_beginning_is_not_known_counts_as_running_and_can_be_paused() -> None:
    async def test(rig: Rig) -> None:
        rig.account.answer_late(6, path="/Recordings.json")
        await refused(rig.control.start_recording(), "no answer")
        assert rig.control.is_recording
        assert await rig.control.pause_recording()
        [recording] = rig.account.calls[SID].recordings.values()
        assert (recording.status, rig.control.is_recording) == ("paused", False)
        await rig.control.start_recording()
        assert (recording.status, rig.control.is_recording) == ("in-progress", True)
        assert len(rig.account.calls[SID].recordings) == 1

    scene(test)


def test_a_recording_whose_beginning_is_not_known_is_gone_on_with_and_not_begun_twice() -> None:
    async def test(rig: Rig) -> None:
        rig.account.answer_late(6, path="/Recordings.json")
        await refused(rig.control.start_recording(), "no answer")
        await rig.control.start_recording()
        [recording] = rig.account.calls[SID].recordings.values()
        assert (recording.status, rig.control.is_recording) == ("in-progress", True)

    scene(test)


def test_a_recording_that_perhaps_began_and_did_not_is_nothing_to_pause_and_can_be_begun() -> None:
    async def test(rig: Rig) -> None:
        rig.account.fail_next(503, 20503, "down")
        await refused(rig.control.start_recording(), "down")
        assert rig.control.is_recording
        assert not await rig.control.pause_recording()
        assert not rig.control.is_recording
        await rig.control.start_recording()
        [recording] = rig.account.calls[SID].recordings.values()
        assert recording.status == "in-progress"

    scene(test)


def test_a_recording_that_is_refused_does_not_run() -> None:
    async def test(rig: Rig) -> None:
        rig.account.fail_next(403, 20403, "no")
        await refused(rig.control.start_recording(), "20403")
        assert not rig.control.is_recording

    scene(test)


@pytest.mark.parametrize("change", ["start", "pause"])
def test_a_recording_of_which_a_change_is_given_up_counts_as_running_and_goes_on_when_told(change: str) -> None:
    async def test(rig: Rig) -> None:
        control = rig.control
        await control.start_recording()
        if change == "start":
            await control.pause_recording()
        rig.account.answer_late(6, path="/Recordings/")
        doing: Awaitable[object] = control.start_recording() if change == "start" else control.pause_recording()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await doing
        assert control.is_recording
        await control.start_recording()
        [recording] = rig.account.calls[SID].recordings.values()
        assert (recording.status, control.is_recording) == ("in-progress", True)

    scene(test)


def test_recording_a_call_that_is_over_is_no_error_and_records_nothing() -> None:
    async def test(rig: Rig) -> None:
        rig.account.fail_next(400, 21220)
        await rig.control.start_recording()
        assert not rig.control.is_recording

    scene(test)


def test_a_recording_that_cannot_be_paused_is_told_and_still_goes_on() -> None:
    async def test(rig: Rig) -> None:
        await rig.control.start_recording()
        rig.account.fail_next(403, 20403, "no")
        await refused(rig.control.pause_recording(), "20403")
        assert rig.control.is_recording

    scene(test)


@pytest.mark.parametrize(("sender", "shown"), [(None, US), ("+15550100999", "+15550100999")])
def test_a_message_comes_from_the_number_that_the_call_is_held_on_unless_another_is_named(
    sender: str | None, shown: str
) -> None:
    async def test(rig: Rig) -> None:
        await rig.control.send_sms(CALLER, "At nine.", sender=sender)
        [message] = rig.account.messages
        assert (message.to, message.sender, message.body) == (CALLER, shown, "At nine.")

    scene(test)


def test_a_call_sends_so_many_messages_and_no_more() -> None:
    async def test(rig: Rig) -> None:
        for _ in range(MAX_TEXTS):
            await rig.control.send_sms(CALLER, "At nine.", sender=None)
        await refused(rig.control.send_sms(CALLER, "At nine.", sender=None), "5 messages")
        assert len(rig.account.messages) == MAX_TEXTS

    scene(test)


def test_a_message_that_twilio_refuses_is_told_in_its_words_without_the_number() -> None:
    async def test(rig: Rig) -> None:
        rig.account.fail_next(404, 21614, f"{CALLER} is not a mobile number")
        with pytest.raises(ToolError, match="is not a mobile number") as raised:
            await rig.control.send_sms(CALLER, "At nine.", sender=None)
        assert CALLER not in str(raised.value)

    scene(test)


def test_a_call_to_no_number_has_none_to_call_others_from() -> None:
    async def test(rig: Rig) -> None:
        await refused(rig.control.send_sms(CALLER, "At nine.", sender=None), "no telephone number")
        await refused(rig.control.warm_transfer(SALES, ring_s=20, briefing="Ada."), "no telephone number")
        assert await rig.control.transfer(SALES, ring_s=20, whisper=None) == "busy"

    scene(test, far=FarParty(does="busy"), to_number="sip:desk@example.com")


# ---- the doors ----


@pytest.mark.parametrize(
    "path",
    [
        AFTER_DIAL_PATH,
        DIAL_STATUS_PATH,
        WHISPER_PATH,
        BRIEFING_PATH,
        BRIEFING_ANSWER_PATH,
        BRIEFED_STATUS_PATH,
        RECORDING_STATUS_PATH,
    ],
)
def test_what_twilio_did_not_sign_is_refused(path: str) -> None:
    async def test(rig: Rig) -> None:
        errand = rig.calls.errands.add(rig.cold("A whisper."))
        form = {"CallSid": SID, "AccountSid": ACCOUNT_SID, "CallStatus": "in-progress", "Digits": "1"}
        answer = await rig.way.post(f"{PUBLIC}{path}?id={errand}", form, {"X-Twilio-Signature": "wrong"})
        assert answer.status == 403
        signed_for_another = sign(f"{PUBLIC}{path}?id=another", form, TOKEN)
        answer = await rig.way.post(f"{PUBLIC}{path}?id={errand}", form, {"X-Twilio-Signature": signed_for_another})
        assert answer.status == 403
        assert rig.steps == []

    scene(test)


def test_a_whisper_is_said_to_whoever_has_its_name_also_when_the_session_is_over_and_not_after_the_call() -> None:
    async def test(rig: Rig) -> None:
        path = f"{WHISPER_PATH}?id={rig.calls.errands.add(rig.cold('About the pump.'))}"
        await rig.calls.end(SID, "transferred")
        assert parse((await rig.post(path, LEG))[1]) == (Spoken("About the pump."),)
        await rig.post("/twilio/status", CallStatus="completed")
        assert parse((await rig.post(path, LEG))[1]) == ()

    scene(test)


@pytest.mark.parametrize("path", [BRIEFING_PATH, BRIEFING_ANSWER_PATH])
def test_who_is_rung_for_a_call_that_is_forgotten_hears_that_the_caller_is_gone(path: str) -> None:
    async def test(rig: Rig) -> None:
        _, text = await rig.post(f"{path}?id=nobody", LEG, Digits="1")
        assert parse(text) == (Spoken(twiml.CALLER_GONE), Hangup())

    scene(test)


def test_what_becomes_of_a_recording_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def test(rig: Rig) -> None:
        fields = {"RecordingSid": "RE1", "RecordingStatus": "completed", "RecordingDuration": "12"}
        assert (await rig.post(RECORDING_STATUS_PATH, **fields))[0] == 200

    with caplog.at_level(logging.INFO):
        scene(test)
    assert "recording RE1: completed, 12 s" in caplog.text
