"""When a command is due: one a period, however unevenly it is asked for."""

from __future__ import annotations

from dynamo_policies.sinks import Arm

# How long nothing may be sent while motion goes on from where the last command led. An arm that goes by the
# braking that comes with each command is elsewhere as soon as one fails to come; any other has come to the
# end of the last command and waits there, and after so many periods stands.
BRAKING_PERIODS, PAUSE_PERIODS = 1.5, 5.0


def patience_ns(arm: Arm) -> int:
    """Return for how long, ns, nothing may be sent to `arm` without a pause in its motion."""
    return round((BRAKING_PERIODS if arm.brakes_itself else PAUSE_PERIODS) * arm.period_ns)


def missed_commands(gap_ns: int, *, period_ns: int, patience_ns: int) -> int:
    """Return how many commands failed to come in a gap between two, the nearest number; 0 without a pause."""
    return -((period_ns - 2 * gap_ns) // (2 * period_ns)) - 1 if gap_ns > patience_ns else 0


class CommandClock:
    """Lets at most one command through in a period, on a grid that a late call begins anew.

    A call less than half a period early is let through; a late one is worth one period, and the one after it
    comes a period later. So calls that are held up and then come in a bunch make no fast motion. A clock that
    jumps back begins the grid anew.

    A command may be ready long after it was due. One that goes on from where the arm no longer is, or no
    longer moves, is `late`.
    """

    def __init__(self, period_ns: int, patience_ns: int) -> None:
        """Take the time between two commands and that after which none is a pause, ns; see `patience_ns`."""
        self._period_ns, self._patience_ns = period_ns, patience_ns
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
        """Return whether the last command is so old that nothing can go on from where it led."""
        return now_ns - self._sent_ns > self._patience_ns

    def missed(self, now_ns: int) -> int:
        """Return for how many periods nothing was sent, 0 without a pause; then they count as made up."""
        gap_ns = now_ns - self._sent_ns
        periods = missed_commands(gap_ns, period_ns=self._period_ns, patience_ns=self._patience_ns)
        self._sent_ns += periods * self._period_ns
        return periods

    def due(self, now_ns: int, *, at_rest: bool) -> bool:
        """Return whether a command is due at `now_ns`; if so, take it as given.

        `at_rest`: the arm stands, so that the command may come at any time.
        """
        back, self._asked_ns = now_ns < self._asked_ns, now_ns
        off_ns = now_ns - self._due_ns
        if not back and off_ns < -self._period_ns / 2:
            return False
        on_grid = abs(off_ns) <= self._period_ns / 2
        self._due_ns = (self._due_ns if on_grid else now_ns) + self._period_ns
        self._from_rest = at_rest
        self._before_ns, self._sent_ns = self._sent_ns, now_ns
        return True

    def skip(self) -> None:
        """Take note that nothing was sent when it was due."""
        self._sent_ns = self._before_ns

    def late(self, now_ns: int) -> bool:
        """Return whether the command that was due goes on from a motion that is no longer there.

        If so it counts as not given; if not, as sent at `now_ns`, and the next one is due a period later.
        """
        if not self._from_rest and now_ns - self._before_ns > self._patience_ns:
            self.skip()
            return True
        self._sent_ns = now_ns
        self._due_ns = max(self._due_ns, now_ns + self._period_ns)
        return False
