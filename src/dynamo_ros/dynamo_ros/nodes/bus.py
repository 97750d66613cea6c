"""Topics, services and actions of drivers, on a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.action.client import ActionClient
from rclpy.client import Client
from rclpy.node import Node
from rclpy.serialization import serialize_message

from dynamo_ros.nodes.qos import COMMANDS


class RosService:
    """A service client that never waits; a call whose answer is not awaited any more is forgotten."""

    def __init__(self, client: Client) -> None:
        self._client, self.name = client, str(client.srv_name)
        self._flying: list[Any] = []

    def ready(self) -> bool:
        """Return whether the service is there now."""
        return bool(self._client.service_is_ready())

    def call(self, request: Any, answered: Callable[[Any], None]) -> None:
        """Call it; `answered` gets the response unless `forget` comes first."""
        future = self._client.call_async(request)
        self._flying.append(future)

        def done(done_future: Any) -> None:
            if done_future in self._flying and not done_future.cancelled():
                self._flying.remove(done_future)
                answered(done_future.result())

        future.add_done_callback(done)

    def forget(self) -> None:
        """Give up on answers that have not come."""
        for future in self._flying:
            self._client.remove_pending_request(future)
        self._flying.clear()


class RosGoals:
    """An action client whose results nobody waits for."""

    def __init__(self, client: ActionClient) -> None:
        self._client = client

    def ready(self) -> bool:
        """Return whether the action server is there now."""
        return bool(self._client.server_is_ready())

    def send(self, goal: Any) -> None:
        """Send a goal."""
        self._client.send_goal_async(goal)


class RosBus:
    """What drivers need of ROS, made on `node` and taken off it by `destroy`."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._ends: list[Callable[[], object]] = []

    def publisher(self, kind: type, topic: str) -> Callable[[Any], None]:
        """Return what publishes messages of the type `kind` on `topic`, also serialised ones (bytes)."""
        publisher = self._node.create_publisher(kind, topic, COMMANDS)
        self._ends.append(lambda: self._node.destroy_publisher(publisher))
        publish: Callable[[Any], None] = publisher.publish
        return publish

    def serialised(self, message: Any) -> bytes:
        """Return `message` as it goes over the wire."""
        return bytes(serialize_message(message))

    def subscribe(self, kind: type, topic: str, heard: Callable[[Any], None]) -> None:
        """Call `heard` with each message of `topic`."""
        subscription = self._node.create_subscription(kind, topic, heard, COMMANDS)
        self._ends.append(lambda: self._node.destroy_subscription(subscription))

    def service(self, kind: type, name: str) -> RosService:
        """Return the service `name`."""
        client = self._node.create_client(kind, name)
        self._ends.append(lambda: self._node.destroy_client(client))
        return RosService(client)

    def goals(self, kind: type, name: str) -> RosGoals:
        """Return the action server `name`."""
        client = ActionClient(self._node, kind, name)
        self._ends.append(client.destroy)
        return RosGoals(client)

    def destroy(self) -> None:
        """Take everything off the node."""
        for end in self._ends:
            end()
        self._ends.clear()
