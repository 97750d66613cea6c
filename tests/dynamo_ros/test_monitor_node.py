"""The monitor over real DDS: sensors that slow down, freeze or die are told within a second."""

import math
import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rich.console import Console
from sensor_msgs.msg import Image, JointState

from dynamo_policies.contract import Contract
from dynamo_ros.core.health_table import health_table
from dynamo_ros.core.live_health import StreamHealth
from dynamo_ros.nodes.monitor_node import MonitorNode
from ros_fixtures import Ros

WITHIN_S = 1.0
OK, ERROR = DiagnosticStatus.OK, DiagnosticStatus.ERROR


class Camera:
    """Publishes images at 30 Hz, each another one unless frozen."""

    def __init__(self, node: Node, topic: str, qos: QoSProfile | int) -> None:
        self._node, self._count, self.frozen = node, 0, False
        self._publisher = node.create_publisher(Image, topic, qos)
        self._timer = node.create_timer(1 / 30, self._shoot)

    def at(self, rate_hz: float) -> None:
        """Go on at another rate; 0: die."""
        self._timer.cancel()
        if rate_hz:
            self._timer = self._node.create_timer(1 / rate_hz, self._shoot)

    def _shoot(self) -> None:
        self._count += not self.frozen
        image = Image(height=8, width=8, encoding="rgb8", step=24, data=bytes([self._count % 256]) * 192)
        image.header.stamp = Clock().now().to_msg()
        self._publisher.publish(image)


class Robot:
    """Two cameras and a moving arm."""

    def __init__(self, node: Node, contract: Contract, qos: QoSProfile | int = 10) -> None:
        self.cameras = {name: Camera(node, one.topic, qos) for name, one in contract.cameras.items()}
        self._joints = list(contract.arm.joints)
        self._publisher = node.create_publisher(JointState, "/xarm/joint_states", 50)
        node.create_timer(0.01, self._move)

    def _move(self) -> None:
        message = JointState(name=self._joints, position=[math.sin(time.monotonic())] * len(self._joints))
        message.header.stamp = Clock().now().to_msg()
        self._publisher.publish(message)


class Screen:
    """What /diagnostics said last."""

    def __init__(self, node: Node) -> None:
        self.states: dict[str, DiagnosticStatus] = {}
        self.times: list[float] = []
        node.create_subscription(DiagnosticArray, "/diagnostics", self._saw, 10)

    def level(self, stream: str) -> bytes | None:
        return self.states[stream].level if stream in self.states else None

    def _saw(self, message: DiagnosticArray) -> None:
        self.times.append(time.monotonic())
        for status in message.status:
            self.states[status.name.removeprefix("dynamo stream ")] = status


@pytest.fixture
def screen(ros: Ros) -> Screen:
    ros.add(MonitorNode())
    return Screen(ros.node("screen"))


@pytest.fixture
def robot(ros: Ros, contract: Contract, screen: Screen) -> Robot:
    made = Robot(ros.node("robot"), contract)
    until_all_is_well(ros, screen)
    return made


def until_all_is_well(ros: Ros, screen: Screen) -> None:
    sensors = ("fixed", "wrist", "arm")
    ros.until(
        lambda: (
            all("Hz" in screen.states[name].message for name in sensors if name in screen.states)
            and all(screen.level(name) == OK for name in sensors)
        ),
        what="sensors to be fine",
    )


def alarm(ros: Ros, screen: Screen, stream: str, text: str) -> float:
    """Return after how many seconds the alarm was there."""
    began = time.monotonic()
    ros.until(
        lambda: screen.level(stream) not in (OK, None) and text in screen.states[stream].message,
        what=f"{stream}: {text}",
    )
    return time.monotonic() - began


def test_a_dead_camera_is_told_within_a_second_and_its_return_too(
    ros: Ros, robot: Robot, screen: Screen
) -> None:
    robot.cameras["wrist"].at(0)
    assert alarm(ros, screen, "wrist", "silent for") < WITHIN_S
    assert screen.level("wrist") == ERROR
    assert screen.level("fixed") == screen.level("arm") == OK
    robot.cameras["wrist"].at(30)
    until_all_is_well(ros, screen)


def test_a_slow_camera_is_told_within_a_second_and_its_recovery_too(
    ros: Ros, robot: Robot, screen: Screen
) -> None:
    robot.cameras["fixed"].at(15)
    assert alarm(ros, screen, "fixed", "Hz instead of 30") < WITHIN_S
    assert screen.level("wrist") == OK
    robot.cameras["fixed"].at(30)
    until_all_is_well(ros, screen)


def test_a_frozen_camera_is_told_within_a_second_and_its_recovery_too(
    ros: Ros, robot: Robot, screen: Screen
) -> None:
    robot.cameras["wrist"].frozen = True
    assert alarm(ros, screen, "wrist", "frozen for") < WITHIN_S
    assert screen.level("fixed") == OK
    robot.cameras["wrist"].frozen = False
    until_all_is_well(ros, screen)


def test_diagnostics_come_twice_a_second_with_figures(ros: Ros, robot: Robot, screen: Screen) -> None:
    ros.until(lambda: any(value.key == "jitter ms" for value in screen.states["wrist"].values))
    screen.times.clear()
    ros.spin(2.0)
    assert 3 <= len(screen.times) <= 6
    figures = {value.key: float(value.value) for value in screen.states["wrist"].values}
    assert figures["rate now Hz"] == pytest.approx(30.0, rel=0.1)
    assert {"gap ms", "missing", "age now ms", "repeated stamps", "same images"} <= figures.keys()


def test_best_effort_cameras_are_watched_all_the_same(ros: Ros, contract: Contract, screen: Screen) -> None:
    Robot(ros.node("robot"), contract, QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT))
    until_all_is_well(ros, screen)


def test_the_table_has_a_row_for_each_stream() -> None:
    states = [
        StreamHealth("fixed", "green", "30.0 Hz", {"rate now Hz": 30.0, "missing": 0}),
        StreamHealth("wrist", "red", "silent for 2.0 s", {"rate now Hz": float("nan")}),
    ]
    console = Console(width=120)
    with console.capture() as shown:
        console.print(health_table(states))
    fixed, wrist = (line for line in shown.get().splitlines() if "fixed" in line or "wrist" in line)
    assert "30.0 Hz" in fixed
    assert "silent for 2.0 s" in wrist
    assert "nan" not in wrist


def test_the_view_gives_the_terminal_back(ros: Ros) -> None:
    monitor = MonitorNode([Parameter("view", value=True)])
    ros.executor.add_node(monitor)
    ros.spin(0.3)
    view = monitor._view
    assert view.is_started
    ros.executor.remove_node(monitor)
    monitor.destroy_node()
    assert not view.is_started
