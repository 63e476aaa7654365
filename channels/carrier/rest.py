"""Twilio's REST API as far as a gateway uses it, on loopback.

account = Account(sid=ACCOUNT_SID, auth_token="...")
async with serve_rest(account) as url:      # for TWILIO_API_URL
    report = await place_call(dial, script, account=account)
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from channels.carrier.account import Account
from channels.carrier.rest_api import RestApi

MAX_BODY_BYTES: Final = 64 * 1024
CLOSE_TIMEOUT_S: Final = 1.0
"""So long requests may go on when the API closes."""


@asynccontextmanager
async def serve_rest(account: Account) -> AsyncIterator[str]:
    """Serves an account's API on a free port of this machine and gives its address.

    At the end the calls that the service placed are hung up and awaited.
    """
    async with RestApi(account) as api:
        runner = web.AppRunner(_app(api), access_log=None, shutdown_timeout=CLOSE_TIMEOUT_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()


def _app(api: RestApi) -> web.Application:
    async def endpoint(request: web.Request) -> web.StreamResponse:
        fields = await request.post()
        headers = request.headers
        status, answer = await api.answer(
            request.method,
            request.path,
            {name: [str(value) for value in fields.getall(name)] for name in fields},
            authorization=headers.get("Authorization", ""),
            idempotency_token=headers.get("I-Twilio-Idempotency-Token") or headers.get("Idempotency-Token"),
        )
        return web.json_response(answer, status=status)

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_route("*", "/{path:.*}", endpoint)
    return app
