"""Build the interface packages that PyPI lacks: launch_ros imports one, grippers and arms use the other."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from dynamo_setup.console import Console
from dynamo_setup.layout import Layout
from dynamo_setup.ros_wheels import INTERFACE_PACKAGES, definitions, site_folders
from dynamo_setup.stamps import key_of

RECIPE = Path(__file__).with_name("interfaces.cmake")
DEPENDENCIES = {
    "composition_interfaces": "rcl_interfaces",
    "control_msgs": "action_msgs;builtin_interfaces;geometry_msgs;sensor_msgs;std_msgs;trajectory_msgs",
}


def build_interfaces(layout: Layout, console: Console, facts: str) -> None:
    """Build the packages once for the same definitions and `facts`; copy the result into the environment."""
    files = [path for path in definitions(layout).rglob("*") if path.is_file()]
    built = layout.work / f"interfaces-{key_of([facts], [RECIPE, *files])[:16]}"
    if not built.exists():
        for stale in layout.work.glob("interfaces-*"):
            shutil.rmtree(stale)
        partial = layout.work / "interfaces-partial"
        for package in INTERFACE_PACKAGES:
            _build(layout, console, package, partial)
        partial.rename(built)
    shutil.copytree(built, layout.venv, dirs_exist_ok=True, symlinks=True, copy_function=_replace)


def ros_environ(layout: Layout) -> dict[str, str]:
    """Return this process's environment with the ROS 2 of the wheels activated."""
    packages, _ = site_folders(layout)
    libraries = [layout.venv / "lib", *sorted(packages.glob("ros_*.libs"))]
    return {
        **os.environ,
        "AMENT_PREFIX_PATH": str(layout.venv),
        "CMAKE_PREFIX_PATH": str(layout.venv),
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
        "PATH": f"{layout.venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "ROS_DISTRO": "jazzy",
        "ROS_VERSION": "2",
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
    }


def _replace(source: str, target: str) -> None:
    """Copy a file; a process that has the old library loaded keeps it."""
    partial = f"{target}.partial"
    shutil.copy2(source, partial)
    Path(partial).replace(target)


def _build(layout: Layout, console: Console, package: str, prefix: Path) -> None:
    source = definitions(layout) / package
    shutil.copyfile(RECIPE, source / "CMakeLists.txt")
    build = layout.work / "build" / package
    shutil.rmtree(build, ignore_errors=True)
    cmake = layout.venv / "bin" / "cmake"
    environ = ros_environ(layout)
    options = [
        f"-DPACKAGE={package}",
        f"-DDEPENDENCIES={DEPENDENCIES[package]}",
        f"-DCMAKE_INSTALL_PREFIX={prefix}",
    ]
    console.run(package, [cmake, "-G", "Ninja", "-S", source, "-B", build, *options], env=environ)
    # Two at a time: each compiler takes a few hundred megabytes.
    console.run(package, [cmake, "--build", build, "--target", "install", "--parallel", "2"], env=environ)
    shutil.rmtree(build)
