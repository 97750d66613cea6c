"""The kitchen: counter, fridge with its door open, bottles, cameras; and the physics that they obey.

Lengths m, masses kg. The world frame is the robot's base frame; the counter's top is at z = 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dynamo_policies.contract import Contract
from dynamo_ros.core.graphics import mujoco
from dynamo_sim.physics import set_physics, set_view
from dynamo_sim.shapes import PAINT, Colour, box, cylinder, damp
from dynamo_sim.xarm_kitchen.robot import add_robot


class Bottle(NamedTuple):
    """A bottle's size and paint. `height` is that of the body without cap."""

    radius: float
    height: float
    mass: float
    body: Colour
    label: Colour
    cap: Colour


YOGURT = "yogurt"
BOTTLES: dict[str, Bottle] = {
    YOGURT: Bottle(0.030, 0.130, 0.20, (0.86, 0.10, 0.16), (0.98, 0.94, 0.88), (0.98, 0.80, 0.10)),
    "milk": Bottle(0.030, 0.150, 0.25, (0.30, 0.45, 0.85), (0.92, 0.95, 1.00), (0.10, 0.15, 0.45)),
    "juice": Bottle(0.030, 0.140, 0.25, (0.20, 0.60, 0.30), (0.75, 0.90, 0.30), (0.05, 0.30, 0.10)),
    "sauce": Bottle(0.026, 0.120, 0.20, (0.40, 0.25, 0.15), (0.85, 0.65, 0.35), (0.15, 0.10, 0.08)),
}
CAP_HEIGHT = 0.018

ZONE = np.array([0.42, -0.20, 0.0])  # the mat on the counter: yogurt starts or ends here
ZONE_HALF = np.array([0.095, 0.105])

# The door, in its own frame: x along the panel away from the hinge, y out of its inner face, z up.
HINGE = (0.69, 0.44, 0.0)
DOOR_YAW = np.deg2rad(172.0)  # open 8 degrees past parallel to the counter's edge
SHELF_FLOOR = 0.106  # height of the shelf's floor
SHELF_X, SHELF_Y = (0.045, 0.450), (0.080, 0.190)  # inside of the shelf
SLOT = np.array([0.2436, 0.1352])  # middle of the places where the yogurt stands; in the door's frame
LIP = 0.05

WALL: Colour = (0.80, 0.74, 0.64)
TILE: Colour = (0.42, 0.40, 0.40)
COUNTER: Colour = (0.62, 0.45, 0.29)
MAT: Colour = (0.16, 0.42, 0.42)
STEEL: Colour = (0.66, 0.70, 0.74)
LINER: Colour = (0.90, 0.94, 0.96)
GLASS: Colour = (0.55, 0.72, 0.82)

CAMERAS = ("fixed", "wrist")
FIXED_CAMERA, FIXED_LOOKS_AT, FIXED_FOVY = (0.84, -0.66, 0.66), (0.38, 0.04, 0.175), 55.0


def build_kitchen(contract: Contract) -> mujoco.MjModel:
    """Return the compiled model; its arm has the joint origins of `contract.kinematics`."""
    spec = mujoco.MjSpec()
    spec.modelname = contract.name
    spec.compiler.degree = False
    # Low enough for a bottle that the first finger pushes to slide up to the second: it would tip above
    # radius / grasp height = 0.31, and jam between the pads.
    set_physics(spec, sliding_friction=0.3)
    set_view(spec, contract, camera=FIXED_CAMERA, looks_at=FIXED_LOOKS_AT, fovy_deg=FIXED_FOVY)
    add_robot(spec, contract)
    _add_room(spec.worldbody)
    _add_fridge(spec.worldbody)
    for name, bottle in BOTTLES.items():
        _add_bottle(spec.worldbody, name, bottle)
    return spec.compile()


def _add_room(world: Any) -> None:
    box(world, (2.0, 2.0, 0.01), (0.3, 0.0, -0.91), TILE, touches=PAINT)
    box(world, (2.0, 0.01, 1.5), (0.3, 0.95, 0.3), WALL, touches=PAINT)
    box(world, (0.01, 2.0, 1.5), (-0.55, 0.0, 0.3), WALL, touches=PAINT)
    box(world, (0.78, 0.75, 0.02), (0.53, 0.05, -0.02), COUNTER)
    box(world, (0.74, 0.71, 0.42), (0.53, 0.05, -0.46), LINER, touches=PAINT)
    box(world, (*ZONE_HALF, 0.0006), (*ZONE[:2], 0.0), MAT, touches=PAINT)


def _add_fridge(world: Any) -> None:
    _add_cabinet(world)
    half = DOOR_YAW / 2
    door = world.add_body(name="door", pos=HINGE, quat=[np.cos(half), 0.0, 0.0, np.sin(half)])
    hinge = mujoco.mjtJoint.mjJNT_HINGE
    swing = door.add_joint(name="door", type=hinge, axis=[0, 0, 1], range=[-0.3, 0.3], frictionloss=4.0)
    damp(swing, 2.0)
    box(door, (0.245, 0.012, 0.275), (0.250, 0.012, 0.290), STEEL, mass=5.0)  # outside
    box(door, (0.235, 0.010, 0.265), (0.250, 0.034, 0.290), LINER, mass=2.0)  # inner face
    _add_door_shelf(door)


def _add_cabinet(world: Any) -> None:
    """A small fridge on the counter, open towards the robot."""
    x, width, depth, height = 0.70, 0.52, 0.46, 0.58
    y = HINGE[1] - 0.25
    wall = 0.02
    box(world, (depth / 2, width / 2, wall), (x + depth / 2, y, wall), STEEL)
    box(world, (depth / 2, width / 2, wall), (x + depth / 2, y, height), STEEL)
    box(world, (wall, width / 2, height / 2), (x + depth, y, height / 2), LINER)
    for side in (-1.0, 1.0):
        box(world, (depth / 2, wall, height / 2), (x + depth / 2, y + side * width / 2, height / 2), STEEL)
    for z in (0.20, 0.40):
        box(world, (depth / 2 - 0.02, width / 2, 0.006), (x + depth / 2, y, z), GLASS, touches=PAINT)


def _add_door_shelf(door: Any) -> None:
    x, half_x = sum(SHELF_X) / 2, (SHELF_X[1] - SHELF_X[0]) / 2
    y, half_y = sum(SHELF_Y) / 2, (SHELF_Y[1] - SHELF_Y[0]) / 2
    wall, back = 0.004, (SHELF_Y[0] - 0.044) / 2
    # The liner is thicker below, so that bottles stand off the panel and a wrist has room beside them.
    box(door, (half_x, back, 0.065), (x, 0.044 + back, SHELF_FLOOR + LIP - 0.065), LINER, mass=0.5)
    box(door, (half_x, half_y, 0.008), (x, y, SHELF_FLOOR - 0.008), GLASS, mass=0.4)
    box(door, (half_x, wall, LIP / 2), (x, SHELF_Y[1] + wall, SHELF_FLOOR + LIP / 2 - 0.008), GLASS, mass=0.2)
    for end, side in zip(SHELF_X, (-1.0, 1.0), strict=True):
        pos = (end + side * wall, y, SHELF_FLOOR + LIP / 2 - 0.008)
        box(door, (wall, half_y, LIP / 2), pos, GLASS, mass=0.1)


def _add_bottle(world: Any, name: str, bottle: Bottle) -> None:
    """The body's origin is the middle of the bottle's base."""
    body = world.add_body(name=name)
    body.add_freejoint(name=name)
    radius, height = bottle.radius, bottle.height
    cylinder(body, radius, ((0, 0, 0), (0, 0, height)), bottle.body, name=name, mass=bottle.mass * 0.95)
    label = ((0.0, 0.0, 0.25 * height), (0.0, 0.0, 0.55 * height))
    cylinder(body, radius + 0.0006, label, bottle.label, touches=PAINT, mass=0.0)
    cap = ((0.0, 0.0, height), (0.0, 0.0, height + CAP_HEIGHT))
    cylinder(body, 0.6 * radius, cap, bottle.cap, mass=bottle.mass * 0.05)
