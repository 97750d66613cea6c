"""The simulated xArm Kitchen: physics, controllers, sensors and judge behind one clock."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.kinematics import chain
from dynamo_policies.observation import Pose, Sample
from dynamo_policies.streams import ImageStream, JointStream, Stream
from dynamo_ros.core.station import StationOutcome
from dynamo_sim.cameras import Cameras
from dynamo_sim.controllers import CLOSED_RAD, GripperController, JointTrajectoryController
from dynamo_sim.leading import leading_wrench
from dynamo_sim.reading import JointReading
from dynamo_sim.schedule import Schedule
from dynamo_sim.xarm_kitchen.judge import Judge
from dynamo_sim.xarm_kitchen.scene import BOTTLES, CAMERAS, SHELF_FLOOR, TIMESTEP_S, ZONE
from dynamo_sim.xarm_kitchen.starts import TASKS, draw_start
from dynamo_sim.xarm_kitchen.world import Kitchen

FloatArray = npt.NDArray[np.float64]

STEP_NS = round(TIMESTEP_S * 1e9)
JUDGE_HZ = 100.0
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


class KitchenStation:
    """An xArm 7 in front of a fridge; a `dynamo_ros.core.station.Station`.

    Stamps are the station's time when a picture or a reading was taken, multiples of the 2 ms step: a 30 Hz
    camera's frames are 32 or 34 ms apart and do not drift. Use it from one thread only: the graphics context
    belongs to the thread of the first picture.
    """

    def __init__(self, contract: Contract, *, render: bool = True) -> None:
        self._contract, self._chain = contract, chain(contract.kinematics)
        self._kitchen = Kitchen(contract)
        self._streams = _sensed(contract, render=render)
        self._schedules = {name: Schedule(stream.rate_hz) for name, stream in self._streams.items()}
        images = {name: stream for name, stream in self._streams.items() if isinstance(stream, ImageStream)}
        self._cameras = Cameras(self._kitchen.model, images)
        self._arm, self._gripper = JointTrajectoryController(contract.arm.joints), GripperController()
        self._judging = Schedule(JUDGE_HZ)
        self._now_ns = 0
        self._led = False
        self._lead_to: Pose | None = None
        self.reset(next(task for task in contract.tasks if task in TASKS), 0)

    @property
    def time_ns(self) -> int:
        """The station's clock, nanoseconds."""
        return self._now_ns

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

    def advance(self, until_ns: int) -> list[Sample]:
        """Let time pass in 2 ms steps, not beyond `until_ns`; return what was measured meanwhile."""
        samples: list[Sample] = []
        while self._now_ns + STEP_NS <= until_ns:
            opening = 1.0 - self._gripper.desired(self._now_ns) / CLOSED_RAD
            self._kitchen.step(self._joints_wanted(), opening)
            self._now_ns += STEP_NS
            self._deepest_m = max(self._deepest_m, self._kitchen.penetration_m)
            samples.extend(self._measure())
        return samples

    def command_arm(self, positions: npt.ArrayLike, times_s: npt.ArrayLike) -> None:
        """Replace the trajectory: (N, 7) rad in contract order, (N,) s from now; may raise RejectedError."""
        self.follow(self._contract.arm.joints, positions, times_s)

    def follow(
        self,
        names: tuple[str, ...],
        positions: npt.ArrayLike,
        times_s: npt.ArrayLike,
        *,
        start_ns: int | None = None,
        velocities: npt.ArrayLike | None = None,
    ) -> None:
        """Give the arm a trajectory as a message has it; see JointTrajectoryController.accept."""
        self._arm.accept(
            names,
            positions,
            times_s,
            now_ns=self._now_ns,
            measured=self.joint_positions(),
            start_ns=start_ns,
            velocities=velocities,
        )

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

    def outcome(self) -> StationOutcome:
        """Return the judge's verdict at this moment."""
        return self._judge.outcome()

    def objects(self) -> dict[str, Pose]:
        """Return the true poses of the bottles, the `slot` in the shelf and the `zone` on the counter."""
        level = np.array([0.0, 0.0, 0.0, 1.0])
        poses = {name: self._kitchen.body_pose(name) for name in BOTTLES}
        poses["slot"] = Pose(self._kitchen.of_door(np.array([*self._slot, SHELF_FLOOR])), level)
        poses["zone"] = Pose(ZONE.copy(), level)
        return poses

    def close(self) -> None:
        """Free the graphics context."""
        self._cameras.close()

    def joint_positions(self) -> FloatArray:
        """Return the arm's measured positions (7,), rad."""
        return self._kitchen.joint_positions

    def joint_velocity(self) -> FloatArray:
        """Return the arm's measured velocities (7,), rad/s."""
        return self._kitchen.joint_velocities

    def joint_effort(self) -> FloatArray:
        """Return the servos' torques (7,), Nm."""
        return self._kitchen.joint_efforts

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

    def tool_pose(self) -> Pose:
        """Return the tool's true pose."""
        return self._kitchen.tool_pose()

    def tracking_error_m(self) -> float:
        """Return how far the tool is from where the arm's controller wants it now, m."""
        offset = self._contract.tool_offset_m
        desired, _ = self._chain.forward(self._arm.desired(self._now_ns), tool_offset_m=offset)
        return float(np.linalg.norm(self.tool_pose().position - desired))

    def camera_fovy_deg(self, name: str) -> float:
        """Return the vertical field of view of camera `name`, degrees."""
        return float(self._kitchen.model.camera(name).fovy[0])

    def yogurt_in_tool(self) -> FloatArray:
        """Return where (3,) m the yogurt's middle is in the tool's frame; its change while held is slip."""
        return self._kitchen.yogurt_in_tool()

    def yogurt_carried(self) -> bool:
        """Return whether the robot holds the yogurt and nothing else touches it."""
        return self._kitchen.yogurt_carried

    def penetration_m(self) -> float:
        """Return how deep the deepest contact since the reset was, m."""
        return self._deepest_m

    def _joints_wanted(self) -> FloatArray:
        """Return where the servos aim; a led arm's aim at where it is while a hand pushes the tool."""
        if not self._led:
            return self._arm.desired(self._now_ns)
        if self._lead_to is not None:
            self._kitchen.push(leading_wrench(self.tool_pose(), self._lead_to))
        return self.joint_positions()

    def _measure(self) -> list[Sample]:
        due = [name for name, schedule in self._schedules.items() if schedule.due(self._now_ns)]
        judging = self._judging.due(self._now_ns)
        if due or judging:
            self._kitchen.update()
        if judging:
            self._judge.look(self._kitchen.situation(self._slot), self._now_ns)
        reading = self._gripper.report(self.gripper_status().position, self._now_ns)
        samples = [self._sample(name) for name in due]
        if reading is not None:
            samples += [
                Sample(name, self._now_ns, np.full(len(joints), reading))
                for name, joints in _gripper_streams(self._contract).items()
            ]
        return samples

    def _sample(self, name: str) -> Sample:
        stream = self._streams[name]
        if isinstance(stream, ImageStream):
            return Sample(name, self._now_ns, self._cameras.render(name, self._kitchen.data))
        assert isinstance(stream, JointStream)
        order = [self._contract.arm.joints.index(joint) for joint in stream.joints]
        return Sample(name, self._now_ns, self.joint_positions()[order])


def _sensed(contract: Contract, *, render: bool) -> dict[str, Stream]:
    """Return the streams measured at a rate of their own: cameras (if they render) and arm joints."""
    sensed: dict[str, Stream] = {}
    for name, stream in contract.observed.items():
        if isinstance(stream, ImageStream):
            if name not in CAMERAS:
                raise UnknownNameError("camera", name, CAMERAS)
            if render:
                sensed[name] = stream
        elif isinstance(stream, JointStream) and set(stream.joints) <= set(contract.arm.joints):
            sensed[name] = stream
    return sensed


def _gripper_streams(contract: Contract) -> dict[str, tuple[str, ...]]:
    return {
        name: stream.joints
        for name, stream in contract.observed.items()
        if isinstance(stream, JointStream) and set(stream.joints) <= set(GRIPPER_JOINTS)
    }
