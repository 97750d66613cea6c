"""The parameter `realtime` of a node that must not be late."""

from __future__ import annotations

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from dynamo_ros.core.priority import set_realtime, threads


def declare_realtime(node: Node) -> None:
    """Declare `realtime`, which can't be changed, and give that priority to all threads that there are.

    0: they are ordinary. A refusal of the system is logged.

    Raises:
        ConfigError: there is no such priority.
    """
    priority = int(node.declare_parameter("realtime", 0, ParameterDescriptor(read_only=True)).value)
    if priority and (refusal := set_realtime(priority, threads())):
        node.get_logger().warning(refusal)
