import os
import subprocess
import sys

import pytest

from dynamo_policies.errors import ConfigError
from dynamo_ros.core.priority import set_priority, set_realtime

CHILD = """
import os, threading
from pathlib import Path
from dynamo_ros.core.priority import set_priority
if os.getuid() == 0 and {drop}:
    os.setuid(65534)
held = threading.Event()
threads = [threading.Thread(target=held.wait) for _ in range(2)]
threads[0].start()
print(set_priority({nice}))
threads[1].start()
print(*{{os.getpriority(os.PRIO_PROCESS, int(one.name)) for one in Path("/proc/self/task").iterdir()}})
held.set()
"""


def child(nice: int, *, drop: bool) -> list[str]:
    """Return what a process of its own says: a nice value that was raised can't be lowered again."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CHILD.format(nice=nice, drop=drop)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=True)
    return ran.stdout.split("\n")


def test_all_threads_of_now_and_later_have_the_priority() -> None:
    refusal, found, _ = child(17, drop=False)
    assert (refusal, found) == ("", "17")


def test_a_refusal_says_what_it_stays() -> None:
    refusal, *_ = child(-5, drop=True)
    assert refusal == f"the system does not allow priority -5; it stays {os.getpriority(os.PRIO_PROCESS, 0)}"


def test_a_value_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"priority -21 is no nice value; possible: -20 \(first\) to 19"):
        set_priority(-21)


REALTIME = """
import os, threading
from dynamo_ros.core.priority import set_realtime, threads
if {drop}:
    os.setuid(65534)
print(set_realtime({priority}, threads()))
print(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR)
thread = threading.Thread(target=lambda: print(os.sched_getscheduler(0) == os.SCHED_OTHER))
thread.start()
thread.join()
"""


def realtime(priority: int, *, drop: bool) -> list[str]:
    """Return what a process of its own says that asks for realtime."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", REALTIME.format(priority=priority, drop=drop)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=True)
    return ran.stdout.split("\n")


@pytest.mark.skipif(os.getuid() != 0, reason="only root may always ask for it")
def test_threads_of_now_are_realtime_and_later_ones_are_not() -> None:
    assert realtime(5, drop=False)[:3] == ["", "True", "True"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give its rights away")
def test_a_refusal_of_realtime_is_told_and_nothing_changes() -> None:
    refusal, is_realtime, *_ = realtime(5, drop=True)
    assert "does not allow realtime 5" in refusal
    assert is_realtime == "False"


def test_a_realtime_priority_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="realtime 100 is no priority; possible: 1 to 99"):
        set_realtime(100, [])
