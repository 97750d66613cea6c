"""Does the recorder lose anything? Publishers in processes of their own, checked by their sequence numbers.

Four cameras of 640x480 rgb8 at 30 Hz, two joint topics at 250 Hz, commands at 30 Hz, over DDS, into one bag.
Where messages are lost, slower cameras are tried until none are. With --memory instead: as many messages as
an hour-long episode has go through the recorder's core, and its memory is watched.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import psutil
from recording_load import HEIGHT, WIDTH, Payload, Source, contract, numbers, sources

TASK = "put_yogurt"
SETTLE_S = 1.0
BARE_BYTES = 1 << 30
SYNC_BYTES = 64 << 20
SEARCH_HZ = (30.0, 25.0, 20.0, 15.0, 10.0, 5.0)
SEARCH_S = 20.0
HOUR_S = 3600
SMALL = (64, 48)  # images of the memory run: a hundredth of the bytes
RECORDER = "from dynamo_ros.nodes.recorder_node import main; raise SystemExit(main())"


def publish(source: Source) -> None:
    """Publish until stdin ends, at the source's rate and without a gap; then tell the last number."""
    import threading

    import rclpy
    from rclpy.qos import QoSProfile
    from rosidl_runtime_py.utilities import get_message

    rclpy.init()
    node = rclpy.create_node(source.topic.replace("/", "_").strip("_"))
    publisher = node.create_publisher(get_message(source.type), source.topic, QoSProfile(depth=20))
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    payload, number, period = Payload(source), 0, 1.0 / source.rate_hz
    due = time.monotonic()
    while not ended.is_set():
        number += 1
        publisher.publish(payload.numbered(number, time.time_ns()))
        due += period
        time.sleep(max(0.0, due - time.monotonic()))
    print(json.dumps({"topic": source.topic, "last": number}), flush=True)
    time.sleep(SETTLE_S)  # A reliable publisher that ends takes with it what it still has to send.
    node.destroy_node()
    rclpy.shutdown()


def record(folder: Path, camera_hz: float, seconds: float, hashes: bool) -> dict[str, Any]:
    """Record the load for so long and return what came of it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "contract.yaml").write_text(contract(camera_hz).to_yaml())
    settings = {"contract": folder / "contract.yaml", "out": folder / "bags", "hashes": str(hashes).lower()}
    parameters = [word for name, value in settings.items() for word in ("-p", f"{name}:={value}")]
    recorder = subprocess.Popen([sys.executable, "-c", RECORDER, "--ros-args", *parameters])
    publishers = [_publisher(source, camera_hz) for source in sources(camera_hz)]
    try:
        watched = _episode(recorder.pid, publishers, seconds)
    finally:
        recorder.terminate()
        recorder.wait(60)
        for process in publishers:
            process.kill()
    result = _compare(watched)
    shutil.rmtree(folder)
    return {"camera_hz": camera_hz, **result}


def _publisher(source: Source, camera_hz: float) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--publish", source.topic, "--camera-hz", str(camera_hz)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _episode(pid: int, publishers: list[subprocess.Popen[str]], seconds: float) -> dict[str, Any]:
    import rclpy
    from dynamo_interfaces.msg import RecorderState
    from dynamo_interfaces.srv import StartEpisode, StopEpisode

    rclpy.init()
    node = rclpy.create_node("record_loss")
    states: list[RecorderState] = []
    node.create_subscription(RecorderState, "/recorder/state", states.append, 10)

    def call(kind: type, name: str, request: Any) -> Any:
        client = node.create_client(kind, name)
        assert client.wait_for_service(60.0), name
        future = client.call_async(request)
        rclpy.spin_until_future_complete(node, future, timeout_sec=120.0)
        return future.result()

    deadline = time.monotonic() + 60
    while not (answer := call(StartEpisode, "/recorder/start", StartEpisode.Request(task=TASK))).success:
        assert time.monotonic() < deadline, answer.message
        time.sleep(0.5)
    process = psutil.Process(pid)
    start_ns, start_s, start_cpu = time.time_ns(), time.monotonic(), sum(process.cpu_times()[:2])
    while time.monotonic() - start_s < seconds:
        rclpy.spin_once(node, timeout_sec=0.5)
    cpu_s, wall_s = sum(process.cpu_times()[:2]) - start_cpu, time.monotonic() - start_s
    for one in publishers:
        assert one.stdin is not None
        one.stdin.close()
    last = [json.loads(one.stdout.readline()) for one in publishers if one.stdout is not None]
    time.sleep(SETTLE_S)
    asked_s = time.monotonic()
    answer = call(StopEpisode, "/recorder/stop", StopEpisode.Request(outcome="success"))
    stop_s = time.monotonic() - asked_s
    rss = process.memory_info().rss
    node.destroy_node()
    rclpy.shutdown()
    return {
        "start_ns": start_ns,
        "seconds": wall_s,
        "cpu_s": cpu_s,
        "stop_s": stop_s,
        "rss_mb": rss / 1e6,
        "dropped_by_its_own_count": answer.dropped,
        "most_pressure": max((state.pressure for state in states), default=0.0),
        "bag": answer.path,
        "last": {one["topic"]: one["last"] for one in last},
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


def loss(folder: Path, seconds: float, hashes: bool, camera_hz: float) -> dict[str, Any]:
    """Record the whole load; where that loses, find the largest one that does not."""
    result = record(folder, camera_hz, seconds, hashes)
    bare = statistics.median(bare_copy(folder, BARE_BYTES) for _ in range(3))
    result |= {
        "bare_cpu_s_per_gigabyte": bare,
        "ratio": result["cpu_s_per_gigabyte"] / bare,
        "hashes": hashes,
    }
    if result["lost"]:
        tried = []
        for rate in (one for one in SEARCH_HZ if one < camera_hz):
            tried.append(record(folder, rate, min(SEARCH_S, seconds), hashes))
            if not tried[-1]["lost"]:
                break
        result["slower_cameras"] = tried
    return result


def memory(folder: Path, seconds: float) -> dict[str, Any]:
    """Return the resident memory while as many messages go through as `seconds` of the load have."""
    from dynamo_ros.core.recorder import Recorder

    shutil.rmtree(folder, ignore_errors=True)
    recorder = Recorder(contract(), folder)
    load = [(one, Payload(one, size=SMALL)) for one in sources()]
    for one, payload in load:
        recorder.saw(one.topic, payload.numbered(0, 0), 1)
    recorder.start(TASK, 1)
    process, watched, messages = psutil.Process(), [], 0
    began = time.monotonic()
    for step in range(int(seconds * 250)):
        now_ns = 2 + step * 4_000_000
        for one, payload in load:
            if step % round(250 / one.rate_hz) == 0:
                recorder.saw(one.topic, payload.numbered(step, now_ns), now_ns)
                messages += 1
        while recorder.status(now_ns).waiting_bytes > 32 << 20:
            time.sleep(0.002)
        if step % max(int(seconds * 250 / 20), 1) == 0:
            watched.append(process.memory_info().rss / 1e6)
    summary = recorder.stop("success")
    shutil.rmtree(folder)
    quarter = len(watched) // 4  # The queue and the allocator settle in the first one.
    early, late = (statistics.median(part) for part in (watched[quarter : 2 * quarter], watched[-quarter:]))
    return {
        "messages": messages,
        "written": summary.messages,
        "dropped": summary.dropped,
        "stands_for_seconds": seconds,
        "took_seconds": time.monotonic() - began,
        "rss_mb": [round(one, 1) for one in watched],
        "memory_growth_mb": round(late - early, 1),  # from the second quarter to the last
    }


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 s instead of 5 minutes")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--camera-hz", type=float, default=30.0)
    parser.add_argument("--no-hashes", action="store_true", help="record without stream hashes")
    parser.add_argument("--memory", action="store_true", help="watch the memory over an hour's messages")
    parser.add_argument("--out", type=Path, help="folder on the disk to record to")
    parser.add_argument("--publish", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.publish:
        publish(next(one for one in sources(given.camera_hz) if one.topic == given.publish))
        return
    folder = given.out or Path(tempfile.mkdtemp(prefix="record_loss_"))
    if given.memory:
        result = memory(folder / "memory", given.seconds or (HOUR_S / 20 if given.quick else HOUR_S))
    else:
        seconds = given.seconds or (20.0 if given.quick else 300.0)
        result = loss(folder / "loss", seconds, not given.no_hashes, given.camera_hz)
    text = json.dumps(result, indent=2)
    print(text)
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
