"""An xArm's driver over DDS, as xarm_ros2's is seen from outside; behind it no arm but a XarmController.

What makes the real one awkward is kept: two messages on one topic of joint states, a gripper that is silent
after its action, reports at 5 or 100 Hz, services that exist only where the user enabled them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("xarm_msgs")

from control_msgs.action import GripperCommand
from rclpy.action import ActionServer
from rclpy.node import Node
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory
from xarm_msgs.msg import RobotMsg
from xarm_msgs.srv import (
    Call,
    GetFloat32,
    GripperMove,
    MoveCartesian,
    MoveJoint,
    MoveVelocity,
    SetInt16,
    SetInt16ById,
)

from dynamo_policies.contract import Contract
from fakes.xarm_controller import XarmController

if TYPE_CHECKING:
    from ros_fixtures import Ros

READY = (0.0, -0.45, 0.0, 0.9, 0.0, 1.35, 0.0)
STEP_S = 0.01
DEV_HZ, NORMAL_HZ = 100.0, 5.0  # report_type:=dev, and the default
TRAJECTORY_TOPIC = "/xarm7_traj_controller/joint_trajectory"
GRIPPER_ACTION = "/xarm_gripper/gripper_action"
GRIPPER_JOINTS = (
    "drive_joint", "left_finger_joint", "left_inner_knuckle_joint",
    "right_outer_knuckle_joint", "right_finger_joint", "right_inner_knuckle_joint",
)  # fmt: skip
OPEN_PULSE = 850.0
# Off in the vendor's xarm_params.yaml until the user enables them.
OFF_BY_DEFAULT = frozenset(
    {
        "set_servo_cartesian_aa",
        "set_gripper_position",
        "set_gripper_mode",
        "set_gripper_enable",
        "get_gripper_position",
    }
)


class FakeXarm:
    """The driver on `node`; `calls` of its services and `goals` of its gripper are noted."""

    def __init__(
        self,
        node: Node,
        contract: Contract,
        *,
        report_hz: float = DEV_HZ,
        enabled: Collection[str] = OFF_BY_DEFAULT,
        absent: Collection[str] = (),
        tool_offset_m: float | None = None,
    ) -> None:
        self.node, self._joint_names = node, contract.arm.joints
        self.controller = XarmController(contract, READY, tool_offset_m=tool_offset_m)
        self.calls: list[tuple[str, Any]] = []
        self.trajectories = self.steps = 0
        self.goals: list[float] = []
        self.pulse, self._acted, self._acting_until = OPEN_PULSE, False, 0.0
        self._absent = {*absent, *(OFF_BY_DEFAULT - set(enabled))}
        self._states = node.create_publisher(JointState, "/xarm/joint_states", 10)
        self._reports = node.create_publisher(RobotMsg, "/xarm/robot_states", 10)
        self._serve()
        node.create_subscription(JointTrajectory, TRAJECTORY_TOPIC, self._follow, 10)
        self._gripper = ActionServer(node, GripperCommand, GRIPPER_ACTION, self._grip)
        self._last = time.monotonic()
        node.create_timer(STEP_S, self._step)
        node.create_timer(1.0 / report_hz, self._report)
        node.create_timer(0.1, self._report_gripper)
        self._tenth = 0

    def named(self, service: str) -> list[Any]:
        """Return the requests that a service got."""
        return [request for name, request in self.calls if name == service]

    def live(self, ros: Ros, *, steps: int) -> None:
        """Spin until the arm has made so many steps; a computer that is held up makes none."""
        until = self.steps + steps
        ros.until(lambda: self.steps >= until, what=f"{steps} steps of the arm")

    def _serve(self) -> None:
        arm = self.controller
        self._offer("motion_enable", SetInt16ById, lambda r: arm.enable(r.id, r.data))
        self._offer("set_mode", SetInt16, lambda r: arm.set_mode(r.data))
        self._offer("set_state", SetInt16, lambda r: arm.set_state(r.data))
        self._offer("clean_error", Call, lambda _: arm.clean_error())
        self._offer("clean_warn", Call, lambda _: self._clean_warning())
        self._offer("set_servo_angle_j", MoveJoint, lambda r: arm.servo_joint(r.angles))
        self._offer("set_servo_cartesian_aa", MoveCartesian, lambda r: arm.servo_cartesian_aa(r.pose))
        self._offer("set_position", MoveCartesian, lambda r: arm.set_position(r.pose, r.speed))
        self._offer("vc_set_joint_velocity", MoveVelocity, lambda r: arm.velocity(4, r.speeds, r.duration))
        self._offer(
            "vc_set_cartesian_velocity", MoveVelocity, lambda r: arm.velocity(5, r.speeds, r.duration)
        )
        self._offer("set_gripper_mode", SetInt16, lambda _: 0)
        self._offer("set_gripper_enable", SetInt16, lambda _: 0)
        self._offer("set_gripper_position", GripperMove, lambda r: self._move_gripper(r.pos))
        self._offer("get_gripper_position", GetFloat32, lambda _: 0)

    def _offer(self, name: str, kind: Any, act: Callable[[Any], int]) -> None:
        if name in self._absent:
            return

        def answer(request: Any, response: Any) -> Any:
            self.calls.append((name, request))
            response.ret = act(request)
            if kind is GetFloat32:
                response.data = self.pulse
            return response

        self.node.create_service(kind, f"/xarm/{name}", answer)

    def _clean_warning(self) -> int:
        self.controller.warning = 0
        return 0

    def _step(self) -> None:
        self.steps += 1
        now = time.monotonic()
        # A computer that is held up must not turn into one long motion.
        self.controller.advance(min(now - self._last, 0.05))
        self._last = now

    def _follow(self, message: JointTrajectory) -> None:
        self.trajectories += 1
        order = [list(message.joint_names).index(name) for name in self._joint_names]
        self.controller.place([message.points[0].positions[i] for i in order])

    def _grip(self, handle: Any) -> GripperCommand.Result:
        self.goals.append(handle.request.command.position)
        self._move_gripper(abs(OPEN_PULSE - 1000.0 * handle.request.command.position))
        handle.succeed()
        return GripperCommand.Result(reached_goal=True)

    def _move_gripper(self, pulse: float) -> int:
        self.pulse, self._acted, self._acting_until = pulse, True, time.monotonic() + 0.5
        return 0

    def _report(self) -> None:
        arm = self.controller
        stamp = self.node.get_clock().now().to_msg()
        joints = JointState(name=list(self._joint_names), position=arm.joints.tolist())
        joints.velocity = joints.effort = [0.0] * len(self._joint_names)
        report = RobotMsg(mode=arm.mode, state=arm.state, err=arm.error, warn=arm.warning)
        report.mt_able = 2 ** len(self._joint_names) - 1 if arm.enabled else 0
        report.angle, report.pose = arm.joints.tolist(), arm.pose
        joints.header.stamp = report.header.stamp = stamp
        self._states.publish(joints)
        self._reports.publish(report)

    def _report_gripper(self) -> None:
        """Before the first action at 2 Hz, during an action at 10 Hz, after it never."""
        self._tenth += 1
        if time.monotonic() > self._acting_until if self._acted else self._tenth % 5:
            return
        position = (OPEN_PULSE - self.pulse) / 1000.0
        message = JointState(name=list(GRIPPER_JOINTS), position=[position] * len(GRIPPER_JOINTS))
        message.velocity = message.effort = [float("nan")] * len(GRIPPER_JOINTS)
        message.header.stamp = self.node.get_clock().now().to_msg()
        self._states.publish(message)
