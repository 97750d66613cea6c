"""Build the colcon workspace."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from dynamo_setup.console import Console
from dynamo_setup.layout import Layout

TEST_PREFIX = "install_tests"
BUILD_FILES = ("setup.py", "setup.cfg", "package.xml", "CMakeLists.txt")


def build_workspace(layout: Layout, console: Console, environ: Mapping[str, str]) -> None:
    """Run `colcon build --symlink-install`, so that later changes of Python files need no build."""
    _colcon(layout, console, "workspace", environ, ["--symlink-install", "--parallel-workers=2"])


def build_test_messages(layout: Layout, console: Console, environ: Mapping[str, str]) -> None:
    """Build what tests/fakes has of vendors' message packages, in a place that `env.sh` does not source."""
    places = ["--base-paths", "../tests/fakes", "--build-base", "build_tests"]
    places += ["--install-base", TEST_PREFIX, "--merge-install"]
    _colcon(layout, console, "test-messages", environ, places)


def remove_build(layout: Layout) -> None:
    """Delete what colcon wrote."""
    for path in layout.workspace.iterdir():
        if path.name != "src":
            shutil.rmtree(path)


def workspace_inputs(layout: Layout) -> list[Path]:
    """Return the files whose change needs another build."""
    return _inputs(layout.root / "src")


def test_message_inputs(layout: Layout) -> list[Path]:
    """Return the files whose change needs another build of the packages for tests."""
    return _inputs(layout.root / "tests" / "fakes")


def workspace_names(layout: Layout) -> list[str]:
    """Return the files that the build links: their names matter, their contents do not."""
    patterns = ("launch/*.launch.py", "config/**/*.*")
    return sorted(
        str(path.relative_to(layout.root)) for pattern in patterns for path in layout.root.glob(pattern)
    )


def _colcon(
    layout: Layout, console: Console, name: str, environ: Mapping[str, str], options: Sequence[str]
) -> None:
    # The environment's Python runs colcon, so that console scripts start with it.
    command: list[str | Path] = [layout.python, "-m", "colcon", "build", *options]
    command += ["--cmake-args", "-GNinja", "-DBUILD_TESTING=OFF"]
    console.run(name, command, env=environ, cwd=layout.workspace)


def _inputs(source: Path) -> list[Path]:
    found = [path for name in BUILD_FILES for path in source.glob(f"*/{name}")]
    definitions = ("*/action/*.action", "*/msg/*.msg", "*/srv/*.srv")
    found += [path for pattern in definitions for path in source.glob(pattern)]
    return sorted(found)
