"""Commands the robot towards the targets of a teleoperation device, within the contract's limits."""

from __future__ import annotations

from control_msgs.msg import JointJog
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from dynamo_policies.observation import Sample
from dynamo_ros.core.gates import ClockGate
from dynamo_ros.core.joint_jog import JogError, jog_velocities
from dynamo_ros.core.teleoperation import Teleoperation
from dynamo_ros.locations import find_contract
from dynamo_ros.nodes.authority import AuthorityTopic
from dynamo_ros.nodes.clocks import Clocks
from dynamo_ros.nodes.commands import CommandPublisher, bring_to_rest
from dynamo_ros.nodes.estop import EstopIn
from dynamo_ros.nodes.measured import JointReader
from dynamo_ros.nodes.messages import now_ns
from dynamo_ros.nodes.person_in import GRIPPER_TOPIC, HAND_TOPIC, POSE_TOPIC, PersonIn
from dynamo_ros.nodes.qos import COMMANDS
from dynamo_ros.nodes.spin import run
from dynamo_ros.nodes.twist_in import TwistIn

__all__ = ["GRIPPER_TOPIC", "HAND_TOPIC", "JOG_TOPIC", "POSE_TOPIC", "TeleopNode"]
JOG_TOPIC = "/teleop/joint_jog"


class TeleopNode(Node):
    """Feeds targets, twists, jogs and measured joints to a Teleoperation and publishes what it commands.

    Parameters: `contract` (name or path), `tool_frame` (see `TwistIn`). Services: `~/stop` and `~/rearm`.
    """

    def __init__(self, overrides: list[Parameter] | None = None) -> None:
        super().__init__("teleop_node", parameter_overrides=overrides)
        contract = find_contract(self.declare_parameter("contract", "xarm_kitchen").value)
        self._arm = contract.arm
        self._teleoperation = Teleoperation(contract)
        self._commands = CommandPublisher(self, contract)
        self._hand_stream = contract.hand_stream
        measured = [name for name in (contract.arm_stream, contract.hand_stream) if name is not None]
        self._joints = JointReader(self, contract, measured, self._observe)
        self._authority = AuthorityTopic(self)
        self._pressed = self._commanded = self._brakes = False
        self._person = PersonIn(self, contract, self._teleoperation)
        self._twists = TwistIn(self, contract, self._teleoperation)
        self.create_subscription(JointJog, JOG_TOPIC, self._jog, COMMANDS)
        self._estop_topic = contract.gates.estop.topic
        self._estop = EstopIn(self, self._estop_topic, self._press)
        self.create_service(Trigger, "~/stop", self._stop)
        self.create_service(Trigger, "~/rearm", self._rearm)
        self._clocks, self._clock_gate = Clocks(self), ClockGate(contract.gates.clock)
        self.create_timer(contract.arm.period_ns / 1e9, self._step, clock=self._clocks.ticking)

    def destroy_node(self) -> None:
        """Bring the arm to rest while the topics still work."""
        last = self._teleoperation.finish(self._now_ns())
        bring_to_rest(self._commands, last, arm=self._arm, now_ns=self._now_ns)
        super().destroy_node()

    def _observe(self, sample: Sample) -> None:
        if sample.stream == self._hand_stream:
            self._teleoperation.observe_hand(sample.value, sample.stamp_ns)
        else:
            self._teleoperation.observe(sample.value, sample.stamp_ns)

    def _jog(self, message: JointJog) -> None:
        try:
            velocities = jog_velocities(self._arm.joints, message.joint_names, message.velocities)
        except JogError as error:
            self.get_logger().error(f"{JOG_TOPIC}: {error}", throttle_duration_sec=1.0)
            return
        self._teleoperation.jog(velocities, self._now_ns())

    def _step(self) -> None:
        stamp_ns, was_stopped = self._clocks.look(), self._teleoperation.stopped
        if not self._clocks.simulated:
            self._compare_clocks(stamp_ns)
        self._twists.step(stamp_ns)
        self._yield()
        ready = self._can_command(stamp_ns)
        command = self._teleoperation.step(stamp_ns) if ready else None
        self._commanded = command is not None
        stopped = self._teleoperation.stopped
        if command is not None and self._teleoperation.may_send(command, self._clocks.later_ns):
            self._commands.publish(command, stamp_ns)
        elif command is None:
            # A driver with a fault takes no more commands, so none is waited for.
            braking = ready and self._teleoperation.moving
            self._commands.rest(stopped=stopped is not None and not braking)
            if self._teleoperation.engagement == "idle" and not braking:
                self._commands.end_velocity()
        self._brakes = ready and self._teleoperation.moving
        engaged = self._teleoperation.engagement != "idle" and stopped is None
        # Until the arm rests nobody else is to move it.
        self._authority.tell("person" if engaged or self._brakes else "nobody")
        if stopped is not None and was_stopped is None:
            self.get_logger().error(f"stopped: {stopped.text}; call ~/rearm to go on")
        if self._teleoperation.lacks_gripper(stamp_ns):
            text = f"nothing moves before the first target for the gripper, on {GRIPPER_TOPIC}"
            self.get_logger().warning(text, throttle_duration_sec=2.0, skip_first=True)

    def _compare_clocks(self, stamp_ns: int) -> None:
        """Go on as if nothing had been where the clock of stamps jumps a little; stop where it jumps far."""
        self._teleoperation.shift_clock(self._clock_gate.saw(stamp_ns, self._clocks.steady_ns))
        if (verdict := self._clock_gate.check(stamp_ns)).reaction == "stop":
            if self._teleoperation.engagement != "idle":
                self._teleoperation.stop(verdict.text)
            self._clock_gate.reset(stamp_ns)

    def _yield(self) -> None:
        """Let go while another node commands: an inference node follows a person's targets itself."""
        other = self._authority.other
        self._teleoperation.yields = other is not None
        if other is not None and self._teleoperation.engagement != "idle":
            self._teleoperation.let_go()
            self.get_logger().info(f"{other.node} moves the arm")

    def _press(self, pressed: bool) -> None:
        self._pressed = pressed
        if pressed:
            self._teleoperation.stop(f"estop: true on {self._estop_topic}")

    def _can_command(self, stamp_ns: int) -> bool:
        """Return whether the arm's driver is ready; it is made so from the first target on."""
        if self._teleoperation.engagement == "idle":
            return True
        ready = self._commands.ready(stamp_ns)
        if fault := self._commands.fault():
            self._teleoperation.stop(fault)
        return ready

    def _now_ns(self) -> int:
        return now_ns(self.get_clock())

    def _stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._teleoperation.stop("asked for by ~/stop")
        response.success = True
        return response

    def _rearm(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._pressed:
            response.message = f"the e-stop on {self._estop_topic} is still pressed"
            return response
        if self._brakes or (self._commanded and self._teleoperation.stopped is not None):
            response.message = "the arm is still coming to rest; ask again"
            return response
        self._teleoperation.rearm()
        self._commands.prepare()
        response.success, response.message = True, "the next target engages at the measured pose"
        return response


def main() -> int:
    """Run teleoperation until it is interrupted."""
    return run(TeleopNode)
