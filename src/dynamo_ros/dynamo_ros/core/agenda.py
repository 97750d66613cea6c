"""What the policy wants next: the targets of chunks that came in time."""

from __future__ import annotations

from collections.abc import Mapping

from dynamo_policies.contract import Contract
from dynamo_ros.core.budget import Budget
from dynamo_ros.core.chunks import ChunkBlender
from dynamo_ros.core.plans import Plan
from dynamo_ros.core.takeover import Aim


class Agenda:
    """Takes plans that are neither past nor older than the contract's budget, and blends them."""

    def __init__(self, contract: Contract) -> None:
        self._period_ns = contract.period_ns
        self._blender, self._budget = ChunkBlender(contract.period_ns), Budget(contract.budget_ns)

    def begin(self) -> None:
        """Forget all plans, and how old they were: a new episode."""
        self._budget.clear()
        self._blender.clear()

    def drop(self) -> None:
        """Forget all targets."""
        self._blender.clear()

    def observe(self, tick_ns: int, stamps_ns: Mapping[str, int]) -> None:
        """Take note of the observation of `tick_ns`, whose images have these stamps."""
        self._budget.observe(tick_ns, stamps_ns)

    def take(self, plan: Plan, now_ns: int) -> bool:
        """Return whether `plan` came in time; its targets then count."""
        past = plan.tick_ns + len(plan.targets) * self._period_ns < now_ns
        if past or not self._budget.take(plan.tick_ns, now_ns):
            return False
        self._blender.add(plan.tick_ns, plan.targets)
        return True

    def aim(self, now_ns: int) -> Aim | None:
        """Return the target of the next policy tick; None where no chunk reaches, or all are too old."""
        at_ns = -(-now_ns // self._period_ns) * self._period_ns
        target = None if self._budget.over(now_ns) else self._blender.at(at_ns)
        return None if target is None else Aim(target, at_ns)

    def age_ns(self, now_ns: int) -> int:
        """Return how old what a command given now rests on is."""
        return self._budget.age_ns(now_ns) or 0
