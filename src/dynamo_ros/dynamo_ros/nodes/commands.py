"""The way of a command to the drivers, and to whoever records what was commanded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node

from dynamo_policies.contract import Contract
from dynamo_policies.errors import ConfigError
from dynamo_policies.observation import Sample, Target
from dynamo_policies.sinks import Arm
from dynamo_policies.streams import PoseStream, Stream
from dynamo_ros.core.command_clock import patience_ns
from dynamo_ros.core.commander import ArmCommand
from dynamo_ros.drivers import ARM_DRIVERS
from dynamo_ros.nodes.bus import RosBus
from dynamo_ros.nodes.gripper_commands import GripperPublisher
from dynamo_ros.nodes.hand_commands import HandPublisher
from dynamo_ros.nodes.measured import JointReader
from dynamo_ros.nodes.messages import to_pose_stamped
from dynamo_ros.nodes.qos import COMMANDS

T = TypeVar("T", bound=Stream)


class CommandPublisher:
    """Sends each command to the drivers and publishes it as the contract's action streams.

    Commands may come while it is `ready`. After a latched stop it is not, until `prepare`.
    """

    def __init__(self, node: Node, contract: Contract) -> None:
        self._node = node
        self.sent_ns = 0  # when a command was sent last, by the steady clock
        self._prepared = self._halted = self._sent = False
        self._pose_stream = action_stream(contract, PoseStream)
        self._target_pose = node.create_publisher(PoseStamped, self._pose_stream.topic, COMMANDS)
        self._bus = RosBus(node)
        self._arm = ARM_DRIVERS[contract.arm.kind](self._bus, contract)
        # Decoding costs time: nobody does it twice who need not.
        measured = [contract.arm_stream] if self._arm.NEEDS_JOINTS else []
        self._measured = JointReader(node, contract, measured, self._observe)
        self._gripper = None if contract.gripper is None else GripperPublisher(node, contract)
        self._hand = None if contract.hand is None else HandPublisher(node, contract)

    def prepare(self) -> None:
        """Make the driver ready anew when `ready` is asked next; a person's wish, never a program's."""
        self._prepared = self._halted = False

    def ready(self, now_ns: int) -> bool:
        """Return whether commands may come; to be asked with each tick, since that prepares the driver."""
        if not self._prepared:
            self._prepared = True
            self._arm.prepare(now_ns)
        return self._arm.ready(now_ns)

    def fault(self) -> str:
        """Return why the arm can't be commanded, for the caller to stop by; an empty text while it can."""
        return self._arm.fault() if self._prepared else ""

    def rest(self, *, stopped: bool) -> None:
        """Take note that there is no command now; where a stop is latched the driver stops too, once."""
        if stopped and not self._halted:
            self._arm.halt()
        self._halted = stopped

    def end_velocity(self) -> None:
        """Let no velocity go on by itself after the last command, which did not brake."""
        if self._sent:
            self._arm.release()
        self._sent = False

    def publish(self, command: ArmCommand, stamp_ns: int) -> None:
        """Send `command`, given for `stamp_ns`; nothing is waited for."""
        self._sent, self.sent_ns = True, time.monotonic_ns()
        self._arm.send(command, stamp_ns)
        if self._hand is not None and command.hand is not None:
            self._hand.publish(command.hand.tolist(), stamp_ns)
        self.tell(command.target, command.gripper, stamp_ns)

    def tell(self, target: Target, gripper_goal: float | None, stamp_ns: int) -> None:
        """Publish `target` as commanded and send the gripper its goal, if any; arm and hand get nothing."""
        frame = self._pose_stream.frame
        self._target_pose.publish(to_pose_stamped(target.pose, stamp_ns=stamp_ns, frame=frame))
        if self._gripper is not None:
            self._gripper.publish(target.gripper, gripper_goal, stamp_ns)

    def destroy(self) -> None:
        """End velocities, and take the drivers' ends off the node."""
        self._arm.release()
        self._measured.destroy()
        self._bus.destroy()
        self._node.destroy_publisher(self._target_pose)
        for end in (self._gripper, self._hand):
            if end is not None:
                end.destroy()

    def _observe(self, sample: Sample) -> None:
        self._arm.observe(np.asarray(sample.value, np.float64))


class _Publisher(Protocol):
    @property
    def sent_ns(self) -> int: ...

    def publish(self, command: ArmCommand, stamp_ns: int) -> None: ...


def bring_to_rest(
    publisher: _Publisher, commands: Iterable[ArmCommand], *, arm: Arm, now_ns: Callable[[], int]
) -> None:
    """Publish the last `commands` of `arm`, one a period; nothing else happens meanwhile.

    The first comes a period after the last of the motion, whenever that was ended: an arm that is still on
    its way to the one would have to hurry to the other.

    Where they are held up for so long that the arm stands, or has begun to brake by itself, the rest is not
    sent, since it would be a jolt; its time passes, until the arm is at rest in any case.
    """
    time.sleep(max(0, publisher.sent_ns + arm.period_ns - time.monotonic_ns()) / 1e9)
    sent_ns, late = time.monotonic_ns(), False
    for command in commands:
        begun_ns = time.monotonic_ns()
        late = late or begun_ns - sent_ns > patience_ns(arm)
        if not late:
            sent_ns = begun_ns
            publisher.publish(command, now_ns())
        time.sleep(arm.period_ns / 1e9)


def action_stream(contract: Contract, kind: type[T]) -> T:
    """Return the contract's first action stream of this kind, ConfigError if it has none."""
    for stream in contract.streams.values():
        if stream.role == "action" and isinstance(stream, kind):
            return stream
    raise ConfigError(f"contract {contract.name!r} has no {kind.__name__} with role action")
