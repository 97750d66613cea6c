"""The thread that takes messages beside the node's executor."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from rclpy.node import Node
from std_msgs.msg import Int32

from dynamo_ros.nodes.listener import Elsewhere, Listener
from ros_fixtures import Ros

ENOUGH = 20


class Ear:
    """Hears `/numbers`: what came, and on which threads."""

    def __init__(self, node: Node) -> None:
        self.numbers: list[int] = []
        self.sent_ns: list[int] = []
        self.threads: set[str] = set()
        hear: Any = self._hear  # rclpy's types do not know of callbacks that take the message's info
        self.subscription = node.create_subscription(Int32, "/numbers", hear, 50, callback_group=Elsewhere())

    def _hear(self, message: Int32, info: dict[str, int]) -> None:
        self.numbers.append(message.data)
        self.sent_ns.append(info["source_timestamp"])
        self.threads.add(threading.current_thread().name)


def speak(ros: Ros, until: Callable[[], object]) -> None:
    """Publish 0, 1, … while the executor spins, until the condition holds."""
    node = ros.node("speaker")
    publisher, counted = node.create_publisher(Int32, "/numbers", 50), itertools.count()

    def said() -> object:
        publisher.publish(Int32(data=next(counted)))
        return until()

    ros.until(said)
    node.destroy_publisher(publisher)


def test_messages_come_in_order_on_a_thread_of_their_own_and_never_through_the_executor(ros: Ros) -> None:
    node = ros.node("hearer")
    ear = Ear(node)
    listener = Listener(node, [ear.subscription])
    try:
        speak(ros, lambda: len(ear.numbers) >= ENOUGH)
    finally:
        listener.close()
    first = ear.numbers[0]
    assert ear.numbers == list(range(first, first + len(ear.numbers)))
    assert ear.sent_ns == sorted(ear.sent_ns)
    assert ear.threads == {"listener"}


def test_nothing_is_taken_after_the_end(ros: Ros) -> None:
    node = ros.node("hearer")
    ear, other = Ear(node), Ear(ros.node("other"))
    listener = Listener(node, [ear.subscription])
    still = Listener(node, [other.subscription])
    try:
        speak(ros, lambda: ear.numbers and other.numbers)
        listener.close()
        heard, others = len(ear.numbers), len(other.numbers)
        speak(ros, lambda: len(other.numbers) > others + ENOUGH)
        assert len(ear.numbers) == heard
    finally:
        still.close()
