"""The figures of a report card: what they are on frames whose answer is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from dynamo_policies.contract import Contract
from dynamo_policies.episodes import Episode
from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.probes.card import (
    Card,
    EmbeddingMap,
    ProbeSettings,
    Subject,
    card_values,
    embedding_map,
    gallery_queries,
    probe,
)
from dynamo_policies.probes.figures import FIGURES, figure_names, figure_of, unit_of
from dynamo_policies.probes.frames import (
    Frames,
    Split,
    closing_tick,
    gripper_changes,
    make_frames,
    moved_object,
    some_of_each_task,
    split_episodes,
)
from dynamo_policies.probes.gates import failures, parse_gates
from dynamo_policies.probes.held_out import held_out_figures
from dynamo_policies.probes.linear import PENALTIES, Ridge, best_penalties, least_squares
from dynamo_policies.probes.neighbours import nearest, nearest_of_episodes, released_queries
from dynamo_policies.probes.released import released_figures
from dynamo_policies.probes.run import distinct_names
from dynamo_policies.probes.scores import Resampler, Value, difference, mean_of, r2_of, rmse_of
from dynamo_policies.report.probe import figure_text

TASKS = ("put_yogurt", "fetch_yogurt")
TICKS = 30
SUBJECT = Subject("one", "folder/one", "dynamo", reference=False, weights="ab", seen=0)


def toy_episode(contract: Contract, number: int) -> Episode:
    """An arm that goes to a place of its own, closes the gripper there at tick 20 and comes back."""
    random = np.random.default_rng(number)
    place = np.add([0.4, 0.0, 0.2], random.uniform(-0.1, 0.1, 3))
    way = np.minimum(np.arange(TICKS) / 20.0, 1.0)[:, None]
    position = (1.0 - way) * [0.3, 0.0, 0.4] + way * place
    ahead = np.concatenate([position[1:], position[-1:]])
    down = np.tile(contract.reference_rotation, (TICKS, 1)).astype(np.float64)
    return Episode(
        path=Path(f"episode_{number}"),
        task=TASKS[number % 2],
        outcome="success",
        contract=contract,
        tick_ns=np.arange(TICKS) * contract.period_ns,
        images={},
        state=np.concatenate(
            [random.normal(size=(TICKS, 7)), np.arange(TICKS)[:, None] >= 20], axis=1
        ).astype(np.float32),
        valid=np.arange(TICKS) != 5,
        measured_position=position,
        measured_quaternion=down,
        target_position=ahead,
        target_quaternion=down,
        target_gripper=(np.arange(TICKS) >= 20).astype(np.float64),
    )


@pytest.fixture(scope="module")
def episodes(contract: Contract) -> list[Episode]:
    return [toy_episode(contract, number) for number in range(20)]


@pytest.fixture(scope="module")
def frames(episodes: list[Episode]) -> Frames:
    return make_frames(episodes)


@pytest.fixture(scope="module")
def split(frames: Frames) -> Split:
    return split_episodes(frames.tasks, seed=0)


@pytest.fixture(scope="module")
def resampler(split: Split) -> Resampler:
    return Resampler(split.held_out, draws=200)


def answers(frames: Frames) -> np.ndarray:
    """Features that say everything."""
    known = [frames.state.rows, frames.action.rows, frames.target.rows, np.nan_to_num(frames.grasp)]
    return np.concatenate(known, axis=1).astype(np.float32)


def noise(frames: Frames, size: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(len(frames.episode), size)).astype(np.float32)


# Frames


def test_ticks_with_a_stale_stream_are_left_out(frames: Frames) -> None:
    assert len(frames.episode) == 20 * (TICKS - 1)
    assert 5 not in frames.tick


def test_frames_before_the_grasp_know_where_it_will_be(frames: Frames, episodes: list[Episode]) -> None:
    assert [closing_tick(episode) for episode in episodes] == [20] * 20
    rows = frames.of([3])
    assert frames.before_grasp[rows].sum() == 19  # of 20, one is stale
    np.testing.assert_allclose(frames.grasp[rows[0]], 1000.0 * episodes[3].measured_position[20, :2])


def test_gripper_changes_have_hysteresis(episodes: list[Episode]) -> None:
    values = np.zeros(TICKS)
    values[3:6], values[6:9], values[9:12], values[12:15], values[20:] = 0.5, 0.7, 0.5, 0.3, 1.0
    assert gripper_changes(dataclasses.replace(episodes[0], target_gripper=values)) == [6, 12, 20]
    assert gripper_changes(dataclasses.replace(episodes[0], target_gripper=np.zeros(TICKS))) == []


def test_an_episode_without_grasp_has_no_frames_before_it(episodes: list[Episode]) -> None:
    idle = dataclasses.replace(episodes[0], target_gripper=np.zeros(TICKS))
    frames = make_frames([idle])
    assert not frames.before_grasp.any()
    assert np.isnan(frames.grasp).all()


def test_an_episode_without_a_fresh_tick_is_refused(episodes: list[Episode]) -> None:
    stale = dataclasses.replace(episodes[0], valid=np.zeros(TICKS, bool))
    with pytest.raises(ConfigError, match="episode_0 has no tick with all of its streams fresh"):
        make_frames([stale])


def test_the_moved_object_is_neither_the_tool_nor_one_that_rests(episodes: list[Episode]) -> None:
    def objects(episode: Episode) -> np.ndarray:
        resting = np.full((TICKS, 3), 0.5)
        moved = np.full((TICKS, 3), 0.2) + np.linspace(0.0, 0.05, TICKS)[:, None]
        return np.stack([resting, moved, episode.measured_position + 1e-3], axis=1)

    assert moved_object(episodes, [objects(one) for one in episodes]) == 1
    still = [np.full((TICKS, 2, 3), 0.5) for _ in episodes]
    assert moved_object(episodes, still) is None


@pytest.mark.parametrize("seed", range(5))
def test_a_split_gives_every_episode_one_part_and_every_task_its_share(seed: int) -> None:
    tasks = ["a"] * 10 + ["b"] * 5
    split = split_episodes(tasks, seed)
    assert sorted(np.concatenate(split).tolist()) == list(range(15))
    assert [sum(tasks[i] == "a" for i in part) for part in split] == [6, 2, 2]
    assert [sum(tasks[i] == "b" for i in part) for part in split] == [3, 1, 1]
    assert split == split_episodes(tasks, seed)


def test_given_episodes_are_the_held_out_ones() -> None:
    split = split_episodes(["a"] * 6, 0, held_out=[4, 5])
    assert split.held_out == (4, 5)
    assert sorted(split.learnt_from) == [0, 1, 2, 3]


def test_too_few_episodes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\{'a': 2\} are too few"):
        split_episodes(["a", "a"], 0)


def test_some_episodes_are_drawn_evenly_from_the_tasks() -> None:
    tasks = ["a"] * 10 + ["b"] * 3
    chosen = some_of_each_task(tasks, 8, seed=1)
    assert len(chosen) == len(set(chosen)) == 8
    assert sum(tasks[i] == "b" for i in chosen) == 3
    assert some_of_each_task(tasks, 99, seed=1) == list(range(13))


# Probes


def test_least_squares_is_the_smallest_of_the_best_fits() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(50, 4)) @ random.normal(size=(4, 9))  # of rank 4
    targets = random.normal(size=(50, 2))
    found = least_squares(features, targets)
    centred = features - features.mean(axis=0)
    expected = np.linalg.lstsq(centred, targets - targets.mean(axis=0), rcond=1e-9)[0]
    np.testing.assert_allclose(found.weights, expected, atol=1e-8)
    np.testing.assert_allclose(found.predict(features).mean(axis=0), targets.mean(axis=0))


@pytest.mark.parametrize("size", [5, 90])  # fewer and more features than frames
def test_ridge_solves_its_equations(size: int) -> None:
    random = np.random.default_rng(0)
    features, targets = random.normal(2.0, 3.0, size=(60, size)), random.normal(size=(60, 2))
    penalty = 0.1
    found = Ridge(features, targets).fitted(np.full(2, penalty))
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    weights = np.linalg.solve(
        scaled.T @ scaled / 60 + penalty * np.eye(size), scaled.T @ (targets - targets.mean(axis=0)) / 60
    )
    np.testing.assert_allclose(found.predict(features), scaled @ weights + targets.mean(axis=0), atol=1e-10)


def test_the_errors_of_ridge_are_those_of_what_it_fits() -> None:
    random = np.random.default_rng(0)
    features, targets = random.normal(size=(60, 5)), random.normal(size=(60, 2))
    ridge = Ridge(features[:40], targets[:40])
    errors = ridge.errors(features[40:], targets[40:])
    for place in (0, len(PENALTIES) - 1):
        predicted = ridge.fitted(np.full(2, PENALTIES[place])).predict(features[40:])
        np.testing.assert_allclose(errors[place], np.square(predicted - targets[40:]).mean(axis=0))


def test_each_group_gets_the_penalty_it_does_best_with() -> None:
    errors = np.ones((len(PENALTIES), 3))
    errors[2, 0], errors[5, 1:] = 0.5, 0.1
    chosen = best_penalties(errors, [slice(0, 1), slice(1, 3)])
    np.testing.assert_array_equal(chosen, [PENALTIES[2], PENALTIES[5], PENALTIES[5]])


# Scores


def test_scores_are_those_of_the_textbook() -> None:
    random = np.random.default_rng(0)
    truth, missed = random.normal(5.0, 2.0, size=(40, 3)), random.normal(size=(40, 3))
    episode = np.repeat(np.arange(4), 10)
    resampler = Resampler(range(4))
    assert rmse_of(missed, episode, resampler).value == pytest.approx(np.sqrt(np.square(missed).mean()))
    expected = 1.0 - np.square(missed).sum(axis=0) / np.square(truth - truth.mean(axis=0)).sum(axis=0)
    assert r2_of(missed, truth, episode, resampler).value == pytest.approx(expected.mean())
    assert mean_of(truth[:, 0], episode, resampler).value == pytest.approx(truth[:, 0].mean())


def test_columns_that_do_not_vary_do_not_count_in_r2() -> None:
    random = np.random.default_rng(0)
    truth, missed = random.normal(size=(40, 1)), random.normal(size=(40, 1))
    episode, resampler = np.repeat(np.arange(4), 10), Resampler(range(4))
    wide = r2_of(np.tile(missed, 2), np.concatenate([truth, np.full_like(truth, 3.0)], 1), episode, resampler)
    assert wide.value == pytest.approx(r2_of(missed, truth, episode, resampler).value)


def test_an_interval_is_as_wide_as_episodes_differ() -> None:
    episode = np.repeat(np.arange(8), 100)
    alike, different = np.tile(np.arange(100.0), 8), np.repeat(np.arange(8.0), 100)
    resampler = Resampler(range(8))
    same = mean_of(alike, episode, resampler)
    assert same.low == pytest.approx(same.value)
    assert same.high == pytest.approx(same.value)
    wide = mean_of(different, episode, resampler)
    assert wide.low is not None
    assert wide.high is not None
    # The standard error of the mean of 8 episodes is 0.81: 95 % are within about 1.6.
    assert 1.0 < wide.value - wide.low < 2.2
    assert 1.0 < wide.high - wide.value < 2.2


def test_a_difference_on_the_same_episodes_is_surer_than_either() -> None:
    episode, resampler = np.repeat(np.arange(8), 10), Resampler(range(8))
    hard = np.repeat(np.arange(8.0), 10)
    one, other = mean_of(hard, episode, resampler), mean_of(hard + 0.1, episode, resampler)
    less = difference(one, other)
    assert less.value == pytest.approx(-0.1)
    assert less.low == pytest.approx(-0.1)
    assert less.high == pytest.approx(-0.1)
    assert difference(Value(1.0), other).low is None


def test_a_single_episode_has_no_interval_and_nothing_has_no_value() -> None:
    assert mean_of(np.ones(3), np.zeros(3, int), Resampler([0])) == Value(1.0)
    assert np.isnan(mean_of(np.ones(0), np.zeros(0, int), Resampler([0, 1])).value)


# Neighbours


def test_the_nearest_frame_is_never_of_the_same_episode(frames: Frames) -> None:
    features = answers(frames)
    everything = np.arange(len(features))
    found = nearest(features, frames.episode, everything, everything)
    assert (frames.episode[found] != frames.episode).all()
    row = 77
    others = np.flatnonzero(frames.episode != frames.episode[row])
    distances = np.linalg.norm(features[others].astype(float) - features[row], axis=1)
    chosen = np.linalg.norm(features[found[row]].astype(float) - features[row])
    assert chosen == pytest.approx(distances.min(), rel=1e-3)


def test_small_differences_far_from_the_origin_count(frames: Frames) -> None:
    features = noise(frames, 4)
    everything = np.arange(len(features))
    near = nearest(features, frames.episode, everything, everything)
    far = nearest(features + np.float32(1000.0), frames.episode, everything, everything)
    assert (near == far).mean() > 0.98


def test_a_gallery_shows_one_frame_of_each_of_the_nearest_episodes(frames: Frames) -> None:
    found = nearest_of_episodes(noise(frames, 4), frames.episode, 40, 3)
    shown = frames.episode[list(found.rows)]
    assert len(set(shown)) == 3
    assert frames.episode[40] not in shown
    assert list(found.distances) == sorted(found.distances)


def test_released_queries_leave_the_first_ticks_and_short_episodes_out() -> None:
    queries = released_queries([10, 40, 11], first=10, count=200, seed=0)
    assert len(queries) == 200
    assert {number for number, _ in queries} == {1, 2}
    assert {tick for number, tick in queries if number == 2} == {10}
    assert released_queries([10, 3], first=10, count=200, seed=0) == []


# Figures


def test_features_that_hold_the_answers_have_no_error(
    frames: Frames, split: Split, resampler: Resampler
) -> None:
    figures = held_out_figures(answers(frames), frames, split, resampler)
    assert figures["state_r2/tool"].value > 0.9999
    assert figures["state_rmse/tool"].value < 0.5  # mm
    assert figures["target_r2/position"].value > 0.9999
    assert figures["grasp_error_mm"].value < 0.5


def test_features_of_noise_explain_nothing_and_are_no_better_than_the_mean(
    frames: Frames, split: Split, resampler: Resampler
) -> None:
    figures = held_out_figures(noise(frames, 300), frames, split, resampler)
    assert figures["state_r2/tool"].value < 0.1
    held_out = frames.of(split.held_out)
    spread = frames.state.rows[held_out][:, frames.state.groups["tool"]].std(axis=0)
    assert figures["state_rmse/tool"].value > 0.9 * np.sqrt(np.square(spread).mean())


def test_the_released_protocol_is_not_held_out(
    frames: Frames, episodes: list[Episode], split: Split, resampler: Resampler
) -> None:
    # As many features as frames: any target is fitted, the released figures are perfect, the honest ones not.
    features = noise(frames, len(frames.episode))
    released = released_figures(features, frames, episodes)
    assert released["released_state_mse_val/arm"].value < 1e-6
    assert held_out_figures(features, frames, split, resampler)["state_r2/arm"].value < 0.1


def test_the_total_of_the_released_protocol_leaves_the_tool_out(
    frames: Frames, episodes: list[Episode]
) -> None:
    figures = released_figures(noise(frames, 4), frames, episodes)
    arm, gripper = (figures[f"released_state_mse_train/{group}"].value for group in ("arm", "gripper"))
    assert figures["released_state_mse_train/total"].value == pytest.approx((7 * arm + gripper) / 8)


def test_the_total_over_an_action_is_in_metres(frames: Frames, episodes: list[Episode]) -> None:
    figures = released_figures(noise(frames, 4), frames, episodes)
    parts = {
        name: figures[f"released_nn_action_mse/{name}"].value for name in ("position", "rotation", "gripper")
    }
    expected = (3 * parts["position"] * 1e-6 + 3 * parts["rotation"] + parts["gripper"]) / 7
    assert figures["released_nn_action_mse/total"].value == pytest.approx(expected)


def test_a_figure_is_shown_in_line_with_its_interval() -> None:
    def shown(**figure: float | None) -> str:
        return figure_text(figure).replace("\N{NO-BREAK SPACE}", " ")

    assert shown(value=0.00726, low=6e-6, high=0.0157) == "0.0073 [0.0000, 0.0157]"
    assert shown(value=50.94, low=45.2, high=159.2) == "51 [45, 159]"
    assert shown(value=0.1234, low=None, high=None) == "0.123"
    assert shown(value=None, low=None, high=None) == "-"
    assert figure_text(None) == "-"


def test_an_encoder_that_sees_where_to_go_beats_a_blind_one(
    frames: Frames, episodes: list[Episode], split: Split
) -> None:
    settings = ProbeSettings(draws=50, policy_seeds=1, policy_steps=150)
    places = [
        np.concatenate([one.measured_position, np.tile(one.measured_position[20], (TICKS, 1))], axis=1)
        for one in episodes
    ]
    seeing = probe(SUBJECT, [one.astype(np.float32) for one in places], frames, episodes, split, settings)
    nothing = [np.zeros((TICKS, 2), np.float32) for _ in episodes]
    blind = probe(SUBJECT, nothing, frames, episodes, split, settings)
    assert seeing.figures["chunk_error"].value < 0.7 * blind.figures["chunk_error"].value
    assert seeing.figures["reach_error_mm"].value < 0.7 * blind.figures["reach_error_mm"].value
    assert seeing.figures["grasp_error_mm"].value < 1.0 < blind.figures["grasp_error_mm"].value
    assert blind.figures["effective_rank"].value == pytest.approx(1.0)


def test_a_card_has_the_figures_that_the_contract_gives_and_json_can_hold_them(
    frames: Frames, episodes: list[Episode], split: Split, contract: Contract
) -> None:
    settings = ProbeSettings(draws=20, policy_seeds=1, policy_steps=2)
    random = np.random.default_rng(0)
    features = [random.normal(size=(TICKS, 6)).astype(np.float32) for _ in episodes]
    card = probe(SUBJECT, features, frames, episodes, split, settings)
    assert sorted(card.figures) == sorted(figure_names(contract, with_objects=False))
    values = card_values([card], frames, split, settings)
    assert values["figures"]["state_rmse/tool@wrist"]["unit"] == "mm"
    assert values["figures"]["released_state_mse_val/arm"]["unit"] == "rad²"
    assert values["episodes"]["held_out"] == [frames.names[i] for i in split.held_out]
    again = probe(SUBJECT, features, frames, episodes, split, settings)
    assert card_values([again], frames, split, settings) == values


def test_features_that_are_not_finite_are_refused(
    frames: Frames, episodes: list[Episode], split: Split
) -> None:
    features = [np.full((TICKS, 2), np.nan, np.float32) for _ in episodes]
    with pytest.raises(ConfigError, match="one gives features that are not finite"):
        probe(SUBJECT, features, frames, episodes, split, ProbeSettings())


def test_queries_come_from_held_out_episodes_of_all_tasks(frames: Frames, split: Split) -> None:
    rows = gallery_queries(frames, split, ProbeSettings(queries=4))
    assert set(frames.episode[rows]) <= set(split.held_out)
    assert {frames.tasks[i] for i in frames.episode[rows]} == set(TASKS)


def test_a_map_holds_the_variance_of_a_plane() -> None:
    random = np.random.default_rng(0)
    plane = random.normal(size=(100, 2)) @ random.normal(size=(2, 8))
    found = embedding_map(plane.astype(np.float32))
    assert found.share == pytest.approx(1.0)
    assert np.square(found.places).sum() == pytest.approx(
        np.square(plane - plane.mean(axis=0)).sum(), rel=1e-4
    )


def test_every_figure_has_a_unit_and_a_role(contract: Contract) -> None:
    for name in figure_names(contract):
        assert isinstance(unit_of(name, contract), str)
        assert figure_of(name) is FIGURES[name.partition("@")[0].partition("/")[0]]


def test_names_of_encoders_are_as_long_as_they_must_be() -> None:
    assert list(distinct_names(["out/a/encoder", "out/b/encoder", "random", "x/y"])) == [
        "a/encoder",
        "b/encoder",
        "random",
        "y",
    ]
    assert distinct_names(["one", "one"]) == {"one": "one"}


# Gates


def card_with(*, reference: bool = False, **figures: float) -> Card:
    values = {name: Value(value) for name, value in figures.items()}
    nothing = EmbeddingMap(np.zeros(0, int), np.zeros((0, 2)), 1.0)
    return Card(SUBJECT._replace(reference=reference), values, nothing, ())


@pytest.mark.parametrize(
    ("texts", "broken"),
    [
        (["chunk_error=0.5"], []),
        (["chunk_error=0.35"], ["one: chunk_error is 0.4, must be <= 0.35"]),
        (["state_r2/tool=0.9"], []),
        (["state_r2/tool=0.99"], ["one: state_r2/tool is 0.95, must be >= 0.99"]),
        (["chunk_error=0.1", "state_r2/tool=2"], ["chunk_error is 0.4", "state_r2/tool is 0.95"]),
        (["reach_error_mm=100"], ["reach_error_mm is nan"]),
    ],
)
def test_a_gate_names_what_does_not_meet_it(texts: Sequence[str], broken: Sequence[str]) -> None:
    gates = parse_gates(texts, ["chunk_error", "state_r2/tool", "reach_error_mm"])
    cards = [card_with(**{"chunk_error": 0.4, "state_r2/tool": 0.95}), card_with(reference=True)]
    found = failures(cards, gates)
    assert len(found) == len(broken)
    for line, part in zip(found, broken, strict=True):
        assert part in line


def test_gates_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"'chunk_eror' is unknown; did you mean 'chunk_error'\?"):
        parse_gates(["chunk_eror=1"], ["chunk_error"])
    with pytest.raises(ConfigError, match="is not FIGURE=THRESHOLD"):
        parse_gates(["chunk_error"], ["chunk_error"])
    with pytest.raises(ConfigError, match="'nan' is not a finite number"):
        parse_gates(["chunk_error=nan"], ["chunk_error"])
