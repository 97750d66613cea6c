"""When a gripper that takes goals, not a stream, is sent one: on change, with hysteresis, not too often."""

from __future__ import annotations

from dynamo_policies.sinks import GripperSink


class GripperTrigger:
    """Turns a wish from 0 (open) to 1 (closed) into goals of the gripper's driver."""

    def __init__(self, sink: GripperSink) -> None:
        self._sink = sink
        self._interval_ns = round(1e9 / sink.rate_hz)
        self.forget()

    def forget(self) -> None:
        """Forget what was sent: the next clear wish sends a goal, whatever the last one was."""
        self.closed: bool | None = None  # None until a wish lies outside the hysteresis
        self._sent: bool | None = None
        self._sent_ns: int | None = None

    def goal(self, wish: float, now_ns: int) -> float | None:
        """Return the position to send now, in the driver's unit, or None where nothing is to be sent."""
        if wish > self._sink.close_above:
            self.closed = True
        elif wish < self._sink.open_below:
            self.closed = False
        if self.closed is None or self.closed == self._sent or self._too_soon(now_ns):
            return None
        self._sent, self._sent_ns = self.closed, now_ns
        return self._sink.closed if self.closed else self._sink.open

    def _too_soon(self, now_ns: int) -> bool:
        return self._sent_ns is not None and 0 <= now_ns - self._sent_ns < self._interval_ns


class NoGripper:
    """At the place of a GripperTrigger where the robot has no gripper: never a goal."""

    closed: bool | None = None

    def forget(self) -> None:
        """Do nothing."""

    def goal(self, wish: float, now_ns: int) -> float | None:  # noqa: ARG002 (as a GripperTrigger's)
        """Return None."""
        return None


def gripper_trigger(sink: GripperSink | None) -> GripperTrigger | NoGripper:
    """Return what sends goals to the gripper of `sink`."""
    return NoGripper() if sink is None else GripperTrigger(sink)


class PendingGoal:
    """A goal until somebody takes it: the gripper's driver may be away for a moment.

    A newer goal replaces an older one; a pause between commands drops it, as what was wished before a stop is
    not what is wished after it.
    """

    def __init__(self, *, pause_ns: int = 500_000_000) -> None:
        self._pause_ns = pause_ns
        self._goal: float | None = None
        self._last_ns: int | None = None

    def offer(self, goal: float | None, now_ns: int) -> float | None:
        """Return the goal to send now, to be offered again until `taken`; None where nothing waits."""
        if self._last_ns is not None and not 0 <= now_ns - self._last_ns <= self._pause_ns:
            self._goal = None
        self._last_ns = now_ns
        self._goal = self._goal if goal is None else goal
        return self._goal

    def taken(self) -> None:
        """Forget the goal: it was sent."""
        self._goal = None
