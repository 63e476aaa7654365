"""A fake OpenAI Realtime server for many calls at once, in the load's own process.

It knows the script: a caller's words begin and end with the frames that say so, and are answered in the moment in which
the last of them arrives.
"""

import asyncio
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, Self

import trustme
from picows import WSListener, WSUpgradeRequest, ws_create_server

from gateway.load.call import Board, Call
from gateway.load.script import Script
from gateway.load.session import Session
from gateway.load.ticker import Ticker, now

KEY: Final = "sk-load"
"""What the gateway is given for a key; any is taken."""

CALL_SID: Final = re.compile(r"CA[0-9a-f]{32}")
"""What the instructions of a session must name: whose call it is."""


class ProviderServer:
    """Serves on loopback while it is entered. Whoever is to call it needs `environment`.

    A session belongs to the call whose CallSid is in its instructions. With `tls` the certificate is of an authority
    of our own, whose file is in the environment too.
    """

    def __init__(self, script: Script, *, tls: bool = False) -> None:
        self.script = script
        self.board = Board()
        self.ticker = Ticker()
        self.calls: dict[str, Call] = {}
        """The calls that sessions may be of, by CallSid."""
        self._tls = tls
        self._sessions: set[Session] = set()
        self._folder = TemporaryDirectory(prefix="voice-gateway-load-")
        self._port = 0
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a gateway finds this server."""
        scheme = "wss" if self._tls else "ws"
        found = {"OPENAI_BASE_URL": f"{scheme}://localhost:{self._port}/v1", "OPENAI_API_KEY": KEY}
        return found | ({"SSL_CERT_FILE": str(self._authority)} if self._tls else {})

    @property
    def sessions(self) -> int:
        """How many are open."""
        return len(self._sessions)

    async def wait_left(self, timeout_s: float) -> bool:
        """Waits until no session is open, at most so long. Whether none is."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    def stall(self, seconds: float) -> None:
        """Reads nothing and says nothing for so long, on every session that is open."""
        until = now() + seconds
        for session in self._sessions:
            session.stall(until)
        self.ticker.at(until, self._go_on)

    def _go_on(self) -> None:
        for session in tuple(self._sessions):
            session.go_on()

    @property
    def _authority(self) -> Path:
        return Path(self._folder.name) / "authority.pem"

    async def __aenter__(self) -> Self:
        context: ssl.SSLContext | None = None
        if self._tls:
            authority = trustme.CA()
            authority.cert_pem.write_to_path(str(self._authority))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        self._server = await ws_create_server(self._accept, "127.0.0.1", 0, ssl=context)
        self._port = self._server.sockets[0].getsockname()[1]
        self.ticker.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.ticker.stop()
        self._server.close()
        for session in tuple(self._sessions):
            session.drop()
        await asyncio.sleep(0)
        self._folder.cleanup()

    def _accept(self, request: WSUpgradeRequest) -> WSListener:
        return Session(self)

    # ---- for its sessions ----

    def at(self, due: float, act: Callable[[], None]) -> None:
        self.ticker.at(due, act)

    def trouble(self, what: str) -> None:
        self.board.trouble(what)

    def joined(self, session: Session) -> None:
        self._sessions.add(session)
        self._empty.clear()

    def left(self, session: Session) -> None:
        self._sessions.discard(session)
        if not self._sessions:
            self._empty.set()

    def call_of(self, instructions: str) -> Call | None:
        """The call that a session's instructions name; None when they name none of ours."""
        named = CALL_SID.search(instructions)
        return self.calls.get(named.group()) if named else None
