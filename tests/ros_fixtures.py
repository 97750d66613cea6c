"""What tests over real DDS share: a domain of their own, and nodes spun until something holds."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from rclpy.node import Node

ROOT = Path(__file__).parents[1]
T = TypeVar("T", bound="Node")
# Where the first participant of a domain listens (DDSI-RTPS 2.5, 9.6.2).
FIRST_PORT, PORTS_OF_DOMAIN = 7410, 250


class Ros:
    """A running rclpy with one executor for all nodes of a test."""

    def __init__(self) -> None:
        from rclpy.executors import SingleThreadedExecutor

        self.executor = SingleThreadedExecutor()
        self._nodes: list[Node] = []

    def add(self, node: T) -> T:
        """Spin `node` with the others from now on, and destroy it when the test ends."""
        self._nodes.append(node)
        self.executor.add_node(node)
        return node

    def node(self, name: str = "tester") -> Node:
        """Return a new plain node."""
        from rclpy import create_node

        return self.add(create_node(name))

    def until(self, condition: Callable[[], object], timeout_s: float = 90.0, what: str = "") -> None:
        """Spin until `condition` holds; the test fails if that takes more than `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what or condition}"
            self.executor.spin_once(timeout_sec=0.02)

    def spin(self, seconds: float) -> None:
        """Spin for this long: for claims about rates, or that something does not happen."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.02)

    def call(self, node: Node, service_type: type, name: str, request: object) -> Any:
        """Return the response of a service, waiting for both the service and the response."""
        client = node.create_client(service_type, name)
        self.until(client.service_is_ready, what=f"service {name}")
        future = client.call_async(request)
        self.until(future.done, what=f"response of {name}")
        node.destroy_client(client)
        return future.result()

    def end(self) -> None:
        """Destroy all nodes."""
        from rclpy.action import ActionServer

        self.executor.shutdown()
        for node in self._nodes:
            servers = [one for one in node.waitables if isinstance(one, ActionServer)]
            node.destroy_node()
            for (
                server
            ) in servers:  # rclpy's node leaves them in the graph, where the next test would find them
                if server in node.waitables:
                    server.destroy()


def nobody_is_in(domain: int) -> bool:
    """Return whether no participant of this machine listens in the domain, left over or of another run."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        try:
            port.bind(("", FIRST_PORT + PORTS_OF_DOMAIN * domain))
        except OSError:
            return False
    return True


@pytest.fixture(scope="session")
def ros_domain() -> Iterator[int]:
    """A domain that no other run on this machine is likely to use; processes started by tests inherit it."""
    domain = next(filter(nobody_is_in, random.SystemRandom().sample(range(1, 100), 99)))
    profile = str(ROOT / "config" / "fastdds.xml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(domain))
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        patch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", profile)
        patch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", profile)
        yield domain


@pytest.fixture
def ros(ros_domain: int) -> Iterator[Ros]:
    """A running rclpy, in the tests' domain."""
    rclpy = pytest.importorskip("rclpy")
    from rclpy.signals import SignalHandlerOptions

    assert os.environ["ROS_DOMAIN_ID"] == str(ros_domain)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    harness = Ros()
    try:
        yield harness
    finally:
        try:
            harness.end()
        finally:
            rclpy.try_shutdown()
