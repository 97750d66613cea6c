"""A process's own clock: it alone jumps, and nothing that waits by another one notices."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from dynamo_ros.nodes.faults.own_clock import COMPILER, PACKAGES, OwnClock, OwnClockError

pytestmark = pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"no `{COMPILER}`; install {PACKAGES}")
PATIENCE_S = 60.0
HOUR_NS = 3600 * 10**9
BY_ALL_CLOCKS = """
import json, sys, time
from datetime import datetime
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
system, steady = Clock(clock_type=ClockType.SYSTEM_TIME), Clock(clock_type=ClockType.STEADY_TIME)
for _ in sys.stdin:
    time.sleep(0.01)  # its end is no date
    dates = [time.time(), datetime.now().timestamp(), system.now().nanoseconds / 1e9]
    others = [time.monotonic(), time.perf_counter(), steady.now().nanoseconds / 1e9]
    print(json.dumps([dates, others]), flush=True)
"""
TICKING = """
import rclpy
from rclpy.executors import SingleThreadedExecutor
from dynamo_ros.nodes.clocks import Clocks
rclpy.init()
node = rclpy.create_node("ticking")
node.create_timer(0.02, lambda: print("tick", flush=True), clock=Clocks(node).ticking)
executor = SingleThreadedExecutor()
executor.add_node(node)
while True:
    executor.spin_once()
"""


@contextmanager
def started(program: str, clock: OwnClock) -> Iterator[subprocess.Popen[str]]:
    """A program in a process with that clock, killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=clock.environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def ask(process: subprocess.Popen[str]) -> tuple[list[float], list[float]]:
    """Dates and other times, s."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    dates, others = json.loads(process.stdout.readline())
    return dates, others


@pytest.mark.parametrize("ahead_ns", [HOUR_NS, -HOUR_NS])
def test_all_dates_of_the_process_jump_and_no_other_times(tmp_path: Path, ahead_ns: int) -> None:
    clock = OwnClock(tmp_path, "one")
    with started(BY_ALL_CLOCKS, clock) as process:
        before = ask(process)
        clock.set(ahead_ns)
        after = ask(process)
        clock.set(0)
        again = ask(process)
    close = pytest.approx
    assert [b - a for a, b in zip(before[0], after[0], strict=True)] == close(
        [ahead_ns / 1e9] * 3, abs=PATIENCE_S
    )
    assert [b - a for a, b in zip(before[1], after[1], strict=True)] == close([0.0] * 3, abs=PATIENCE_S)
    assert [b - a for a, b in zip(before[0], again[0], strict=True)] == close([0.0] * 3, abs=PATIENCE_S)


def test_two_processes_have_each_their_own(tmp_path: Path) -> None:
    fast, right = OwnClock(tmp_path, "fast"), OwnClock(tmp_path, "right")
    fast.set(HOUR_NS)
    with started(BY_ALL_CLOCKS, fast) as one, started(BY_ALL_CLOCKS, right) as other:
        assert ask(one)[0][0] - ask(other)[0][0] == pytest.approx(HOUR_NS / 1e9, abs=PATIENCE_S)


def test_command_tick_does_not_wait_for_a_clock_that_is_set_back_to_come_round(
    ros_domain: int, tmp_path: Path
) -> None:
    clock = OwnClock(tmp_path, "back")
    with started(TICKING, clock) as process:
        assert process.stdout is not None
        for hours in range(1, 6):
            assert process.stdout.readline() == "tick\n"
            clock.set(-hours * HOUR_NS)
            for _ in range(5):
                assert process.stdout.readline() == "tick\n"


def test_where_nothing_compiles_the_error_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OwnClockError, match="install gcc and libc6-dev"):
        OwnClock(tmp_path, "none")
