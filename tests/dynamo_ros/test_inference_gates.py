"""Gates, stops and takeover of the inference node over real DDS."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from geometry_msgs.msg import PoseStamped
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image, JointState, Joy
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from bundle_factory import write_bundle
from dynamo_policies.contract import load_contract
from dynamo_policies.gates import FirstAction, RobotStateGate
from dynamo_policies.observation import Pose
from dynamo_ros.nodes.inference_node import InferenceNode
from dynamo_ros.nodes.messages import now_ns, to_joint_state, to_pose_stamped
from dynamo_ros.nodes.teleop_node import TeleopNode
from ideal_robot import PATIENCE_S, Robot
from inference_fixtures import GOAL, activate, at_rest, change, configured, made, rearm, trigger
from ros_fixtures import Ros

LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
BEST_EFFORT = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
QUALITIES = ("plain", "latched", "lossy")
BESIDE = (0.35, -0.1, 0.25)


class Person:
    """Sends targets of a teleoperation device at 50 Hz while there is one, and listens."""

    def __init__(self, ros: Ros, robot: Robot) -> None:
        self.node, self.target = ros.node("person"), None
        self._rotation, self._frame = robot.contract.reference_rotation, robot.contract.base_frame
        self._pose = self.node.create_publisher(PoseStamped, "/teleop/target_pose", 10)
        self._wish = self.node.create_publisher(JointState, "/teleop/target_gripper", 10)
        self.authorities: list[str] = []
        self.node.create_subscription(String, "/dynamo/authority", self._hear, 10)
        self.node.create_timer(0.02, self._send)

    def _hear(self, message: String) -> None:
        if message.data not in self.authorities[-1:]:
            self.authorities.append(message.data)

    def _send(self) -> None:
        if self.target is None:
            return
        stamp_ns = now_ns(self.node.get_clock())
        pose = Pose(np.array(self.target), np.array(self._rotation))
        self._wish.publish(to_joint_state(["gripper"], [0.0], stamp_ns=stamp_ns))
        self._pose.publish(to_pose_stamped(pose, stamp_ns=stamp_ns, frame=self._frame))


class Hanging:
    """A policy that does not come back before it is told to."""

    def __init__(self, real: Any) -> None:
        self._real, self.window, self.space = real, real.window, real.space
        self.begun, self.allowed = threading.Event(), threading.Event()

    def reset(self) -> None:
        self._real.reset()

    def act(self, *arguments: Any) -> Any:
        self.begun.set()
        self.allowed.wait(60.0)
        return self._real.act(*arguments)


@pytest.fixture
def person(ros: Ros, robot: Robot) -> Person:
    return Person(ros, robot)


@pytest.fixture
def hanging(inference: InferenceNode) -> Iterator[Hanging]:
    """Make the policy of the configured node hang from the next action on."""
    thinker = inference._runner._thinker
    policy = Hanging(thinker._bundle.policy)
    yield policy
    policy.allowed.set()


def hang(inference: InferenceNode, policy: Hanging) -> None:
    thinker = inference._runner._thinker
    thinker._bundle = dataclasses.replace(thinker._bundle, policy=policy)


def commanding(ros: Ros, robot: Robot) -> None:
    count = len(robot.trajectories)
    ros.until(lambda: len(robot.trajectories) > count + 10, what="commands")


def near(robot: Robot, place: tuple[float, float, float]) -> bool:
    position = robot.poses[-1].pose.position if robot.poses else None
    return (
        position is not None and np.linalg.norm([position.x, position.y, position.z] - np.array(place)) < 5e-3
    )


@pytest.mark.parametrize(
    "quality", [QoSProfile(depth=1), LATCHED, BEST_EFFORT], ids=["plain", "latched", "lossy"]
)
def test_the_estop_topic_stops_however_it_is_published(
    ros: Ros, robot: Robot, inference: InferenceNode, quality: QoSProfile
) -> None:
    reasons: list[String] = []
    robot.node.create_subscription(String, "/inference_node/stopped", reasons.append, LATCHED)
    activate(ros, robot)
    commanding(ros, robot)
    button = robot.node.create_publisher(Bool, "/dynamo/estop", quality)
    pressed = [True]
    robot.node.create_timer(0.1, lambda: button.publish(Bool(data=pressed[0])))
    ros.until(lambda: inference._runner.stopped, what="the stop")
    ros.until(lambda: reasons and reasons[-1].data == "estop: true on /dynamo/estop", what="its reason")
    at_rest(ros, robot)
    pressed[0] = False
    ros.until(lambda: not inference._runner.gates.estop.pressed, what="the release")
    rearm(ros, robot)
    ros.until(lambda: reasons[-1].data == "", what="the all-clear")
    commanding(ros, robot)


def test_node_says_that_nothing_is_stopped_before_anything_was(
    ros: Ros, robot: Robot, inference: InferenceNode
) -> None:
    reasons: list[String] = []
    robot.node.create_subscription(String, "/inference_node/stopped", reasons.append, LATCHED)
    ros.until(lambda: reasons, what="the reason")
    assert reasons[0].data == ""
    assert inference._runner.stopped is None


def test_rearming_while_nothing_is_stopped_says_so_and_stops_nothing(
    ros: Ros, robot: Robot, inference: InferenceNode
) -> None:
    activate(ros, robot)
    commanding(ros, robot)
    assert trigger(ros, robot, "rearm") == "nothing is stopped"
    commanding(ros, robot)
    assert inference._runner.stopped is None


def test_the_arm_is_somebodys_until_it_rests(
    ros: Ros, robot: Robot, inference: InferenceNode, person: Person
) -> None:
    activate(ros, robot)
    commanding(ros, robot)
    assert trigger(ros, robot, "stop") is None
    ros.until(lambda: person.authorities[-1] == "nobody inference_node", what="the last word")
    assert not inference._runner.moving


def test_a_second_policy_that_begins_meanwhile_stops_this_one(
    ros: Ros, robot: Robot, inference: InferenceNode
) -> None:
    activate(ros, robot)
    commanding(ros, robot)
    other = robot.node.create_publisher(String, "/dynamo/authority", 10)
    robot.node.create_timer(0.1, lambda: other.publish(String(data="policy another_node")))
    ros.until(lambda: inference._runner.stopped, what="the stop")
    assert inference._runner.stopped.kind == "authority"
    at_rest(ros, robot)
    assert trigger(ros, robot, "rearm") == "can't begin: a policy moves the arm through another_node"


def test_a_latched_estop_of_before_keeps_the_node_from_beginning(
    ros: Ros, robot: Robot, bundle: Path, patient: Path
) -> None:
    button = robot.node.create_publisher(Bool, "/dynamo/estop", LATCHED)
    button.publish(Bool(data=True))
    node = configured(ros, robot, bundle, patient)
    ros.until(lambda: node._runner.stopped, what="the latched message")
    assert not change(ros, robot, "activate")
    assert trigger(ros, robot, "rearm") == "the e-stop on /dynamo/estop is still pressed"
    button.publish(Bool(data=False))
    ros.until(lambda: trigger(ros, robot, "rearm") is None, what="re-arming")
    activate(ros, robot)


def test_the_estop_stops_teleoperation_as_well(ros: Ros, robot: Robot, person: Person, patient: Path) -> None:
    node = ros.add(TeleopNode([Parameter("contract", value=str(patient))]))
    person.target = BESIDE
    commanding(ros, robot)
    button = robot.node.create_publisher(Bool, "/dynamo/estop", 1)
    ros.until(lambda: button.get_subscription_count(), what="a listener")
    button.publish(Bool(data=True))
    ros.until(lambda: node._teleoperation.stopped, what="the stop")
    at_rest(ros, robot)
    response = ros.call(robot.node, Trigger, "/teleop_node/rearm", Trigger.Request())
    assert response.message == "the e-stop on /dynamo/estop is still pressed"


def test_a_deadman_that_a_parameter_asks_for_must_be_held(
    ros: Ros, robot: Robot, bundle: Path, patient: Path
) -> None:
    configured(ros, robot, bundle, patient, deadman="/joy", deadman_button=4)
    held = [0]
    joy = robot.node.create_publisher(Joy, "/joy", 10)
    robot.node.create_timer(0.02, lambda: joy.publish(Joy(buttons=[0, 0, 0, 0, held[0]])))
    activate(ros, robot)
    commanding(ros, robot)
    start = robot.joints
    ros.spin(0.3)
    assert np.abs(np.array(robot.joints) - start).max() < 1e-6
    held[0] = 1
    ros.until(lambda: near(robot, GOAL), what="the goal")


def test_a_first_action_far_from_the_arm_keeps_the_node_inactive(
    ros: Ros, robot: Robot, bundle: Path, patient: Path, tmp_path: Path
) -> None:
    contract = load_contract(patient)
    gates = dataclasses.replace(contract.gates, first_action=FirstAction(within_m=0.01))
    (tmp_path / "strict.yaml").write_text(dataclasses.replace(contract, gates=gates).to_yaml())
    configured(ros, robot, bundle, tmp_path / "strict.yaml")
    assert not change(ros, robot, "activate")
    assert not robot.trajectories


def test_a_policy_that_hangs_stops_the_arm_and_lets_the_node_end(
    ros: Ros, robot: Robot, inference: InferenceNode, hanging: Hanging
) -> None:
    activate(ros, robot)
    commanding(ros, robot)
    hang(inference, hanging)
    ros.until(lambda: inference._runner.stopped, what="the stop")
    assert inference._runner.stopped.kind == "plan"
    at_rest(ros, robot)
    assert change(ros, robot, "deactivate")
    assert change(ros, robot, "cleanup")
    assert inference._runner is None


def test_the_node_deactivates_at_once_while_inference_goes_on(
    ros: Ros, robot: Robot, inference: InferenceNode, hanging: Hanging
) -> None:
    activate(ros, robot)
    commanding(ros, robot)
    hang(inference, hanging)
    ros.until(hanging.begun.is_set, what="inference")
    assert change(ros, robot, "deactivate")
    at_rest(ros, robot)
    hanging.allowed.set()
    activate(ros, robot)
    commanding(ros, robot)


def robot_state(ros: Ros, robot: Robot, **fields: int) -> dict[str, int]:
    """Report as the xArm's controller does; what is returned can be changed."""
    from xarm_msgs.msg import RobotMsg

    publisher = robot.node.create_publisher(RobotMsg, "/xarm/robot_states", 10)
    report = {"state": 2, "mode": 1, "mt_able": 0x7F, "err": 0, "warn": 0} | fields
    robot.node.create_timer(0.02, lambda: publisher.publish(RobotMsg(**report)))
    return report


@pytest.fixture
def watched(patient: Path, tmp_path: Path) -> Path:
    """The contract with a gate on the arm's controller."""
    contract = load_contract(patient)
    gates = dataclasses.replace(
        contract.gates, robot_state=RobotStateGate(topic="/xarm/robot_states", max_age_ms=1e3 * PATIENCE_S)
    )
    (tmp_path / "watched.yaml").write_text(dataclasses.replace(contract, gates=gates).to_yaml())
    return tmp_path / "watched.yaml"


def test_an_error_of_the_controller_stops_the_arm(
    ros: Ros, robot: Robot, bundle: Path, watched: Path
) -> None:
    pytest.importorskip("xarm_msgs")
    node = configured(ros, robot, bundle, watched)
    report = robot_state(ros, robot)
    activate(ros, robot)
    commanding(ros, robot)
    report.update(err=31, state=4, mode=0)
    ros.until(lambda: node._runner.stopped, what="the stop")
    assert node._runner.stopped[:2] == ("robot_state", "the arm's controller reports error 31")
    at_rest(ros, robot)


def test_a_controller_that_says_nothing_keeps_the_node_inactive(
    ros: Ros, robot: Robot, bundle: Path, watched: Path
) -> None:
    pytest.importorskip("xarm_msgs")
    configured(ros, robot, bundle, watched)
    assert not change(ros, robot, "activate")


def test_a_type_that_is_not_installed_is_named(
    ros: Ros, robot: Robot, bundle: Path, watched: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    watched.write_text(watched.read_text().replace("xarm_msgs/msg/RobotMsg", "nobodys_msgs/msg/RobotMsg"))
    made(ros, bundle=str(bundle), contract=str(watched))
    assert not change(ros, robot, "configure")
    assert "needs nobodys_msgs/msg/RobotMsg" in capfd.readouterr().err


def test_no_controller_is_asked_for_in_simulated_time(
    ros: Ros, robot: Robot, bundle: Path, watched: Path
) -> None:
    node = made(ros, bundle=str(bundle), contract=str(watched), use_sim_time=True)
    assert change(ros, robot, "configure")
    assert "robot_state" in node._runner.gates.silent


def test_a_person_takes_the_arm_in_mid_run_and_gives_it_back(
    ros: Ros, robot: Robot, inference: InferenceNode, person: Person, patient: Path
) -> None:
    teleop = ros.add(TeleopNode([Parameter("contract", value=str(patient))]))
    activate(ros, robot)
    ros.until(lambda: near(robot, GOAL), what="the goal")
    person.target = BESIDE
    ros.until(
        lambda: near(robot, BESIDE) and teleop._teleoperation.engagement == "idle",
        what="where the person wants it, by one node",
    )
    person.target = None
    ros.until(lambda: near(robot, GOAL), what="the goal again")
    expected = ["policy inference_node", "person inference_node", "policy inference_node"]
    told = (text for text in person.authorities if "inference" in text)
    assert [text for text, _ in itertools.groupby(told)] == expected
    joints = np.array([message.points[0].positions for message in robot.trajectories])
    most = 0.02 + max(robot.contract.arm.velocity_rad_s) / robot.contract.arm.rate_hz
    assert np.abs(np.diff(joints, axis=0)).max() < most


def test_teleoperation_lets_go_when_a_policy_begins_and_goes_on_after_it(
    ros: Ros, robot: Robot, inference: InferenceNode, person: Person, patient: Path
) -> None:
    teleop = ros.add(TeleopNode([Parameter("contract", value=str(patient))]))
    person.target = BESIDE
    ros.until(lambda: "person teleop_node" in person.authorities, what="teleoperation")
    activate(ros, robot)
    ros.until(lambda: teleop._teleoperation.engagement == "idle", what="the other to let go")
    ros.until(lambda: "person inference_node" in person.authorities, what="the person's targets")
    assert change(ros, robot, "deactivate")
    ros.until(lambda: teleop._teleoperation.engagement == "engaged", what="teleoperation again")
    ros.until(lambda: "nobody inference_node" in person.authorities, what="the node's last word")


def test_what_was_never_demonstrated_holds_the_arm_and_is_shown(
    ros: Ros, robot: Robot, patient: Path, tmp_path: Path
) -> None:
    bundle = write_bundle(tmp_path / "bundle", load_contract(patient), GOAL, demonstrated=True)
    node = configured(ros, robot, bundle, patient)
    views: list[Image] = []
    robot.node.create_subscription(Image, "/inference_node/nearest_demonstration", views.append, 1)
    activate(ros, robot)
    ros.until(lambda: "novelty" in node._runner.gates.wants(), what="the gate")
    ros.until(lambda: np.allclose(robot.joints, node._runner.rest, rtol=0.0, atol=1e-6), what="a rest")
    start = robot.joints
    ros.until(lambda: views, what="the nearest demonstration beside the live view")
    assert np.abs(np.array(robot.joints) - start).max() < 1e-6
    picture = np.frombuffer(views[-1].data, np.uint8).reshape(views[-1].height, views[-1].width, 3)
    assert picture.shape == (96, 4 * 96, 3)  # two cameras, live and demonstrated
    assert np.abs(picture[:, 2 * 96 + 2 :].astype(int) - 90).max() < 5


@pytest.mark.parametrize("holder", ["policy", "person"])
def test_beside_another_inference_node_none_begins(
    ros: Ros, robot: Robot, inference: InferenceNode, holder: str
) -> None:
    other = robot.node.create_publisher(String, "/dynamo/authority", 10)
    said = [f"{holder} another_node"]
    robot.node.create_timer(0.05, lambda: other.publish(String(data=said[0])))
    ros.until(lambda: inference._authority.other is not None, what="the other's voice")
    assert not change(ros, robot, "activate")
    said[0] = "nobody another_node"
    activate(ros, robot)
