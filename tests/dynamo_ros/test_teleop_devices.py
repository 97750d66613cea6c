"""Teleoperation devices over DDS: device, teleop_node and the simulated station."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from geometry_msgs.msg import PoseStamped
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from dynamo_policies.contract import Contract, ImageStream
from dynamo_ros.core.commander import Commander
from dynamo_ros.nodes.keyboard_teleop_node import KeyboardTeleopNode
from dynamo_ros.nodes.teleop_node import TeleopNode
from dynamo_sim.nodes.station_node import StationNode
from ideal_robot import write_patient
from ros_fixtures import Ros


@pytest.fixture
def parameters(contract: Contract, tmp_path: Path) -> list[Parameter]:
    """A contract whose cameras cost little, on simulated time."""
    streams = {
        name: dataclasses.replace(one, rate_hz=1.0, max_age_ms=None) if isinstance(one, ImageStream) else one
        for name, one in contract.streams.items()
    }
    path = tmp_path / "contract.yaml"
    write_patient(dataclasses.replace(contract, streams=streams, policy_rate_hz=1.0), path)
    return [Parameter("contract", value=str(path)), Parameter("use_sim_time", value=True)]


class Arm:
    """What a watcher sees of the arm."""

    def __init__(self, ros: Ros, contract: Contract) -> None:
        node = ros.node("watcher")
        self._joints, self._forward = contract.arm.joints, Commander(contract).forward
        self.positions: list[np.ndarray] = []
        self.commanded: list[PoseStamped] = []
        self.grips: list[float] = []
        self.trajectories: list[JointTrajectory] = []
        node.create_subscription(JointState, "/xarm/joint_states", self._see, 100)
        node.create_subscription(PoseStamped, "/dynamo/target_pose", self.commanded.append, 100)
        node.create_subscription(JointTrajectory, contract.arm.topic, self.trajectories.append, 100)

    def _see(self, message: JointState) -> None:
        if self._joints[0] in message.name:
            angles = dict(zip(message.name, message.position, strict=True))
            self.positions.append(self._forward([angles[name] for name in self._joints]).position)
        else:
            self.grips.append(message.position[0])

    @property
    def now(self) -> np.ndarray:
        """The newest position of the tool, m."""
        return self.positions[-1]

    def waits(self) -> bool:
        """Whether nothing more moves it: its last positions are the same."""
        return len(self.positions) > 20 and bool(np.ptp(self.positions[-20:], axis=0).max() < 5e-4)


@pytest.fixture
def arm(ros: Ros, contract: Contract, parameters: list[Parameter]) -> Arm:
    station = StationNode([*parameters[:1], Parameter("rtf", value=1.0)])
    ros.add(station)
    ros.add(TeleopNode(parameters))
    seen = Arm(ros, contract)
    ros.until(seen.waits, what="an arm at rest")
    return seen


@pytest.fixture
def keyboard(ros: Ros, parameters: list[Parameter]) -> Iterator[int]:
    """The file to which keys are typed."""
    typed, terminal = os.openpty()
    ros.add(KeyboardTeleopNode([*parameters, Parameter("terminal", value=os.ttyname(terminal))]))
    yield typed
    os.close(terminal)
    os.close(typed)


def test_a_held_key_moves_the_arm_and_releasing_it_stops(ros: Ros, arm: Arm, keyboard: int) -> None:
    start = arm.now
    ros.spin(0.3)
    assert arm.trajectories == []

    def up() -> bool:
        os.write(keyboard, b"r")
        return bool(arm.now[2] > start[2] + 0.03)

    ros.until(up, what="the arm 3 cm higher")
    ros.until(arm.waits, what="the arm at rest after the key was released")
    released = arm.now
    assert released[:2] == pytest.approx(start[:2], abs=0.01)
    ros.spin(0.3)
    assert arm.now == pytest.approx(released, abs=2e-3)


def test_space_closes_the_gripper(ros: Ros, arm: Arm, keyboard: int) -> None:
    os.write(keyboard, b" ")
    ros.until(lambda: arm.grips and arm.grips[-1] > 0.6, what="a closed gripper")
