"""Targets to actions and back."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dynamo_policies.actions import ActionError, ActionSpace, chunks
from dynamo_policies.decode import FrameSettings
from dynamo_policies.episodes import Episode, load_episode
from dynamo_policies.observation import Pose

DOWN = (0.93937271, 0.34289781, 0.0, 0.0)
SPACES = [ActionSpace(DOWN, relative=False), ActionSpace(DOWN, relative=True)]
coordinates = st.floats(-1.0, 1.0)
triples = st.tuples(coordinates, coordinates, coordinates)
# Turns of less than half a revolution, so that a rotation vector is unique.
turns = triples.map(lambda v: Rotation.from_rotvec(np.asarray(v) * 1.7))


@pytest.fixture(scope="module")
def episode(episode_bag: Path) -> Episode:
    return load_episode(episode_bag, FrameSettings(16))


@pytest.mark.parametrize("space", SPACES, ids=["absolute", "relative"])
@given(position=triples, turn=turns, gripper=st.floats(0, 1), anchor=st.tuples(triples, turns))
def test_decode_undoes_encode(
    space: ActionSpace,
    position: tuple[float, ...],
    turn: Rotation,
    gripper: float,
    anchor: tuple[tuple[float, ...], Rotation],
) -> None:
    base = Pose(np.asarray(anchor[0]), anchor[1].as_quat())
    rotation = turn * Rotation.from_quat(base.quaternion if space.relative else DOWN)
    action = space.encode(
        position,
        rotation.as_quat(),
        gripper,
        anchor_position=base.position,
        anchor_quaternion=base.quaternion,
    )
    (target,) = space.decode(action[None], base)
    np.testing.assert_allclose(target.pose.position, position, atol=1e-6)
    assert (Rotation.from_quat(target.pose.quaternion) * rotation.inv()).magnitude() < 1e-5
    assert target.gripper == pytest.approx(gripper, abs=1e-6)


def test_standing_still_is_zero_in_relative_actions() -> None:
    action = SPACES[1].encode([1, 2, 3], DOWN, 0.5, anchor_position=[1, 2, 3], anchor_quaternion=DOWN)
    np.testing.assert_allclose(action, [0, 0, 0, 0, 0, 0, 0.5], atol=1e-7)
    assert action.dtype == np.float32


def test_relative_positions_lie_along_the_axes_of_the_base() -> None:
    action = SPACES[1].encode([0.1, 0, 0], DOWN, 0, anchor_position=[0, 0, 0], anchor_quaternion=DOWN)
    np.testing.assert_allclose(action[:3], [0.1, 0, 0], atol=1e-7)


def test_absolute_actions_do_not_depend_on_the_anchor() -> None:
    (target,) = SPACES[0].decode(np.zeros((1, 7)), Pose(np.full(3, 9.0), np.array([0, 0, 0, 1.0])))
    np.testing.assert_array_equal(target.pose.position, 0)
    assert (Rotation.from_quat(target.pose.quaternion) * Rotation.from_quat(DOWN).inv()).magnitude() < 1e-7


def test_a_turn_to_the_left_is_positive_about_the_vertical() -> None:
    turned = (Rotation.from_euler("z", 0.3) * Rotation.from_quat(DOWN)).as_quat()
    action = SPACES[0].encode([0, 0, 0], turned, 0, anchor_position=[0, 0, 0], anchor_quaternion=DOWN)
    np.testing.assert_allclose(action[3:6], [0, 0, 0.3], atol=1e-6)


def test_the_gripper_is_held_within_its_range() -> None:
    anchor = Pose(np.zeros(3), np.asarray(DOWN))
    actions = np.zeros((2, 7))
    actions[:, 6] = -0.2, 1.3
    assert [target.gripper for target in SPACES[0].decode(actions, anchor)] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("actions", "problem"),
    [
        (np.zeros(7), r"shape \(7,\) given, expected \(K, 7\)"),
        (np.zeros((2, 6)), r"shape \(2, 6\) given"),
        (np.full((1, 7), np.nan), "not finite"),
        (np.full((1, 7), np.inf), "not finite"),
    ],
)
def test_actions_that_stand_for_nothing_are_errors(actions: np.ndarray, problem: str) -> None:
    with pytest.raises(ActionError, match=problem):
        SPACES[0].decode(actions, Pose(np.zeros(3), np.asarray(DOWN)))


def test_a_reference_that_is_no_rotation_is_an_error() -> None:
    with pytest.raises(ActionError, match="no quaternion"):
        ActionSpace((0.0, 0.0, 0.0, 0.0), relative=False)


@pytest.mark.parametrize("space", SPACES, ids=["absolute", "relative"])
def test_a_chunk_decodes_to_the_targets_of_its_ticks(episode: Episode, space: ActionSpace) -> None:
    actions, mask = chunks(episode, 4, space)
    assert actions.shape == (len(episode), 4, 7)
    for tick in range(len(episode) - 3):
        anchor = Pose(episode.measured_position[tick], episode.measured_quaternion[tick])
        for k, target in enumerate(space.decode(actions[tick], anchor)):
            np.testing.assert_allclose(target.pose.position, episode.target_position[tick + k], atol=1e-6)
    assert mask[: len(episode) - 3].all()


def test_past_the_end_the_last_target_repeats_without_counting(episode: Episode) -> None:
    actions, mask = chunks(episode, 3, SPACES[0])
    np.testing.assert_array_equal(mask[-1], [True, False, False])
    np.testing.assert_array_equal(mask[-2], [True, True, False])
    np.testing.assert_array_equal(actions[-1], np.repeat(actions[-1, :1], 3, axis=0))


def test_a_gap_in_the_ticks_does_not_count(episode: Episode) -> None:
    kept = np.ones(len(episode), dtype=bool)
    kept[5] = False
    fields = {name: value[kept] for name, value in vars(episode).items() if isinstance(value, np.ndarray)}
    gapped = Episode(**{**vars(episode), **fields})
    _, mask = chunks(gapped, 3, SPACES[0])
    np.testing.assert_array_equal(mask[3:6], [[True, True, False], [True, False, True], [True, True, True]])


def test_an_empty_chunk_is_an_error(episode: Episode) -> None:
    with pytest.raises(ActionError, match="chunk of 0 actions"):
        chunks(episode, 0, SPACES[0])
