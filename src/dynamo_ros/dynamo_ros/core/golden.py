"""What a replay once commanded, to be held against what it commands now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.errors import DynamoError
from dynamo_ros.core.replay import Replayed

FloatArray = npt.NDArray[np.float64]
# What must be the same for a comparison to make sense; versions are told, not compared.
SAME = ("bag", "bundle", "task", "latency_ms", "engine")


class GoldenError(DynamoError):
    """A golden file is of another replay, or is none."""


class Golden(NamedTuple):
    """The commands of one replay, N of them."""

    about: Mapping[str, str]  # SAME, and versions
    joints_named: tuple[str, ...]  # J of the arm, then H of the hand
    stamps_ns: npt.NDArray[np.int64]  # (N,)
    joints: FloatArray  # (N, J) rad
    gripper: FloatArray  # (N,) 0 open to 1 closed
    hand: FloatArray  # (N, H) rad, NaN where nothing was due


class Comparison(NamedTuple):
    """How two series of commands compare."""

    difference: str  # the first tick and joint beyond the tolerance, or what else differs; empty: none
    worst_rad: float  # of a joint of arm or hand that both command
    bitwise: bool


def golden_of(replayed: Replayed, joints: tuple[str, ...], about: Mapping[str, str]) -> Golden:
    """Return what is kept of a replay; `joints` are the names of the arm's and then of the hand's."""
    return Golden(about, joints, replayed.stamps_ns, replayed.joints, replayed.gripper, replayed.hand)


def compare(given: Golden, golden: Golden, *, tolerance_rad: float) -> Comparison:
    """Compare commands with golden ones, joint by joint.

    Raises:
        GoldenError: the golden commands are of another bag, bundle, task, latency, engine, arm or hand.
    """
    wrong = [
        f"{name} {given.about.get(name)!r} instead of {golden.about.get(name)!r}"
        for name in SAME
        if given.about.get(name) != golden.about.get(name)
    ]
    if given.joints_named != golden.joints_named:
        wrong.append(f"joints {list(given.joints_named)} instead of {list(golden.joints_named)}")
    if wrong:
        raise GoldenError(f"the golden commands are of another replay: {'; '.join(wrong)}")
    count = min(len(given.stamps_ns), len(golden.stamps_ns))
    apart = _apart(given, golden, count)
    same = len(given.stamps_ns) == len(golden.stamps_ns) and all(
        np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f")
        for mine, theirs in zip(given[2:], golden[2:], strict=True)
    )
    worst = float(apart[np.isfinite(apart)].max(initial=0.0))
    return Comparison(_first(given, golden, count, tolerance_rad), worst, same)


def _first(given: Golden, golden: Golden, count: int, tolerance: float) -> str:
    """Return what differs first, an empty text if nothing does."""
    moved = given.stamps_ns[:count] != golden.stamps_ns[:count]
    apart = _apart(given, golden, count) > tolerance
    grip = np.abs(given.gripper[:count] - golden.gripper[:count]) > 0.5
    bad = moved | apart.any(axis=1) | grip
    if not bad.any():
        more = len(given.stamps_ns) - len(golden.stamps_ns)
        return f"{abs(more)} commands {'more' if more > 0 else 'fewer'} than golden" if more else ""
    tick = int(bad.argmax())
    where = f"command {tick}, {(golden.stamps_ns[tick] - golden.stamps_ns[0]) / 1e9:.3f} s after the first"
    if moved[tick]:
        late_ms = (given.stamps_ns[tick] - golden.stamps_ns[tick]) / 1e6
        return f"{where}: it comes {late_ms:+.1f} ms from the golden one"
    if apart[tick].any():
        joint = int(apart[tick].argmax())
        mine, theirs = (float(np.append(one.joints[tick], one.hand[tick])[joint]) for one in (given, golden))
        return _joint(where, given.joints_named[joint], mine, theirs, tolerance)
    return f"{where}: the gripper is {given.gripper[tick]:g}, golden is {golden.gripper[tick]:g}"


def _joint(where: str, name: str, value: float, golden: float, tolerance: float) -> str:
    return (
        f"{where}: {name} is {value:.6f} rad, golden is {golden:.6f}, "
        f"{abs(value - golden):.2g} apart, tolerance {tolerance:g}"
    )


def _apart(given: Golden, golden: Golden, count: int) -> FloatArray:
    """Return differences (count, J + H) of the first commands; infinite where only one commands a joint."""
    mine, theirs = (np.hstack([one.joints[:count], one.hand[:count]]) for one in (given, golden))
    apart = np.abs(np.nan_to_num(mine) - np.nan_to_num(theirs))
    return np.asarray(np.where(np.isnan(mine) != np.isnan(theirs), np.inf, apart))
