"""Kinesthetic teaching in the simulated kitchen: a person's hand leads the arm, and the labels follow."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("xarm_msgs")

from geometry_msgs.msg import PoseStamped
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose
from dynamo_ros.nodes.kinesthetic_teleop_node import KinestheticTeleopNode
from dynamo_ros.nodes.messages import to_pose_stamped
from dynamo_sim.leading import MOST_N, leading_wrench
from dynamo_sim.nodes.arm_modes import LEAD_TOPIC
from dynamo_sim.nodes.station_node import StationNode
from dynamo_sim.xarm_kitchen.station import KitchenStation
from ros_fixtures import Ros

SECOND_NS = 1_000_000_000


@pytest.fixture
def kitchen(contract: Contract) -> KitchenStation:
    return KitchenStation(contract, render=False)


def beside(pose: Pose) -> Pose:
    return Pose(pose.position + np.array([0.03, -0.05, 0.04]), pose.quaternion)


def test_an_arm_that_was_let_go_stays_until_it_is_led_and_then_follows(kitchen: KitchenStation) -> None:
    start = kitchen.tool_pose()
    kitchen.let_go()
    kitchen.advance(SECOND_NS)
    np.testing.assert_allclose(kitchen.tool_pose().position, start.position, atol=2e-3)
    kitchen.lead(beside(start))
    kitchen.advance(8 * SECOND_NS)
    np.testing.assert_allclose(kitchen.tool_pose().position, beside(start).position, atol=5e-3)
    kitchen.take_hold()
    held = kitchen.tool_pose().position
    kitchen.lead(start)  # nobody moves an arm that holds
    kitchen.advance(9 * SECOND_NS)
    np.testing.assert_allclose(kitchen.tool_pose().position, held, atol=2e-3)


def test_a_hand_pushes_no_harder_than_a_person(kitchen: KitchenStation) -> None:
    start = kitchen.tool_pose()
    far = Pose(start.position + 1.0, start.quaternion)
    assert np.linalg.norm(leading_wrench(start, far)[:3]) == pytest.approx(MOST_N)


def test_kinesthetic_teaching_labels_what_the_simulated_arm_is_led_to(ros: Ros, contract: Contract) -> None:
    station = ros.add(StationNode([Parameter("rtf", value=1.0)]))
    person = ros.node("person")
    labels: list[PoseStamped] = []
    person.create_subscription(PoseStamped, "/dynamo/target_pose", labels.append, 10)
    node = ros.add(KinestheticTeleopNode([Parameter("use_sim_time", value=True)]))

    def ask(name: str) -> bool:
        service = f"/kinesthetic_teleop_node/{name}"
        return bool(ros.call(person, Trigger, service, Trigger.Request()).success)

    ros.until(lambda: ask("begin"), what="the mode services")
    ros.until(lambda: len(labels) > 5, what="labels")
    wanted = beside(station._station.tool_pose())
    hand = person.create_publisher(PoseStamped, LEAD_TOPIC, 10)
    lead = to_pose_stamped(wanted, stamp_ns=0, frame=contract.base_frame)
    person.create_timer(0.1, lambda: hand.publish(lead))
    ros.until(
        lambda: abs(labels[-1].pose.position.y - wanted.position[1]) < 5e-3,
        what="labels at the place that the hand leads to",
    )
    assert ask("end")
    ros.until(lambda: node.returned, what="the arm's return to its controller")
