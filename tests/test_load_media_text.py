"""The cheap forms of the carrier's messages are the careful ones, byte for byte."""

from base64 import b64encode

import pytest

from channels.carrier.wire import tell_media
from channels.media_streams import write_mark, write_media
from gateway.load.media_text import audio_of, media_prefix, media_template

ULAW = bytes(range(160))


def test_a_media_message_is_what_the_carrier_writes() -> None:
    text = media_template("MZ1") % (12, 11, 200, b64encode(ULAW))

    assert text.decode() == tell_media("MZ1", 12, 11, 200, ULAW)


def test_the_gateways_audio_is_read() -> None:
    assert audio_of(write_media("MZ1", ULAW * 2).encode(), media_prefix("MZ1")) == ULAW * 2


@pytest.mark.parametrize(
    "message",
    [
        write_mark("MZ1", "m1"),
        write_media("MZ2", ULAW),
        write_media("MZ1", ULAW[:-1]),
        write_media("MZ1", b""),
        write_media("MZ1", ULAW)[:-3] + '!"}}',
        write_media("MZ1", ULAW)[:-1] + ',"track":"outbound"}',
    ],
    ids=["mark", "another stream", "half a frame", "empty", "no base64", "another field"],
)
def test_any_other_message_is_left_to_be_read_with_care(message: str) -> None:
    assert audio_of(message.encode(), media_prefix("MZ1")) is None
