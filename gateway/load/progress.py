"""Says how far a measurement is: on a terminal in one line that is written over, elsewhere a line for each step."""

import shutil
from typing import TextIO


class Progress:
    """Writes to one stream, standard error as a rule."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._last_step = ""

    def doing(self, what: str) -> None:
        """What goes on now, after the last step: for who watches a terminal."""
        if self._is_terminal:
            columns = shutil.get_terminal_size().columns
            line = f"{self._last_step}; {what}" if self._last_step else what
            self._write(f"\r\033[K{line[: columns - 1]}")

    def step(self, short: str, full: str) -> None:
        """What came of a step: in short on a terminal, in full where lines stay."""
        self._last_step = short
        if not self._is_terminal:
            self._write(f"{full}\n")

    def note(self, what: str) -> None:
        """What must be known in any case."""
        self.clear()
        self._write(f"{what}\n")

    def clear(self) -> None:
        """Takes away what was going on."""
        if self._is_terminal:
            self._write("\r\033[K")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
