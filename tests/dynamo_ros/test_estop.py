"""The e-stop's topic, over DDS."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from std_msgs.msg import Bool

from dynamo_ros.nodes.estop import EstopIn
from ros_fixtures import Ros

TOPIC = "/dynamo/estop"


class Button:
    """Repeats ten times a second what it is set to; None: nothing."""

    def __init__(self, ros: Ros, name: str) -> None:
        node = ros.node(name)
        self.says: bool | None = None
        self._publisher = node.create_publisher(Bool, TOPIC, 10)
        node.create_timer(0.1, self._say)

    def _say(self) -> None:
        if self.says is not None:
            self._publisher.publish(Bool(data=self.says))


def test_one_button_does_not_release_another(ros: Ros) -> None:
    node, heard = ros.node("robot"), list[bool]()
    estop = EstopIn(node, TOPIC, heard.append)
    pressed, other = Button(ros, "pressed"), Button(ros, "other")
    other.says = False
    ros.until(lambda: False in heard, what="the other button")
    pressed.says = True
    ros.until(lambda: heard[-1], what="the press")
    count = len(heard)
    ros.until(lambda: len(heard) > count + 100, what="more of the same")
    assert all(heard[count:])
    pressed.says = False
    ros.until(lambda: not heard[-1], what="the release")
    estop.close()


def test_a_release_that_is_said_once_counts_in_the_end(ros: Ros) -> None:
    node, heard = ros.node("robot"), list[bool]()
    estop = EstopIn(node, TOPIC, heard.append)
    button = node.create_publisher(Bool, TOPIC, 10)
    ros.until(lambda: button.get_subscription_count() == 2, what="those that may listen")
    for data in (True, False):
        button.publish(Bool(data=data))
    ros.until(lambda: True in heard and not heard[-1], what="the release")
    estop.close()
