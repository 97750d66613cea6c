"""Make or repair the environment: `python -m dynamo_setup`. The story of the set-up, from top to bottom."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from dynamo_setup import interfaces, machine, packages, pythons, ros_wheels, workspace
from dynamo_setup.console import Console
from dynamo_setup.environ import without_checkout
from dynamo_setup.errors import SetupError
from dynamo_setup.layout import Layout
from dynamo_setup.stamps import Stamps, key_of

SCRIPTS = Path(__file__).resolve().parent
ROOT = SCRIPTS.parent.parent


class Setup:
    """One run over one checkout."""

    def __init__(self, layout: Layout, console: Console) -> None:
        self.layout = layout
        self.console = console
        self.stamps = Stamps(layout.stamps)
        self.ran = False
        self.interpreter, self.apt_ros = choose_source(console)
        self.base = key_of(
            [str(layout.root), self.interpreter.path, self.interpreter.name, str(self.apt_ros)]
        )

    def run(self) -> None:
        """Do every stage that is not done; independent ones at the same time."""
        layout = self.layout
        pins = layout.requirements / ("stack-apt.txt" if self.apt_ros else "stack.txt")
        cuda = machine.has_nvidia_driver()
        if not packages.runs(layout.python):
            self.stamps.begin("environment")
        self.stage("environment", f"Python {self.interpreter.name} environment", self.environment)
        with ThreadPoolExecutor(max_workers=1) as pool:
            self.stage("packages", "Python packages", self.python_packages, self.lists(pins))
            title = f"torch {packages.TORCH} ({'CUDA' if cuda else 'CPU'})"
            torch = pool.submit(
                self.stage, "torch", title, lambda: self.torch(cuda, pins), facts=(packages.TORCH, str(cuda))
            )
            if not self.apt_ros:
                self.stage(
                    "ros",
                    "ROS 2 Jazzy: launch, ros2, control_msgs",
                    self.ros,
                    [*SCRIPTS.glob("[ir]*s.*"), *self.lists()],
                )
            self.workspace()
            torch.result()
        self.check()

    def stage(
        self,
        name: str,
        title: str,
        action: Callable[[], None],
        files: Iterable[Path] = (),
        *,
        facts: Iterable[str] = (),
    ) -> None:
        """Do `action` unless it was done with the same files and facts."""
        key = key_of([self.base, *facts], files)
        if self.stamps.done(name, key):
            return
        if not self.ran:
            self.console.say("Setting up (the first time takes a few minutes, most of it downloads)")
        self.ran = True
        self.stamps.begin(name)
        with self.console.stage(title):
            action()
        self.stamps.finish(name, key)

    def environment(self) -> None:
        """Check the machine, then make the environment."""
        if not self.apt_ros:
            machine.this_machine().check_ros_wheels()
        machine.check_compiler()
        needed = machine.CUDA_GB if machine.has_nvidia_driver() else machine.CPU_GB
        machine.check_disk(shutil.disk_usage(self.layout.root).free, needed)
        machine.install_rendering_libraries(self.console)
        workspace.remove_build(self.layout)
        packages.make_venv(self.layout, self.console, self.interpreter, site_packages=self.apt_ros)
        if self.apt_ros:
            prefix = ros_prefix(os.environ["AMENT_PREFIX_PATH"])
            (self.layout.venv / "ros_prefix").write_text(prefix, encoding="utf-8")

    def lists(self, *more: Path) -> list[Path]:
        """Return the pinned lists to install."""
        return [*more] if self.apt_ros else [*more, self.layout.requirements / "ros.txt"]

    def python_packages(self) -> None:
        """Install the pinned lists."""
        pins = self.layout.requirements / ("stack-apt.txt" if self.apt_ros else "stack.txt")
        packages.install(self.layout, self.console, "packages", self.lists(pins))

    def torch(self, cuda: bool, pins: Path) -> None:
        """Install torch."""
        packages.install_torch(self.layout, self.console, os.environ, cuda=cuda, pins=pins)

    def ros(self) -> None:
        """Complete ROS 2 from PyPI."""
        ros_wheels.extract_bridge(self.layout, self.console)
        ros_wheels.complete_prefix(self.layout)
        interfaces.build_interfaces(self.layout, self.console, self.base)

    def workspace(self) -> None:
        """Build the workspace."""
        layout = self.layout
        if not (layout.workspace / "install" / "local_setup.sh").exists():
            self.stamps.begin("workspace")
        environ = apt_environ(layout) if self.apt_ros else interfaces.ros_environ(layout)
        names = workspace.workspace_names(layout)
        self.stage(
            "workspace",
            "Workspace ros2_ws (colcon)",
            lambda: workspace.build_workspace(layout, self.console, environ),
            workspace.workspace_inputs(layout),
            facts=[*names, environ.get("AMENT_PREFIX_PATH", "")],
        )
        if not (layout.workspace / workspace.TEST_PREFIX / "local_setup.sh").exists():
            self.stamps.begin("test-messages")
        self.stage(
            "test-messages",
            "Vendors' messages for tests",
            lambda: workspace.build_test_messages(layout, self.console, environ),
            workspace.test_message_inputs(layout),
        )

    def check(self) -> None:
        """Check what the environment offers, as a user's shell sees it.

        Raises:
            SetupError: Something is missing.
        """
        command = ["bash", "-c", 'source "$0" && exec python -', str(self.layout.root / "env.sh")]
        probe = (SCRIPTS / "probe.py").read_text(encoding="utf-8")
        answer = subprocess.run(
            command, input=probe, capture_output=True, text=True, check=False, timeout=120
        )
        if answer.returncode != 0:
            said = " | ".join((answer.stdout + answer.stderr).strip().splitlines()[-5:])
            raise BrokenEnvironmentError(
                f"the environment is not complete: {said}", "rm -r .venv; make setup"
            )


class BrokenEnvironmentError(SetupError):
    """Every stage is done and yet something is missing."""


def choose_source(console: Console) -> tuple[pythons.Interpreter, bool]:
    """Return the interpreter, and whether ROS 2 is the one that is sourced."""
    if "ROS_DISTRO" in os.environ and "PYTHON" not in os.environ:
        system = pythons.inspect("python3")
        if system is not None and system.has_rclpy and system.version in pythons.SUPPORTED:
            return pythons.choose({"PYTHON": "python3"}), True
        console.warn(
            f"ROS_DISTRO is {os.environ['ROS_DISTRO']} but python3 has no rclpy: ROS 2 comes from PyPI"
        )
    chosen = pythons.choose(os.environ)
    return chosen, chosen.has_rclpy and "ROS_DISTRO" in os.environ


def ros_prefix(prefixes: str) -> str:
    """Return the one of the colon-separated `prefixes` that holds rclpy and can be sourced, or the last."""
    entries = prefixes.split(os.pathsep)
    complete = [entry for entry in entries if (Path(entry) / "share" / "rclpy").is_dir()]
    return (complete or entries)[-1]


def apt_environ(layout: Layout) -> dict[str, str]:
    """Return the environment variables of the workspace's build on a sourced ROS 2."""
    return {**os.environ, "PATH": f"{layout.venv / 'bin'}{os.pathsep}{os.environ['PATH']}"}


@contextmanager
def locked(layout: Layout, console: Console) -> Iterator[None]:
    """Hold the checkout's lock: two set-ups at once would break each other."""
    layout.work.mkdir(exist_ok=True)
    with (layout.work / "lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.say("Another set-up of this checkout is running; waiting for it")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Set up; return the exit status."""
    begin = time.monotonic()
    clean = without_checkout(os.environ, ROOT)
    os.environ.clear()
    os.environ.update(clean)
    layout = Layout(ROOT)
    console = Console(layout.work / "log")
    try:
        with locked(layout, console):
            try:
                setup = Setup(layout, console)
                setup.run()
            except BrokenEnvironmentError as error:
                console.warn(f"{error}; making it anew")
                shutil.rmtree(layout.venv)
                setup = Setup(layout, console)
                setup.run()
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; running `make setup` again continues where it stopped", file=sys.stderr)
        return 130
    if setup.ran:
        console.say(f"Ready after {time.monotonic() - begin:.0f} s. In a new shell: source env.sh")
    return 0


if __name__ == "__main__":
    sys.exit(main())
