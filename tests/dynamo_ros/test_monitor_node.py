"""The monitor over real DDS: sensors that slow down, freeze or die are told within a second.

Seconds are simulated, and do not pass while the computer is held up.
"""

import math
import time
from collections.abc import Callable

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rich.console import Console
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState

from dynamo_policies.contract import Contract
from dynamo_ros.core.health_table import health_table
from dynamo_ros.core.live_health import StreamHealth
from dynamo_ros.nodes.messages import now_ns, to_ns, to_time
from dynamo_ros.nodes.monitor_node import MonitorNode
from ros_fixtures import Ros

WITHIN_S = 1.0
STEP_NS, SECOND_NS = 10_000_000, 10**9
OK, ERROR = DiagnosticStatus.OK, DiagnosticStatus.ERROR


class Camera:
    """Takes images at 30 Hz, each another one unless frozen."""

    def __init__(self, node: Node, topic: str, qos: QoSProfile | int) -> None:
        self._publisher = node.create_publisher(Image, topic, qos)
        self._count, self._due_ns, self._period_ns, self.frozen = 0, SECOND_NS, SECOND_NS // 30, False

    def at(self, rate_hz: float) -> None:
        """Go on at another rate; 0: die."""
        self._period_ns = round(SECOND_NS / rate_hz) if rate_hz else 0

    def shoot(self, now_ns: int) -> None:
        """Publish the image that is due by now, if any."""
        if not self._period_ns or now_ns < self._due_ns:
            return
        # After a death the next image is due now.
        stamp_ns = self._due_ns if now_ns - self._due_ns < self._period_ns else now_ns
        self._due_ns = stamp_ns + self._period_ns
        self._count += not self.frozen
        image = Image(height=8, width=8, encoding="rgb8", step=24, data=bytes([self._count % 256]) * 192)
        image.header.stamp = to_time(stamp_ns)
        self._publisher.publish(image)


class Robot:
    """Two cameras and a moving arm, and the time by which they go, no faster than the monitor's looks."""

    def __init__(
        self, ros: Ros, monitor: MonitorNode, contract: Contract, qos: QoSProfile | int = 10
    ) -> None:
        self._ros, self._monitor, node = ros, monitor, ros.node("robot")
        self.cameras = {name: Camera(node, one.topic, qos) for name, one in contract.cameras.items()}
        self._joints = list(contract.arm.joints)
        self._publisher = node.create_publisher(JointState, "/xarm/joint_states", 50)
        self._clock = node.create_publisher(Clock, "/clock", 10)
        self.now_ns = SECOND_NS
        ros.until(self._clock.get_subscription_count, what="a monitor that hears of the time")

    def step(self) -> None:
        """Let a hundredth of a second pass, and no less of real time."""
        self.now_ns += STEP_NS
        begun = time.monotonic()
        self._clock.publish(Clock(clock=to_time(self.now_ns)))
        for camera in self.cameras.values():
            camera.shoot(self.now_ns)
        self._move()
        self._ros.until(lambda: time.monotonic() - begun >= STEP_NS / SECOND_NS and self._is_known())

    def until(self, condition: Callable[[], object], what: str, seconds: float = 15.0) -> None:
        """Let time pass until `condition` holds."""
        end_ns = self.now_ns + round(seconds * SECOND_NS)
        while not condition():
            assert self.now_ns < end_ns, f"not within {seconds:g} s: {what}"
            self.step()

    def _is_known(self) -> bool:
        return now_ns(self._monitor.get_clock()) >= self.now_ns

    def _move(self) -> None:
        angle = math.sin(self.now_ns / SECOND_NS)
        message = JointState(name=self._joints, position=[angle] * len(self._joints))
        message.header.stamp = to_time(self.now_ns)
        self._publisher.publish(message)


class Screen:
    """What /diagnostics said last."""

    def __init__(self, node: Node) -> None:
        self.states: dict[str, DiagnosticStatus] = {}
        self.stamps_ns: list[int] = []
        node.create_subscription(DiagnosticArray, "/diagnostics", self._saw, 10)

    def level(self, stream: str) -> bytes | None:
        return self.states[stream].level if stream in self.states else None

    def _saw(self, message: DiagnosticArray) -> None:
        self.stamps_ns.append(to_ns(message.header.stamp))
        for status in message.status:
            self.states[status.name.removeprefix("dynamo stream ")] = status


@pytest.fixture
def monitor(ros: Ros) -> MonitorNode:
    return ros.add(MonitorNode([Parameter("use_sim_time", value=True)]))


@pytest.fixture
def screen(ros: Ros, monitor: MonitorNode) -> Screen:
    return Screen(ros.node("screen"))


@pytest.fixture
def robot(ros: Ros, contract: Contract, monitor: MonitorNode, screen: Screen) -> Robot:
    made = Robot(ros, monitor, contract)
    until_all_is_well(made, screen)
    return made


def until_all_is_well(robot: Robot, screen: Screen) -> None:
    sensors = ("fixed", "wrist", "arm")
    robot.until(
        lambda: all(screen.level(name) == OK and "Hz" in screen.states[name].message for name in sensors),
        "sensors to be fine",
    )


def alarm(robot: Robot, screen: Screen, stream: str, text: str) -> float:
    """Return after how many seconds the alarm was told, by its stamp."""
    began_ns = robot.now_ns
    robot.until(
        lambda: screen.level(stream) not in (OK, None) and text in screen.states[stream].message,
        f"{stream}: {text}",
    )
    return (screen.stamps_ns[-1] - began_ns) / SECOND_NS


def test_a_dead_camera_is_told_within_a_second_and_its_return_too(robot: Robot, screen: Screen) -> None:
    robot.cameras["wrist"].at(0)
    assert alarm(robot, screen, "wrist", "silent for") < WITHIN_S
    assert screen.level("wrist") == ERROR
    assert screen.level("fixed") == screen.level("arm") == OK
    robot.cameras["wrist"].at(30)
    until_all_is_well(robot, screen)


def test_a_slow_camera_is_told_within_a_second_and_its_recovery_too(robot: Robot, screen: Screen) -> None:
    robot.cameras["fixed"].at(15)
    assert alarm(robot, screen, "fixed", "Hz instead of 30") < WITHIN_S
    assert screen.level("wrist") == OK
    robot.cameras["fixed"].at(30)
    until_all_is_well(robot, screen)


def test_a_frozen_camera_is_told_within_a_second_and_its_recovery_too(robot: Robot, screen: Screen) -> None:
    robot.cameras["wrist"].frozen = True
    assert alarm(robot, screen, "wrist", "frozen for") < WITHIN_S
    assert screen.level("fixed") == OK
    robot.cameras["wrist"].frozen = False
    until_all_is_well(robot, screen)


def test_diagnostics_come_twice_a_second_with_figures(robot: Robot, screen: Screen) -> None:
    robot.until(
        lambda: any(value.key == "jitter ms" for value in screen.states["wrist"].values), "more figures"
    )
    screen.stamps_ns.clear()
    begun, end_ns = time.monotonic(), robot.now_ns + 2 * SECOND_NS
    robot.until(lambda: robot.now_ns >= end_ns, "two seconds")
    # The monitor looks by real time, of which more has passed where the computer is busy.
    assert 3 <= len(screen.stamps_ns) <= 2.0 * (time.monotonic() - begun) + 2
    figures = {value.key: float(value.value) for value in screen.states["wrist"].values}
    assert figures["rate now Hz"] == pytest.approx(30.0, rel=0.1)
    assert {"gap ms", "missing", "age now ms", "repeated stamps", "same images"} <= figures.keys()


def test_best_effort_cameras_are_watched_all_the_same(
    ros: Ros, contract: Contract, monitor: MonitorNode, screen: Screen
) -> None:
    lossy = QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    until_all_is_well(Robot(ros, monitor, contract, lossy), screen)


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
