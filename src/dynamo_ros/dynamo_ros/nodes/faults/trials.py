"""Faults put into the real inference node over DDS, and how soon the arm was safe, seen from outside.

The arm moves along a line at a steady speed when a fault is put in. It is safe from the first command on
after which the tool never again goes at CRUISE of that speed before it rests; where commands cease, one
period after the last. Times are those at which the node sent its commands.
"""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.kinematics import chain
from dynamo_ros.core.command_clock import PAUSE_PERIODS
from dynamo_ros.core.limit_audit import audit
from dynamo_ros.faults import distortions as bad
from dynamo_ros.faults.expectations import at_once, frozen, stale
from dynamo_ros.faults.trial import GRANTED_PERIODS, Row
from dynamo_ros.nodes.faults.arm import Sent
from dynamo_ros.nodes.faults.rig import FLOOD, Rig

FloatArray = npt.NDArray[np.float64]
Act = Callable[[Rig], object]

CRUISE, CRUISE_S = 0.9, 0.5
STILL_M_S = 1e-3
STILL = 4
UNSURE_S = 0.5  # a busy computer may hold a command up for so long between its decision and its sending
AFTER_S = 2.0


class RosFault(NamedTuple):
    """One fault over ROS."""

    what: str
    begin: Act
    end: Act
    answer: str  # hold, stop, silence, none, or any
    within_ns: int
    lasts_s: float
    after: tuple[str, ...]  # what may be afterwards: goes on, stopped, dead


def ros_faults(contract: Contract) -> dict[str, RosFault]:
    """Return the faults by name, for the contract's first camera and its arm."""
    return {**_camera(contract), **_rest(contract)}


def _camera(contract: Contract) -> dict[str, RosFault]:
    name = next(iter(contract.cameras))
    age_ns = within(contract, stale(name))
    back = _sound(name)
    at_first_ns, frozen_ns = within(contract, at_once(name, "unreadable")), within(contract, frozen(name))
    move_ns = 500_000_000  # until a joint has moved as far as the gate of frozen images wants
    return {
        "camera killed -9": RosFault(
            "its process", lambda rig: rig.kill_camera(name), Rig.revive, "hold", age_ns, 1.0, ("stopped",)
        ),
        "camera's participant restarts": RosFault(
            "a new DDS participant",
            _say(name, "restart"),
            _nothing,
            "any",
            age_ns,
            1.0,
            ("goes on", "stopped"),
        ),
        "camera silent": RosFault("0.4 s", _say(name, "silent"), back, "hold", age_ns, 0.4, ("goes on",)),
        "camera frozen": RosFault(
            "one image, new stamps",
            _say(name, "frozen"),
            back,
            "hold",
            frozen_ns + move_ns,
            1.2,
            ("goes on",),
        ),
        "camera slow": RosFault("2 Hz", _say(name, "slow"), back, "hold", age_ns, 0.4, ("goes on",)),
        "camera late": RosFault("0.5 s", _say(name, "late"), back, "hold", age_ns, 0.4, ("goes on",)),
        "camera's size wrong": RosFault(
            "half as high", _say(name, "half_height"), back, "hold", at_first_ns, 0.4, ("goes on",)
        ),
    }


def _rest(contract: Contract) -> dict[str, RosFault]:
    age_ns = within(contract, stale(contract.arm_stream))
    go_on, pause = (
        (lambda rig: rig.signal_node(signal.SIGCONT)),
        (lambda rig: rig.signal_node(signal.SIGSTOP)),
    )
    return {
        "joints silent": RosFault(
            "0.3 s", _joints(lambda: bad.silent), _well, "hold", age_ns, 0.3, ("goes on",)
        ),
        "joints not a number": RosFault(
            "one is NaN", _joints(bad.not_a_number), _well, "hold", 10_000_000, 0.3, ("goes on",)
        ),
        "e-stop": RosFault("true on its topic", _press, _release, "stop", 0, 0.5, ("stopped",)),
        "messages flood the node": RosFault(
            "thousands a second", _flood, _ebb, "any", age_ns, 3.0, ("goes on", "stopped")
        ),
        "node stopped 0.3 s": RosFault("SIGSTOP", pause, go_on, "silence", 0, 0.3, ("goes on", "stopped")),
        "node stopped 2 s": RosFault("SIGSTOP", pause, go_on, "silence", 0, 2.0, ("goes on", "stopped")),
        "node killed -9": RosFault(
            "its process", lambda rig: rig.signal_node(signal.SIGKILL), _nothing, "silence", 0, 1.0, ("dead",)
        ),
    }


def try_on(rig: Rig, name: str, fault: RosFault) -> Row:
    """Return what comes of `fault` on the rig, which is whole again afterwards."""
    rig.revive()
    if not rig.begin():
        problem = f"not tried: the arm did not move steadily before the fault; {rig.stopped}".rstrip("; ")
        return Row(name, fault.what, fault.answer, "", "", None, None, None, None, (problem,))
    since_ns = time.time_ns()
    fault.begin(rig)
    rig.caller.pause(fault.lasts_s)
    until_ns = time.time_ns()
    stopped = rig.stopped
    fault.end(rig)
    rig.caller.pause(AFTER_S)
    sent = [one for one in rig.arm.sent if one.at_ns > since_ns - int((CRUISE_S + 0.1) * 1e9)]
    seen, safe_ns, rest_ns = answer(rig.contract, sent, since_ns, until_ns)
    seen = "stop" if fault.answer == "stop" and stopped else seen
    after = state(rig)
    bound_ns = fault.within_ns + GRANTED_PERIODS * rig.contract.arm.period_ns
    problems = list(_problems(fault, seen, safe_ns, bound_ns, after))
    if broken := violations(rig.contract, sent):
        problems.append(f"broke the limits of {', '.join(broken)}")
    way = _places(rig.contract, [one for one in sent if since_ns - 10**8 < one.at_ns <= until_ns])
    return Row(
        name,
        fault.what,
        fault.answer,
        f"{seen}, then {stopped}" if stopped and seen != "stop" else f"{seen} {stopped}".strip(),
        f"{after} {rig.stopped}".strip(),
        _ms(safe_ns),
        bound_ns / 1e6 if fault.answer not in ("any", "none") else None,
        _ms(rest_ns),
        None if safe_ns is None else 1e3 * float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum()),
        tuple(problems),
    )


def answer(
    contract: Contract, sent: Sequence[Sent], since_ns: int, until_ns: int
) -> tuple[str, int | None, int | None]:
    """Return what the commands show came of a fault, and after how long the arm was safe and at rest, ns."""
    period_ns = contract.arm.period_ns
    before = [one for one in sent if one.at_ns <= since_ns]
    after = [one for one in sent if since_ns < one.at_ns <= until_ns]
    last_ns = (after or before)[-1].at_ns
    speeds = np.linalg.norm(np.diff(_places(contract, [*before, *after]), axis=0), axis=1) / (period_ns / 1e9)
    cruise = float(np.median(speeds[: len(before) - 1]))
    now = speeds[len(before) - 1 :]  # one for each command after
    if until_ns - last_ns > PAUSE_PERIODS * period_ns and not (len(now) and now[-1] < STILL_M_S):
        ended_ns = max(0, last_ns + period_ns - since_ns)
        return "silence", ended_ns, ended_ns
    rests = np.flatnonzero(now < STILL_M_S)
    if not len(rests):
        return "none", None, None
    fast = np.flatnonzero(now[: rests[0]] >= CRUISE * cruise)
    first = int(fast[-1]) + 1 if len(fast) else 0
    return "hold", after[first].at_ns - since_ns, after[int(rests[0])].at_ns - since_ns


def violations(contract: Contract, sent: Sequence[Sent]) -> tuple[str, ...]:
    """Return the limits that commands broke, each series between pauses by itself, from where the arm was."""
    broken: set[str] = set()
    series = [[sent[0].joints]] if sent else []
    for n, (before, one) in enumerate(itertools.pairwise(sent)):
        if _paused(contract, sent[max(0, n - STILL + 1) : n + STILL + 1], one.at_ns - before.at_ns):
            series.append([before.joints] * STILL)
        series[-1].append(one.joints)
    for joints in series:
        if len(joints) >= STILL:
            broken.update(audit(contract, np.array(joints)).violations)
    return tuple(sorted(broken))


def _paused(contract: Contract, around: Sequence[Sent], gap_ns: int) -> bool:
    """Return whether the node took a gap for a pause, after which motion begins at rest.

    It measures from tick to tick, here it is from sending to sending: where a gap may be either, the commands
    tell, which then keep limits with the pause or without it.
    """
    if gap_ns <= PAUSE_PERIODS * contract.arm.period_ns / 2 or gap_ns > UNSURE_S * 1e9:
        return gap_ns > UNSURE_S * 1e9
    return bool(audit(contract, np.array([one.joints for one in around])).violations)


def state(rig: Rig) -> str:
    """Return how the arm is now: dead, stopped, goes on, stands."""
    if rig.node.poll() is not None:
        return "dead"
    if rig.moves():
        return "goes on"
    return "stopped" if rig.stopped else "stands"


def _problems(fault: RosFault, seen: str, safe_ns: int | None, bound_ns: int, after: str) -> Sequence[str]:
    found = []
    if fault.answer not in ("any", seen):
        found.append(f"{seen} came of it")
    if fault.answer in ("hold", "stop", "silence"):
        if safe_ns is None:
            found.append("never safe")
        elif safe_ns > bound_ns:
            found.append("safe too late")
    if after not in fault.after:
        found.append(f"{after} afterwards")
    return found


def within(contract: Contract, expects: Callable[[Contract], object]) -> int:
    """Return how long the gate takes that is expected, ns."""
    found = expects(contract)
    assert hasattr(found, "within_ns")
    return int(found.within_ns)


def _places(contract: Contract, sent: Sequence[Sent]) -> FloatArray:
    joints = np.array([one.joints for one in sent])
    places: FloatArray = chain(contract.kinematics).forward(joints, tool_offset_m=contract.tool_offset_m)[0]
    return places


def _say(name: str, word: str) -> Act:
    return lambda rig: rig.tell(name, word)


def _sound(name: str) -> Act:
    return _say(name, "sound")


def _joints(make: Callable[[], bad.Distortion]) -> Act:
    def begin(rig: Rig) -> None:
        rig.arm.distort = make()

    return begin


def _well(rig: Rig) -> None:
    rig.arm.distort = bad.faithful


def _press(rig: Rig) -> None:
    rig.arm.press(pressed=True)


def _release(rig: Rig) -> None:
    rig.arm.press(pressed=False)


def _flood(rig: Rig) -> None:
    rig.tell(FLOOD, "on")


def _ebb(rig: Rig) -> None:
    rig.tell(FLOOD, "off")


def _nothing(_rig: Rig) -> None:
    """Leave things as they are."""


def _ms(duration_ns: int | None) -> float | None:
    return None if duration_ns is None else duration_ns / 1e6
