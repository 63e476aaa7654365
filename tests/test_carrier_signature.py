import pytest
from twilio.request_validator import RequestValidator

from channels.carrier.signature import sign

TOKEN = "test_auth_token_0123456789abcdef"
VOICE = {
    "AccountSid": "AC" + "0" * 32,
    "ApiVersion": "2010-04-01",
    "CallSid": "CA" + "1" * 32,
    "CallStatus": "ringing",
    "Called": "+15550100200",
    "To": "+15550100200",
    "Caller": "+15550100100",
    "From": "+15550100100",
    "Direction": "inbound",
}


def test_twilios_own_published_signature_is_reproduced() -> None:
    params = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675310",
        "From": "+14158675310",
        "Digits": "1234",
        "To": "+18005551212",
    }

    assert sign("https://example.com/myapp.php?foo=1&bar=2", params, "12345") == "L/OH5YylLD5NRKLltdqwSvS0BnU="


@pytest.mark.parametrize(
    ("url", "params", "signature"),
    [
        ("https://gw.example.com/twilio/voice", VOICE, "cPwrfefh7Be1vc6+kc+QWHs0Oa4="),
        ("https://gw.example.com/twilio/voice", VOICE | {"CallerName": ""}, "ZJJF6HJrSaLfdqkhGtbUWm2X4XU="),
        ("wss://gw.example.com/twilio/stream", {}, "NB1vTQ+SHEElMfHhq6qMOwa6plI="),
        ("wss://gw.example.com/twilio/stream/", {}, "Zioy8j395DFxVVS6KqB7mPdcjYo="),
        ("https://gw.example.com/twilio/stream", {}, "AnYK5BTqoxDlFbqz5wFq1EpqgUk="),
        (
            f"https://gw.example.com/twilio/voice?CallSid=CA{'1' * 32}&From=%2B15550100100",
            {},
            "XZcdH6QWORufEVQ1yTdZeDy2qgU=",
        ),
        (
            "https://gw.example.com/hook?bodySHA256=27ebfe91a318dc07829eec267640f3751e9a3cdc12079c47803ad76b3404b82e",
            {},
            "mqPJQ3+Vt8vmPgRGRsNZLV2O62k=",
        ),
    ],
)
def test_signatures_computed_by_twilios_package_are_reproduced(
    url: str, params: dict[str, str], signature: str
) -> None:
    assert sign(url, params, TOKEN) == signature


def test_a_name_with_several_values_has_each_of_them_signed_once() -> None:
    params = [("B", "2"), ("B", "1"), ("B", "2"), ("a", "1")]

    assert sign("https://x.example/", params, TOKEN) == "m38KO0/QyiiUBRvWRCGe+G+n2MA="


@pytest.mark.parametrize(
    "written",
    [
        "https://gw.example.com:8443/twilio/voice",
        "https://user:pass@gw.example.com/twilio/voice",
        "https://user:p@ss@gw.example.com:443/twilio/voice",
        "https://gw.example.com/twilio/voice#rc=2",
    ],
)
def test_credentials_fragments_and_the_port_of_https_are_not_signed(written: str) -> None:
    assert sign(written, VOICE, TOKEN) == sign("https://gw.example.com/twilio/voice", VOICE, TOKEN)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/twilio/voice", "ws://127.0.0.1:8080/twilio/media"])
def test_the_port_of_other_schemes_is_signed(url: str) -> None:
    assert sign(url, {}, TOKEN) != sign(url.replace(":8080", ""), {}, TOKEN)


@pytest.mark.parametrize("url", ["https://gw.example.com:8443/v", "http://gw.example.com:8080/v?a=1", "wss://h/p"])
def test_twilios_validator_takes_what_we_sign(url: str) -> None:
    params = {"Body": "æ ø å", "Blank": "", "a": "1", "B": "2"}

    assert RequestValidator(TOKEN).validate(url, params, sign(url, params, TOKEN))
