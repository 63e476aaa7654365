"""Places a call: asks the running service to telephone somebody and let an agent talk with them."""

import argparse
import json
import os
import re
import sys
import time
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from agents.errors import ConfigError
from gateway import run_file
from gateway.calls_api import CALLS_PATH
from gateway.placed_call import OVER

GOOD, BROKEN = 0, 1

ASK_TIMEOUT_S: Final = 15.0
"""The service answers at once: it only notes the call."""

LOOK_S: Final = 1.0
"""How often it is asked what became of a call that is waited for."""

_VARIABLE: Final = re.compile(r"([a-z_][a-z0-9_]*)=(.*)", re.DOTALL)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("to", metavar="NUMBER", help="whom to call, with country code, such as +15550100500, or sip:name@host")
    add("--agent", required=True, help="who talks: an agent whose file has `outbound`")
    add("--caller-id", metavar="NUMBER", help="the number that it comes from (default: outbound.caller_id)")
    add(
        "--set",
        dest="variables",
        action="append",
        type=_variable,
        default=[],
        metavar="NAME=VALUE",
        help="a fact of this call for {{ templates }} (repeatable)",
    )
    add("--status-url", metavar="URL", help="where each change of the call's state is posted as JSON")
    add("--key", metavar="KEY", help="an idempotency key: a request with a key that came before places no second call")
    add("--wait", action="store_true", help="wait until the call is over, telling how it goes")
    add("--url", help="where the service is reached (default: the one that runs here)")
    add("--token", help="the service's CALLS_TOKEN (default: CALLS_TOKEN)")
    add("--json", action="store_true", help="print one JSON object and nothing else")


def run(options: argparse.Namespace) -> int:
    """0: the call was taken, or with --wait completed; 1: it was refused, or nobody talked. Raises ConfigError."""
    url = (options.url or run_file.read().url).rstrip("/")
    token = options.token or os.environ.get("CALLS_TOKEN")
    if not token:
        raise ConfigError("set CALLS_TOKEN to what the service has, or give --token")
    wanted = {
        "to": options.to,
        "agent": options.agent,
        "caller_id": options.caller_id,
        "variables": dict(options.variables),
        "status_url": options.status_url,
    }
    headers = {"Idempotency-Key": options.key} if options.key else {}
    call, is_taken = _ask(url + CALLS_PATH, token, {k: v for k, v in wanted.items() if v is not None}, headers)
    if not is_taken:
        return _refused(call, options.json)
    if options.wait:
        call = _awaited(f"{url}{CALLS_PATH}/{call['id']}", token, call, is_told=not options.json)
    print(json.dumps(call, indent=2) if options.json else _line(call))
    return GOOD if call["state"] not in OVER - {"completed"} else BROKEN


def _awaited(url: str, token: str, call: dict[str, Any], *, is_told: bool) -> dict[str, Any]:
    """The call once it is over, telling each state on the way."""
    while call["state"] not in OVER:
        if is_told:
            print(_line(call), flush=True)
        before = call["state"]
        while call["state"] == before:
            time.sleep(LOOK_S)
            call, is_there = _ask(url, token)
            if not is_there:
                raise ConfigError(f"the service does not know the call any more: {call.get('error', '')}")
    return call


def _ask(
    url: str, token: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> tuple[dict[str, Any], bool]:
    """The service's answer, and whether it is a good one. Raises ConfigError when there is none."""
    data = None if body is None else json.dumps(body).encode()
    given = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **(headers or {})}
    try:
        with urlopen(Request(url, data, given), timeout=ASK_TIMEOUT_S) as answer:
            return dict(json.load(answer)), True
    except HTTPError as error:
        with error:
            return _problem(error), False
    except (URLError, OSError, ValueError) as error:
        raise ConfigError(f"{url} cannot be asked: {error}") from None


def _problem(error: HTTPError) -> dict[str, Any]:
    try:
        return {"error": str(json.load(error)["error"]), "status": error.code}
    except (ValueError, KeyError, TypeError):
        return {"error": f"HTTP {error.code}", "status": error.code}


def _refused(problem: dict[str, Any], is_json: bool) -> int:
    if is_json:
        print(json.dumps(problem, indent=2))
    else:
        print(f"voice-gateway dial: {problem['error']}", file=sys.stderr)
    return BROKEN


def _line(call: dict[str, Any]) -> str:
    facts = [call["state"], call["answered_by"] and f"answered by {call['answered_by']}", call["detail"]]
    return f"{call['id']}: {', '.join(fact for fact in facts if fact)}"


def _variable(text: str) -> tuple[str, str]:
    found = _VARIABLE.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not NAME=VALUE, the name in lower case")
    return found[1], found[2]
