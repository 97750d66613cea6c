"""Inverse kinematics: joint positions that bring the tool to a pose, a bounded step at a time."""

from __future__ import annotations

import math
from typing import Any

import daqp
import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.errors import ConfigError, DynamoError
from dynamo_policies.kinematics import Chain, chain
from dynamo_policies.observation import Pose
from dynamo_policies.quaternions import from_matrix
from dynamo_ros.core.graphics import mink, mujoco

FloatArray = npt.NDArray[np.float64]

# The posture that the redundant joint is drawn to: tool down, elbow up, in the middle of the workspace.
NOMINAL_RAD: dict[str, tuple[float, ...]] = {
    "xarm7": (0.0, -0.35, 0.0, 1.25, 0.0, 1.60, -0.70),
    "fr3": (0.0, -0.7854, 0.0, -2.3562, 0.0, 1.5708, 0.7854),  # franka_ros2's own ready pose
}
TOOL_SITE = "tool"
# Keeps the joints from jumping about near singular poses; small enough that the pose is met to about 0.1 mm.
POSTURE_COST = 0.04
POSTURE_RATE = 3.0  # 1/s, how fast the redundant joint drifts to its nominal position
# Levenberg-Marquardt weight: it grows with the error squared, so that a pose out of reach causes no jitter.
FRAME_DAMPING = 5.0
# Metres count more than radians: 1 mm costs as much as 4 mrad.
POSITION_COST, ORIENTATION_COST = 4.0, 1.0
# No step takes more of the way to a joint's limit, and so much keeps the problem from being singular.
LIMIT_GAIN, DAMPING = 0.95, 1e-12


class IkError(DynamoError):
    """The inverse kinematics can't start or go on from where the arm is."""


class InverseKinematics:
    """Follow tool poses with joint positions that stay near the last ones.

    It moves its own desired positions and never the measured ones, so that gravity and lag of the arm do not
    feed back into the commands. Positions stay within the limits of contract and chain; no step exceeds the
    contract's joint velocities. A pose that can't be reached raises no error: the tool goes as near to it as
    limits allow, in the least-squares sense of the costs above, and stays there.
    """

    def __init__(self, contract: Contract) -> None:
        arm, links = contract.arm, chain(contract.kinematics)
        if contract.kinematics not in NOMINAL_RAD or len(arm.joints) != len(links.joints):
            raise ConfigError(
                f"inverse kinematics: {contract.kinematics!r} with joints {list(arm.joints)} has none here; "
                f"possible are {sorted(NOMINAL_RAD)} with all of their joints"
            )
        self._model = _kinematic_model(links, contract.tool_offset_m)
        self._model.jnt_range[:, 0] = np.maximum(self._model.jnt_range[:, 0], arm.lower_rad)
        self._model.jnt_range[:, 1] = np.minimum(self._model.jnt_range[:, 1], arm.upper_rad)
        self._lower, self._upper = self._model.jnt_range[:, 0].copy(), self._model.jnt_range[:, 1].copy()
        self._slack_rad = arm.first_target_within_rad
        self._configuration = mink.Configuration(self._model)
        self._site = self._model.site(TOOL_SITE).id
        self._tool = mink.FrameTask(
            TOOL_SITE,
            "site",
            position_cost=POSITION_COST,
            orientation_cost=ORIENTATION_COST,
            lm_damping=FRAME_DAMPING,
        )
        self._nominal = np.asarray(NOMINAL_RAD[contract.kinematics])
        self._velocity = np.asarray(arm.velocity_rad_s)
        self._kinds = np.zeros(len(links.joints), np.intc)  # of limits: all may be met with inequality
        self.reset(NOMINAL_RAD[contract.kinematics])

    @property
    def positions(self) -> FloatArray:
        """The desired joint positions, shape (J,), rad."""
        return self._configuration.q.copy()

    @property
    def pose(self) -> Pose:
        """The tool pose at the desired joint positions."""
        data = self._configuration.data
        return Pose(data.site_xpos[self._site].copy(), from_matrix(data.site_xmat[self._site].reshape(3, 3)))

    def reset(self, positions: npt.ArrayLike) -> None:
        """Start again from `positions`, shape (J,), rad; those just outside the limits are moved onto them.

        Raises IkError when a joint is further outside than a first target may lie from the arm.
        """
        q = np.asarray(positions, dtype=np.float64)
        inside = np.clip(q, self._lower, self._upper)
        worst = int(np.argmax(np.abs(q - inside)))
        if abs(q[worst] - inside[worst]) > self._slack_rad:
            name, (low, high) = self._model.joint(worst).name, self._model.jnt_range[worst]
            raise IkError(f"{name} stands at {q[worst]:.3f} rad; possible is {low:.3f} to {high:.3f}")
        self._configuration.update(inside)

    def step(self, pose: Pose, dt_s: float) -> FloatArray:
        """Return the desired joint positions, shape (J,) rad, after `dt_s` seconds towards `pose`.

        Raises IkError where no step is found, and stays.
        """
        self._tool.set_target(_transform(pose))
        change, status = self._least_squares(dt_s)
        if status <= 0:
            raise IkError(f"no joint step towards {pose} was found from {self.positions.tolist()}")
        if not np.isfinite(change).all():
            raise IkError(f"inverse kinematics gave the joint step {change.tolist()} towards {pose}")
        inside: FloatArray = np.clip(self._configuration.q + change, self._lower, self._upper)
        self._configuration.update(inside)
        return inside

    def _least_squares(self, dt_s: float) -> tuple[FloatArray, int]:
        """Return the change of the joints (J,) rad that suits the tasks best, and daqp's status.

        That is mink's problem for its frame task and its posture task, with its configuration and velocity
        limits. Limits and posture concern single joints: limits are given as bounds, and the posture adds to
        the diagonal and the linear part, instead of rows of their own.
        """
        rows, wanted, damping = self._tool.compute_qp_residual(self._configuration)
        q, most = self._configuration.q, self._velocity * dt_s
        homeward = -math.expm1(-POSTURE_RATE * dt_s) * (self._nominal - q)
        quadratic = rows.T @ rows
        quadratic.flat[:: len(quadratic) + 1] += DAMPING + damping + POSTURE_COST**2
        linear = -(wanted @ rows) - POSTURE_COST**2 * homeward
        upper = np.minimum(LIMIT_GAIN * (self._upper - q), most)
        lower = np.maximum(LIMIT_GAIN * (self._lower - q), -most)
        change, _, status, _ = daqp.solve(quadratic, linear, rows[:0], upper, lower, self._kinds)
        return change, int(status)


def add_chain(parent: Any, links: Chain) -> list[Any]:
    """Add the chain's bodies (`link1`, ...) and joints below the MjSpec body `parent`; return the bodies."""
    bodies = []
    for i, joint in enumerate(links.joints):
        half = joint.roll / 2
        parent = parent.add_body(
            name=f"link{i + 1}", pos=joint.xyz, quat=[np.cos(half), np.sin(half), 0.0, 0.0]
        )
        hinge = mujoco.mjtJoint.mjJNT_HINGE
        parent.add_joint(name=joint.name, type=hinge, axis=[0, 0, 1], range=[joint.lower, joint.upper])
        bodies.append(parent)
    return bodies


def _kinematic_model(links: Chain, tool_offset_m: float) -> mujoco.MjModel:
    """Return a model of the bare chain, with a site where the tool is and no shapes."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    bodies = add_chain(spec.worldbody, links)
    for body in bodies:  # MuJoCo wants a mass; nothing here moves by forces
        body.mass, body.inertia, body.explicitinertial = 1.0, [1.0, 1.0, 1.0], True
    bodies[-1].add_site(name=TOOL_SITE, pos=[0.0, 0.0, tool_offset_m])
    return spec.compile()


def _transform(pose: Pose) -> mink.SE3:
    x, y, z, w = pose.quaternion.tolist()
    return mink.SE3(np.array([w, x, y, z, *pose.position.tolist()]))
