"""Only what Twilio signed, over the public address and every parameter, passes the door."""

from collections.abc import Sequence

import pytest
from starlette.datastructures import FormData
from twilio.request_validator import RequestValidator

from gateway.signature import SignatureChecker

TOKEN = "test_auth_token_0123456789abcdef"
VOICE = "https://gw.example.com/twilio/voice"
STREAM = "wss://gw.example.com/twilio/stream"
CALL = "CA" + "1" * 32
FIELDS = (
    ("AccountSid", "AC" + "0" * 32),
    ("ApiVersion", "2010-04-01"),
    ("CallSid", CALL),
    ("CallStatus", "ringing"),
    ("Called", "+15550100200"),
    ("To", "+15550100200"),
    ("Caller", "+15550100100"),
    ("From", "+15550100100"),
    ("Direction", "inbound"),
)
VOICE_SIGNATURE = "cPwrfefh7Be1vc6+kc+QWHs0Oa4="
STREAM_SIGNATURE = "NB1vTQ+SHEElMfHhq6qMOwa6plI="
JSON_URL = "https://gw.example.com/hook?bodySHA256=27ebfe91a318dc07829eec267640f3751e9a3cdc12079c47803ad76b3404b82e"

Fields = Sequence[tuple[str, str]]


def is_signed(url: str, fields: Fields, signature: str | None, *tokens: str) -> bool:
    return SignatureChecker(tokens or (TOKEN,)).is_signed(url, FormData([*fields]), signature)


def is_signed_upgrade(url: str, signature: str | None) -> bool:
    return SignatureChecker((TOKEN,)).is_signed_upgrade(url, signature)


# ---- what Twilio signed ----


def test_twilios_own_published_signature_is_accepted() -> None:
    fields = (
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+14158675310"),
        ("From", "+14158675310"),
        ("Digits", "1234"),
        ("To", "+18005551212"),
    )

    assert is_signed("https://example.com/myapp.php?foo=1&bar=2", fields, "L/OH5YylLD5NRKLltdqwSvS0BnU=", "12345")


@pytest.mark.parametrize(
    ("url", "fields", "signature"),
    [
        (VOICE, FIELDS, VOICE_SIGNATURE),
        (VOICE, FIELDS[::-1], VOICE_SIGNATURE),
        (VOICE, (*FIELDS, ("CallerName", "")), "ZJJF6HJrSaLfdqkhGtbUWm2X4XU="),
        (f"{VOICE}?CallSid={CALL}&From=%2B15550100100", (), "XZcdH6QWORufEVQ1yTdZeDy2qgU="),
        ("https://x.example/", (("B", "2"), ("B", "1"), ("B", "2"), ("a", "1")), "m38KO0/QyiiUBRvWRCGe+G+n2MA="),
    ],
)
def test_a_request_that_twilio_signed_is_accepted(url: str, fields: Fields, signature: str) -> None:
    assert is_signed(url, fields, signature)


@pytest.mark.parametrize("signature", [STREAM_SIGNATURE, "Zioy8j395DFxVVS6KqB7mPdcjYo="])
def test_an_upgrade_is_accepted_with_and_without_the_slash_that_twilio_may_add(signature: str) -> None:
    assert is_signed_upgrade(STREAM, signature)


# ---- what Twilio did not sign ----


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        " ",
        VOICE_SIGNATURE.lower(),
        VOICE_SIGNATURE.upper(),
        VOICE_SIGNATURE.rstrip("="),
        VOICE_SIGNATURE + "=",
        f" {VOICE_SIGNATURE}",
        VOICE_SIGNATURE[1:],
        "é",
        "\udcff",
        "x" * 100_000,
        "H5c10klBpmG15xOyq6IyEyKxZ/NfHva7QnAa/L7AlLo=",
    ],
)
def test_a_missing_or_wrong_signature_is_refused(signature: str | None) -> None:
    assert not is_signed(VOICE, FIELDS, signature)
    assert not is_signed_upgrade(STREAM, signature)


@pytest.mark.parametrize(
    "fields",
    [
        (),
        FIELDS[1:],
        (*FIELDS, ("Extra", "1")),
        (*FIELDS, ("CallerName", "")),
        (*FIELDS, ("From", "+15550100999")),
        tuple((name, value.replace("ringing", "Ringing")) for name, value in FIELDS),
        tuple((name.lower(), value) for name, value in FIELDS),
    ],
)
def test_every_parameter_counts(fields: Fields) -> None:
    assert not is_signed(VOICE, fields, VOICE_SIGNATURE)


@pytest.mark.parametrize(
    "url",
    [
        VOICE + "/",
        VOICE + "?",
        VOICE + "?x=1",
        VOICE.replace("https", "http"),
        VOICE.replace("https", "wss"),
        VOICE.replace("gw.", "evil."),
        VOICE.replace("voice", "Voice"),
    ],
)
def test_every_part_of_the_address_counts(url: str) -> None:
    assert not is_signed(url, FIELDS, VOICE_SIGNATURE)


def test_the_https_form_of_an_upgrades_address_is_refused() -> None:
    assert not is_signed_upgrade(STREAM, "AnYK5BTqoxDlFbqz5wFq1EpqgUk=")


def test_an_upgrades_signature_does_not_open_the_webhook_of_that_address() -> None:
    assert not is_signed(STREAM.replace("wss", "https"), (), STREAM_SIGNATURE)


def test_a_body_that_is_not_a_form_does_not_pass_as_one() -> None:
    body = '{"event":"x","n":1}'

    assert not is_signed(JSON_URL, ((body, ""),), "mqPJQ3+Vt8vmPgRGRsNZLV2O62k=")


# ---- ports ----


@pytest.mark.parametrize(
    ("configured", "signed"),
    [
        ("https://gw.example.com/twilio/voice", "https://gw.example.com:443/twilio/voice"),
        ("https://gw.example.com:443/twilio/voice", "https://gw.example.com/twilio/voice"),
        ("http://gw.example.com/twilio/voice", "http://gw.example.com:80/twilio/voice"),
        ("http://127.0.0.1:8080/twilio/voice", "http://127.0.0.1:8080/twilio/voice"),
        ("http://[::1]:8080/twilio/voice", "http://[::1]:8080/twilio/voice"),
        ("https://gw.example.com:8443/twilio/voice", "https://gw.example.com:8443/twilio/voice"),
        ("https://gw.example.com:8443/twilio/voice", "https://gw.example.com/twilio/voice"),
    ],
)
def test_the_port_of_our_address_may_be_signed_or_not(configured: str, signed: str) -> None:
    signature = RequestValidator(TOKEN).compute_signature(signed, dict(FIELDS))

    assert is_signed(configured, FIELDS, signature)


@pytest.mark.parametrize(
    ("configured", "signed"),
    [
        (VOICE, "https://gw.example.com:8443/twilio/voice"),
        (VOICE, "https://gw.example.com:80/twilio/voice"),
        ("https://gw.example.com:8443/twilio/voice", "https://gw.example.com:443/twilio/voice"),
    ],
)
def test_a_port_that_is_not_ours_is_refused(configured: str, signed: str) -> None:
    signature = RequestValidator(TOKEN).compute_signature(signed, dict(FIELDS))

    assert not is_signed(configured, FIELDS, signature)


@pytest.mark.parametrize("signed", ["", ":443", "/", ":443/"])
def test_an_upgrade_is_accepted_with_and_without_its_port(signed: str) -> None:
    port, slash = signed.rstrip("/"), "/" if signed.endswith("/") else ""
    url = f"wss://gw.example.com{port}/twilio/stream{slash}"

    assert is_signed_upgrade(STREAM, RequestValidator(TOKEN).compute_signature(url, {}))


def test_an_upgrade_signed_for_port_80_is_refused() -> None:
    signature = RequestValidator(TOKEN).compute_signature("wss://gw.example.com:80/twilio/stream", {})

    assert not is_signed_upgrade(STREAM, signature)


# ---- tokens ----


@pytest.mark.parametrize("tokens", [(TOKEN, "new"), ("new", TOKEN), ("a", TOKEN, "b")])
def test_each_of_several_tokens_is_good(tokens: tuple[str, ...]) -> None:
    assert is_signed(VOICE, FIELDS, VOICE_SIGNATURE, *tokens)


def test_another_token_is_not() -> None:
    assert not is_signed(VOICE, FIELDS, VOICE_SIGNATURE, "new", TOKEN.upper())


def test_without_a_token_nothing_can_be_checked() -> None:
    with pytest.raises(ValueError, match="without a token"):
        SignatureChecker(())
