"""`POST /calls` and `GET /calls/{id}`: programs of the operator's place calls and ask what became of them."""

import hmac
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agents.call_spec import ADDRESS, NUMBER
from gateway.body import read_body
from gateway.outbound import OutboundCalls
from gateway.placed_call import Placed, Refused, Wanted

CALLS_PATH: Final = "/calls"

MAX_VARIABLES: Final = 50
MAX_VALUE_CHARS: Final = 2000
"""Facts for texts that are spoken; longer ones are documents."""

_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")

Value = Annotated[str, StringConstraints(max_length=MAX_VALUE_CHARS)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]{0,63}$")]


class CallRequest(BaseModel):
    """What `POST /calls` takes."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    to: str = Field(pattern=ADDRESS, description="Whom to call: a number with its country code, or sip:name@host.")
    agent: str = Field(min_length=1, max_length=200, description="Who talks: an agent whose file has `outbound`.")
    caller_id: str | None = Field(None, pattern=NUMBER, description="The number that it comes from.")
    variables: dict[Name, Value] = Field(
        default_factory=dict, max_length=MAX_VARIABLES, description="Facts of this call, for {{ templates }}."
    )
    status_url: str | None = Field(
        None, pattern=r"^https?://", max_length=2000, description="Where each change of its state is posted as JSON."
    )


class CallsApi:
    """The operator's door. Who has the token may place calls; without one nobody may."""

    def __init__(self, outbound: OutboundCalls | None, token: str | None) -> None:
        """`outbound` is None where no calls can be placed, as there are no credentials for the network."""
        self._outbound = outbound
        self._token = token

    def routes(self) -> list[Route]:
        return [
            Route(CALLS_PATH, self._place, methods=["POST"]),
            Route(f"{CALLS_PATH}/{{placed_id}}", self._show, methods=["GET"]),
        ]

    async def _place(self, request: Request) -> Response:
        outbound = self._opened(request)
        if isinstance(outbound, Response):
            return outbound
        key = request.headers.get("Idempotency-Key")
        if key is not None and not _KEY.fullmatch(key):
            return _problem(400, "Idempotency-Key must be 1 to 200 visible characters")
        try:
            wanted = CallRequest.model_validate_json(await read_body(request))
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in error.errors()]
            return _problem(422, "; ".join(wrong))
        try:
            placed, is_new = outbound.ask(Wanted(**wanted.model_dump()), key)
        except Refused as refused:
            retry = {"Retry-After": "60"} if refused.status in (429, 503) else {}
            return _problem(refused.status, str(refused), retry)
        location = {"Location": f"{CALLS_PATH}/{placed.id}"}
        return JSONResponse(as_json(placed), 202 if is_new else 200, location)

    async def _show(self, request: Request) -> Response:
        outbound = self._opened(request)
        if isinstance(outbound, Response):
            return outbound
        placed = outbound.known(request.path_params["placed_id"])
        return JSONResponse(as_json(placed)) if placed else _problem(404, "no such call")

    def _opened(self, request: Request) -> OutboundCalls | Response:
        """Who places calls, or the answer to one who may not."""
        if self._token is None:
            return _problem(403, "nobody may place calls: CALLS_TOKEN is not set")
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            return _problem(401, "give the service's CALLS_TOKEN as a bearer token", {"WWW-Authenticate": "Bearer"})
        if self._outbound is None:
            return _problem(503, "no calls can be placed without credentials for Twilio's REST API")
        return self._outbound


def as_json(placed: Placed) -> dict[str, Any]:
    """A call as its status is told: nothing of whom it goes to, nor of its variables."""
    return {
        "id": placed.id,
        "agent": placed.wanted.agent,
        "state": placed.state,
        "call_sid": placed.call_sid,
        "answered_by": placed.answered_by,
        "detail": placed.detail,
    }


def _problem(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": message}, status, headers)
