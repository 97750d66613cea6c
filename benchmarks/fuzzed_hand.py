"""Random sequences of actions of an arm's hand, for `limiter_fuzz.py`."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Target
from dynamo_ros.core.commander import Commander
from dynamo_ros.core.limit_audit import HandAudit, audit_hand

STEPS = 24
MIDDLE = np.array([0.0, -0.45, 0.0, 0.9, 0.0, 1.35, 0.0])  # of the arm
PERIODS = (1.0, 1.0, 1.0, 1.0, 1.0, 0.8, 1.2, 0.0, 0.05, 3.0, 40.0, -2.0)  # between two calls
FloatArray = npt.NDArray[np.float64]


def fuzz_hands(
    contract: Contract, random: np.random.Generator, count: int
) -> tuple[int, Counter[str], dict[str, float], Counter[str]]:
    """Return of `count` sequences the commands, broken limits, worst parts of limits, and what was said."""
    commander, sink = Commander(contract), contract.need_hand("such a sequence")
    commands, violations, said = 0, Counter[str](), Counter[str]()
    worst = dict.fromkeys(HandAudit._fields, 0.0)
    for _ in range(count):
        sequence = FuzzedHand(contract, commander, random)
        sequence.run(said)
        for one in sequence.series:
            found = audit_hand(sink, one)
            violations.update(found.violations)
            worst = {name: max(worst[name], part) for name, part in found._asdict().items()}
            commands += len(one) - 1
    return commands, violations, worst, said


class FuzzedHand:
    """One sequence of the kind `hand`; `series` are its commands, begun anew with each start."""

    def __init__(self, contract: Contract, commander: Commander, random: np.random.Generator) -> None:
        self._commander, self._random = commander, random
        self._sink, self._period_ns = contract.need_hand("such a sequence"), contract.arm.period_ns
        self._lower, self._upper = np.array(self._sink.lower_rad), np.array(self._sink.upper_rad)
        self._measured, self._now_ns = random.uniform(self._lower, self._upper), 0
        self._pose = commander.forward(MIDDLE)
        self.series: list[list[FloatArray]] = []
        commander.finish()
        commander.observe_hand(self._measured, 0)
        self._begin()

    def run(self, said: Counter[str]) -> None:
        """Ask, and call for commands, STEPS times."""
        for step in range(STEPS):
            if step == 0 or self._random.random() < 0.25:
                self._ask()
            self._now_ns += int(self._random.choice(PERIODS) * self._period_ns)
            self._measure()
            self._commander.observe(MIDDLE, self._now_ns)
            command = self._commander.step(self._now_ns)
            late_ns = int(self._random.choice([0.0, 0.0, 0.0, 8.0]) * self._period_ns)
            if command is not None and self._commander.may_send(command, self._now_ns + late_ns):
                said.update(text.partition(" of ")[0] for text in command.clipped)
                self._sent(command.hand)

    def _begin(self) -> None:
        self._commander.rearm(MIDDLE, self._now_ns)
        self._begins = True

    def _ask(self) -> None:
        ask = self._random.integers(8)
        if ask < 5:
            goal = self._measured + self._random.choice([0.05, 0.5, 5.0]) * self._random.normal(size=16)
            goal = np.full(16, np.nan) if self._random.random() < 0.05 else goal
            ahead_ns = int(self._random.integers(-100, 500)) * 1_000_000
            self._commander.aim(Target(self._pose, 0.0, goal), self._now_ns + ahead_ns)
        elif ask == 5:
            self._commander.stop("fuzz")
        elif ask == 6:
            for command in self._commander.finish():
                self._sent(command.hand)
            self._begin()
        else:
            self._begin()

    def _measure(self) -> None:
        """Let the hand follow, press on something, or say nothing."""
        what = self._random.random()
        if what < 0.6 and self.series:
            follows = self.series[-1][-1] + 0.02 * self._random.normal(size=16)
            self._measured = np.clip(follows, self._lower, self._upper)
        if what < 0.8:
            self._commander.observe_hand(self._measured, self._now_ns)

    def _sent(self, joints: FloatArray | None) -> None:
        if joints is None:
            return
        if self._begins:
            self.series.append([self._measured])
        self._begins = False
        self.series[-1].append(joints)
