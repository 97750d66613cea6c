"""How soon the operating system gives this process a processor."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from dynamo_policies.errors import ConfigError

FIRST, LAST = -20, 19  # of the nice values, see sched(7)
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
