"""A recorder's node over real DDS, and a robot whose streams it records."""

from pathlib import Path
from typing import Any

from dynamo_interfaces.srv import StartEpisode, StopEpisode
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image, JointState

from dynamo_policies.contract import Contract
from dynamo_ros.nodes.recorder_node import RecorderNode
from ros_fixtures import Ros

ARM_TOPIC = "/xarm/joint_states"


class Robot:
    """Publishes the streams of the contract to a recorder; arm messages are numbered in their stamps."""

    def __init__(
        self, node: Node, contract: Contract, recorder: RecorderNode, qos: QoSProfile | int = 50
    ) -> None:
        self._contract, self._recorder = contract, recorder
        images = {stream.topic for stream in contract.cameras.values()}
        self.images = [node.create_publisher(Image, topic, qos) for topic in images]
        self.joints = node.create_publisher(JointState, ARM_TOPIC, 50)
        self.pose = node.create_publisher(PoseStamped, "/dynamo/target_pose", 50)
        self.gripper = node.create_publisher(JointState, "/dynamo/target_gripper", 50)
        self.count = 0

    def arm(self) -> None:
        self.count += 1
        message = JointState(name=list(self._contract.arm.joints), position=[0.1] * 7)
        message.header.stamp.sec = self.count
        self.joints.publish(message)

    def hand(self, position: float) -> None:
        self.joints.publish(JointState(name=["drive_joint"], position=[position]))

    def look(self) -> None:
        for publisher in self.images:
            publisher.publish(Image(height=128, width=128, encoding="rgb8", step=384, data=bytes(49152)))

    def everything(self) -> None:
        self.arm()
        self.hand(0.3)
        self.look()

    def is_heard(self) -> bool:
        """Whether the recorder has heard of every stream."""
        return not self._recorder._recorder._listening.silent

    @property
    def recorded(self) -> int:
        """How many messages of this episode the recorder has taken."""
        return self._recorder._recorder.status(0).messages


def start(ros: Ros, robot: Robot, task: str = "put_yogurt") -> Any:
    """Let every stream speak, then start."""
    robot.everything()
    ros.until(robot.is_heard, what="every stream")
    return ros.call(ros.node("operator"), StartEpisode, "/recorder/start", StartEpisode.Request(task=task))


def stop(ros: Ros, outcome: str = "success") -> Any:
    request = StopEpisode.Request(outcome=outcome, note="a note")
    return ros.call(ros.node("operator2"), StopEpisode, "/recorder/stop", request)


def read(path: str, topic: str) -> list[Any]:
    with AnyReader([Path(path)]) as reader:
        connections = [c for c in reader.connections if c.topic == topic]
        return [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages(connections)]
