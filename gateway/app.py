"""The service as one Starlette application."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute

from agents.agent import RealtimeAgent
from agents.tools.toolbox import enter_all_toolkits
from gateway.addresses import MEDIA_PATH
from gateway.calls import Calls
from gateway.calls_api import CallsApi
from gateway.media import media_endpoint
from gateway.numbers import Numbers
from gateway.placing import Placing
from gateway.settings import Settings
from gateway.signature import SignatureChecker
from gateway.webhooks import Webhooks

log = logging.getLogger(__name__)


def make_app(
    settings: Settings,
    agents: Mapping[str, RealtimeAgent],
    numbers: Numbers,
    calls: Calls,
    placing: Placing | None = None,
) -> Starlette:
    """The application. Starting it warms the models up, and starts servers of tools; stopping it ends every call.

    Without `placing` no calls are placed.
    """
    checker = SignatureChecker(settings.auth_tokens)
    outbound = placing.outbound if placing else None

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for name, agent in agents.items():
                if isinstance(agent.model, AbstractAsyncContextManager):
                    log.info("warming up %s", name)
                    await stack.enter_async_context(agent.model)
            await enter_all_toolkits(list(agents.values()), stack)
            await stack.enter_async_context(calls)
            if placing:
                await stack.enter_async_context(placing)
            yield

    async def healthz(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> JSONResponse:
        state = "draining" if calls.is_draining else "ready" if calls.has_room else "full"
        return JSONResponse({"status": state, "calls": len(calls)}, 200 if state == "ready" else 503)

    return Starlette(
        routes=[
            *Webhooks(settings, calls, numbers, checker, outbound).routes(),
            *CallsApi(outbound, settings.calls_token).routes(),
            WebSocketRoute(MEDIA_PATH, media_endpoint(settings, calls, checker)),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ],
        lifespan=lifespan,
    )
