"""How far apart two pieces of mu-law are: in codes, as the ear counts."""

from typing import Final

import numpy as np
from numpy.typing import NDArray


def _codes() -> NDArray[np.int16]:
    codes = np.arange(256, dtype=np.int16)
    return np.where(codes >= 0x80, 0xFF - codes, codes - 0x7F).astype(np.int16)


CODES: Final = _codes()
"""The codes of mu-law in the order of what they sound like; silence, of which there are two, is 0."""


def is_close(one: bytes, other: bytes) -> bool:
    """Whether no sample is more than one code of mu-law from the other's."""
    if len(one) != len(other):
        return False
    apart = CODES[np.frombuffer(one, np.uint8)] - CODES[np.frombuffer(other, np.uint8)]
    return bool(np.abs(apart).max(initial=0) <= 1)
