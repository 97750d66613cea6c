"""The environment variables that the set-up starts with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

LISTS = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH")
OURS = ("VIRTUAL_ENV", "PYTHONHOME", "_ROS_WHEELS_BOOTSTRAP_COMPLETE", "COLCON_PREFIX_PATH")


def without_checkout(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    """Return `environ` as it was before this checkout's env.sh was sourced."""
    clean = {name: value for name, value in environ.items() if name not in OURS}
    for name in LISTS:
        kept = [entry for entry in clean.pop(name, "").split(os.pathsep) if entry and not _below(entry, root)]
        if kept:
            clean[name] = os.pathsep.join(kept)
    if "AMENT_PREFIX_PATH" not in clean:
        clean.pop("ROS_DISTRO", None)
    return clean


def _below(entry: str, root: Path) -> bool:
    return entry == str(root) or entry.startswith(f"{root}{os.sep}")
