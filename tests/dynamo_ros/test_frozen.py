"""Streams that go on but tell nothing new, and arms that only begin to move late."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from dynamo_policies import gates as settings
from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.gates import Gates
from dynamo_policies.observation import Sample
from dynamo_policies.streams import Stream
from dynamo_ros.core.commander import Commander
from dynamo_ros.core.frozen import FrozenGate
from dynamo_ros.core.gate_board import GateBoard
from dynamo_ros.core.motion import Motion
from dynamo_ros.core.senses import Senses
from policy_fixtures import CONTRACT, READY, SECOND

ALLEGRO = load_contract(Path(__file__).parents[2] / "config" / "robots" / "allegro_manipulation.yaml")
MS = 1_000_000
NOW = 10 * SECOND
WRIST = CONTRACT.streams["wrist"]  # at most 150 ms old
ARM = CONTRACT.streams["arm"]  # at most 100 ms old
ITS, JOINTS = settings.FrozenGate(), settings.FrozenJointsGate()
IMAGE, OTHER = np.zeros((8, 8, 3), np.uint8), np.ones((8, 8, 3), np.uint8)


def camera_gate(stream: Stream = WRIST, *, moved_rad: float) -> FrozenGate:
    """Return the gate of a camera that shows one image twice, 33 ms apart, while a joint moves this far."""
    gate = FrozenGate(ITS, stream, "wrist shows one image while the arm moves")
    for step in range(2):
        gate.saw(IMAGE, np.array([0.0, moved_rad * step]), NOW + step * 33 * MS)
    return gate


def joints_gate(measured: list[float], commanded: list[float]) -> FrozenGate:
    """Return the gate of an arm after readings of a joint, 10 ms apart, and its commands then."""
    gate = FrozenGate(JOINTS, ARM, "arm tells one position while the arm is to move", lag_ms=JOINTS.lag_ms)
    for step, (one, other) in enumerate(zip(measured, commanded, strict=True)):
        gate.saw(np.array([one, 0.0]), np.array([other, 0.0]), NOW + step * 10 * MS)
    return gate


def test_an_image_that_repeats_while_the_arm_moves_is_too_old_by_its_first_stamp() -> None:
    gate = camera_gate(moved_rad=0.01)
    assert gate.check(NOW + 150 * MS).reaction == "none"
    assert gate.check(NOW + 151 * MS) == ("hold", "wrist shows one image while the arm moves, for 151 ms")
    gate.saw(OTHER, np.zeros(2), NOW + 160 * MS)
    assert gate.check(NOW + 400 * MS).reaction == "none"


@pytest.mark.parametrize("row", range(8))
def test_an_image_that_changes_anywhere_does_not_repeat(row: int) -> None:
    gate = camera_gate(moved_rad=0.02)
    changed = IMAGE.copy()
    changed[row, 3, 1] = 1
    gate.saw(changed, np.zeros(2), NOW + 66 * MS)
    assert gate.check(NOW + SECOND).reaction == "none"


def test_one_image_of_an_arm_that_hardly_moves_is_no_frozen_camera() -> None:
    assert camera_gate(moved_rad=0.009).check(NOW + SECOND).reaction == "none"


def test_latency_counts_as_age_of_an_image() -> None:
    gate = camera_gate(dataclasses.replace(WRIST, latency_ms=100.0), moved_rad=0.02)
    assert gate.check(NOW + 51 * MS).reaction == "hold"


def test_a_stream_that_may_be_of_any_age_is_never_frozen() -> None:
    gate = camera_gate(dataclasses.replace(WRIST, max_age_ms=None), moved_rad=1.0)
    assert gate.check(NOW + 9 * SECOND).reaction == "none"


def test_frozen_gate_forgets_at_the_beginning_of_an_episode() -> None:
    gate = camera_gate(moved_rad=0.02)
    gate.reset(NOW + 100 * MS)
    gate.saw(IMAGE, np.full(2, 0.5), NOW + 100 * MS)
    assert gate.check(NOW + 240 * MS).reaction == "none"


def test_joints_that_stand_while_they_are_commanded_away_are_frozen() -> None:
    gate = joints_gate([0.3] * 11, [0.3 + 0.001 * step for step in range(11)])
    assert gate.check(NOW + 100 * MS).reaction == "none"
    verdict = gate.check(NOW + 101 * MS)
    assert verdict == ("hold", "arm tells one position while the arm is to move, for 101 ms")
    gate.saw(np.array([0.3, 1e-9]), np.array([0.4, 0.0]), NOW + 110 * MS)
    assert gate.check(NOW + 110 * MS).reaction == "none"


def test_joints_stay_frozen_where_the_command_comes_back_to_them() -> None:
    gate = joints_gate([0.3] * 22, [0.3, 0.33] + [0.3] * 20)
    assert gate.check(NOW + 210 * MS).reaction == "hold"


def test_joints_may_stand_as_long_as_an_arm_lags_behind_its_command() -> None:
    assert joints_gate([0.3] * 20, [0.3] * 12 + [0.4] * 8).check(NOW + 190 * MS).reaction == "none"
    assert joints_gate([0.3] * 21, [0.3] * 12 + [0.4] * 9).check(NOW + 200 * MS).reaction == "hold"


def test_an_arm_that_comes_to_rest_after_its_command_is_not_frozen() -> None:
    commanded = [0.3 + 0.02 * min(step, 10) for step in range(40)]
    measured = [0.3] * 8 + commanded[:-8]
    assert joints_gate(measured, commanded).check(NOW + 390 * MS).reaction == "none"


def test_an_arm_that_stands_since_nothing_moves_its_command_is_not_frozen() -> None:
    assert joints_gate([0.3] * 100, [0.31] * 100).check(NOW + SECOND).reaction == "none"


def test_an_arm_that_trembles_is_not_frozen() -> None:
    trembling = list(itertools.islice(itertools.cycle((0.3, 0.3 + 1e-12)), 100))
    gate = joints_gate(trembling, [0.3 + 0.01 * step for step in range(100)])
    assert gate.check(NOW + SECOND).reaction == "none"


@pytest.mark.parametrize("dead_ms", [0, 40, 80])
def test_an_arm_that_begins_to_move_late_is_not_frozen_at_the_hardest_start(dead_ms: int) -> None:
    motion, gate = Motion(CONTRACT), FrozenGate(JOINTS, ARM, "", lag_ms=JOINTS.lag_ms)
    motion.start(READY)
    commanded = [motion.joints] * 100
    goal = READY + 1.5 * np.eye(7)[0]
    for _ in range(50):
        motion.toward(goal)
        commanded += [motion.joints] * 2  # each for 20 ms of readings at 100 Hz
    for step in range(10, len(commanded)):
        now_ns = NOW + step * 10 * MS
        gate.saw(commanded[step - dead_ms // 10], commanded[step], now_ns)
        assert gate.check(now_ns + 9 * MS).reaction == "none"
    assert np.ptp(commanded, axis=0)[0] > 0.5


def senses(contract: Contract = CONTRACT) -> tuple[Senses, GateBoard]:
    board = GateBoard(contract)
    return Senses(contract, board, Commander(contract)), board


def test_an_image_is_held_against_where_the_arm_was_when_it_was_taken() -> None:
    made, board = senses()
    for step in range(20):  # an arm that begins to move, seen by a camera whose images take 80 ms
        joints = READY + 0.02 * max(0, step - 15)
        made.push(Sample("arm", NOW + step * 10 * MS, joints))
        made.push(Sample("wrist", NOW + (step - 8) * 10 * MS, IMAGE))
    assert board.frozen["wrist"].check(NOW + SECOND).reaction == "none"
    for step in range(20, 30):
        made.push(Sample("arm", NOW + step * 10 * MS, READY + 0.1))
        made.push(Sample("wrist", NOW + (step - 8) * 10 * MS, IMAGE))
    assert board.frozen["wrist"].check(NOW + SECOND).reaction == "hold"


def test_frozen_gates_are_the_contracts() -> None:
    gates = Gates(frozen_joints=settings.FrozenJointsGate(reaction="stop", moved_rad=0.1, lag_ms=5.0))
    board = GateBoard(dataclasses.replace(CONTRACT, gates=gates))
    board.reset(NOW)
    for step in range(3):
        board.frozen_joints.saw(READY, READY + 0.1 * step, NOW + step * 10 * MS)
    assert board.frozen_joints.check(NOW + 101 * MS).reaction == "stop"
    assert (
        "frozen_joints"
        in GateBoard(
            dataclasses.replace(
                CONTRACT, gates=Gates(frozen_joints=settings.FrozenJointsGate(reaction="none"))
            )
        ).silent
    )


FINGERS = (
    np.array(ALLEGRO.need_hand("tests").lower_rad) + np.array(ALLEGRO.need_hand("tests").upper_rad)
) / 2


def hand_board(commanded: list[float | None], *, trembles: bool = False) -> GateBoard:
    """Return the gates after readings of one posture, 10 ms apart, and what a joint was commanded then."""
    made, board = senses(ALLEGRO)
    for step, one in enumerate(commanded):
        if one is not None:
            made.sent_hand(FINGERS + one * np.eye(16)[5])
        made.push(Sample("hand", NOW + step * 10 * MS, FINGERS + 1e-12 * (trembles and step % 2)))
    return board


def test_a_hand_that_stands_while_a_finger_is_commanded_away_is_frozen() -> None:
    gate = hand_board([0.01 * step for step in range(20)]).frozen_hand
    assert gate is not None
    assert gate.check(NOW + 100 * MS).reaction == "none"
    verdict = gate.check(NOW + 190 * MS)
    assert verdict == ("hold", "hand tells one posture while the hand is to move, for 190 ms")


@pytest.mark.parametrize("commanded", [[None] * 50, [0.3] * 50, [0.04] * 25 + [0.0] * 25])
def test_a_hand_that_is_hardly_commanded_to_move_may_stand(commanded: list[float | None]) -> None:
    gate = hand_board(commanded).frozen_hand
    assert gate is not None
    assert gate.check(NOW + SECOND).reaction == "none"


def test_a_hand_that_trembles_is_not_frozen() -> None:
    gate = hand_board([0.01 * step for step in range(50)], trembles=True).frozen_hand
    assert gate is not None
    assert gate.check(NOW + 500 * MS).reaction == "none"


def test_what_a_hand_was_commanded_counts_for_its_episode_alone() -> None:
    made, board = senses(ALLEGRO)
    made.sent_hand(FINGERS + 0.3)
    made.begin()
    board.reset(NOW)
    for step in range(30):
        if step == 5:
            made.sent_hand(FINGERS)
        made.push(Sample("hand", NOW + step * 10 * MS, FINGERS))
    assert board.check(NOW + 300 * MS, guarding="arm").kind != "frozen_joints"


@pytest.mark.parametrize(("stream", "joints"), [("arm", READY), ("hand", FINGERS)])
def test_joints_in_degrees_are_unreadable(stream: str, joints: np.ndarray) -> None:
    made, board = senses(ALLEGRO)
    made.push(Sample(stream, NOW, joints))
    made.push(Sample(stream, NOW + 10 * MS, np.degrees(joints)))
    told = f"{stream} tells positions a whole turn outside their limits, in rad: {{'"
    assert board.unreadable.check(NOW).text.startswith(told)
    assert board.stale[stream].check(NOW + 105 * MS).reaction == "hold"
    made.push(Sample(stream, NOW + 20 * MS, joints))
    assert board.unreadable.check(NOW).reaction == "none"
