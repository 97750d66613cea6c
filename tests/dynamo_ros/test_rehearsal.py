"""A plan's first command, gone through before it is due."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.plans import Plan
from dynamo_ros.core.rehearsal import Rehearsal
from dynamo_ros.core.runner import Runner
from policy_fixtures import CONTRACT, READY, SECOND, driving_to, samples_at

PERIOD, START = CONTRACT.arm.period_ns, 10 * SECOND


def joints_of_run(*, rehearsed: bool) -> np.ndarray:
    """Return the commanded joints (N, 7) of a second, with each plan rehearsed or none."""
    runner = Runner(driving_to((0.4, 0.1, 0.3)), clock_ns=itertools.count().__next__)
    joints, sent = READY, []
    for now in range(START, START + SECOND, PERIOD):
        for sample in samples_at(now, joints):
            runner.push(sample)
        if now == START:
            runner.begin("put_yogurt", now)
        if (work := runner.due(now)) is not None:
            plan = runner.infer(work)
            if rehearsed:
                runner.rehearse(plan)
            runner.accept(plan, now)
        command = runner.command(now)
        assert command is not None
        joints = command.joints
        sent.append(joints)
    return np.array(sent)


def test_nothing_comes_of_a_rehearsal() -> None:
    plain = joints_of_run(rehearsed=False)
    assert np.ptp(plain, axis=0).max() > 0.05
    np.testing.assert_array_equal(joints_of_run(rehearsed=True), plain)


@pytest.mark.parametrize(
    "x", [np.nan, np.inf, 0.4, 1e6], ids=["not a number", "infinite", "near", "out of reach"]
)
@pytest.mark.parametrize("count", [0, 1, 10])
def test_any_plan_can_be_rehearsed_and_another_after_it(x: float, count: int) -> None:
    rehearsal = Rehearsal(CONTRACT)
    target = Target(Pose(np.array([x, 0.0, 0.3]), np.array(CONTRACT.reference_rotation)), 0.0)
    for n in range(3):
        rehearsal.go_through(Plan(None, START + n * CONTRACT.period_ns, (target,) * count), READY)
