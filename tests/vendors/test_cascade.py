"""The fakes of a cascade's parts, and what our codecs say, judged by the vendors' own clients and types."""

import asyncio
import inspect
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

pytest.importorskip("deepgram")
pytest.importorskip("cartesia")
pytest.importorskip("elevenlabs")

import cartesia.types as cartesia_types
import elevenlabs.types as eleven_types
from cartesia import AsyncCartesia
from cartesia.types.websocket_client_event import CancelContextRequest
from cartesia.types.websocket_response import Chunk, Done, Error
from deepgram import AsyncDeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v1 import types as nova_types
from deepgram.listen.v1.client import AsyncV1Client as NovaClient
from deepgram.listen.v2 import types as flux_types
from deepgram.listen.v2.client import AsyncV2Client as FluxClient
from deepgram.speak.v1 import types as aura_types
from deepgram.speak.v1.client import AsyncV1Client as AuraClient
from elevenlabs import ElevenLabs, VoiceSettings
from pydantic import BaseModel

from agents.cascade import listening, voices
from agents.cascade.remote_mouth import Manner
from agents.cascade_spec import ListenSpec, SpeakSpec
from agents.events import (
    AudioInputAppend,
    AudioInputCommit,
    ItemCreate,
    ResponseCancel,
    ResponseCreate,
)
from agents.realtime import PCMU, SessionConfig, TurnDetection, Voice
from tests import fake_cartesia, fake_deepgram_listen, fake_elevenlabs_speech
from tests.fake_cartesia import FakeCartesia
from tests.fake_deepgram_listen import FakeDeepgramListen
from tests.fake_deepgram_speak import FakeDeepgramSpeak
from tests.fake_ear import silence, tone
from tests.fake_elevenlabs_speech import FakeElevenLabsSpeech
from tests.fake_net import FakeService, Hearer, Json, Wire, served

PATIENCE_S = 10
LIVELY = SessionConfig(input_format=PCMU, output_format=PCMU)


# ---- judging ----


def judged(kind: type[BaseModel], message: Mapping[str, Any]) -> None:
    """The message is one of this kind: every required field, no unknown one, here and in what it holds."""
    parsed = kind.model_validate(message)
    names = {name for field, info in kind.model_fields.items() for name in (field, info.alias) if name}
    assert set(message) <= names, f"unknown in {kind.__name__}: {sorted(set(message) - names)}"
    for value in parsed.__dict__.values():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, BaseModel):
                extra = each.model_extra or {}
                assert not extra, f"unknown in {type(each).__name__}: {sorted(extra)}"


class Spy(FakeService):
    """Keeps what a fake says, in JSON."""

    def __init__(self, service: FakeService) -> None:
        self._service = service
        self.said: list[Json] = []

    async def accept(self, url: str, headers: Mapping[str, str], wire: Wire) -> Hearer:
        return await self._service.accept(url, headers, SpyWire(wire, self.said))


class SpyWire(Wire):
    def __init__(self, wire: Wire, said: list[Json]) -> None:
        self._wire = wire
        self._said = said

    async def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self._said.append(orjson.loads(message))
        await self._wire.send(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._wire.close(code, reason)

    def drop(self) -> None:
        self._wire.drop()


def deepgram(base_url: str, key: str = fake_deepgram_listen.KEY) -> AsyncDeepgramClient:
    ws = base_url.replace("http", "ws")
    where = DeepgramClientEnvironment(base=base_url, production=ws, agent=ws, agent_rest=base_url)
    return AsyncDeepgramClient(api_key=key, environment=where)


@asynccontextmanager
async def listening_to(connection: Any) -> AsyncIterator[list[Any]]:
    """What the client reads, as it comes."""
    read: list[Any] = []

    async def listen() -> None:
        async for message in connection:
            read.append(message)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(listen())
        yield read
        task.cancel()


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 the vendors tell nobody that they read something
            await asyncio.sleep(0.01)


def names(read: list[Any]) -> list[str]:
    return [getattr(each, "event", None) or getattr(each, "type", "audio") for each in read]


# ---- Deepgram Flux ----


def test_deepgrams_client_has_a_turn_with_the_fake_flux() -> None:
    async def main() -> None:
        spy = Spy(fake := FakeDeepgramListen())
        async with (
            served(spy) as base_url,
            deepgram(base_url).listen.v2.connect(
                model="flux-general-en", encoding="mulaw", sample_rate="8000", eot_timeout_ms="5000"
            ) as connection,
            listening_to(connection) as read,
        ):
            await connection.send_media(tone(800, PCMU) + silence(700, PCMU))
            await until(lambda: "EndOfTurn" in names(read))
            await connection.send_media(tone(400, PCMU))
            await connection.send_force_end_turn()
            await until(lambda: names(read).count("EndOfTurn") == 2)
            await connection.send_close_stream()
        assert names(read)[:4] == ["Connected", "StartOfTurn", "Update", "EndOfTurn"]
        assert read[3].transcript == fake.words
        for message in spy.said:
            kind = {"Connected": flux_types.ListenV2Connected, "TurnInfo": flux_types.ListenV2TurnInfo}
            judged(kind[message["type"]], message)
        assert fake.violations == []

    asyncio.run(main())


def test_what_flux_is_asked_and_told_is_deepgrams() -> None:
    listen = ListenSpec(
        provider="deepgram-flux", keyterms=("Quillbrook", "Ann"), eot_threshold=0.8, eot_timeout_ms=6000
    )
    address, codec = listening.recogniser(listen, LIVELY, "k")

    asked = parse_qs(urlsplit(address.url).query)
    assert asked.keys() <= inspect.signature(FluxClient.connect).parameters.keys()
    assert asked["keyterm"] == ["Quillbrook", "Ann"] and asked["encoding"] == ["mulaw"]
    [*chunks, told] = codec.encode(AudioInputAppend(silence(80, PCMU))), *codec.encode(AudioInputCommit())
    assert chunks
    judged(flux_types.ListenV2ForceEndTurn, orjson.loads(told))


def test_deepgrams_error_is_what_the_fake_flux_says_of_a_message_it_does_not_know() -> None:
    async def main() -> None:
        spy = Spy(FakeDeepgramListen())
        async with (
            served(spy) as base_url,
            deepgram(base_url).listen.v2.connect(model="flux-general-en", encoding="mulaw", sample_rate="8000") as con,
        ):
            await con._send({"type": "Nonsense"})
            await until(lambda: len(spy.said) == 2)
        judged(flux_types.ListenV2FatalError, {k: v for k, v in spy.said[1].items() if k != "request_id"})

    asyncio.run(main())


# ---- Deepgram Nova ----


def test_deepgrams_client_has_a_turn_with_the_fake_nova() -> None:
    async def main() -> None:
        spy = Spy(fake := FakeDeepgramListen())
        async with (
            served(spy) as base_url,
            deepgram(base_url).listen.v1.connect(
                model="nova-3",
                encoding="mulaw",
                sample_rate="8000",
                interim_results="true",
                endpointing="300",
                utterance_end_ms="1000",
                vad_events="true",
            ) as connection,
            listening_to(connection) as read,
        ):
            await connection.send_keep_alive()
            await connection.send_media(tone(800, PCMU) + silence(700, PCMU))
            await until(lambda: "UtteranceEnd" in names(read))
            await connection.send_finalize()
            await until(lambda: getattr(read[-1], "from_finalize", False))
            await connection.send_close_stream()
        kinds = {
            "Results": nova_types.ListenV1Results,
            "SpeechStarted": nova_types.ListenV1SpeechStarted,
            "UtteranceEnd": nova_types.ListenV1UtteranceEnd,
        }
        for message in spy.said:
            judged(kinds[message["type"]], message)
        assert {message["type"] for message in spy.said} == kinds.keys()
        assert fake.violations == []

    asyncio.run(main())


@pytest.mark.parametrize("turns", [TurnDetection(silence_duration_ms=500), TurnDetection(mode="manual")])
def test_what_nova_is_asked_and_told_is_deepgrams(turns: TurnDetection) -> None:
    listen = ListenSpec(provider="deepgram-nova", language="de", keyterms=("Ann",))
    address, codec = listening.recogniser(listen, SessionConfig(input_format=PCMU, turn_detection=turns), "k")

    assert parse_qs(urlsplit(address.url).query).keys() <= inspect.signature(NovaClient.connect).parameters.keys()
    [told] = codec.encode(AudioInputCommit())
    judged(nova_types.ListenV1Finalize, orjson.loads(told))
    assert codec.keepalive
    judged(nova_types.ListenV1KeepAlive, orjson.loads(codec.keepalive.message))


# ---- Deepgram Aura ----


def test_deepgrams_client_is_spoken_to_by_the_fake_aura() -> None:
    async def main() -> None:
        spy = Spy(fake := FakeDeepgramSpeak())
        async with (
            served(spy) as base_url,
            deepgram(base_url).speak.v1.connect(
                model="aura-2-thalia-en", encoding="mulaw", sample_rate="8000"
            ) as connection,
            listening_to(connection) as read,
        ):
            await connection.send_text(aura_types.SpeakV1Text(text="Hello there."))
            await connection.send_flush()
            await until(lambda: "Flushed" in names(read))
            await connection.send_clear()
            await until(lambda: "Cleared" in names(read))
            await connection.send_close()
        sound = b"".join(each for each in read if isinstance(each, bytes))
        assert len(sound) == 8 * fake.voice.length("Hello there.")
        kinds: dict[str, type[BaseModel]] = {
            "Metadata": aura_types.SpeakV1Metadata,
            "Flushed": aura_types.SpeakV1Flushed,
            "Cleared": aura_types.SpeakV1Cleared,
        }
        for message in spy.said:
            judged(kinds[message["type"]], message)
        assert fake.violations == []

    asyncio.run(main())


def test_what_aura_is_asked_and_told_is_deepgrams() -> None:
    speak = SpeakSpec(provider="deepgram", voice="aura-2-thalia-en")
    address, codec = voices.voice_line(speak, Manner(Voice(speed=1.1), PCMU), "k")

    assert parse_qs(urlsplit(address.url).query).keys() <= inspect.signature(AuraClient.connect).parameters.keys()
    kinds = {"Speak": aura_types.SpeakV1Text, "Flush": aura_types.SpeakV1Flush, "Clear": aura_types.SpeakV1Clear}
    for event in (ItemCreate("assistant", "Hello.", "a"), ResponseCreate("a"), ResponseCancel("a")):
        for told in map(orjson.loads, codec.encode(event)):
            judged(kinds[told["type"]], told)


def test_deepgrams_client_is_refused_by_the_fakes_with_a_wrong_key() -> None:
    async def main() -> None:
        for fake in (FakeDeepgramListen(), FakeDeepgramSpeak()):
            async with served(fake) as base_url:
                client = deepgram(base_url, "wrong")
                way = client.listen.v2 if isinstance(fake, FakeDeepgramListen) else client.speak.v1
                model = "flux-general-en" if isinstance(fake, FakeDeepgramListen) else "aura-2-thalia-en"
                with pytest.raises(Exception, match="401"):
                    async with way.connect(model=model, encoding="mulaw", sample_rate="8000"):
                        pass

    asyncio.run(main())


# ---- Cartesia ----


def test_cartesias_client_is_spoken_to_by_the_fake() -> None:
    async def main() -> None:
        spy = Spy(fake := FakeCartesia())
        async with served(spy) as base_url:
            client = AsyncCartesia(
                api_key=fake_cartesia.KEY, base_url=base_url, websocket_base_url=base_url.replace("http", "ws")
            )
            async with client.tts.websocket_connect() as connection:
                context = connection.context(
                    model_id="sonic-3",
                    voice={"mode": "id", "id": "v"},
                    output_format={"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000},
                )
                await context.push("Hello there. ")
                await context.push("And again. ")
                await context.no_more_inputs()
                sound = b""
                async for event in context.receive():
                    if event.type == "chunk" and event.audio:
                        sound += event.audio
                stopped = connection.context(
                    model_id="sonic-3",
                    voice={"mode": "id", "id": "v"},
                    output_format={"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000},
                )
                await stopped.push("Never mind. ")
                await stopped.cancel()
                await connection.send({"context_id": "x", "transcript": ""})
                await until(lambda: any(message["type"] == "error" for message in spy.said))
        assert len(sound) == 8 * (fake.voice.length("Hello there.") + fake.voice.length("And again."))
        assert len(fake.calls[0].cancelled) == 1
        kinds: dict[str, type[BaseModel]] = {"chunk": Chunk, "done": Done, "error": Error}
        for message in spy.said:
            judged(kinds[message["type"]], message)
        assert len(fake.violations) == 1  # the request without its fields

    asyncio.run(main())


def test_what_cartesia_is_told_is_cartesias() -> None:
    speak = SpeakSpec(provider="cartesia", voice="v", language="en", options={"pronunciation_dict_id": "d"})
    _, codec = voices.voice_line(speak, Manner(Voice(voice_id="v", speed=1.1), PCMU), "k")

    for event in (ItemCreate("assistant", "Hello.", "a"), ResponseCreate("a")):
        for told in codec.encode(event):
            judged(cartesia_types.GenerationRequest, orjson.loads(told))
    [told] = codec.encode(ResponseCancel("a"))
    judged(CancelContextRequest, orjson.loads(told))


# ---- ElevenLabs ----


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of 127.0.0.1, made for this run: the client insists on TLS."""
    folder = tmp_path_factory.mktemp("tls")
    key, file = folder / "key.pem", folder / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, "-keyout", str(key), "-out", str(file)], check=True, capture_output=True)
    yield file


def test_elevenlabs_client_is_spoken_to_by_the_fake(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.parent / "key.pem")
    spy = Spy(fake := FakeElevenLabsSpeech())
    ready, over = threading.Event(), threading.Event()
    where: list[str] = []

    async def serve() -> None:
        async with served(spy, context) as base_url:
            where.append(base_url)
            ready.set()
            await asyncio.to_thread(over.wait)

    server = threading.Thread(target=asyncio.run, args=(serve(),))
    server.start()
    try:
        assert ready.wait(PATIENCE_S)
        client = ElevenLabs(api_key=fake_elevenlabs_speech.KEY, base_url=where[0])
        sound = b"".join(
            client.text_to_speech.convert_realtime(
                "v",
                text=iter(["Hello there. ", "And again. "]),
                model_id="eleven_flash_v2_5",
                output_format="ulaw_8000",
                voice_settings=VoiceSettings(speed=1.0),
            )
        )
    finally:
        over.set()
        server.join()
    assert fake.calls[0].contexts[""].split() == ["Hello", "there.", "And", "again."]
    assert len(sound) == 8 * sum(map(fake.voice.length, fake.voice.spoken))
    assert fake.calls[0].voice == "v"
    assert fake.violations == []


def test_what_elevenlabs_is_told_and_what_the_fake_says_are_elevenlabs() -> None:
    speak = SpeakSpec(provider="elevenlabs", voice="v", language="en")
    _, codec = voices.voice_line(speak, Manner(Voice(voice_id="v", speed=1.1), PCMU), "k")

    first, text = map(orjson.loads, codec.encode(ItemCreate("assistant", "Hello.", "a")))
    judged(eleven_types.InitializeConnectionMulti, first)
    judged(eleven_types.SendTextMulti, text)
    [end] = map(orjson.loads, codec.encode(ResponseCreate("a")))
    judged(eleven_types.CloseContext, end)

    async def main() -> None:
        spy = Spy(FakeElevenLabsSpeech())
        async with served(spy) as base_url:
            import websockets

            address, codec = voices.voice_line(
                speak.model_copy(update={"base_url": base_url}),
                Manner(Voice(voice_id="v"), PCMU),
                fake_elevenlabs_speech.KEY,
            )
            async with websockets.connect(address.url, additional_headers=address.headers) as socket:
                for event in (ItemCreate("assistant", "Hello.", "a"), ResponseCreate("a")):
                    for told in codec.encode(event):
                        await socket.send(told)
                await until(lambda: "isFinal" in spy.said[-1] if spy.said else False)
        for message in spy.said:
            is_last = "isFinal" in message
            judged(eleven_types.FinalOutputMulti if is_last else eleven_types.AudioOutputMulti, message)

    asyncio.run(main())
