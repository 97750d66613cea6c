"""A simulated station behind the topics, services and actions of the real drivers."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from dynamo_interfaces.msg import Outcome
from dynamo_interfaces.srv import ResetStation
from geometry_msgs.msg import PoseArray, PoseStamped
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, qos_profile_system_default
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import CameraInfo, Image, JointState
from trajectory_msgs.msg import JointTrajectory

from dynamo_policies.contract import Contract
from dynamo_policies.errors import DynamoError
from dynamo_policies.observation import Sample
from dynamo_policies.sinks import GripperCommandSink, TrajectoryArm, of_kind
from dynamo_policies.streams import ImageStream, JointStream, PoseStream
from dynamo_ros.core.station import HandStation
from dynamo_ros.locations import find_contract
from dynamo_ros.nodes.commands import action_stream
from dynamo_ros.nodes.messages import to_ns, to_time
from dynamo_ros.nodes.qos import RELIABILITIES
from dynamo_ros.nodes.spin import run
from dynamo_ros.nodes.teleop_node import POSE_TOPIC
from dynamo_sim.controllers import RejectedError
from dynamo_sim.nodes.arm_modes import arm_modes
from dynamo_sim.nodes.gripper_action import GripperAction, GripperStation
from dynamo_sim.nodes.hand_topic import HandTopic
from dynamo_sim.nodes.sensors import (
    camera_info,
    image_message,
    joint_message,
    objects_message,
)
from dynamo_sim.pacing import Pacer
from dynamo_sim.schedule import Schedule
from dynamo_sim.stations import station_kind

# The clock's step: it divides the periods of commands (20 ms) and joint states (10 ms).
STEP_NS = 10_000_000
# Looks at the pacer for each step, in real time; each costs as much as a callback.
LOOKS_PER_STEP, SHORTEST_LOOK_S = 3, 0.0002
TOLD_HZ = 10.0
# A reset restarts the controllers, as on a real robot: what was sent to the old ones is not taken by the new.
RESTART_NS = 200_000_000
# Room for a recorder that is held up while simulated time runs fast.
QUEUED_MESSAGES = 300


class StationNode(Node):
    """Steps the station of the contract's name and passes on what it measures and is told.

    Parameters: `contract` (name or path), `rtf` (the real-time factor; 0: as fast as it can),
    `max_command_age_ms` (see Pacer; 0: off), `task` and `seed` of the first start state.

    Nothing moves on its own: the arm holds until a trajectory comes. Stepping is a timer of the one thread
    that also runs the callbacks, so that nothing is shared between threads.
    """

    def __init__(self, overrides: list[Parameter] | None = None) -> None:
        super().__init__("station_node", parameter_overrides=overrides)
        contract = find_contract(self.declare_parameter("contract", "xarm_kitchen").value)
        factor = float(self.declare_parameter("rtf", 1.0).value)
        max_age_ms = float(self.declare_parameter("max_command_age_ms", 0.0).value)
        self._pacer = Pacer(real_time_factor=factor, max_command_age_ns=int(max_age_ms * 1e6))
        kind = station_kind(contract.name)
        self._station, self._order = kind.station(contract), kind.objects
        task = self.declare_parameter("task", next(iter(contract.tasks))).value
        self._station.reset(task, self.declare_parameter("seed", 0).value)
        self._contract = contract
        self._deaf_until_ns = 0
        self._ages_ms: list[float] = []
        self._begun_ns, self._begun_wall_ns = 0, time.monotonic_ns()
        self._advertise(contract)
        self._listen(contract)
        self._telling = Schedule(TOLD_HZ)
        look_s = STEP_NS / 1e9 / factor / LOOKS_PER_STEP if factor > 0.0 else SHORTEST_LOOK_S
        self.create_timer(
            max(look_s, SHORTEST_LOOK_S), self._look, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def destroy_node(self) -> None:
        """Say how fast simulated time ran and how old commands were, and free the graphics."""
        factor = self._station.time_ns / max(time.monotonic_ns() - self._begun_wall_ns, 1)
        text = f"mean real-time factor {factor:.2f}"
        if self._ages_ms:
            p50, p95, most = np.percentile(self._ages_ms, [50, 95, 100])
            text += f"; age of commands p50 {p50:.0f}, p95 {p95:.0f}, max {most:.0f} ms simulated"
        self.get_logger().info(text)
        if self._gripper is not None:
            self._gripper.destroy()
        self._station.close()
        super().destroy_node()

    def _advertise(self, contract: Contract) -> None:
        self._time = self.create_publisher(ClockMessage, "/clock", 10)
        self._cameras = {}
        for name, stream in contract.cameras.items():
            qos = QoSProfile(depth=QUEUED_MESSAGES, reliability=RELIABILITIES[stream.reliability])
            info = camera_info(name, stream, fovy_deg=self._station.camera_fovy_deg(name))
            info_topic = f"{stream.topic.rpartition('/')[0]}/camera_info"
            self._cameras[name] = (
                self.create_publisher(Image, stream.topic, qos),
                self.create_publisher(CameraInfo, info_topic, qos),
                info,
            )
        topics = {one.topic for one in contract.observed.values() if isinstance(one, JointStream)}
        self._joints = {
            topic: self.create_publisher(JointState, topic, QUEUED_MESSAGES) for topic in sorted(topics)
        }
        self._outcome = self.create_publisher(Outcome, "/station/outcome", 10)
        self._objects = self.create_publisher(PoseArray, "/station/objects", 10)

    def _listen(self, contract: Contract) -> None:
        arm = of_kind(contract.arm, TrajectoryArm, "the simulated station's arm")
        self.create_subscription(JointTrajectory, arm.topic, self._follow, qos_profile_system_default)
        for topic in (POSE_TOPIC, action_stream(contract, PoseStream).topic):
            self.create_subscription(PoseStamped, topic, self._hear(topic), 10)
        self.create_service(ResetStation, "/station/reset", self._reset)
        self._gripper = self._serve_gripper(contract)
        self._modes = arm_modes(self, self._station)
        self._hand = None if contract.hand is None else HandTopic(self, contract.hand, self._move_hand)

    def _serve_gripper(self, contract: Contract) -> GripperAction | None:
        if contract.gripper is None or not isinstance(self._station, GripperStation):
            return None
        gripper = of_kind(contract.gripper, GripperCommandSink, "the simulated station's gripper")
        return GripperAction(self, self._station, gripper.action)

    def _look(self) -> None:
        until_ns = self._station.time_ns + STEP_NS
        if self._pacer.may_advance(until_ns, time.monotonic_ns()):
            samples = self._station.advance(until_ns)
            # The clock goes first, so that what is stamped now is not received before now.
            self._time.publish(ClockMessage(clock=to_time(until_ns)))
            for sample in samples:
                self._publish(sample)
            if self._telling.due(until_ns):
                self._tell()
            if self._gripper is not None:
                self._gripper.tend()

    def _publish(self, sample: Sample) -> None:
        stream = self._contract.streams[sample.stream]
        if isinstance(stream, ImageStream):
            self._publish_image(sample)
        else:
            message = joint_message(self._station.reading(sample), sample.stamp_ns)
            self._joints[stream.topic].publish(message)

    def _publish_image(self, sample: Sample) -> None:
        images, infos, info = self._cameras[sample.stream]
        message = image_message(sample.stream, sample.value.astype(np.uint8, copy=False), sample.stamp_ns)
        images.publish(message)
        info.header.stamp = message.header.stamp
        infos.publish(info)

    def _tell(self) -> None:
        now_ns = self._station.time_ns
        verdict = self._station.outcome()
        outcome = Outcome(
            task=verdict.task, success=verdict.success, done=verdict.done, reason=verdict.reason
        )
        outcome.header.stamp, outcome.elapsed = to_time(now_ns), verdict.elapsed_s
        self._outcome.publish(outcome)
        if self._modes is not None:
            self._modes.report(now_ns)
        truth = {**self._station.objects(), "tool": self._station.tool_pose()}
        frame = self._contract.base_frame
        self._objects.publish(objects_message(truth, self._order, frame=frame, stamp_ns=now_ns))

    def _hear(self, topic: str) -> Callable[[PoseStamped], None]:
        def heard(message: PoseStamped) -> None:
            stamp_ns = to_ns(message.header.stamp)
            self._pacer.heard(topic, stamp_ns, time.monotonic_ns())
            if topic != POSE_TOPIC:
                self._ages_ms.append((self._station.time_ns - stamp_ns) / 1e6)

        return heard

    def _move_hand(self, positions: npt.ArrayLike) -> None:
        if self._station.time_ns >= self._deaf_until_ns and isinstance(self._station, HandStation):
            self._station.command_hand(positions)

    def _follow(self, message: JointTrajectory) -> None:
        if self._station.time_ns < self._deaf_until_ns:
            return
        points, stamp_ns = message.points, to_ns(message.header.stamp)
        times = [point.time_from_start.sec + point.time_from_start.nanosec / 1e9 for point in points]
        has_velocities = bool(points) and len(points[-1].velocities) > 0
        try:
            self._station.follow(
                tuple(message.joint_names),
                [list(point.positions) for point in points],
                times,
                start_ns=stamp_ns or None,
                velocities=[list(point.velocities) for point in points] if has_velocities else None,
            )
        except RejectedError as error:
            self.get_logger().warning(f"trajectory rejected: {error}", throttle_duration_sec=1.0)

    def _reset(self, request: ResetStation.Request, response: ResetStation.Response) -> ResetStation.Response:
        try:
            self._station.reset(request.task, request.seed)
        except DynamoError as error:
            response.message = str(error)
            return response
        if self._gripper is not None:
            self._gripper.abort()
        self._pacer.forget_commanders()
        self._deaf_until_ns = self._station.time_ns + RESTART_NS
        response.success = True
        return response


def main() -> int:
    """Run the simulated station until it is interrupted."""
    return run(StationNode)
