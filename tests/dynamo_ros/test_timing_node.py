"""What the inference node tells on ~/timing, over real DDS."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.plan_times import PLANS, STAGE, PlanTimes, from_text
from ideal_robot import Robot
from inference_fixtures import NODE, activate, change, configured, made
from ros_fixtures import Ros

ARRIVING = {"transport", "queue", "decode"}
THINKING = {"align", "handoff", "encode", "policy", "shape"}


def values(message: DiagnosticArray, name: str) -> dict[str, str]:
    (status,) = [one for one in message.status if one.name == name]
    return {pair.key: pair.value for pair in status.values}


def test_every_stage_of_every_plan_is_told_once(
    ros: Ros, robot: Robot, bundle: Path, patient: Path, contract: Contract
) -> None:
    told: list[DiagnosticArray] = []
    robot.node.create_subscription(DiagnosticArray, f"{NODE}/timing", told.append, 10)
    configured(ros, robot, bundle, patient, engine="torch_bf16")
    activate(ros, robot)

    def plans() -> list[PlanTimes]:
        return [from_text(*item) for message in told for item in values(message, PLANS).items()]

    ros.until(lambda: len(plans()) > 8, what="plans", timeout_s=30.0)
    found = plans()
    assert len({plan.tick_ns for plan in found}) == len(found)
    for plan in found:
        assert set(plan.stages_ms) >= {*ARRIVING, *THINKING, "command", "publish", "late"}
        assert plan.captured_ns <= plan.tick_ns < plan.begun_ns < plan.accepted_ns
        assert plan.tick_ns % contract.period_ns == 0
    verdict = values(told[-1], "dynamo timing")
    assert verdict["engine"] == verdict["engine choice"] == "torch_bf16"
    assert float(verdict["budget ms"]) == load_contract(patient).budget_ns / 1e6
    encode = values(told[-1], f"{STAGE}encode")
    assert sum(int(pair.split(":")[1]) for pair in encode["bins"].split()) == int(encode["count"]) > 0
    late = int(verdict["late plans"])
    assert (told[-1].status[0].level == DiagnosticStatus.OK) == (late == 0)


def test_an_unknown_engine_is_refused_at_configuration(ros: Ros, robot: Robot, bundle: Path) -> None:
    made(ros, bundle=str(bundle), engine="fastest")
    assert not change(ros, robot, "configure")
