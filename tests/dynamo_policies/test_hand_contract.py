"""Contracts of robots with a hand, and of robots with nothing at the flange."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bag_factory import write_episode_bag
from dynamo_policies.actions import ActionError, action_space, chunks
from dynamo_policies.cache import FrameCache
from dynamo_policies.contract import Contract, load_contract, parse_contract
from dynamo_policies.decode import FrameSettings
from dynamo_policies.episodes import load_episode
from dynamo_policies.errors import ConfigError
from dynamo_policies.hand_sink import HAND_JOINTS, HandKind
from dynamo_policies.kinematics import chain
from dynamo_policies.labels import action_labels
from dynamo_policies.observation import Pose

ROBOTS = Path(__file__).parents[2] / "config" / "robots"
LEVEL = np.array([0.0, 0.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def allegro() -> Contract:
    return load_contract(ROBOTS / "allegro_manipulation.yaml")


def test_a_robot_without_a_hand_is_written_and_hashed_as_before_there_were_hands(contract: Contract) -> None:
    assert "hand" not in contract.to_dict()
    assert "hand" not in contract.to_yaml()


def test_arm_and_hand_are_one_system_of_23_joints(allegro: Contract) -> None:
    assert len(allegro.state_names) == 23
    assert allegro.gripper is None
    assert allegro.hand_stream == "hand"
    assert action_space(allegro, relative=False).size == 22


@pytest.mark.parametrize("kind", HAND_JOINTS)
def test_each_kind_of_hand_takes_its_own_order_only(allegro: Contract, kind: HandKind) -> None:
    names = HAND_JOINTS[kind]
    sink = replace(allegro.need_hand("this test"), kind=kind, joints=names)
    assert sink.joints == names
    moved = (*names[4:], *names[:4])
    with pytest.raises(ConfigError, match=rf"joints\[0\] is '{moved[0]}', {kind} has '{names[0]}' there"):
        replace(sink, joints=moved)


def test_one_of_two_hands_has_a_prefix_of_its_own(allegro: Contract) -> None:
    names = tuple(name.replace("ah_", "ahl_") for name in HAND_JOINTS["allegro_v4"])
    assert replace(allegro.need_hand("this test"), joints=names).joints[0] == "ahl_joint00"


def test_a_hand_is_not_commanded_more_often_than_its_arm(allegro: Contract) -> None:
    fast = replace(allegro.need_hand("this test"), rate_hz=60.0)
    with pytest.raises(ConfigError, match=r"hand\.rate_hz 60 is above arm\.rate_hz 50"):
        replace(allegro, hand=fast)


def test_a_robot_may_carry_nothing(contract: Contract) -> None:
    bare = replace(contract, gripper=None, proprioception=("arm",))
    assert parse_contract(bare.to_yaml()) == bare
    assert "gripper" not in bare.to_dict()
    assert action_space(bare, relative=False).size == 6
    with pytest.raises(
        ConfigError, match=r"kinesthetic teaching needs a gripper; contract 'xarm_kitchen' has"
    ):
        bare.need_gripper("kinesthetic teaching")


def test_targets_of_a_hand_go_through_bag_cache_and_actions(allegro: Contract, tmp_path: Path) -> None:
    bag = write_episode_bag(tmp_path / "episode", allegro, task="pick_sponge")
    frames = FrameSettings(8)
    episode = load_episode(bag, frames)
    assert episode.state.shape[1] == 23
    assert episode.target_hand.shape == (len(episode), 16)
    assert (episode.target_gripper == 0.0).all()
    cached = FrameCache(tmp_path / "cache").episode(bag, frames)
    np.testing.assert_array_equal(cached.target_hand, episode.target_hand)
    space = action_space(allegro, relative=True)
    actions, _ = chunks(episode, 3, space)
    assert actions.shape == (len(episode), 3, 22)
    np.testing.assert_array_equal(actions[:, 0, 6:], episode.target_hand.astype(np.float32))
    first = space.decode(actions[0], Pose(episode.measured_position[0], episode.measured_quaternion[0]))[0]
    np.testing.assert_allclose(first.pose.position, episode.target_position[0], atol=1e-6)
    assert first.hand is not None
    np.testing.assert_allclose(first.hand, episode.target_hand[0], atol=1e-6)


def test_actions_without_the_hand_are_refused(allegro: Contract) -> None:
    space = action_space(allegro, relative=False)
    with pytest.raises(ActionError, match=r"targets of the hand have shape \(0,\), expected \(16,\)"):
        space.encode(np.zeros(3), LEVEL, 0.0, anchor_position=np.zeros(3), anchor_quaternion=LEVEL)
    with pytest.raises(ActionError, match=r"shape \(1, 7\) given, expected \(K, 22\)"):
        space.decode(np.zeros((1, 7)), Pose(np.zeros(3), LEVEL))


def test_the_papers_pair_is_a_contract_of_its_own() -> None:
    franka = load_contract(ROBOTS / "franka_allegro.yaml")
    assert franka.policy_rate_hz == 4.0
    assert len(franka.state_names) == 23
    limits = [(joint.lower, joint.upper) for joint in chain("fr3").joints]
    for lower, upper, (low, high) in zip(franka.arm.lower_rad, franka.arm.upper_rad, limits, strict=True):
        assert low < lower < upper < high
    ready, _ = chain("fr3").forward([0.0, -0.7854, 0.0, -2.3562, 0.0, 1.5708, 0.7854], tool_offset_m=0.107)
    np.testing.assert_allclose(ready, [0.3069, 0.0, 0.5903], atol=1e-3)  # Franka's ready pose, to the flange


def test_objectives_that_predict_actions_are_told_how_many_numbers_there_are(
    allegro: Contract, tmp_path: Path
) -> None:
    bag = write_episode_bag(tmp_path / "episode", allegro, task="pick_sponge")
    episodes = [load_episode(bag, FrameSettings(8))]
    assert action_labels(episodes, relative=True, size=22)[0].shape == (len(episodes[0]), 22)
    with pytest.raises(
        ConfigError, match=r"action_size is 7, but actions of contract 'allegro_.* 22 numbers"
    ):
        action_labels(episodes, relative=True)
