"""Does the recorder lose anything? Publishers in processes of their own, checked by their sequence numbers.

Four cameras of 640x480 rgb8 at 30 Hz, two joint topics at 250 Hz, commands at 30 Hz, over DDS, into one bag.
With --search, or where messages are lost, the largest load without loss is looked for: cameras are doubled
until some are lost, then bisected. With --memory instead: see `recording_memory`.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from recording_load import CAMERAS, HEIGHT, WIDTH, contract, numbers, sources
from recording_memory import memory
from recording_processes import SETTLE_S, Controller, Publishers, start_recorder, write_result

BARE_BYTES = 1 << 30
SYNC_BYTES = 64 << 20
SEARCH_S, QUICK_S = 20.0, 5.0
AGAIN = 2  # runs of a load without loss
MOST_CAMERAS = 16
FULL_PRESSURE = 0.9  # of the recorder's buffer
IDLE_CORES = 0.2


class Load(NamedTuple):
    """What is published and how it is recorded."""

    cameras: int
    camera_hz: float
    hashes: bool
    priority: int
    busy: int  # processes that do nothing but compute beside it


def record(folder: Path, load: Load, seconds: float) -> dict[str, Any]:
    """Record the load for so long and return what came of it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    file = folder / "contract.yaml"
    file.write_text(contract(load.camera_hz, load.cameras).to_yaml())
    settings = {"contract": file, "out": folder / "bags", "hashes": str(load.hashes).lower()}
    recorder = start_recorder({**settings, "priority": load.priority})
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(load.busy)]
    try:
        with Publishers(sources(load.camera_hz, load.cameras)) as publishers:
            watched = _episode(recorder.pid, publishers, seconds)
    finally:
        for other in others:
            other.kill()
            other.wait()
        recorder.terminate()
        recorder.wait(60)
    result = _compare(watched)
    shutil.rmtree(folder)
    return {**load._asdict(), **result}


def _episode(pid: int, publishers: Publishers, seconds: float) -> dict[str, Any]:
    from dynamo_interfaces.msg import RecorderState
    from dynamo_interfaces.srv import StopEpisode

    states: list[RecorderState] = []
    with Controller() as controller:
        controller.node.create_subscription(RecorderState, "/recorder/state", states.append, 10)
        controller.start()
        process = psutil.Process(pid)
        start_ns, start_s, start_cpu = time.time_ns(), time.monotonic(), sum(process.cpu_times()[:2])
        before = psutil.cpu_times()
        controller.spin(seconds)
        cpu_s, wall_s = sum(process.cpu_times()[:2]) - start_cpu, time.monotonic() - start_s
        idle = psutil.cpu_times().idle - before.idle
        last = publishers.finish()
        time.sleep(SETTLE_S)
        asked_s = time.monotonic()
        answer = controller.call(StopEpisode, "/recorder/stop", StopEpisode.Request(outcome="success"))
        stop_s = time.monotonic() - asked_s
        rss = process.memory_info().rss
    return {
        "start_ns": start_ns,
        "seconds": wall_s,
        "cpu_s": cpu_s,
        "idle_cores": idle / wall_s,
        "stop_s": stop_s,
        "rss_mb": rss / 1e6,
        "dropped_by_its_own_count": answer.dropped,
        "most_pressure": max((state.pressure for state in states), default=0.0),
        "bag": answer.path,
        "last": last,
        "verdict": answer.message,
    }


def _compare(watched: dict[str, Any]) -> dict[str, Any]:
    """Hold what is in the bag against what was published since the episode began."""
    bag = Path(watched.pop("bag"))
    last, start_ns = watched.pop("last"), watched.pop("start_ns")
    file = bag / f"{bag.name}.mcap"
    found: dict[str, list[int]] = defaultdict(list)
    first_ns: dict[str, int] = {}
    for topic, number, publish_ns in numbers(file):
        found[topic].append(number)
        first_ns.setdefault(topic, publish_ns)
    lost, published = {}, {}
    for topic, number in last.items():
        got = found.get(topic, [])
        # From the first one on; that one must have been sent when the episode began.
        late = bool(got) and first_ns[topic] > start_ns + 2e8
        expected = number - min(got) + 1 if got else number
        published[topic] = expected
        lost[topic] = expected - len(set(got)) + int(late)
    size = file.stat().st_size
    return {
        **watched,
        "lost": sum(lost.values()),
        "lost_by_topic": lost,
        "twice": sum(len(got) - len(set(got)) for got in found.values()),
        "published": sum(published.values()),
        "gigabytes": size / 1e9,
        "megabytes_per_second": size / 1e6 / watched["seconds"],
        "recorder_cores": watched["cpu_s"] / watched["seconds"],
        "cpu_s_per_gigabyte": watched["cpu_s"] / (size / 1e9),
    }


def bare_copy(folder: Path, size: int) -> float:
    """Return the CPU seconds a gigabyte that writing images to the disk takes, without anything around it."""
    folder.mkdir(parents=True, exist_ok=True)
    image = random.Random(0).randbytes(WIDTH * HEIGHT * 3)
    descriptor = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    before, unsynced, written = time.process_time(), 0, 0
    while written < size:
        written += os.write(descriptor, image)
        unsynced += len(image)
        if unsynced > SYNC_BYTES:
            os.fdatasync(descriptor)
            unsynced = 0
    os.fsync(descriptor)
    taken = time.process_time() - before
    os.close(descriptor)
    (folder / "bare").unlink()
    return taken / (written / 1e9)


def loss(folder: Path, load: Load, seconds: float) -> dict[str, Any]:
    """Record the whole load; where that loses, find the largest one that does not."""
    result = record(folder, load, seconds)
    bare = statistics.median(bare_copy(folder, BARE_BYTES) for _ in range(3))
    result |= {"bare_cpu_s_per_gigabyte": bare, "ratio": result["cpu_s_per_gigabyte"] / bare}
    if result["lost"] and not load.busy:
        result["search"] = search(folder, load, min(SEARCH_S, seconds))
    return result


def search(folder: Path, load: Load, seconds: float) -> dict[str, Any]:
    """Return the largest number of cameras without loss: doubled until messages are lost, then bisected.

    A load counts as without loss when `AGAIN` runs of it lose nothing.
    """
    tried: list[dict[str, Any]] = []

    def holds(cameras: int) -> bool:
        for _ in range(AGAIN):
            tried.append(record(folder, load._replace(cameras=cameras), seconds))
            print(f"{cameras} cameras: {tried[-1]['lost']} lost", file=sys.stderr, flush=True)
            if tried[-1]["lost"]:
                return False
        return True

    most = largest(holds, MOST_CAMERAS)
    fitting = [one for one in tried if one["cameras"] == most]
    failing = next((one for one in tried if one["cameras"] > most and one["lost"]), None)
    return {
        "cameras_without_loss": most,
        "megabytes_per_second": max((one["megabytes_per_second"] for one in fitting), default=0.0),
        "limited_by": "nothing up to the most that was tried" if failing is None else _limit(failing),
        "tried": tried,
    }


def largest(holds: Callable[[int], bool], most: int) -> int:
    """Return the largest number up to `most` that holds; numbers that do are taken to be below the others."""
    good, bad = 0, 1
    while bad <= most and holds(bad):
        good, bad = bad, bad * 2
    bad = min(bad, most + 1)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if holds(middle) else (good, middle)
    return good


def _limit(failing: dict[str, Any]) -> str:
    """Say what the counters of a run with losses tell."""
    if failing["most_pressure"] >= FULL_PRESSURE:
        return "the disk: the recorder's buffer was full"
    if failing["idle_cores"] < IDLE_CORES:
        return f"the processors: {failing['idle_cores']:.2f} cores were idle"
    return f"the middleware: {failing['idle_cores']:.2f} cores were idle, the buffer was not full"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 s instead of 5 minutes")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--cameras", type=int, default=CAMERAS)
    parser.add_argument("--camera-hz", type=float, default=30.0)
    parser.add_argument("--no-hashes", action="store_true", help="record without stream hashes")
    parser.add_argument("--priority", type=int, default=0, help="the recorder's parameter")
    parser.add_argument("--busy", type=int, default=0, help="processes that only compute beside the load")
    parser.add_argument("--search", action="store_true", help="look for the largest load without loss")
    parser.add_argument("--memory", action="store_true", help="watch the memory over a long episode")
    parser.add_argument("--out", type=Path, help="folder on the disk to record to")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="record_loss_", dir=given.out))
    load = Load(given.cameras, given.camera_hz, not given.no_hashes, given.priority, given.busy)
    try:
        if given.memory:
            result = memory(folder / "memory", quick=given.quick)
        elif given.search:
            result = search(folder / "loss", load, given.seconds or (QUICK_S if given.quick else SEARCH_S))
        else:
            result = loss(folder / "loss", load, given.seconds or (20.0 if given.quick else 300.0))
    finally:
        shutil.rmtree(folder)
    write_result(result, given.json)


if __name__ == "__main__":
    main()
