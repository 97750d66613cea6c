"""The simulated xArm Kitchen: physics, controllers, sensors and judge behind one clock."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.kinematics import chain
from dynamo_policies.observation import Pose, Sample
from dynamo_policies.streams import JointStream
from dynamo_sim.arm_station import ArmStation
from dynamo_sim.controllers import CLOSED_RAD, GripperController
from dynamo_sim.leading import leading_wrench
from dynamo_sim.reading import JointReading
from dynamo_sim.xarm_kitchen.judge import Judge
from dynamo_sim.xarm_kitchen.scene import BOTTLES, CAMERAS, SHELF_FLOOR, ZONE
from dynamo_sim.xarm_kitchen.starts import TASKS, draw_start
from dynamo_sim.xarm_kitchen.world import Kitchen

FloatArray = npt.NDArray[np.float64]

# The driver reports all of these, all equal.
GRIPPER_JOINTS = (
    "drive_joint",
    "left_finger_joint",
    "left_inner_knuckle_joint",
    "right_outer_knuckle_joint",
    "right_finger_joint",
    "right_inner_knuckle_joint",
)


class GripperStatus(NamedTuple):
    """Where the gripper stands, rad of drive_joint, and whether its action still runs."""

    position: float
    active: bool


class KitchenStation(ArmStation):
    """An xArm 7 in front of a fridge; a `dynamo_ros.core.station.Station`."""

    def __init__(self, contract: Contract, *, render: bool = True) -> None:
        self._kitchen = Kitchen(contract)
        super().__init__(contract, self._kitchen, CAMERAS, render=render)
        self._chain, self._gripper = chain(contract.kinematics), GripperController()
        self._led = False
        self._lead_to: Pose | None = None
        self.reset(next(task for task in contract.tasks if task in TASKS), 0)

    def reset(self, task: str, seed: int) -> None:
        """Put everything into the start state `seed` of `task`; UnknownNameError if there is no such task.

        The arm holds the start pose; the gripper is open, its driver behaves as just started. Time goes on.
        """
        limit_s = self._contract.task(task).time_limit_s
        start = draw_start(task, seed)
        self._kitchen.place(start)
        self._slot = start.slot
        self.take_hold()
        self._arm.reset(start.arm)
        self._gripper.reset(self.gripper_status().position, now_ns=self._now_ns)
        self._judge = Judge(task, time_limit_s=limit_s, now_ns=self._now_ns)
        self._deepest_m = 0.0

    def command_gripper(self, position: float) -> None:
        """Begin a gripper action towards `position`, rad of drive_joint, 0 open to 0.85 closed."""
        self._gripper.goal(position, now_ns=self._now_ns)

    def let_go(self) -> None:
        """Let the arm be led: it carries its weight, and its servos only damp."""
        self._led, self._lead_to = True, None

    def take_hold(self) -> None:
        """Hold the arm where it is; what trajectories it was given while it was led are forgotten."""
        if self._led:
            self._arm.reset(self.joint_positions())
            self._kitchen.push(None)
        self._led = False

    def lead(self, wanted: Pose) -> None:
        """Lead the tool towards `wanted` by hand, if the arm was let go."""
        self._lead_to = wanted

    def objects(self) -> dict[str, Pose]:
        """Return the true poses of the bottles, the `slot` in the shelf and the `zone` on the counter."""
        level = np.array([0.0, 0.0, 0.0, 1.0])
        poses = {name: self._kitchen.body_pose(name) for name in BOTTLES}
        poses["slot"] = Pose(self._kitchen.of_door(np.array([*self._slot, SHELF_FLOOR])), level)
        poses["zone"] = Pose(ZONE.copy(), level)
        return poses

    def joint_velocity(self) -> FloatArray:
        """Return the arm's measured velocities (7,), rad/s."""
        return self._kitchen.arm.velocities

    def joint_effort(self) -> FloatArray:
        """Return the servos' torques (7,), Nm."""
        return self._kitchen.arm.efforts

    def gripper_status(self) -> GripperStatus:
        """Return where the gripper stands and whether its action is still running."""
        return GripperStatus(CLOSED_RAD * (1.0 - self._kitchen.opening), self._gripper.active)

    def reading(self, sample: Sample) -> JointReading:
        """Return what the xArm's driver says with `sample`, the arm's joints or the gripper's."""
        values = sample.value.astype(np.float64, copy=False)
        if sample.stream == self._contract.arm_stream:
            return JointReading(self._contract.arm.joints, values, self.joint_velocity(), self.joint_effort())
        nothing = np.full(len(GRIPPER_JOINTS), np.nan)
        return JointReading(GRIPPER_JOINTS, np.full(len(GRIPPER_JOINTS), values[0]), nothing, nothing)

    def tracking_error_m(self) -> float:
        """Return how far the tool is from where the arm's controller wants it now, m."""
        offset = self._contract.tool_offset_m
        desired, _ = self._chain.forward(self._arm.desired(self._now_ns), tool_offset_m=offset)
        return float(np.linalg.norm(self.tool_pose().position - desired))

    def yogurt_in_tool(self) -> FloatArray:
        """Return where (3,) m the yogurt's middle is in the tool's frame; its change while held is slip."""
        return self._kitchen.yogurt_in_tool()

    def yogurt_carried(self) -> bool:
        """Return whether the robot holds the yogurt and nothing else touches it."""
        return self._kitchen.yogurt_carried

    def _joints_wanted(self) -> FloatArray:
        """Return where the servos aim; a led arm's aim at where it is while a hand pushes the tool."""
        if not self._led:
            return self._arm.desired(self._now_ns)
        if self._lead_to is not None:
            self._kitchen.push(leading_wrench(self.tool_pose(), self._lead_to))
        return self.joint_positions()

    def _step(self) -> None:
        opening = 1.0 - self._gripper.desired(self._now_ns) / CLOSED_RAD
        self._kitchen.step(self._joints_wanted(), opening)

    def _judged(self) -> None:
        self._judge.look(self._kitchen.situation(self._slot), self._now_ns)

    def _measure(self) -> list[Sample]:
        samples = super()._measure()
        reading = self._gripper.report(self.gripper_status().position, self._now_ns)
        if reading is None:
            return samples
        streams = _gripper_streams(self._contract).items()
        return samples + [
            Sample(name, self._now_ns, np.full(len(joints), reading)) for name, joints in streams
        ]


def _gripper_streams(contract: Contract) -> dict[str, tuple[str, ...]]:
    return {
        name: stream.joints
        for name, stream in contract.observed.items()
        if isinstance(stream, JointStream) and set(stream.joints) <= set(GRIPPER_JOINTS)
    }
