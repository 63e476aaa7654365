"""What we tell Twilio to do with a call, as TwiML."""

from typing import Final

from twilio.twiml.voice_response import Connect, VoiceResponse

NOT_IN_SERVICE: Final = "Sorry, this number is not in service."
DIAL_TIMEOUT_S: Final = 30
"""Five rings or six; then nobody is there."""

MAX_VOICEMAIL_S: Final = 180
"""Longer messages are not listened to."""

TROUBLE: Final = "I am sorry, we cannot go on with this call because of a technical problem. Please call again later."


def connect(media_url: str, action_url: str, stream_status_url: str, token: str) -> str:
    """Opens the media stream; when it ends, Twilio asks `action_url` what is next."""
    response = VoiceResponse()
    connect = Connect(action=action_url)
    stream = connect.stream(url=media_url, status_callback=stream_status_url)
    stream.parameter(name="token", value=token)
    response.append(connect)
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


def nothing() -> str:
    """The answer to a callback that asks for nothing."""
    return str(VoiceResponse())
