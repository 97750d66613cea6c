"""The xArm 7 with its gripper and wrist camera, out of primitives."""

from __future__ import annotations

from typing import Any

import numpy as np

from dynamo_policies.contract import Contract
from dynamo_policies.kinematics import chain
from dynamo_ros.core.graphics import mujoco
from dynamo_ros.core.ik import TOOL_SITE, add_chain
from dynamo_sim.shapes import PAINT, ROBOT, Colour, box, capsule, cylinder, damp, looking_at

WHITE: Colour = (0.93, 0.93, 0.94)
GREY: Colour = (0.45, 0.47, 0.50)
BLACK: Colour = (0.12, 0.12, 0.14)
RUBBER: Colour = (0.10, 0.55, 0.95)

# Position servos. The damping is 0.8 of critical for the inertia that each joint sees; the lag, 32 ms.
STIFFNESS = (3000.0, 3000.0, 2000.0, 2000.0, 1000.0, 1000.0, 500.0)  # Nm/rad
INERTIA = (1.2, 1.2, 0.8, 0.8, 0.2, 0.2, 0.1)  # kg m2
ARMATURE, DAMPING = 0.1, 1.0

STROKE_M = 0.0425  # of each finger; 0 is closed
FINGERS = {"left": 1.0, "right": -1.0}
FINGER_STIFFNESS, FINGER_DAMPING, FINGER_FORCE = 1000.0, 20.0, 30.0  # N/m, N s/m, N for each finger
PAD_HALF = (0.011, 0.005, 0.019)  # m, along the tool's x, y, z
# Priority: the pads' friction counts, not the bottle's.
PAD_CONTACT: dict[str, Any] = {"friction": [1.2, 0.02, 0.0005], "condim": 4, "priority": 1}

# Links by xarm_ros2's default set, kg; the shapes below share them.
LINK_MASSES = (2.382, 1.869, 1.638, 1.727, 1.320, 1.325, 0.17)
# From each link's own frame: kind, radius, ends, colour. All lengths m.
LINK_SHAPES: tuple[tuple[tuple[Any, ...], ...], ...] = (
    (
        (cylinder, 0.055, ((0.0, 0.0, -0.10), (0.0, 0.0, 0.0)), WHITE),
        (cylinder, 0.056, ((0.0, -0.065, 0.0), (0.0, 0.065, 0.0)), WHITE),
    ),
    (
        (cylinder, 0.052, ((0.0, 0.0, -0.075), (0.0, 0.0, 0.075)), GREY),
        (capsule, 0.047, ((0.0, -0.04, 0.0), (0.0, -0.19, 0.0)), WHITE),
    ),
    (
        (cylinder, 0.045, ((0.0, 0.0, -0.09), (0.0, 0.0, -0.075)), GREY),
        (capsule, 0.044, ((0.0, 0.0, -0.05), (0.0525, 0.0, 0.0)), WHITE),
        (cylinder, 0.048, ((0.0525, -0.055, 0.0), (0.0525, 0.055, 0.0)), WHITE),
    ),
    (
        (cylinder, 0.044, ((0.0, 0.0, -0.065), (0.0, 0.0, 0.065)), GREY),
        (capsule, 0.042, ((0.0, 0.0, 0.0), (0.0775, -0.10, 0.0)), WHITE),
    ),
    (
        (cylinder, 0.043, ((0.0, 0.0, -0.235), (0.0, 0.0, -0.22)), GREY),
        (capsule, 0.040, ((0.0, 0.0, -0.19), (0.0, 0.0, 0.0)), WHITE),
    ),
    (
        (cylinder, 0.041, ((0.0, 0.0, -0.052), (0.0, 0.0, 0.052)), GREY),
        (capsule, 0.037, ((0.0, 0.0, 0.0), (0.076, 0.0, 0.0)), WHITE),
        (cylinder, 0.037, ((0.076, 0.0, 0.0), (0.076, 0.065, 0.0)), WHITE),
    ),
    ((cylinder, 0.032, ((0.0, 0.0, -0.03), (0.0, 0.0, 0.0)), GREY),),
)


def add_robot(spec: Any, contract: Contract) -> None:
    """Add arm, gripper, their servos and the wrist camera to `spec`; the base stands at the origin."""
    flange = add_arm(spec, contract)
    _add_gripper(spec, flange, contract.tool_offset_m)
    _add_wrist_camera(flange)
    carry_own_weight(spec)


def add_arm(spec: Any, contract: Contract) -> Any:
    """Add the arm and its servos to `spec`, with the base at the origin; return the flange."""
    links = chain(contract.kinematics)
    base = spec.worldbody.add_body(name="link_base")
    cylinder(base, 0.065, ((0.0, 0.0, 0.0), (0.0, 0.0, 0.03)), GREY, touches=ROBOT)
    cylinder(base, 0.058, ((0.0, 0.0, 0.03), (0.0, 0.0, 0.165)), WHITE, touches=ROBOT)
    bodies = add_chain(base, links)
    for body, mass, shapes in zip(bodies, LINK_MASSES, LINK_SHAPES, strict=True):
        for add, radius, ends, colour in shapes:
            add(body, radius, ends, colour, touches=ROBOT, mass=mass / len(shapes))
    for i, joint in enumerate(links.joints):
        spec.joint(joint.name).armature = ARMATURE
        damp(spec.joint(joint.name), DAMPING)
        damping = 1.6 * float(np.sqrt(STIFFNESS[i] * INERTIA[i]))
        add_servo(spec, joint.name, STIFFNESS[i], damping, joint.effort)
    flange = bodies[-1]
    flange.add_site(name=TOOL_SITE, pos=[0.0, 0.0, contract.tool_offset_m], group=5)  # not drawn
    return flange


def carry_own_weight(spec: Any) -> None:
    """Let every body there is so far weigh nothing: the controllers of real robots carry them."""
    for body in spec.bodies:
        body.gravcomp = 1.0


def _add_gripper(spec: Any, flange: Any, tool_offset_m: float) -> None:
    palm = flange.add_body(name="xarm_gripper_base_link")
    cylinder(palm, 0.034, ((0.0, 0.0, 0.0), (0.0, 0.0, 0.035)), BLACK, touches=ROBOT, mass=0.2)
    box(palm, (0.024, 0.052, 0.022), (0.0, 0.0, 0.057), WHITE, touches=ROBOT, mass=0.3)
    tendon = spec.add_tendon(name="fingers")
    for name, side in FINGERS.items():
        _add_finger(palm, name, side, tool_offset_m)
        tendon.wrap_joint(f"{name}_finger", 0.5)
    coupling = spec.add_equality(
        type=mujoco.mjtEq.mjEQ_JOINT,
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        name1="left_finger",
        name2="right_finger",
    )
    coupling.data[:2] = [0.0, 1.0]
    coupling.solref = [0.004, 1.0]
    servo = add_servo(spec, "fingers", 2 * FINGER_STIFFNESS, 2 * FINGER_DAMPING, 2 * FINGER_FORCE)
    servo.trntype = mujoco.mjtTrn.mjTRN_TENDON


def _add_finger(palm: Any, name: str, side: float, tool_offset_m: float) -> None:
    """Add a finger that slides away from the tool's axis; at 0 the pads' inner faces meet."""
    finger = palm.add_body(name=f"{name}_finger")
    slide = finger.add_joint(
        name=f"{name}_finger",
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=[0.0, side, 0.0],
        range=[0.0, STROKE_M],
        armature=0.05,
    )
    damp(slide, 2.0)
    pad_y, knuckle_y = side * PAD_HALF[1], side * (2 * PAD_HALF[1] + 0.005)
    pad = (0.0, pad_y, tool_offset_m)
    box(finger, PAD_HALF, pad, RUBBER, name=f"{name}_pad", touches=ROBOT, mass=0.02, **PAD_CONTACT)
    box(
        finger,
        (0.010, 0.005, 0.050),
        (0.0, knuckle_y, tool_offset_m - 0.031),
        BLACK,
        touches=ROBOT,
        mass=0.06,
    )


def _add_wrist_camera(flange: Any) -> None:
    # On the side of the robot: on the other one it would run into the fridge's door.
    position = (-0.085, 0.0, 0.03)
    box(flange, (0.026, 0.045, 0.011), (-0.056, 0.0, 0.012), GREY, touches=PAINT, mass=0.07)
    # Tool z is forward; tilted inwards, so that both fingertips and what lies ahead are seen.
    aim = (position[0] + 0.18, 0.0, position[2] + 1.0)
    flange.add_camera(name="wrist", pos=position, quat=looking_at(position, aim, (1.0, 0.0, 0.0)), fovy=75.0)


def add_servo(spec: Any, target: str, stiffness: float, damping: float, force: float) -> Any:
    """Add a position servo of the joint or tendon `target`: Nm/rad, Nm s/rad, Nm, or N/m, N s/m, N."""
    servo = spec.add_actuator(name=target, target=target, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    servo.gaintype, servo.biastype = mujoco.mjtGain.mjGAIN_FIXED, mujoco.mjtBias.mjBIAS_AFFINE
    servo.gainprm[0] = stiffness
    servo.biasprm[:3] = [0.0, -stiffness, -damping]
    servo.forcelimited, servo.forcerange = True, [-force, force]
    return servo
