"""A table with a sponge before arm and hand, a camera, and the physics that they obey.

Lengths m, masses kg. The world frame is the robot's base frame; the table's top is at z = 0.
"""

from __future__ import annotations

from typing import Any

from dynamo_policies.contract import Contract
from dynamo_ros.core.graphics import mujoco
from dynamo_sim.allegro_manipulation.hand import add_hand
from dynamo_sim.physics import set_physics, set_view
from dynamo_sim.shapes import PAINT, Colour, box
from dynamo_sim.xarm_kitchen.robot import add_arm, carry_own_weight

SPONGE = "sponge"
SPONGE_HALF = (0.026, 0.055, 0.024)  # across the grasp, along it, up
SPONGE_KG = 0.03
# Softer than all else here: a finger of 5 N sinks in by about a millimetre. Priority: its own values count.
SPONGE_CONTACT: dict[str, Any] = {
    "friction": [0.9, 0.02, 0.0005],
    "condim": 4,
    "priority": 2,
    "solref": [0.012, 1.0],
    "solimp": [0.85, 0.97, 0.003, 0.5, 2.0],
}

WALL: Colour = (0.76, 0.78, 0.80)
TILE: Colour = (0.40, 0.41, 0.43)
TABLE: Colour = (0.70, 0.64, 0.55)
YELLOW: Colour = (0.96, 0.80, 0.16)
GREEN: Colour = (0.16, 0.48, 0.26)

CAMERAS = ("fixed",)
FIXED_CAMERA, FIXED_LOOKS_AT, FIXED_FOVY = (0.90, -0.56, 0.46), (0.40, 0.0, 0.18), 56.0


def build_table(contract: Contract) -> mujoco.MjModel:
    """Return the compiled model; its arm has the joint origins of `contract.kinematics`."""
    spec = mujoco.MjSpec()
    spec.modelname = contract.name
    spec.compiler.degree = False
    set_physics(spec, sliding_friction=0.6)
    set_view(spec, contract, camera=FIXED_CAMERA, looks_at=FIXED_LOOKS_AT, fovy_deg=FIXED_FOVY)
    add_hand(spec, add_arm(spec, contract), contract)
    carry_own_weight(spec)
    _add_room(spec.worldbody)
    _add_sponge(spec.worldbody)
    return spec.compile()


def _add_room(world: Any) -> None:
    box(world, (2.0, 2.0, 0.01), (0.3, 0.0, -0.91), TILE, touches=PAINT)
    box(world, (2.0, 0.01, 1.5), (0.3, 0.95, 0.3), WALL, touches=PAINT)
    box(world, (0.01, 2.0, 1.5), (-0.55, 0.0, 0.3), WALL, touches=PAINT)
    box(world, (0.50, 0.60, 0.02), (0.35, 0.0, -0.02), TABLE)


def _add_sponge(world: Any) -> None:
    """The body's origin is the sponge's middle; its scouring side is on top."""
    body = world.add_body(name=SPONGE)
    body.add_freejoint(name=SPONGE)
    x, y, z = SPONGE_HALF
    box(body, SPONGE_HALF, (0.0, 0.0, 0.0), YELLOW, name=SPONGE, mass=SPONGE_KG, **SPONGE_CONTACT)
    box(body, (x + 0.0005, y + 0.0005, 0.005), (0.0, 0.0, z - 0.0045), GREEN, touches=PAINT, mass=0.0)
