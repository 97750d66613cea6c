"""Evaluates a policy over ROS: trials with known starts, recorded and judged one by one."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from dynamo_interfaces.msg import Outcome
from dynamo_interfaces.srv import ResetStation, StartEpisode, StopEpisode
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from dynamo_policies.bundle import read_manifest
from dynamo_policies.contract import parse_contract
from dynamo_ros.core.rollout import GRACE_S, PREROLL_NS
from dynamo_ros.core.trials import Trial, TrialLog, TrialResult, choose_tasks, describe, plan_trials
from dynamo_ros.nodes.calls import Caller, CallError
from dynamo_ros.nodes.health import NAME as INFERENCE
from dynamo_ros.nodes.messages import SECOND_NS, now_ns, to_ns
from dynamo_ros.nodes.spin import Life, run

CONFIGURE_S = 120.0  # real time for networks to load
STALLED_S = 30.0  # real time without any progress of the ROS clock
PATIENCE_S = 3600.0  # real time for a person to prepare a trial


class Verdict(NamedTuple):
    """How a trial ended."""

    success: bool
    reason: str
    seconds: float


class Health(NamedTuple):
    """What the inference node last said about itself."""

    stamp_ns: int
    stopped: str  # why the arm is stopped, or empty
    values: dict[str, str]


class EvaluationNode(Node):
    """What the evaluation hears and whom it may call.

    Parameters: `bundle` (folder), `trials`, `seed`, `tasks` (empty: all of the bundle), `out` (folder),
    `name`, `simulated` (whether a station resets and judges; else a person does, by the services `~/ready`,
    `~/success` and `~/failure`).
    """

    def __init__(self, overrides: list[Parameter] | None = None) -> None:
        super().__init__("evaluation_node", parameter_overrides=overrides)
        self.bundle = Path(self.declare_parameter("bundle", "").value)
        self.manifest = read_manifest(self.bundle)
        self.contract = parse_contract(self.manifest.contract, where=str(self.bundle))
        wanted = [task for task in self.declare_parameter("tasks", [""]).value if task]
        self.seed = self.declare_parameter("seed", 0).value
        tasks = choose_tasks(wanted, self.manifest.tasks)
        self.trials = plan_trials(tasks, self.declare_parameter("trials", 10).value, self.seed)
        self.out = Path(self.declare_parameter("out", "rollouts").value).expanduser()
        self.title = self.declare_parameter("name", "").value
        self.simulated = self.declare_parameter("simulated", value=True).value
        self.outcome: Outcome | None = None
        self.health: Health | None = None
        self.ready = False
        self.verdict: Verdict | None = None  # a person's
        self._listen()
        self._find_services()

    @property
    def now_ns(self) -> int:
        """The ROS clock, nanoseconds."""
        return now_ns(self.get_clock())

    def _listen(self) -> None:
        self.create_subscription(Outcome, "/station/outcome", self._see_outcome, 10)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._see_health, 10)
        self.create_service(Trigger, "~/ready", self._hear_ready)
        self.create_service(Trigger, "~/success", self._hear_success)
        self.create_service(Trigger, "~/failure", self._hear_failure)

    def _find_services(self) -> None:
        self.reset = self.create_client(ResetStation, "/station/reset")
        self.start = self.create_client(StartEpisode, "/recorder/start")
        self.stop = self.create_client(StopEpisode, "/recorder/stop")
        self.change = self.create_client(ChangeState, "/inference_node/change_state")
        self.state = self.create_client(GetState, "/inference_node/get_state")
        self.rearm = self.create_client(Trigger, "/inference_node/rearm")
        self.set = self.create_client(SetParameters, "/inference_node/set_parameters")

    def _see_outcome(self, message: Outcome) -> None:
        self.outcome = message

    def _see_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == INFERENCE:
                values = {pair.key: pair.value for pair in status.values}
                stopped = status.message if status.level == DiagnosticStatus.ERROR else ""
                self.health = Health(to_ns(message.header.stamp), stopped, values)

    def _hear_ready(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.ready = response.success = True
        return response

    def _hear_success(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.verdict, response.success = Verdict(success=True, reason="judged by a person", seconds=0.0), True
        return response

    def _hear_failure(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.verdict, response.success = (
            Verdict(success=False, reason="judged by a person", seconds=0.0),
            True,
        )
        return response


class Evaluation:
    """Works through the trials, step by step, on the thread that spins the node."""

    def __init__(self, alive: Life, node: EvaluationNode) -> None:
        self._node, self._caller = node, Caller(alive)
        self._active_ns = 0

    def run(self) -> None:
        """Do all trials; CallError if something does not answer or somebody interrupts."""
        node, begun = self._node, time.monotonic()
        about = {
            "name": node.title,
            "bundle": str(node.bundle),
            "contract_hash": node.manifest.contract_hash,
            "seed": node.seed,
        }
        log = TrialLog(node.out, node.trials, about)
        self._configure()
        for trial in node.trials:
            _tell(log.add(self._attempt(trial)))
        _tell(f"{describe(log.finish())}; {time.monotonic() - begun:.0f} s; {node.out}")

    def _attempt(self, trial: Trial) -> TrialResult:
        """Do one trial, from a still arm to a still arm."""
        self._deactivate()
        since_ns = self._prepare(trial)
        self._caller.call(self._node.rearm, Trigger.Request())
        request = StartEpisode.Request(task=trial.task, operator_name="policy", note=f"seed {trial.seed}")
        self._caller.call_patiently(self._node.start, request)
        self._set_task(trial.task)
        self._activate()
        # A stop that was reported before is over: the node was re-armed.
        self._active_ns = self._node.now_ns
        verdict = self._watch(trial, since_ns)
        counts = self._end_episode()
        outcome = "success" if verdict.success else "failure"
        stopped = self._caller.call(
            self._node.stop, StopEpisode.Request(outcome=outcome, note=verdict.reason)
        )
        return TrialResult(
            number=trial.number,
            task=trial.task,
            seed=trial.seed,
            success=verdict.success,
            reason=verdict.reason,
            seconds=round(verdict.seconds, 2),
            bag=os.path.relpath(stopped.path, self._node.out),
            dropped=stopped.dropped,
            skipped=counts.get("skipped"),
            stale=counts.get("stale"),
        )

    def _prepare(self, trial: Trial) -> int:
        """Have the start state made; return the ROS time from which on what is seen belongs to the trial."""
        node = self._node
        node.verdict = None
        if node.simulated:
            self._caller.call(node.reset, ResetStation.Request(task=trial.task, seed=trial.seed))
            since_ns = node.now_ns
            self._caller.until(lambda: node.now_ns >= since_ns + PREROLL_NS, "the clock to go on", STALLED_S)
            return since_ns
        todo = f"prepare start {trial.seed} of {node.contract.task(trial.task).prompt!r}"
        _tell(f"trial {trial.number + 1}: {todo}, then call {node.get_name()}/ready")
        self._caller.until(lambda: node.ready, "a person to call ~/ready", PATIENCE_S)
        node.ready = False
        return node.now_ns

    def _watch(self, trial: Trial, since_ns: int) -> Verdict:
        """Wait for the end of the trial: a verdict, a stop of the arm, or the task's time limit."""
        node, limit_s = self._node, self._node.contract.task(trial.task).time_limit_s + GRACE_S
        verdict: Verdict | None = None
        while verdict is None:
            seen_ns = node.now_ns
            self._caller.until(
                lambda: self._judged(since_ns) is not None or node.now_ns > seen_ns + SECOND_NS,  # noqa: B023 (used at once)
                "the clock to go on",
                STALLED_S,
            )
            verdict = self._judged(since_ns)
            elapsed_s = (node.now_ns - since_ns) / SECOND_NS
            if verdict is None and elapsed_s > limit_s:
                verdict = Verdict(success=False, reason="time limit", seconds=elapsed_s)
        return verdict

    def _judged(self, since_ns: int) -> Verdict | None:
        node, elapsed_s = self._node, (self._node.now_ns - since_ns) / SECOND_NS
        if node.verdict is not None:
            return node.verdict._replace(seconds=elapsed_s)
        outcome = node.outcome
        if outcome is not None and outcome.done and to_ns(outcome.header.stamp) > since_ns:
            return Verdict(success=outcome.success, reason=outcome.reason, seconds=outcome.elapsed)
        health = node.health
        if health is not None and health.stopped and health.stamp_ns > self._active_ns:
            return Verdict(success=False, reason=health.stopped, seconds=elapsed_s)
        return None

    def _end_episode(self) -> dict[str, int]:
        """Deactivate the inference node and return what it counted."""
        node, ending_ns = self._node, self._node.now_ns
        self._deactivate()

        def told() -> bool:
            health = node.health
            return (
                health is not None and health.stamp_ns >= ending_ns and health.values["active"] == str(False)
            )

        self._caller.until(told, "the inference node's report of the trial")
        assert node.health is not None
        return {key: int(value) for key, value in node.health.values.items() if value.isdigit()}

    def _configure(self) -> None:
        """Have the inference node load its bundle, if it has not."""
        if self._inference_is(State.PRIMARY_STATE_UNCONFIGURED):
            self._transit(Transition.TRANSITION_CONFIGURE, "configure", CONFIGURE_S)

    def _activate(self) -> None:
        self._transit(Transition.TRANSITION_ACTIVATE, "activate")

    def _deactivate(self) -> None:
        if self._inference_is(State.PRIMARY_STATE_ACTIVE):
            self._transit(Transition.TRANSITION_DEACTIVATE, "deactivate")

    def _inference_is(self, state: int) -> bool:
        return bool(self._caller.ask(self._node.state, GetState.Request()).current_state.id == state)

    def _transit(self, transition: int, name: str, timeout_s: float = 20.0) -> None:
        request = ChangeState.Request(transition=Transition(id=transition))
        if not self._caller.ask(self._node.change, request, timeout_s).success:
            raise CallError(f"the inference node can't {name}; its log says why")

    def _set_task(self, task: str) -> None:
        request = SetParameters.Request(parameters=[Parameter("task", value=task).to_parameter_msg()])
        result = self._caller.ask(self._node.set, request).results[0]
        if not result.successful:
            raise CallError(f"the inference node does not take task {task!r}: {result.reason}")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run an evaluation; return 0 when all trials were done, whatever came of them."""
    return run(EvaluationNode, lambda alive, node: Evaluation(alive, node).run())
