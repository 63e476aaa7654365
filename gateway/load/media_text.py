"""The carrier's most frequent messages, formatted and read as cheaply as can be. Pure."""

from base64 import b64decode

from agents.mulaw import FRAME_BYTES


def media_template(stream_sid: str) -> bytes:
    """A media message, as `channels.carrier.wire` writes it: sequence, chunk, milliseconds and base64 go in."""
    return (
        b'{"event":"media","sequenceNumber":"%%d","media":{"track":"inbound","chunk":"%%d","timestamp":"%%d",'
        b'"payload":"%%b"},"streamSid":"%b"}' % stream_sid.encode()
    )


def media_prefix(stream_sid: str) -> bytes:
    """How a gateway's media message begins when it has the fields in the usual order."""
    return b'{"event":"media","streamSid":"%b","media":{"payload":"' % stream_sid.encode()


def audio_of(message: bytes, prefix: bytes) -> bytes | None:
    """The whole frames of a media message with this prefix; None of any other, to be read with all care."""
    if not (message.startswith(prefix) and message.endswith(b'"}}')):
        return None
    try:
        ulaw = b64decode(message[len(prefix) : -3], validate=True)
    except ValueError:
        return None
    return None if not ulaw or len(ulaw) % FRAME_BYTES else ulaw
