"""The environment and what pip puts into it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from dynamo_setup.console import Console
from dynamo_setup.errors import SetupError
from dynamo_setup.layout import Layout
from dynamo_setup.pythons import Interpreter

UV = "uv==0.13.8"
TORCH = "2.13.0"


def make_venv(layout: Layout, console: Console, interpreter: Interpreter, *, site_packages: bool) -> None:
    """Make an empty environment, in place of any that is there."""
    shutil.rmtree(layout.venv, ignore_errors=True)
    options = ["--system-site-packages"] if site_packages else []
    console.run("environment", [interpreter.path, "-m", "venv", *options, layout.venv])
    # uv installs in seconds what takes pip a minute; pip is the way out where uv can't be had.
    try:
        console.run("environment", [*_pip(layout), "install", UV])
    except SetupError:
        console.run("environment", [*_pip(layout), "--version"])


def runs(python: Path) -> bool:
    """Whether the interpreter `python` is there and starts."""
    return python.exists() and subprocess.run([python, "-c", ""], check=False, timeout=60).returncode == 0


def install(layout: Layout, console: Console, name: str, lists: Sequence[Path]) -> None:
    """Install the pinned `lists`, which name every package, dependencies included."""
    options = [word for path in lists for word in ("--requirement", path)]
    uv = layout.venv / "bin" / "uv"
    environ = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    if uv.exists():
        try:
            console.run(
                name, [uv, "pip", "install", "--python", layout.python, "--no-deps", *options], env=environ
            )
            return
        except SetupError:
            # uv does not read pip's configuration: a mirror set there is known to pip alone.
            console.warn(f"uv could not install the {name}, trying pip; see {console.log_of(name)}")
    console.run(name, [*_pip(layout), "install", "--no-deps", "--retries", "2", *options])


def install_torch(
    layout: Layout, console: Console, environ: Mapping[str, str], *, cuda: bool, pins: Path
) -> None:
    """Install torch: the CUDA build for an NVIDIA driver, else the CPU build where it is offered."""
    for options in torch_options(environ, cuda=cuda, pins=pins):
        try:
            console.run("torch", [*_pip(layout), "install", "--retries", "2", *options])
        except SetupError as error:  # noqa: PERF203  # two rounds at most
            failure = error
        else:
            return
    raise failure


def torch_options(environ: Mapping[str, str], *, cuda: bool, pins: Path) -> list[list[str | Path]]:
    """Return the arguments of pip to try in this order; TORCH_INDEX_URL names the index to ask."""
    index = ["--index-url", environ["TORCH_INDEX_URL"]] if environ.get("TORCH_INDEX_URL") else []
    plain: list[str | Path] = [*index, "--constraint", pins, f"torch=={TORCH}"]
    # The CPU build's dependencies are all in the pinned list; not every registry has this build.
    cpu: list[str | Path] = [*index, "--no-deps", f"torch=={TORCH}+cpu"]
    return [plain] if cuda else [cpu, plain]


def _pip(layout: Layout) -> list[str | Path]:
    return [layout.python, "-m", "pip", "--disable-pip-version-check", "--no-input"]
