"""The vendor's message packages, or in their absence ours of the same definitions, in reach of tests."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from pathlib import Path

PREFIX = Path(__file__).parents[2] / "ros2_ws" / "install_tests"  # where `make setup` builds tests/fakes/*
PACKAGES = ("xarm_msgs", "moveit_msgs")


def provide() -> None:
    """Let this process and its children import PACKAGES, each from somewhere else where it is there."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    folders = sorted(PREFIX.glob("lib/python*/site-packages"))
    if not missing or not folders:
        return
    paths = {"AMENT_PREFIX_PATH": PREFIX, "LD_LIBRARY_PATH": PREFIX / "lib", "PYTHONPATH": folders[0]}
    for variable, path in paths.items():
        before = os.environ.get(variable)
        os.environ[variable] = f"{before}{os.pathsep}{path}" if before else str(path)
    sys.path.append(str(folders[0]))
    # LD_LIBRARY_PATH is read when a process starts; a library that is loaded already is found by its name.
    for name in missing:
        for library in sorted((PREFIX / "lib").glob(f"lib{name}__*.so")):
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
