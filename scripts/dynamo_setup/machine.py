"""What the machine must offer, checked before anything is changed."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dynamo_setup.console import Console
from dynamo_setup.errors import SetupError

GLIBC = (2, 28)
CPU_GB = 4.0  # environment 2.2 GB, the rest for downloads while they are unpacked
CUDA_GB = 12.0
# Software OpenGL without a screen, for the simulated cameras.
RENDERING = ("libegl1", "libgl1-mesa-dri", "libgles2", "libopengl0")
APT_LOG = "rendering"


@dataclass(frozen=True)
class Machine:
    """The facts that decide whether ROS 2 can come from PyPI."""

    system: str
    architecture: str
    libc: str
    libc_version: str

    def check_ros_wheels(self) -> None:
        """Check that ROS 2's PyPI wheels run here.

        Raises:
            SetupError: This machine needs apt's ROS 2 or the container.
        """
        hint = (
            "source apt's ROS 2 Jazzy (Ubuntu 24.04) before `make setup`, or use the container: see docker/"
        )
        if (self.system, self.architecture) != ("Linux", "x86_64"):
            raise SetupError(
                "ROS 2 comes from PyPI for Linux on x86_64 only, "
                f"this is {self.system} on {self.architecture}",
                hint,
            )
        if self.libc != "glibc" or version_of(self.libc_version) < GLIBC:
            raise SetupError(
                "ROS 2 from PyPI needs glibc 2.28 or newer, "
                f"this is {self.libc or 'not glibc'} {self.libc_version}",
                hint,
            )


def this_machine() -> Machine:
    """Return the facts of this machine."""
    libc, version = platform.libc_ver()
    return Machine(platform.system(), platform.machine(), libc, version)


def version_of(text: str) -> tuple[int, ...]:
    """Return the numbers in a version such as 2.36."""
    return tuple(int(number) for number in re.findall(r"\d+", text))


def has_nvidia_driver() -> bool:
    """Whether an NVIDIA driver is loaded."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists()


def check_disk(free_bytes: int, needed_gb: float) -> None:
    """Check that the environment will fit.

    Raises:
        SetupError: It will not.
    """
    free_gb = free_bytes / 1e9
    if free_gb < needed_gb:
        raise SetupError(
            f"{free_gb:.1f} GB of disk are free and a fresh environment needs {needed_gb:.0f} GB",
            "free some, or put the checkout on a larger disk",
        )


def check_compiler() -> None:
    """Check that message packages can be compiled.

    Raises:
        SetupError: There is no C or no C++ compiler.
    """
    for compiler, names in (("C", ("cc", "gcc", "clang")), ("C++", ("c++", "g++", "clang++"))):
        if not any(shutil.which(name) for name in names):
            raise SetupError(
                f"no {compiler} compiler on PATH (looked for {', '.join(names)})", "apt install g++"
            )


def install_rendering_libraries(console: Console) -> None:
    """Install what rendering without a screen needs, or say in one line how."""
    if not shutil.which("dpkg-query"):
        return
    missing = missing_packages(RENDERING)
    if not missing:
        return
    command = f"apt install {' '.join(missing)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        console.warn(f"the simulated cameras need: sudo {command}")
        return
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        with console.stage(f"Rendering libraries ({len(missing)} from apt)"):
            console.run(APT_LOG, ["apt-get", "update"], env=environ)
            console.run(
                APT_LOG, ["apt-get", "install", "-y", "--no-install-recommends", *missing], env=environ
            )
    except SetupError:
        console.warn(
            f"`{command}` failed, see {console.log_of(APT_LOG)}; without it simulated cameras may not render"
        )


def missing_packages(names: Sequence[str]) -> list[str]:
    """Return those of the Debian packages `names` that are not installed."""
    query = ["dpkg-query", "--show", "--showformat=${Package} ${Status}\n", *names]
    answer = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    installed = {line.split()[0] for line in answer.splitlines() if line.endswith("install ok installed")}
    return [name for name in names if name not in installed]
