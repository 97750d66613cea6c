"""What the simulated stations' scenes share: time step, contacts, light and the fixed camera."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dynamo_policies.contract import Contract
from dynamo_ros.core.graphics import mujoco
from dynamo_sim.shapes import looking_at

TIMESTEP_S = 0.002
STEP_NS = round(TIMESTEP_S * 1e9)


def set_physics(spec: Any, *, sliding_friction: float) -> None:
    """Set rigid, sticking contacts: in MuJoCo's own, fingers sink 12 mm into a bottle that slips 6 mm."""
    spec.option.timestep = TIMESTEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    spec.option.iterations = 50
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0
    geom = spec.default.geom
    geom.solref = [0.004, 1.0]
    geom.solimp = [0.95, 0.99, 0.001, 0.5, 2.0]
    geom.friction = [sliding_friction, 0.005, 0.0001]
    geom.condim = 4


def set_view(
    spec: Any, contract: Contract, *, camera: Sequence[float], looks_at: Sequence[float], fovy_deg: float
) -> None:
    """Add light and the camera `fixed` at `camera`, m; pictures may be as large as the contract's largest."""
    sizes = [(one.width, one.height) for one in contract.cameras.values()] or [(64, 64)]
    screen = spec.visual.global_
    screen.offwidth, screen.offheight = (max(side) for side in zip(*sizes, strict=True))
    spec.visual.quality.offsamples = 0
    spec.visual.map.znear = 0.01
    spec.visual.headlight.ambient = [0.42, 0.42, 0.42]
    spec.visual.headlight.diffuse = [0.30, 0.30, 0.30]
    spec.visual.headlight.specular = [0.0, 0.0, 0.0]
    world = spec.worldbody
    sun = world.add_light(pos=[0.3, -0.6, 2.0], dir=[0.1, 0.45, -1.0], diffuse=[0.50, 0.49, 0.46])
    sun.type, sun.castshadow, sun.specular = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, False, [0.1, 0.1, 0.1]
    world.add_camera(
        name="fixed", pos=camera, quat=looking_at(camera, looks_at, (0.0, 0.0, 1.0)), fovy=fovy_deg
    )
