"""Faults over real DDS: the judge that sees commands only, and three of them in the real node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.errors import UnknownNameError
from dynamo_ros.core.motion import Motion
from dynamo_ros.faults.circling import READY
from dynamo_ros.faults.trial import Row
from dynamo_ros.nodes.faults.arm import Sent
from dynamo_ros.nodes.faults.rig import for_rig, rig
from dynamo_ros.nodes.faults.run import run_over_ros
from dynamo_ros.nodes.faults.trials import answer, ros_faults, try_on, violations
from ideal_robot import write_patient
from policy_fixtures import CONTRACT as KITCHEN

PERIOD = KITCHEN.arm.period_ns
SPEED = np.eye(7)[0] * 0.2
FAULT = 60 * PERIOD


def moved(asks: Sequence[str], gap: int = 0) -> list[Sent]:
    """Commands of a joint that is jogged or braked, the last ten `gap` periods late."""
    motion = Motion(KITCHEN)
    motion.start(np.array(READY["xarm7"]))
    sent = []
    for n, ask in enumerate(asks):
        if ask == "go":
            motion.along(SPEED)
        else:
            motion.brake()
        sent.append(Sent((n + gap * (n >= len(asks) - 10)) * PERIOD, motion.joints))
    return sent


def test_safe_is_where_braking_to_rest_begins() -> None:
    seen, safe, rest = answer(KITCHEN, moved(["go"] * 70 + ["brake"] * 20), FAULT, 89 * PERIOD)
    assert seen == "hold"
    assert safe is not None
    assert rest is not None
    assert 10 * PERIOD <= safe <= 11 * PERIOD
    assert safe < rest <= 16 * PERIOD


def test_arm_that_goes_on_is_not_safe() -> None:
    slowing = ["go"] * 65 + ["brake"] * 2 + ["go"] * 23
    assert answer(KITCHEN, moved(slowing), FAULT, 89 * PERIOD) == ("none", None, None)


def test_arm_is_safe_a_period_after_the_last_command() -> None:
    assert answer(KITCHEN, moved(["go"] * 63), FAULT, 200 * PERIOD) == ("silence", 3 * PERIOD, 3 * PERIOD)


def test_going_on_at_speed_after_a_pause_breaks_limits() -> None:
    assert violations(KITCHEN, moved(["go"] * 60)) == ()
    assert "jerk" in violations(KITCHEN, moved(["go"] * 60, gap=30))


def test_late_commands_without_a_pause_break_none() -> None:
    assert violations(KITCHEN, moved(["go"] * 60, gap=3)) == ()


def test_unknown_fault_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'e-stop'"):
        list(run_over_ros(KITCHEN, ["estop"]))


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    """A contract for computers that tests keep busy."""
    path = tmp_path_factory.mktemp("contract") / "patient.yaml"
    write_patient(KITCHEN, path)
    return for_rig(load_contract(path))


@pytest.fixture
def tried(ros_domain: int, patient: Contract, tmp_path: Path) -> Callable[..., list[Row]]:
    """Try faults of these names, one after the other, with enough time for a busy computer."""

    def run(*names: str) -> list[Row]:
        with rig(patient, tmp_path) as made:
            table = {
                name: one._replace(lasts_s=max(2.5, one.lasts_s)) for name, one in ros_faults(patient).items()
            }
            return [try_on(made, name, table[name]) for name in names]

    return run


@pytest.mark.slow
def test_dead_and_frozen_cameras_hold_the_real_node_within_its_limits(
    tried: Callable[..., list[Row]],
) -> None:
    killed, frozen = tried("camera killed -9", "camera frozen")
    assert killed.seen.startswith("hold")
    assert frozen.seen.startswith("hold")
    assert not [one for row in (killed, frozen) for one in row.problems if "limits" in one or "never" in one]


@pytest.mark.slow
def test_node_that_was_stopped_goes_on_without_a_jump_or_not_at_all(tried: Callable[..., list[Row]]) -> None:
    (row,) = tried("node stopped 2 s")
    assert row.seen.startswith("silence")
    assert row.after.split()[0] in ("goes", "stopped")
    assert not [one for one in row.problems if "limits" in one]
