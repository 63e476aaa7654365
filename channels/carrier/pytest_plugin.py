"""The pytest fixture `carrier`, with which an operator's tests telephone an agent. Installing this package brings it.

    from channels.carrier import Network
    from gateway.on_trial import service_of

    def test_callers_learn_the_opening_hours(carrier):
        app = service_of("config", carrier.environment)
        report = carrier.call(app, say=["When are you open?"], is_transcribed=True, network=Network(rtt_ms=80))
        assert report.is_good and report.playout_gaps == 0
        assert "eight in the morning" in report.turns[0].heard
        assert report.turns[0].reply_ms < 1500

    def test_a_goodbye_ends_the_call(carrier):
        app = service_of("config", carrier.environment)
        assert carrier.call(app, say=["That is all, goodbye."], stays=True).ended_by == "agent"

An application is called in this process and in virtual time: a test takes as long as the work in it, and its figures
are the same every time. That is for the embedded agent and for scripts, whose work is done in this process and its
workers; virtual time leaves no time for a model that is reached over a network. Start a service with such a model, and
give its address ("http://127.0.0.1:8080"): it is called over the network, in real time. What comes back is a
`CallReport`.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from agents import mulaw
from agents.audio import PCM_RATE_HZ, resampled
from agents.errors import ConfigError
from channels.carrier.account import Account, Callee
from channels.carrier.app_socket import App
from channels.carrier.call import ACCOUNT_SID, Dial, place_call
from channels.carrier.caller import WAIT_S, Script, Utterance
from channels.carrier.in_process import started
from channels.carrier.network import Network
from channels.carrier.recording import read_wav
from channels.carrier.report import CallReport
from channels.carrier.virtual_time import in_real_time, run_virtual

if TYPE_CHECKING:
    from agents.local.speech import Speech

PUBLIC_URL: Final = "https://gateway.example.com"
AUTH_TOKEN: Final = "the-auth-token-of-no-account"

_ENGINES: Final = ("hibari", "moonshine_voice")

Line = str | bytes | Path | Utterance
"""What a caller says: words for the embedded agent's voice, PCM16 mono 8 kHz, a WAV file, or an Utterance."""


@pytest.fixture(scope="session")
def carrier() -> Iterator["Carrier"]:
    """A simulated Twilio to call agents with; see `Carrier.call`. Its voice and ears are loaded once, if at all."""
    with ExitStack() as kept:
        yield Carrier(kept)


class Carrier:
    """Makes calls for tests. What it loads for them is kept until `kept` is closed."""

    def __init__(self, kept: ExitStack) -> None:
        self._kept = kept
        self._loaded: Speech | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings of a service that this carrier may call: its address, account and token."""
        return {"PUBLIC_URL": PUBLIC_URL, "TWILIO_ACCOUNT_SID": ACCOUNT_SID, "TWILIO_AUTH_TOKEN": AUTH_TOKEN}

    def new_account(self, callees: Mapping[str, Callee] | None = None) -> Account:
        """An account for a service to use the REST API of. `callees` are whom it may ring, by their number."""
        return Account(sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, public_url=PUBLIC_URL, callees=callees or {})

    def call(
        self,
        service: App | str,
        *,
        say: Sequence[Line] = (),
        digits: str = "",
        wait_s: float = WAIT_S,
        interrupt_ms: int | None = None,
        stays: bool = False,
        hang_up_after_s: float | None = None,
        from_number: str = "+15550100100",
        to_number: str = "+15550100200",
        network: Network | None = None,
        account: Account | None = None,
        is_transcribed: bool = False,
        public_url: str | None = None,
        auth_token: str = AUTH_TOKEN,
    ) -> CallReport:
        """Makes one call and reports what the caller got of it.

        `service` is an ASGI application, made with `environment`, as `gateway.on_trial.service_of` makes it; it is
        started and stopped for this one call. Or it is the address of a service that runs, which signs for
        `public_url` (when that is another address) and `auth_token`.

        `say` are the caller's utterances, each after the agent's reply to the one before; `digits`, `wait_s`,
        `interrupt_ms`, `stays` and `hang_up_after_s` are those of a `Script`. `network` is a bad one to try; `account`
        is whose REST API the service uses (see `new_account`). `is_transcribed` lets the report say in words what the
        agent said. Words to say, and to transcribe, need the embedded agent's voice and ears: raises ConfigError where
        they are not installed, and for a file that cannot be read.
        """
        script = Script(
            utterances=tuple(self._utterance(line) for line in say),
            digits=digits,
            wait_s=wait_s,
            interrupt_ms=interrupt_ms,
            stays=stays,
            hang_up_after_s=hang_up_after_s,
        )
        transcribe = self._transcribe if is_transcribed else None
        if isinstance(service, str):
            dial = Dial(
                public_url=public_url or service,
                local_url=service,
                auth_token=auth_token,
                from_number=from_number,
                to_number=to_number,
            )
            return asyncio.run(place_call(dial, script, transcribe=transcribe, network=network, account=account))
        dial = Dial(
            public_url=public_url or PUBLIC_URL, auth_token=auth_token, from_number=from_number, to_number=to_number
        )
        app: App = service

        async def in_process() -> CallReport:
            async with started(app) as running:
                if account:
                    account.app = running
                return await place_call(
                    dial, script, transcribe=transcribe, network=network, app=running, account=account
                )

        return run_virtual(in_process())

    def _utterance(self, line: Line) -> Utterance:
        match line:
            case str(text):
                pcm = asyncio.run(self._speech().synthesize(text))
                return Utterance(resampled(pcm, PCM_RATE_HZ, mulaw.RATE_HZ), text)
            case bytes(pcm16_8k):
                return Utterance(pcm16_8k)
            case Path() as path:
                return Utterance(read_wav(path))
            case utterance:
                return utterance

    async def _transcribe(self, pcm: bytes) -> str:
        return await in_real_time(self._speech().transcribe(pcm))

    def _speech(self) -> "Speech":
        missing = [name.replace("_", "-") for name in _ENGINES if find_spec(name) is None]
        if missing:
            cure = "give a WAV file, or run: python -m pip install 'voice-gateway[local]'"
            raise ConfigError(f"words need a voice and ears: not installed are {' and '.join(missing)}; {cure}")
        if self._loaded is None:
            from agents.local.speech import kept_speech_workers

            self._loaded = self._kept.enter_context(kept_speech_workers())
        return self._loaded
