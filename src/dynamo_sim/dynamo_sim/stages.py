"""A run in stages: each is one command that a person could type, shown, logged and timed."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from dynamo_policies.errors import DynamoError

POLL_S = 0.5
LOG_TAIL = 15


@dataclass(frozen=True)
class Stage:
    """One step of a run.

    Attributes:
        name: what the step does, a few words.
        command: what is executed, also shown to the user.
        total: how many things the step makes; `count` says how many there are.
        count: None where the command shows its own progress on the terminal.
        environment: variables beyond the caller's.
        limit_s: when to give up.
    """

    name: str
    command: tuple[str, ...]
    total: int = 0
    count: Callable[[], int] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    limit_s: float = 1800.0

    @property
    def text(self) -> str:
        """The command as a person would type it."""
        return shlex.join(self.command)


class StageError(DynamoError):
    """A stage ended with an error or ran out of time."""

    def __init__(self, stage: Stage, why: str, log: Path) -> None:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL:]) if log.exists() else ""
        super().__init__(
            f"{stage.name}: {why}; its command was\n  {stage.text}\nand its log {log} ends with\n{tail}"
        )


def run_stages(stages: Sequence[Stage], logs: Path, console: Console) -> dict[str, float]:
    """Run `stages` in turn and return the seconds each took; StageError at the first that fails."""
    logs.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}
    for i, stage in enumerate(stages, start=1):
        console.print(f"[bold]{i}/{len(stages)} {stage.name}[/bold]  [dim]{stage.text}[/dim]", soft_wrap=True)
        start = time.monotonic()
        _run(stage, logs / f"{i}_{stage.name.split()[0]}.log", console)
        seconds[stage.name] = round(time.monotonic() - start, 1)
        console.print(f"    done in {seconds[stage.name]:.0f} s")
    return seconds


def _run(stage: Stage, log: Path, console: Console) -> None:
    with log.open("w") as sink:
        output = sink if stage.count else None  # a command with its own progress bar writes to the terminal
        process = subprocess.Popen(  # the commands are ours
            stage.command,
            stdout=output,
            stderr=subprocess.STDOUT if stage.count else None,
            env={**os.environ, **stage.environment},
            start_new_session=True,
        )
        try:
            _wait(stage, process, log, console)
        finally:
            _end(process)


def _wait(stage: Stage, process: subprocess.Popen[bytes], log: Path, console: Console) -> None:
    deadline = time.monotonic() + stage.limit_s
    with _bar(console, stage) as advance:
        while True:
            try:
                status = process.wait(timeout=POLL_S)
            except subprocess.TimeoutExpired:
                if time.monotonic() > deadline:
                    raise StageError(stage, f"no end after {stage.limit_s:.0f} s", log) from None
                advance()
                continue
            advance()
            if status != 0:
                raise StageError(stage, f"ended with status {status}", log)
            return


class _bar:  # noqa: N801  # a context manager that reads like a function
    """A progress bar over `stage.count`; nothing where the command draws its own."""

    def __init__(self, console: Console, stage: Stage) -> None:
        columns = (
            TextColumn("   "),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console)
        self._stage = stage

    def __enter__(self) -> Callable[[], None]:
        if self._stage.count is None:
            return lambda: None
        self._task = self._progress.add_task("", total=self._stage.total)
        self._progress.start()
        return self._advance

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _advance(self) -> None:
        if self._stage.count is not None:
            self._progress.update(self._task, completed=self._stage.count())


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole group of a stage that is still there: politely, then for sure."""
    for number, patience_s in ((signal.SIGINT, 10.0), (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(timeout=patience_s)
        except subprocess.TimeoutExpired:
            continue
