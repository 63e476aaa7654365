"""What Twilio asks about by a name that tells nothing to anybody else: the transfers of calls."""

import secrets
from collections import OrderedDict
from typing import Final, Protocol, TypeVar

MAX_ERRANDS: Final = 1000
"""Those that are under way, and the latest of those that are over: Twilio asks for a whisper, and tells of a leg's end,
when the call of the session is long over.
"""


class Errand(Protocol):
    """Something that Twilio is doing for a call."""

    @property
    def call_sid(self) -> str: ...

    @property
    def is_forgettable(self) -> bool:
        """Whether it needs to hear of nothing any more once its call is over."""


E = TypeVar("E", bound=Errand)


class Errands:
    """Every errand by its name, which nobody can guess. They are forgotten with their call, when they can be."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Errand] = OrderedDict()

    def add(self, errand: Errand) -> str:
        """Gives its name."""
        name = secrets.token_urlsafe(16)
        self._known[name] = errand
        while len(self._known) > MAX_ERRANDS:
            self._known.popitem(last=False)
        return name

    def find(self, name: str, kind: type[E]) -> E | None:
        """The errand of that name; None when it is forgotten, never was, or is of another kind."""
        errand = self._known.get(name)
        return errand if isinstance(errand, kind) else None

    def forget(self, call_sid: str) -> None:
        """The call is over at Twilio."""
        for name, errand in list(self._known.items()):
            if errand.call_sid == call_sid and errand.is_forgettable:
                del self._known[name]
