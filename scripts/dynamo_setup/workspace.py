"""Build the colcon workspace."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from dynamo_setup.console import Console
from dynamo_setup.layout import Layout

BUILD_FILES = ("setup.py", "setup.cfg", "package.xml", "CMakeLists.txt")


def build_workspace(layout: Layout, console: Console, environ: Mapping[str, str]) -> None:
    """Run `colcon build --symlink-install`, so that later changes of Python files need no build."""
    # The environment's Python runs colcon, so that console scripts start with it.
    command: list[str | Path] = [
        layout.python,
        "-m",
        "colcon",
        "build",
        "--symlink-install",
        "--parallel-workers=2",
    ]
    command += ["--cmake-args", "-GNinja", "-DBUILD_TESTING=OFF"]
    console.run("workspace", command, env=environ, cwd=layout.workspace)


def remove_build(layout: Layout) -> None:
    """Delete what colcon wrote."""
    for path in layout.workspace.iterdir():
        if path.name != "src":
            shutil.rmtree(path)


def workspace_inputs(layout: Layout) -> list[Path]:
    """Return the files whose change needs another build."""
    source = layout.root / "src"
    found = [path for name in BUILD_FILES for path in source.glob(f"*/{name}")]
    definitions = ("*/action/*.action", "*/msg/*.msg", "*/srv/*.srv")
    found += [path for pattern in definitions for path in source.glob(pattern)]
    return sorted(found)


def workspace_names(layout: Layout) -> list[str]:
    """Return the files that the build links: their names matter, their contents do not."""
    patterns = ("launch/*.launch.py", "config/**/*.*")
    return sorted(
        str(path.relative_to(layout.root)) for pattern in patterns for path in layout.root.glob(pattern)
    )
