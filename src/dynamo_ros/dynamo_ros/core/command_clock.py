"""When a command is due: one a period, however unevenly it is asked for."""

from __future__ import annotations

# Nothing sent for longer than this: the driver has come to the end of the last command and stands there.
PAUSE_PERIODS = 5


class CommandClock:
    """Lets at most one command through in a period, on a grid that a late call begins anew.

    A call less than half a period early is let through; a late one is worth one period, and the one after it
    comes a period later. So calls that are held up and then come in a bunch make no fast motion. A clock that
    jumps back begins the grid anew.

    A command may be ready long after it was due. One that finds the arm standing meanwhile is `late`.
    """

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._sent_ns = self._before_ns = 0
        self._from_rest = True
        self.start(0)

    def start(self, now_ns: int) -> None:
        """Let the next command be due at `now_ns`."""
        self._asked_ns = self._due_ns = now_ns

    def shift(self, by_ns: int) -> None:
        """Go on as if nothing had been, where the clock of `now_ns` jumped by this."""
        self._sent_ns += by_ns
        self._before_ns += by_ns
        self._asked_ns += by_ns
        self._due_ns += by_ns

    def paused(self, now_ns: int) -> bool:
        """Return whether the last command is so old that the arm stands by now."""
        return now_ns - self._sent_ns > PAUSE_PERIODS * self._period_ns

    def due(self, now_ns: int) -> bool:
        """Return whether a command is due at `now_ns`; if so, take it as given."""
        back, self._asked_ns = now_ns < self._asked_ns, now_ns
        off_ns = now_ns - self._due_ns
        if not back and off_ns < -self._period_ns / 2:
            return False
        on_grid = abs(off_ns) <= self._period_ns / 2
        self._due_ns = (self._due_ns if on_grid else now_ns) + self._period_ns
        self._from_rest = self.paused(now_ns)
        self._before_ns, self._sent_ns = self._sent_ns, now_ns
        return True

    def skip(self) -> None:
        """Take note that nothing was sent when it was due."""
        self._sent_ns = self._before_ns

    def late(self, now_ns: int) -> bool:
        """Return whether the command that was due goes on from a motion that has ended by now.

        If so it counts as not given; if not, as sent at `now_ns`, and the next one is due a period later.
        """
        if not self._from_rest and now_ns - self._before_ns > PAUSE_PERIODS * self._period_ns:
            self.skip()
            return True
        self._sent_ns = now_ns
        self._due_ns = max(self._due_ns, now_ns + self._period_ns)
        return False
