"""The processes of the recording benchmarks: the recorder, publishers, and who controls them."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from recording_load import Payload, Source

TASK = "put_yogurt"
SETTLE_S = 1.0
READY_S, ANSWER_S = 60.0, 120.0
START_S = 30.0  # for one answer to a start
PUBLISHED_DEPTH = 20
RECORDER = "from dynamo_ros.nodes.recorder_node import main; raise SystemExit(main())"


def start_recorder(
    parameters: Mapping[str, object], remappings: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start the recorder as `ros2 run` does."""
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    words += [word for name, other in (remappings or {}).items() for word in ("-r", f"{name}:={other}")]
    return subprocess.Popen([sys.executable, "-c", RECORDER, "--ros-args", *words])


class Publishers:
    """One process for each source, until `finish` or the end of the context."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._processes = [_publisher(source) for source in sources]

    def __enter__(self) -> Publishers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
            process.wait(10)

    def finish(self) -> dict[str, int]:
        """Let them end and return the last number of each topic."""
        for one in self._processes:
            assert one.stdin is not None
            one.stdin.close()
        told = [json.loads(one.stdout.readline()) for one in self._processes if one.stdout is not None]
        return {one["topic"]: one["last"] for one in told}


class NotStartedError(Exception):
    """The recorder began no episode, or was not found; the text says why."""


class Controller:
    """A node that calls the recorder's services; a context manager."""

    def __enter__(self) -> Controller:
        import rclpy
        from rclpy.signals import SignalHandlerOptions

        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C is to end the benchmark itself.
        self.node = rclpy.create_node("recording_benchmark")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import rclpy

        self.node.destroy_node()
        rclpy.shutdown()

    def ask(self, kind: type, name: str, request: Any) -> Any:
        """Return the future of the answer, once there is a service."""
        client = self.node.create_client(kind, name)
        if not client.wait_for_service(READY_S):
            raise NotStartedError(f"no {name} within {READY_S:g} s")
        return client.call_async(request)

    def call(self, kind: type, name: str, request: Any) -> Any:
        """Return the answer of a service."""
        future = self.ask(kind, name, request)
        self.spin(ANSWER_S, future.done)
        assert future.done(), f"no answer of {name} within {ANSWER_S:g} s"
        return future.result()

    def start(self, name: str = "/recorder/start") -> Any:
        """Start an episode, as soon as the recorder has heard every stream, and return the answer."""
        from dynamo_interfaces.srv import StartEpisode

        deadline = time.monotonic() + READY_S
        while True:
            future = self.ask(StartEpisode, name, StartEpisode.Request(task=TASK))
            self.spin(START_S, future.done)
            if not future.done():
                raise NotStartedError(f"no answer of {name} within {START_S:g} s")
            if future.result().success:
                return future.result()
            if time.monotonic() > deadline:
                raise NotStartedError(future.result().message)
            self.spin(0.2)

    def spin(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Run callbacks for so long, or `until` something holds."""
        import rclpy

        deadline = time.monotonic() + seconds
        while not until() and (left := deadline - time.monotonic()) > 0:
            rclpy.spin_once(self.node, timeout_sec=min(left, 0.05))


def publish(source: Source) -> None:
    """Publish until stdin ends, at the source's rate and without a gap; then tell the last number."""
    import threading

    import rclpy
    from rclpy.qos import QoSProfile
    from rosidl_runtime_py.utilities import get_message

    rclpy.init()
    node = rclpy.create_node(source.topic.replace("/", "_").strip("_"))
    publisher = node.create_publisher(
        get_message(source.type), source.topic, QoSProfile(depth=PUBLISHED_DEPTH)
    )
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


def _publisher(source: Source) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, *source._asdict().values()]
    return subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def write_result(result: Mapping[str, Any], file: Path | None) -> None:
    """Print a benchmark's figures, and write them to `file` if one is given."""
    text = json.dumps(result, indent=2)
    print(text)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="publish one topic until stdin ends")
    parser.add_argument("topic")
    parser.add_argument("type")
    parser.add_argument("rate_hz", type=float)
    publish(Source(**vars(parser.parse_args())))
