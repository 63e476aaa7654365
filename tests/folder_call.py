"""A whole call to the service of a folder of YAML files: a simulated Twilio, virtual time, everything told.

Servers of a test's own, on loopback in the same loop, are part of that time: `await asyncio.sleep(3)` in one of them is
three seconds of the call.
"""

from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agents.audio import resampled
from agents.tracing import Telemetry
from channels.carrier import ACCOUNT_SID, Account, CallEvent, CallReport, Dial, Network, Script, place_call, started
from channels.carrier.app_socket import App
from channels.carrier.call_recording import CallRecording
from channels.carrier.report import KeyPressed, StreamStarted
from gateway.on_trial import service_of
from tests.fake_http import FakeHttp
from tests.fake_openai import FakeSession
from tests.tones import sounding_ms

PUBLIC: Final = "https://gw.example.com"
TOKEN: Final = "test-token-0123456789abcdef"
CALLER: Final = "+15550100100"
US: Final = "+15550100200"


@dataclass(frozen=True)
class Told:
    """What came of one call. `events` is what was told of it while it went on."""

    report: CallReport
    account: Account
    events: list[CallEvent]

    @property
    def stream_ms(self) -> int:
        """When the media stream began: the caller's audio counts from there."""
        [began] = [event.at_ms for event in self.events if isinstance(event, StreamStarted)]
        return began

    @property
    def keys_ms(self) -> list[int]:
        """When each key was pressed."""
        return [event.at_ms for event in self.events if isinstance(event, KeyPressed)]

    @property
    def recording(self) -> CallRecording:
        """The one recording that was made of the call."""
        [recording] = [each for call in self.account.calls.values() for each in call.recordings.values()]
        return recording


@dataclass(frozen=True)
class ModelTold(Told):
    """What came of a call to a realtime model: `model` is the one conversation with it, `server` the tools' server."""

    model: FakeSession
    server: FakeHttp

    @property
    def outputs(self) -> list[str]:
        """What the model was told of its tools."""
        items = [message["item"] for message in self.model.messages("conversation.item.create")]
        return [item["output"] for item in items if item["type"] == "function_call_output"]

    def model_heard_ms(self, hz: float) -> int:
        """For how long the model was given a tone of this height to hear."""
        audio = [b64decode(message["audio"]) for message in self.model.messages("input_audio_buffer.append")]
        return sounding_ms(resampled(b"".join(audio), 24_000, 8000), hz)


async def call_folder(
    folder: Path,
    agent: str,
    script: Script,
    *,
    environment: Mapping[str, str] | None = None,
    telemetry: Telemetry | None = None,
    transcribe: Callable[[bytes], Awaitable[str]] | None = None,
    network: Network | None = None,
    line: Callable[[App], App] = lambda app: app,
) -> Told:
    """Calls the service of a folder whose one agent is `agent`, a YAML text. `line` may change what goes over it."""
    (folder / "agents").mkdir()
    (folder / "agents" / "practice.yaml").write_text(agent)
    (folder / "numbers.yaml").write_text("default: practice\n")
    account = Account(sid=ACCOUNT_SID, auth_token=TOKEN, public_url=PUBLIC)
    known = {"PUBLIC_URL": PUBLIC, "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_ACCOUNT_SID": ACCOUNT_SID}
    dial = Dial(public_url=PUBLIC, auth_token=TOKEN, from_number=CALLER, to_number=US)
    events: list[CallEvent] = []
    async with started(service_of(folder, {**known, **(environment or {})}, account, telemetry)) as app:
        account.app = line(app)
        report = await place_call(
            dial,
            script,
            on_event=events.append,
            transcribe=transcribe,
            network=network,
            app=account.app,
            account=account,
        )
    return Told(report, account, events)
