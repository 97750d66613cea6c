"""The recorder's node and the robot that its tests share."""

from pathlib import Path

import pytest
from rclpy.parameter import Parameter

from dynamo_policies.contract import Contract
from dynamo_ros.nodes.recorder_node import RecorderNode
from recorder_fixtures import Robot
from ros_fixtures import Ros


@pytest.fixture
def recorder(ros: Ros, tmp_path: Path) -> RecorderNode:
    patterns = Parameter("extra_topics", value=["/robot_.*"])
    where, search = Parameter("out", value=str(tmp_path / "bags")), Parameter("search_s", value=0.0)
    return ros.add(RecorderNode([where, search, patterns]))


@pytest.fixture
def robot(ros: Ros, contract: Contract, recorder: RecorderNode) -> Robot:
    node = ros.node("robot")
    made = Robot(node, contract, recorder)
    ros.until(lambda: all(p.get_subscription_count() for p in (*made.images, made.joints)))
    return made
