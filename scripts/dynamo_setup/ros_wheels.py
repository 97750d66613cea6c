"""ROS 2 from PyPI: what its wheels leave to be done before they are a ROS 2 installation.

The launch system and the `ros2` command are in none of them. They are pure Python and lie, unmodified and
under their own Apache-2.0 licences, in a wheel of a simulator's ROS bridge, together with the definitions of
two interface packages. Those parts alone are taken out of that wheel; the wheel itself is deleted.
"""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

from dynamo_setup.console import Console
from dynamo_setup.errors import SetupError
from dynamo_setup.layout import Layout

BRIDGE = "isaacsim-ros2==6.2.0.0"
BRIDGE_ROOT = "isaacsim/exts/isaacsim.ros2.core/jazzy/"
PYTHON_PACKAGES = (
    "launch", "launch_ros", "launch_xml", "launch_yaml", "osrf_pycommon", "rosidl_runtime_py",
    "message_filters", "ros2cli", "ros2node", "ros2param", "ros2pkg", "ros2run", "ros2service", "ros2topic",
)  # fmt: skip
INTERFACE_PACKAGES = ("composition_interfaces", "control_msgs")
DEFINITION = re.compile(r"share/(?P<package>\w+)/(package\.xml|(msg|srv|action)/\w+\.(msg|srv|action))")
# Folders of the machine that built the wheels, as their exported CMake files name them.
BUILD_NUMPY = re.compile(r"/opt/python/cp\d+-cp\d+/lib/python[\d.]+/site-packages/numpy/_?core/include")
BUILD_INCLUDE = re.compile(r"/opt/python/cp\d+-cp\d+/include/python[\d.]+")
SCRIPT = """#!{python}
import sys
from {module} import {function}
sys.exit({function}())
"""


def extract_bridge(layout: Layout, console: Console) -> None:
    """Put launch and `ros2` into the environment, and interface definitions into the work folder."""
    folder = layout.work / "download"
    shutil.rmtree(folder, ignore_errors=True)
    # The wheel is made for Python 3.12, the parts taken from it run on all.
    command: list[str | Path] = [
        layout.python,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "download",
        "--no-deps",
    ]
    command += ["--only-binary=:all:", "--python-version=3.12", "--implementation=cp"]
    command += ["--platform=manylinux_2_35_x86_64", "--retries=2", f"--dest={folder}", BRIDGE]
    console.run("launch", command)
    packages, _ = site_folders(layout)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        for name in wheel.namelist():
            target = target_of(name, packages, definitions(layout))
            if target is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(wheel.read(name))
    shutil.rmtree(folder)
    write_scripts(layout, packages)


def definitions(layout: Layout) -> Path:
    """Return the folder of the interface packages' definitions."""
    return layout.work / "definitions"


def target_of(name: str, packages: Path, definitions: Path) -> Path | None:
    """Return where the wheel's file `name` belongs, or None where it is not wanted."""
    if not name.startswith(BRIDGE_ROOT) or name.endswith("/"):
        return None
    inner = name[len(BRIDGE_ROOT) :]
    if inner.startswith("rclpy/"):
        inner = inner[len("rclpy/") :]
        top = inner.split("/")[0]
        owner = top.split("-")[0] if top.endswith(".egg-info") else top
        return packages / inner if owner in PYTHON_PACKAGES and "/" in inner else None
    match = DEFINITION.fullmatch(inner)
    if match and match["package"] in INTERFACE_PACKAGES:
        return definitions / inner[len("share/") :]
    return None


def write_scripts(layout: Layout, packages: Path) -> None:
    """Write the console scripts of the extracted packages, which no installer has done."""
    for path in packages.glob("ros2*.egg-info/entry_points.txt"):
        entries = configparser.ConfigParser()
        entries.read(path)
        for name, target in (
            entries.items("console_scripts") if entries.has_section("console_scripts") else ()
        ):
            module, function = target.split(":")
            script = layout.venv / "bin" / name
            script.write_text(SCRIPT.format(python=layout.python, module=module, function=function))
            script.chmod(0o755)


def complete_prefix(layout: Layout) -> None:
    """Make the environment a ROS prefix that CMake and colcon accept.

    Raises:
        SetupError: The environment's Python does not answer.
    """
    _, replacements = site_folders(layout)
    for path in (layout.venv / "share").rglob("*.cmake"):
        text = path.read_text(encoding="utf-8")
        renewed = BUILD_NUMPY.sub(replacements["numpy"], text)
        renewed = BUILD_INCLUDE.sub(replacements["include"], renewed)
        if renewed != text:
            # A new file, because the old one may be a hard link into the installer's cache.
            partial = path.with_suffix(".partial")
            partial.write_text(renewed, encoding="utf-8")
            partial.replace(path)
    for shell in ("sh", "bash", "zsh"):
        (layout.venv / f"local_setup.{shell}").write_text(
            "# env.sh at the root of the checkout does it all.\n"
        )


def site_folders(layout: Layout) -> tuple[Path, dict[str, str]]:
    """Return the environment's folder of packages, and the include folders of Python and of numpy."""
    question = (
        "import json, sysconfig\n"
        "print(json.dumps([sysconfig.get_path(name) for name in ('purelib', 'include')]))"
    )
    answer = subprocess.run(
        [layout.python, "-c", question], capture_output=True, text=True, check=False, timeout=60
    )
    if answer.returncode != 0:
        raise SetupError(
            f"{layout.python} does not run: {answer.stderr.strip()}", "rm -r .venv and try again"
        )
    packages, include = json.loads(answer.stdout)
    return Path(packages), {"include": include, "numpy": f"{packages}/numpy/_core/include"}
