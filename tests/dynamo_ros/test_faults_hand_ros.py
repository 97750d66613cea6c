"""Faults of a hand in the real node over DDS, and the policy that swings it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from dynamo_policies.contract import Contract, load_contract
from dynamo_ros.nodes.faults.policy import swinging
from dynamo_ros.nodes.faults.rig import Rig, rig
from dynamo_ros.nodes.faults.run import try_whatever_comes
from dynamo_ros.nodes.faults.table import ros_faults
from faults_fixtures import patient_for_rig
from policy_fixtures import CONTRACT as KITCHEN

ALLEGRO = load_contract(Path(__file__).parents[2] / "config" / "robots" / "allegro_manipulation.yaml")
LASTS_S = 2.0  # longer than a busy computer's streams may be old


def test_only_a_contract_with_a_hand_has_its_faults() -> None:
    assert len([name for name in ros_faults(ALLEGRO) if "hand" in name]) == 13
    assert not [name for name in ros_faults(KITCHEN) if "hand" in name]


def test_frozen_hand_may_swing_as_far_as_its_gate_wants_before_it_is_late() -> None:
    fault = ros_faults(ALLEGRO)["hand frozen"]
    assert (fault.answer, fault.after) == ("hold", ("stopped",))
    # 0.05 rad at 0.3 rad/s, less what passes anyway: 100 ms less a reading's period, its way and the lag.
    assert fault.within_ns == pytest.approx(100e6 + 50e6 / 0.3 - (100e6 - 10e6 - 1e6 - 80e6), abs=1.0)


def test_policy_swings_the_hand_within_its_limits_and_nothing_else() -> None:
    chunk = np.zeros((10, 22), np.float32)
    led, hand = swinging(ALLEGRO)(chunk), ALLEGRO.need_hand("this test")
    assert not chunk.any()
    assert not led[:, :6].any()
    assert (led[:, 6:] > np.array(hand.lower_rad)).all()
    assert (led[:, 6:] < np.array(hand.upper_rad)).all()
    assert np.abs(np.diff(led[:, 6:], axis=0)).max(axis=1).min() > 0.02
    np.testing.assert_array_equal(swinging(KITCHEN)(chunk), chunk)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    """A contract for computers that tests keep busy."""
    return patient_for_rig(ALLEGRO, tmp_path_factory.mktemp("contract"))


@pytest.fixture(scope="module")
def rigged(ros_domain: int, patient: Contract, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The real node with its camera, an arm and a hand."""
    with rig(patient, tmp_path_factory.mktemp("rig")) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seen", "afterwards"),
    [
        ("hand silent", "hold", ("goes", "stopped")),
        ("hand frozen", "hold", ("stopped",)),
        ("hand's joint twice", "hold", ("goes", "stopped")),
        ("policy's hand not a number", "stop non_finite", ("stopped",)),
    ],
)
def test_real_node_holds_or_stops_arm_and_hand_within_their_limits(
    rigged: Rig, name: str, seen: str, afterwards: tuple[str, ...]
) -> None:
    row = try_whatever_comes(rigged, name, ros_faults(rigged.contract)[name]._replace(lasts_s=LASTS_S))
    assert row.seen.startswith(seen), row
    assert row.hand_safe_ms is not None, row
    assert row.after.split()[0] in afterwards, row
    assert not [one for one in row.problems if "limits" in one or "never" in one], row
