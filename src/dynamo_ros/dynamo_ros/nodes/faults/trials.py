"""Faults put into the real inference node over DDS, and how soon the arm was safe, seen from outside.

The arm moves along a line at a steady speed when a fault is put in. It is safe from the first command on
after which the tool never again goes at CRUISE of that speed before it rests; where commands cease, one
period after the last, when the arm begins to brake. Times are those at which the node sent its commands.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.kinematics import chain
from dynamo_ros.core.command_clock import PAUSE_PERIODS
from dynamo_ros.core.limit_audit import audit
from dynamo_ros.core.shaping import worst_stop
from dynamo_ros.core.ways import STILL, Given, Way
from dynamo_ros.faults.hand import later
from dynamo_ros.faults.trial import GRANTED_PERIODS, Row
from dynamo_ros.nodes.faults.rig import Rig
from dynamo_ros.nodes.faults.table import RosFault

FloatArray = npt.NDArray[np.float64]

CRUISE, CRUISE_S = 0.9, 0.5
STILL_M_S = 1e-3
AROUND = 3  # commands before one, and after it, that say how smoothly it goes on
SURE_PERIODS = 1.25  # after a command, another came without any between
AFTER_S, LATER_S = 2.0, 3.0  # a busy computer may need longer to go on


def try_on(rig: Rig, name: str, fault: RosFault) -> Row:
    """Return what comes of `fault` on the rig, which is whole again afterwards."""
    if not fault.answer:
        return not_tried(name, fault.what, "not asked for by the contract, or its messages are not installed")
    rig.take_clocks()
    if fault.clock:
        rig.give_clock(fault.clock)
    rig.revive()
    if not rig.begin():
        problem = f"not tried: the arm did not move steadily before the fault; {rig.stopped}".rstrip("; ")
        return not_tried(name, fault.what, fault.answer, problem=problem)
    since_ns = time.time_ns()
    try:
        fault.begin(rig)
        rig.caller.pause(fault.lasts_s)
        until_ns, stopped = time.time_ns(), rig.stopped
    finally:
        fault.end(rig)
    rig.caller.pause(AFTER_S)
    sent = [one for one in rig.arm.sent if one.at_ns > since_ns - int((CRUISE_S + 0.1) * 1e9)]
    seen, safe_ns, rest_ns = answer(rig.contract, sent, since_ns, until_ns)
    hand_s = rig.hand.follows.safe_s(since_ns, until_ns)
    safe_ns = None if (both_s := later(_s(safe_ns), hand_s)) is None else round(both_s * 1e9)
    seen = "stop" if fault.answer == "stop" and stopped else seen
    after = settled(rig)
    way = _places(rig.contract, [one for one in sent if since_ns - 10**8 < one.at_ns <= until_ns])
    problems = [
        *([] if rig.hand.follows.moves(since_ns) else ["the hand did not move before the fault"]),
        *_problems(fault, seen, after),
        *lateness(rig.contract, fault, safe_ns, rest_ns),
    ]
    if broken := (*violations(rig.contract, sent), *rig.hand.follows.violations):
        problems.append(f"broke the limits of {', '.join(broken)}")
    return Row(
        name,
        fault.what,
        fault.answer,
        f"{seen}, then {stopped}" if stopped and seen != "stop" else f"{seen} {stopped}".strip(),
        f"{after} {rig.stopped}".strip(),
        _ms(safe_ns),
        _ms(_bound_ns(rig.contract, fault)),
        _ms(rest_ns),
        None if safe_ns is None else 1e3 * float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum()),
        tuple(problems),
        None if hand_s is None or safe_ns is None or rig.contract.hand is None else hand_s * 1e3,
    )


def not_tried(name: str, what: str, expected: str, *, problem: str = "") -> Row:
    """Return the row of a fault that was not tried; without a `problem` that is as it should be."""
    return Row(name, what, expected, "", "", None, None, None, None, (problem,) if problem else ())


def answer(
    contract: Contract, sent: Sequence[Given], since_ns: int, until_ns: int
) -> tuple[str, int | None, int | None]:
    """Return what the commands show came of a fault, and after how long the arm was safe and at rest, ns."""
    period_ns = contract.arm.period_ns
    before = [one for one in sent if one.at_ns <= since_ns]
    after = [one for one in sent if since_ns < one.at_ns <= until_ns]
    last = (after or before)[-1]
    speeds = np.linalg.norm(np.diff(_places(contract, [*before, *after]), axis=0), axis=1) / (period_ns / 1e9)
    cruise = float(np.median(speeds[: len(before) - 1]))
    now = speeds[len(before) - 1 :]  # one for each command after
    if until_ns - last.at_ns > PAUSE_PERIODS * period_ns and not (len(now) and now[-1] < STILL_M_S):
        ended_ns = max(0, last.at_ns + period_ns - since_ns)
        return "silence", ended_ns, ended_ns + len(last.braking) * period_ns
    rests = np.flatnonzero(now < STILL_M_S)
    if not len(rests):
        return "none", None, None
    fast = np.flatnonzero(now[: rests[0]] >= CRUISE * cruise)
    first = int(fast[-1]) + 1 if len(fast) else 0
    return "hold", after[first].at_ns - since_ns, after[int(rests[0])].at_ns - since_ns


def violations(contract: Contract, sent: Sequence[Given]) -> tuple[str, ...]:
    """Return the limits that the way of the arm broke, from the first command on.

    Where commands failed to come the arm braked, and the node took note for how many periods, by its clock,
    which it reads right before it sends. By the time of sending that may be one more or less.
    """
    if not sent:
        return ()
    way = Way(contract.arm, sent[0], still=1)
    for i, one in enumerate(sent[1:], start=1):
        told, before = way.missed(one.at_ns), way.parts[-1][-AROUND:]
        after = [later.joints for later in _in_time(contract, sent[i : i + 1 + AROUND])]
        likely = [told, *(n for n in (told - 1, told + 1) if n >= 0)]
        smooth = (n for n in likely if not _broken(contract, [*before, *way.coasting(n), *after]))
        way.go(one, missed=next(smooth, told))
    return _broken(contract, way.parts[-1])


def _in_time(contract: Contract, sent: Sequence[Given]) -> Iterator[Given]:
    """Yield the first of some commands, and those that follow without any that may have failed to come."""
    yield sent[0]
    for before, one in itertools.pairwise(sent):
        if one.at_ns - before.at_ns > SURE_PERIODS * contract.arm.period_ns:
            return
        yield one


def _broken(contract: Contract, joints: Sequence[FloatArray]) -> tuple[str, ...]:
    return audit(contract, np.array(joints)).violations if len(joints) >= STILL else ()


def lateness(contract: Contract, fault: RosFault, safe_ns: int | None, rest_ns: int | None) -> Iterator[str]:
    """Say what is late: being safe after the fault, or where nobody knows when that is due, the braking."""
    if safe_ns is None or rest_ns is None:
        if fault.answer in ("hold", "stop", "silence"):
            yield "never safe"
        return
    bound_ns = _bound_ns(contract, fault)
    if bound_ns is not None and safe_ns > bound_ns:
        yield "safe too late"
    period_ns = contract.arm.period_ns
    longest_ns = worst_stop(contract.arm).seconds.max() * 1e9 + GRANTED_PERIODS * period_ns
    if fault.answer == "either" and rest_ns - safe_ns > longest_ns:
        yield "braked too long"


def settled(rig: Rig) -> str:
    """Return how the arm is now; where it stands, how it is within LATER_S."""
    deadline = time.monotonic() + LATER_S
    while (found := state(rig)) == "stands" and time.monotonic() < deadline:
        rig.caller.pause(0.1)
    return found


def state(rig: Rig) -> str:
    """Return how the arm is now: dead, stopped, goes on, stands."""
    if rig.node.poll() is not None:
        return "dead"
    if rig.moves():
        return "goes on"
    return "stopped" if rig.stopped else "stands"


def _problems(fault: RosFault, seen: str, after: str) -> Iterator[str]:
    if fault.answer not in ("any", "either", seen):
        yield f"{seen} came of it"
    if after not in fault.after:
        yield f"{after} afterwards"


def _bound_ns(contract: Contract, fault: RosFault) -> int | None:
    """Return how soon the arm has to be safe, None where the fault asks for nothing, or at no known time."""
    if fault.answer in ("any", "none") or fault.within_ns is None:
        return None
    return fault.within_ns + GRANTED_PERIODS * contract.arm.period_ns


def _places(contract: Contract, sent: Sequence[Given]) -> FloatArray:
    joints = np.array([one.joints for one in sent]).reshape(-1, len(contract.arm.joints))
    places: FloatArray = chain(contract.kinematics).forward(joints, tool_offset_m=contract.tool_offset_m)[0]
    return places


def _s(duration_ns: int | None) -> float | None:
    return None if duration_ns is None else duration_ns / 1e9


def _ms(duration_ns: int | None) -> float | None:
    return None if duration_ns is None else duration_ns / 1e6
