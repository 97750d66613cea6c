"""The recorder's memory over a long episode, through its core and faster than real time.

Twice: an hour's messages with images of a hundredth of the size, where what grows by the message shows, and
five minutes' bytes with images of 640x480, where what grows by the byte shows. What is written of the second
is cut off the disk behind the writer, so that 33 GB need no such room.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
from recording_load import HEIGHT, WIDTH, Payload, contract, sources
from recording_processes import TASK

HOUR_S, FIVE_MINUTES_S = 3600.0, 300.0
SMALL, FULL = (64, 48), (WIDTH, HEIGHT)
JOINT_HZ = 250
WAITING_BYTES = 32 << 20
READINGS = 20
FREE_PERIOD_S = 0.5
BLOCK_BYTES = 1 << 20
KEPT_BYTES = 256 << 20  # of the end of the file


def memory(folder: Path, *, quick: bool = False) -> dict[str, Any]:
    """Return the resident memory over both episodes; `quick` shortens them to a twentieth."""
    share = 0.05 if quick else 1.0
    messages = run(folder, HOUR_S * share, SMALL)
    images = run(folder, FIVE_MINUTES_S * share, FULL)
    return {
        "memory_growth_mb": max(messages["memory_growth_mb"], images["memory_growth_mb"]),
        "an_hour_of_small_images": messages,
        "five_minutes_of_full_images": images,
    }


def run(folder: Path, seconds: float, size: tuple[int, int]) -> dict[str, Any]:
    """Record what comes in `seconds`, with images of `size`, as fast as it can be written."""
    from dynamo_ros.core.recorder import Recorder

    recorder = Recorder(contract(), folder)
    load = [(one, Payload(one, size=size)) for one in sources()]
    for one, payload in load:
        recorder.saw(one.topic, payload.numbered(0, 0), 1)
    path = recorder.start(TASK, 1)
    process, watched, steps = psutil.Process(), list[float](), int(seconds * JOINT_HZ)
    began = time.monotonic()
    with Freeing(path.parent / f".{path.name}.part" / path.name / f"{path.name}.mcap"):
        for step in range(steps):
            now_ns = 2 + step * 10**9 // JOINT_HZ
            for one, payload in load:
                if step % round(JOINT_HZ / one.rate_hz) == 0:
                    recorder.saw(one.topic, payload.numbered(step, now_ns), now_ns)
            while recorder.status(now_ns).waiting_bytes > WAITING_BYTES:
                time.sleep(0.002)
            if step % max(steps // READINGS, 1) == 0:
                watched.append(process.memory_info().rss / 1e6)
        took_s = time.monotonic() - began
    summary = recorder.stop("success")
    shutil.rmtree(folder)
    quarters = [watched[len(watched) * n // 4 : len(watched) * (n + 1) // 4] for n in range(4)]
    medians = [round(statistics.median(part), 1) for part in quarters]
    return {
        "images": "{}x{}".format(*size),
        "written": summary.messages,
        "dropped": summary.dropped,
        "gigabytes": summary.bytes / 1e9,
        "stands_for_seconds": seconds,
        "took_seconds": took_s,
        "rss_mb": [round(one, 1) for one in watched],
        "rss_mb_by_quarter": medians,
        # The queue and the allocator settle in the first one.
        "memory_growth_mb": round(medians[3] - medians[1], 1),
    }


class Freeing:
    """Gives the room of a file that is being written back to the disk, its last part excepted."""

    def __init__(self, file: Path) -> None:
        self._file, self._ended, self._freed = file, threading.Event(), 0
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> Freeing:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _live(self) -> None:
        while not self._ended.wait(FREE_PERIOD_S):
            until = (self._file.stat().st_size - KEPT_BYTES) // BLOCK_BYTES * BLOCK_BYTES
            if until > self._freed:
                where = ["--offset", str(self._freed), "--length", str(until - self._freed)]
                subprocess.run(["fallocate", "--punch-hole", *where, str(self._file)], check=True)
                self._freed = until
