"""A machine without graphics is told what to install."""

from __future__ import annotations

import os
import subprocess
import sys


def test_a_graphics_backend_that_fails_names_the_packages() -> None:
    code = "import dynamo_ros.core.ik"
    environment = {**os.environ, "MUJOCO_GL": "vulkan", "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 1
    assert "GraphicsError: graphics with MUJOCO_GL='vulkan' failed" in result.stderr
    assert "MUJOCO_GL=egl needs the Debian packages libegl1" in result.stderr
