"""How soon the operating system gives this process a processor."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from dynamo_policies.errors import ConfigError

FIRST, LAST = -20, 19  # of the nice values, see sched(7)
HIGHEST = 99  # of the realtime priorities
THREADS = Path("/proc/self/task")


def set_priority(nice: int) -> str:
    """Give every thread of this process the value `nice`; threads that they start inherit it.

    Returns why that is refused, else an empty text: below 0 it takes CAP_SYS_NICE or a limit (`nice` in
    /etc/security/limits.conf) that allows it.

    Raises:
        ConfigError: there is no such value.
    """
    if not FIRST <= nice <= LAST:
        raise ConfigError(f"priority {nice} is no nice value; possible: {FIRST} (first) to {LAST}")
    try:
        for thread in THREADS.iterdir():
            with contextlib.suppress(ProcessLookupError):  # It has ended meanwhile.
                os.setpriority(os.PRIO_PROCESS, int(thread.name), nice)
    except PermissionError:
        return f"the system does not allow priority {nice}; it stays {os.getpriority(os.PRIO_PROCESS, 0)}"
    return ""


def threads() -> list[int]:
    """Return the ids of all threads of this process."""
    return [int(thread.name) for thread in THREADS.iterdir()]


def set_realtime(priority: int, of: Iterable[int]) -> str:
    """Let the threads `of` these ids go before all ordinary ones of the computer (SCHED_RR).

    Threads that they start are ordinary again. Returns why that is refused, else an empty text: it takes
    CAP_SYS_NICE or a limit (`rtprio` in /etc/security/limits.conf).

    Raises:
        ConfigError: there is no such priority.
    """
    if not 1 <= priority <= HIGHEST:
        raise ConfigError(f"realtime {priority} is no priority; possible: 1 to {HIGHEST}, 0 for none")
    policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
    try:
        for thread in of:
            with contextlib.suppress(ProcessLookupError):  # It has ended meanwhile.
                os.sched_setscheduler(thread, policy, os.sched_param(priority))
    except PermissionError:
        return f"the system does not allow realtime {priority}; threads stay ordinary"
    return ""
