"""An HTTP tool sends what its file says, where it may, as often as is safe, and tells the model what came of it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from aiohttp import web

from agents import RealtimeAgent, RealtimeSession
from agents.agent import CallContext
from agents.errors import ConfigError, ToolError
from agents.providers.scripted import ScriptedModel
from agents.tools.answer import answer
from agents.tools.contract import ToolContext, ToolRules
from agents.tools.http import HttpTool, HttpTools
from agents.tools.http_answer import told
from agents.tools.http_client import BACKOFF_S, MAX_ANSWER_BYTES, MAX_REDIRECTS, HttpAnswer, HttpClient
from agents.tools.http_request import MAX_ARGUMENTS_CHARS, HttpRequest, parameters_schema
from agents.tools.public_addresses import PrivateAddress, is_public, sockets_to
from agents.tools.spec import HttpParameterSpec, HttpToolSpec
from tests.fake_http import FakeHttp, fails, fake_http, redirects, says

TOKEN = "tok_0123456789abcdef"

SLOT = HttpParameterSpec(name="slot")
COUNT = HttpParameterSpec(name="count", type="integer", required=False)


def spec_of(url: str, **more: Any) -> HttpToolSpec:
    return HttpToolSpec(**{"name": "book", "description": "Books.", "url": url, "allow_private": True, **more})


def session() -> RealtimeSession:
    context = CallContext("CA1", "+15550100100", "+15550100200", "desk")
    agent = RealtimeAgent(name="desk", model=ScriptedModel([]), variables={"shop": "A & B"})
    return RealtimeSession(agent, context=context)


async def call(spec: HttpToolSpec, arguments: dict[str, Any], *, timeout_s: float = 15, **environment: str) -> str:
    """What a model reads of one call."""
    async with HttpTools([spec], environment, {spec.name: ToolRules(timeout_s=timeout_s)}) as tools:
        [tool] = await tools.tools()
        given = await answer(tool, orjson.dumps(arguments).decode(), ToolContext(session(), "call-1"))
        return given.text


def calling(spec: dict[str, Any], arguments: dict[str, Any], *answers: web.Response | None) -> tuple[FakeHttp, str]:
    """One call of a tool at a server that answers so; `/…` of its url is the server's."""

    async def main() -> tuple[FakeHttp, str]:
        async with fake_http(*(answers or (says({}),))) as fake:
            path = spec.get("url", "/")
            given = spec_of(fake.url + path, **{name: value for name, value in spec.items() if name != "url"})
            return fake, await call(given, arguments, CRM_TOKEN=TOKEN)

    return asyncio.run(main())


# ---- the request ----


def test_the_model_is_told_of_every_parameter() -> None:
    spec = spec_of(
        "http://a",
        parameters=(
            HttpParameterSpec(name="kind", description="What kind.", choices=("check-up", "filling")),
            HttpParameterSpec(name="minutes", type="integer", required=False),
        ),
    )

    assert parameters_schema(spec) == {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "description": "What kind.", "enum": ["check-up", "filling"]},
            "minutes": {"type": "integer"},
        },
        "required": ["kind"],
        "additionalProperties": False,
    }


def test_a_request_is_made_of_url_query_headers_and_body() -> None:
    fake, output = calling(
        {
            "method": "POST",
            "url": "/v1/slots/{{ slot }}?of={{ shop }}",
            "parameters": (SLOT, COUNT),
            "query": {"caller": "{{ caller }}", "n": "{{ count }}"},
            "headers": {"Authorization": "Bearer {{ env.CRM_TOKEN }}", "X-Shop": "{{ shop }}"},
            "body": {"slot": "{{ slot }}", "who": {"number": "{{ caller }}", "all": ["{{ count }}", 7, True]}},
        },
        {"slot": "a/b", "count": 3},
        says({"ok": True}),
    )

    [seen] = fake.seen
    assert (seen.method, seen.path) == (
        "POST",
        "/v1/slots/a%2Fb?of=A%20%26%20B&caller=%2B15550100100&n=3",
    )
    assert (seen.headers["authorization"], seen.headers["x-shop"]) == (f"Bearer {TOKEN}", "A & B")
    assert seen.headers["content-type"] == "application/json"
    assert seen.json == {"slot": "a/b", "who": {"number": "+15550100100", "all": [3, 7, True]}}
    assert output == '{"ok":true}'


@pytest.mark.parametrize("value", ["../admin", "a?b#c", "%2e%2e", "50% ; x=1", "größe", "a\r\nb", "..;/x"])
def test_a_value_in_the_url_is_one_piece_of_it_whatever_it_holds(value: str) -> None:
    fake, _ = calling({"url": "/slots/{{ slot }}/end", "parameters": (SLOT,)}, {"slot": value})

    [seen] = fake.seen
    _, slots, piece, end = seen.path.split("/")
    assert (slots, end) == ("slots", "end")
    assert set(piece) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~%")


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_value_that_would_make_another_address_of_the_url_is_refused(value: str) -> None:
    fake, output = calling({"method": "DELETE", "url": "/slots/{{ slot }}", "parameters": (SLOT,)}, {"slot": value})

    assert output == f"Error: {value!r} cannot be part of an address: give a value"
    assert fake.seen == []


def test_a_header_cannot_hold_a_line_break() -> None:
    fake, output = calling({"headers": {"X-Slot": "{{ slot }}"}, "parameters": (SLOT,)}, {"slot": "a\r\nEvil: yes"})

    assert output == "Error: the header X-Slot cannot hold line breaks and the like"
    assert fake.seen == []


def test_what_a_caller_says_is_never_a_template() -> None:
    fake, _ = calling(
        {"method": "POST", "parameters": (SLOT,), "headers": {"A": "{{ env.CRM_TOKEN }}"}},
        {"slot": "{{ env.CRM_TOKEN }}{{ caller }}"},
    )

    assert fake.seen[0].json == {"slot": "{{ env.CRM_TOKEN }}{{ caller }}"}


def test_a_parameter_that_is_not_given_leaves_out_what_wants_it() -> None:
    spec = {
        "method": "PUT",
        "parameters": (SLOT, COUNT),
        "query": {"n": "{{ count }}", "s": "{{ slot }}"},
        "headers": {"X-N": "{{ count }}"},
        "body": {"slot": "{{ slot }}", "count": "{{ count }}", "list": ["{{ count }}", "x {{ slot }}"]},
    }

    for given in ({"slot": "s"}, {"slot": "s", "count": None}):
        fake, _ = calling(spec, given)

        [seen] = fake.seen
        assert seen.path == "/?s=s"
        assert "x-n" not in seen.headers
        assert seen.json == {"slot": "s", "list": ["x s"]}


@pytest.mark.parametrize(
    ("method", "body"), [("POST", {"slot": "s"}), ("PUT", {"slot": "s"}), ("PATCH", {"slot": "s"}), ("DELETE", None)]
)
def test_without_a_body_all_parameters_are_sent_where_bodies_are_usual(method: str, body: object) -> None:
    fake, _ = calling({"method": method, "url": "/{{ slot }}", "parameters": (SLOT,)}, {"slot": "s"})

    [seen] = fake.seen
    assert (orjson.loads(seen.body) if seen.body else None) == body


def test_a_body_text_of_one_template_keeps_the_type_of_its_parameter() -> None:
    kinds = ("string", "integer", "number", "boolean")
    parameters = tuple(HttpParameterSpec.model_validate({"name": kind, "type": kind}) for kind in kinds)
    body = {kind: f"{{{{ {kind} }}}}" for kind in kinds} | {"words": "{{ integer }} of {{ number }}"}
    given = {"string": "7", "integer": 7, "number": 0.5, "boolean": False}

    fake, _ = calling({"method": "POST", "parameters": parameters, "body": body}, given)

    assert fake.seen[0].json == {**given, "words": "7 of 0.5"}


# ---- what the model gives ----


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("{}", "slot: Field required"),
        ('{"slot": "a", "more": 1}', "more: Extra inputs are not permitted"),
        ('{"slot": 1}', "slot: Input should be a valid string"),
        ('{"slot": "a", "count": "many"}', "count: Input should be a valid integer"),
        ('{"slot": "a", "kind": "crown"}', "kind: Input should be 'check-up' or 'filling'"),
        ("[]", "arguments: "),
        ("{slot", "arguments: Invalid JSON"),
        (f'{{"slot": "{"a" * MAX_ARGUMENTS_CHARS}"}}', "longer than"),
    ],
)
def test_arguments_that_do_not_fit_are_told_to_the_model_and_nothing_is_sent(arguments: str, words: str) -> None:
    kind = HttpParameterSpec(name="kind", choices=("check-up", "filling"), required=False)

    async def main() -> tuple[str, int]:
        async with fake_http() as fake:
            async with HttpTools([spec_of(fake.url, parameters=(SLOT, COUNT, kind))], {}) as tools:
                [tool] = await tools.tools()
                with pytest.raises(ToolError) as refused:
                    await tool.run(arguments, ToolContext(session(), "call-1"))
            return str(refused.value), len(fake.seen)

    text, requests = asyncio.run(main())

    assert words in text
    assert requests == 0


# ---- the answer ----


def an_answer(body: bytes, *, status: int = 200, content_type: str = "application/json", **more: Any) -> HttpAnswer:
    return HttpAnswer(status, content_type, more.pop("charset", "utf-8"), body, **more)


BOOKING = b'{"data": {"slots": [{"start": "10:00"}, {"start": "11:00"}], "left": 0, "note": null}}'


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.slots[1].start", "11:00"),
        ("data.slots[0]", {"start": "10:00"}),
        ("data.left", 0),
        ("data.note", None),
        (None, orjson.loads(BOOKING)),
    ],
)
def test_the_result_is_picked_from_the_answer(path: str | None, value: object) -> None:
    assert told(an_answer(BOOKING), path, ()) == value


@pytest.mark.parametrize("path", ["data.slots[2].start", "data.slot", "slots[0]", "data.left.start", "data[0]"])
def test_a_path_that_leads_nowhere_is_named(path: str) -> None:
    with pytest.raises(ToolError) as missing:
        told(an_answer(BOOKING), path, ())

    assert str(missing.value) == f"the server's answer has no {path}"


def test_an_answer_that_is_not_json_is_given_as_text() -> None:
    assert told(an_answer(b"free at ten", content_type="text/plain"), None, ()) == "free at ten"
    assert (
        told(an_answer("für 10".encode("latin-1"), content_type="text/html", charset="latin-1"), None, ()) == "für 10"
    )
    assert told(an_answer(b"\x89PNG\xff", content_type="image/png"), None, ()) == "[image/png]"
    assert told(an_answer(b"ten", content_type="text/plain", charset="klingon"), None, ()) == "ten"


@pytest.mark.parametrize("charset", ["punycode", "idna", "undefined", "zlib", "UTF-8"])
def test_a_charset_that_no_server_means_is_read_as_utf_8(charset: str) -> None:
    body = b"a-" + "für".encode() + b"a" * 200_000

    assert told(an_answer(body, content_type="text/plain", charset=charset), None, ()) == body.decode()


def test_an_answer_without_content_says_so() -> None:
    assert told(an_answer(b"", status=204), None, ()) == "The server answered 204, and nothing more."


def test_a_path_into_what_is_no_json_is_an_error() -> None:
    with pytest.raises(ToolError, match="not JSON"):
        told(an_answer(b"free at ten"), "data", ())


def test_a_status_that_is_a_failure_is_told_with_a_short_piece_of_the_answer() -> None:
    page = b"<html><h1>No such slot</h1><p>" + b"word " * 500

    with pytest.raises(ToolError) as failure:
        told(an_answer(page, status=404, content_type="text/html"), "data", ())

    assert str(failure.value).startswith("the server answered 404: No such slot word")
    assert len(str(failure.value)) < 350


def test_no_more_than_a_limit_is_read_of_an_answer() -> None:
    long = web.Response(body=b"a" * (MAX_ANSWER_BYTES + 1))
    fitting = web.Response(body=b"a" * MAX_ANSWER_BYTES, content_type="text/plain")

    assert calling({}, {}, long)[1] == "Error: the server's answer is longer than 256 KiB"
    assert calling({}, {}, fitting)[1].startswith("aaa")


# ---- secrets ----


def test_a_secret_that_the_server_repeats_reaches_neither_the_model_nor_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    headers = {"headers": {"Authorization": "Bearer {{ env.CRM_TOKEN }}"}}

    _, told_error = calling(headers, {}, fails(401, f"who is Bearer {TOKEN}?"))
    _, told_echo = calling(headers, {}, says({"headers": {"authorization": f"Bearer {TOKEN}"}}))
    _, no_server = calling({**headers, "retries": 0, "url": "0/"}, {})  # another port, where nobody listens

    assert told_error == "Error: the server answered 401: who is Bearer …?"
    assert told_echo == '{"headers":{"authorization":"Bearer …"}}'
    assert no_server.startswith("Error: ")
    assert TOKEN not in caplog.text + no_server


def test_no_repr_shows_a_secret_or_where_a_request_goes() -> None:
    tools = HttpTools([spec_of("https://a.example", headers={"A": "{{ env.CRM_TOKEN }}"})], {"CRM_TOKEN": TOKEN})
    request = HttpRequest("GET", f"https://a/?{TOKEN}", {"A": TOKEN}, TOKEN.encode(), (TOKEN,))

    assert TOKEN not in repr(asyncio.run(tools.tools())) + repr(request)


def test_a_variable_that_the_environment_lacks_is_refused_by_its_name() -> None:
    with pytest.raises(ConfigError, match="no CRM_TOKEN in the environment"):
        HttpTools([spec_of("https://a.example", headers={"A": "{{ env.CRM_TOKEN }}"})], {"CRM_TOKEN": " "})


# ---- trying again ----


def asking(
    method: str,
    *answers: web.Response | None,
    retries: int = 2,
    timeout_s: float = 60,
    url: Callable[[str], str] = lambda base: base + "/",
    is_allowed: Callable[[str], bool] | None = None,
) -> tuple[FakeHttp, list[float], HttpAnswer | str]:
    """One request of a client, with the pauses that it made between its tries."""
    pauses: list[float] = []

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)

    async def main() -> tuple[FakeHttp, list[float], HttpAnswer | str]:
        async with fake_http(*answers) as fake, HttpClient(is_allowed, sleep=sleep) as client:
            request = HttpRequest(method, url(fake.url), {"Authorization": TOKEN, "Content-Type": "a/b"}, None)
            try:
                got: HttpAnswer | str = await client.ask(request, retries=retries, timeout_s=timeout_s)
            except ToolError as error:
                got = str(error)
            return fake, pauses, got

    return asyncio.run(main())


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_requests_that_do_no_harm_twice_are_made_again_after_passing_failures(method: str, status: int) -> None:
    fake, pauses, got = asking(method, fails(status), fails(status), says("done"))

    assert (len(fake.seen), pauses) == (3, list(BACKOFF_S[:2]))
    assert isinstance(got, HttpAnswer)
    assert got.body == b'"done"'


@pytest.mark.parametrize(("method", "status"), [("POST", 503), ("PATCH", 429), ("GET", 500), ("GET", 404)])
def test_other_failures_are_told_at_once(method: str, status: int) -> None:
    fake, pauses, got = asking(method, fails(status), says("done"))

    assert (len(fake.seen), pauses) == (1, [])
    assert isinstance(got, HttpAnswer)
    assert got.status == status


def test_the_file_says_how_often_a_request_is_made_again() -> None:
    for retries in (0, 1, 5):
        fake, pauses, _ = asking("GET", fails(503), retries=retries)

        assert (len(fake.seen), pauses) == (retries + 1, list(BACKOFF_S[:retries]))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_that_never_got_there_is_made_again_whatever_it_does(method: str) -> None:
    _, pauses, got = asking(method, url=lambda base: "http://127.0.0.1:1/")

    assert (got, pauses) == ("the server cannot be reached", list(BACKOFF_S[:2]))


def test_a_name_that_nobody_knows_is_said() -> None:
    _, pauses, got = asking("GET", url=lambda base: "http://nowhere.invalid/", retries=1)

    assert (got, pauses) == ("the server's name is not known", [BACKOFF_S[0]])


@pytest.mark.parametrize(("method", "is_repeated"), [("GET", True), ("POST", False)])
def test_a_connection_that_breaks_is_tried_again_only_where_twice_is_as_good_as_once(
    method: str, is_repeated: bool
) -> None:
    made = 0

    async def main() -> str:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal made
            made += 1
            await reader.readuntil(b"\r\n\r\n")
            writer.close()

        async def at_once(_: float) -> None: ...

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, HttpClient(None, sleep=at_once) as client:
            with pytest.raises(ToolError) as failure:
                await client.ask(HttpRequest(method, f"http://127.0.0.1:{port}/", {}, None), retries=2, timeout_s=9)
        return str(failure.value)

    assert asyncio.run(main()) == "the server broke the connection off, or does not speak HTTP"
    assert made >= 3 if is_repeated else made == 1  # aiohttp repeats each harmless try once by itself


def test_retry_after_is_respected_within_the_time_that_is_left() -> None:
    patient = asking("GET", fails(503, Retry_After="7"), says("done"), timeout_s=60)
    hurried = asking("GET", fails(503, Retry_After="7"), says("done"), timeout_s=5)
    by_date = asking("GET", fails(429, Retry_After="Thu, 01 Jan 1970 00:00:00 GMT"), says("done"))
    nonsense = asking("GET", fails(429, Retry_After="soon"), says("done"))

    assert (len(patient[0].seen), patient[1]) == (2, [7.0])
    assert (len(hurried[0].seen), hurried[1]) == (1, [])
    absurd = asking("GET", fails(429, Retry_After="Fri, 31 Dec 9999 23:59:59 -2359"), says("done"))

    assert by_date[1] == nonsense[1] == absurd[1] == [BACKOFF_S[0]]


def test_a_server_that_is_too_slow_is_given_up_with_the_tools_time() -> None:
    async def main() -> tuple[str, FakeHttp]:
        async with fake_http(None) as fake:
            text = await call(spec_of(fake.url), {}, timeout_s=0.05)
            async with asyncio.timeout(5):
                await fake.given_up.wait()
            return text, fake

    text, fake = asyncio.run(main())

    assert text == "Error: the tool took longer than 0.05 seconds."
    assert len(fake.seen) == 1


# ---- redirects ----


def test_a_get_is_redirected_with_its_headers_on_the_same_host() -> None:
    fake, _, got = asking("GET", redirects("/there?a=b#c", 307), says("done"))

    assert isinstance(got, HttpAnswer)
    assert [seen.path for seen in fake.seen] == ["/", "/there?a=b"]
    assert fake.seen[1].headers["authorization"] == TOKEN


def test_secrets_stay_behind_when_a_redirect_leads_to_another_host() -> None:
    async def main() -> tuple[FakeHttp, FakeHttp]:
        async with fake_http(says("there")) as there, fake_http(redirects(f"{there.url}/x")) as here:
            await call(spec_of(here.url, headers={"Authorization": "{{ env.CRM_TOKEN }}"}), {}, CRM_TOKEN=TOKEN)
            return here, there

    here, there = asyncio.run(main())

    assert here.seen[0].headers["authorization"] == TOKEN
    assert there.seen[0].path == "/x"
    assert TOKEN not in str(there.seen)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_request_that_may_have_done_something_is_not_redirected(method: str, status: int) -> None:
    fake, _, got = asking(method, redirects("/there", status))

    assert got == f"the server redirects with {status}, which is not followed for {method}"
    assert len(fake.seen) == 1


def test_a_303_leads_from_any_method_to_a_get_without_a_body() -> None:
    fake, _, _ = asking("POST", redirects("/done", 303), says("done"))

    assert [(seen.method, seen.path) for seen in fake.seen] == [("POST", "/"), ("GET", "/done")]
    assert "content-type" not in fake.seen[1].headers


def test_redirects_are_followed_a_few_times_and_no_more() -> None:
    fake, _, got = asking("GET", redirects("/again"))

    assert got == f"the server redirects more than {MAX_REDIRECTS} times"
    assert len(fake.seen) == MAX_REDIRECTS + 1


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://a/", "http://a:b@127.0.0.1/", "http://[x"])
def test_a_redirect_to_what_is_no_address_of_the_web_is_not_followed(location: str) -> None:
    _, _, got = asking("GET", redirects(location))

    assert got == "the server redirects to what is no address"


def test_a_redirect_to_a_private_address_is_not_followed_unless_allowed() -> None:
    async def main(is_allowed: Callable[[str], bool] | None) -> tuple[FakeHttp, HttpAnswer | str]:
        async with (
            fake_http(says("secret"), host="127.0.0.2") as private,
            fake_http(redirects(private.url)) as public,
            HttpClient(is_allowed) as client,
        ):
            try:
                return private, await client.ask(HttpRequest("GET", public.url, {}, None), retries=2, timeout_s=9)
            except ToolError as error:
                return private, str(error)

    private, got = asyncio.run(main(lambda address: address == "127.0.0.1"))
    _, allowed = asyncio.run(main(None))

    assert (got, private.seen) == (PrivateAddress.WORDS, [])
    assert isinstance(allowed, HttpAnswer)


# ---- private addresses ----

LOCAL = ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"]


@pytest.mark.parametrize("host", LOCAL)
def test_this_machine_is_not_reached_by_any_spelling_of_its_address_unless_allowed(host: str) -> None:
    fake, pauses, got = asking("GET", url=lambda base: base.replace("127.0.0.1", host), is_allowed=is_public)

    assert got in (PrivateAddress.WORDS, "the address is not valid")
    assert (pauses, fake.seen) == ([], [])


def test_a_tool_reaches_no_private_address_unless_its_file_allows_it() -> None:
    fake, refused = calling({"allow_private": False}, {}, says("secret"))

    assert (refused, fake.seen) == (f"Error: {PrivateAddress.WORDS}", [])
    assert calling({"allow_private": True}, {}, says("open"))[1] == "open"


PRIVATE = """
10.0.0.1 172.16.0.1 192.168.1.1 127.0.0.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255 240.0.0.1
::1 :: fe80::1%eth0 fd00:ec2::254 fec0::1 ff02::1 ::ffff:10.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: 2001:db8::1 nonsense
168.63.129.16 192.0.0.192 192.88.99.1 3fff::1 64:ff9b:1::1 2606:4700::5efe:a00:1 2606:4700::200:5efe:a00:1
::ffff:168.63.129.16 64:ff9b::c000:c0
"""
PUBLIC = "8.8.8.8 1.1.1.1 2606:4700:4700::1111 ::ffff:8.8.8.8 64:ff9b::808:808"


@pytest.mark.parametrize("address", PRIVATE.split())
def test_addresses_that_the_internet_does_not_lead_to_are_private(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


def test_what_is_looked_at_is_the_address_that_is_connected_to() -> None:
    make = sockets_to(is_public)

    with make((2, 1, 6, "innocent.example", ("8.8.8.8", 443))) as made:
        assert made.family == 2
    with pytest.raises(PrivateAddress):
        make((2, 1, 6, "innocent.example", ("127.0.0.1", 443)))


# ---- the toolkit ----


def test_calls_at_the_same_time_share_the_connections_and_the_last_to_leave_closes_them() -> None:
    async def main() -> list[object]:
        async with fake_http(says("yes")) as fake:
            tools = HttpTools([spec_of(fake.url)], {})
            [tool] = await tools.tools()
            context = ToolContext(session(), "call-1")
            async with tools:
                async with tools:
                    first = await asyncio.gather(tool.run("{}", context), tool.run("{}", context))
                after_one_left = await tool.run("{}", context)
            with pytest.raises(ToolError, match="not open"):
                await tool.run("{}", context)
            async with tools:
                return [*first, after_one_left, await tool.run("{}", context)]

    assert asyncio.run(main()) == ["yes"] * 4


def test_one_callers_cookies_are_not_sent_for_another() -> None:
    fake, _, _ = asking("GET", fails(503, Set_Cookie="who=me"), says("done"))

    assert "cookie" not in fake.seen[1].headers


def test_an_http_tool_is_an_agent_tool_with_the_rules_it_was_given() -> None:
    rules = ToolRules(timeout_s=3, background=True)

    [tool] = asyncio.run(HttpTools([spec_of("https://a.example")], {}, {"book": rules}).tools())

    assert isinstance(tool, HttpTool)
    assert (tool.rules, tool.schema.name, tool.schema.description) == (rules, "book", "Books.")
