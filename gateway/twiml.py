"""What we tell Twilio to do with a call, as TwiML."""

from typing import Final

from twilio.twiml.voice_response import Connect, VoiceResponse

NOT_IN_SERVICE: Final = "Sorry, this number is not in service."
DIAL_TIMEOUT_S: Final = 30
"""Five rings or six; then nobody is there."""

MAX_VOICEMAIL_S: Final = 180
"""Longer messages are not listened to."""

NOT_THROUGH: Final = "Sorry, you could not be put through."
STILL_BUSY: Final = "Sorry, all our lines are still busy. Please call again later."
CALLER_GONE: Final = "Sorry, the caller has hung up."
NOT_JOINED: Final = "Sorry, the caller could not be put through to you."
ASK: Final = "Press 1, or say yes, to accept. Press any other key, or say no, to decline."
HINTS: Final = "yes, no, accept, decline"

ANSWER_TIMEOUT_S: Final = 5
"""How long who was rung may think about it before they are asked again."""

TROUBLE: Final = "I am sorry, we cannot go on with this call because of a technical problem. Please call again later."


def connect(media_url: str, action_url: str, stream_status_url: str, token: str, *, digits: str = "") -> str:
    """Opens the media stream, after pressing `digits`; when it ends, Twilio asks `action_url` what is next."""
    response = VoiceResponse()
    if digits:
        response.play(digits=digits)
    connect = Connect(action=action_url)
    stream = connect.stream(url=media_url, status_callback=stream_status_url)
    stream.parameter(name="token", value=token)
    response.append(connect)
    return str(response)


def transfer(
    address: str, *, ring_s: int, caller_id: str | None, action_url: str, status_url: str, whisper_url: str | None
) -> str:
    """Rings somebody and connects them, after the whisper; when it is over, Twilio asks `action_url` what is next.

    `status_url` is told when they answer, and when their call is over.
    """
    response = VoiceResponse()
    dial = response.dial(action=action_url, timeout=ring_s, caller_id=caller_id, answer_on_bridge=True)
    ring = dial.sip if address.startswith("sip:") else dial.number
    ring(address, url=whisper_url, status_callback=status_url, status_callback_event="answered completed")
    return str(response)


def say(text: str) -> str:
    """Says something to whoever is on the line, and goes on with what comes then."""
    response = VoiceResponse()
    response.say(text)
    return str(response)


def briefing(text: str | None, answer_url: str) -> str:
    """Says something to who was rung, and asks twice whether they accept; their answer, or its absence, is posted."""
    response = VoiceResponse()
    for _ in range(2):
        gather = response.gather(
            input="dtmf speech",
            num_digits=1,
            timeout=ANSWER_TIMEOUT_S,
            speech_timeout="auto",
            hints=HINTS,
            action=answer_url,
        )
        gather.say(f"{text} {ASK}" if text else ASK)
    response.redirect(answer_url)
    return str(response)


def conference(room: str) -> str:
    """Joins a room, in which two talk until either leaves."""
    response = VoiceResponse()
    dial = response.dial()
    dial.conference(room, start_conference_on_enter=True, end_conference_on_exit=True, beep="false")
    return str(response)


def hang_up(apology: str | None = None) -> str:
    """Ends the call, after saying `apology`."""
    response = VoiceResponse()
    if apology:
        response.say(apology)
    response.hangup()
    return str(response)


def last_resort(*, say: str | None, recording_url: str | None, dial: str | None, voicemail_url: str | None) -> str:
    """Tells the caller that no agent can go on, then puts the call through, or takes a message, or ends it.

    A message is announced to `voicemail_url`, which is asked what is next.
    """
    response = VoiceResponse()
    if recording_url:
        response.play(recording_url)
    else:
        response.say(say or TROUBLE)
    if dial and dial.startswith("sip:"):
        response.dial(timeout=DIAL_TIMEOUT_S).sip(dial)
    elif dial:
        response.dial(dial, timeout=DIAL_TIMEOUT_S)
    elif voicemail_url:
        response.record(action=voicemail_url, max_length=MAX_VOICEMAIL_S, play_beep=True)
    response.hangup()
    return str(response)


def busy() -> str:
    """Turns the call away with a busy signal, unanswered and unbilled."""
    response = VoiceResponse()
    response.reject(reason="busy")
    return str(response)


def hold(say: str | None, pause_s: int, return_url: str) -> str:
    """Has the caller wait, after saying something; then Twilio asks `return_url` what is next."""
    response = VoiceResponse()
    if say:
        response.say(say)
    response.pause(length=pause_s)
    response.redirect(return_url)
    return str(response)


def put_through(address: str, say: str | None, caller_id: str | None) -> str:
    """Rings somebody for a caller whom nobody serves, after saying something, and ends the call after that.

    Without a `caller_id` it comes from the caller's own number.
    """
    response = VoiceResponse()
    if say:
        response.say(say)
    dial = response.dial(timeout=DIAL_TIMEOUT_S, caller_id=caller_id)
    ring = dial.sip if address.startswith("sip:") else dial.number
    ring(address)
    response.hangup()
    return str(response)


def nothing() -> str:
    """The answer to a callback that asks for nothing."""
    return str(VoiceResponse())
