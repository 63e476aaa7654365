"""A call of three hours, in virtual time, over each provider that ends connections long before."""

import asyncio

import pytest

from agents.events import Closed, Error, ModelStep, Transcript
from tests.fake_ear import silence, tone
from tests.provider_call import ProviderCall
from tests.rig import Rig, Says
from tests.rigs import all_rigs
from tests.scene import play

HOURS = 3
TURN_EVERY_S = 300
PIECE_MS = 200
OVERLAP_MS = 1000
"""What two connections at most hear both of: the last moment before the second takes over."""

LIMITED = [rig for rig in all_rigs() if rig.name in ("deepgram", "gemini", "openai")]


class LongLine(ProviderCall):
    """Its telephone sends five pieces a second, not fifty: three hours are long enough."""

    async def sounds(self, sound: bytes, seconds: float) -> None:
        for _ in range(round(seconds * 1000) // PIECE_MS):
            self.channel.say(sound)
            self.sent_ms += PIECE_MS
            self.channel.play(PIECE_MS)
            await asyncio.sleep(PIECE_MS / 1000)


@pytest.mark.parametrize("make_rig", LIMITED, ids=[rig.name for rig in LIMITED])
def test_a_call_of_three_hours_loses_no_audio_keeps_its_history_and_greets_once(make_rig: type[Rig]) -> None:
    async def scene() -> None:
        rig = make_rig()
        longest_s = rig.model().capabilities.max_connection_s
        assert longest_s
        rig.will(Says("Good evening.", 400))
        turns = HOURS * 3600 // TURN_EVERY_S
        async with LongLine(rig, greeting="Good evening.", max_duration_s=HOURS * 3600 + 600) as call:
            await call.sounds(silence(PIECE_MS), 10)
            for number in range(turns):
                rig.will(Says(f"Answer {number}.", 2000))
                await call.sounds(tone(PIECE_MS), 1)
                await call.sounds(silence(PIECE_MS), TURN_EVERY_S - 1)

            steps = [step.step for step in call.seen(ModelStep)]
            heard_ms = sum(rig.heard_ms(index) for index in range(rig.connections))
            said = [(each.role, each.text) for each in call.seen(Transcript)]
            assert set(steps) == {"renewed"}
            assert len(steps) == rig.connections - 1 >= HOURS * 3600 // longest_s
            assert call.sent_ms - PIECE_MS <= heard_ms <= call.sent_ms + OVERLAP_MS * rig.connections
            assert said.count(("assistant", "Good evening.")) == 1
            assert [text for role, text in said if role == "assistant"][1:] == [f"Answer {n}." for n in range(turns)]
            assert sum(item.role == "user" for item in call.session.history) == turns
            assert not call.seen(Error) and not call.seen(Closed)
        assert rig.violations == []

    play(scene)
