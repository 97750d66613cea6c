"""Faults over real DDS: the judge that sees commands only, and some of them in the real node."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from dynamo_policies.bundle import load_bundle
from dynamo_policies.contract import Contract
from dynamo_policies.errors import UnknownNameError
from dynamo_ros.core.motion import Motion
from dynamo_ros.core.ways import Given
from dynamo_ros.faults.circling import READY
from dynamo_ros.faults.spoiled import PolicyFailedError
from dynamo_ros.nodes.faults.arm import sent_ns
from dynamo_ros.nodes.faults.bundle import write_onward
from dynamo_ros.nodes.faults.own_clock import COMPILER, PACKAGES
from dynamo_ros.nodes.faults.policy import FailingPolicy
from dynamo_ros.nodes.faults.rig import NODE, Rig, rig
from dynamo_ros.nodes.faults.run import run_over_ros, try_whatever_comes
from dynamo_ros.nodes.faults.table import ros_faults
from dynamo_ros.nodes.faults.trials import answer, lateness, violations
from faults_fixtures import patient_for_rig
from policy_fixtures import CONTRACT as KITCHEN

PERIOD, MS = KITCHEN.arm.period_ns, 1_000_000
SPEED = np.eye(7)[0] * 0.4
FAULT = 60 * PERIOD
OWN_CLOCK = pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"no `{COMPILER}`; install {PACKAGES}")
LASTS_S = 2.0  # longer than a busy computer's streams may be old


def moved(asks: Sequence[str], gap: float = 0, *, coasted: int = 0) -> list[Given]:
    """Commands of a joint that is jogged or braked, or begins anew.

    The last ten come `gap` periods late, and go on from where the arm is after `coasted` of them.
    """
    motion = Motion(KITCHEN)
    motion.start(np.array(READY["xarm7"]))
    sent = []
    for n, ask in enumerate(asks):
        late = n >= len(asks) - 10
        if n == len(asks) - 10:
            motion.coast(coasted)
        if ask == "anew":
            motion.start(motion.joints)
        if ask != "brake":
            motion.along(SPEED)
        else:
            motion.brake()
        sent.append(Given(round((n + gap * late) * PERIOD), motion.joints, motion.braking))
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


def test_arm_that_gets_no_commands_is_safe_a_period_after_the_last_and_then_brakes() -> None:
    sent = moved(["go"] * 63)
    rest = (3 + len(sent[-1].braking)) * PERIOD
    assert answer(KITCHEN, sent, FAULT, 200 * PERIOD) == ("silence", 3 * PERIOD, rest)


def test_steady_commands_break_no_limit() -> None:
    assert violations(KITCHEN, moved(["go"] * 60)) == ()


@pytest.mark.parametrize("gap", [2, 4, 10, 30])
def test_going_on_where_the_arm_has_braked_to_keeps_limits_and_elsewhere_breaks_them(gap: int) -> None:
    assert violations(KITCHEN, moved(["go"] * 60, gap=gap, coasted=gap)) == ()
    assert "jerk" in violations(KITCHEN, moved(["go"] * 60, gap=gap))


@pytest.mark.parametrize("gap", [0, 2])
def test_beginning_anew_at_speed_breaks_limits(gap: int) -> None:
    anew = ["go"] * 50 + ["anew"] + ["go"] * 9
    assert "jerk" in violations(KITCHEN, moved(anew, gap=gap, coasted=gap))


@pytest.mark.parametrize(
    ("gap", "coasted"), [*itertools.product([3.8, 4.0, 4.2], [3, 4, 5]), (1.4, 2), (2.6, 2), (3.4, 4)]
)
def test_commands_tell_how_long_the_arm_braked_where_their_times_are_unsure(gap: float, coasted: int) -> None:
    assert violations(KITCHEN, moved(["go"] * 60, gap=gap, coasted=coasted)) == ()


def test_what_may_be_mastered_has_to_be_in_time_where_it_is_not() -> None:
    restart = ros_faults(KITCHEN)["camera's participant restarts"]
    assert list(lateness(KITCHEN, restart, None, None)) == []
    assert list(lateness(KITCHEN, restart, 190 * MS, 240 * MS)) == []
    assert list(lateness(KITCHEN, restart, 191 * MS, 240 * MS)) == ["safe too late"]


def test_flood_may_hold_at_any_time_but_brakes_at_once() -> None:
    flood = ros_faults(KITCHEN)["executor overloaded"]
    assert list(lateness(KITCHEN, flood, 2000 * MS, 2300 * MS)) == []
    assert list(lateness(KITCHEN, flood, 2000 * MS, 2400 * MS)) == ["braked too long"]


@pytest.mark.parametrize("ahead_s", [0, 5, -5])
@pytest.mark.parametrize("jumped", [False, True])
def test_time_of_sending_is_by_the_receivers_clock_before_a_jump_and_after(
    *, ahead_s: int, jumped: bool
) -> None:
    true_ns, ahead_ns = 10**18, ahead_s * 10**9
    told_ns = true_ns + ahead_ns * jumped
    for late_ns in (0, 20 * MS, 2000 * MS):
        assert sent_ns(told_ns, true_ns + late_ns, ahead_ns) == true_ns


def test_jumps_of_a_clock_are_expected_as_the_contract_says() -> None:
    table = ros_faults(KITCHEN)
    clocks = {
        name: (fault.clock, fault.answer, fault.within_ns) for name, fault in table.items() if fault.clock
    }
    assert clocks == {
        "camera's clock jumps ahead": ("fixed", "hold", table["camera's clock ahead"].within_ns),
        "camera's clock jumps back": ("fixed", "hold", 150 * MS),
        "node's clock jumps ahead": (NODE, "stop", 0),
        "node's clock jumps back": (NODE, "stop", 0),
    }


def test_policy_fails_as_its_switch_says(tmp_path: Path) -> None:
    switch = tmp_path / "switch"
    policy = FailingPolicy(load_bundle(write_onward(tmp_path / "bundle", KITCHEN)).policy, switch)
    features = np.zeros((1, policy.record.feature_size), np.float32)

    def act(word: str) -> np.ndarray:
        switch.write_text(word)
        return policy.act(features, np.zeros((1, 8), np.float32), "put_yogurt")

    sound = act("sound")
    assert np.isfinite(sound).all()
    assert np.isnan(act("not_a_number")).any()
    assert len(act("nothing")) == 0
    assert np.abs(act("wild") - sound).max() > 1.0
    with pytest.raises(PolicyFailedError, match="out of range"):
        act("raises")
    np.testing.assert_array_equal(act("sound"), sound)


def test_gate_that_the_contract_does_not_ask_for_is_not_tried() -> None:
    table = ros_faults(dataclasses.replace(KITCHEN, gates=KITCHEN.gates.simulated()))
    assert {name for name, fault in table.items() if not fault.answer} == {
        "deadman released",
        "deadman silent",
        "arm's error",
        "arm's mode wrong",
        "arm's motors off",
        "arm's controller silent",
    }


def test_unknown_fault_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'e-stop'"):
        list(run_over_ros(KITCHEN, ["estop"]))


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    """A contract for computers that tests keep busy."""
    return patient_for_rig(KITCHEN, tmp_path_factory.mktemp("contract"))


@pytest.fixture(scope="module")
def rigged(ros_domain: int, patient: Contract, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The real node with its cameras and an arm."""
    with rig(patient, tmp_path_factory.mktemp("rig")) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seen", "afterwards"),
    [
        ("camera frozen", "hold", ("goes", "stopped")),
        ("joints frozen", "hold, then frozen_joints", ("stopped",)),
        ("policy not a number", "stop non_finite", ("stopped",)),
        ("deadman released", "hold", ("goes",)),
        ("node stopped 2 s", "silence", ("goes", "stopped")),
        pytest.param("camera's clock jumps ahead", "hold", ("goes", "stopped"), marks=OWN_CLOCK),
        pytest.param("node's clock jumps ahead", "stop clock", ("stopped",), marks=OWN_CLOCK),
        pytest.param("node's clock jumps back", "stop clock", ("stopped",), marks=OWN_CLOCK),
        ("camera killed -9", "hold", ("goes", "stopped")),  # last: it is long in the graph
    ],
)
def test_real_node_holds_or_stops_within_its_limits(
    rigged: Rig, name: str, seen: str, afterwards: tuple[str, ...]
) -> None:
    row = try_whatever_comes(rigged, name, ros_faults(rigged.contract)[name]._replace(lasts_s=LASTS_S))
    assert row.seen.startswith(seen), row
    assert row.after.split()[0] in afterwards, row
    assert not [one for one in row.problems if "limits" in one or "never" in one], row
