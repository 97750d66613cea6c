"""What came of a fault, read off the commands.

The arm is *safe* from the first command on with which the point where it would come to rest stays where it
is: from there on every command belongs to one braking, or repeats the last, or none comes at all. Time to
safe counts from the moment at which the fault was put in to that command; where commands cease, to one period
after the last, when the driver has come to its end or begins to brake.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.kinematics import chain
from dynamo_ros.core.command_clock import PAUSE_PERIODS
from dynamo_ros.core.limit_audit import audit
from dynamo_ros.core.ways import all_parts
from dynamo_ros.faults.bench import Tick

FloatArray = npt.NDArray[np.float64]

SAME_RAD = 1e-7
MOVING_RAD = 2e-3  # a joint that moves less than this in the last periods stands
RECENT = 5


class Safety(NamedTuple):
    """How soon after a moment the arm was safe, s; None: it never was."""

    safe_s: float | None
    rest_s: float | None  # until it stood
    way_m: float  # that the tool went until then, or altogether


def safety(contract: Contract, ticks: Sequence[Tick], since_ns: int, until_ns: int) -> Safety:
    """Return how the arm came to be safe after `since_ns`, by the ticks up to `until_ns`."""
    before = [tick for tick in ticks if tick.at_ns <= since_ns]
    after = [tick for tick in ticks if since_ns < tick.at_ns <= until_ns]
    all_of, period_ns = [before[-1], *after], contract.arm.period_ns
    if (ceased_ns := _ceased(contract, before[-1], after, until_ns)) is not None:
        way = _last_way(contract, before[-1])
        rest_ns = ceased_ns + period_ns * max(0, len(way) - 2)
        return Safety(_seconds(ceased_ns, since_ns), _seconds(rest_ns, since_ns), _length(contract, way))
    stays = [_same(one.rest, other.rest) for one, other in itertools.pairwise(all_of)]
    count = _begin_of_rest(all_of, stays)
    first = _begin_of_braking(stays[: count - 1])
    way_m = _length(contract, [tick.measured for tick in all_of[: count + 1]])
    if first is None:
        return Safety(None, None, way_m)
    rest_ns = all_of[count - 1].at_ns + period_ns  # the driver is there a period after it was told
    return Safety(_seconds(all_of[first + 1].at_ns, since_ns), _seconds(rest_ns, since_ns), way_m)


def moves(ticks: Sequence[Tick], until_ns: int) -> bool:
    """Return whether the commanded joints moved in the periods before `until_ns`."""
    recent = [tick.joints for tick in ticks if tick.at_ns <= until_ns and tick.joints is not None][-RECENT:]
    fresh = [tick for tick in ticks if tick.at_ns <= until_ns][-1].joints is not None
    return fresh and bool(np.ptp(np.array(recent), axis=0).max() > MOVING_RAD)


def violations(contract: Contract, ticks: Sequence[Tick]) -> tuple[str, ...]:
    """Return the limits that the way of the arm broke."""
    broken: set[str] = set()
    first = next((tick for tick in ticks if tick.given is not None), None)
    given = [tick.given for tick in ticks if tick.given is not None]
    for one in [] if first is None else all_parts(contract.arm, first.measured, given):
        broken.update(audit(contract, one).violations)
    return tuple(sorted(broken))


def _ceased(contract: Contract, before: Tick, after: Sequence[Tick], until_ns: int) -> int | None:
    """Return when the driver was at the end of the last command, where no more came; None where some did."""
    next_ns = after[0].at_ns if after else until_ns
    if next_ns - before.at_ns <= PAUSE_PERIODS * contract.arm.period_ns:
        return None
    return before.at_ns + contract.arm.period_ns


def _begin_of_rest(ticks: Sequence[Tick], stays: Sequence[bool]) -> int:
    """Return how many ticks there are until the arm rests for the first time, or all."""
    for i in range(1, len(ticks)):
        joints = ticks[i].joints
        if stays[i - 1] and (joints is None or _same(joints, ticks[i].rest)):
            return i + 1
    return len(ticks)


def _begin_of_braking(stays: Sequence[bool]) -> int | None:
    """Return from which on all are true."""
    first = len(stays)
    while first > 0 and stays[first - 1]:
        first -= 1
    return None if first == len(stays) else first


def _same(one: FloatArray, other: FloatArray) -> bool:
    return bool(np.abs(one - other).max() < SAME_RAD)


def _seconds(at_ns: int, since_ns: int) -> float:
    return max(0, at_ns - since_ns) / 1e9


def _last_way(contract: Contract, tick: Tick) -> list[FloatArray]:
    """Return where the arm went from a tick on, if nothing was sent any more."""
    if tick.given is None:
        return [tick.measured]
    return [tick.measured, tick.given.joints, *(tick.given.braking if contract.arm.brakes_itself else ())]


def _length(contract: Contract, joints: Sequence[FloatArray]) -> float:
    places = chain(contract.kinematics).forward(np.array(joints), tool_offset_m=contract.tool_offset_m)[0]
    return float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum())
