"""`<Conference>`: rooms in which calls of one account meet, by name."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from channels.carrier.address import joined
from channels.carrier.live_call import CutShort, LiveCall
from channels.carrier.report import CarrierPlayed
from channels.carrier.twiml_verbs import Conference

WAITING_MUSIC: Final = "http://twimlets.com/holdmusic?Bucket=com.twilio.music.classical"
"""What Twilio plays to who waits, unless it is told otherwise."""


@dataclass(slots=True, eq=False)
class Member:
    """A call in a room. `stirred` is set whenever something changes for it."""

    line: LiveCall
    conference: Conference
    stirred: asyncio.Event = field(default_factory=asyncio.Event)
    is_put_out: bool = False


class Room:
    """One conference, for as long as somebody is in it."""

    def __init__(self) -> None:
        self._members: list[Member] = []
        self._has_started = False

    @property
    def is_empty(self) -> bool:
        return not self._members

    def enter(self, member: Member) -> None:
        self._members.append(member)
        self._has_started = self._has_started or member.conference.starts
        self._stir()

    def leave(self, member: Member) -> None:
        """Takes a call out, and with it all others where its conference says so."""
        if member not in self._members:
            return
        self._members.remove(member)
        if member.conference.ends:
            for other in self._members:
                other.is_put_out = True
        self._stir()

    def met_by(self, member: Member) -> tuple[str, ...]:
        """The numbers of those whom this one talks with; none before the conference has begun."""
        if not self._has_started:
            return ()
        return tuple(other.line.party for other in self._members if other is not member and not other.is_put_out)

    def _stir(self) -> None:
        for member in self._members:
            member.stirred.set()


class Rooms:
    """The conferences of one account. There are never more than calls."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}

    def enter(self, member: Member) -> Room:
        room = self._rooms.setdefault(member.conference.name, Room())
        room.enter(member)
        return room

    def leave(self, member: Member) -> None:
        name = member.conference.name
        room = self._rooms[name]
        room.leave(member)
        if room.is_empty:
            del self._rooms[name]


class Meeting:
    """One call's time in a room: `talked_ms` with others, whose numbers are `joined_with`."""

    def __init__(self, line: LiveCall, rooms: Rooms, conference: Conference, url: str) -> None:
        """`url` is where the document came from that says so."""
        self._line = line
        self._rooms = rooms
        self._member = Member(line, conference)
        self._url = url
        self._met: dict[str, None] = {}
        self._talking_since_ms: int | None = None
        self._is_waiting = False
        self.talked_ms = 0

    @property
    def joined_with(self) -> tuple[str, ...]:
        return tuple(self._met)

    async def run(self, time_limit_s: float) -> None:
        """Stays until the conference is over for this call. Raises CutShort as `LiveCall.hold` does."""
        line, member = self._line, self._member
        until_ms = line.now_ms() + time_limit_s * 1000
        room = self._rooms.enter(member)
        try:
            while not member.is_put_out and line.now_ms() < until_ms:
                self._attend(room.met_by(member))
                left_s = (until_ms - line.now_ms()) / 1000
                await line.hold(min(left_s, self._talk_left_s()), stirred=member.stirred)
                if self._talk_left_s() <= 0:
                    raise CutShort("caller")
        finally:
            self._rooms.leave(member)
            self._count(())

    def _talk_left_s(self) -> float:
        """How long whoever was rung goes on talking."""
        talks_s = self._line.talks_s
        if talks_s is None or self._talking_since_ms is None:
            return float("inf")
        return talks_s - (self.talked_ms + self._line.now_ms() - self._talking_since_ms) / 1000

    def _attend(self, met: tuple[str, ...]) -> None:
        """Talks with them, or waits for somebody, which sounds like music."""
        self._count(met)
        wait_url = self._member.conference.wait_url
        if not (met or self._is_waiting or wait_url == ""):
            music = WAITING_MUSIC if wait_url is None else joined(self._url, wait_url)
            self._line.tell(CarrierPlayed(self._line.now_ms(), music))
        self._is_waiting = not met

    def _count(self, met: tuple[str, ...]) -> None:
        now_ms = self._line.now_ms()
        if met and self._talking_since_ms is None:
            self._talking_since_ms = now_ms
        elif not met and self._talking_since_ms is not None:
            self.talked_ms, self._talking_since_ms = self.talked_ms + now_ms - self._talking_since_ms, None
        self._met |= dict.fromkeys(met)
