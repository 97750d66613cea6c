"""Evaluates a policy over ROS: trials with known starts, recorded and judged one by one."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

from dynamo_interfaces.msg import Outcome
from dynamo_interfaces.srv import ResetStation, StartEpisode, StopEpisode
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from dynamo_policies.bundle import read_manifest
from dynamo_policies.contract import parse_contract
from dynamo_policies.report.evaluation import report_evaluation
from dynamo_ros.core.rollout import GRACE_S, PREROLL_NS
from dynamo_ros.core.trials import Trial, TrialLog, TrialResult, choose_tasks, describe, plan_trials
from dynamo_ros.nodes.calls import Caller, CallError
from dynamo_ros.nodes.inference_client import InferenceClient
from dynamo_ros.nodes.messages import SECOND_NS, now_ns, to_ns
from dynamo_ros.nodes.spin import Life, run

STALLED_S = 30.0  # real time without any progress of the ROS clock
SILENCE_NS = 2 * SECOND_NS  # a station tells its outcome ten times a second
PATIENCE_S = 3600.0  # real time for a person to prepare a trial


class Verdict(NamedTuple):
    """How a trial ended."""

    success: bool
    reason: str
    seconds: float


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
        self.create_service(Trigger, "~/ready", self._hear_ready)
        self.create_service(Trigger, "~/success", self._hear_success)
        self.create_service(Trigger, "~/failure", self._hear_failure)

    def _find_services(self) -> None:
        self.reset = self.create_client(ResetStation, "/station/reset")
        self.start = self.create_client(StartEpisode, "/recorder/start")
        self.stop = self.create_client(StopEpisode, "/recorder/stop")

    def _see_outcome(self, message: Outcome) -> None:
        self.outcome = message

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
        self._inference = InferenceClient(node, self._caller)

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
        self._inference.configure()
        for trial in node.trials:
            _tell(log.add(self._attempt(trial)))
        _tell(f"{describe(log.finish())}; {time.monotonic() - begun:.0f} s")
        _tell(f"report: {report_evaluation(node.out)}")

    def _attempt(self, trial: Trial) -> TrialResult:
        """Do one trial, from a still arm to a still arm."""
        self._inference.ready()
        since_ns = self._prepare(trial)
        request = StartEpisode.Request(task=trial.task, operator_name="policy", note=f"seed {trial.seed}")
        self._caller.call_patiently(self._node.start, request)
        self._inference.begin(trial.task)
        verdict = self._watch(trial, since_ns)
        counts = self._inference.end()
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
            self._caller.until(lambda: self._heard(since_ns + PREROLL_NS), "news of the station", STALLED_S)
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
                if node.simulated and not self._heard(node.now_ns - SILENCE_NS):
                    raise CallError("the station has fallen silent; how the trial ended is not known")
                verdict = Verdict(success=False, reason="time limit", seconds=elapsed_s)
        return verdict

    def _heard(self, stamp_ns: int) -> bool:
        """Return whether the station has said how things stood at `stamp_ns` or later."""
        outcome = self._node.outcome
        return outcome is not None and to_ns(outcome.header.stamp) >= stamp_ns

    def _judged(self, since_ns: int) -> Verdict | None:
        node, elapsed_s = self._node, (self._node.now_ns - since_ns) / SECOND_NS
        if node.verdict is not None:
            return node.verdict._replace(seconds=elapsed_s)
        outcome = node.outcome
        if outcome is not None and outcome.done and to_ns(outcome.header.stamp) > since_ns:
            return Verdict(success=outcome.success, reason=outcome.reason, seconds=outcome.elapsed)
        if self._inference.stopped:
            return Verdict(success=False, reason=self._inference.stopped, seconds=elapsed_s)
        return None


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run an evaluation; return 0 when all trials were done, whatever came of them."""
    return run(EvaluationNode, lambda alive, node: Evaluation(alive, node).run())
