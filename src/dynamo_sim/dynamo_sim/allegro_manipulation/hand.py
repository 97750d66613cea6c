"""The right Allegro hand V4 out of primitives, with the kinematics of `dynamo_ros.core.allegro`.

Masses, box sizes and the fingertips' radius are those of the ROS 1 driver's URDF; torques, gains and joint
friction are simple stand-ins for the firmware's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from dynamo_policies.contract import Contract
from dynamo_ros.core.allegro import (
    FINGERS,
    INDEX_FIRST,
    KINEMATICS,
    LOWER_RAD,
    THUMB_FIRST,
    UPPER_RAD,
    Finger,
    finger_slice,
)
from dynamo_ros.core.graphics import mujoco
from dynamo_sim.shapes import PAINT, ROBOT, Colour, box, capsule, damp
from dynamo_sim.xarm_kitchen.robot import add_servo

SHELL: Colour = (0.13, 0.13, 0.15)
JOINT: Colour = (0.55, 0.56, 0.58)
TIP: Colour = (0.95, 0.93, 0.88)

# The bracket between flange and hand, which no one publishes for this pair. In the flange's frame (z out of
# the arm): where palm_link is, m, and where its axes point: its x, out of the palm, along the flange's z; its
# z, along the fingers, along the flange's x. A grasp's middle, (0.105, 0, 0.01) in palm_link, is on the axis.
MOUNT_M = (-0.010, 0.0, 0.060)
MOUNT_AXES = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])  # columns: palm_link's x, y, z

MASSES = {"thumb": (0.0176, 0.0119, 0.038, 0.0388)}  # kg, of the links from joint 0 on; the tips' extra
LONG_MASSES = (0.0119, 0.065, 0.0355, 0.0096)
TIP_KG, TIP_M = 0.0168, 0.012
PALM_KG, PALM_HALF, PALM_AT = 0.4154, (0.0204, 0.0565, 0.0475), (-0.0093, 0.0, -0.0475)
LINK_M = 0.0098  # half the width of a finger's segments

# Position servos: Nm/rad and Nm s/rad; the torque is that of DIME's controller, the V4 gives 0.7 at most.
STIFFNESS, DAMPING, TORQUE = 2.0, 0.10, 0.65
ARMATURE = 0.002
# Rubber: priority makes the tips' friction count.
TIP_CONTACT: dict[str, Any] = {"friction": [1.0, 0.02, 0.0005], "condim": 4}
ORDERS = {"allegro_v4": THUMB_FIRST, "allegro_v5": INDEX_FIRST, "allegro_dime": INDEX_FIRST}


def add_hand(spec: Any, flange: Any, contract: Contract) -> None:
    """Add the hand below `flange`; its joints and servos have the names of contract.hand.joints."""
    sink = contract.need_hand("the simulated hand")
    names = dict(zip(ORDERS[sink.kind], sink.joints, strict=True))  # our number -> the driver's name
    palm = flange.add_body(name="palm_link", pos=MOUNT_M, quat=_quat(Rotation.from_matrix(MOUNT_AXES)))
    box(palm, PALM_HALF, PALM_AT, SHELL, touches=ROBOT, mass=PALM_KG)
    half = (MOUNT_M[2] - 0.03) / 2
    box(flange, (0.02, 0.03, half), (0.0, 0.0, half), JOINT, touches=PAINT, mass=0.1)
    for finger in FINGERS:
        here = finger_slice(finger)
        numbers = range(here.start, here.stop)
        _add_finger(spec, palm, finger, [names[number] for number in numbers])
        for number in numbers:
            spec.joint(names[number]).range = [LOWER_RAD[number], UPPER_RAD[number]]


def _add_finger(spec: Any, palm: Any, name: str, joints: Sequence[str]) -> None:
    chain: Finger = KINEMATICS[name]
    masses, parent = MASSES.get(name, LONG_MASSES), palm
    place, turn = chain.base_m, Rotation.from_euler("xyz", chain.base_rpy)
    for i, joint in enumerate(joints):
        body = parent.add_body(name=f"{name}_{i}", pos=place, quat=_quat(turn))
        hinge = body.add_joint(
            name=joint, type=mujoco.mjtJoint.mjJNT_HINGE, axis=chain.axes[i], armature=ARMATURE
        )
        damp(hinge, 0.01)
        _add_link(body, chain.links_m[i], masses[i], last=i == 3)
        add_servo(spec, joint, STIFFNESS, DAMPING, TORQUE)
        parent, place, turn = body, chain.links_m[i], Rotation.identity()
    _add_tip(parent, name, chain.links_m[3])


def _add_link(body: Any, end: Sequence[float], mass: float, *, last: bool) -> None:
    reach = float(np.linalg.norm(end))
    if reach < 2 * LINK_M:  # the short links hide between their neighbours
        capsule(body, LINK_M, ((0.0, 0.0, 0.0), end), JOINT, touches=PAINT, mass=mass)
        return
    colour = JOINT if last else SHELL
    capsule(body, LINK_M, ((0.0, 0.0, 0.0), end), colour, touches=ROBOT, mass=mass)


def _add_tip(body: Any, name: str, place: Sequence[float]) -> None:
    sphere = mujoco.mjtGeom.mjGEOM_SPHERE
    contype, conaffinity = ROBOT
    body.add_geom(
        name=f"{name}_tip",
        type=sphere,
        size=[TIP_M, 0.0, 0.0],
        pos=place,
        rgba=[*TIP, 1.0],
        mass=TIP_KG,
        contype=contype,
        conaffinity=conaffinity,
        **TIP_CONTACT,
    )


def _quat(rotation: Rotation) -> list[float]:
    x, y, z, w = rotation.as_quat()
    return [float(w), float(x), float(y), float(z)]
