"""A robot with an Allegro hand over real DDS, and a bundle of 22 numbers that moves tool and fingers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dynamo_policies.contract import Contract, load_contract
from inference_fixtures import GOAL
from ros_fixtures import ROOT, Ros

if TYPE_CHECKING:
    from ideal_hand import RobotWithHand

# rad, no two fingers alike, thumb first: where the hand begins, and where the bundle wants it.
FIRST = {
    "thumb": [0.6, 0.0, 0.1, 0.0],
    "index": [-0.4, 0.1, 0.0, 0.1],
    "middle": [0.3, 0.0, 0.1, 0.2],
    "ring": [-0.2, 0.2, 0.0, 0.0],
}
WANTED = {
    "thumb": [1.2, 0.6, 0.7, 0.8],
    "index": [0.4, 1.0, 0.9, 1.1],
    "middle": [-0.3, 0.8, 1.2, 0.6],
    "ring": [0.4, 0.5, 0.6, 1.4],
}


def all_fingers(posture: dict[str, list[float]]) -> list[float]:
    """Return the 16 joints of a posture in the driver's order."""
    return [value for finger in ("thumb", "index", "middle", "ring") for value in posture[finger]]


@pytest.fixture(scope="session")
def allegro() -> Contract:
    """The contract of the xArm with the Allegro hand."""
    return load_contract(ROOT / "config" / "robots" / "allegro_manipulation.yaml")


@pytest.fixture(scope="module")
def patient_hand(tmp_path_factory: pytest.TempPathFactory, allegro: Contract) -> Path:
    """The file of that contract for computers that tests keep busy."""
    from ideal_robot import write_patient

    path = tmp_path_factory.mktemp("contract") / "patient.yaml"
    write_patient(allegro, path)
    return path


@pytest.fixture(scope="module")
def hand_bundle(tmp_path_factory: pytest.TempPathFactory, patient_hand: Path) -> Path:
    """A bundle that drives the tool to GOAL and the fingers to WANTED."""
    from bundle_factory import write_bundle

    folder = tmp_path_factory.mktemp("bundle")
    return write_bundle(folder, load_contract(patient_hand), GOAL, hand=all_fingers(WANTED))


@pytest.fixture
def hand_robot(ros: Ros, allegro: Contract) -> RobotWithHand:
    """A robot that is at once where it is sent, its hand at FIRST."""
    from ideal_hand import RobotWithHand

    return RobotWithHand(ros.node("robot"), allegro, all_fingers(FIRST))
