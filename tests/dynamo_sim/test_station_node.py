import math
from typing import Any

import numpy as np
import pytest
from control_msgs.action import GripperCommand
from dynamo_interfaces.msg import Outcome
from dynamo_interfaces.srv import ResetStation
from geometry_msgs.msg import PoseArray
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dynamo_policies.contract import Contract
from dynamo_policies.decode import Decoder, FrameSettings
from dynamo_ros.drivers.joint_trajectory import joint_trajectory
from dynamo_ros.nodes.messages import to_ns
from dynamo_sim.nodes.station_node import StationNode
from ros_fixtures import Ros

ARM = "joint1"


class Listener:
    """Collects what comes on the station's topics."""

    def __init__(self, node: Node) -> None:
        self.messages: dict[str, list[Any]] = {}
        for topic, kind in {
            "/clock": Clock,
            "/xarm/joint_states": JointState,
            "/fixed/camera/color/image_raw": Image,
            "/wrist/camera/color/image_raw": Image,
            "/fixed/camera/color/camera_info": CameraInfo,
            "/station/outcome": Outcome,
            "/station/objects": PoseArray,
        }.items():
            node.create_subscription(kind, topic, self.messages.setdefault(topic, []).append, 100)

    def __getitem__(self, topic: str) -> list[Any]:
        return self.messages[topic]

    @property
    def now_ns(self) -> int:
        return to_ns(self["/clock"][-1].clock) if self["/clock"] else 0

    @property
    def arm(self) -> list[JointState]:
        return [m for m in self["/xarm/joint_states"] if ARM in m.name]

    @property
    def gripper(self) -> list[JointState]:
        return [m for m in self["/xarm/joint_states"] if ARM not in m.name]


@pytest.fixture
def heard(ros: Ros) -> Listener:
    return Listener(ros.node("listener"))


@pytest.fixture
def station(ros: Ros, heard: Listener) -> StationNode:
    return ros.add(StationNode([Parameter("rtf", value=0.0)]))


def simulate(ros: Ros, heard: Listener, seconds: float) -> None:
    end_ns = heard.now_ns + int(seconds * 1e9)
    ros.until(lambda: heard.now_ns >= end_ns, what=f"{seconds} simulated seconds")


def rate_hz(stamps_ns: list[int]) -> float:
    return (len(stamps_ns) - 1) / (stamps_ns[-1] - stamps_ns[0]) * 1e9


def test_the_station_speaks_as_the_contract_says(
    ros: Ros, station: StationNode, heard: Listener, contract: Contract
) -> None:
    simulate(ros, heard, 2.0)
    arm_rate = rate_hz([to_ns(m.header.stamp) for m in heard.arm])
    assert arm_rate == pytest.approx(100.0, rel=0.02)
    assert rate_hz([to_ns(m.clock) for m in heard["/clock"]]) == pytest.approx(100.0, rel=0.02)
    for topic in ("/fixed/camera/color/image_raw", "/wrist/camera/color/image_raw"):
        assert rate_hz([to_ns(m.header.stamp) for m in heard[topic]]) == pytest.approx(30.0, rel=0.03)
    assert rate_hz([to_ns(m.header.stamp) for m in heard.gripper]) == pytest.approx(2.0, rel=0.1)
    decoder = Decoder(contract, FrameSettings())
    for name, message in {
        "fixed": heard["/fixed/camera/color/image_raw"][-1],
        "wrist": heard["/wrist/camera/color/image_raw"][-1],
        "arm": heard.arm[-1],
        "gripper": heard.gripper[-1],
    }.items():
        assert decoder.decode(name, message, 0) is not None


def test_the_gripper_reports_like_its_driver_without_velocity_or_effort(
    ros: Ros, station: StationNode, heard: Listener
) -> None:
    ros.until(lambda: heard.gripper)
    message = heard.gripper[0]
    assert len(message.name) == 6
    assert all(math.isnan(value) for value in (*message.velocity, *message.effort))
    assert message.position[0] == pytest.approx(0.0, abs=0.02)


def test_camera_info_says_where_the_pixels_look(ros: Ros, station: StationNode, heard: Listener) -> None:
    ros.until(lambda: heard["/fixed/camera/color/camera_info"])
    info, image = heard["/fixed/camera/color/camera_info"][0], heard["/fixed/camera/color/image_raw"][0]
    assert (info.height, info.width, info.header) == (128, 128, image.header)
    assert info.k[0] == pytest.approx(64 / math.tan(math.radians(55.0 / 2)))


def test_nothing_moves_on_its_own(ros: Ros, station: StationNode, heard: Listener) -> None:
    simulate(ros, heard, 1.0)
    first, last = heard.arm[0].position, heard.arm[-1].position
    np.testing.assert_allclose(first, last, atol=2e-3)


def test_a_trajectory_moves_the_arm(
    ros: Ros, station: StationNode, heard: Listener, contract: Contract
) -> None:
    node = ros.node("commander")
    publisher = node.create_publisher(JointTrajectory, contract.arm.topic, 10)
    ros.until(lambda: publisher.get_subscription_count() and heard.arm)
    goal = np.array(heard.arm[-1].position) + 0.05
    publisher.publish(joint_trajectory(contract.arm, goal[None]))
    simulate(ros, heard, 1.0)
    np.testing.assert_allclose(heard.arm[-1].position, goal, atol=0.01)


def test_a_malformed_trajectory_is_not_followed(
    ros: Ros, station: StationNode, heard: Listener, contract: Contract
) -> None:
    publisher = ros.node("commander").create_publisher(JointTrajectory, contract.arm.topic, 10)
    ros.until(lambda: publisher.get_subscription_count() and heard.arm)
    before = heard.arm[-1].position
    publisher.publish(JointTrajectory(joint_names=["joint1"], points=[JointTrajectoryPoint(positions=[1.0])]))
    simulate(ros, heard, 0.5)
    np.testing.assert_allclose(heard.arm[-1].position, before, atol=2e-3)


def test_the_gripper_answers_when_it_stands_still(ros: Ros, station: StationNode, heard: Listener) -> None:
    client = ActionClient(ros.node("commander"), GripperCommand, "/xarm_gripper/gripper_action")
    ros.until(client.server_is_ready)
    goal = GripperCommand.Goal()
    goal.command.position = 0.85
    sent = client.send_goal_async(goal)
    ros.until(sent.done)
    begun_ns = heard.now_ns
    answered = sent.result().get_result_async()
    ros.until(answered.done)
    assert 1.0 < (heard.now_ns - begun_ns) / 1e9 < 3.0
    result = answered.result().result
    assert (result.reached_goal, result.stalled) == (True, False)
    assert heard.gripper[-1].position[0] == pytest.approx(0.85, abs=0.02)
    client.destroy()


def test_an_impossible_gripper_goal_is_aborted(ros: Ros, station: StationNode) -> None:
    client = ActionClient(ros.node("commander"), GripperCommand, "/xarm_gripper/gripper_action")
    ros.until(client.server_is_ready)
    goal = GripperCommand.Goal()
    goal.command.position = 2.0
    sent = client.send_goal_async(goal)
    ros.until(sent.done)
    answered = sent.result().get_result_async()
    ros.until(answered.done)
    assert not answered.result().result.reached_goal
    client.destroy()


def test_a_reset_starts_the_task_anew_and_time_goes_on(
    ros: Ros, station: StationNode, heard: Listener
) -> None:
    simulate(ros, heard, 0.5)
    before_ns = heard.now_ns
    node = ros.node("person")
    request = ResetStation.Request(task="fetch_yogurt", seed=3)
    assert ros.call(node, ResetStation, "/station/reset", request).success
    ros.until(lambda: heard["/station/outcome"] and heard["/station/outcome"][-1].task == "fetch_yogurt")
    outcome = heard["/station/outcome"][-1]
    assert outcome.elapsed < 0.5
    assert to_ns(outcome.header.stamp) >= before_ns


def test_an_unknown_task_is_refused(ros: Ros, station: StationNode) -> None:
    request = ResetStation.Request(task="put_yogurts", seed=3)
    response = ros.call(ros.node("person"), ResetStation, "/station/reset", request)
    assert not response.success
    assert "did you mean 'put_yogurt'" in response.message
