"""What we tell Twilio to do with a call, as TwiML."""

from typing import Final

from twilio.twiml.voice_response import Connect, VoiceResponse

NOT_IN_SERVICE: Final = "Sorry, this number is not in service."
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


def busy() -> str:
    """Turns the call away with a busy signal, unanswered and unbilled."""
    response = VoiceResponse()
    response.reject(reason="busy")
    return str(response)


def nothing() -> str:
    """The answer to a callback that asks for nothing."""
    return str(VoiceResponse())
