"""What kill -9 takes from the recorder's core, at random moments of recording, saving and starting.

A process records episodes one after the other, in real time: a 640x480 camera, two joint topics at 250 Hz,
commands. It tells, through a pipe, of each message handed to the recorder and each episode that was saved. It
is killed; then saved episodes must hold every message, the episodes of before must be byte-identical, and
what is missing of the open ones, after repair, says how much was lost.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from recording_load import Payload, Source, contract, numbers, sources

from dynamo_policies.bags import BagError, bag_hash, find_bags, read_info
from dynamo_policies.repair import find_damaged, repair
from dynamo_ros.core.recorder import Recorder

TASK = "put_yogurt"
EPISODE_S = 1.0
TICK_S = 0.004
LONGEST_S = 2.5  # until the kill
EARLIER = 3


class Told(NamedTuple):
    """What the killed process had told."""

    fed: dict[str, list[tuple[str, int, int]]]  # episode -> topic, number, stamp
    saved: set[str]
    killed_ns: int


def load() -> list[Source]:
    """Return the sources of the load with one camera."""
    return [one for one in sources() if not one.is_camera or one.topic.endswith("0")]


def feed(
    recorder: Recorder, payloads: list[tuple[Source, Payload]], name: str, tell: int, seconds: float
) -> None:
    """Give the recorder the load in real time."""
    begun = time.monotonic()
    for step in range(int(seconds / TICK_S)):
        time.sleep(max(0.0, begun + step * TICK_S - time.monotonic()))
        for one, payload in payloads:
            if step % round(1 / TICK_S / one.rate_hz) == 0:
                now_ns = time.time_ns()
                recorder.saw(one.topic, payload.numbered(step, now_ns), now_ns)
                os.write(tell, f"fed {name} {one.topic} {step} {now_ns}\n".encode())


def recorder_in(folder: Path) -> tuple[Recorder, list[tuple[Source, Payload]]]:
    """Return a recorder that has heard every stream."""
    recorder = Recorder(contract(), folder)
    payloads = [(one, Payload(one)) for one in sources()]
    for one, payload in payloads:
        recorder.saw(one.topic, payload.numbered(0, 0), 1)
    chosen = {one.topic for one in load()}
    return recorder, [(one, payload) for one, payload in payloads if one.topic in chosen]


def child(folder: Path) -> None:
    """Record until killed; each stop goes on behind the next start."""
    recorder, payloads = recorder_in(folder)
    os.write(1, b"ready\n")
    while True:
        name = recorder.start(TASK, time.time_ns()).name
        feed(recorder, payloads, name, 1, EPISODE_S)
        ending = recorder.end("success")
        threading.Thread(target=announce, args=(ending, name), daemon=True).start()
        recorder.tend()


def announce(ending: Any, name: str) -> None:
    """Tell when an episode is saved."""
    if not ending.summary().error:
        os.write(1, f"saved {name}\n".encode())


def killed_child(folder: Path, after_s: float) -> Told:
    """Let a process record and kill it so long after its first episode began."""
    process = subprocess.Popen([sys.executable, __file__, str(folder)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    killer = threading.Timer(after_s, os.kill, (process.pid, signal.SIGKILL))
    killer.start()
    lines = process.stdout.read().decode().splitlines()
    process.wait(10)
    fed, saved, killed_ns = defaultdict(list), set(), 0
    for line in lines:
        words = line.split()
        if words[0] == "saved" and len(words) == 2:
            saved.add(words[1])
        elif len(words) == 5:
            fed[words[1]].append((words[2], int(words[3]), int(words[4])))
            killed_ns = max(killed_ns, int(words[4]))
    return Told(dict(fed), saved, killed_ns)


def trial(folder: Path, after_s: float) -> dict[str, Any]:
    """Kill, repair and compare."""
    told = killed_child(folder, after_s)
    complete = {path.name for path in find_bags(folder)}
    problems = [f"{name} was saved and is gone" for name in sorted(told.saved - complete)]
    open_ones, unreadable = find_damaged(folder), 0
    for part in open_ones:
        unreadable += not repaired(part)
    lost_s, lost = 0.0, 0
    for name, fed in told.fed.items():
        bag = folder / name
        found = (
            {(topic, number) for topic, number, _ in numbers(bag / f"{name}.mcap")} if bag.is_dir() else set()
        )
        missing = [stamp for topic, number, stamp in fed if (topic, number) not in found]
        if missing and name in complete:
            problems.append(f"{name} is complete and lacks {len(missing)} messages")
        if bag.is_dir():
            read_info(bag)
        lost += len(missing)
        lost_s = max([lost_s, *((told.killed_ns - stamp) / 1e9 for stamp in missing)])
    for name in told.fed:
        for path in (folder / name, *folder.glob(f".{name}.*")):
            shutil.rmtree(path, ignore_errors=True)
    fed = sum(map(len, told.fed.values()))
    return {
        "after_s": after_s,
        "lost_s": lost_s,
        "lost": lost,
        "fed": fed,
        "open": len(open_ones),
        "unreadable": unreadable,
        "problems": problems,
    }


def repaired(part: Path) -> bool:
    """Repair an episode; False where nothing of it had come to the disk."""
    try:
        repair(part)
    except BagError:
        return False
    return True


def crash(folder: Path, trials: int, seed: int) -> dict[str, Any]:
    """Run the trials beside episodes that were recorded before."""
    chance = random.Random(seed)
    recorder, payloads = recorder_in(folder)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for _ in range(EARLIER):
        name = recorder.start(TASK, time.time_ns()).name
        feed(recorder, payloads, name, nowhere, 0.5)
        recorder.stop("success")
    before = {path.name: bag_hash(path) for path in find_bags(folder)}
    results = []
    for number in range(trials):
        results.append(trial(folder, chance.uniform(0.05, LONGEST_S)))
        print(number, results[-1], file=sys.stderr, flush=True)
    after = {path.name: bag_hash(path) for path in find_bags(folder) if path.name in before}
    lost = [one["lost_s"] for one in results]
    return {
        "recorder": "its core, one camera",
        "trials": trials,
        "lost_seconds": max(lost),
        "lost_seconds_median": statistics.median(lost),
        "lost_messages": sum(one["lost"] for one in results),
        "fed_messages": sum(one["fed"] for one in results),
        "earlier_episodes_identical": before == after,
        "problems": [problem for one in results for problem in one["problems"]],
        "killed_while_saving": sum(one["open"] > 1 for one in results),
        "unreadable": sum(one["unreadable"] for one in results),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="The process that is killed; `record_crash.py --core` starts it."
    )
    parser.add_argument("folder", type=Path, help="where its episodes go")
    child(parser.parse_args().folder)
