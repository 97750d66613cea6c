"""Serial chains by their URDF joint origins, and where they put the tool."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dynamo_policies.contract import Contract
from dynamo_policies.errors import UnknownNameError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Joint:
    """A revolute joint about its own z axis: origin in the parent link, m and rad, limits in rad."""

    name: str
    xyz: tuple[float, float, float]
    roll: float
    lower: float
    upper: float
    effort: float  # Nm


@dataclass(frozen=True)
class Chain:
    """Revolute joints from the base to the flange."""

    joints: tuple[Joint, ...]

    def forward(
        self, positions: npt.ArrayLike, *, tool_offset_m: float = 0.0
    ) -> tuple[FloatArray, FloatArray]:
        """Return the tool's position, (..., 3) m, and rotation matrix, (..., 3, 3), in the base frame.

        `positions` has shape (..., J), rad. The tool lies `tool_offset_m` along the flange's z axis.
        """
        q = np.asarray(positions, dtype=np.float64)
        if q.shape[-1] != len(self.joints):
            raise ValueError(f"{q.shape[-1]} joint positions given for a chain of {len(self.joints)} joints")
        still, cosine, sine = self._parts
        # (..., J, 4, 4), all joints at once: called several times for each command.
        links = still + cosine * np.cos(q)[..., None, None] + sine * np.sin(q)[..., None, None]
        pose = links[..., 0, :, :]
        for i in range(1, len(self.joints)):
            pose = pose @ links[..., i, :, :]
        rotation = pose[..., :3, :3]
        return pose[..., :3, 3] + rotation[..., :, 2] * tool_offset_m, rotation

    @cached_property
    def _parts(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What a link's transform (4, 4) has of 1, of its angle's cosine and of its sine, (J, 4, 4) each."""
        still, cosine, sine = (np.zeros((len(self.joints), 4, 4)) for _ in range(3))
        for i, joint in enumerate(self.joints):
            roll = _roll(joint.roll)
            still[i, :3, 3], still[i, 3, 3] = joint.xyz, 1.0
            still[i, :3, 2] = roll[:, 2]
            cosine[i, :3, :2] = roll[:, :2]
            sine[i, :3, :2] = roll[:, 1::-1] * [1.0, -1.0]
        return still, cosine, sine


_HALF = np.pi / 2
_TURN = 2 * np.pi

# Source: xarm_ros2, default (not "limited") URDF of the xArm 7.
XARM7 = Chain(
    (
        Joint("joint1", (0.0, 0.0, 0.267), 0.0, -_TURN, _TURN, 50.0),
        Joint("joint2", (0.0, 0.0, 0.0), -_HALF, -2.059, 2.0944, 50.0),
        Joint("joint3", (0.0, -0.293, 0.0), _HALF, -_TURN, _TURN, 30.0),
        Joint("joint4", (0.0525, 0.0, 0.0), _HALF, -0.19198, 3.927, 30.0),
        Joint("joint5", (0.0775, -0.3425, 0.0), _HALF, -_TURN, _TURN, 30.0),
        Joint("joint6", (0.0, 0.0, 0.0), _HALF, -1.69297, np.pi, 20.0),
        Joint("joint7", (0.076, 0.097, 0.0), -_HALF, -_TURN, _TURN, 20.0),
    )
)

# Source: franka_description, panda_arm.xacro and the joint limits beside it. Up to the flange: the hand is
# mounted to it turned by -45 degrees.
PANDA = Chain(
    (
        Joint("panda_joint1", (0.0, 0.0, 0.333), 0.0, -2.8973, 2.8973, 87.0),
        Joint("panda_joint2", (0.0, 0.0, 0.0), -_HALF, -1.7628, 1.7628, 87.0),
        Joint("panda_joint3", (0.0, -0.316, 0.0), _HALF, -2.8973, 2.8973, 87.0),
        Joint("panda_joint4", (0.0825, 0.0, 0.0), _HALF, -3.0718, -0.0698, 87.0),
        Joint("panda_joint5", (-0.0825, 0.384, 0.0), -_HALF, -2.8973, 2.8973, 12.0),
        Joint("panda_joint6", (0.0, 0.0, 0.0), _HALF, -0.0175, 3.7525, 12.0),
        Joint("panda_joint7", (0.088, 0.0, 0.0), _HALF, -2.8973, 2.8973, 12.0),
    )
)


@dataclass(frozen=True)
class Plane:
    """A tool that is moved in the plane z = 0 and never turned: joints x and y, m."""

    def forward(
        self, positions: npt.ArrayLike, *, tool_offset_m: float = 0.0
    ) -> tuple[FloatArray, FloatArray]:
        """Return the tool's position (..., 3) m and rotation matrix (..., 3, 3), as `Chain.forward` does."""
        q = np.asarray(positions, dtype=np.float64)
        if q.shape[-1] != 2:
            raise ValueError(f"{q.shape[-1]} joint positions given for a plane, which has 2")
        height = np.full((*q.shape[:-1], 1), tool_offset_m)
        return np.concatenate([q, height], axis=-1), np.broadcast_to(np.eye(3), (*q.shape[:-1], 3, 3))


# Source: Franka's robot specifications. The Panda's origins; limits of its successor, the Franka Research 3.
FR3 = Chain(
    tuple(
        replace(joint, name=joint.name.replace("panda", "fr3"), lower=lower, upper=upper)
        for joint, (lower, upper) in zip(
            PANDA.joints,
            (
                (-2.7437, 2.7437),
                (-1.7837, 1.7837),
                (-2.9007, 2.9007),
                (-3.0421, -0.1518),
                (-2.8065, 2.8065),
                (0.5445, 4.5169),
                (-3.0159, 3.0159),
            ),
            strict=True,
        )
    )
)

CHAINS: dict[str, Chain] = {"xarm7": XARM7, "panda": PANDA, "fr3": FR3}
PLANES: dict[str, Plane] = {"plane": Plane()}


def chain(name: str) -> Chain:
    """Return the chain called `name`; UnknownNameError if there is none."""
    if name not in CHAINS:
        raise UnknownNameError("kinematics", name, CHAINS)
    return CHAINS[name]


def placement(name: str) -> Chain | Plane:
    """Return what puts a tool where its joints say; UnknownNameError if there is none called `name`.

    A plane does so too, but is no robot to command: it has no inverse kinematics here.
    """
    if name not in PLANES and name not in CHAINS:
        raise UnknownNameError("kinematics", name, [*CHAINS, *PLANES])
    return PLANES[name] if name in PLANES else CHAINS[name]


def tool_poses(contract: Contract, state: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the measured tool poses of states: position (..., 3) m, quaternion (..., 4) x y z w.

    `state` has shape (..., S), in the order of `contract.state_names`, which must name the arm's joints.
    """
    names = contract.state_names
    for joint in contract.arm.joints:
        if joint not in names:
            raise UnknownNameError("joint of the arm in the state", joint, names)
    q = np.asarray(state, dtype=np.float64)[..., [names.index(joint) for joint in contract.arm.joints]]
    position, rotation = placement(contract.kinematics).forward(q, tool_offset_m=contract.tool_offset_m)
    quaternion = Rotation.from_matrix(rotation.reshape(-1, 3, 3)).as_quat()
    return position, quaternion.reshape(*q.shape[:-1], 4)


def _roll(angle: float) -> FloatArray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
