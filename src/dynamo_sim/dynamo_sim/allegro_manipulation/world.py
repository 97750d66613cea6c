"""The table's physics: a model, its state, and what can be measured in it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose
from dynamo_ros.core.graphics import mujoco
from dynamo_ros.core.ik import TOOL_SITE
from dynamo_sim.allegro_manipulation.judge import Situation
from dynamo_sim.allegro_manipulation.scene import SPONGE, SPONGE_HALF, build_table
from dynamo_sim.allegro_manipulation.starts import Start
from dynamo_sim.xarm_kitchen.world import below, quaternion_of

FloatArray = npt.NDArray[np.float64]

SETTLE_STEPS = 100  # until the sponge rests
CORNERS = np.array(list(itertools.product(*((-half, half) for half in SPONGE_HALF))))  # (8, 3) m


class Joints:
    """Named joints of a model and the servos of the same names."""

    def __init__(self, model: Any, data: Any, names: tuple[str, ...]) -> None:
        self._data = data
        self._q = np.array([model.joint(name).qposadr[0] for name in names])
        self._v = np.array([model.joint(name).dofadr[0] for name in names])
        self._servos = np.array([model.actuator(name).id for name in names])

    def place(self, positions: FloatArray) -> None:
        """Put the joints at `positions`, rad, and let the servos hold them there."""
        self._data.qpos[self._q] = self._data.ctrl[self._servos] = positions

    def aim(self, positions: FloatArray) -> None:
        """Let the servos aim at `positions`, rad."""
        self._data.ctrl[self._servos] = positions

    @property
    def positions(self) -> FloatArray:
        """The positions, rad."""
        values: FloatArray = self._data.qpos[self._q]
        return values

    @property
    def velocities(self) -> FloatArray:
        """The velocities, rad/s."""
        values: FloatArray = self._data.qvel[self._v]
        return values

    @property
    def efforts(self) -> FloatArray:
        """The servos' torques, Nm."""
        values: FloatArray = self._data.actuator_force[self._servos]
        return values


class Table:
    """Bodies and servos; `arm` and `hand` have their joints in the contract's order."""

    def __init__(self, contract: Contract) -> None:
        self.model: Any = build_table(contract)
        self.data: Any = mujoco.MjData(self.model)
        self.arm = Joints(self.model, self.data, contract.arm.joints)
        self.hand = Joints(self.model, self.data, contract.need_hand("the simulated table").joints)
        self._sponge = self.model.body(SPONGE).id
        self._of_hand = below(self.model, self.model.body("palm_link").id)
        self._of_robot = below(self.model, self.model.body("link_base").id)

    def place(self, start: Start, hand: FloatArray) -> None:
        """Put everything where `start` says, at rest, with the hand at `hand` (16,) rad."""
        mujoco.mj_resetData(self.model, self.data)
        half = start.yaw / 2
        self.data.joint(SPONGE).qpos[:] = [*start.sponge, np.cos(half), 0.0, 0.0, np.sin(half)]
        self.arm.place(start.arm)
        self.hand.place(hand)
        mujoco.mj_step(self.model, self.data, SETTLE_STEPS)
        self.update()

    def step(self, arm: FloatArray, hand: FloatArray) -> None:
        """Let one time step pass with the servos aiming at `arm` (7,) and `hand` (16,), rad."""
        self.arm.aim(arm)
        self.hand.aim(hand)
        mujoco.mj_step(self.model, self.data)

    def update(self) -> None:
        """Bring the poses of bodies and cameras up to the joint positions; a step leaves them behind."""
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    @property
    def penetration_m(self) -> float:
        """How deep the deepest contact is, m."""
        return max(0.0, -float(self.data.contact.dist.min())) if self.data.ncon else 0.0

    def tool_pose(self) -> Pose:
        """Return the tool's pose."""
        site = self.data.site(TOOL_SITE)
        return Pose(site.xpos.copy(), quaternion_of(site.xmat))

    def sponge_pose(self) -> Pose:
        """Return the pose of the sponge's middle."""
        return Pose(self.data.xpos[self._sponge].copy(), quaternion_of(self.data.xmat[self._sponge]))

    def sponge_in_tool(self) -> FloatArray:
        """Return the place (3,) m of the sponge's middle in the tool's frame."""
        site = self.data.site(TOOL_SITE)
        place: FloatArray = site.xmat.reshape(3, 3).T @ (self.data.xpos[self._sponge] - site.xpos)
        return place

    def situation(self) -> Situation:
        """Return what the judge looks at."""
        turn = self.data.xmat[self._sponge].reshape(3, 3)
        lowest = float((self.data.xpos[self._sponge] + CORNERS @ turn.T)[:, 2].min())
        by_hand, by_others = self._touching_sponge()
        return Situation(lowest, by_hand, by_others)

    def _touching_sponge(self) -> tuple[bool, bool]:
        """Return whether the hand, and whether anything that is not the robot, touches the sponge."""
        if not self.data.ncon:
            return False, False
        bodies = self.model.geom_bodyid[self.data.contact.geom]  # (contacts, 2)
        of_sponge = (bodies == self._sponge).any(axis=1)
        by_hand, by_robot = self._of_hand[bodies].any(axis=1), self._of_robot[bodies].any(axis=1)
        return bool((of_sponge & by_hand).any()), bool((of_sponge & ~by_robot).any())
