"""`audio: passthrough`: the telephone's own mu-law to the model and back. The call is the same, to the millisecond."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from agents import RealtimeAgent, RealtimeSession, mulaw
from agents.audio import DELAY_MS
from agents.barge_in import BargeInRules
from agents.errors import NotSupportedError
from agents.events import AudioInputAppend, Interrupted, ItemTruncate, Resumed, SessionEvent
from agents.history import HistoryItem
from agents.loader import check_agents
from agents.passthrough import passthrough_faults
from agents.providers import Fault
from agents.providers.scripted import ScriptedModel
from agents.realtime import PCM, PCMU, AudioFormat, Capabilities, SessionConfig
from agents.schema import AgentSpec, BrainSpec
from channels.carrier.call import Dial, place_call
from channels.carrier.caller import Script, Utterance
from channels.carrier.in_process import started
from channels.carrier.network import Network
from channels.carrier.recording import read_wav
from channels.carrier.report import CallReport
from channels.carrier.virtual_time import loop_time, run_virtual
from channels.memory import MemoryChannel
from gateway.app import make_app
from gateway.calls import Calls
from gateway.numbers import Numbers
from gateway.settings import read_settings
from tests.carrier_service import PUBLIC_URL, TOKEN, tone
from tests.reading_model import Pieces, ReadingModel
from tests.scene import Scene, play

HUMAN = mulaw.encode(read_wav(Path("tests/recordings/something-is-terribly-wrong.wav")))
"""Two and a half seconds of a woman's voice, as the telephone has it."""

LAST_REPLY = HUMAN[: 1511 * 8]
"""Its end is in the middle of a frame."""

NEAR, FAR = Network(), Network(rtt_ms=80, jitter_ms=10)
NETWORKS = [NEAR, Network(rtt_ms=80), FAR, Network(rtt_ms=120, jitter_ms=30, playback_delay_ms=70)]

INSIDE = [Pieces(90, 100), Pieces(30, 40), Pieces(390, 400)]
"""None ends where a frame ends. Then both ways send the same frames at the same time."""

AT_FRAMES = [Pieces(100, 100), Pieces(400, 400)]
"""All end where a frame ends: a resampler holds that frame back, for it still waits for the next 2 ms."""


@dataclass(frozen=True)
class Placed:
    """A call that was placed, what the model was sent in it, and what the session made of it."""

    report: CallReport
    model: ReadingModel
    told: list[SessionEvent]
    history: tuple[HistoryItem, ...]

    @property
    def truncated_ms(self) -> list[int]:
        return [event.audio_end_ms for event in self.model.sent if isinstance(event, ItemTruncate)]

    @property
    def heard(self) -> bytes:
        """What the caller heard, mu-law."""
        return b"".join(ulaw for _, ulaw in self.report.tape.played)

    @property
    def times(self) -> list[tuple[int, int]]:
        """When each frame sounded that the caller heard, and how much of it."""
        return [(at_ms, len(ulaw)) for at_ms, ulaw in self.report.tape.played]

    def side(self, channel: int) -> NDArray[np.float64]:
        """Of the recording: the caller's side is 0, the agent's 1."""
        return np.frombuffer(self.report.tape.stereo(), "<i2").reshape(-1, 2)[:, channel].astype(float)


@cache
def placed(audio_format: AudioFormat, network: Network, pieces: Pieces) -> Placed:
    """A call in which the caller coughs into the greeting, which goes on; interrupts it with words; interrupts the
    answer; and hears the last one out.
    """
    model = ReadingModel((HUMAN * 3, HUMAN * 2, LAST_REPLY), ("", "Wait, please.", "And thanks."), pieces)
    config = SessionConfig(input_format=audio_format, output_format=audio_format)
    rules = BargeInRules(resume_after_ms=1000)
    agent = RealtimeAgent(name="reader", model=model, greeting="Hello.", barge_in=rules, config=config)
    script = Script(utterances=tuple(Utterance(tone(ms)) for ms in (200, 400, 300)), interrupt_ms=1500)
    dial = Dial(public_url=PUBLIC_URL, auth_token=TOKEN, call_sid="CA" + "1" * 32)

    async def call() -> CallReport:
        settings = read_settings({"TWILIO_AUTH_TOKEN": TOKEN, "PUBLIC_URL": PUBLIC_URL})
        calls = Calls({"reader": agent}, 1, clock=loop_time)
        async with started(make_app(settings, {"reader": agent}, Numbers("reader", {}), calls)) as app:
            return await place_call(dial, script, app=app, network=network)

    report = run_virtual(call())
    assert report.is_good and model.session
    return Placed(report, model, model.told, model.session.history)


# ---- the same call, both ways ----


@pytest.mark.parametrize("pieces", INSIDE)
@pytest.mark.parametrize("network", NETWORKS)
def test_both_ways_give_the_same_marks_ledger_and_history(network: Network, pieces: Pieces) -> None:
    pcm16, passthrough = placed(PCM, network, pieces), placed(PCMU, network, pieces)

    assert pcm16.report == passthrough.report  # frames, marks, clears, what had sounded at each, turns, gaps
    assert pcm16.times == passthrough.times
    assert pcm16.model.sent == passthrough.model.sent
    assert (pcm16.told, pcm16.history) == (passthrough.told, passthrough.history)


def test_it_is_a_call_in_which_much_happens() -> None:
    call = placed(PCMU, FAR, INSIDE[0])

    assert [type(event) for event in call.told] == [Resumed, Interrupted, Interrupted]
    assert call.report.clears == 3
    assert [item.heard_text for item in call.history if item.role == "assistant"][-1] == "one two three four five"
    assert call.heard.endswith(LAST_REPLY + b"\xff" * (-len(LAST_REPLY) % 160))


@pytest.mark.parametrize("pieces", AT_FRAMES)
@pytest.mark.parametrize("network", NETWORKS)
def test_where_marks_lie_elsewhere_the_same_is_heard_and_known_within_milliseconds(
    network: Network, pieces: Pieces
) -> None:
    pcm16, passthrough = placed(PCM, network, pieces), placed(PCMU, network, pieces)

    assert pcm16.times == passthrough.times
    assert [clear.played_ms for clear in pcm16.report.clearings] == [
        clear.played_ms for clear in passthrough.report.clearings
    ]
    assert [type(event) for event in pcm16.model.sent] == [type(event) for event in passthrough.model.sent]
    assert passthrough.truncated_ms == pytest.approx(pcm16.truncated_ms, abs=1 + network.jitter_ms / 2)


# ---- what is recorded ----


def test_the_caller_is_recorded_the_same_and_the_agent_up_to_resampling() -> None:
    pcm16, passthrough = placed(PCM, FAR, INSIDE[0]), placed(PCMU, FAR, INSIDE[0])

    assert np.array_equal(pcm16.side(0), passthrough.side(0))
    transcoded, untouched = pcm16.side(1), passthrough.side(1)
    assert len(transcoded) == len(untouched)
    difference = transcoded - untouched
    assert 10 * np.log10(np.sum(untouched**2) / np.sum(difference**2)) > 40
    assert np.corrcoef(transcoded, untouched)[0, 1] > 0.9999
    levels = [
        10 * np.log10(np.mean(side.reshape(-1, 160) ** 2, axis=1) / 2**30 + 1e-9) for side in (transcoded, untouched)
    ]
    loud = levels[1] > -45
    assert np.count_nonzero(loud) > 200
    assert np.max(np.abs(levels[0] - levels[1])[loud]) < 0.5


# ---- byte for byte ----


def test_the_model_hears_the_callers_bytes_and_with_pcm16_the_same_samples_2_ms_later() -> None:
    pcm16, passthrough = placed(PCM, FAR, INSIDE[0]), placed(PCMU, FAR, INSIDE[0])
    said = b"".join(ulaw for _, ulaw in passthrough.report.tape.said)

    assert passthrough.model.heard == said
    every_third = np.frombuffer(pcm16.model.heard, "<i2")[::3]
    assert every_third.astype("<i2").tobytes() == mulaw.decode(said[: -8 * DELAY_MS])


def test_the_caller_hears_the_models_bytes_up_to_the_first_interruption_and_after_the_last() -> None:
    call = placed(PCMU, FAR, INSIDE[0])

    until_cough = int(call.report.clearings[0].played_ms) * 8
    assert until_cough > 1500 * 8
    assert call.heard[:until_cough] == (HUMAN * 3)[:until_cough]


# ---- silence ----


@pytest.mark.parametrize(
    ("audio_format", "bytes_per_ms", "silent"),
    [
        (PCM, 48, b"\x00"),
        (AudioFormat(sample_rate=16_000), 32, b"\x00"),
        (PCMU, 8, bytes([mulaw.SILENCE])),
        (AudioFormat(mime_type="audio/pcma", sample_rate=8000), 8, b"\xd5"),
    ],
)
def test_a_format_knows_how_long_its_bytes_sound_and_which_of_them_do_not(
    audio_format: AudioFormat, bytes_per_ms: int, silent: bytes
) -> None:
    assert audio_format.bytes_per_ms == bytes_per_ms
    assert audio_format.silence(3) == silent * 3


@pytest.mark.parametrize("audio_format", [PCM, PCMU])
def test_of_a_caller_who_is_muted_in_mid_speech_the_model_hears_silence(audio_format: AudioFormat) -> None:
    async def scene() -> None:
        async with Scene(MemoryChannel(audio_format)) as call:
            loud = b"\x10\x27" * (10 * audio_format.bytes_per_ms)
            await call.hears(20, loud)
            await call.begins_to_speak()
            await call.session.mute()
            await call.hears(20, loud)

            heard = [event.pcm for event in call.sent(AudioInputAppend) if isinstance(event, AudioInputAppend)]
            assert heard == [loud, audio_format.silence(len(loud))]

    play(scene)


# ---- what is refused ----


class Deaf(ScriptedModel):
    """Speaks mu-law and does not hear it."""

    capabilities = Capabilities(output_formats=(PCM, PCMU))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("model", "line", "config", "complaint"),
    [
        (ScriptedModel([]), PCMU, SessionConfig(), "carries audio/pcmu at 8000 Hz; input_format is audio/pcm at 24000"),
        (ScriptedModel([]), PCM, SessionConfig(input_format=PCMU, output_format=PCMU), "carries audio/pcm at 24000 Hz"),
        (Deaf([]), PCMU, SessionConfig(input_format=PCMU, output_format=PCMU), "which scripted/script does not"),
    ],
)
def test_a_session_whose_line_and_model_mean_other_audio_is_refused(
    model: ScriptedModel, line: AudioFormat, config: SessionConfig, complaint: str
) -> None:
    async def main() -> None:
        agent = RealtimeAgent(name="test", model=model, config=config)
        session = RealtimeSession(agent, channel=MemoryChannel(line))
        with pytest.raises(NotSupportedError, match=complaint):
            await session.connect()
        await session.close()

    run_virtual(main())


def test_the_check_finds_a_model_that_does_not_take_the_telephones_audio_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "hello.yaml").write_text("- say: Hello.\n")
    script = "script: {intents: [{name: a, examples: [a], answer: A.}]}\n"
    (tmp_path / "agents" / "embedded.yaml").write_text("model: local/script\naudio: passthrough\n" + script)
    (tmp_path / "agents" / "far.yaml").write_text("model: qwen/qwen3-omni-flash-realtime\naudio: passthrough\n")
    (tmp_path / "agents" / "right.yaml").write_text("model: scripted/hello.yaml\naudio: passthrough\n")

    agents, problems = check_agents(tmp_path)

    assert list(agents) == ["right"]
    places = [(problem.file.name, problem.line, problem.field) for problem in problems]
    assert places == [("embedded.yaml", 2, "audio"), ("far.yaml", 2, "audio")]
    assert all("must be pcm16" in problem.right for problem in problems)


def test_a_model_is_asked_what_it_takes_though_its_key_is_missing() -> None:
    brain = BrainSpec(url="http://127.0.0.1:1/v1", model="m", api_key_env="CHAT_API_KEY", temperature=None)
    chat = AgentSpec(model="local/chat", brain=brain, audio="passthrough")

    assert passthrough_faults(chat, Path()) == [
        Fault(("audio",), "passthrough, and local/chat hears and speaks no mu-law", "must be pcm16 for this model")
    ]
    assert passthrough_faults(chat.model_copy(update={"audio": "pcm16"}), Path()) == []
    assert passthrough_faults(AgentSpec(model="openai/gpt-realtime-2.1", audio="passthrough"), Path()) == []
