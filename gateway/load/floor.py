"""The floor that a gateway is compared with: the barest bridge of the same parts, `python -m gateway.load.floor`.

It has the gateway's server, sockets, codecs and transcoding, and nothing else: no session, no ledger, no history, no
signatures, no limits. What a gateway costs beyond it is what these cost. It serves no one but a load: it takes whoever
comes, and a call that breaks ends with a traceback.
"""

import asyncio
import gc
import os
from typing import Any, ClassVar, Final, cast

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from agents.audio import Untouched
from agents.mulaw import FRAME_BYTES, SILENCE, PcmToUlaw, UlawToPcm
from agents.providers.access import socket_url
from agents.providers.cheap_client import CheapClient
from agents.providers.openai.asking import append
from agents.providers.socket import open_socket
from agents.providers.wire_json import from_base64, read_object, write
from agents.realtime import RealtimeConnectOptions
from channels.media_streams import write_clear, write_mark, write_media
from gateway.addresses import MEDIA_PATH, VOICE_PATH, Addresses
from gateway.configuration import load_configuration
from gateway.load.configuration import AGENT
from gateway.serve_command import GARBAGE_THRESHOLDS
from gateway.server import uvicorn_config
from gateway.settings import read_settings

MODEL: Final = "gpt-realtime-2.1"


class Bridge:
    """One call: what the caller's socket and the model's say to each other, a task for each way."""

    def __init__(self, line: WebSocket, model: CheapClient, stream_sid: str, *, transcodes: bool) -> None:
        self._line = line
        self._model = model
        self._stream_sid = stream_sid
        self._hears = UlawToPcm() if transcodes else Untouched()
        self._speaks = PcmToUlaw() if transcodes else Untouched()
        self._held = b""
        self._is_cut = False
        self._marks = 0

    async def carry(self) -> None:
        """Goes on until the caller hangs up. Raises what the model's socket raises when that ends first."""
        try:
            async with asyncio.TaskGroup() as ways:
                speaking = ways.create_task(self._from_model(), name="from the model to the caller")
                await self._from_caller()
                speaking.cancel()
        except* WebSocketDisconnect:
            pass  # they hung up while something was said to them

    # ---- from the caller ----

    async def _from_caller(self) -> None:
        receive = self._line.receive
        while (message := await receive())["type"] == "websocket.receive":
            fields = read_object(message["text"])
            if fields["event"] == "media":
                await self.hear(from_base64(fields["media"]["payload"]))
            elif fields["event"] == "dtmf":
                await self.press(fields["dtmf"]["digit"])

    async def hear(self, ulaw: bytes) -> None:
        """A frame of the caller's, for the model."""
        await self._tell_model(append(self._hears.feed(ulaw)))

    async def press(self, digit: str) -> None:
        """The model is told of keys when the last of them is pressed."""
        if digit == "#":
            content = [{"type": "input_text", "text": "The caller pressed keys."}]
            item = {"type": "message", "role": "user", "content": content}
            await self._tell_model(write({"type": "conversation.item.create", "item": item}))
            await self._tell_model(write({"type": "response.create"}))

    async def _tell_model(self, message: str) -> None:
        if not self._model.post(message):
            await self._model.send(message)

    # ---- from the model ----

    async def _from_model(self) -> None:
        recv = self._model.recv
        while True:
            fields = read_object(await recv())
            match fields["type"]:
                case "response.output_audio.delta" if not self._is_cut:
                    await self._say(self._held + self._speaks.feed(from_base64(fields["delta"])))
                case "response.output_audio.done" if not self._is_cut:
                    rest = self._held + self._speaks.flush()
                    await self._say(rest + bytes([SILENCE]) * (-len(rest) % FRAME_BYTES))
                case "response.created":
                    self._is_cut = False
                case "input_audio_buffer.speech_started":
                    await self.cut()

    async def _say(self, ulaw: bytes) -> None:
        whole = len(ulaw) - len(ulaw) % FRAME_BYTES
        self._held = ulaw[whole:]
        if whole:
            await self.play(ulaw[:whole])

    async def play(self, ulaw: bytes) -> None:
        """Whole frames for the caller, with a mark behind them."""
        await self._line.send_text(write_media(self._stream_sid, ulaw))
        await self.mark()

    async def mark(self) -> None:
        """Asks to be told when all that was sent is played."""
        self._marks += 1
        await self._line.send_text(write_mark(self._stream_sid, f"m{self._marks}"))

    async def cut(self) -> None:
        """The caller speaks: what is said to them is forgotten, here and on the line."""
        self._is_cut = True
        self._held = b""
        self._speaks.reset()
        await self.clear()

    async def clear(self) -> None:
        """What was sent and is not played yet is not to be."""
        await self._line.send_text(write_clear(self._stream_sid))


class Floor:
    """All bridges of one process, and `app`, which makes them: webhooks and media streams at the gateway's paths."""

    bridge: ClassVar[type[Bridge]] = Bridge

    def __init__(self, url: str, key: str, *, transcodes: bool) -> None:
        """`url` is where OpenAI's interface begins."""
        self._url = socket_url(url, "/realtime", {"model": MODEL}, like="https://api.openai.com/v1")
        self._headers = {"Authorization": f"Bearer {key}"}
        self._transcodes = transcodes
        self.app = Starlette(
            routes=[Route(VOICE_PATH, self._webhook, methods=["POST"]), WebSocketRoute(MEDIA_PATH, self.media)]
        )

    async def _webhook(self, request: Request) -> Response:
        return Response(self.document(Addresses(f"http://{request.url.netloc}").media), media_type="text/xml")

    def document(self, media_url: str) -> str:
        """The TwiML that answers every call."""
        return f'<Response><Connect><Stream url="{media_url}"/></Connect></Response>'

    async def media(self, line: WebSocket) -> None:
        """Answers a media stream. What the caller says before the model is there waits in the socket."""
        await line.accept()
        fields: dict[str, Any] = {}
        while fields.get("event") != "start":
            fields = read_object(await line.receive_text())
        start = fields["start"]
        model = await self._connect(start["callSid"])
        try:
            await self.bridge(line, model, start["streamSid"], transcodes=self._transcodes).carry()
        finally:
            await model.close()

    async def _connect(self, call_sid: str) -> CheapClient:
        kind = {"type": "audio/pcm", "rate": 24000} if self._transcodes else {"type": "audio/pcmu"}
        audio = {"input": {"format": kind}, "output": {"format": kind}}
        session = {"type": "realtime", "instructions": f"You answer call {call_sid}.", "audio": audio}
        options = RealtimeConnectOptions()
        model = cast(CheapClient, await open_socket(self._url, self._headers, options, key_name="OPENAI_API_KEY"))
        await model.send(write({"type": "session.update", "session": session}))
        return model


def main() -> None:
    settings = read_settings(os.environ)
    agent = load_configuration(settings.config_dir, os.environ).agents[AGENT]
    floor = Floor(os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"], transcodes=agent.audio == "pcm16")
    server = uvicorn.Server(uvicorn_config(floor.app, settings.host, settings.port))
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    server.run()


if __name__ == "__main__":
    main()
