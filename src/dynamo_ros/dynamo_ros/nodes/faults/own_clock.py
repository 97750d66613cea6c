"""A clock of its own for a process, which can be made to jump while everybody else's goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from dynamo_policies.errors import DynamoError

SOURCE = Path(__file__).with_name("own_clock.c")
COMPILER, PACKAGES = "cc", "gcc and libc6-dev (Debian, Ubuntu: in build-essential)"
FILE = "OWN_CLOCK"  # names to the library the file that it looks into


class OwnClockError(DynamoError):
    """No process can get a clock of its own here."""


class OwnClock:
    """The system's clock of those processes that are started with `environ`, right until `set`."""

    def __init__(self, folder: Path, name: str) -> None:
        """Make a library in `folder` and what tells it the time; OwnClockError where that is not possible."""
        self._file = folder / f"{name}.clock"
        self._library = _library(folder)
        self._file.write_bytes(bytes(8))

    def set(self, ahead_ns: int) -> None:
        """Let the clock go this far ahead of everybody else's from now on, behind where negative."""
        with self._file.open("r+b") as file:
            file.write(ahead_ns.to_bytes(8, sys.byteorder, signed=True))

    def environ(self, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return the environment in which a process goes by this clock."""
        preloaded = f"{self._library} {environ.get('LD_PRELOAD', '')}".strip()
        return {**environ, "LD_PRELOAD": preloaded, FILE: str(self._file)}


def _library(folder: Path) -> Path:
    if shutil.which(COMPILER) is None:
        raise OwnClockError(f"there is no C compiler `{COMPILER}`; install {PACKAGES}")
    made = folder / "own_clock.so"
    command = [COMPILER, "-shared", "-fPIC", "-O2", "-o", str(made), str(SOURCE), "-ldl", "-pthread"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise OwnClockError(f"{SOURCE.name} can't be compiled, install {PACKAGES}: {error.stderr}") from error
    return made
