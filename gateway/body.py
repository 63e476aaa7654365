"""Reads the body of a request that may come from anybody."""

import asyncio
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

MAX_BODY_BYTES: Final = 64 * 1024
"""Requests to us are a few kilobytes, Twilio's longest with a caller's signed identity."""

BODY_TIMEOUT_S: Final = 5.0
"""Requests come whole, at once; who takes longer over a few kilobytes means no good."""

_NO_MORE: Final = {"Connection": "close"}
"""Ends the connection with the answer, whatever of the body is still to come."""


async def read_body(request: Request) -> bytes:
    """The whole body. Raises HTTPException when it is longer, or takes longer, than any that is meant well."""
    body = b""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for piece in request.stream():
                body += piece
                if len(body) > MAX_BODY_BYTES:
                    raise HTTPException(413, "too large", _NO_MORE)
    except TimeoutError:
        raise HTTPException(408, "too slow", _NO_MORE) from None
    except ClientDisconnect:
        raise HTTPException(400, "cut short", _NO_MORE) from None  # nobody is there to read it
    return body
