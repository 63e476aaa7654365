"""Twilio's messages are read leniently and written to the letter; nonsense is a WireError and nothing else."""

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.errors import ChannelError
from agents.mulaw import FRAME_BYTES
from channels.media_streams import (
    MAX_MESSAGE_BYTES,
    ULAW_8K,
    Connected,
    Dtmf,
    FromTwilio,
    Mark,
    Media,
    Start,
    Stop,
    Unknown,
    WireError,
    audio,
    decode,
    write_clear,
    write_mark,
    write_media,
)

ACCOUNT, CALL, STREAM = "AC" + "0" * 32, "CA" + "1" * 32, "MZ" + "2" * 32
SILENT_FRAME = b"\xff" * FRAME_BYTES
PAYLOAD = b64encode(SILENT_FRAME).decode()

CONNECTED = '{"event":"connected","protocol":"Call","version":"1.0.0"}'
START = (
    f'{{"event":"start","sequenceNumber":"1","start":{{"accountSid":"{ACCOUNT}","streamSid":"{STREAM}",'
    f'"callSid":"{CALL}","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,'
    f'"channels":1}},"customParameters":{{"token":"one-time"}}}},"streamSid":"{STREAM}"}}'
)
MEDIA = (
    f'{{"event":"media","sequenceNumber":"2","media":{{"track":"inbound","chunk":"1","timestamp":"53",'
    f'"payload":"{PAYLOAD}"}},"streamSid":"{STREAM}"}}'
)
MARK = f'{{"event":"mark","sequenceNumber":"14","streamSid":"{STREAM}","mark":{{"name":"r1:200"}}}}'
DTMF = (
    f'{{"event":"dtmf","streamSid":"{STREAM}","sequenceNumber":"205","dtmf":{{"track":"inbound_track","digit":"1"}}}}'
)
STOP = (
    f'{{"event":"stop","sequenceNumber":"900","stop":{{"accountSid":"{ACCOUNT}","callSid":"{CALL}"}},'
    f'"streamSid":"{STREAM}"}}'
)
REAL = (CONNECTED, START, MEDIA, MARK, DTMF, STOP)


def start_with(**fields: object) -> str:
    message = json.loads(START)
    message["start"] |= fields
    return json.dumps(message)


def start_without(field: str) -> str:
    message = json.loads(START)
    del message["start"][field]
    return json.dumps(message)


def media_with(**fields: object) -> str:
    message = json.loads(MEDIA)
    message["media"] |= fields
    return json.dumps(message)


# ---- from Twilio ----


def test_connected_is_accepted() -> None:
    assert decode(CONNECTED) == Connected()


def test_start_tells_stream_call_account_parameters_and_media_format() -> None:
    assert decode(START) == Start(STREAM, CALL, ACCOUNT, ULAW_8K, ("inbound",), {"token": "one-time"})


def test_media_is_the_callers_audio_and_its_timestamp() -> None:
    assert decode(MEDIA) == Media(SILENT_FRAME, 53, "inbound")


def test_a_mark_is_its_name() -> None:
    assert decode(MARK) == Mark("r1:200")


def test_no_repr_has_the_key_of_a_dtmf_event() -> None:
    assert repr(Dtmf("7")) == "Dtmf()"


@pytest.mark.parametrize("digit", "0123456789*#ABCD")
def test_each_key_of_a_telephone_is_a_dtmf_event(digit: str) -> None:
    assert decode(DTMF.replace('"digit":"1"', f'"digit":"{digit}"')) == Dtmf(digit)


def test_stop_ends_the_stream() -> None:
    assert isinstance(decode(STOP), Stop)


def test_an_unknown_event_is_not_an_error() -> None:
    assert decode('{"event":"foo","more":[1]}') == Unknown("foo")


def test_keys_may_come_in_any_order_and_with_others_that_are_new() -> None:
    backwards = dict(reversed(json.loads(MEDIA).items())) | {"novelty": {"deep": [None]}}

    assert decode(json.dumps(backwards)) == Media(SILENT_FRAME, 53, "inbound")


def test_bytes_are_read_like_text() -> None:
    assert decode(MARK.encode()) == Mark("r1:200")


def test_optional_fields_of_start_may_be_missing() -> None:
    without_parameters = decode(start_without("customParameters"))
    without_tracks = decode(start_without("tracks"))

    assert isinstance(without_parameters, Start)
    assert isinstance(without_tracks, Start)
    assert without_parameters.parameters == {}
    assert without_tracks.tracks == ()


@pytest.mark.parametrize(
    ("encoding", "rate", "channels"), [("audio/x-mulaw", 16000, 1), ("audio/l16", 8000, 1), ("audio/x-mulaw", 8000, 2)]
)
def test_an_unsupported_media_format_is_told_apart(encoding: str, rate: int, channels: int) -> None:
    start = decode(start_with(mediaFormat={"encoding": encoding, "sampleRate": rate, "channels": channels}))

    assert isinstance(start, Start)
    assert start.media_format == (encoding, rate, channels) != ULAW_8K


@pytest.mark.parametrize("track", ["outbound", "", None, 7, ["inbound"]])
def test_audio_of_another_track_is_told_apart(track: object) -> None:
    media = decode(media_with(track=track))

    assert isinstance(media, Media)
    assert media.track == "other"


def test_audio_without_a_track_is_the_callers() -> None:
    assert decode(f'{{"event":"media","media":{{"payload":"{PAYLOAD}"}}}}') == Media(SILENT_FRAME, None, "inbound")


@pytest.mark.parametrize(("timestamp", "ms"), [("0", 0), ("18553", 18553), (40, 40), ("007", 7)])
def test_a_timestamp_may_be_text_or_a_number(timestamp: object, ms: int) -> None:
    assert decode(media_with(timestamp=timestamp)) == Media(SILENT_FRAME, ms, "inbound")


@pytest.mark.parametrize(
    "timestamp", [None, "", "-5", -5, "soon", 1.5, True, [], {}, "٣", "1e3", " 5", "9" * 16, 10**15, 10**30]
)
def test_a_timestamp_that_is_not_whole_milliseconds_is_unknown(timestamp: object) -> None:
    assert decode(media_with(timestamp=timestamp)) == Media(SILENT_FRAME, None, "inbound")


@pytest.mark.parametrize("size", [1, 159, 161, 8000])
def test_audio_may_have_any_length(size: int) -> None:
    assert decode(media_with(payload=b64encode(bytes(size)).decode())) == Media(bytes(size), 53, "inbound")


def test_a_wire_error_is_not_an_end_of_the_line_but_is_one_of_its_errors() -> None:
    assert issubclass(WireError, ChannelError)


def test_the_largest_message_leaves_room_for_a_start_with_every_parameter() -> None:
    parameters = {f"name{n}": "x" * 490 for n in range(99)}

    assert len(start_with(customParameters=parameters).encode()) < MAX_MESSAGE_BYTES


# ---- hostile lines ----


@pytest.mark.parametrize(
    "line",
    [
        "",
        "not json",
        "[]",
        '"x"',
        "null",
        "7",
        "{}",
        '{"event":5}',
        '{"event":null}',
        '{"event":["media"]}',
        '{"event":"media"}',
        '{"event":"media","media":null}',
        '{"event":"media","media":[]}',
        '{"event":"media","media":{}}',
        media_with(payload=None),
        media_with(payload=5),
        media_with(payload=""),
        media_with(payload="***"),
        media_with(payload="//8"),
        media_with(payload="//8=\n"),
        media_with(payload="ÿÿÿÿ"),
        media_with(payload="__--"),
        '{"event":"start"}',
        '{"event":"start","start":[]}',
        '{"event":"start","start":"x"}',
        '{"event":"start","start":{}}',
        start_without("streamSid"),
        start_without("callSid"),
        start_without("accountSid"),
        start_without("mediaFormat"),
        start_with(streamSid=5),
        start_with(streamSid=""),
        start_with(streamSid='MZ","event":"clear'),
        start_with(streamSid="MZ\n"),
        start_with(streamSid="M" * 65),
        start_with(callSid="CA\nforged log line"),
        start_with(callSid="C" * 65),
        start_with(accountSid="AC 1"),
        start_with(mediaFormat=None),
        start_with(mediaFormat=[]),
        start_with(mediaFormat={"encoding": "audio/x-mulaw"}),
        start_with(mediaFormat={"encoding": "audio/x-mulaw", "sampleRate": 8000.5, "channels": 1}),
        start_with(customParameters=[]),
        start_with(customParameters="token"),
        start_with(customParameters={"token": 5}),
        start_with(customParameters={"token": None}),
        '{"event":"mark"}',
        '{"event":"mark","mark":{}}',
        '{"event":"mark","mark":{"name":5}}',
        '{"event":"mark","mark":{"name":null}}',
        '{"event":"dtmf"}',
        '{"event":"dtmf","dtmf":{"digit":""}}',
        '{"event":"dtmf","dtmf":{"digit":"12"}}',
        '{"event":"dtmf","dtmf":{"digit":"x"}}',
        '{"event":"dtmf","dtmf":{"digit":"\\n"}}',
        '{"event":"dtmf","dtmf":{"digit":1}}',
        '{"event":"media","media":{"payload":NaN}}',
        '{"event":"media","media":{"timestamp":Infinity,"payload":"//8="}}',
        '{"event":"media","media":{"timestamp":1e999,"payload":"//8="}}',
        '{"event":"\\ud800"}',
        "[" * 100_000,
        '{"event":' * 20_000 + "1" + "}" * 20_000,
        '{"event":"stop"',
        '{"event":"stop"}{"event":"stop"}',
        b"\xff\xfe",
        b'{"event":"\xff"}',
        "\ud800",
        "\x00",
    ],
)
def test_a_malformed_message_is_a_wire_error(line: str | bytes) -> None:
    with pytest.raises(WireError) as caught:
        decode(line)

    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ('{"event":""}', Unknown("")),
        ('{"event":"' + "f" * 10_000 + '"}', Unknown("f" * 40)),
        ('{"event":"foo","event":"mark","mark":{"name":"a","name":"b"}}', Mark("b")),
        ('{"event":"mark","mark":{"name":"' + "n" * 10_240 + '"}}', Mark("n" * 10_240)),
        ('{"event":"mark","sequenceNumber":-7,"streamSid":[],"mark":{"name":"never ours"}}', Mark("never ours")),
        (MARK.replace(STREAM, "MZ" + "9" * 32), Mark("r1:200")),
        (MARK.replace('"14"', '"not a number"'), Mark("r1:200")),
        ('{"event":"stop","stop":null}', Stop()),
        ('{"event":"connected","version":7}', Connected()),
        ('{"event":"Media"}', Unknown("Media")),
    ],
)
def test_an_odd_message_that_can_be_understood_is(line: str, meaning: FromTwilio) -> None:
    assert decode(line) == meaning


def test_a_megabyte_of_audio_is_only_audio() -> None:
    assert decode(media_with(payload=b64encode(bytes(1_000_000)).decode())) == Media(bytes(1_000_000), 53, "inbound")


def test_wrong_tracks_of_start_are_kept_short() -> None:
    start = decode(start_with(tracks=["x" * 1000, 5, None, {}, "fifth"]))

    assert isinstance(start, Start)
    assert start.tracks == ("x" * 40, "5", "None", "{}")


# ---- fuzz ----

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def is_understood_or_a_wire_error(line: str | bytes) -> bool:
    try:
        return isinstance(decode(line), FromTwilio)
    except WireError:
        return True


@settings(deadline=None)
@given(st.sampled_from(REAL), st.data())
def test_no_cut_or_change_of_a_real_message_raises_anything_else(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)))

    assert is_understood_or_a_wire_error(text[:start] + data.draw(st.text(max_size=6)) + text[end:])


@settings(deadline=None)
@given(st.sampled_from(REAL), st.data())
def test_no_value_anywhere_in_a_real_message_raises_anything_else(text: str, data: st.DataObject) -> None:
    message: dict[str, Any] = json.loads(text)
    place = message
    key = data.draw(st.sampled_from(sorted(place)))
    while isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)))
    if data.draw(st.booleans()):
        del place[key]
    else:
        place[key] = data.draw(JSON_VALUES)

    assert is_understood_or_a_wire_error(json.dumps(message))


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60))
def test_no_noise_raises_anything_else(noise: str | bytes) -> None:
    assert is_understood_or_a_wire_error(noise)


# ---- to Twilio ----


def test_media_has_exactly_the_documented_fields() -> None:
    text = write_media(STREAM, SILENT_FRAME)

    assert text == f'{{"event":"media","streamSid":"{STREAM}","media":{{"payload":"{PAYLOAD}"}}}}'
    assert len(PAYLOAD) == 216


def test_a_mark_has_exactly_the_documented_fields() -> None:
    assert write_mark(STREAM, "0:1") == f'{{"event":"mark","streamSid":"{STREAM}","mark":{{"name":"0:1"}}}}'


def test_clear_has_exactly_the_documented_fields() -> None:
    assert write_clear(STREAM) == f'{{"event":"clear","streamSid":"{STREAM}"}}'


@given(st.binary(min_size=1, max_size=400))
def test_a_payload_survives_the_way_out_and_in(ulaw: bytes) -> None:
    message = json.loads(write_media(STREAM, ulaw))

    assert audio(message["media"]["payload"]) == ulaw
