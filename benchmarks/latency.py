"""From camera to command: what everything but the networks costs, and how steady the commands are.

Two cameras of 640x480 at 30 Hz in processes of their own, joints at 100 Hz, the real inference node with a
ResNet-18 at 224x224 and a chunked policy at 10 Hz, commands at 100 Hz, on two cores. `latency_figures.py`
says what counts as overhead. With --runner-only ROS is left out: messages to command in one process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from latency_load import CPUS, contract, publish_camera, start_camera, write_bundle
from latency_pauses import PauseWatch

NODE = "from dynamo_ros.nodes.inference_node import main; raise SystemExit(main())"
QUICK_S = 15.0
ENGINE_S = 6.0


def measure(engine: str, seconds: float, threads: int, policy_hz: float, realtime: int) -> dict[str, Any]:
    """Run the node on `engine` under load and return the figures."""
    from latency_figures import figures
    from latency_robot import watch

    robot = contract(policy_hz=policy_hz)
    with tempfile.TemporaryDirectory() as folder:
        bundle = write_bundle(Path(folder) / "bundle", robot)
        settings = {"bundle": bundle, "engine": engine, "autostart": "true", "threads": threads}
        settings["realtime"] = realtime
        parameters = [word for name, value in settings.items() for word in ("-p", f"{name}:={value}")]
        node = subprocess.Popen([sys.executable, "-c", NODE, "--ros-args", *parameters])
        cameras = [start_camera(one.topic, n) for n, one in enumerate(robot.cameras.values())]
        pauses = PauseWatch(os.sched_getaffinity(0)) if realtime else None
        try:
            heard = watch(robot, seconds)
        finally:
            stood_still = [] if pauses is None else pauses.end()
            for camera in cameras:
                assert camera.stdin is not None
                camera.stdin.close()
            node.terminate()
            for process in (node, *cameras):
                process.wait(30)
    return figures(heard, robot, stood_still)


def compare_engines(threads: int, seconds: float) -> dict[str, Any]:
    """Return which engine is chosen here, and how much faster than eager it is when they take turns."""
    import torch

    from dynamo_policies.bundle import load_bundle
    from dynamo_policies.engines.agreement import probe_images
    from dynamo_policies.engines.base import Shape
    from dynamo_policies.engines.choice import choose, make, time_all

    torch.set_num_threads(threads)
    robot = contract()
    with tempfile.TemporaryDirectory() as folder:
        bundle = load_bundle(write_bundle(Path(folder), robot))
    encoder, shape = bundle.embedder.encoder, Shape(views=len(robot.cameras), threads=threads)
    choice = choose(encoder, shape, clock_ns=time.perf_counter_ns, policy=bundle.policy)
    frames = probe_images(shape, encoder.config.image_size)
    engines = [make("eager", encoder, shape), choice.engine]
    medians = time_all(engines, frames, clock_ns=time.perf_counter_ns, budget_s=seconds)
    return {
        "engine": choice.engine.name,
        "engine_ratio": medians["eager"] / medians[choice.engine.name],
        "engine_medians_ms": dict(medians),
        "engines": [
            one._asdict() | {"deviation": one.deviation and one.deviation._asdict()}
            for one in choice.measured
        ],
    }


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return all figures."""
    if arguments.runner_only:
        from latency_runner import measure_runner

        return measure_runner(arguments.cameras, arguments.device, arguments.engine, arguments.quick)
    engines = compare_engines(arguments.threads, 2.0 if arguments.quick else ENGINE_S)
    seconds = QUICK_S if arguments.quick else 60.0 * arguments.minutes
    engine = engines["engine"] if arguments.engine == "auto" else arguments.engine
    figures = measure(engine, seconds, arguments.threads, arguments.policy_hz, arguments.realtime)
    about = {
        "seconds": seconds,
        "realtime": arguments.realtime,
        "threads": arguments.threads,
        "cpus": len(os.sched_getaffinity(0)),
    }
    head = ("overhead_p50_ms", "overhead_p99_ms", "jitter_p99_ms")
    first = {name: figures.pop(name) for name in head}
    return {**first, "engine_ratio": engines["engine_ratio"], **about, **figures, **engines}


def main() -> int:
    """Measure, print and store the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_S:g} s instead of --minutes")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--engine", default="auto", help="of the encoder; default: what `auto` chooses")
    parser.add_argument("--threads", type=int, default=1, help="of the networks (default 1)")
    parser.add_argument("--policy-hz", type=float, default=10.0)
    parser.add_argument("--realtime", type=int, default=10, help="of the node; 0: ordinary; default 10")
    parser.add_argument("--runner-only", action="store_true", help="leave ROS out")
    parser.add_argument("--cameras", type=int, default=4, help="with --runner-only")
    parser.add_argument("--device", default="cpu", help="with --runner-only: cpu or cuda")
    parser.add_argument("--publish", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.publish:
        topic, number = arguments.publish
        publish_camera(topic, int(number))
        return 0
    if not arguments.runner_only:
        # As on the two cores that the figures are for.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CPUS])
    found = run(arguments)
    print(json.dumps({key: value for key, value in found.items() if key != "stages"}, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
