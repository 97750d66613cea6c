"""Evaluation over real DDS: the real nodes and a station without physics."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from dynamo_interfaces.msg import Outcome
from dynamo_interfaces.srv import ResetStation
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from bundle_factory import write_bundle
from dynamo_policies.bags import read_info
from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.errors import UnknownNameError
from dynamo_ros.nodes.calls import CallError
from dynamo_ros.nodes.evaluation_node import Evaluation, EvaluationNode
from dynamo_ros.nodes.inference_node import InferenceNode
from dynamo_ros.nodes.recorder_node import RecorderNode
from dynamo_ros.nodes.spin import Life
from ideal_robot import READY, Robot, write_patient
from ros_fixtures import Ros

GOAL = (0.45, 0.1, 0.3)


class Judge:
    """Resets the robot, and finds success where the tool has come near the goal; odd seeds break cameras."""

    def __init__(self, robot: Robot) -> None:
        self.robot, self.node, self.seeds = robot, robot.node, []
        self.node.create_service(ResetStation, "/station/reset", self.reset)
        self.outcomes = self.node.create_publisher(Outcome, "/station/outcome", 10)
        self.node.create_timer(0.05, self.tell)

    def reset(self, request: ResetStation.Request, response: ResetStation.Response) -> ResetStation.Response:
        self.seeds.append(request.seed)
        self.robot.joints, self.robot.poses[:] = READY, []
        self.robot.seeing = True
        response.success = True
        return response

    def tell(self) -> None:
        poses = self.robot.poses
        # Not before the arm moves: with broken cameras nothing would begin.
        self.robot.seeing = not poses or self.seeds[-1] % 2 == 0
        done = bool(poses) and self.robot.seeing and abs(poses[-1].pose.position.y - GOAL[1]) < 5e-3
        outcome = Outcome(success=done, done=done, reason="at the goal" if done else "", elapsed=1.0)
        outcome.header.stamp = self.node.get_clock().now().to_msg()
        self.outcomes.publish(outcome)


class Evaluating:
    """An evaluation that runs beside the test, on an executor of its own."""

    def __init__(self, values: dict[str, object]) -> None:
        self.node = EvaluationNode([Parameter(name, value=value) for name, value in values.items()])
        self.ended, self.error = threading.Event(), ""
        self.alive = Life(self.node, self.ended)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        try:
            Evaluation(self.alive, self.node).run()
        except CallError as error:
            self.error = str(error)

    def interrupt(self) -> None:
        self.ended.set()
        self.thread.join(timeout=60.0)

    def end(self) -> None:
        self.interrupt()
        self.alive.end()


@pytest.fixture
def evaluate(ros: Ros) -> Iterator[Callable[..., Evaluating]]:
    """Start evaluations, and end them before ROS does."""
    started: list[Evaluating] = []

    def start(**values: object) -> Evaluating:
        started.append(Evaluating(values))
        return started[-1]

    yield start
    for evaluating in started:
        evaluating.end()


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory, contract: Contract) -> Path:
    path = tmp_path_factory.mktemp("contract") / "patient.yaml"
    tasks = {name: dataclasses.replace(task, time_limit_s=120.0) for name, task in contract.tasks.items()}
    write_patient(dataclasses.replace(contract, tasks=tasks), path)
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, patient: Path) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle"), load_contract(patient), GOAL)


@pytest.fixture
def robot(ros: Ros, contract: Contract, patient: Path, bundle: Path, tmp_path: Path) -> Robot:
    ros.add(InferenceNode([Parameter("bundle", value=str(bundle))]))
    recording = {"out": str(tmp_path / "rollouts" / "bags"), "contract": str(patient)}
    ros.add(RecorderNode([Parameter(name, value=value) for name, value in recording.items()]))
    return Robot(ros.node("robot"), contract)


def test_trials_are_recorded_judged_and_summed_up(
    ros: Ros, robot: Robot, evaluate: Callable[..., Evaluating], bundle: Path, tmp_path: Path
) -> None:
    judge, out = Judge(robot), tmp_path / "rollouts"
    evaluating = evaluate(bundle=str(bundle), trials=3, seed=10, out=str(out))
    ros.until(lambda: not evaluating.thread.is_alive(), 600.0, "the end of the evaluation")
    assert evaluating.error == ""
    assert judge.seeds == [10, 11, 12]
    trials = json.loads((out / "trials.json").read_text())
    assert [trial["task"] for trial in trials] == ["put_yogurt", "fetch_yogurt", "put_yogurt"]
    assert [trial["success"] for trial in trials] == [True, False, True]
    assert "stopped: stale" in trials[1]["reason"]
    assert trials[1]["stale"] > 0
    assert [read_info(out / trial["bag"]).outcome for trial in trials] == ["success", "failure", "success"]
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["successes"], summary["trials"]) == (2, 3)
    assert summary["tasks"]["fetch_yogurt"]["rate"] == 0.0
    assert 0.0 < summary["low"] < summary["rate"] < summary["high"] < 1.0
    assert "put_yogurt, seed 10: success" in (out / "report.html").read_text()


def test_a_person_prepares_and_judges_on_a_real_robot(
    ros: Ros, robot: Robot, evaluate: Callable[..., Evaluating], bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "rollouts"
    evaluating = evaluate(bundle=str(bundle), trials=1, out=str(out), simulated=False)
    assert ros.call(robot.node, Trigger, "/evaluation_node/ready", Trigger.Request()).success
    ros.until(lambda: len(robot.trajectories) > 20, what="commands")
    assert ros.call(robot.node, Trigger, "/evaluation_node/failure", Trigger.Request()).success
    ros.until(lambda: not evaluating.thread.is_alive(), 300.0, "the end of the evaluation")
    (trial,) = json.loads((out / "trials.json").read_text())
    assert trial["success"] is False
    assert trial["reason"] == "judged by a person"


def test_interruption_ends_the_evaluation(
    ros: Ros, robot: Robot, evaluate: Callable[..., Evaluating], bundle: Path, tmp_path: Path
) -> None:
    evaluating = evaluate(bundle=str(bundle), out=str(tmp_path))
    ros.spin(0.3)
    evaluating.interrupt()
    assert evaluating.error == "interrupted"


def test_unknown_task_is_refused_at_the_start(ros: Ros, bundle: Path) -> None:
    values = [Parameter("bundle", value=str(bundle)), Parameter("tasks", value=["put_yoghurt"])]
    with pytest.raises(UnknownNameError, match="did you mean 'put_yogurt'"):
        EvaluationNode(values)
