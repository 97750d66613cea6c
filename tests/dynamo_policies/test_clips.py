"""Segments of episodes."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dynamo_policies.clips import ClipError, SegmentSampler, longest_run, segment_starts
from dynamo_policies.contract import Contract
from dynamo_policies.episodes import Episode
from dynamo_policies.errors import ConfigError
from dynamo_policies.labels import action_labels
from dynamo_policies.splits import held_out_episodes, training_episodes
from toy_episodes import PERIOD_NS, make_episode

episodes_by_hand = st.tuples(
    st.lists(st.booleans(), min_size=1, max_size=12),
    st.one_of(st.none(), st.integers(0, 10)),
    st.integers(1, 5),
)


@given(episodes_by_hand)
def test_segments_are_exactly_the_valid_consecutive_ones(
    contract: Contract, drawn: tuple[list[bool], int | None, int]
) -> None:
    valid, gap_after, length = drawn
    episode = make_episode(contract, valid, gap_after=gap_after)
    expected = [
        start
        for start in range(len(valid) - length + 1)
        if all(valid[start : start + length])
        and (episode.tick_ns[start + length - 1] - episode.tick_ns[start]) == (length - 1) * PERIOD_NS
    ]
    assert segment_starts(episode, length) == expected
    assert (longest_run(episode) >= length) == bool(expected)


def test_samples_have_time_then_views(contract: Contract) -> None:
    clips = SegmentSampler([make_episode(contract, [True] * 9)], 3, seed=0).sample(5)
    assert clips.shape == (5, 3, 2, 4, 4, 3)
    assert clips.dtype == np.uint8
    assert clips.flags.c_contiguous
    times = clips[:, :, 0, 0, 0, 0].astype(int)
    assert (np.diff(times, axis=1) == 1).all()
    np.testing.assert_array_equal(clips[:, :, 1], clips[:, :, 0] + 100)


def test_each_segment_comes_once_an_epoch(contract: Contract) -> None:
    sampler = SegmentSampler(
        [make_episode(contract, [True] * 5), make_episode(contract, [True] * 4, first=50)], 2, seed=1
    )
    assert len(sampler) == 4 + 3
    for epoch in range(3):
        starts = sampler.sample(7)[:, 0, 0, 0, 0, 0]
        assert sorted(starts.tolist()) == [0, 1, 2, 3, 50, 51, 52]
        assert sampler.epoch == epoch


def test_the_seed_alone_decides_the_order(contract: Contract) -> None:
    episode = make_episode(contract, [True] * 40)
    one, same, other = (SegmentSampler([episode], 2, seed).sample(30) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@given(st.integers(0, 25))
def test_a_restored_sampler_goes_on_as_it_would_have(contract: Contract, before: int) -> None:
    episode = make_episode(contract, [True] * 10)
    sampler = SegmentSampler([episode], 2, seed=5)
    sampler.sample(before)
    state = json.loads(json.dumps(sampler.state()))
    restored = SegmentSampler([episode], 2, seed=5)
    restored.restore(state)
    np.testing.assert_array_equal(restored.sample(20), sampler.sample(20))


def test_the_state_of_another_sampler_is_refused(contract: Contract) -> None:
    episode = make_episode(contract, [True] * 10)
    state = SegmentSampler([episode], 2, seed=5).state()
    with pytest.raises(ClipError, match="with seed 5 given, this one has 6"):
        SegmentSampler([episode], 2, seed=6).restore(state)
    with pytest.raises(ClipError, match="with segments 9 given, this one has 8"):
        SegmentSampler([episode], 3, seed=5).restore(state)


def test_too_long_a_segment_is_an_error_that_says_what_is_possible(contract: Contract) -> None:
    episode = make_episode(contract, [True, True, False, True, True, True])
    with pytest.raises(ClipError, match=r"no segment of 4 .* in 1 episodes; at most 3 ticks are possible"):
        SegmentSampler([episode], 4, seed=0)
    with pytest.raises(ClipError, match="at most 0 ticks"):
        SegmentSampler([], 4, seed=0)
    with pytest.raises(ClipError, match="segments of 0 ticks"):
        SegmentSampler([episode], 0, seed=0)


def test_episodes_with_other_cameras_do_not_mix(contract: Contract) -> None:
    one = make_episode(contract, [True] * 5)
    other = Episode(**{**vars(one), "images": {"fixed": one.images["fixed"]}})
    with pytest.raises(ClipError, match="has images"):
        SegmentSampler([one, other], 2, seed=0)


def test_the_released_windows_leave_out_the_last_of_an_episode(contract: Contract) -> None:
    # start over range(T - window): of 7 ticks, windows of 5 start at 0 and 1 only; 5 ticks give none.
    episodes = [make_episode(contract, [True] * 7), make_episode(contract, [True] * 5, first=50)]
    released = SegmentSampler(episodes, 5, seed=0, unused=1)
    clips = released.sample(len(released))
    assert clips.shape[1] == 5
    assert sorted(clips[:, 0, 0, 0, 0, 0].tolist()) == [0, 1]
    assert len(SegmentSampler(episodes, 5, seed=0)) == 3 + 1


def test_a_share_of_the_episodes_is_drawn_whole_and_by_the_seed(contract: Contract) -> None:
    episodes = [make_episode(contract, [True] * 5, first=i) for i in range(21)]
    one, same, other = (training_episodes(episodes, 0.95, seed) for seed in (42, 42, 43))
    assert [e.images["fixed"][0, 0, 0, 0] for e in one] == [e.images["fixed"][0, 0, 0, 0] for e in same]
    assert len(one) == len(other) == 19  # int(0.95 * 21)
    order = torch.randperm(21, generator=torch.Generator().manual_seed(42))
    assert [id(e) for e in one] == [id(episodes[place]) for place in order[:19]]
    assert {id(e) for e in one} != {id(e) for e in other}
    rest = held_out_episodes(episodes, 0.95, 42)
    assert [id(e) for e in rest] == [id(episodes[place]) for place in order[19:]]
    assert training_episodes(episodes, 1.0, 42) == episodes
    assert held_out_episodes(episodes, 1.0, 42) == []
    with pytest.raises(ConfigError, match=r"train_share 0\.95 of 1 episodes leaves none"):
        training_episodes(episodes[:1], 0.95, 42)


def test_actions_come_with_the_ticks_they_belong_to(contract: Contract) -> None:
    episodes = [make_episode(contract, [True] * 6), make_episode(contract, [True] * 5, first=50)]
    actions = [np.arange(6, dtype=np.float32)[:, None], np.arange(50, 55, dtype=np.float32)[:, None]]
    labelled = SegmentSampler(episodes, 3, seed=0, actions=actions)
    images, given = labelled.sample_with_actions(7)
    np.testing.assert_array_equal(images[:, :, 0, 0, 0, 0].astype(np.float32), given[:, :, 0])
    plain = SegmentSampler(episodes, 3, seed=0)
    np.testing.assert_array_equal(plain.sample(7), images)
    with pytest.raises(ClipError, match="made without actions"):
        plain.sample_with_actions(1)
    with pytest.raises(ClipError, match="not one action for each tick"):
        SegmentSampler(episodes, 3, seed=0, actions=actions[:1])


def test_labels_are_standardised_over_the_valid_ticks_of_all_episodes(contract: Contract) -> None:
    random = np.random.default_rng(0)
    episodes = []
    for count in (30, 20):
        episode = make_episode(contract, [True] * (count - 1) + [False])
        upright = np.tile([0.0, 0.0, 0.0, 1.0], (count, 1))
        moved = {
            "target_position": random.normal(3.0, 0.2, (count, 3)),
            "target_quaternion": upright,
            "measured_quaternion": upright,
            "target_gripper": random.uniform(0, 1, count),
        }
        episodes.append(Episode(**{**vars(episode), **moved}))
    labels = action_labels(episodes, relative=True)
    assert [one.shape for one in labels] == [(30, 7), (20, 7)]
    valid = np.concatenate([one[:-1] for one in labels])
    np.testing.assert_allclose(valid.mean(axis=0), 0.0, atol=1e-5)
    # The tool never turns: a number that never changes is 0 and not noise.
    np.testing.assert_allclose(valid.std(axis=0), [1, 1, 1, 0, 0, 0, 1], atol=1e-5)
