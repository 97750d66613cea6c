"""A fault's trial: put in while the arm moves, taken out again, and what came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dynamo_policies.contract import Contract
from dynamo_policies.errors import DynamoError, UnknownNameError
from dynamo_ros.core.deployable import Deployable
from dynamo_ros.faults.bench import STEP_NS, Bench
from dynamo_ros.faults.circling import Circling
from dynamo_ros.faults.expectations import Answer, Expected
from dynamo_ros.faults.hand import later
from dynamo_ros.faults.judge import Safety, moves, safety, violations
from dynamo_ros.faults.table import Fault, faults

BEFORE_S = 0.6  # from the beginning to the fault
ALLOWED_S = 1.0  # how long a fault lasts of which nothing is to come
BRAKE_S = 0.25  # more than it takes from the circle's speed; less than until holds become stops
FREEZE_S = 1.0  # within this the arm has moved as far as a gate wants that waits for it
REST_S, AFTER_S = 0.5, 1.5  # from the fault's end to the look at whether the arm stands, or moves
LONGEST_S = 3.0  # holds that become stops later than this are not waited for
GRANTED_PERIODS = 2
DEADMAN = "/deadman"


REACTIONS: tuple[Answer, ...] = ("none", "slow", "hold", "stop")


class Seen(NamedTuple):
    """An answer, and the gate or the kind of stop that it came from."""

    answer: Answer
    gate: str = ""


class Row(NamedTuple):
    """One fault's outcome."""

    name: str
    what: str
    expected: str
    seen: str
    after: str  # what came when the cause was gone, and where it lasted
    time_to_safe_ms: float | None  # until arm and hand were
    bound_ms: float | None
    time_to_rest_ms: float | None
    way_mm: float | None
    problems: tuple[str, ...]  # what is not as it should be
    hand_safe_ms: float | None = None  # None without a hand too

    @property
    def ok(self) -> bool:
        """Whether all is as it should be."""
        return not self.problems


def pick(contract: Contract, only: Sequence[str] | None = None) -> dict[str, Fault]:
    """Return the faults called `only`, all if None; UnknownNameError where there is none of a name."""
    table = faults(contract)
    for name in only or ():
        if name not in table:
            raise UnknownNameError("fault", name, table)
    return {name: fault for name, fault in table.items() if only is None or name in only}


def with_deadman(contract: Contract) -> Contract:
    """Return `contract` with a deadman, so that there is one to let go."""
    topic = contract.gates.deadman.topic or DEADMAN
    deadman = dataclasses.replace(contract.gates.deadman, topic=topic)
    return dataclasses.replace(contract, gates=dataclasses.replace(contract.gates, deadman=deadman))


def without_novelty(contract: Contract) -> Contract:
    """Return `contract` without the gate of novelty: what the bench's cameras show was never demonstrated."""
    novelty = dataclasses.replace(contract.gates.novelty, reaction="none")
    return dataclasses.replace(contract, gates=dataclasses.replace(contract.gates, novelty=novelty))


def try_fault(
    name: str, fault: Fault, contract: Contract, bundle: Deployable | None = None, *, later_s: float = 0.0
) -> Row:
    """Return what comes of `fault` under `contract`, with a bundle that circles unless one is given."""
    expected = fault.expects(contract)
    if expected is None:
        return Row(name, fault.what, "not asked for by the contract", "", "", None, None, None, None, ())
    if expected.answer == "none" and expected.gate:  # the gate is off: others may see the fault, or none
        expected = expected._replace(answer="any")
    deployed = Circling(contract) if bundle is None else bundle
    return Trial(fault, expected, Bench(deployed, contract)).row(name, BEFORE_S + later_s)


def try_at_all(name: str, fault: Fault, contract: Contract, moments: int) -> Row:
    """Return the worst of what comes of `fault` at some moments between two ticks of the policy."""
    period_s = contract.period_ns / 1e9
    rows = [try_fault(name, fault, contract, later_s=period_s * n / moments) for n in range(moments)]
    return max(rows, key=lambda row: (not row.ok, row.time_to_safe_ms or 0.0))


class Trial:
    """One fault on one bench."""

    def __init__(self, fault: Fault, expected: Expected, bench: Bench) -> None:
        self._put, self._what, self._expected = fault.injection, fault.what, expected
        self._bench, self._contract = bench, bench.contract
        self._problems: list[str] = []

    def row(self, name: str, after_s: float) -> Row:
        """Put it in after a while and return what came of it."""
        bench, expected = self._bench, self._expected
        bench.begin()
        bench.run(after_s)
        self._check(self._moves(), "the arm did not move before the fault")
        since_ns = self._hurt(self._length_s())
        seen, reached = self._seen(since_ns), safety(self._contract, bench.ticks, since_ns, bench.now_ns)
        hand_s = bench.hand.safe_s(since_ns, bench.now_ns)
        reached = reached._replace(safe_s=later(reached.safe_s, hand_s))
        bound_ns = self._bound_ns(since_ns)
        self._judge(seen, reached, bound_ns)
        after = self._look_after(seen)
        broken = (*violations(self._contract, bench.ticks), *bench.hand.violations)
        self._check(not broken, f"broke the limits of {', '.join(broken)}")
        safe = seen.answer not in ("none", "slow")
        return Row(
            name,
            self._what,
            f"{expected.answer} ({expected.gate})" if expected.gate else expected.answer,
            f"{seen.answer} ({seen.gate})" if seen.gate else seen.answer,
            after,
            _ms(reached.safe_s) if safe else None,
            bound_ns / 1e6 if expected.answer in ("hold", "stop", "silence") else None,
            _ms(reached.rest_s) if safe else None,
            reached.way_m * 1e3 if safe else None,
            tuple(self._problems),
            _ms(hand_s) if safe and self._contract.hand is not None else None,
        )

    def _hurt(self, seconds: float) -> int:
        """Put the fault in for a while; return since when it was there."""
        since_ns = self._bench.now_ns
        self._put.begin(self._bench)
        if self._expected.waits is not None:
            self._until_wanted(FREEZE_S)
        stalled_s = max(0, self._bench.stalled_until_ns - since_ns) / 1e9
        self._bench.run(stalled_s - STEP_NS / 1e9 if stalled_s else seconds)
        return since_ns

    def _length_s(self) -> float:
        its = self._expected
        if its.answer in ("none", "any", "slow"):
            return ALLOWED_S
        itself_s = its.within_ns / 1e9 if its.waits is None else 0.0
        return itself_s + self._granted_s + BRAKE_S

    def _until_wanted(self, seconds: float) -> None:
        """Let time pass until a gate wants something, but no longer than this."""
        end_ns = self._bench.now_ns + round(seconds * 1e9)
        while self._bench.now_ns < end_ns and not self._bench.ticks[-1].wants:
            self._bench.run(STEP_NS / 1e9)

    @property
    def _granted_s(self) -> float:
        return GRANTED_PERIODS * self._contract.arm.period_ns / 1e9

    def _seen(self, since_ns: int) -> Seen:
        """Return the most severe answer since then."""
        ticks = [tick for tick in self._bench.ticks if tick.at_ns > since_ns]
        if not ticks:
            return Seen("silence")
        stops = [Seen("stop", tick.stop) for tick in ticks if tick.stop]
        wants = [Seen(want[1], want[0]) for tick in ticks for want in tick.wants]
        return max([*stops[:1], *wants, Seen("none")], key=lambda one: REACTIONS.index(one.answer))

    def _bound_ns(self, since_ns: int) -> int:
        its = self._expected
        bound_ns = its.within_ns + GRANTED_PERIODS * self._contract.arm.period_ns
        if its.waits is None:
            return bound_ns
        ticks = self._bench.hand.ticks if its.waits.of_hand else self._bench.ticks
        after = [tick for tick in ticks if tick.at_ns > since_ns]
        start = [tick for tick in ticks if tick.at_ns <= since_ns][-1].measured
        far = (np.abs(tick.measured - start).max() >= its.waits.moved_rad for tick in after)
        moved_ns = next((one.at_ns - since_ns for one, so in zip(after, far, strict=True) if so), 0)
        return bound_ns + max(0, moved_ns - its.waits.besides_ns)

    def _judge(self, seen: Seen, reached: Safety, bound_ns: int) -> None:
        its = self._expected
        if its.answer == "any":
            return
        if its.answer == "silence":
            self._check(seen.answer == "silence", f"commands came: {seen.answer} ({seen.gate})")
        else:
            self._check(seen == Seen(its.answer, its.gate), f"{seen.answer} ({seen.gate}) came of it")
        if its.answer in ("hold", "stop", "silence"):
            self._check(reached.safe_s is not None, "never safe")
            self._check(reached.safe_s is None or reached.safe_s * 1e9 <= bound_ns, "safe too late")
        elif its.answer == "none":
            self._check(self._moves(), "the arm stands")

    def _look_after(self, seen: Seen) -> str:
        """Take the fault out and look what comes of that; a hold is then tried until it becomes a stop."""
        its, latched = self._expected, seen.answer == "stop"
        self._put.end(self._bench)
        self._bench.run(REST_S if latched else AFTER_S)
        if its.answer == "any":
            return self._state()
        stays = latched or its.stop_after_s == 0.0
        self._check(self._state() == ("stopped" if stays else "goes on"), f"{self._state()} afterwards")
        if stays:
            self._rearm()
            return "stopped until re-armed"
        lasting_s = its.stop_after_s
        if its.answer != "hold" or lasting_s is None or lasting_s > LONGEST_S:
            return "goes on afterwards"
        self._hurt(self._length_s() + lasting_s)
        self._check(self._state() == "stopped", f"{self._state()} where it lasts")
        self._put.end(self._bench)
        self._bench.run(REST_S)
        self._rearm()
        return f"goes on afterwards, stops after {lasting_s:g} s"

    def _rearm(self) -> None:
        """Check that nothing moves before re-arming, and that it does after it."""
        bench = self._bench
        self._check(self._state() == "stopped", "moves without re-arming")
        try:
            bench.again()
        except DynamoError as error:
            self._problems.append(f"can't be re-armed: {error}")
            return
        bench.run(AFTER_S)
        self._check(self._moves(), "does not move after re-arming")

    def _state(self) -> str:
        if self._bench.runner.stopped is not None and not self._moves():
            return "stopped"
        return "goes on" if self._moves() else "stands"

    def _moves(self) -> bool:
        bench = self._bench
        return moves(bench.ticks, bench.now_ns) and bench.hand.moves(bench.now_ns)

    def _check(self, holds: bool, problem: str) -> None:
        if not holds:
            self._problems.append(problem)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
