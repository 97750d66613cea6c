"""Run by the environment's own Python: is everything there that the stack imports?"""

from __future__ import annotations

import importlib
import importlib.util
import sys

# Looked for, because importing them takes seconds.
FOUND = (
    "av", "colcon_core", "cv2", "daqp", "hypothesis", "jinja2", "launch", "launch_ros", "matplotlib", "mink",
    "mujoco", "mypy", "psutil", "pytest", "rich", "ros2cli", "rosbags", "ruckig", "safetensors", "scipy",
    "tensorboard", "torch", "yaml", "dynamo_policies", "dynamo_ros", "dynamo_sim",
)  # fmt: skip
# Imported, because their libraries must load.
IMPORTED = ("numpy", "rclpy", "composition_interfaces.srv", "control_msgs.action", "dynamo_interfaces.srv")


def problems() -> list[str]:
    """Return what is missing or does not load."""
    missing = [f"{name} is missing" for name in FOUND if importlib.util.find_spec(name) is None]
    return missing + [failure for name in IMPORTED if (failure := _failure(name))]


def _failure(name: str) -> str:
    try:
        importlib.import_module(name)
    except ImportError as error:
        return f"{name}: {error}"
    return ""


if __name__ == "__main__":
    found = problems()
    print("\n".join(found))
    sys.exit(bool(found))
