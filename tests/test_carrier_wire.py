"""The carrier reads what a server sends to the letter, and says what Twilio says."""

import json
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.mulaw import FRAME_BYTES
from channels import media_streams
from channels.carrier import wire
from channels.carrier.wire import Clear, MarkRequest, Play, decode
from channels.media_streams import ULAW_8K, Start, WireError, write_clear, write_mark, write_media

STREAM, CALL, ACCOUNT = "MZ" + "2" * 32, "CA" + "1" * 32, "AC" + "0" * 32
FRAME = b"\x2a" * FRAME_BYTES
START = Start(STREAM, CALL, ACCOUNT, ULAW_8K, ("inbound",), {"token": "a&b", "empty": ""})


def media(**fields: object) -> str:
    return json.dumps({"event": "media", "streamSid": STREAM, "media": {"payload": payload(FRAME)}} | fields)


def payload(ulaw: bytes) -> str:
    return b64encode(ulaw).decode()


# ---- to Twilio ----


def test_what_the_servers_half_writes_is_read() -> None:
    assert decode(write_media(STREAM, FRAME * 3)) == Play(STREAM, FRAME * 3)
    assert decode(write_mark(STREAM, "0:1")) == MarkRequest(STREAM, "0:1")
    assert decode(write_clear(STREAM)) == Clear(STREAM)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"{}", "31950"),
        ("not json", "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "31951"),
        ('{"event":"stop"}', "31951"),
        (media(streamSid=None), "31951"),
        (media(track="outbound"), "extra field"),
        (media(sequenceNumber="1"), "extra field"),
        (media(media={"payload": payload(FRAME), "track": "outbound"}), "extra field"),
        (media(media={"payload": 5}), "31951"),
        (media(media={"payload": ""}), "empty"),
        (media(media={"payload": "***"}), "not base64"),
        (media(media={"payload": payload(FRAME[:-1])}), "159 bytes is not whole frames of 160"),
        (media(media={"payload": payload(b"RIFF".ljust(FRAME_BYTES))}), "header of a file: b'RIFF'"),
        (media(media={"payload": payload(b".snd".ljust(FRAME_BYTES))}), "header of a file"),
        ('{"event":"mark","streamSid":"MZ2","mark":{}}', "31951"),
        ('{"event":"mark","streamSid":"MZ2","mark":{"name":""}}', "31951"),
        ('{"event":"mark","streamSid":"MZ2","mark":{"name":5}}', "31951"),
        (write_mark(STREAM, "x" * 1001), "1001 characters, more than 1000"),
        ('{"event":"mark","streamSid":"MZ2","mark":{"name":"a","more":1}}', "extra field"),
        ('{"event":"mark","streamSid":"MZ2","mark":{"name":"a"},"sequenceNumber":"1"}', "extra field"),
        ('{"event":"clear"}', "31951"),
        ('{"event":"clear","streamSid":"MZ2","clear":{}}', "extra field"),
    ],
)
def test_what_twilio_would_warn_of_is_refused_with_its_reason(message: str | bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        decode(message)


@settings(deadline=None)
@given(st.sampled_from([media(), write_mark(STREAM, "0:1"), write_clear(STREAM)]), st.data())
def test_no_cut_or_change_of_a_message_raises_anything_else(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)))

    try:
        meaning = decode(text[:start] + data.draw(st.text(max_size=6)) + text[end:])
    except WireError:
        return

    assert isinstance(meaning, Play | MarkRequest | Clear)


# ---- from Twilio ----


def test_connected_is_told_without_stream_and_sequence() -> None:
    assert json.loads(wire.tell_connected()) == {"event": "connected", "protocol": "Call", "version": "1.0.0"}


def test_start_is_told_as_twilio_does() -> None:
    assert json.loads(wire.tell_start(START, 1)) == {
        "event": "start",
        "sequenceNumber": "1",
        "start": {
            "accountSid": ACCOUNT,
            "streamSid": STREAM,
            "callSid": CALL,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": "a&b", "empty": ""},
        },
        "streamSid": STREAM,
    }


def test_media_is_told_with_numbers_as_text() -> None:
    assert json.loads(wire.tell_media(STREAM, 2, 1, 53, FRAME)) == {
        "event": "media",
        "sequenceNumber": "2",
        "media": {"track": "inbound", "chunk": "1", "timestamp": "53", "payload": payload(FRAME)},
        "streamSid": STREAM,
    }


def test_a_key_is_told_with_the_long_name_of_its_track() -> None:
    assert json.loads(wire.tell_dtmf(STREAM, 205, "#")) == {
        "event": "dtmf",
        "streamSid": STREAM,
        "sequenceNumber": "205",
        "dtmf": {"track": "inbound_track", "digit": "#"},
    }


def test_a_mark_is_told_with_its_name() -> None:
    assert json.loads(wire.tell_mark(STREAM, 14, "0:1")) == {
        "event": "mark",
        "sequenceNumber": "14",
        "streamSid": STREAM,
        "mark": {"name": "0:1"},
    }


def test_stop_is_told_with_account_and_call() -> None:
    assert json.loads(wire.tell_stop(START, 900)) == {
        "event": "stop",
        "sequenceNumber": "900",
        "stop": {"accountSid": ACCOUNT, "callSid": CALL},
        "streamSid": STREAM,
    }


def test_the_servers_half_understands_everything_that_is_told() -> None:
    told = (
        wire.tell_connected(),
        wire.tell_start(START, 1),
        wire.tell_media(STREAM, 2, 1, 53, FRAME),
        wire.tell_dtmf(STREAM, 3, "*"),
        wire.tell_mark(STREAM, 4, "0:1"),
    )

    assert [media_streams.decode(text) for text in told] == [
        media_streams.Connected(),
        START,
        media_streams.Media(FRAME, 53, "inbound"),
        media_streams.Dtmf("*"),
        media_streams.Mark("0:1"),
    ]
    assert isinstance(media_streams.decode(wire.tell_stop(START, 5)), media_streams.Stop)
