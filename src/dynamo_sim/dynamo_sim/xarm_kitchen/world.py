"""The kitchen's physics: a model, its state, and what can be measured in it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_ros.core.graphics import mujoco
from dynamo_ros.core.ik import TOOL_SITE
from dynamo_sim.world import World
from dynamo_sim.xarm_kitchen.judge import Situation
from dynamo_sim.xarm_kitchen.robot import FINGERS, STROKE_M
from dynamo_sim.xarm_kitchen.scene import BOTTLES, YOGURT, build_kitchen
from dynamo_sim.xarm_kitchen.starts import Start

FloatArray = npt.NDArray[np.float64]

SETTLE_STEPS = 150  # until the bottles rest


class Kitchen(World):
    """Arm, gripper, fridge and bottles. The gripper's opening runs from 0 to 1."""

    def __init__(self, contract: Contract) -> None:
        super().__init__(build_kitchen(contract), contract)
        self._fingers = np.array([self.model.joint(f"{name}_finger").qposadr[0] for name in FINGERS])
        self._finger_servo = self.model.actuator("fingers").id
        self._yogurt = self.model.body(YOGURT).id
        self._yogurt_v = int(self.model.joint(YOGURT).dofadr[0])

    def place(self, start: Start) -> None:
        """Put everything where `start` says, at rest, with the gripper open."""
        mujoco.mj_resetData(self.model, self.data)
        for name, (position, yaw) in start.bottles.items():
            self.data.joint(name).qpos[:] = [*position, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
        self.arm.place(start.arm)
        self.data.qpos[self._fingers] = self.data.ctrl[self._finger_servo] = STROKE_M
        mujoco.mj_step(self.model, self.data, SETTLE_STEPS)
        self.update()

    def step(self, joints: FloatArray, opening: float) -> None:
        """Let one time step pass with the servos aiming at `joints`, (7,) rad, and `opening`."""
        self.arm.aim(joints)
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

    @property
    def opening(self) -> float:
        """How far the gripper is open, 0 to 1."""
        return float(self.data.qpos[self._fingers].mean()) / STROKE_M

    def yogurt_in_tool(self) -> FloatArray:
        """Return the place (3,) m of the yogurt's middle in the tool's frame."""
        up = self.data.xmat[self._yogurt].reshape(3, 3)[:, 2]
        return self.in_tool(self.data.xpos[self._yogurt] + BOTTLES[YOGURT].height / 2 * up)

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
            touched=bool(self.touching(self._yogurt)[self.robot].any()),
        )

    @property
    def yogurt_carried(self) -> bool:
        """Whether the robot holds the yogurt and nothing else touches it."""
        touching = self.touching(self._yogurt)
        return bool(touching[self.robot].any()) and not touching[~self.robot].any()
