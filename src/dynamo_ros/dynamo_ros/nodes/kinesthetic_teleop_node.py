"""Kinesthetic teaching: a person leads the arm by hand."""

from __future__ import annotations

from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from dynamo_policies.observation import Sample
from dynamo_policies.sinks import TrajectoryArm
from dynamo_ros.core.free_drive import ANSWER_S, ModeCall
from dynamo_ros.core.kinesthetic import Kinesthetic
from dynamo_ros.drivers.xarm_services import XarmServices
from dynamo_ros.locations import find_contract
from dynamo_ros.nodes.bus import RosBus
from dynamo_ros.nodes.commands import CommandPublisher
from dynamo_ros.nodes.measured import JointReader
from dynamo_ros.nodes.messages import now_ns
from dynamo_ros.nodes.qos import COMMANDS
from dynamo_ros.nodes.spin import Life, run, spin
from dynamo_ros.nodes.teleop_node import GRIPPER_TOPIC


class KinestheticTeleopNode(Node):
    """Makes the calls of a Kinesthetic and publishes its labels as what was commanded.

    Parameters: `contract` (name or path), `namespace` of the vendor's services, `return_mode` (1: that of
    ros2_control; 0: the controller's own planning). Services: `~/begin` and `~/end`. The gripper follows
    /teleop/target_gripper.
    """

    def __init__(self, overrides: list[Parameter] | None = None) -> None:
        super().__init__("kinesthetic_teleop_node", parameter_overrides=overrides)
        contract = find_contract(self.declare_parameter("contract", "xarm_kitchen").value)
        namespace = self.declare_parameter("namespace", "/xarm").value
        return_mode = self.declare_parameter("return_mode", 1).value
        self._teaching = Kinesthetic(contract, return_mode=return_mode)
        self._driver = XarmServices(RosBus(self), namespace, self._report, what="kinesthetic teaching")
        self._state = self._teaching.drive.state
        self._arm_stream = contract.arm_stream
        self._commands = CommandPublisher(self, contract)
        self._joints = JointReader(self, contract, contract.proprioception, self._observe)
        self.create_subscription(JointState, GRIPPER_TOPIC, self._wish, COMMANDS)
        if isinstance(contract.arm, TrajectoryArm):  # calls of services by others can't be heard
            topic = contract.arm.topic
            self.create_subscription(JointTrajectory, topic, lambda _: self._teaching.commanded(), COMMANDS)
        self.create_service(Trigger, "~/begin", self._begin)
        self.create_service(Trigger, "~/end", self._end)
        self.create_timer(contract.arm.period_ns / 1e9, self._step)

    @property
    def returned(self) -> bool:
        """Whether the arm is not hand-guided, nor on its way."""
        return self._teaching.drive.state in ("off", "failed")

    def end(self, reason: str) -> None:
        """Go out of hand guiding; `returned` says when that is done."""
        self._teaching.drive.end(reason)

    def _report(self, message: Any) -> None:
        stamp_ns = now_ns(self.get_clock())
        self._teaching.drive.observe(mode=message.mode, error=message.err, now_ns=stamp_ns)

    def _observe(self, sample: Sample) -> None:
        if sample.stream == self._arm_stream:
            self._teaching.observe(sample.value, sample.stamp_ns)
        else:
            self._teaching.observe_gripper(float(sample.value[0]))

    def _wish(self, message: JointState) -> None:
        if len(message.position) == 1:
            self._teaching.wish(message.position[0])

    def _begin(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if missing := self._driver.missing():
            response.message = f"the arm's driver does not offer {', '.join(missing)}"
        elif self._teaching.drive.begin():
            response.success, response.message = True, "hold the arm; the log says when it is free"
        else:
            response.message = f"hand guiding is {self._teaching.drive.state} already"
        return response

    def _end(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.end("asked for by ~/end")
        drive = self._teaching.drive
        response.success = drive.state != "failed"
        response.message = f"hand guiding: {drive.state}" + (f", {drive.reason}" if drive.reason else "")
        return response

    def _step(self) -> None:
        stamp_ns = now_ns(self.get_clock())
        call = self._teaching.drive.due(stamp_ns)
        if call is not None:
            self._driver.call(call, partial(self._answered, call))
        label = self._teaching.step(stamp_ns)
        if label is not None:
            self._commands.tell(label.target, label.gripper, stamp_ns)
        self._tell()

    def _answered(self, call: ModeCall, code: int, message: str) -> None:
        self._teaching.drive.answered(call, code, message, now_ns(self.get_clock()))

    def _tell(self) -> None:
        drive = self._teaching.drive
        if drive.state == self._state:
            return
        self._state = drive.state
        log = self.get_logger()
        text = f"hand guiding: {drive.state}" + (f", {drive.reason}" if drive.reason else "")
        if drive.state == "failed":
            log.error(text)
        else:
            log.info(text)


def live(alive: Life, node: KinestheticTeleopNode) -> None:
    """Run until the end is asked for, then give the arm back to its controller."""
    spin(alive, node)
    node.end("the node ends")
    deadline_ns = now_ns(node.get_clock()) + round(2 * ANSWER_S * 1e9)
    while not node.returned and now_ns(node.get_clock()) < deadline_ns:
        alive.spin_once()


def main() -> int:
    """Run kinesthetic teaching until it is interrupted."""
    return run(KinestheticTeleopNode, live)
