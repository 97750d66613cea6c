"""The inference node over real DDS, with a robot that follows its commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from dynamo_policies.contract import Contract
from dynamo_ros.nodes.inference_node import InferenceNode
from ideal_robot import READY, Robot
from inference_fixtures import GOAL, NODE, activate, at_rest, change, rearm, trigger
from ros_fixtures import Ros


def test_active_node_drives_the_arm_to_the_goal_and_closes_the_gripper(
    ros: Ros, robot: Robot, inference: InferenceNode, contract: Contract
) -> None:
    activate(ros, robot)
    ros.until(lambda: robot.poses and abs(robot.poses[-1].pose.position.y - GOAL[1]) < 2e-3, what="the goal")
    first, message = robot.trajectories[0], robot.trajectories[-1]
    assert np.abs(np.array(first.points[0].positions) - READY).max() < contract.arm.first_target_within_rad
    assert list(message.joint_names) == list(contract.arm.joints)
    assert message.points[0].time_from_start.nanosec == contract.arm.period_ns
    assert not message.points[0].velocities
    assert robot.poses[-1].header.frame_id == contract.base_frame
    ros.until(lambda: robot.grips == [contract.gripper.closed], what="one gripper goal")


def test_nothing_is_commanded_before_activation_and_after_deactivation(
    ros: Ros, robot: Robot, inference: InferenceNode
) -> None:
    ros.spin(0.3)
    assert not robot.trajectories
    activate(ros, robot)
    ros.until(lambda: len(robot.trajectories) > 20, what="commands")
    assert change(ros, robot, "deactivate")
    at_rest(ros, robot)


def test_dead_camera_stops_the_arm_until_it_is_rearmed(
    ros: Ros, robot: Robot, inference: InferenceNode
) -> None:
    reports: list[DiagnosticArray] = []
    robot.node.create_subscription(DiagnosticArray, "/diagnostics", reports.append, 10)
    activate(ros, robot)
    ros.until(lambda: len(robot.trajectories) > 20, what="commands")
    robot.seeing = False
    ros.until(lambda: inference._runner.stopped, what="the stop")
    ros.until(lambda: reports and "stale: " in reports[-1].status[0].message, what="a report of the stop")
    robot.seeing = True
    at_rest(ros, robot)
    count = len(robot.trajectories)
    rearm(ros, robot)
    ros.until(lambda: len(robot.trajectories) > count + 10, what="commands after re-arming")


def test_stop_service_stops_at_once(ros: Ros, robot: Robot, inference: InferenceNode) -> None:
    activate(ros, robot)
    ros.until(lambda: len(robot.trajectories) > 10, what="commands")
    assert trigger(ros, robot, "stop") is None
    at_rest(ros, robot)


def test_task_changes_while_inactive_only(ros: Ros, robot: Robot, inference: InferenceNode) -> None:
    def set_task(name: str) -> bool:
        request = SetParameters.Request(parameters=[Parameter("task", value=name).to_parameter_msg()])
        return ros.call(robot.node, SetParameters, f"{NODE}/set_parameters", request).results[0].successful

    assert set_task("fetch_yogurt")
    activate(ros, robot)
    assert not set_task("put_yogurt")


def test_first_task_of_the_bundle_is_done_where_none_is_named(ros: Ros, robot: Robot, bundle: Path) -> None:
    node = ros.add(InferenceNode([Parameter("bundle", value=str(bundle))]))
    assert change(ros, robot, "configure")
    ros.until(lambda: node._runner.ready(node._now_ns()), what="all streams fresh")
    activate(ros, robot)


def test_activation_without_a_known_task_is_refused(ros: Ros, robot: Robot, inference: InferenceNode) -> None:
    inference.set_parameters([Parameter("task", value="juggle")])
    assert not change(ros, robot, "activate")


def test_autostart_begins_when_the_streams_have_come(ros: Ros, bundle: Path, contract: Contract) -> None:
    values = {"bundle": str(bundle), "task": "put_yogurt", "autostart": True}
    ros.add(InferenceNode([Parameter(name, value=value) for name, value in values.items()]))
    robot = Robot(ros.node("robot"), contract)
    ros.until(lambda: len(robot.trajectories) > 10, what="commands")


def test_bundle_made_for_another_contract_is_refused(ros: Ros, robot: Robot, bundle: Path) -> None:
    values = {"bundle": str(bundle), "contract": "xarm_kitchen"}
    ros.add(InferenceNode([Parameter(name, value=value) for name, value in values.items()]))
    assert not change(ros, robot, "configure")


def test_destroyed_node_leaves_no_service_behind(ros: Ros) -> None:
    name, watcher = f"{NODE}/get_state", ros.node("watcher")
    node = InferenceNode()
    ros.until(lambda: watcher.count_services(name) == 1, what="the node's service")
    node.destroy_node()
    ros.until(lambda: watcher.count_services(name) == 0, what="the end of the service")


def test_configuration_without_a_bundle_is_refused(ros: Ros, robot: Robot, tmp_path: Path) -> None:
    ros.add(InferenceNode([Parameter("bundle", value=str(tmp_path))]))
    assert not change(ros, robot, "configure")
