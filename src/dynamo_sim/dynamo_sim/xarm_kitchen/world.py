"""The kitchen's physics: a model, its state, and what can be measured in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose
from dynamo_ros.core.graphics import mujoco
from dynamo_ros.core.ik import TOOL_SITE
from dynamo_sim.xarm_kitchen.judge import Situation
from dynamo_sim.xarm_kitchen.robot import FINGERS, STROKE_M
from dynamo_sim.xarm_kitchen.scene import BOTTLES, YOGURT, build_kitchen
from dynamo_sim.xarm_kitchen.starts import Start

FloatArray = npt.NDArray[np.float64]

SETTLE_STEPS = 150  # until the bottles rest


class Kitchen:
    """Bodies and servos. Joints are in the contract's order; the gripper's opening runs from 0 to 1."""

    def __init__(self, contract: Contract) -> None:
        self.model: Any = build_kitchen(contract)
        self.data: Any = mujoco.MjData(self.model)
        joints = contract.arm.joints
        self._q = np.array([self.model.joint(name).qposadr[0] for name in joints])
        self._v = np.array([self.model.joint(name).dofadr[0] for name in joints])
        self._servos = np.array([self.model.actuator(name).id for name in joints])
        self._fingers = np.array([self.model.joint(f"{name}_finger").qposadr[0] for name in FINGERS])
        self._finger_servo = self.model.actuator("fingers").id
        self._yogurt = self.model.body(YOGURT).id
        self._yogurt_v = int(self.model.joint(YOGURT).dofadr[0])
        self._robot = below(self.model, self.model.body("link_base").id)

    def place(self, start: Start) -> None:
        """Put everything where `start` says, at rest, with the gripper open."""
        mujoco.mj_resetData(self.model, self.data)
        for name, (position, yaw) in start.bottles.items():
            self.data.joint(name).qpos[:] = [*position, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
        self.data.qpos[self._q] = self.data.ctrl[self._servos] = start.arm
        self.data.qpos[self._fingers] = self.data.ctrl[self._finger_servo] = STROKE_M
        mujoco.mj_step(self.model, self.data, SETTLE_STEPS)
        self.update()

    def step(self, joints: FloatArray, opening: float) -> None:
        """Let one time step pass with the servos aiming at `joints`, (7,) rad, and `opening`."""
        self.data.ctrl[self._servos] = joints
        self.data.ctrl[self._finger_servo] = STROKE_M * opening
        mujoco.mj_step(self.model, self.data)

    def push(self, wrench: FloatArray | None) -> None:
        """Push the tool with a force in N and a torque in Nm, (6,) in the base frame, from now on."""
        pushes = np.zeros(self.model.nv)
        if wrench is not None:
            tool = self.data.site(TOOL_SITE)
            body = self.model.site(TOOL_SITE).bodyid[0]
            mujoco.mj_applyFT(self.model, self.data, wrench[:3], wrench[3:], tool.xpos, body, pushes)
        self.data.qfrc_applied[:] = pushes

    def update(self) -> None:
        """Bring the poses of bodies and cameras up to the joint positions; a step leaves them behind."""
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    @property
    def joint_positions(self) -> FloatArray:
        """The arm's positions (7,), rad."""
        positions: FloatArray = self.data.qpos[self._q]
        return positions

    @property
    def joint_velocities(self) -> FloatArray:
        """The arm's velocities (7,), rad/s."""
        velocities: FloatArray = self.data.qvel[self._v]
        return velocities

    @property
    def joint_efforts(self) -> FloatArray:
        """The servos' torques (7,), Nm."""
        efforts: FloatArray = self.data.actuator_force[self._servos]
        return efforts

    @property
    def opening(self) -> float:
        """How far the gripper is open, 0 to 1."""
        return float(self.data.qpos[self._fingers].mean()) / STROKE_M

    @property
    def penetration_m(self) -> float:
        """How deep the deepest contact is, m."""
        return max(0.0, -float(self.data.contact.dist.min())) if self.data.ncon else 0.0

    def tool_pose(self) -> Pose:
        """Return the tool's pose."""
        site = self.data.site(TOOL_SITE)
        return Pose(site.xpos.copy(), quaternion_of(site.xmat))

    def body_pose(self, name: str) -> Pose:
        """Return the pose of the body `name`."""
        body = self.data.body(name)
        return Pose(body.xpos.copy(), quaternion_of(body.xmat))

    def yogurt_in_tool(self) -> FloatArray:
        """Return the place (3,) m of the yogurt's middle in the tool's frame."""
        site, up = self.data.site(TOOL_SITE), self.data.xmat[self._yogurt].reshape(3, 3)[:, 2]
        middle = self.data.xpos[self._yogurt] + BOTTLES[YOGURT].height / 2 * up
        place: FloatArray = site.xmat.reshape(3, 3).T @ (middle - site.xpos)
        return place

    def in_door(self, position: FloatArray) -> FloatArray:
        """Return the point `position` (3,) m in the door's frame."""
        door = self.data.body("door")
        point: FloatArray = door.xmat.reshape(3, 3).T @ (position - door.xpos)
        return point

    def of_door(self, point: FloatArray) -> FloatArray:
        """Return the position (3,) m of `point`, given in the door's frame."""
        door = self.data.body("door")
        position: FloatArray = door.xpos + door.xmat.reshape(3, 3) @ point
        return position

    def situation(self, slot: FloatArray) -> Situation:
        """Return what the judge looks at; `slot` (2,) m in the door's frame."""
        position = self.data.xpos[self._yogurt].copy()
        upright = float(np.clip(self.data.xmat[self._yogurt][8], -1.0, 1.0))
        velocity = self.data.qvel[self._yogurt_v : self._yogurt_v + 6]
        return Situation(
            position=position,
            in_door=self.in_door(position),
            slot=slot,
            tilt_rad=float(np.arccos(upright)),
            speed_m_s=float(np.linalg.norm(velocity[:3])),
            turn_rad_s=float(np.linalg.norm(velocity[3:])),
            touched=self._touching_yogurt()[0],
        )

    @property
    def yogurt_carried(self) -> bool:
        """Whether the robot holds the yogurt and nothing else touches it."""
        by_robot, by_others = self._touching_yogurt()
        return by_robot and not by_others

    def _touching_yogurt(self) -> tuple[bool, bool]:
        """Return whether the robot, and whether anything else, touches the yogurt."""
        if not self.data.ncon:
            return False, False
        bodies = self.model.geom_bodyid[self.data.contact.geom]  # (contacts, 2)
        of_yogurt = (bodies == self._yogurt).any(axis=1)
        by_robot = self._robot[bodies].any(axis=1)
        return bool((of_yogurt & by_robot).any()), bool((of_yogurt & ~by_robot).any())


def below(model: Any, root: int) -> npt.NDArray[np.bool_]:
    """Return which bodies are `root` or hang on it, shape (bodies,)."""
    below = np.zeros(model.nbody, dtype=bool)
    below[root] = True
    for body in range(root + 1, model.nbody):  # parents come first
        below[body] = below[model.body_parentid[body]]
    return below


def quaternion_of(matrix: FloatArray) -> FloatArray:
    """Return x y z w for a rotation matrix of 9 values."""
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, matrix)
    return np.roll(quaternion, -1)
