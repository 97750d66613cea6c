"""What kill -9 takes from the recorder as it is used, at random moments of recording, saving and starting.

The recorder's node records four cameras of 640x480 at 30 Hz, two joint topics at 250 Hz and commands, sent
over DDS by processes of their own. Episodes of a second follow each other without a pause. The node is
killed; then episodes of before must be byte-identical, saved ones whole, and the open one, after repair, says
how much is missing before the kill. A topic of which nothing came, while others that share its chunks did,
was not lost: it counts as unheard. After a kill, the middleware's shared memory may keep the next process
from hearing some publishers; a node whose start is not answered or stays refused is killed and counts as
deaf. With --core instead: the recorder's core in a process that feeds itself, which knows of each message
what became of it.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from record_crash_core import crash as crash_of_the_core
from recording_load import Source, contract, numbers, sources
from recording_processes import (
    READY_S,
    TASK,
    Controller,
    NotStartedError,
    Publishers,
    start_recorder,
    write_result,
)

from dynamo_policies.bags import BagError, bag_hash, find_bags, read_info
from dynamo_policies.repair import find_damaged, repair

EPISODE_S = 1.0
LONGEST_S = 2.5  # until the kill
EARLIER = 3
DUE_PERIODS = 3
TOLD = 5  # trials with the largest losses
SERVICES = ("start", "stop", "discard", "mark", "moment", "redo", "next")
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (where Linux has it)


class Killed(NamedTuple):
    """When a recorder was killed, what it had answered by then, and what it had been asked."""

    killed_ns: int
    begun_ns: dict[str, int]  # episode -> when its start was answered
    ended_ns: dict[str, int]  # episode -> when its end was asked for
    saved: set[str]


class Lost(NamedTuple):
    """What a bag lacks at its end, of which topic, and the topics that did not come at all."""

    seconds: float
    topic: str
    unheard: tuple[str, ...]


class Recorder:
    """The recorder's process, with services of its own name, so that a dead one is not called."""

    def __init__(self, folder: Path, number: int) -> None:
        self.name = f"/recorder{number}"
        names = {f"/recorder/{name}": f"{self.name}/{name}" for name in SERVICES}
        file = folder / "contract.yaml"
        self._others, self._own = _segments(), set[Path]()
        self.process = start_recorder({"contract": file, "out": folder / "bags", "reserve_mb": 256.0}, names)

    def look(self) -> None:
        """Take note of its shared memory: what it maps and was not there before."""
        maps = Path(f"/proc/{self.process.pid}/maps").read_text()
        self._own = {path for path in _segments() - self._others if path.name in maps}

    def kill(self) -> int:
        """Kill it and return when, ns."""
        killed_ns = time.time_ns()
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(READY_S)
        for segment in self._own:  # Fast DDS leaves a killed process's for ever.
            for file in (segment, segment.with_name(f"{segment.name}_el")):
                file.unlink(missing_ok=True)
        return killed_ns

    def end(self) -> None:
        """End it as Ctrl-C does."""
        self.process.terminate()
        self.process.wait(READY_S)


def _segments() -> set[Path]:
    """Return the shared memory of all participants, their ports left out: those are taken over."""
    return {path for path in SHARED_MEMORY.glob("fastrtps_*") if "port" not in path.name}


def record_until_killed(controller: Controller, recorder: Recorder, after_s: float) -> Killed:
    """Record one episode after the other; kill the recorder so long after the first one began."""
    from dynamo_interfaces.srv import StartEpisode, StopEpisode

    begun_ns: dict[str, int] = {}
    ended_ns: dict[str, int] = {}
    saved: set[str] = set()
    killed: list[int] = []
    stopping: list[Any] = []
    starts = controller.node.create_client(StartEpisode, f"{recorder.name}/start")
    stops = controller.node.create_client(StopEpisode, f"{recorder.name}/stop")
    if not stops.wait_for_service(READY_S):
        raise NotStartedError(f"no {recorder.name}/stop within {READY_S:g} s")
    first = Path(controller.start(f"{recorder.name}/start").path).name
    begun_ns[first] = time.time_ns()
    recorder.look()
    killer = threading.Timer(after_s, lambda: killed.append(recorder.kill()))
    killer.start()
    while not killed:
        controller.spin(EPISODE_S, lambda: bool(killed))
        if killed:
            break
        ended_ns[list(begun_ns)[-1]] = time.time_ns()
        stopping.append(stops.call_async(StopEpisode.Request(outcome="success")))
        begun = _next_episode(controller, starts, killed)
        begun_ns |= {begun: time.time_ns()} if begun else {}
    killer.join()
    for stop in stopping:
        if stop.done() and stop.result().success:
            saved.add(Path(stop.result().path).name)
    for client in (starts, stops):
        controller.node.destroy_client(client)
    return Killed(killed[0], begun_ns, ended_ns, saved)


def _next_episode(controller: Controller, starts: Any, killed: list[int]) -> str:
    """Ask for the next episode until it has begun, and return its name; empty if the recorder was killed.

    The stop before it is another service: the recorder may take the start first, and refuses it.
    """
    from dynamo_interfaces.srv import StartEpisode

    while not killed:
        start = starts.call_async(StartEpisode.Request(task=TASK))
        controller.spin(READY_S, lambda start=start: start.done() or bool(killed))
        if start.done() and start.result().success:
            return Path(start.result().path).name
    return ""


def examine(folder: Path, killed: Killed, earlier: set[str]) -> dict[str, Any]:
    """Repair what is open, compare, and delete the episodes of this trial."""
    complete = {path.name for path in find_bags(folder)} - earlier
    problems = [f"{name} was saved and is gone" for name in sorted(killed.saved - complete)]
    open_ones = find_damaged(folder)
    unreadable = [part for part in open_ones if not _repaired(part)]
    problems += [problem for name in sorted(complete) for problem in _silent_gaps(folder / name)]
    begun = {name: stamp for name, stamp in killed.begun_ns.items() if name not in complete}
    for part in open_ones:
        begun.setdefault(part.name.removeprefix(".").removesuffix(".part"), killed.killed_ns)
    lost = [
        _lost(folder / name, stamp, min(killed.killed_ns, killed.ended_ns.get(name, killed.killed_ns)))
        for name, stamp in begun.items()
    ]
    worst = max(lost, default=Lost(0.0, "", ()))
    forget(folder, earlier)
    return {
        "lost_s": worst.seconds,
        "topic": worst.topic,
        "unheard": sorted({topic for one in lost for topic in one.unheard}),
        "open": len(open_ones),
        "complete": len(complete),
        "unreadable": len(unreadable),
        "problems": problems,
    }


def forget(folder: Path, earlier: set[str]) -> None:
    """Delete the episodes of a trial."""
    for path in folder.iterdir():
        if path.name not in earlier:
            shutil.rmtree(path)


def _repaired(part: Path) -> bool:
    """Repair an episode; False where nothing of it had come to the disk."""
    try:
        repair(part)
    except BagError:
        return False
    return True


def _lost(bag: Path, begun_ns: int, ended_ns: int) -> Lost:
    """Return how long before `ended_ns`, the kill or the request to end, the bag's shortest topic ends."""
    newest: dict[str, int] = {}
    if bag.is_dir():
        for topic, _, publish_ns in numbers(bag / f"{bag.name}.mcap"):
            newest[topic] = max(newest.get(topic, 0), publish_ns)
    unheard = tuple(one.topic for one in sources() if _is_unheard(one, newest, begun_ns))
    ends = {one.topic: newest.get(one.topic, begun_ns) for one in sources() if one.topic not in unheard}
    shortest = min(ends, key=lambda topic: ends[topic])
    return Lost(max(0, ended_ns - ends[shortest]) / 1e9, shortest, unheard)


def _is_unheard(source: Source, newest: Mapping[str, int], begun_ns: int) -> bool:
    """Return whether a topic is not there, though what shares its chunks came later than it was due."""
    alike = [newest.get(one.topic, 0) for one in sources() if one.is_camera == source.is_camera]
    return source.topic not in newest and max(alike) > begun_ns + DUE_PERIODS * 1e9 / source.rate_hz


def _silent_gaps(bag: Path) -> list[str]:
    """Return the topics of a whole bag that lack more messages than the recorder counted as dropped."""
    dropped, found = read_info(bag).dropped, defaultdict(list)
    for topic, number, _ in numbers(bag / f"{bag.name}.mcap"):
        found[topic].append(number)
    missing = {topic: max(got) - min(got) + 1 - len(set(got)) for topic, got in found.items()}
    return [
        f"{bag.name} lacks {count} messages on {topic}, {dropped.get(topic, 0)} of them counted"
        for topic, count in missing.items()
        if count > dropped.get(topic, 0)
    ]


def earlier_episodes(controller: Controller, folder: Path) -> None:
    """Record what no kill may change."""
    from dynamo_interfaces.srv import StopEpisode

    recorder = Recorder(folder, 0)
    for _ in range(EARLIER):
        controller.start(f"{recorder.name}/start")
        controller.spin(0.5)
        assert controller.call(StopEpisode, f"{recorder.name}/stop", StopEpisode.Request()).success
    recorder.end()


def crash(folder: Path, trials: int, seed: int, camera_hz: float) -> dict[str, Any]:
    """Run the trials beside episodes that were recorded before."""
    chance, results, deaf, began = random.Random(seed), list[dict[str, Any]](), list[str](), time.monotonic()
    (folder / "bags").mkdir(parents=True)
    (folder / "contract.yaml").write_text(contract(camera_hz).to_yaml())
    with Publishers(sources(camera_hz)), Controller() as controller:
        earlier_episodes(controller, folder)
        before = {path.name: bag_hash(path) for path in find_bags(folder / "bags")}
        for number in range(1, trials + 1):
            after_s = chance.uniform(0.05, LONGEST_S)
            recorder = Recorder(folder, number)
            try:
                killed = record_until_killed(controller, recorder, after_s)
            except NotStartedError as error:
                recorder.kill()
                forget(folder / "bags", set(before))
                deaf.append(str(error))
                print(number, error, file=sys.stderr, flush=True)
                continue
            results.append({"after_s": round(after_s, 3), **examine(folder / "bags", killed, set(before))})
            print(number, results[-1], file=sys.stderr, flush=True)
        after = {path.name: bag_hash(path) for path in find_bags(folder / "bags")}
    lost = [one["lost_s"] for one in results]
    return {
        "recorder": "the node, over DDS",
        "cameras": "4 of 640x480 rgb8",
        "camera_hz": camera_hz,
        "trials": len(results),
        "deaf": deaf,
        "lost_seconds": max(lost),
        "lost_seconds_median": statistics.median(lost),
        "earlier_episodes_identical": before == after,
        "problems": [problem for one in results for problem in one["problems"]],
        "complete_episodes": sum(one["complete"] for one in results),
        "worst": sorted(results, key=lambda one: -one["lost_s"])[:TOLD],
        "unheard": sum(bool(one["unheard"]) for one in results),
        "killed_while_saving": sum(one["open"] > 1 for one in results),
        "unreadable": sum(one["unreadable"] for one in results),
        "took_seconds": round(time.monotonic() - began),
    }


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 kills instead of 100")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--trials", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--camera-hz", type=float, default=30.0)
    parser.add_argument("--core", action="store_true", help="the recorder's core instead of the node")
    parser.add_argument("--out", type=Path, help="folder on the disk to record to")
    given = parser.parse_args()
    trials = given.trials or (3 if given.quick else 100)
    folder = Path(tempfile.mkdtemp(prefix="record_crash_", dir=given.out))
    try:
        if given.core:
            result = crash_of_the_core(folder / "bags", trials, given.seed)
        else:
            result = crash(folder, trials, given.seed, given.camera_hz)
    finally:
        shutil.rmtree(folder)
    write_result(result, given.json)


if __name__ == "__main__":
    main()
