"""The longest silence in which a caller waited for the agent. Pure: time is an argument.

Times are seconds on a clock that only goes forward.
"""


class DeadAir:
    """Measures the silences of one call in which the agent owed the caller its voice."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._worst_ms = 0

    @property
    def worst_ms(self) -> int:
        """The longest silence that is over, in milliseconds; 0 when there was none."""
        return self._worst_ms

    def running_ms(self, now: float) -> int:
        """The silence that goes on, in milliseconds; 0 when the agent owes nothing."""
        return 0 if self._since is None else round((now - self._since) * 1000)

    def owed(self, now: float) -> None:
        """The caller's turn ended, the line started with a greeting to come, or a tool was answered.

        Debts that overlap count from the first.
        """
        if self._since is None:
            self._since = now

    def broken(self, now: float) -> None:
        """The silence is over: the agent's audio begins to play, the caller speaks again, or the call ends."""
        self._worst_ms = max(self._worst_ms, self.running_ms(now))
        self._since = None

    def forgiven(self) -> None:
        """The agent turned out to owe nothing, as after a noise that was no turn: this silence counts for nothing."""
        self._since = None
