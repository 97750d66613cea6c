"""What must be so before a policy may begin to move the arm."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.errors import DynamoError
from dynamo_policies.gates import Gates
from dynamo_policies.observation import Observation, Pose, Sample
from dynamo_ros.core.limiter import is_finite
from dynamo_ros.core.plans import Plan
from dynamo_ros.core.slow import apart


class RunnerError(DynamoError):
    """A policy can't be started."""


def check_fresh(contract: Contract, observation: Observation) -> None:
    """Raise RunnerError where a stream of `observation` is stale."""
    if observation.stale:
        topics = [f"{name} on {contract.streams[name].topic}" for name in observation.stale]
        raise RunnerError(f"can't begin: no fresh {', '.join(topics)}")


def check_first(plan: Plan, measured: Pose, gates: Gates) -> None:
    """Raise RunnerError where the first action of `plan` is too far from the measured tool, or none."""
    if plan.fault is not None or not plan.targets:
        raise RunnerError(f"can't begin: {plan.fault or 'the policy gives no action'}")
    target, limits = plan.targets[0], gates.first_action
    if not is_finite(target):
        raise RunnerError(f"can't begin: the first action is not finite: {target}")
    metres, radians = apart(target.pose, measured)
    if metres > limits.within_m or radians > limits.within_rad:
        raise RunnerError(
            f"can't begin: the first action is {metres:.3f} m and {radians:.2f} rad from the arm; "
            f"at most {limits.within_m:g} m and {limits.within_rad:g} rad are possible"
        )


def fresh_joints(contract: Contract, sample: Sample | None, now_ns: int) -> npt.NDArray[np.float64]:
    """Return the arm's measured joints (J,) rad, or raise RunnerError where `sample` is too old for that."""
    stream = contract.streams[contract.arm_stream]
    if sample is None:
        raise RunnerError(f"no joint positions of the arm have come on {stream.topic}")
    age_ns = now_ns - sample.stamp_ns
    if stream.max_age_ns is not None and age_ns > stream.max_age_ns:
        raise RunnerError(
            f"the arm's joint positions on {stream.topic} are {age_ns / 1e6:.0f} ms old; "
            f"at most {stream.max_age_ms:g} ms is possible"
        )
    return sample.value.astype(np.float64)
