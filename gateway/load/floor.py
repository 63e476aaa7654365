"""The floor that a gateway is compared with: the barest bridge of the same fast parts, `python -m gateway.load.floor`.

uvloop, picows on both sides, our transcoding, and nothing else: no session, no ledger, no history, no signatures, no
limits. It serves no one but a load: it takes whoever comes, and a call that breaks simply ends.
"""

import asyncio
import os
import ssl
from binascii import a2b_base64, b2a_base64
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qs
from xml.sax.saxutils import quoteattr

import uvloop
from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_connect,
    ws_create_server,
)

from agents.audio import Untouched
from agents.mulaw import FRAME_BYTES, SILENCE, PcmToUlaw, UlawToPcm
from agents.providers.access import socket_url
from agents.providers.wire_json import read_object, write
from gateway.configuration import load_configuration
from gateway.load.configuration import AGENT
from gateway.settings import read_settings

MODEL: Final = "gpt-realtime-2.1"

MAX_EARLY: Final = 500
"""Ten seconds of the caller's audio are kept for a model that is not connected yet."""

MEDIA: Final = b'{"event":"media"'
AUDIO: Final = b'{"type":"response.output_audio.delta"'
APPEND: Final = b'{"type":"input_audio_buffer.append","audio":"%b"}'


class Line(WSListener):
    """The caller's side of one bridge."""

    def __init__(self, floor: "Floor") -> None:
        self._floor = floor
        self._transport: WSTransport | None = None
        self._sid = b""
        self._model: Model | None = None
        self._marks = 0
        self._hears = UlawToPcm() if floor.transcodes else None
        self._early: list[bytes] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        message = frame.get_payload_as_bytes()
        if message.startswith(MEDIA):
            start = message.index(b'"payload":"') + 11
            self.hear(message[start : message.index(b'"', start)])
        else:
            self._take(read_object(message))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._transport = None
        if self._model:
            self._model.end()

    def hear(self, payload: bytes) -> None:
        """A frame of the caller's, in base64, for the model."""
        if self._hears:
            payload = b2a_base64(self._hears.feed(a2b_base64(payload)), newline=False)
        self._tell_model(APPEND % payload)

    def press(self, digit: str) -> None:
        """The model is told of keys when the last of them is pressed."""
        if digit == "#":
            content = [{"type": "input_text", "text": "The caller pressed keys."}]
            item = {"type": "message", "role": "user", "content": content}
            self._tell_model(write({"type": "conversation.item.create", "item": item}).encode())
            self._tell_model(b'{"type":"response.create"}')

    def _take(self, message: dict[str, object]) -> None:
        match message:
            case {"event": "start", "start": {"callSid": str(call_sid), "streamSid": str(stream_sid)}}:
                self._sid = stream_sid.encode()
                self._floor.connect(self, call_sid)
            case {"event": "dtmf", "dtmf": {"digit": str(digit)}}:
                self.press(digit)

    def _tell_model(self, message: bytes) -> None:
        if self._model:
            self._model.tell(message)
        elif len(self._early) < MAX_EARLY:
            self._early.append(message)

    def connected(self, model: "Model") -> None:
        """The model is there: it gets what was said meanwhile."""
        self._model = model
        for message in self._early:
            model.tell(message)
        self._early.clear()
        if not self._transport:
            model.end()

    def play(self, ulaw: bytes) -> None:
        """Whole frames for the caller, with a mark behind them."""
        if self._transport and ulaw:
            payload = b2a_base64(ulaw, newline=False)
            media = b'{"event":"media","streamSid":"%b","media":{"payload":"%b"}}' % (self._sid, payload)
            self._transport.send(WSMsgType.TEXT, media)
            self.mark()

    def mark(self) -> None:
        """Asks to be told when all that was sent is played."""
        if self._transport:
            self._marks += 1
            mark = b'{"event":"mark","streamSid":"%b","mark":{"name":"m%d"}}' % (self._sid, self._marks)
            self._transport.send(WSMsgType.TEXT, mark)

    def clear(self) -> None:
        if self._transport:
            self._transport.send(WSMsgType.TEXT, b'{"event":"clear","streamSid":"%b"}' % self._sid)

    def end(self) -> None:
        if self._transport:
            self._transport.send_close(WSCloseCode.OK)
            self._transport.disconnect()


class Model(WSListener):
    """The model's side of one bridge."""

    def __init__(self, line: Line, call_sid: str, *, transcodes: bool) -> None:
        self._line = line
        self._call_sid = call_sid
        self._transport: WSTransport | None = None
        self._transcodes = transcodes
        self._speaks = PcmToUlaw() if transcodes else Untouched()
        self._held = b""
        self._is_cut = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        kind = {"type": "audio/pcm", "rate": 24000} if self._transcodes else {"type": "audio/pcmu"}
        audio = {"input": {"format": kind}, "output": {"format": kind}}
        session = {"type": "realtime", "instructions": f"You answer call {self._call_sid}.", "audio": audio}
        self.tell(write({"type": "session.update", "session": session}).encode())
        self._line.connected(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        message = frame.get_payload_as_bytes()
        if message.startswith(AUDIO):
            if not self._is_cut:
                start = message.index(b'"delta":"') + 9
                self._play(self._speaks.feed(a2b_base64(message[start : message.index(b'"', start)])))
        elif message.startswith(b'{"type":"response.output_audio.done"'):
            tail = self._speaks.flush()
            if not self._is_cut:
                self._play(tail + bytes([SILENCE]) * (-len(self._held + tail) % FRAME_BYTES))
        elif message.startswith(b'{"type":"response.created"'):
            self._is_cut = False
        elif message.startswith(b'{"type":"input_audio_buffer.speech_started"'):
            self.cut()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._transport = None
        self._line.end()

    def tell(self, message: bytes) -> None:
        if self._transport:
            self._transport.send(WSMsgType.TEXT, message)

    def end(self) -> None:
        if self._transport:
            self._transport.send_close(WSCloseCode.OK)
            self._transport.disconnect()

    def cut(self) -> None:
        """The caller speaks: what is said to them is forgotten, here and on the line."""
        self._is_cut = True
        self._held = b""
        self._speaks.reset()
        self._line.clear()

    def _play(self, ulaw: bytes) -> None:
        ulaw = self._held + ulaw
        whole = len(ulaw) - len(ulaw) % FRAME_BYTES
        self._held = ulaw[whole:]
        self._line.play(ulaw[:whole])


class Floor:
    """All bridges of one process. Serves while it is entered: webhooks at a port, media streams at another."""

    def __init__(self, url: str, key: str, *, transcodes: bool) -> None:
        self.transcodes = transcodes
        self._url = socket_url(url, "/realtime", {"model": MODEL}, like="https://api.openai.com/v1")
        self._headers = {"Authorization": f"Bearer {key}"}
        self._ssl = ssl.create_default_context() if self._url.startswith("wss") else None
        self._open = AsyncExitStack()
        self._media_url = ""
        self.port = 0
        """Where webhooks are answered."""

    async def serve(self, host: str, port: int) -> None:
        """Opens its ports. Port 0 is any that is free."""
        self._tasks = await self._open.enter_async_context(asyncio.TaskGroup())
        media = await ws_create_server(self._accept, host, 0)
        self._open.callback(media.close)
        self._media_url = f"ws://{host}:{media.sockets[0].getsockname()[1]}/"
        webhooks = await asyncio.start_server(self._answer, host, port)
        self._open.callback(webhooks.close)
        self.port = webhooks.sockets[0].getsockname()[1]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._open.__aexit__(exc_type, exc, tb)

    def line(self) -> Line:
        """The caller's side of a new bridge."""
        return Line(self)

    def model(self, line: Line, call_sid: str) -> Model:
        """The model's side of it."""
        return Model(line, call_sid, transcodes=self.transcodes)

    def document(self, call_sid: str) -> str:
        """The TwiML that answers a webhook."""
        stream = f'<Stream url="{self._media_url}"><Parameter name="call" value={quoteattr(call_sid)}/></Stream>'
        return f"<Response><Connect>{stream}</Connect></Response>"

    def connect(self, line: Line, call_sid: str) -> None:
        """Opens the model's side of a line."""
        self._tasks.create_task(self._connect(line, call_sid), name="connecting to the model")

    async def _connect(self, line: Line, call_sid: str) -> None:
        model = self.model(line, call_sid)
        try:
            await ws_connect(lambda: model, self._url, ssl_context=self._ssl, extra_headers=self._headers)
        except OSError:
            line.end()

    def _accept(self, request: WSUpgradeRequest) -> WSListener:
        return self.line()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Any request is answered with where the media stream is to go."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
            form = parse_qs((await reader.readexactly(length)).decode())
            body = self.document(form.get("CallSid", [""])[0]).encode()
            about = f"content-type: text/xml\r\ncontent-length: {len(body)}\r\nconnection: close"
            writer.write(f"HTTP/1.1 200 OK\r\n{about}\r\n\r\n".encode() + body)
            await writer.drain()
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError):
            pass  # whoever it was, it was no load
        finally:
            writer.close()


def main() -> None:
    settings = read_settings(os.environ)
    agent = load_configuration(settings.config_dir, os.environ).agents[AGENT]
    floor = Floor(os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"], transcodes=agent.audio == "pcm16")
    uvloop.run(_serve(floor, settings.host, settings.port))


async def _serve(floor: Floor, host: str, port: int) -> None:
    async with floor:
        await floor.serve(host, port)
        print(f"The floor is ready on http://{host}:{floor.port}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    main()
