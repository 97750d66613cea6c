"""What a plan's first command needs, fetched before the command is due."""

from __future__ import annotations

from dynamo_policies.contract import Contract
from dynamo_ros.core.agenda import Agenda
from dynamo_ros.core.commander import Commander
from dynamo_ros.core.plans import Plan
from dynamo_ros.core.steps import FloatArray


class Rehearsal:
    """Goes through a plan's first command with a commander of its own, whose commands nobody gets.

    Networks leave the processor's caches full of their weights, and the first command after them takes three
    times as long as one whose code and data are near. This one takes that time instead: a quarter of the
    deciding (0.56 to 0.43 ms in the median of `benchmarks/latency.py` on two cores).
    """

    def __init__(self, contract: Contract) -> None:
        self._agenda, self._commander = Agenda(contract), Commander(contract)

    def go_through(self, plan: Plan, joints: FloatArray) -> None:
        """Do what the first command by `plan` does, for an arm that stands at `joints` (J,) rad."""
        self._agenda.begin()
        for _ in range(2):  # of one alone there is nothing to blend
            if not self._agenda.take(plan, plan.tick_ns):
                return
        self._commander.finish()
        self._commander.rearm(joints, plan.tick_ns)
        if (aim := self._agenda.aim(plan.tick_ns + 1)) is not None:
            self._commander.aim(aim.target, aim.at_ns)
        self._commander.step(plan.tick_ns)
