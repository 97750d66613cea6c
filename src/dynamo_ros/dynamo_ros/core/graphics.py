"""MuJoCo (and mink, which needs it), imported so that a missing graphics library is explained.

MuJoCo loads the graphics backend that MUJOCO_GL names as soon as it is imported, for kinematics alone as
well. Import both from here.
"""

from __future__ import annotations

import os

from dynamo_policies.errors import DynamoError

PACKAGES = {"egl": "libegl1 libegl1-mesa libgl1-mesa-dri libgles2", "osmesa": "libosmesa6 libgl1-mesa-dri"}


class GraphicsError(DynamoError):
    """No picture can be made on this machine as it is set up."""

    def __init__(self, cause: object) -> None:
        given = os.environ.get("MUJOCO_GL", "")
        needed = "; ".join(
            f"MUJOCO_GL={name} needs the Debian packages {PACKAGES[name]}" for name in PACKAGES
        )
        super().__init__(f"graphics with MUJOCO_GL={given!r} failed: {cause} ({needed})")


# What a missing library raises depends on the backend and on how far it came.
GRAPHICS_FAILURES = (ImportError, AttributeError, RuntimeError)

try:
    import mink
    import mujoco
except GRAPHICS_FAILURES as error:
    raise GraphicsError(error) from error

__all__ = ["GRAPHICS_FAILURES", "GraphicsError", "mink", "mujoco"]
