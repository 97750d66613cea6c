"""Choose the interpreter of the environment."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dynamo_setup.errors import SetupError

SUPPORTED = ((3, 12), (3, 11), (3, 10))  # newest first
NAMES = ", ".join(f"{major}.{minor}" for major, minor in reversed(SUPPORTED))
QUESTION = """
import importlib.util, json, os, sys, sysconfig
print(json.dumps([
    list(sys.version_info[:2]),
    os.path.realpath(sys.executable),
    importlib.util.find_spec("ensurepip") is not None,
    os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h")),
    importlib.util.find_spec("rclpy") is not None,
]))
"""


@dataclass(frozen=True)
class Interpreter:
    """What an interpreter says of itself."""

    version: tuple[int, int]
    path: str
    has_venv: bool
    has_headers: bool
    has_rclpy: bool

    @property
    def name(self) -> str:
        """Its version as people write it, such as 3.12."""
        return f"{self.version[0]}.{self.version[1]}"


Inspect = Callable[[str], Interpreter | None]


def inspect(command: str) -> Interpreter | None:
    """Ask the interpreter `command` what it is; None where it does not run."""
    found = shutil.which(command)
    first = _ask(found) if found else None
    # Asked again, because an environment's interpreter may see packages that the one below it does not.
    return first and _ask(first.path)


def _ask(command: str) -> Interpreter | None:
    try:
        answer = subprocess.run(
            [command, "-c", QUESTION], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if answer.returncode != 0:  # a version manager's shim may exist without its Python
        return None
    version, path, has_venv, has_headers, has_rclpy = json.loads(answer.stdout)
    return Interpreter(tuple(version), path, has_venv, has_headers, has_rclpy)


def choose(environ: Mapping[str, str], inspect: Inspect = inspect) -> Interpreter:
    """Return the interpreter named by PYTHON, else the newest supported one on PATH that runs.

    Raises:
        SetupError: None fits.
    """
    wanted = environ.get("PYTHON")
    chosen = _wanted(wanted, inspect) if wanted else _newest(inspect)
    if not chosen.has_venv:
        raise SetupError(
            f"Python {chosen.name} at {chosen.path} can't make environments (no ensurepip)",
            f"apt install python{chosen.name}-venv, or choose another with PYTHON=...",
        )
    if not chosen.has_headers:
        raise SetupError(
            f"Python {chosen.name} at {chosen.path} has no C headers (Python.h), which message packages need",
            f"apt install python{chosen.name}-dev, or choose another with PYTHON=...",
        )
    return chosen


def _wanted(command: str, inspect: Inspect) -> Interpreter:
    found = inspect(command)
    if found is None:
        raise SetupError(f"PYTHON={command} does not run", f"give one of {NAMES}, such as PYTHON=python3.12")
    if found.version not in SUPPORTED:
        raise SetupError(
            f"PYTHON={command} is Python {found.name}", f"give one of {NAMES}, such as PYTHON=python3.12"
        )
    return found


def _newest(inspect: Inspect) -> Interpreter:
    for major, minor in SUPPORTED:
        found = inspect(f"python{major}.{minor}")
        if found is not None and found.version == (major, minor):
            return found
    fallback = inspect("python3")
    if fallback is not None and fallback.version in SUPPORTED:
        return fallback
    given = f"python3 is {fallback.name}" if fallback else "python3 does not run"
    raise SetupError(
        f"no supported Python on PATH: {given}",
        f"install one of {NAMES}, with its -venv and -dev packages, or name it with PYTHON=...",
    )
