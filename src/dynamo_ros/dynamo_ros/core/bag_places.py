"""Where bags go, and whether there is room for them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from dynamo_ros.core.bag_topics import RecordingError

LAST_NUMBER = 999


def next_path(folder: Path, task: str) -> Path:
    """Return `folder`/`task`_NNN with the number after the highest there, hidden bags included."""
    pattern = re.compile(rf"\.?{re.escape(task)}_(\d+)")
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    numbers = [int(found.group(1)) for found in map(pattern.match, names) if found]
    number = max(numbers, default=-1) + 1
    if number > LAST_NUMBER:
        raise RecordingError(f"{folder} holds {task}_{max(numbers):03}; take another folder")
    return folder / f"{task}_{number:03}"


def free_bytes(folder: Path) -> int:
    """Return the room on the disk that `folder` is on or will be."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free


def check_room(folder: Path, reserve_bytes: int) -> None:
    """Refuse an episode that would have to end as soon as it began."""
    free = free_bytes(folder)
    if free < 1.5 * reserve_bytes:
        raise RecordingError(
            f"{free / 1e6:.0f} MB are free on the disk of {folder}; "
            f"at least {1.5 * reserve_bytes / 1e6:.0f} MB are needed to start (reserve_mb)"
        )
