"""A small service for the simulated carrier to call: it checks every signature and plays tones for an agent's voice."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from twilio.request_validator import RequestValidator

from agents import mulaw
from channels.carrier.loudness import is_sound
from channels.media_streams import Mark, Media, Start, decode, write_clear, write_mark, write_media

PUBLIC_URL = "https://gw.example.com"
TOKEN = "test_auth_token_0123456789abcdef"

CONNECT = (
    '<Response><Connect action="https://gw.example.com/twilio/after-stream"><Stream '
    'url="wss://gw.example.com/twilio/media" statusCallback="https://gw.example.com/twilio/stream-status">'
    '<Parameter name="token" value="a&amp;b"/></Stream></Connect></Response>'
)
HANGUP = "<Response><Hangup/></Response>"

MediaDoor = Callable[[WebSocket], Awaitable[None]]


def tone(ms: int, amplitude: int = 8000) -> bytes:
    """PCM16 8 kHz."""
    at = np.arange(ms * 8)
    return (amplitude * np.sin(2 * np.pi * 400 * at / 8000)).astype("<i2").tobytes()


def silence(ms: int) -> bytes:
    return bytes(ms * 16)


@dataclass
class FakeService:
    """`answers` has the TwiML of each path; `posts` what came, in order; `refused` what was not signed by Twilio."""

    media: MediaDoor
    answers: dict[str, str] = field(default_factory=dict)
    posts: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    upgrade_headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    async def _webhook(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        path = request.url.path
        self.posts.append((path, form))
        signature = request.headers["X-Twilio-Signature"]
        if not RequestValidator(TOKEN).validate(PUBLIC_URL + path, form, signature):
            self.refused.append(path)
            return Response(status_code=403)
        return Response(self.answers.get(path, "<Response/>"), media_type="text/xml")

    async def _upgrade(self, websocket: WebSocket) -> None:
        self.upgrade_headers.append(dict(websocket.headers))
        url, signature = f"wss://gw.example.com{websocket.url.path}", websocket.headers["X-Twilio-Signature"]
        if not RequestValidator(TOKEN).validate(url, {}, signature):
            self.refused.append(url)
            await websocket.close(1008)
            return
        await websocket.accept()
        await self.media(websocket)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/twilio/{rest:path}", self._webhook, methods=["POST"]),
                WebSocketRoute("/twilio/media", self._upgrade),
            ]
        )

    def forms(self, path: str) -> list[dict[str, str]]:
        return [form for posted, form in self.posts if posted == path]


@asynccontextmanager
async def serving(media: MediaDoor, voice: str = CONNECT, after: str = HANGUP) -> AsyncIterator[FakeService]:
    service = FakeService(media, {"/twilio/voice": voice, "/twilio/after-stream": after})
    # The protocol is named because asyncio turns Nagle's 40 ms waits off only for sockets that have it.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        service.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(service.app(), ws="websockets-sansio", log_config=None, ws_per_message_deflate=False)
        server = uvicorn.Server(config)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listener]), name="fake service")
            yield service
            server.should_exit = True


class ToneAgent:
    """Greets with a tone, answers each utterance with a tone, and is interrupted by any sound of the caller.

    With `hangs_up_after` utterances answered it closes the socket.
    """

    def __init__(self, greeting_ms: int = 200, reply_ms: int = 200, hangs_up_after: int | None = None) -> None:
        self.greeting_ms = greeting_ms
        self.reply_ms = reply_ms
        self.hangs_up_after = hangs_up_after
        self.start: Start | None = None
        self.received: list[object] = []
        self.texts: list[str] = []

    async def __call__(self, websocket: WebSocket) -> None:
        quiet_frames, replies, is_waiting = 0, 0, True
        try:
            async for text in websocket.iter_text():
                self.texts.append(text)
                message = decode(text)
                self.received.append(message)
                match message:
                    case Start():
                        self.start = message
                        await self._play(websocket, message, self.greeting_ms, "greeting")
                    case Mark(name) if name == f"reply {self.hangs_up_after}":
                        await websocket.close()
                        return
                    case Media(ulaw) if is_sound(ulaw):
                        if is_waiting and self.start:
                            await websocket.send_text(write_clear(self.start.stream_sid))
                        quiet_frames, is_waiting = 0, False
                    case Media() if not is_waiting and self.start:
                        quiet_frames += 1
                        if quiet_frames == 5:
                            replies, is_waiting = replies + 1, True
                            await self._play(websocket, self.start, self.reply_ms, f"reply {replies}")
        except WebSocketDisconnect:
            return

    async def _play(self, websocket: WebSocket, start: Start, ms: int, name: str) -> None:
        await websocket.send_text(write_media(start.stream_sid, mulaw.encode(tone(ms))))
        await websocket.send_text(write_mark(start.stream_sid, name))


def says(messages: Sequence[str | bytes]) -> MediaDoor:
    """An agent that, once the stream has started, sends these (`SID` stands for the stream's) and then listens."""

    async def media(websocket: WebSocket) -> None:
        try:
            async for text in websocket.iter_text():
                match decode(text):
                    case Start(stream_sid):
                        for message in messages:
                            if isinstance(message, bytes):
                                await websocket.send_bytes(message)
                            else:
                                await websocket.send_text(message.replace("SID", stream_sid))
        except WebSocketDisconnect:
            return

    return media
