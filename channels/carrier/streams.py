"""`<Connect><Stream>`: opens the service's media socket for a call, and lets the caller talk over it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlunsplit

from agents.errors import ChannelError
from channels.carrier.address import joined, split
from channels.carrier.caller import Caller, Move
from channels.carrier.live_call import LiveCall
from channels.carrier.media import open_leg
from channels.carrier.network import Network
from channels.carrier.playout import Tick
from channels.carrier.reach import Reach
from channels.carrier.report import StreamStarted
from channels.carrier.sids import new_sid
from channels.carrier.twiml_verbs import Stream
from channels.carrier.webhooks import Service, stream_params
from channels.carrier.witness import Witness
from channels.media_streams import Start

RECONNECT_S: Final = 1.5
"""How long a call has no stream between two: Twilio takes a second or two."""


class Streams:
    """The streams of one call, one after the other. `reconnect_s` passes before each but the first."""

    def __init__(
        self,
        line: LiveCall,
        caller: Caller,
        witness: Witness,
        service: Service,
        reach: Reach,
        network: Network | None,
        reconnect_s: float,
    ) -> None:
        self._line = line
        self._caller = caller
        self._witness = witness
        self._service = service
        self._reach = reach
        self._network = network
        self._reconnect_s = reconnect_s
        self._is_first = True

    async def run(self, stream: Stream, base_url: str) -> bool:
        """Runs the stream of a document that came from `base_url`, to its end. True when the caller hung up in it.

        False when the service ended it, or it failed, which is what Twilio goes on from. Raises CutShort for what
        happens before it begins.
        """
        if not self._is_first:
            await self._line.hold(self._reconnect_s)
        self._is_first = False
        line, witness = self._line, self._witness
        told = joined(base_url, stream.status_callback) if stream.status_callback else None
        start = Start(new_sid("MZ"), line.sid, line.account_sid, parameters=stream.parameters)
        try:
            url = self._url(stream, base_url)
            signature = self._service.signature(url, {})
            async with open_leg(
                self._service.reach(url),
                start,
                signature=signature,
                tally=witness.tally,
                reach=self._reach,
                network=self._network,
            ) as leg:
                witness.tell(StreamStarted(witness.now_ms(), start.stream_sid))
                self._tell(told, stream, start, "stream-started")
                has_hung_up = await leg.run(self._phone, witness.origin_s)
        except ChannelError as error:
            witness.trouble(str(error))
            self._tell(told, stream, start, "stream-error", str(error))
            return False
        finally:
            self._caller.end()
        self._tell(told, stream, start, "stream-stopped")
        return has_hung_up

    def _phone(self, tick: Tick) -> Move:
        move = self._caller.tick(tick)
        if self._line.is_ordered:  # which ends the stream as hanging up does, with `stop`
            move = replace(move, is_hang_up=True)
        self._witness.saw(tick, move)
        return move

    def _url(self, stream: Stream, base_url: str) -> str:
        """The address that Twilio would connect to, and sign. Raises ChannelError for one that it would not."""
        parts = split(joined(base_url, stream.url))
        if not split(stream.url).scheme:
            parts = parts._replace(scheme=parts.scheme.replace("http", "ws"))
        is_local_trial = split(self._service.public_url).scheme == "http"
        if parts.scheme != "wss" and not (parts.scheme == "ws" and is_local_trial):
            raise ChannelError(f"<Stream url={stream.url!r}> is not a wss:// address (31922)")
        if parts.query:
            self._witness.tally.warn("<Stream url> has a query string, which Twilio leaves out when it connects")
        return urlunsplit(parts._replace(query="", fragment=""))

    def _tell(self, url: str | None, stream: Stream, start: Start, event: str, error: str = "") -> None:
        if url:
            params: Mapping[str, str] = stream_params(
                start.call_sid, start.account_sid, start.stream_sid, stream.name, event, error
            )
            self._line.post(url, params)
