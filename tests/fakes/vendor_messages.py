"""The vendor's message packages, or in their absence ours of the same definitions, in reach of tests."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from pathlib import Path

PREFIX = Path(__file__).parents[2] / "ros2_ws" / "install_tests"  # where `make setup` builds tests/fakes/*
PACKAGE = "xarm_msgs"


def provide() -> None:
    """Let this process and its children import xarm_msgs, unless it comes from somewhere else already."""
    packages = sorted(PREFIX.glob(f"lib/python*/site-packages/{PACKAGE}"))
    if importlib.util.find_spec(PACKAGE) is not None or not packages:
        return
    paths = {
        "AMENT_PREFIX_PATH": PREFIX,
        "LD_LIBRARY_PATH": PREFIX / "lib",
        "PYTHONPATH": packages[0].parent,
    }
    for variable, path in paths.items():
        before = os.environ.get(variable)
        os.environ[variable] = f"{before}{os.pathsep}{path}" if before else str(path)
    sys.path.append(str(packages[0].parent))
    # LD_LIBRARY_PATH is read when a process starts; a library that is loaded already is found by its name.
    for library in sorted((PREFIX / "lib").glob("*.so")):
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
