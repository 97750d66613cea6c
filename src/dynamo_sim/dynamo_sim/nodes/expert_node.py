"""The scripted demonstrator at the place of a person: resets, records, demonstrates, says how it went."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from dynamo_interfaces.msg import Outcome
from dynamo_interfaces.srv import ResetStation, StartEpisode, StopEpisode
from geometry_msgs.msg import PoseArray, PoseStamped
from rclpy.client import Client
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from dynamo_policies.observation import Pose, Target
from dynamo_policies.sinks import TrajectoryArm, of_kind
from dynamo_policies.streams import PoseStream
from dynamo_ros.locations import find_contract
from dynamo_ros.nodes.commands import action_stream
from dynamo_ros.nodes.messages import from_pose_message, now_ns, to_joint_state, to_ns, to_pose_stamped
from dynamo_ros.nodes.qos import COMMANDS
from dynamo_ros.nodes.spin import Life, run
from dynamo_ros.nodes.teleop_node import GRIPPER_TOPIC, HAND_TOPIC, POSE_TOPIC
from dynamo_sim.session import Attempt, SessionError, SessionPlan
from dynamo_sim.stations import Expert, station_kind

# Real time for anything to answer; a station without graphics acceleration takes its time to come up.
ANSWER_S, STARTUP_S = 20.0, 60.0
PREROLL_NS = 300_000_000  # of standing still after a reset, until every stream has spoken
LINGER_S = 1.0  # after the expert has finished, for the judge


class ExpertNode(Node):
    """What the demonstrator sees and says. Ground truth is its privilege: it stands for a person's eyes.

    Parameters: `contract` (name or path), `tasks` (empty: all of the contract), `episodes` (successes for
    each task), `seed`, `discard_failures` (else failed attempts are kept with their outcome).
    """

    def __init__(self, overrides: list[Parameter] | None = None) -> None:
        super().__init__("expert_node", parameter_overrides=overrides)
        self.contract = find_contract(self.declare_parameter("contract", "xarm_kitchen").value)
        self._kind = station_kind(self.contract.name)
        tasks = [task for task in self.declare_parameter("tasks", [""]).value if task]
        for task in tasks:
            self.contract.task(task)
        self.plan = SessionPlan(
            tasks or list(self.contract.tasks),
            episodes=self.declare_parameter("episodes", 1).value,
            seed=self.declare_parameter("seed", 0).value,
        )
        self.discards_failures = self.declare_parameter("discard_failures", value=False).value
        self.outcome: Outcome | None = None
        self.commanded_ns = 0
        self.objects: PoseArray | None = None
        self._pose = self.create_publisher(PoseStamped, POSE_TOPIC, COMMANDS)
        self._wish = self.create_publisher(JointState, GRIPPER_TOPIC, COMMANDS)
        self._hand = self.create_publisher(JointState, HAND_TOPIC, COMMANDS)
        self.create_subscription(Outcome, "/station/outcome", self._see_outcome, 10)
        self.create_subscription(PoseArray, "/station/objects", self._see_objects, 10)
        commanded = action_stream(self.contract, PoseStream).topic
        self.create_subscription(PoseStamped, commanded, self._see_command, COMMANDS)
        self.reset = self.create_client(ResetStation, "/station/reset")
        self.rearm = self.create_client(Trigger, "/teleop_node/rearm")
        self.start = self.create_client(StartEpisode, "/recorder/start")
        self.stop = self.create_client(StopEpisode, "/recorder/stop")
        self.discard = self.create_client(Trigger, "/recorder/discard")

    @property
    def now_ns(self) -> int:
        """The ROS clock, nanoseconds."""
        return now_ns(self.get_clock())

    def poses(self) -> dict[str, Pose]:
        """Return where everything was last seen."""
        assert self.objects is not None
        return {
            name: from_pose_message(pose)
            for name, pose in zip(self._kind.objects, self.objects.poses, strict=True)
        }

    def plan_demonstration(self, attempt: Attempt) -> Expert:
        """Return the demonstration of `attempt` from where everything was last seen."""
        poses, random = self.poses(), np.random.default_rng([attempt.seed, 1])
        return self._kind.expert(self.contract, attempt.task, poses, poses["tool"], random)

    def aim(self, target: Target) -> None:
        """Publish a target."""
        stamp_ns = self.now_ns
        # The gripper first: teleoperation engages with the first pose, and needs its wish by then.
        if self.contract.gripper is not None:
            self._wish.publish(to_joint_state(["gripper"], [target.gripper], stamp_ns=stamp_ns))
        if self.contract.hand is not None and target.hand is not None:
            joints = target.hand.tolist()
            self._hand.publish(to_joint_state(self.contract.hand.joints, joints, stamp_ns=stamp_ns))
        self._pose.publish(to_pose_stamped(target.pose, stamp_ns=stamp_ns, frame=self.contract.base_frame))

    def _see_outcome(self, message: Outcome) -> None:
        self.outcome = message

    def _see_command(self, message: PoseStamped) -> None:
        self.commanded_ns = to_ns(message.header.stamp)

    def _see_objects(self, message: PoseArray) -> None:
        self.objects = message


class Session:
    """Works through the plan of a session, step by step, on the thread that spins the node."""

    def __init__(self, alive: Life, node: ExpertNode) -> None:
        self._alive, self._node = alive, node

    def run(self) -> None:
        """Demonstrate until the plan is fulfilled; SessionError if that fails, or if somebody interrupts."""
        plan, node = self._node.plan, self._node
        for attempt in plan.attempts():
            wall, begun_ns = time.monotonic(), node.now_ns
            outcome, bag = self._attempt(attempt)
            plan.note(attempt, success=outcome.success)
            factor = (node.now_ns - begun_ns) / 1e9 / (time.monotonic() - wall)
            verdict = "success" if outcome.success else f"failure ({outcome.reason or 'not done in time'})"
            node.get_logger().info(
                f"{plan.reached}/{plan.wanted} {attempt.task} seed {attempt.seed}: {verdict} after "
                f"{outcome.elapsed:.1f} s, {factor:.1f} times real time; {bag}"
            )

    def _attempt(self, attempt: Attempt) -> tuple[Outcome, str]:
        """Demonstrate once, and return the outcome and what was recorded."""
        note = f"scripted expert, seed {attempt.seed}"
        start = StartEpisode.Request(task=attempt.task, operator_name="scripted expert", note=note)
        deadline = time.monotonic() + STARTUP_S
        self._prepare(attempt)
        # A recorder that just came up may have missed the gripper; after a reset it speaks again.
        while not (response := self._ask(self._node.start, start)).success:
            if time.monotonic() > deadline:
                raise SessionError(f"/recorder/start refused: {response.message}")
            self._prepare(attempt)
        outcome = self._demonstrate(attempt)
        return outcome, self._end_recording(outcome)

    def _prepare(self, attempt: Attempt) -> None:
        """Reset the station and take control of the arm."""
        node = self._node
        self._call(node.reset, ResetStation.Request(task=attempt.task, seed=attempt.seed))
        reset_ns = node.now_ns
        # It is refused while a stop still brakes.
        self._until(
            lambda: bool(self._ask(node.rearm, Trigger.Request()).success),
            "teleoperation to re-arm; is an e-stop pressed?",
        )
        self._until(lambda: self._knows_since(reset_ns + PREROLL_NS), "news of the station")
        self._engage()

    def _engage(self) -> None:
        """Ask for the pose where the tool is until teleoperation commands it and the arm's driver listens."""
        node, deadline = self._node, time.monotonic() + ANSWER_S
        still, begun_ns = Target(node.poses()["tool"], 0.0), node.now_ns
        topic = of_kind(node.contract.arm, TrajectoryArm, "the simulated station").topic
        while node.commanded_ns <= begun_ns or not node.count_subscribers(topic):
            if time.monotonic() > deadline:
                raise SessionError(f"no command on {topic} follows the targets")
            node.aim(still)
            self._pause(0.02)

    def _demonstrate(self, attempt: Attempt) -> Outcome:
        """Publish targets at the rate of commands until the station's judge or the expert is done."""
        node, period_ns = self._node, self._node.contract.arm.period_ns
        expert = node.plan_demonstration(attempt)
        start_ns = next_ns = node.now_ns
        while not expert.finished((next_ns - start_ns) / 1e9 - LINGER_S):
            self._until(partial(self._is_past, next_ns), "simulated time to go on")
            if node.outcome is not None and node.outcome.done:
                break
            node.aim(expert.target((node.now_ns - start_ns) / 1e9))
            next_ns += period_ns
        assert node.outcome is not None
        return node.outcome

    def _end_recording(self, outcome: Outcome) -> str:
        if not outcome.success and self._node.discards_failures:
            self._call(self._node.discard, Trigger.Request())
            return "discarded"
        request = StopEpisode.Request(
            outcome="success" if outcome.success else "failure", note=outcome.reason
        )
        stopped = self._call(self._node.stop, request)
        return f"{stopped.path}: {stopped.messages} messages, {stopped.dropped} dropped"

    def _is_past(self, stamp_ns: int) -> bool:
        return self._node.now_ns >= stamp_ns

    def _knows_since(self, stamp_ns: int) -> bool:
        seen = (self._node.outcome, self._node.objects)
        return all(message is not None and to_ns(message.header.stamp) >= stamp_ns for message in seen)

    def _call(self, client: Client, request: Any) -> Any:
        """Return the response of a service; SessionError if it refuses or does not answer."""
        response = self._ask(client, request)
        if not response.success:
            raise SessionError(f"{client.srv_name} refused: {response.message}")
        return response

    def _ask(self, client: Client, request: Any) -> Any:
        name = client.srv_name
        self._until(client.service_is_ready, f"service {name}", STARTUP_S)
        future = client.call_async(request)
        self._until(future.done, f"an answer of {name}")
        return future.result()

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._until(lambda: time.monotonic() >= end, "the end of a pause")

    def _until(self, condition: Callable[[], bool], what: str, timeout_s: float = ANSWER_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if not self._alive.going_on:
                raise SessionError("interrupted")
            if time.monotonic() > deadline:
                raise SessionError(f"waited {timeout_s:g} s in vain for {what}")
            self._alive.spin_once(0.05)


def main() -> int:
    """Run a session of demonstrations; return 0 when every task has its successes."""
    return run(ExpertNode, lambda alive, node: Session(alive, node).run())
