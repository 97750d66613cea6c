"""What the robot sees beside the demonstration that is most like it, for a person to look at."""

from __future__ import annotations

import numpy as np
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from sensor_msgs.msg import Image

from dynamo_policies.novelty import PICTURE_HEIGHT, side_by_side
from dynamo_ros.core.deployable import KnowsDemonstrations
from dynamo_ros.core.runner import Runner
from dynamo_ros.nodes.messages import to_time

PERIOD_S = 0.5


class LiveView:
    """Publishes `~/nearest_demonstration`, live on the left, while somebody listens."""

    def __init__(self, node: Node, runner: Runner, known: KnowsDemonstrations) -> None:
        self._node, self._runner, self._known = node, runner, known
        self._publisher = node.create_publisher(Image, "~/nearest_demonstration", 1)
        # Off the command's path: seldom, and only for who listens.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(PERIOD_S, self._show, clock=steady)

    def close(self) -> None:
        """Publish no more."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def _show(self) -> None:
        plan, observation = self._runner.seen, self._runner.observation
        if plan is None or plan.nearest is None or observation is None:
            return
        if not self._publisher.get_subscription_count():
            return
        live = side_by_side(list(observation.images.values()), PICTURE_HEIGHT)
        row = np.concatenate([live, self._known.picture(plan.nearest.place)], axis=1)
        height, width = row.shape[:2]
        message = Image(height=height, width=width, encoding="rgb8", step=3 * width, data=row.tobytes())
        message.header.stamp = to_time(plan.tick_ns)
        self._publisher.publish(message)
