"""Which worker a request is for: the one that its path names, that has its call, or that has the least to do."""

import hashlib
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from gateway.addresses import TWILIO, VOICE_PATH
from gateway.calls_api import CALLS_PATH
from gateway.workers.board import Board

PREFIX: Final = re.compile(r"/twilio/w/([1-9][0-9]{0,2})(?=/)")
PLACED: Final = re.compile(r"/calls/out_([1-9][0-9]{0,2})_")

MAX_FIELDS: Final = 200
"""As many as a webhook may have."""

EVEN: Final = 32
"""A caller is taken where the request came in, and not sent to another worker, while that one has less than a
thirty-second fewer calls: a difference of 3 % is less than that between any two calls.
"""


def prefix_in(path: str) -> str:
    """The part of a path that names a worker; empty where none is named."""
    found = PREFIX.match(path)
    return found[0] if found else ""


def named(path: str) -> int | None:
    """The worker that a path names."""
    found = PREFIX.match(path) or PLACED.match(path)
    return int(found[1]) if found else None


def by_key(key: str, workers: int) -> int:
    """The worker for a request to place a call that may come again: always the same one."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") % workers + 1


def destination(board: Board, here: int, method: str, path: str, headers: Mapping[str, str], form: bytes) -> int | None:
    """The worker that a request is for; None for whoever has the least to do. `form` is the query, a form, or both.

    `here` is the worker that it came in at. It keeps what every worker can answer.
    """
    worker = named(path)
    if worker is not None:
        return worker if worker <= board.workers else here
    if path == CALLS_PATH and method == "POST":
        key = headers.get("idempotency-key")
        return by_key(key, board.workers) if key else None
    if not path.startswith(TWILIO):
        return here
    owner = board.owner(_call_sid(form))
    return owner if owner is not None or path == VOICE_PATH else here


def least_busy(board: Board, here: int, on_the_way: Mapping[int, int]) -> int:
    """Who takes the next call: the ready worker with the fewest, `here` where that is as good.

    Those that went to a worker and are not let in yet count as well.
    """
    has = {number: board.calls(number) + on_the_way.get(number, 0) for number in board.ready}
    if not has:
        return here
    best = min(has, key=has.__getitem__)
    return here if here in has and has[here] <= has[best] + has[best] // EVEN else best


def _call_sid(form: bytes) -> str:
    try:
        fields = parse_qs(form.decode("utf-8"), max_num_fields=MAX_FIELDS)
    except ValueError:
        return ""
    return fields.get("CallSid", [""])[-1]
