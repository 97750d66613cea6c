"""A headset's hand tracking as a teleoperation device, in Open-Teach's wire format."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState

from dynamo_policies.contract import Contract
from dynamo_policies.errors import UnknownNameError
from dynamo_ros.core.allegro import DRIVER_OF_KIND, hand_driver
from dynamo_ros.core.hand_to_allegro import FloatArray, HandAllegroSettings, HandToAllegro
from dynamo_ros.core.hand_to_arm import HandArmSettings, HandToArm
from dynamo_ros.core.hand_tracking import (
    KEYPOINT_PORTS,
    MOST_BYTES,
    PAUSE_PORT,
    RESOLUTION_PORT,
    HandMessageError,
    Side,
    parse_hand,
    parse_level,
)
from dynamo_ros.drivers.headset import LastMessage
from dynamo_ros.locations import find_contract
from dynamo_ros.nodes.messages import now_ns, to_joint_state
from dynamo_ros.nodes.qos import COMMANDS
from dynamo_ros.nodes.settings import declared
from dynamo_ros.nodes.spin import run
from dynamo_ros.nodes.targets import TargetPublisher
from dynamo_ros.nodes.teleop_node import HAND_TOPIC

OTHER: dict[str, Side] = {"right": "left", "left": "right"}
LISTEN_S = 1 / 120  # headsets send at 60 to 90 Hz


class VrTeleopNode(Node):
    """Feeds a headset's messages to a HandToArm, and fingers to a HandToAllegro; publishes their targets.

    Parameters: `contract` (name or path); `host` and `port`, `gesture_port`, `resolution_port`, `pause_port`
    to listen at; `side` of the hand that moves the robot; `gestures`, whose pinches decide (`same`, `other`);
    `robot_hand` (contract: the one it has; none; or a driver of core.allegro) and `hand_states` (its topic);
    the fields of HandArmSettings and HandAllegroSettings.
    """

    def __init__(self, overrides: list[Parameter] | None = None) -> None:
        super().__init__("vr_teleop_node", parameter_overrides=overrides)
        contract = find_contract(self.declare_parameter("contract", "xarm_kitchen").value)
        self._period_s = contract.arm.period_ns / 1e9
        self._arm = HandToArm(declared(self, HandArmSettings))
        self._targets = TargetPublisher(self, contract)
        self._points: FloatArray | None = None
        self._refused, self._was_engaged = 0, False
        self._robot_hand(self.declare_parameter("robot_hand", "contract").value, contract)
        self._streams: list[tuple[LastMessage, Callable[[bytes, int], None]]] = []
        self._open_streams()
        # By the headset's time, not a simulation's.
        self.create_timer(LISTEN_S, self._listen, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.create_timer(self._period_s, self._step)

    @property
    def ports(self) -> list[int]:
        """The ports listened at: hand, the other hand where it decides, resolution, pause."""
        return [stream.port for stream, _ in self._streams]

    def _robot_hand(self, name: str, contract: Contract) -> None:
        if name == "contract":
            name = "none" if contract.hand is None else DRIVER_OF_KIND[contract.hand.kind]
        settings = declared(self, HandAllegroSettings)
        self._fingers = None if name == "none" else HandToAllegro(settings)
        self._measured_hand: FloatArray | None = None
        if self._fingers is None:
            return
        self._driver = hand_driver(name)
        self._hand = self.create_publisher(JointState, HAND_TOPIC, COMMANDS)
        stream = contract.hand_stream
        states = self._driver.states_topic if stream is None else contract.streams[stream].topic
        topic = self.declare_parameter("hand_states", states).value
        self.create_subscription(JointState, topic, self._observe_hand, 10)

    def _open_streams(self) -> None:
        host = self.declare_parameter("host", "127.0.0.1").value
        side = self.declare_parameter("side", "right").value
        # Fingers that move a robot's fingers can't pinch to say something.
        gestures = self.declare_parameter("gestures", "same" if self._fingers is None else "other").value
        if side not in OTHER:
            raise UnknownNameError("side", side, OTHER)
        if gestures not in ("same", "other"):
            raise UnknownNameError("gestures", gestures, ("same", "other"))

        def listen(name: str, port: int, take: Callable[[bytes, int], None]) -> None:
            port = self.declare_parameter(name, port).value
            self._streams.append((LastMessage(host, port, most_bytes=MOST_BYTES), take))

        if gestures == "same":
            listen("port", KEYPOINT_PORTS[side], self._take_both)
        else:
            listen("port", KEYPOINT_PORTS[side], self._take_hand)
            listen("gesture_port", KEYPOINT_PORTS[OTHER[side]], self._take_gesture)
        listen("resolution_port", RESOLUTION_PORT, self._take_resolution)
        listen("pause_port", PAUSE_PORT, self._take_pause)

    def _listen(self) -> None:
        stamp_ns = now_ns(self.get_clock())
        for stream, take in self._streams:
            message = stream.take()
            if message is None:
                continue
            try:
                take(message, stamp_ns)
            except HandMessageError as error:
                # As good as no message: the hand goes stale and pauses.
                self._refused += 1
                text = f"{error} ({self._refused} messages refused)"
                self.get_logger().warning(text, throttle_duration_sec=1.0)

    def _take_both(self, message: bytes, stamp_ns: int) -> None:
        self._take_hand(message, stamp_ns)
        self._take_gesture(message, stamp_ns)

    def _take_hand(self, message: bytes, stamp_ns: int) -> None:
        hand = parse_hand(message)
        self._arm.hand(hand, stamp_ns)
        self._points = hand.points

    def _take_gesture(self, message: bytes, stamp_ns: int) -> None:
        self._arm.gesture(parse_hand(message), stamp_ns)

    def _take_resolution(self, message: bytes, _stamp_ns: int) -> None:
        self._arm.resolution(parse_level(message))

    def _take_pause(self, message: bytes, _stamp_ns: int) -> None:
        self._arm.pause_level(parse_level(message))

    def _observe_hand(self, message: JointState) -> None:
        joints = self._driver.from_driver(message.name, message.position)
        self._measured_hand = self._measured_hand if joints is None else joints

    def _step(self) -> None:
        stamp_ns = now_ns(self.get_clock())
        self._arm.check(stamp_ns)
        self._tell()
        self._step_arm(stamp_ns)
        self._step_hand(stamp_ns)

    def _step_arm(self, stamp_ns: int) -> None:
        if (measured := self._targets.measured) is None:
            return
        target = self._arm.step(measured, stamp_ns, gripper_closed=self._targets.closed)
        if target is not None:
            self._targets.publish(target, stamp_ns)

    def _step_hand(self, stamp_ns: int) -> None:
        if self._fingers is None:
            return
        points = self._points if self._arm.engaged else None
        joints = self._fingers.follow(points, self._measured_hand, self._period_s)
        if joints is not None:
            ordered = self._driver.to_driver(joints).tolist()
            self._hand.publish(to_joint_state(self._driver.joints, ordered, stamp_ns=stamp_ns))

    def _tell(self) -> None:
        if self._arm.engaged != self._was_engaged:
            self._was_engaged = self._arm.engaged
            self.get_logger().info("engaged" if self._was_engaged else f"paused: {self._arm.reason}")

    def destroy_node(self) -> None:
        """Close the ports, then destroy the node."""
        for stream, _ in self._streams:
            stream.close()
        super().destroy_node()


def main() -> int:
    """Run the device until it is interrupted."""
    return run(VrTeleopNode)
