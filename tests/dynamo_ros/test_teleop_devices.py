"""Teleoperation devices over DDS: device, teleop_node and the simulated station."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from control_msgs.msg import JointJog
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState, Joy
from trajectory_msgs.msg import JointTrajectory

from dynamo_policies.contract import Contract
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.streams import ImageStream
from dynamo_ros.core.allegro import HOME_RAD, hand_driver
from dynamo_ros.core.commander import Commander
from dynamo_ros.core.joy_mapping import LAYOUTS
from dynamo_ros.drivers.headset import HeadsetError
from dynamo_ros.nodes.joy_teleop_node import JoyTeleopNode
from dynamo_ros.nodes.keyboard_teleop_node import KeyboardTeleopNode
from dynamo_ros.nodes.messages import to_joint_state, to_ns
from dynamo_ros.nodes.teleop_node import TeleopNode
from dynamo_ros.nodes.vr_teleop_node import VrTeleopNode
from dynamo_sim.nodes.station_node import StationNode
from hands import hand
from headset import ANY_PORT, Headset, let_pass, pinch
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
        self.now_s = 0.0  # the newest stamp, simulated
        node.create_subscription(JointState, "/xarm/joint_states", self._see, 100)
        node.create_subscription(PoseStamped, "/dynamo/target_pose", self.commanded.append, 100)
        node.create_subscription(JointTrajectory, contract.arm.topic, self.trajectories.append, 100)

    def _see(self, message: JointState) -> None:
        if self._joints[0] in message.name:
            self.now_s = to_ns(message.header.stamp) / 1e9
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
    node = ros.add(KeyboardTeleopNode([*parameters, Parameter("terminal", value=os.ttyname(terminal))]))
    ros.until(lambda: node._targets.measured is not None, what="the arm, as the node measures it")
    yield typed
    os.close(terminal)
    os.close(typed)


STALE_S = 2.0  # simulated


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


@pytest.mark.parametrize("layout", ["gamepad", "spacemouse"])
def test_a_deflected_device_moves_the_arm_only_while_its_deadman_is_held(
    ros: Ros, arm: Arm, parameters: list[Parameter], layout: str
) -> None:
    node = ros.add(JoyTeleopNode([*parameters, Parameter("layout", value=layout)]))
    ros.until(lambda: node._targets.measured is not None, what="the arm, as the node measures it")
    its, device = LAYOUTS[layout], ros.node("device")
    up = its.axes[2]
    assert up is not None
    joy = Joy(axes=[1.0 if number == up.axis else 0.0 for number in range(6)], buttons=[0] * 12)
    publisher = device.create_publisher(Joy, "/joy", 10)
    device.create_timer(0.02, lambda: publisher.publish(joy))
    start = arm.now
    ros.spin(0.5)
    assert arm.trajectories == []
    joy.buttons[its.deadman] = 1
    ros.until(lambda: arm.now[2] > start[2] + 0.03, what="the arm 3 cm higher")
    joy.buttons[its.deadman] = 0
    ros.until(arm.waits, what="the arm at rest, with the device still deflected")
    released = arm.now
    assert released[:2] == pytest.approx(start[:2], abs=0.01)
    ros.spin(0.3)
    assert arm.now == pytest.approx(released, abs=2e-3)


def up_by_twist() -> TwistStamped:
    twist = TwistStamped()
    twist.header.frame_id, twist.twist.linear.z = "link_base", 0.1
    return twist


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("/teleop/twist", up_by_twist()),
        ("/teleop/joint_jog", JointJog(joint_names=["joint1"], velocities=[0.3])),
    ],
    ids=["twist", "jog"],
)
def test_velocities_move_the_arm_as_long_as_they_come(
    ros: Ros, arm: Arm, topic: str, message: TwistStamped | JointJog
) -> None:
    device = ros.node("device")
    wishes = device.create_publisher(JointState, "/teleop/target_gripper", 10)
    publisher = device.create_publisher(type(message), topic, 10)

    def tell() -> None:
        wishes.publish(to_joint_state(["gripper"], [0.0], stamp_ns=0))
        publisher.publish(message)

    start, timer = arm.now, device.create_timer(0.02, tell)
    ros.until(lambda: np.linalg.norm(arm.now - start) > 0.03, what="the arm 3 cm farther")
    timer.cancel()
    ros.until(arm.waits, what="the arm at rest after the last of them")


Start = Callable[..., tuple[VrTeleopNode, Headset]]


@pytest.fixture
def headset(ros: Ros, parameters: list[Parameter]) -> Iterator[Start]:
    """A function that starts the node, with more parameters, and a headset that sends to it."""
    started: list[Headset] = []

    def start(**more: object) -> tuple[VrTeleopNode, Headset]:
        extra = [Parameter(name, value=value) for name, value in more.items()]
        node = ros.add(VrTeleopNode([*parameters, *ANY_PORT, *extra]))
        started.append(Headset(ros, node.ports))
        return node, started[-1]

    yield start
    for one in started:
        one.close()


def test_an_engaged_hand_moves_the_arm_and_pausing_stops_it(ros: Ros, arm: Arm, headset: Start) -> None:
    _, quest = headset(stale_s=STALE_S)
    wrist = np.array([0.1, 1.2, 0.3])
    quest.hands[0] = hand(tuple(wrist))
    ros.spin(0.3)
    assert arm.trajectories == []
    start = arm.now
    pinch(ros, arm, quest, wrist, "ring")
    wrist += [0.0, 0.04, 0.0]
    quest.hands[0] = hand(tuple(wrist))
    ros.until(lambda: arm.now[2] > start[2] + 0.035, what="the arm 4 cm higher")
    assert arm.now[:2] == pytest.approx(start[:2], abs=0.01)
    pinch(ros, arm, quest, wrist, "middle")
    ros.until(arm.waits, what="the arm at rest after the pause")
    paused = arm.now
    quest.hands[0] = hand(tuple(wrist + np.array([0.0, 0.04, 0.0])))
    ros.spin(0.5)
    assert arm.now == pytest.approx(paused, abs=2e-3)


def test_a_headset_that_falls_silent_holds_the_arm(ros: Ros, arm: Arm, headset: Start) -> None:
    _, quest = headset(stale_s=STALE_S)
    wrist, start = np.array([0.1, 1.2, 0.3]), arm.now
    pinch(ros, arm, quest, wrist, "ring")
    quest.hands[0] = hand(tuple(wrist + np.array([0.0, 0.04, 0.0])))
    ros.until(lambda: arm.now[2] > start[2] + 0.01, what="the arm higher")
    quest.hands[0] = None
    let_pass(ros, arm, STALE_S + 1.0)
    ros.until(arm.waits, what="the arm at rest")
    held = arm.now
    # Back again, elsewhere: nothing moves without a pinch.
    quest.hands[0] = hand(tuple(wrist + np.array([0.0, 0.1, 0.0])))
    ros.spin(0.4)
    assert arm.now == pytest.approx(held, abs=2e-3)


def test_messages_that_are_no_hands_move_nothing_and_end_nothing(ros: Ros, arm: Arm, headset: Start) -> None:
    node, quest = headset(stale_s=STALE_S)
    for noise in (b"absolute:1,2,3", b"\x80\x04pickled", b""):
        for stream in (0, 1):
            before = node._refused
            quest.say(stream, noise)
            ros.until(lambda before=before: node._refused > before, what=f"{noise!r} to be refused")
    for stream in (0, 1):
        quest.say(stream, b"x" * 100_000)
    ros.spin(0.1)
    start = arm.now
    quest.hands[0] = hand((0.1, 1.2, 0.3))
    # A message beyond all bounds cuts the connection; the headset makes a new one.
    ros.until(lambda: node._points is not None, what="a hand again")
    pinch(ros, arm, quest, (0.1, 1.2, 0.3), "ring")
    quest.hands[0] = hand((0.1, 1.24, 0.3))
    ros.until(lambda: arm.now[2] > start[2] + 0.02, what="the arm higher")


def test_fingers_move_an_allegro_hand_from_where_it_is(ros: Ros, arm: Arm, headset: Start) -> None:
    _, quest = headset(stale_s=STALE_S, robot_hand="wonik_v4")
    driver = hand_driver("wonik_v4")
    node = ros.node("allegro")
    targets: list[JointState] = []
    node.create_subscription(JointState, "/teleop/target_hand", targets.append, 10)
    states = node.create_publisher(JointState, "/joint_states", 10)
    measured = driver.to_driver(HOME_RAD)
    node.create_timer(0.02, lambda: states.publish(to_joint_state(driver.joints, measured, stamp_ns=1)))
    quest.hands[0] = hand()
    ros.spin(0.3)
    assert targets == []
    pinch(ros, arm, quest, (-0.2, 1.2, 0.3), "ring", number=1)  # the left hand's
    ros.until(lambda: len(targets) > 30, what="targets of the hand")
    assert tuple(targets[0].name) == driver.joints
    assert np.abs(np.array(targets[0].position) - measured).max() <= 7.0 * 0.02 + 1e-9
    # The operator's hand is flat: so are the robot's fingers.
    index = [targets[-1].position[list(driver.joints).index(f"ah_joint1{i}")] for i in (2, 3)]
    assert index == pytest.approx([0.0, 0.0], abs=1e-3)


def test_a_port_that_is_taken_is_named(ros: Ros, parameters: list[Parameter], headset: Start) -> None:
    node, _ = headset()
    with pytest.raises(HeadsetError, match=f"can't listen at tcp://127.0.0.1:{node.ports[0]}"):
        VrTeleopNode([*parameters, *ANY_PORT[1:], Parameter("port", value=node.ports[0])])


def test_an_unknown_side_is_named(ros: Ros, parameters: list[Parameter]) -> None:
    with pytest.raises(UnknownNameError, match="side 'rigth' is unknown; did you mean 'right'"):
        VrTeleopNode([*parameters, Parameter("side", value="rigth")])
