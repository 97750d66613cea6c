"""When the machine itself stood still: on each processor a program that only sleeps, before all others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

PERIOD_S, LEAST_S = 0.005, 0.005
PRIORITY = 50  # above what is measured


class Pause(NamedTuple):
    """A processor on which a program that was due did not run, by the system's clock."""

    begun_ns: int
    ended_ns: int


class PauseWatch:
    """Watches the processors `cpus` from its making until `end`."""

    def __init__(self, cpus: Iterable[int]) -> None:
        self._watchers = [
            subprocess.Popen(
                [sys.executable, str(Path(__file__)), str(cpu)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for cpu in cpus
        ]

    def end(self) -> list[Pause]:
        """Return all pauses of at least `LEAST_S`, the earliest first."""
        told = [watcher.communicate(timeout=30)[0] for watcher in self._watchers]
        return sorted(Pause(*pair) for text in told for pair in json.loads(text))


def explained(gaps: Sequence[tuple[int, int]], pauses: Sequence[Pause], least: float) -> int:
    """Return how many of the `gaps` (from, to; ns) had pauses in them for at least this part."""
    return sum(
        sum(max(0, min(end, one.ended_ns) - max(start, one.begun_ns)) for one in pauses)
        >= least * (end - start)
        for start, end in gaps
    )


def main(cpu: int) -> None:
    """Note when sleeping took too long on `cpu`, until stdin ends."""
    os.sched_setaffinity(0, {cpu})
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
    ended, pauses = threading.Event(), list[Pause]()

    def listen() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    due_ns = time.time_ns()
    while not ended.is_set():
        due_ns += round(PERIOD_S * 1e9)
        time.sleep(max(0, due_ns - time.time_ns()) / 1e9)
        if (now_ns := time.time_ns()) - due_ns >= LEAST_S * 1e9:
            pauses.append(Pause(due_ns, now_ns))
            due_ns = now_ns
    print(json.dumps(pauses))


if __name__ == "__main__":
    main(int(sys.argv[1]))
