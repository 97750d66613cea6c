"""Where an episode comes from: which robot, calibrated how, recorded with which software."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from dynamo_ros.core.bag_topics import RecordingError

LARGEST_CALIBRATION = 1 << 20  # of all files together
GIT_S = 5.0


def provenance(*, robot_serial: str, calibration: Sequence[str], source: Path) -> dict[str, str]:
    """Return what a bag's custom data says of the robot; calibration files with name, SHA-256 and text.

    `git_revision` is that of the checkout that `source` lies in, with `-dirty` where it was changed, and
    empty where there is none.

    Raises:
        RecordingError: a calibration file can't be read or is no text, or they are larger than 1 MiB.
    """
    files = json.dumps([_calibration(Path(path).expanduser()) for path in calibration])
    if len(files) > LARGEST_CALIBRATION:  # A bag's metadata of more than 4 MiB is not read.
        raise RecordingError(
            f"the calibration files {', '.join(calibration)} make {len(files)} bytes of JSON; "
            f"at most {LARGEST_CALIBRATION} are stored"
        )
    return {
        "robot_serial": robot_serial,
        "calibration": files,
        "git_revision": git_revision(source),
    }


def software_versions() -> dict[str, str]:
    """Return the versions of what recorded."""
    return {"python": platform.python_version(), "rosbags": version("rosbags")}


def git_revision(folder: Path) -> str:
    """Return the revision of the checkout that `folder` lies in, empty where there is none."""
    if shutil.which("git") is None:
        return ""
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=GIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def _calibration(path: Path) -> dict[str, str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"calibration file {path} can't be read: {error.strerror}") from error
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise RecordingError(f"calibration file {path} is no UTF-8 text") from error
    return {"name": path.name, "sha256": hashlib.sha256(content).hexdigest(), "text": text}
