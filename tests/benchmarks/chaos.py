"""Calls whose models' connections die at random moments: what becomes of them, and how long their callers wait.

    python -m tests.benchmarks.chaos [--calls 100] [--providers openai gemini] [--deaths 3] [--seed 1] [--json]

Whole calls through the service, in virtual time, over the providers' fakes. The first provider serves, the others stand
by. Each call's connections are cut `--deaths` times, on average; now and then a provider refuses all connections for
some seconds, and in one window all of them do. A call then ends with the apology. Prints how many calls went on through
it all, how many ended with the apology, the longest that a call was without a model before either, and the longest that
a caller who had spoken waited for a reply. The exit code is 1 when a call met anything else.
"""

import argparse
import asyncio
import json
import logging
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from agents import RealtimeAgent
from agents.candidates import Candidate
from agents.events import Closed, ModelStep
from agents.lasting import LastingModel
from agents.realtime import SessionConfig, Transcription
from channels.carrier import Dial, Script, Utterance, loop_time, place_call, run_virtual, started
from gateway.app import make_app
from gateway.calls import Calls
from gateway.numbers import Numbers
from gateway.settings import read_settings
from tests.carrier_service import silence, tone
from tests.rig import Rig, Says
from tests.rigs import all_rigs
from tests.through import through

PUBLIC = "https://gw.example.com"
TOKEN = "test-token-0123456789abcdef"
TURNS = 8
REPLY_MS = 3000
CALL_S = TURNS * 6.0
BEGIN_WITHIN_S = 20.0
"""Calls begin at random within so long."""


@dataclass
class Fate:
    """What became of one call. Times are seconds; `gaps_s` is each time without a model."""

    went_on: int = 0
    gaps_s: list[float] = field(default_factory=list)
    apology: bool = False
    waits_s: list[float] = field(default_factory=list)
    ended_by: str = ""
    errors: tuple[str, ...] = ()
    _lost_at: float | None = None

    def step(self, event: ModelStep) -> None:
        now = loop_time()
        if event.step == "failed":
            self._lost_at = self._lost_at or now
        elif self._lost_at is not None:
            self.went_on += 1
            self._over(now)

    def closed(self, event: Closed) -> None:
        if event.reason == "provider":
            self._over(loop_time())

    def _over(self, now: float) -> None:
        if self._lost_at is not None:
            self.gaps_s.append(now - self._lost_at)
            self._lost_at = None


async def chaos(rigs: Sequence[Rig], count: int, deaths: float, seed: int) -> list[Fate]:
    chance = random.Random(seed)
    model = LastingModel([Candidate(through(rig)) for rig in rigs])
    config = SessionConfig(transcription=Transcription())
    agent = RealtimeAgent(name="chaos", model=model, greeting="Hello.", config=config)
    for rig in rigs:
        rig.will(*[Says("There is a good deal to know, and all of it is in the book.", REPLY_MS)] * count * TURNS * 3)
    settings = read_settings({"PUBLIC_URL": PUBLIC, "TWILIO_AUTH_TOKEN": TOKEN})
    calls = Calls({"chaos": agent}, count, clock=loop_time)
    fates = [Fate() for _ in range(count)]
    async with started(make_app(settings, {"chaos": agent}, Numbers("chaos", {}), calls)) as app:

        async def one(number: int, fate: Fate) -> None:
            await asyncio.sleep(chance.uniform(0, BEGIN_WITHIN_S))
            sid = f"CA{number:032x}"
            speech = tone(1200) + silence(300)
            script = Script(utterances=(Utterance(speech, "And then?"),) * TURNS)
            dial = Dial(public_url=PUBLIC, auth_token=TOKEN, call_sid=sid)
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(watch(sid, fate))
                report = await place_call(dial, script, app=app)
                watching.cancel()
            fate.apology = bool(report.carrier_said)
            fate.waits_s = [turn.reply_ms / 1000 for turn in report.turns if turn.reply_ms is not None]
            fate.ended_by, fate.errors = report.ended_by, report.errors

        async def watch(sid: str, fate: Fate) -> None:
            while (call := calls.live(sid)) is None:  # noqa: ASYNC110 nothing tells of a new call
                await asyncio.sleep(0.01)
            call.session.on("model", fate.step)
            call.session.on("closed", fate.closed)
            await asyncio.Event().wait()

        async def kill() -> None:
            while True:
                await asyncio.sleep(chance.expovariate(deaths * count / CALL_S))
                rig = chance.choice(rigs)
                if rig.connections:
                    rig.drop(chance.randrange(max(0, rig.connections - count), rig.connections))

        async def refuse() -> None:
            for which in (rigs[:1], rigs, rigs[:1]):
                await asyncio.sleep(15)
                for rig in which:
                    rig.refuse("unavailable")
                await asyncio.sleep(6)
                for rig in which:
                    rig.refuse(None)

        async with asyncio.TaskGroup() as tasks:
            trouble = [tasks.create_task(kill()), tasks.create_task(refuse())]
            await asyncio.gather(*(one(number, fate) for number, fate in enumerate(fates)))
            for each in trouble:
                each.cancel()
    return fates


def summary(fates: Sequence[Fate]) -> dict[str, object]:
    gaps = [gap for fate in fates for gap in fate.gaps_s]
    waits = [wait for fate in fates for wait in fate.waits_s]
    apologised = [fate for fate in fates if fate.apology]
    return {
        "calls": len(fates),
        "connections_lost": sum(len(fate.gaps_s) for fate in fates),
        "went_on": sum(fate.went_on for fate in fates),
        "calls_that_went_on_to_their_end": sum(not fate.apology and fate.ended_by == "caller" for fate in fates),
        "calls_that_ended_with_the_apology": len(apologised),
        "calls_that_met_anything_else": sum(is_strange(fate) for fate in fates),
        "longest_without_a_model_s": round(max(gaps, default=0.0), 2),
        "longest_wait_for_a_reply_s": round(max(waits, default=0.0), 2),
        "violations": 0,
    }


def is_strange(fate: Fate) -> bool:
    if fate.apology:
        return fate.ended_by != "agent"
    return bool(fate.errors) or fate.ended_by != "caller"


def main() -> int:
    by_name = {rig.name: rig for rig in all_rigs()}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--providers", nargs="+", default=["openai", "gemini"], choices=sorted(by_name))
    parser.add_argument("--deaths", type=float, default=3, help="of each call's connections, on average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    rigs = [by_name[name]() for name in options.providers]
    fates = run_virtual(chaos(rigs, options.calls, options.deaths, options.seed))
    found = summary(fates) | {"violations": sum(len(rig.violations) for rig in rigs)}
    if options.json:
        print(json.dumps(found | {"fates": [asdict(fate) for fate in fates]}))
    else:
        for name, value in found.items():
            print(f"{name.replace('_', ' '):36} {value}")
    return int(bool(found["calls_that_met_anything_else"] or found["violations"]))


if __name__ == "__main__":
    raise SystemExit(main())
