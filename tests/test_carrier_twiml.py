import pytest

from channels.carrier.twiml import AUTO_SPEECH_S, parse
from channels.carrier.twiml_attributes import TwimlError
from channels.carrier.twiml_verbs import (
    Conference,
    Connect,
    Dial,
    Gather,
    Hangup,
    NotSimulated,
    Noun,
    Pause,
    Play,
    PlayDigits,
    Record,
    Redirect,
    Reject,
    Say,
    Stream,
    Verb,
)

ONE = Noun("Number", "+15550100300")
FOUR_HOURS = 4 * 3600


def test_a_connected_stream_is_read_with_its_action_callback_and_parameters() -> None:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Connect action="/after"><Stream url="wss://h/media" '
        'name="n" statusCallback="/stream"><Parameter name="token" value="&lt;a&amp;&quot;b"/></Stream></Connect>'
        "</Response>"
    )

    assert parse(text) == (Connect(Stream("wss://h/media", "n", "/stream", {"token": '<a&"b'}), "/after"),)


@pytest.mark.parametrize(
    ("element", "verb"),
    [
        ("<Say voice='x'> Good <break/>bye. </Say>", Say("Good bye.")),
        ("<Pause/>", Pause(1)),
        ("<Pause length='3'/>", Pause(3)),
        ("<Redirect>/next</Redirect>", Redirect("/next")),
        ("<Hangup/>", Hangup()),
        ("<Reject reason='busy'/>", Reject("busy")),
        ("<Reject/>", Reject("rejected")),
        ("<Say loop='0'>Wait.</Say>", Say("Wait.", 0)),
        ("<Play> /hello.wav </Play>", Play("/hello.wav")),
        ("<Play loop='2'>x.wav</Play>", Play("x.wav", 2)),
        ("<Play digits='ww12#'/>", PlayDigits("ww12#")),
        ("<Dial>+15550100300</Dial>", Dial((ONE,), None, 30, FOUR_HOURS, None)),
        (
            "<Dial action='/after' timeout='5' timeLimit='60' callerId='+15550100200'><Number>+15550100300</Number>"
            "<Sip>sip:desk@example.com</Sip><Client>ann</Client><Client><Identity>bob</Identity></Client></Dial>",
            Dial(
                (ONE, Noun("Sip", "sip:desk@example.com"), Noun("Client", "client:ann"), Noun("Client", "client:bob")),
                "/after",
                5,
                60,
                "+15550100200",
            ),
        ),
        (
            "<Dial><Number url='/whisper' sendDigits='w7' statusCallback='/leg' "
            "statusCallbackEvent='ringing answered'>+15550100300</Number></Dial>",
            Dial(
                (Noun("Number", "+15550100300", "/whisper", "w7", "/leg", frozenset({"ringing", "answered"})),),
                None,
                30,
                FOUR_HOURS,
                None,
            ),
        ),
        ("<Dial><Conference>desk</Conference></Dial>", Dial(Conference("desk"), None, 30, FOUR_HOURS, None)),
        (
            "<Dial><Conference startConferenceOnEnter='false' endConferenceOnExit='true' waitUrl='' beep='onExit' "
            "participantLabel='desk'>desk</Conference></Dial>",
            Dial(Conference("desk", starts=False, ends=True, wait_url=""), None, 30, FOUR_HOURS, None),
        ),
        (
            "<Dial><Conference statusCallback='/room'>desk</Conference></Dial>",
            NotSimulated("<Conference statusCallback>"),
        ),
        ("<Dial><Conference muted='true'>desk</Conference></Dial>", NotSimulated("<Conference muted='true'>")),
        ("<Dial><Queue>q</Queue></Dial>", NotSimulated("<Dial><Queue>")),
        ("<Dial sequential='true'>+15550100300</Dial>", NotSimulated("<Dial sequential='true'>")),
        ("<Dial record='record-from-answer'>+1555</Dial>", NotSimulated("<Dial record='record-from-answer'>")),
        ("<Gather/>", Gather((), None, "#", 5, None, False)),
        (
            "<Gather numDigits='4' finishOnKey='' timeout='2' action='/pin' actionOnEmptyResult='true'>"
            "<Say>PIN?</Say><Play>beep.wav</Play><Pause/></Gather>",
            Gather((Say("PIN?"), Play("beep.wav"), Pause(1)), 4, "", 2, "/pin", True),
        ),
        ("<Gather input='dtmf speech'/>", Gather((), None, "#", 5, None, False, True, True)),
        (
            "<Gather input='speech' speechTimeout='auto' hints='yes, no'/>",
            Gather((), None, "#", 5, None, False, False, True, AUTO_SPEECH_S),
        ),
        ("<Gather input='speech' speechTimeout='3'/>", Gather((), None, "#", 5, None, False, False, True, 3)),
        ("<Gather partialResultCallback='/words'/>", NotSimulated("<Gather partialResultCallback>")),
        ("<Record/>", Record("1234567890*#", 5, 3600, None, None)),
        (
            "<Record finishOnKey='#' timeout='3' maxLength='20' action='/done' recordingStatusCallback='/recorded'/>",
            Record("#", 3, 20, "/done", "/recorded"),
        ),
        ("<Record transcribe='true'/>", NotSimulated("<Record transcribe='true'>")),
        ("<Enqueue>support</Enqueue>", NotSimulated("<Enqueue>")),
        ("<Leave/>", NotSimulated("<Leave>")),
        ("<Stop><Stream name='n'/></Stop>", NotSimulated("<Stop>")),
        ("<Start><Recording/></Start>", NotSimulated("<Start><Recording>")),
        ("<Redirect method='GET'>/next</Redirect>", NotSimulated("<Redirect method='GET'>")),
        ("<Connect><ConversationRelay url='wss://h'/></Connect>", NotSimulated("<Connect><ConversationRelay>")),
    ],
)
def test_every_verb_is_read(element: str, verb: Verb) -> None:
    assert parse(f"<Response>{element}</Response>") == (verb,)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": 1}', "not XML"),
        ("<Response><Say>", "not XML"),
        (b'<?xml version="1.0" encoding="klingon"?><Response/>', "not XML"),
        (b'<?xml version="1.0" encoding="utf-7"?><Response/>', "not XML"),
        ("<html/>", "begins with <html>"),
        ("<Response><Reject reason='tired'/></Response>", "not rejected or busy"),
        (f"<Response><Say loop='{'9' * 5000}'>x</Say></Response>", "13510"),
        ("<Response><Connect/></Response>", "0 nouns"),
        ("<Response><Connect><Stream/></Connect></Response>", "no url"),
        ("<Response><Connect><Stream url='wss://h' track='both_tracks'/></Connect></Response>", "31941"),
        (
            f"<Response><Connect><Stream url='wss://h'><Parameter name='a' value='{'x' * 499}'/></Stream></Connect>"
            "</Response>",
            "not under 500",
        ),
        ("<Response><Connect><Stream url='wss://h'><Parameter name='a'/></Stream></Connect></Response>", "name and"),
        ("<Response><Pause length='x'/></Response>", "not a number"),
        ("<Response><Redirect method='PUT'>/x</Redirect></Response>", "13710"),
        ("<Response><Say loop='-1'>x</Say></Response>", "13510"),
        ("<Response><Play/></Response>", "neither an address nor digits"),
        ("<Response><Play loop='x'>x.wav</Play></Response>", "13410"),
        ("<Response><Play digits='1x'/></Response>", "13430"),
        ("<Response><Play digits=''/></Response>", "13430"),
        ("<Response><Dial timeout='0'>+1555</Dial></Response>", "13212"),
        ("<Response><Dial timeLimit='soon'>+1555</Dial></Response>", "13216"),
        ("<Response><Dial hangupOnStar='maybe'>+1555</Dial></Response>", "13213"),
        ("<Response><Dial/></Response>", "13223"),
        ("<Response><Dial><Number>ann</Number></Dial></Response>", "13223"),
        ("<Response><Dial><Number sendDigits='x'>+1555</Number></Dial></Response>", "13222"),
        ("<Response><Dial><Number statusCallbackEvent='rings'>+1555</Number></Dial></Response>", "21626"),
        ("<Response><Dial><Sip>desk@example.com</Sip></Dial></Response>", "13243"),
        ("<Response><Dial><Client/></Dial></Response>", "no identity"),
        ("<Response><Dial><Conference/></Dial></Response>", "13237"),
        (f"<Response><Dial><Conference>{'x' * 129}</Conference></Dial></Response>", "13237"),
        ("<Response><Dial><Conference beep='loud'>x</Conference></Dial></Response>", "beep"),
        ("<Response><Gather input='speech' speechTimeout='soon'/></Response>", "speechTimeout"),
        (f"<Response><Gather input='speech' hints='{'x' * 50_001}'/></Response>", "hints"),
        ("<Response><Dial><Say>x</Say></Dial></Response>", "13215"),
        (f"<Response><Dial>{'<Number>+1555</Number>' * 11}</Dial></Response>", "at most 10"),
        ("<Response><Gather finishOnKey='##'/></Response>", "13310"),
        ("<Response><Gather numDigits='0'/></Response>", "13314"),
        ("<Response><Gather timeout='-1'/></Response>", "13313"),
        ("<Response><Gather input='touch'/></Response>", "13326"),
        ("<Response><Gather actionOnEmptyResult='1'/></Response>", "13338"),
        ("<Response><Gather method='PUT'/></Response>", "13312"),
        ("<Response><Gather><Dial>+1555</Dial></Gather></Response>", "13320"),
        ("<Response><Record finishOnKey='x'/></Response>", "13613"),
        ("<Response><Record timeout='x'/></Response>", "13611"),
        ("<Response><Record maxLength='0'/></Response>", "13612"),
        ("<Response><Record playBeep='loud'/></Response>", "13616"),
    ],
)
def test_what_twilio_would_not_run_is_refused(text: str | bytes, complaint: str) -> None:
    with pytest.raises(TwimlError, match=complaint):
        parse(text)


def test_a_stream_that_only_listens_is_refused_with_the_reason() -> None:
    [verb] = parse("<Response><Start><Stream url='wss://h'/></Start></Response>")

    assert isinstance(verb, NotSimulated)
    assert verb.what == "<Start><Stream>" and "only listens and cannot speak to the caller" in verb.why
