"""The physics of a station with an arm: a model, its state, and what can be measured in every one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose
from dynamo_ros.core.graphics import mujoco
from dynamo_ros.core.ik import TOOL_SITE

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


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


class World:
    """Bodies and servos; `arm` has its joints in the contract's order."""

    def __init__(self, model: Any, contract: Contract) -> None:
        self.model: Any = model
        self.data: Any = mujoco.MjData(model)
        self.arm = Joints(model, self.data, contract.arm.joints)
        self.robot = below(model, model.body("link_base").id)

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

    def body_pose(self, name: str) -> Pose:
        """Return the pose of the body `name`."""
        body = self.data.body(name)
        return Pose(body.xpos.copy(), quaternion_of(body.xmat))

    def in_tool(self, position: FloatArray) -> FloatArray:
        """Return the point `position` (3,) m in the tool's frame."""
        site = self.data.site(TOOL_SITE)
        place: FloatArray = site.xmat.reshape(3, 3).T @ (position - site.xpos)
        return place

    def touching(self, body: int) -> BoolArray:
        """Return which bodies touch `body`, (bodies,)."""
        found = np.zeros(self.model.nbody, np.bool_)
        if self.data.ncon:
            pairs = self.model.geom_bodyid[self.data.contact.geom]  # (contacts, 2)
            found[pairs[(pairs == body).any(axis=1)]] = True
        found[body] = False
        return found


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
