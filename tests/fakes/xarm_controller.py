"""The controller of an xArm 7 as its vendor describes it, without ROS: modes, states, errors, motion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from dynamo_policies.contract import Contract
from dynamo_policies.kinematics import chain
from dynamo_policies.observation import Pose
from dynamo_ros.core.steps import FloatArray, pose_after, pose_step, pose_way
from dynamo_ros.core.xarm_units import from_axis_angle, from_rpy, from_twist, to_rpy

OK, UNCLEARED, OUT_OF_RANGE, NOT_READY, SHORT = 0, 1, -8, 9, 997
READY_STATE, PAUSED, STOPPED, CHANGED = 2, 3, 4, 5
TOO_FAST, JOINT_LIMIT = 24, 23
# Farther than this in one servo command is a step response.
SERVO_STEP_RAD, SERVO_STEP_M = 0.1, 0.01
JOINTS = 7
NUDGE_RAD = 1e-6


class XarmController:
    """Takes commands as the services' requests have them (mm, rad) and moves with `advance`."""

    def __init__(
        self, contract: Contract, joints: Sequence[float], *, tool_offset_m: float | None = None
    ) -> None:
        self._contract, self._chain = contract, chain(contract.kinematics)
        self._offset_m = contract.tool_offset_m if tool_offset_m is None else tool_offset_m
        self.joints = np.array(joints, np.float64)
        self.mode, self.state, self.error, self.warning = 0, STOPPED, 0, 0
        self.enabled = False
        self.refusing = OK  # what every motion call returns instead, unless OK
        self._halt()

    @property
    def tool(self) -> Pose:
        """Where it has its tool, with its own TCP offset."""
        return self._forward(self.joints)

    @property
    def pose(self) -> list[float]:
        """The tool as it is reported: mm and RPY."""
        return to_rpy(self.tool)

    def enable(self, joint: int, data: int) -> int:
        """motion_enable; 8 are all joints."""
        self.enabled = data == 1 and joint == JOINTS + 1
        return OK

    def set_mode(self, mode: int) -> int:
        """Change the mode; set_state 0 must follow."""
        if self.error:
            return UNCLEARED
        self.mode, self.state = mode, CHANGED
        self._halt()
        return OK

    def set_state(self, state: int) -> int:
        """0 ready, 3 pause, 4 stop."""
        if state == 0 and self.error:
            return UNCLEARED
        self.state = READY_STATE if state == 0 else state
        self._halt()
        return OK

    def clean_error(self) -> int:
        """Clear the error; mode and state stay as the error left them."""
        self.error = 0
        return OK

    def fail(self, error: int) -> None:
        """Do what any error does: mode 0, state 4, no motion."""
        self.error, self.mode, self.state = error, 0, STOPPED
        self._halt()

    def servo_joint(self, angles: Sequence[float]) -> int:
        """set_servo_angle_j."""
        if code := self._refusal(1, angles, JOINTS):
            return code
        target = np.array(angles[:JOINTS])
        if np.abs(target - self.joints).max() > SERVO_STEP_RAD:
            self.fail(TOO_FAST)
            return UNCLEARED
        return self._move_to(target)

    def servo_cartesian_aa(self, values: Sequence[float]) -> int:
        """set_servo_cartesian_aa, absolute."""
        if code := self._refusal(1, values, 6):
            return code
        target = from_axis_angle(values)
        way = pose_way(self.tool, target)
        if np.linalg.norm(way[:3]) > SERVO_STEP_M or np.linalg.norm(way[3:]) > SERVO_STEP_RAD:
            self.fail(TOO_FAST)
            return UNCLEARED
        return self._move_to(self._solve(target))

    def set_position(self, values: Sequence[float], speed_mm_s: float) -> int:
        """set_position without waiting, in mode 7 alone."""
        if code := self._refusal(7, values, 6):
            return code
        if not 0.0 < speed_mm_s <= 1000.0:
            return OUT_OF_RANGE
        self._target, self._speed_m_s = from_rpy(values), speed_mm_s / 1000.0
        return OK

    def velocity(self, mode: int, speeds: Sequence[float], duration_s: float) -> int:
        """vc_set_joint_velocity (mode 4) or vc_set_cartesian_velocity (mode 5)."""
        if code := self._refusal(mode, speeds, JOINTS if mode == 4 else 6):
            return code
        self._speeds, self._left_s = list(speeds), duration_s if duration_s > 0.0 else np.inf
        return OK

    def jog(self, velocity_rad_s: FloatArray, duration_s: float) -> None:
        """Move as MoveIt Servo's output makes it; no service of the arm."""
        self._speeds, self._left_s, self._outside = list(velocity_rad_s), duration_s, True

    def place(self, joints: Sequence[float]) -> None:
        """Be where ros2_control or a person puts the joints."""
        self.joints = np.array(joints, np.float64)

    def twist_to_joints(self, twist: FloatArray, dt_s: float) -> FloatArray:
        """Return the joint velocities of a tool's twist (m/s, rad/s)."""
        return (self._solve(pose_after(self.tool, twist * dt_s)) - self.joints) / dt_s

    def advance(self, dt_s: float) -> None:
        """Move for `dt_s`."""
        if self._target is not None:
            step = {"step_m": self._speed_m_s * dt_s, "step_rad": 2.0 * dt_s}
            self._move_to(self._solve(pose_step(self.tool, self._target, **step)))
        if self._left_s <= 0.0:
            self._speeds = None
        if self._speeds is None:
            return
        part_s = min(dt_s, self._left_s)
        if self.mode == 5 and not self._outside:
            rates = self.twist_to_joints(from_twist(self._speeds), part_s)
        else:
            rates = np.array(self._speeds)
        self._move_to(self.joints + rates * part_s)
        self._left_s -= dt_s

    def _refusal(self, mode: int, values: Sequence[float], length: int) -> int:
        if self.refusing:
            return self.refusing
        if self.error:
            return UNCLEARED
        if len(values) < length:
            return SHORT
        ready = self.enabled and self.mode == mode and self.state < PAUSED
        return OK if ready else NOT_READY

    def _move_to(self, joints: FloatArray) -> int:
        for value, joint in zip(joints, self._chain.joints, strict=True):
            if not joint.lower - 1e-6 <= value <= joint.upper + 1e-6:
                self.fail(JOINT_LIMIT)
                return UNCLEARED
        self.joints = joints
        return OK

    def _halt(self) -> None:
        self._target: Pose | None = None
        self._speed_m_s = self._left_s = 0.0
        self._speeds: list[float] | None = None
        self._outside = False

    def _solve(self, target: Pose) -> FloatArray:
        """Return joints near the present ones that put the tool at `target`: damped least squares."""
        joints = self.joints.copy()
        for _ in range(8):
            here = self._forward(joints)
            way = pose_way(here, target)
            if np.abs(way).max() < 1e-7:
                break
            position, rotation = self._chain.forward(
                joints + NUDGE_RAD * np.eye(JOINTS), tool_offset_m=self._offset_m
            )
            turns = Rotation.from_matrix(rotation) * Rotation.from_quat(here.quaternion).inv()
            jacobian = np.hstack([position - here.position, turns.as_rotvec()]).T / NUDGE_RAD
            joints += jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + 1e-8 * np.eye(6), way)
        return joints

    def _forward(self, joints: FloatArray) -> Pose:
        position, rotation = self._chain.forward(joints, tool_offset_m=self._offset_m)
        return Pose(position, Rotation.from_matrix(rotation).as_quat())
