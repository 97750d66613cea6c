"""Shadow mode: the whole of inference beside somebody who commands, without a way to the robot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from dynamo_policies.errors import UnknownNameError
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.shadow import Shadow
from dynamo_ros.nodes.inference_node import InferenceNode
from dynamo_ros.nodes.messages import now_ns, to_joint_state, to_pose_stamped
from dynamo_ros.nodes.teleop_node import TeleopNode
from hand_fixtures import FIRST, WANTED, all_fingers
from ideal_hand import RobotWithHand
from ideal_robot import Robot
from inference_fixtures import GOAL, activate, change, configured
from ros_fixtures import Ros

DOWN = np.array([0.93937271, 0.34289781, 0.0, 0.0])
PLACE = (0.4, -0.1, 0.3)


@pytest.fixture
def shadow(ros: Ros, robot: Robot, bundle: Path, patient: Path) -> InferenceNode:
    """A configured shadow."""
    return configured(ros, robot, bundle, patient, authority="shadow")


def commands(robot: Robot) -> set[str]:
    """Return everything that commands go out on."""
    contract = robot.contract
    targets = [stream.topic for stream in contract.streams.values() if stream.role == "action"]
    return {contract.arm.topic, *targets, "/dynamo/authority"}


def test_a_shadow_has_nothing_that_could_command(ros: Ros, robot: Robot, shadow: InferenceNode) -> None:
    wished: list[PoseStamped] = []
    robot.node.create_subscription(PoseStamped, "/inference_node/shadow/target_pose", wished.append, 10)
    activate(ros, robot)
    ros.until(
        lambda: wished and abs(wished[-1].pose.position.y - GOAL[1]) < 2e-3, what="the wish for the goal"
    )
    names = ("inference_node", "/")
    published = {topic for topic, _ in shadow.get_publisher_names_and_types_by_node(*names)}
    assert "/inference_node/shadow/target_pose" in published
    assert not published & commands(robot)
    called = {name for name, _ in shadow.get_client_names_and_types_by_node(*names)}
    assert not {name for name in called if robot.contract.gripper.action in name or "xarm" in name}
    assert not robot.trajectories
    assert not robot.grips
    assert not robot.poses


def test_a_shadow_is_stopped_by_an_arm_that_goes_elsewhere_and_begins_anew(
    ros: Ros, robot: Robot, shadow: InferenceNode
) -> None:
    activate(ros, robot)
    ros.until(lambda: len(shadow._again.beginnings) >= 1, what="a second beginning")
    ros.until(lambda: shadow._runner.running, what="the policy again")
    assert not robot.trajectories


def test_a_person_keeps_the_arm_beside_a_shadow_and_the_divergence_is_told(
    ros: Ros, robot: Robot, shadow: InferenceNode, patient: Path
) -> None:
    told: list[DiagnosticArray] = []
    robot.node.create_subscription(DiagnosticArray, "/inference_node/shadow/divergence", told.append, 10)
    teleop = ros.add(TeleopNode([Parameter("contract", value=str(patient))]))
    person = ros.node("person")
    targets = person.create_publisher(PoseStamped, "/teleop/target_pose", 10)
    grips = person.create_publisher(JointState, "/teleop/target_gripper", 10)

    def send() -> None:
        stamp_ns, frame = now_ns(person.get_clock()), robot.contract.base_frame
        grips.publish(to_joint_state(["gripper"], [0.0], stamp_ns=stamp_ns))
        targets.publish(to_pose_stamped(Pose(np.array(PLACE), DOWN), stamp_ns=stamp_ns, frame=frame))

    person.create_timer(0.02, send)
    activate(ros, robot)

    def apart() -> float:
        values = {pair.key: pair.value for pair in told[-1].status[0].values} if told else {}
        return float(values.get("position m last", "nan"))

    between = float(np.linalg.norm(np.subtract(GOAL, PLACE)))
    ros.until(lambda: abs(apart() - between) < 0.02, what="the distance of both")
    ros.until(lambda: teleop._teleoperation.engagement == "engaged", what="the person's lead")
    assert robot.trajectories


def test_a_shadow_waits_for_no_driver_and_minds_no_other_policy(
    ros: Ros, robot: Robot, bundle: Path, patient: Path
) -> None:
    robot.server.destroy()
    other = robot.node.create_publisher(String, "/dynamo/authority", 10)
    robot.node.create_timer(0.05, lambda: other.publish(String(data="policy another_node")))
    robot.node.create_publisher(PoseStamped, "/dynamo/target_pose", 10)
    configured(ros, robot, bundle, patient, authority="shadow")
    activate(ros, robot)
    assert change(ros, robot, "deactivate")
    assert not robot.trajectories


def test_a_shadow_of_a_hand_tells_its_fingers_and_how_far_they_are_from_those_commanded(
    ros: Ros, hand_robot: RobotWithHand, hand_bundle: Path, patient_hand: Path
) -> None:
    wished: list[JointState] = []
    told: list[DiagnosticArray] = []
    node, sink = hand_robot.node, hand_robot.contract.need_hand("this test")
    node.create_subscription(JointState, "/inference_node/shadow/target_hand", wished.append, 10)
    node.create_subscription(DiagnosticArray, "/inference_node/shadow/divergence", told.append, 10)
    poses = node.create_publisher(PoseStamped, "/dynamo/target_pose", 10)
    hands = node.create_publisher(JointState, "/dynamo/target_hand", 10)
    names, still = sink.joints[::-1], all_fingers(FIRST)[::-1]

    def send() -> None:
        stamp_ns = now_ns(node.get_clock())
        hands.publish(to_joint_state(names, still, stamp_ns=stamp_ns))
        frame = hand_robot.contract.base_frame
        poses.publish(to_pose_stamped(Pose(np.array(PLACE), DOWN), stamp_ns=stamp_ns, frame=frame))

    node.create_timer(0.02, send)
    shadow = configured(ros, hand_robot, hand_bundle, patient_hand, authority="shadow", task="pick_sponge")
    activate(ros, hand_robot)
    goal = np.array(all_fingers(WANTED))
    ros.until(
        lambda: wished and np.abs(np.array(wished[-1].position) - goal).max() < 1e-3, what="the fingers"
    )
    assert tuple(wished[-1].name) == sink.joints
    published = {topic for topic, _ in shadow.get_publisher_names_and_types_by_node("inference_node", "/")}
    assert not published & {sink.topic, "/dynamo/target_hand", "/inference_node/shadow/target_gripper"}
    assert not hand_robot.sent
    farthest = float(np.abs(goal - all_fingers(FIRST)).max())

    def values() -> dict[str, str]:
        return {pair.key: pair.value for pair in told[-1].status[0].values} if told else {}

    ros.until(
        lambda: float(values().get("hand rad most", "nan")) == pytest.approx(farthest, abs=1e-3),
        what="the farthest joint's distance",
    )
    assert "gripper last" not in values()
    assert told[-1].status[0].message.count("rad of the hand's farthest joint from what is commanded") == 1


def test_authority_is_full_or_shadow_and_stays_so(ros: Ros) -> None:
    node = ros.add(InferenceNode())
    (result,) = node.set_parameters([Parameter("authority", value="shadow")])
    assert not result.successful
    with pytest.raises(UnknownNameError, match=r"'half'.*full, shadow"):
        InferenceNode([Parameter("authority", value="half")])


def target(x: float, gripper: float = 0.0) -> Target:
    return Target(Pose(np.array([x, 0.0, 0.0]), DOWN), gripper)


def test_fingers_are_compared_while_somebody_commands_them() -> None:
    shadow = Shadow(max_age_ns=100, hand_max_age_ns=10)
    shadow.commanded(target(0.0).pose, 50)
    wish = target(0.1)._replace(hand=np.linspace(0.0, 1.5, 16))
    assert np.isnan(shadow.wished(wish, 50).hand)
    shadow.handed(np.zeros(16), 50)
    assert shadow.wished(wish, 60).hand == pytest.approx(1.5)
    assert shadow.wished(wish._replace(hand=np.full(16, -0.5)), 60).hand == pytest.approx(0.5)
    assert np.isnan(shadow.wished(wish, 61).hand)
    last, median, most = shadow.take_summary()[2:]
    assert np.isnan([last.hand, last.gripper, median.gripper, most.gripper]).all()
    assert (median.hand, most.hand) == pytest.approx((1.0, 1.5))


def test_wishes_are_compared_while_somebody_commands() -> None:
    shadow = Shadow(max_age_ns=100)
    assert shadow.wished(target(0.1), 0) is None
    shadow.commanded(target(0.0).pose, 50)
    shadow.gripped(1.0)
    for x in (0.1, 0.2, 0.6):
        assert shadow.wished(target(x), 100) == pytest.approx((x, 0.0, 1.0, np.nan), nan_ok=True)
    assert shadow.wished(target(0.1), 151) is None
    summary = shadow.take_summary()
    assert (summary.wishes, summary.compared) == (5, 3)
    assert [one.metres for one in (summary.last, summary.median, summary.most)] == pytest.approx(
        [0.6, 0.2, 0.6]
    )
    assert shadow.take_summary() == (0, 0, None, None, None)
