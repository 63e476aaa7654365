"""One reply over a simulated line, interrupted at some moment: what the model was told of it, and what was true.

The session, the Twilio channel, its socket and its messages are the real ones; the model, the network and the phone are
simulated, on virtual time. The phone knows what it has played.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import Final

from starlette.websockets import WebSocket

from agents.agent import RealtimeAgent
from agents.errors import ChannelError
from agents.mulaw import FRAME_BYTES, FRAME_MS, SILENCE, PcmToUlaw
from agents.session import RealtimeSession
from channels.carrier.app_socket import Receive, Scope, Send
from channels.carrier.caller import Move
from channels.carrier.in_process import InProcess
from channels.carrier.media import open_leg
from channels.carrier.network import Network, Stall
from channels.carrier.playout import Tick
from channels.carrier.sids import new_sid
from channels.carrier.tally import Tally
from channels.carrier.trial_model import SPEAK_AFTER_S, Scene, TrialModel
from channels.carrier.virtual_time import loop_time, run_virtual
from channels.media_socket import MediaSocket
from channels.media_streams import Connected, Start
from channels.twilio import TwilioChannel

URL: Final = "ws://trial.invalid/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one trial, in milliseconds.

    `error_ms` is what the model believes that the caller heard, minus what the phone had played when it fell silent;
    None when nothing was cut off. `stale_ms` was played after a clear, `dropped_ms` thrown away by it. `lost_ms`,
    `doubled_ms` and the silence that was heard within it, `silent_ms`, are of a reply that nobody interrupted. The rest
    are faults: a clear when the whole reply had been played, a truncate of an item that was heard to its end, one
    beyond what was sent, one more than once.
    """

    error_ms: float | None = None
    stale_ms: float = 0.0
    dropped_ms: float = 0.0
    lost_ms: float = 0.0
    doubled_ms: float = 0.0
    silent_ms: float = 0.0
    clears_in_silence: int = 0
    truncates_of_heard: int = 0
    truncates_beyond: int = 0
    truncates_twice: int = 0
    problems: tuple[str, ...] = ()


def try_once(scene: Scene) -> Outcome:
    """Plays one scene through, in virtual time."""
    return run_virtual(_Trial(scene).run())


class _Trial:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._heard = bytearray()
        self._silent_ms = self._pausing_ms = 0.0
        self._tally = Tally()

    async def run(self) -> Outcome:
        model = TrialModel(self._scene)
        channel = TwilioChannel(loop_time)
        session = RealtimeSession(RealtimeAgent(name="trial", model=model), channel=channel)
        start = Start(new_sid("MZ"), "CA" + "0" * 32, "AC" + "0" * 32)
        network = self._scene.network
        stalls = tuple(Stall(at_s, for_s, "out") for at_s, for_s in self._scene.stalls)
        async with (
            session,
            InProcess(_App(channel, session), URL) as reach,
            open_leg(URL, start, signature=None, tally=self._tally, reach=reach, network=_with(network, stalls)) as leg,
        ):
            model.begin()
            ends_s = SPEAK_AFTER_S + self._talk_s() + network.rtt_ms / 1000 + network.playback_delay_ms / 1000 + 1.5
            self._ends_ms = ends_s * 1000
            await leg.run(self._phone, loop_time())
        return self._outcome(model)

    def _talk_s(self) -> float:
        reply = self._scene.reply
        paused_s = sum(pause_ms for _, pause_ms in reply.pauses) / 1000
        whole_s = reply.length_ms / 1000 / min(reply.speed, 1.0) + paused_s + sum(s for _, s in self._scene.stalls)
        return whole_s if self._scene.interrupt_s is None else min(self._scene.interrupt_s, whole_s)

    def _phone(self, tick: Tick) -> Move:
        if tick.ulaw:
            self._heard += tick.ulaw
            self._silent_ms, self._pausing_ms = self._silent_ms + self._pausing_ms, 0.0
        elif self._heard:
            self._pausing_ms += FRAME_MS
        return Move(is_hang_up=tick.at_ms >= self._ends_ms)

    def _outcome(self, model: TrialModel) -> Outcome:
        tally, reply = self._tally, self._scene.reply
        played_ms = tally.played_ms
        if self._scene.interrupt_s is None:
            lost_ms, doubled_ms = difference(bytes(self._heard), _on_the_wire(model.sent_pcm))
            return Outcome(
                lost_ms=lost_ms, doubled_ms=doubled_ms, silent_ms=self._silent_ms, problems=tuple(tally.errors)
            )
        cleared = tally.clearings[0] if tally.clearings else None
        true_ms = heard_of_each(model.received_ms, cleared.played_ms if cleared else played_ms)
        told_ms = dict(model.truncated_ms)
        is_over = model.is_done and cleared is not None and not cleared.dropped_ms
        is_cut = bool(told_ms) or (cleared is not None and cleared.dropped_ms > 0)
        believed_ms = {item: told_ms.get(item, length) for item, length in model.received_ms.items()}
        return Outcome(
            error_ms=sum(believed_ms.values()) - sum(true_ms.values()) if is_cut else None,
            stale_ms=played_ms - cleared.played_ms if cleared else 0.0,
            dropped_ms=cleared.dropped_ms if cleared else 0.0,
            clears_in_silence=int(is_over and played_ms >= sum(_on_line_ms(ms) for ms in reply.items_ms) - FRAME_MS),
            truncates_of_heard=sum(
                item in model.whole_items and true_ms[item] >= model.received_ms[item] - 0.5 for item in told_ms
            ),
            truncates_beyond=sum(ms > model.received_ms.get(item, 0.0) for item, ms in told_ms.items()),
            truncates_twice=len(model.truncated_ms) - len(told_ms),
            problems=tuple(tally.errors),
        )


class _App:
    """The least service there can be: an ASGI application that hands its one media socket to a channel."""

    def __init__(self, channel: TwilioChannel, session: RealtimeSession) -> None:
        self._channel = channel
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        socket = MediaSocket(websocket)
        match await socket.receive(SPEAK_AFTER_S), await socket.receive(SPEAK_AFTER_S):
            case Connected(), Start(stream_sid):
                self._channel.attach(socket, stream_sid)
            case other:
                raise ChannelError(f"the stream began with {other}")
        await self._session.wait_closed()


def heard_of_each(items_ms: dict[str, float], played_ms: float) -> dict[str, float]:
    """How much of each item had been heard when the line had played so much: items lie on it in whole frames."""
    heard, begins_ms = {}, 0.0
    for item, length_ms in items_ms.items():
        heard[item] = max(0.0, min(played_ms - begins_ms, length_ms))
        begins_ms += _on_line_ms(length_ms)
    return heard


def _on_line_ms(item_ms: float) -> float:
    return ceil(item_ms / FRAME_MS - 1e-9) * FRAME_MS


def _on_the_wire(items: list[bytes]) -> bytes:
    """What a line should hear of a reply: each item transcoded, in whole frames."""
    heard = b""
    for pcm in filter(None, items):
        codec = PcmToUlaw()
        ulaw = codec.feed(pcm) + codec.flush()
        heard += ulaw + bytes([SILENCE]) * (-len(ulaw) % FRAME_BYTES)
    return heard


def difference(heard: bytes, sent: bytes) -> tuple[float, float]:
    """Milliseconds of audio that were lost and that were doubled: frames are looked for one after the other."""
    frames = [sent[at : at + FRAME_BYTES] for at in range(0, len(sent), FRAME_BYTES)]
    at = lost = doubled = 0
    for begin in range(0, len(heard), FRAME_BYTES):
        frame = heard[begin : begin + FRAME_BYTES]
        if at < len(frames) and frames[at] == frame:
            at += 1
        elif frame in frames[at:]:
            skipped = frames.index(frame, at) - at
            lost, at = lost + skipped, at + skipped + 1
        else:
            doubled += 1
    return float((lost + len(frames) - at) * FRAME_MS), float(doubled * FRAME_MS)


def _with(network: Network, stalls: tuple[Stall, ...]) -> Network:
    return replace(network, stalls=network.stalls + stalls)
