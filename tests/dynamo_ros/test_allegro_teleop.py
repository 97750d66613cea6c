"""From a headset's fingers to a simulated Allegro hand, over DDS and within limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from dynamo_policies.contract import load_contract
from dynamo_policies.streams import ImageStream
from dynamo_ros.nodes.messages import to_joint_state, to_ns
from dynamo_ros.nodes.teleop_node import TeleopNode
from dynamo_ros.nodes.vr_teleop_node import VrTeleopNode
from dynamo_sim.allegro_manipulation.starts import INITIAL_HAND_RAD
from dynamo_sim.nodes.station_node import StationNode
from hands import fist, hand
from headset import ANY_PORT, Headset, let_pass, pinch
from ideal_robot import write_patient
from ros_fixtures import Ros

ALLEGRO = load_contract(Path(__file__).parents[2] / "config" / "robots" / "allegro_manipulation.yaml")
SINK = ALLEGRO.need_hand("these tests")
INDEX = slice(SINK.joints.index("ah_joint11"), SINK.joints.index("ah_joint13") + 1)
STALE_S = 2.0  # simulated
BUSY_S = 90.0  # for a computer that does much else


class Watcher:
    """What goes to and comes from the hand."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.commands: list[np.ndarray] = []
        self.told: list[JointState] = []
        self.poses: list[PoseStamped] = []
        self.measured: list[JointState] = []
        node.create_subscription(Float64MultiArray, SINK.topic, self._command, 100)
        node.create_subscription(JointState, "/dynamo/target_hand", self.told.append, 100)
        node.create_subscription(PoseStamped, "/dynamo/target_pose", self.poses.append, 100)
        node.create_subscription(JointState, "/joint_states", self.measured.append, 100)

    def _command(self, message: Float64MultiArray) -> None:
        self.commands.append(np.array(message.data))

    @property
    def now_s(self) -> float:
        """The newest stamp of the hand's joints, simulated s."""
        return to_ns(self.measured[-1].header.stamp) / 1e9

    @property
    def index(self) -> np.ndarray:
        """The bending joints (3,) of the index finger, measured, rad."""
        return np.array(self.measured[-1].position)[INDEX]

    def waits(self) -> bool:
        """Whether the commands do not change any more."""
        return len(self.commands) > 20 and bool(np.ptp(self.commands[-20:], axis=0).max() == 0.0)


@pytest.fixture
def parameters(tmp_path: Path) -> list[Parameter]:
    """The contract with a camera that costs little, on simulated time."""
    streams = {
        name: dataclasses.replace(one, rate_hz=1.0, max_age_ms=None) if isinstance(one, ImageStream) else one
        for name, one in ALLEGRO.streams.items()
    }
    hand_sink = dataclasses.replace(SINK, stale_stop_s=5.0)
    path = tmp_path / "contract.yaml"
    write_patient(dataclasses.replace(ALLEGRO, streams=streams, policy_rate_hz=1.0, hand=hand_sink), path)
    return [Parameter("contract", value=str(path)), Parameter("use_sim_time", value=True)]


@pytest.fixture
def watcher(ros: Ros, parameters: list[Parameter]) -> Watcher:
    ros.add(StationNode([*parameters[:1], Parameter("rtf", value=1.0)]))
    ros.add(TeleopNode(parameters))
    seen = Watcher(ros.node("watcher"))
    ros.until(lambda: seen.measured, BUSY_S, "the hand's joints")
    return seen


@pytest.fixture
def quest(ros: Ros, parameters: list[Parameter]) -> Iterator[Headset]:
    """A headset whose right hand moves the robot's, and whose left hand's pinches decide."""
    node = ros.add(VrTeleopNode([*parameters, *ANY_PORT, Parameter("stale_s", value=STALE_S)]))
    headset = Headset(ros, node.ports)
    yield headset
    headset.close()


def decide(ros: Ros, watcher: Watcher, quest: Headset) -> None:
    """Pinch with the left hand."""
    pinch(ros, watcher, quest, (-0.2, 1.2, 0.3), "ring", number=1)


def engage(ros: Ros, watcher: Watcher, quest: Headset) -> None:
    """Pinch, and wait until the robot's hand is commanded."""
    decide(ros, watcher, quest)
    ros.until(lambda: watcher.commands, BUSY_S, "an engaged hand")


def test_a_fist_bends_the_simulated_fingers_within_limits_and_pausing_holds_them(
    ros: Ros, watcher: Watcher, quest: Headset
) -> None:
    quest.hands[0] = hand()
    ros.spin(0.4)
    assert watcher.commands == []
    engage(ros, watcher, quest)
    quest.hands[0] = fist()
    ros.until(lambda: watcher.index.min() > 0.5, BUSY_S, "a bent index finger")
    commands = np.array(watcher.commands)
    np.testing.assert_allclose(commands[0], INITIAL_HAND_RAD, atol=0.25)
    assert (np.abs(np.diff(commands, axis=0)) <= np.array(SINK.step_rad) + 1e-9).all()
    assert (commands >= np.array(SINK.lower_rad) - 1e-9).all()
    assert (commands <= np.array(SINK.upper_rad) + 1e-9).all()
    assert tuple(watcher.told[-1].name) == SINK.joints
    decide(ros, watcher, quest)
    ros.until(watcher.waits, BUSY_S, "commands that stay as they are")
    held = watcher.commands[-1]
    quest.hands[0] = hand()
    ros.spin(0.6)
    np.testing.assert_array_equal(watcher.commands[-1], held)
    assert watcher.index.min() > 0.4


def test_a_headset_that_falls_silent_leaves_the_fingers_where_they_are(
    ros: Ros, watcher: Watcher, quest: Headset
) -> None:
    quest.hands[0] = fist()
    engage(ros, watcher, quest)
    ros.until(lambda: watcher.index.min() > 0.5, BUSY_S, "a bent index finger")
    quest.hands[0] = quest.hands[1] = None
    let_pass(ros, watcher, STALE_S + 1.0)
    held = watcher.commands[-1]
    quest.hands[0] = hand()
    ros.spin(0.6)
    np.testing.assert_array_equal(watcher.commands[-1], held)


def test_targets_of_the_hand_alone_leave_the_arm_where_it_is(ros: Ros, watcher: Watcher) -> None:
    publisher = watcher.node.create_publisher(JointState, "/teleop/target_hand", 10)
    goal = INITIAL_HAND_RAD + 0.3 * (np.arange(16) % 4 != 0)
    order = list(reversed(range(16)))
    names, values = [SINK.joints[i] for i in order], goal[order].tolist()
    watcher.node.create_timer(0.02, lambda: publisher.publish(to_joint_state(names, values, stamp_ns=0)))
    ros.until(
        lambda: watcher.commands and np.abs(watcher.commands[-1] - goal).max() < 1e-9, BUSY_S, "the posture"
    )
    first, last = watcher.poses[0].pose.position, watcher.poses[-1].pose.position
    assert (last.x, last.y, last.z) == pytest.approx((first.x, first.y, first.z), abs=1e-6)


def test_a_stop_holds_hand_and_arm_until_it_is_rearmed(ros: Ros, watcher: Watcher) -> None:
    publisher = watcher.node.create_publisher(JointState, "/teleop/target_hand", 10)
    goal = (INITIAL_HAND_RAD + 0.2).tolist()
    timer = watcher.node.create_timer(
        0.02, lambda: publisher.publish(to_joint_state(SINK.joints, goal, stamp_ns=0))
    )
    ros.until(lambda: len(watcher.commands) > 5, BUSY_S)
    assert ros.call(watcher.node, Trigger, "/teleop_node/stop", Trigger.Request()).success

    def silent() -> bool:
        count = len(watcher.commands)
        let_pass(ros, watcher, 0.5)
        return len(watcher.commands) == count

    ros.until(silent, BUSY_S, "the end of commands")
    count = len(watcher.commands)
    assert ros.call(watcher.node, Trigger, "/teleop_node/rearm", Trigger.Request()).success
    ros.until(lambda: len(watcher.commands) > count, BUSY_S)
    timer.cancel()


def test_targets_that_name_other_joints_move_nothing(ros: Ros, watcher: Watcher) -> None:
    publisher = watcher.node.create_publisher(JointState, "/teleop/target_hand", 10)
    wrong = [f"joint_{i}_0" for i in range(16)]
    watcher.node.create_timer(0.02, lambda: publisher.publish(to_joint_state(wrong, [0.5] * 16, stamp_ns=0)))
    ros.spin(0.6)
    assert watcher.commands == []
