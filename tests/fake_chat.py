"""An OpenAI-compatible chat endpoint that answers as it was told to, and remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web


@dataclass
class ChatReply:
    """One streamed answer: pieces of text, then a tool call in pieces, or a refusal.

    `refusal` is what the refusal says. `stalls` keeps the answer open after the text, until the client goes away.
    `raw` is sent as it is instead.
    """

    pieces: tuple[str, ...] = ()
    call: tuple[str, str, tuple[str, ...]] | None = None
    status: int = 200
    refusal: str = "refused on purpose"
    stalls: bool = False
    raw: bytes | None = None


@dataclass
class FakeChat:
    """`replies` are given in turn. `left` is set when a client goes away before the end of its answer."""

    replies: list[ChatReply] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(orjson.loads(await request.read()))
        self.keys.append(request.headers.get("Authorization"))
        reply = self.replies.pop(0)
        response = web.StreamResponse(status=reply.status, headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for line in _lines(reply):
            await response.write(line)
        if reply.stalls:
            await self._stall(response)
        return response

    async def _stall(self, response: web.StreamResponse) -> None:
        try:
            while True:
                await asyncio.sleep(0.01)
                await response.write(b": still thinking\n\n")
        finally:
            self.left.set()


def _lines(reply: ChatReply) -> list[bytes]:
    if reply.raw is not None:
        return [reply.raw]
    if reply.status != 200:
        return [orjson.dumps({"error": {"message": reply.refusal}})]
    deltas: list[dict[str, Any]] = [{"content": piece} for piece in reply.pieces]
    if reply.call:
        call_id, name, arguments = reply.call
        deltas.append({"tool_calls": [{"index": 0, "id": call_id, "function": {"name": name, "arguments": ""}}]})
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in arguments]
    lines = [_line({"choices": [{"delta": delta}]}) for delta in deltas]
    if not reply.stalls:
        lines += [_line({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}), b"data: [DONE]\n\n"]
    return lines


def _line(chunk: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


@asynccontextmanager
async def fake_chat(*replies: ChatReply) -> AsyncIterator[FakeChat]:
    """Serves on a free port of this machine."""
    chat = FakeChat(list(replies))
    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        chat.url = f"http://127.0.0.1:{port}/v1"
        yield chat
    finally:
        await runner.cleanup()
