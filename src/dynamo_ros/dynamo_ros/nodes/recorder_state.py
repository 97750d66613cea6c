"""What the recorder says of itself on `/recorder/state`."""

from __future__ import annotations

import time
from pathlib import Path

from dynamo_interfaces.msg import RecorderState
from rclpy.node import Node

from dynamo_ros.core.bag_places import free_bytes
from dynamo_ros.core.recorder import Recorder, RecorderStatus
from dynamo_ros.nodes.messages import now_ns, to_time


class StatePublisher:
    """Publishes a recorder's state, and logs a failure once."""

    def __init__(self, node: Node, recorder: Recorder, folder: Path, queue_bytes: int) -> None:
        self._node, self._recorder, self._folder, self._queue_bytes = node, recorder, folder, queue_bytes
        self._publisher = node.create_publisher(RecorderState, "/recorder/state", 10)
        self._told = ""
        self._written = (Path(), 0, 0.0)  # bag, bytes, when

    def publish(self, refusal: str) -> None:
        """Publish how it is now."""
        stamp_ns = now_ns(self._node.get_clock())
        status, last = self._recorder.status(stamp_ns), self._recorder.last
        failure = self._recorder.failure
        if failure and failure != self._told:
            self._node.get_logger().error(failure)
        self._told = failure
        state = RecorderState(
            recording=status.path is not None,
            task=status.task,
            path=str(status.path or ""),
            messages=status.messages,
            dropped=status.dropped,
            bytes=status.bytes,
            seconds=status.seconds,
            outcome=status.outcome,
            waiting_bytes=status.waiting_bytes,
            pressure=min(status.waiting_bytes / max(self._queue_bytes, 1), 1.0),
            disk_rate=self._rate(status),
            free_bytes=free_bytes(self._folder),
            saving=self._recorder.saving,
            error=failure or refusal,
            last_path=str(last.path) if last is not None else "",
            last_verdict=last.colour if last is not None else "",
        )
        state.header.stamp = to_time(stamp_ns)
        self._add_plan(state)
        self._publisher.publish(state)

    def close(self) -> None:
        """Publish no more."""
        self._node.destroy_publisher(self._publisher)

    def _rate(self, status: RecorderStatus) -> float:
        """Return the bytes a second since the last time, within one episode."""
        now_s, (path, written, then_s) = time.monotonic(), self._written
        self._written = (status.path or Path(), status.written_bytes, now_s)
        same = status.path is not None and status.path == path
        return (status.written_bytes - written) / (now_s - then_s) if same else 0.0

    def _add_plan(self, state: RecorderState) -> None:
        plan = self._recorder.plan
        state.next_task = plan.next_task
        if plan.next_task:
            state.next_prompt = self._recorder.prompt(plan.next_task)
        state.plan_tasks = [one.task for one in plan.tasks]
        state.plan_done = [max(one.done, 0) for one in plan.tasks]
        state.plan_wanted = [one.wanted for one in plan.tasks]
