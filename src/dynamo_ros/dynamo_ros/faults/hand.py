"""A hand on a bench: it follows its commands, and what came of a fault is read off them.

The hand is *safe* from the first command on with which it no longer goes on: from there on each joint stays
between that command and where the hand was measured then, until the hand rests. So commands repeat the last,
or relax, or none comes. Where they cease, it is safe one period after the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.hand_sink import HandSink
from dynamo_ros.core.command_clock import PAUSE_PERIODS
from dynamo_ros.core.limit_audit import audit_hand

FloatArray = npt.NDArray[np.float64]

SAME_RAD = 1e-7
MOVING_RAD = 2e-3  # a joint that moves less than this in the last periods stands
RECENT = 5
RESTING = 5  # commands that repeat one another


class HandTick(NamedTuple):
    """One command tick of the hand, by the steady clock."""

    at_ns: int
    joints: FloatArray | None  # the command, (16,) rad; None: nothing was sent
    measured: FloatArray  # where the hand was, (16,) rad


class FollowingHand:
    """A contract's hand, at first in the middle of its limits; it goes in straight lines to its commands.

    `swings`: the policy moves it all the time. Where the contract has none there are no `ticks`, and nothing
    is wrong with it.
    """

    def __init__(self, contract: Contract, now_ns: int, *, swings: bool) -> None:
        self.ticks: list[HandTick] = []
        self._swings = swings and contract.hand is not None
        self._contract, self._sink = contract, contract.hand
        middle = np.zeros(0) if self._sink is None else _middle(self._sink)
        self._way, self._sent_ns = [middle, middle], now_ns

    def at(self, now_ns: int) -> FloatArray:
        """Return where the hand is, (16,) rad."""
        part = (now_ns - self._sent_ns) / (1 if self._sink is None else self._sink.period_ns)
        way: FloatArray = self._way[0] + min(1.0, part) * (self._way[1] - self._way[0])
        return way

    def follow(self, joints: FloatArray | None, now_ns: int) -> None:
        """Go to `joints` (16,) rad; None: nothing was sent with this tick."""
        if self._sink is None:
            return
        measured = self.at(now_ns)
        self.ticks.append(HandTick(now_ns, joints, measured))
        if joints is not None:
            self._way, self._sent_ns = [measured, joints], now_ns

    def moves(self, until_ns: int) -> bool:
        """Return whether it was commanded to move before `until_ns`; true where it need not."""
        recent = [tick.joints for tick in self.ticks if tick.at_ns <= until_ns][-RECENT:]
        sent = [joints for joints in recent if joints is not None]
        return not self._swings or (bool(sent) and bool(np.ptp(np.array(sent), axis=0).max() > MOVING_RAD))

    def safe_s(self, since_ns: int, until_ns: int) -> float | None:
        """Return how soon after `since_ns` it was safe, s; 0 where there is none, None: not by `until_ns`."""
        if self._sink is None:
            return 0.0
        return safe_s(self._contract, self.ticks, since_ns, until_ns)

    @property
    def violations(self) -> tuple[str, ...]:
        """The limits that its commands broke, each series between pauses by itself."""
        if self._sink is None:
            return ()
        found = {
            limit
            for one in _series(self._sink, self.ticks)
            for limit in audit_hand(self._sink, one).violations
        }
        return tuple(f"the hand's {limit}" for limit in sorted(found))


def safe_s(contract: Contract, ticks: Sequence[HandTick], since_ns: int, until_ns: int) -> float | None:
    """Return how soon after `since_ns` the hand was safe, by the ticks up to `until_ns`."""
    sink = contract.need_hand("its safety")
    last = max(n for n, tick in enumerate(ticks) if tick.at_ns <= since_ns)
    end = max(n for n, tick in enumerate(ticks) if tick.at_ns <= until_ns)
    next_ns = ticks[last + 1].at_ns if end > last else until_ns
    if next_ns - ticks[last].at_ns > PAUSE_PERIODS * contract.arm.period_ns:
        return max(0, ticks[last].at_ns + sink.period_ns - since_ns) / 1e9
    way = ticks[: _begin_of_rest(ticks[: end + 1], last) + 1]
    for n in range(last, len(way) - 1):
        if _goes_no_farther(sink, way, n):
            return (way[n + 1].at_ns - since_ns) / 1e9
    return None


def _begin_of_rest(ticks: Sequence[HandTick], last: int) -> int:
    """Return the tick after `last` with which the hand first rests; the last one where it never does."""
    for n in range(last + 1, len(ticks) - RESTING):
        sent = [tick.joints for tick in ticks[n : n + RESTING] if tick.joints is not None]
        if not sent or bool((np.ptp(np.array(sent), axis=0) < SAME_RAD).all()):
            return n + 1
    return len(ticks) - 1


def later(one_s: float | None, other_s: float | None) -> float | None:
    """Return when both are safe, s; None: one never is."""
    return None if one_s is None or other_s is None else max(one_s, other_s)


def _goes_no_farther(sink: HandSink, ticks: Sequence[HandTick], n: int) -> bool:
    """Return whether no command after the n-th leaves what lies between that one and the hand."""
    # What is known of the hand may be as old as one reading, and is newer with the command after.
    around = [np.clip(tick.measured, sink.lower_rad, sink.upper_rad) for tick in ticks[max(0, n - 1) : n + 2]]
    commanded = ticks[n].joints
    around += [] if commanded is None else [commanded]
    lower, upper = np.min(around, axis=0) - SAME_RAD, np.max(around, axis=0) + SAME_RAD
    after = (tick.joints for tick in ticks[n + 1 :] if tick.joints is not None)
    return all(bool(((lower <= one) & (one <= upper)).all()) for one in after)


def _series(sink: HandSink, ticks: Sequence[HandTick]) -> list[FloatArray]:
    """Return the commands between pauses, each series from where the hand was, which stands then."""
    found: list[list[FloatArray]] = []
    sent_ns = None
    for tick in ticks:
        if tick.joints is None:
            continue
        if sent_ns is None or tick.at_ns - sent_ns > PAUSE_PERIODS * sink.period_ns:
            found.append([tick.measured])
        found[-1].append(tick.joints)
        sent_ns = tick.at_ns
    return [np.array(one) for one in found]


def _middle(sink: HandSink) -> FloatArray:
    middle: FloatArray = (np.array(sink.lower_rad) + np.array(sink.upper_rad)) / 2.0
    return middle
