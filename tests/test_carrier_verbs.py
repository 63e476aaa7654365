"""The verbs that need no stream, each in a whole call to a fake service, in virtual time."""

import asyncio
import json
from collections.abc import Mapping

import pytest
from starlette.websockets import WebSocket

from channels.carrier.account import Account
from channels.carrier.call import ACCOUNT_SID, MAX_DOCUMENTS, Dial, place_call
from channels.carrier.caller import Script, Utterance
from channels.carrier.far_party import FarParty
from channels.carrier.live_call import After, Fetch, Given
from channels.carrier.pace import press_s
from channels.carrier.report import (
    CallEvent,
    CallReport,
    CallUpdated,
    CarrierPlayed,
    DialBegan,
    DialEnded,
    DigitsGathered,
    DigitsSent,
    KeyPressed,
    MessageRecorded,
    WhisperHeard,
)
from channels.carrier.virtual_time import run_virtual
from tests.carrier_service import CONNECT, PUBLIC_URL, TOKEN, FakeService, ToneAgent, tone

SID = "CA" + "1" * 32
DESK = "+15550100300"
NEXT = "/twilio/next"
BYE = "<Response><Say>Bye</Say></Response>"
A_MINUTE = 60_000
BUSY, SILENT, GONE = FarParty(does="busy"), FarParty(does="no-answer"), FarParty(does="failed")


def call(
    twiml: str, script: Script | None = None, *, parties: Mapping[str, FarParty] | None = None, **answers: str
) -> tuple[CallReport, FakeService]:
    """One call whose first document has these verbs. `answers` are further documents, by the last part of a path."""
    service = FakeService(ToneAgent(), {f"/twilio/{path}": text for path, text in answers.items()})
    service.answers["/twilio/voice"] = f"<Response>{twiml}</Response>"
    dial = Dial(public_url=PUBLIC_URL, auth_token=TOKEN, call_sid=SID, far_parties=parties or {})
    report = run_virtual(place_call(dial, script or Script(), app=service.app()))
    assert service.refused == []
    return report, service


def seconds(report: CallReport) -> float:
    return report.duration_ms / 1000


# ---- Say, Play, digits ----


def test_a_recording_is_played_for_a_while_and_noted_but_never_fetched() -> None:
    report, service = call("<Play loop='2'>/sounds/hello.wav</Play>")

    assert report.carrier_did == (CarrierPlayed(0, f"{PUBLIC_URL}/sounds/hello.wav"),)
    assert seconds(report) == 6
    assert [path for path, _ in service.posts] == ["/twilio/voice", "/twilio/status"]


def test_a_verb_that_repeats_for_ever_lasts_until_the_caller_hangs_up() -> None:
    report, _ = call("<Say loop='0'>Please wait.</Say>", Script(hang_up_after_s=90))

    assert (report.ended_by, seconds(report), report.carrier_said) == ("caller", 90, ("Please wait.",))


def test_digits_are_pressed_towards_the_far_end_with_half_a_second_for_each_w() -> None:
    report, _ = call("<Play digits='ww12#'/>")

    assert report.carrier_did == (DigitsSent(0, "ww12#"),)
    assert seconds(report) == pytest.approx(1 + press_s("12#"))


# ---- Gather ----


def test_keys_are_gathered_after_the_prompt_and_posted_to_the_action() -> None:
    report, service = call(
        "<Gather numDigits='2' action='/twilio/next'><Say>PIN?</Say></Gather>", Script(digits="123"), next=BYE
    )

    assert report.carrier_did == (DigitsGathered(640, "12"),)
    assert service.forms(NEXT)[0]["Digits"] == "12"
    assert service.forms(NEXT)[0]["CallStatus"] == "in-progress"
    assert report.carrier_said == ("PIN?", "Bye")


def test_the_finishing_key_ends_a_gather_and_is_no_digit() -> None:
    gather = "<Response><Gather action='/twilio/next'/></Response>"
    report, service = call("<Gather action='/twilio/voice2'/>", Script(digits="12#3#"), voice2=gather, next=BYE)

    assert [form["Digits"] for path in ("/twilio/voice2", NEXT) for form in service.forms(path)] == ["12", "3"]
    assert report.errors == ()


def test_without_a_finishing_key_silence_ends_a_gather() -> None:
    report, service = call("<Gather finishOnKey='' timeout='3' action='/twilio/next'/>", Script(digits="1#"), next=BYE)

    assert service.forms(NEXT)[0]["Digits"] == "1#"
    assert report.carrier_did == (DigitsGathered(3400, "1#"),)


@pytest.mark.parametrize(("asks", "said"), [("false", "Nothing."), ("true", "Bye")])
def test_a_gather_without_digits_goes_on_unless_its_action_wants_to_know(asks: str, said: str) -> None:
    report, service = call(f"<Gather action='/twilio/next' actionOnEmptyResult='{asks}'/><Say>Nothing.</Say>", next=BYE)

    assert report.carrier_did == (DigitsGathered(5000, ""),)
    assert report.carrier_said == (said,)
    assert [form["Digits"] for form in service.forms(NEXT)] == ([""] if asks == "true" else [])


def test_a_gather_without_an_action_asks_its_own_document_again() -> None:
    report, service = call("<Gather numDigits='1'/>", Script(digits="7"))

    assert [form.get("Digits") for form in service.forms("/twilio/voice")] == [None, "7"]
    assert [type(event) for event in report.carrier_did] == [DigitsGathered, DigitsGathered]


def test_a_pressed_key_is_told_when_it_is_pressed() -> None:
    events: list[CallEvent] = []
    service = FakeService(ToneAgent(), {"/twilio/voice": "<Response><Gather/></Response>"})
    dial = Dial(public_url=PUBLIC_URL, auth_token=TOKEN)
    run_virtual(place_call(dial, Script(digits="4#"), on_event=events.append, app=service.app()))

    assert [event for event in events if isinstance(event, KeyPressed)] == [KeyPressed(200, "4"), KeyPressed(400, "#")]


# ---- Record ----


def test_a_message_is_recorded_until_the_caller_is_silent() -> None:
    report, service = call(
        "<Record action='/twilio/next' timeout='2' recordingStatusCallback='/twilio/recorded'/>",
        Script(utterances=(Utterance(tone(3000), "Call me back."),)),
        next=BYE,
    )

    assert report.carrier_did == (MessageRecorded(5000, 3000, "Call me back."),)
    [form], [recorded] = service.forms(NEXT), service.forms("/twilio/recorded")
    assert (form["RecordingDuration"], form["Digits"]) == ("3", "")
    assert form["RecordingSid"].startswith("RE") and form["RecordingUrl"].endswith(form["RecordingSid"])
    assert (recorded["RecordingStatus"], recorded["RecordingSid"]) == ("completed", form["RecordingSid"])
    assert report.errors == ()


def test_a_key_ends_a_recording_at_once() -> None:
    _, service = call(
        "<Record action='/twilio/next'/>", Script(utterances=(Utterance(tone(1000)),), digits="#"), next=BYE
    )

    assert service.forms(NEXT)[0]["Digits"] == "#"


def test_a_recording_is_never_longer_than_it_may_be() -> None:
    report, service = call(
        "<Record action='/twilio/next' maxLength='2'/>", Script(utterances=(Utterance(tone(3000)),)), next=BYE
    )

    assert service.forms(NEXT)[0]["RecordingDuration"] == "2"
    assert report.carrier_did == (MessageRecorded(2000, 2000, None),)


def test_silence_is_no_message() -> None:
    report, service = call("<Record action='/twilio/next'/><Say>Nothing.</Say>", next=BYE)

    assert (report.carrier_said, service.forms(NEXT)) == (("Nothing.",), [])
    assert report.carrier_did == (MessageRecorded(5000, 0, None),)


def test_a_caller_who_hangs_up_in_a_message_leaves_what_was_said() -> None:
    script = Script(utterances=(Utterance(tone(9000)),), hang_up_after_s=4)
    report, service = call("<Record action='/twilio/next'/>", script, next=BYE)

    assert (report.ended_by, report.carrier_did) == ("caller", (MessageRecorded(4000, 4000, None),))
    assert (service.forms(NEXT)[0]["Digits"], service.forms(NEXT)[0]["RecordingDuration"]) == ("hangup", "4")


# ---- Dial ----


def test_a_far_party_answers_talks_and_hangs_up_and_the_action_is_told() -> None:
    parties = {DESK: FarParty(rings_s=4, talks_s=60)}
    report, service = call(f"<Dial action='/twilio/next'>{DESK}</Dial>", parties=parties, next=BYE)

    assert report.carrier_did == (DialBegan(0, DESK), DialEnded(64_000, DESK, "completed", 60_000))
    [form] = service.forms(NEXT)
    assert (form["DialCallStatus"], form["DialCallDuration"], form["DialBridged"]) == ("completed", "60", "true")
    assert form["DialCallSid"].startswith("CA") and form["DialCallSid"] != form["CallSid"] == SID


@pytest.mark.parametrize(
    ("party", "status", "lasts_s"), [(BUSY, "busy", 1), (SILENT, "no-answer", 15), (GONE, "failed", 1)]
)
def test_a_far_party_who_is_not_there_brings_the_call_back_to_the_service(
    party: FarParty, status: str, lasts_s: int
) -> None:
    report, service = call(
        f"<Dial action='/twilio/next' timeout='15'>{DESK}</Dial>", parties={DESK: party}, next="<Response/>"
    )

    [form] = service.forms(NEXT)
    assert form["DialCallStatus"] == status and "DialCallDuration" not in form
    assert seconds(report) == lasts_s


def test_without_an_action_a_dial_goes_on_with_the_next_verb() -> None:
    report, _ = call(f"<Dial>{DESK}</Dial><Say>Bye</Say>", parties={DESK: BUSY})

    assert report.carrier_said == ("Bye",)


def test_who_answers_first_is_connected_and_the_others_stop_ringing() -> None:
    numbers = "".join(f"<Number statusCallback='/twilio/leg'>+155501003{n:02}</Number>" for n in range(4))
    parties = {
        "+15550100300": FarParty(rings_s=9),
        "+15550100301": FarParty(rings_s=3, talks_s=5),
        "+15550100302": BUSY,
        "+15550100303": SILENT,
    }
    report, service = call(f"<Dial>{numbers}</Dial>", parties=parties)

    ended = {form["To"][-1]: form["CallStatus"] for form in service.forms("/twilio/leg")}
    assert ended == {"0": "canceled", "1": "completed", "2": "busy", "3": "canceled"}
    assert isinstance(report.carrier_did[-1], DialEnded) and report.carrier_did[-1].talked_ms == 5000


def test_only_the_callee_hears_the_whisper_before_the_two_are_connected() -> None:
    whisper = "<Response><Say>A caller</Say><Pause/><Play>x.wav</Play></Response>"
    report, service = call(
        f"<Dial action='/twilio/next'><Number url='/twilio/whisper' sendDigits='w1'>{DESK}</Number></Dial>",
        whisper=whisper,
        next=BYE,
    )

    assert [event for event in report.carrier_did if isinstance(event, DigitsSent | WhisperHeard)] == [
        DigitsSent(1000, "w1"),
        WhisperHeard(1700, DESK, "A caller"),
        WhisperHeard(3180, DESK, f"{PUBLIC_URL}/twilio/x.wav"),
    ]
    [asked], [form] = service.forms("/twilio/whisper"), service.forms(NEXT)
    assert (asked["Direction"], asked["ParentCallSid"], asked["To"]) == ("outbound-dial", SID, DESK)
    assert asked["CallSid"] == form["DialCallSid"]
    assert report.carrier_said == ("Bye",)


def test_a_whisper_that_hangs_up_connects_nobody() -> None:
    report, service = call(
        f"<Dial action='/twilio/next'><Number url='/twilio/whisper'>{DESK}</Number></Dial>",
        whisper="<Response><Hangup/></Response>",
        next=BYE,
    )

    form = service.forms(NEXT)[0]
    assert (form["DialBridged"], form["DialCallDuration"]) == ("false", "0")
    assert report.errors == ()


def test_a_callee_who_hangs_up_after_the_whisper_is_connected_to_nobody() -> None:
    report, service = call(
        f"<Dial action='/twilio/next'><Number url='/twilio/whisper'>{DESK}</Number></Dial>",
        whisper="<Response><Say>A caller</Say></Response>",
        next=BYE,
        parties={DESK: FarParty(hangs_up_after_whisper=True)},
    )

    form = service.forms(NEXT)[0]
    assert (form["DialCallStatus"], form["DialBridged"], form["DialCallDuration"]) == ("completed", "false", "0")
    assert report.errors == ()


def test_a_whisper_that_cannot_be_run_fails_the_call() -> None:
    report, _ = call(
        f"<Dial><Number url='/twilio/whisper'>{DESK}</Number></Dial>", whisper="<Response><Gather/></Response>"
    )

    assert report.ended_by == "carrier-error"
    assert report.errors == ("a whisper with <Gather> is not simulated",)


def test_every_event_of_a_dialled_leg_can_be_asked_for() -> None:
    _, service = call(
        "<Dial callerId='+15550100999'><Number statusCallback='/twilio/leg' "
        f"statusCallbackEvent='initiated ringing answered completed'>{DESK}</Number></Dial>"
    )

    forms = service.forms("/twilio/leg")
    assert [form["CallStatus"] for form in forms] == ["initiated", "ringing", "in-progress", "completed"]
    assert [form["SequenceNumber"] for form in forms] == ["0", "1", "2", "3"]
    assert {form["From"] for form in forms} == {"+15550100999"}
    assert forms[-1]["CallDuration"] == "2"


def test_a_caller_who_hangs_up_ends_the_dial() -> None:
    report, service = call(
        f"<Dial action='/twilio/next'><Number statusCallback='/twilio/leg'>{DESK}</Number></Dial>",
        Script(hang_up_after_s=20),
        parties={DESK: FarParty(talks_s=None)},
        next=BYE,
    )

    assert (report.ended_by, service.forms(NEXT)) == ("caller", [])
    assert report.carrier_did[-1] == DialEnded(20_000, DESK, "completed", 19_000)
    assert service.forms("/twilio/leg")[0]["CallStatus"] == "completed"


def test_a_dial_lasts_no_longer_than_its_time_limit() -> None:
    report, _ = call(f"<Dial timeLimit='30'>{DESK}</Dial>", parties={DESK: FarParty(talks_s=None)})

    assert report.carrier_did[-1] == DialEnded(31_000, DESK, "completed", 30_000)


def test_a_conference_lasts_as_long_as_the_others_are_in_it() -> None:
    report, service = call(
        "<Dial action='/twilio/next'><Conference>desk</Conference></Dial>",
        parties={"desk": FarParty(talks_s=8)},
        next=BYE,
    )

    [form] = service.forms(NEXT)
    assert form["DialCallStatus"] == "answered" and "DialCallSid" not in form
    assert report.carrier_did == (DialBegan(0, "desk"), DialEnded(8000, "desk", "answered", 8000))


# ---- what REST orders of a live call ----


def ordered(after: After, at_s: float, twiml: str, **answers: str) -> tuple[CallReport, FakeService, ToneAgent]:
    """A call of which something is ordered so long after dialling."""
    agent, account = ToneAgent(A_MINUTE), Account(sid=ACCOUNT_SID, auth_token=TOKEN)
    service = FakeService(agent, {f"/twilio/{path}": text for path, text in answers.items()})
    service.answers["/twilio/voice"] = twiml
    dial = Dial(public_url=PUBLIC_URL, auth_token=TOKEN, call_sid=SID)

    async def run() -> CallReport:
        async with asyncio.TaskGroup() as tasks:
            placed = tasks.create_task(place_call(dial, Script(), app=service.app(), account=account))
            await asyncio.sleep(at_s)
            account.calls[SID].order(after, "as ordered")
        return placed.result()

    return run_virtual(run()), service, agent


def kinds(agent: ToneAgent) -> list[str]:
    return [json.loads(text)["event"] for text in agent.texts]


def test_an_order_ends_the_stream_with_stop_and_the_new_document_runs() -> None:
    report, service, agent = ordered(Given(BYE), 3, CONNECT)

    assert kinds(agent)[-1] == "stop" and kinds(agent).count("stop") == 1
    assert report.carrier_said == ("Bye",)
    assert service.forms("/twilio/after-stream") == []
    assert [form["StreamEvent"] for form in service.forms("/twilio/stream-status")] == [
        "stream-started",
        "stream-stopped",
    ]
    assert (report.ended_by, report.errors) == ("agent", ())
    assert [type(event) for event in report.carrier_did] == [CallUpdated]


def test_an_order_to_hang_up_ends_the_call_and_its_status_is_completed() -> None:
    report, service, agent = ordered("agent", 3, CONNECT)

    assert kinds(agent)[-1] == "stop"
    assert service.forms("/twilio/after-stream") == []
    assert [form["CallStatus"] for form in service.forms("/twilio/status")] == ["completed"]
    assert (report.ended_by, 3 <= seconds(report) < 3.1) == ("agent", True)


@pytest.mark.parametrize(
    "verb",
    [
        "<Say loop='0'>Wait.</Say>",
        "<Play loop='0'>x.wav</Play>",
        "<Pause length='600'/>",
        "<Gather timeout='600'/>",
        "<Record timeout='600'/>",
        f"<Dial timeLimit='600'><Number>{DESK}</Number></Dial><Pause length='600'/>",
    ],
)
def test_an_order_cuts_short_whatever_goes_on(verb: str) -> None:
    report, service, _ = ordered(Fetch(f"{PUBLIC_URL}{NEXT}"), 2, f"<Response>{verb}</Response>", next=BYE)

    assert report.carrier_said[-1] == "Bye"
    assert seconds(report) == pytest.approx(2.18)
    assert service.forms(NEXT)[0]["CallStatus"] == "in-progress"


def test_an_order_counts_when_the_service_closes_the_stream_in_the_same_moment() -> None:
    agent, account = ToneAgent(A_MINUTE), Account(sid=ACCOUNT_SID, auth_token=TOKEN)
    service = FakeService(agent, {"/twilio/voice": CONNECT, "/twilio/after-stream": BYE})

    async def closing(websocket: WebSocket) -> None:
        account.calls[SID].order("agent", "as ordered")
        await websocket.close()

    service.media = closing
    dial = Dial(public_url=PUBLIC_URL, auth_token=TOKEN, call_sid=SID)
    report = run_virtual(place_call(dial, Script(), app=service.app(), account=account))

    assert (report.ended_by, report.errors, service.forms("/twilio/after-stream")) == ("agent", (), [])


def test_a_time_limit_ends_the_call_even_in_a_stream() -> None:
    account = Account(sid=ACCOUNT_SID, auth_token=TOKEN)
    service = FakeService(ToneAgent(A_MINUTE), {"/twilio/voice": CONNECT})
    dial = Dial(public_url=PUBLIC_URL, auth_token=TOKEN, call_sid=SID)

    def limit(event: CallEvent) -> None:
        if not account.calls[SID].is_ordered and not isinstance(event, CallUpdated):
            account.calls[SID].limit(30)

    report = run_virtual(place_call(dial, Script(), app=service.app(), account=account, on_event=limit))

    assert (report.ended_by, 30 <= seconds(report) < 30.1) == ("agent", True)
    assert [event.what for event in report.carrier_did if isinstance(event, CallUpdated)] == ["time limit of 30 s"]


def test_a_call_may_have_as_many_documents_as_the_limit_and_no_more() -> None:
    report, service = call("<Gather numDigits='1'/>", Script(digits="1" * (MAX_DOCUMENTS - 1)))
    too_long, _ = call("<Gather numDigits='1'/>", Script(digits="1" * MAX_DOCUMENTS))

    assert (report.ended_by, len(service.forms("/twilio/voice"))) == ("agent", MAX_DOCUMENTS)
    assert too_long.ended_by == "carrier-error"
