"""The way on which commands lead an arm, read off the commands and their times alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.sinks import Arm
from dynamo_ros.core.command_clock import missed_commands, patience_ns

FloatArray = npt.NDArray[np.float64]

STILL = 4  # positions of standing still before a way begins: differences up to the third are taken from there


class Given(NamedTuple):
    """A command of the arm, and when it was given."""

    at_ns: int
    joints: FloatArray  # (J,) rad, a period later
    braking: FloatArray  # (N, J) rad, in the periods after that, if nothing follows


class Way:
    """Where an arm goes with each command period, from `begun` on: `parts`.

    Where commands fail to come, an arm that brakes itself goes on by the braking of the last one. Any other
    stands after a pause, so that another part begins there.
    """

    def __init__(self, arm: Arm, begun: Given, *, still: int = STILL) -> None:
        """Begin after a command; the arm stood there for `still` periods."""
        self._arm, self._last = arm, begun
        self.parts = [[begun.joints] * still]

    def go(self, given: Given, *, missed: int | None = None) -> None:
        """Go on by a command before which `missed` failed to come, as its time tells if None."""
        missed = self.missed(given.at_ns) if missed is None else missed
        if self._arm.brakes_itself:
            self._coast(missed)
        elif missed:
            self.parts.append([self._last.joints] * STILL)
        self.parts[-1].append(given.joints)
        self._last = given

    def here(self, now_ns: int) -> FloatArray:
        """Return where the arm is at `now_ns`, (J,) rad; what it has braked by then, or stood, it has."""
        missed = self.missed(now_ns)
        if self._arm.brakes_itself:
            self._coast(missed)
        elif missed:
            self.parts.append([self._last.joints] * STILL)
            self._last = self._last._replace(at_ns=now_ns)
        return self.parts[-1][-1]

    def missed(self, at_ns: int) -> int:
        """Return how many commands failed to come since the last; 0 where the next goes on from it."""
        gap_ns, arm = at_ns - self._last.at_ns, self._arm
        return missed_commands(gap_ns, period_ns=arm.period_ns, patience_ns=patience_ns(arm))

    def coasting(self, missed: int) -> list[FloatArray]:
        """Return where an arm that brakes itself goes in so many periods; at its end it stands STILL."""
        way = [self._last.joints, *self._last.braking]
        return [*way[1:], *way[-1:] * STILL][:missed]

    def _coast(self, periods: int) -> None:
        self.parts[-1].extend(self.coasting(periods))
        at_ns, joints, braking = self._last
        way, done = [joints, *braking], min(periods, len(braking))
        self._last = Given(at_ns + periods * self._arm.period_ns, way[done], braking[done:])


def place(arm: Arm, given: Given, begun: FloatArray, now_ns: int) -> FloatArray:
    """Return where an ideal arm is at `now_ns` that was at `begun` (J,) rad when `given` came, (J,) rad."""
    way = np.array([begun, given.joints, *(given.braking if arm.brakes_itself else ())])
    times = np.arange(len(way)) * arm.period_ns
    after_ns = now_ns - given.at_ns
    return np.array([np.interp(after_ns, times, joint) for joint in way.T])


def all_parts(arm: Arm, start: FloatArray, commands: Iterable[Given]) -> list[FloatArray]:
    """Return the parts of a way from rest at `start` (J,) rad on, each (N, J) rad, a period apart."""
    way = Way(arm, resting(start))
    for one in commands:
        way.go(one)
    return [np.array(part) for part in way.parts]


def resting(joints: FloatArray) -> Given:
    """Return what an arm that has always stood at `joints` (J,) rad was given."""
    return Given(0, joints, np.empty((0, len(joints))))
