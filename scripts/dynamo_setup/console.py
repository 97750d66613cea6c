"""What the user sees: one line a stage; everything that commands print goes to a log."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dynamo_setup.errors import SetupError

# What a log's last lines say, and what the user can do about it.
HINTS = (
    (("No space left on device",), "free disk space, then run `make setup` again"),
    (
        (
            "Name or service not known",
            "name resolution",
            "dns error",
            "NewConnectionError",
            "Network is unreachable",
        ),
        "the package registry was not reached: check the network or the proxy, then run `make setup` again",
    ),
    (
        ("No matching distribution found", "No solution found"),
        "the registry lacks a pinned package for this Python; try PYTHON=python3.12, or use docker/",
    ),
    (("Python.h: No such file", "Python3_INCLUDE_DIR"), "install the headers: apt install python3-dev"),
    (("Killed", "cannot allocate memory"), "the machine ran out of memory: close programs, then try again"),
)


def hint_for(log: str) -> str:
    """Return the advice that fits the text of a failed command's log."""
    for signs, hint in HINTS:
        if any(sign in log for sign in signs):
            return hint
    return "read the log; running `make setup` again continues where it stopped"


@dataclass(frozen=True)
class Console:
    """Prints stages and runs commands into log files below `logs`."""

    logs: Path

    def say(self, text: str) -> None:
        """Print one line at once."""
        print(text, flush=True)

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Time what happens inside and print one line when it is done."""
        begin = time.monotonic()
        yield
        self.say(f"  {title:<46} {time.monotonic() - begin:6.1f} s")

    def log_of(self, name: str) -> Path:
        """Return the log file of the stage `name`."""
        return self.logs / f"{name}.log"

    def run(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Run `command`, appending what it prints to the log of `name`.

        Raises:
            SetupError: The command is missing or failed; the error names the log and gives advice.
        """
        log = self.log_of(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        words = [os.fspath(word) for word in command]
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"\n$ {' '.join(words)}\n")
            stream.flush()
            begin = stream.tell()
            status = subprocess.run(
                words,
                stdout=stream,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=env,
                cwd=cwd,
                check=False,
            ).returncode
        if status != 0:
            said = log.read_bytes()[begin:].decode(errors="replace")
            raise SetupError(f"{name} failed with exit status {status}; see {log}", hint_for(said))

    def warn(self, text: str) -> None:
        """Print one line to standard error."""
        print(f"  note: {text}", file=sys.stderr, flush=True)
