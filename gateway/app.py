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
from gateway.blocked import watching
from gateway.calls import Calls
from gateway.calls_api import CallsApi
from gateway.loop_lag import LoopLoad, measuring
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
    load: LoopLoad | None = None,
) -> Starlette:
    """The application. Starting it warms the models up, and starts servers of tools; stopping it ends every call.

    Without `placing` no calls are placed. With `load` the loop that it runs in is measured, and watched for what blocks
    it, once everything is warm.
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
            if load:
                await stack.enter_async_context(measuring(load))
                stack.enter_context(watching(lambda: load.came_round_at))
            await stack.enter_async_context(calls)
            if placing:
                await stack.enter_async_context(placing)
            yield

    async def healthz(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> JSONResponse:
        state = "draining" if calls.is_draining else "ready" if calls.has_room else "full"
        known = {"status": state, "calls": calls.everywhere, "waiting": len(calls.waiting)}
        return JSONResponse(known | (load.figures() if load else {}), 200 if state == "ready" else 503)

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
