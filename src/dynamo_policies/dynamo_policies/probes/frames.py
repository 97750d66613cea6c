"""The frames that encoders are probed on: what was true at each tick, and who learns from which episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.actions import POSE_SIZE, action_space, chunks
from dynamo_policies.contract import Contract
from dynamo_policies.episodes import Episode
from dynamo_policies.errors import ConfigError
from dynamo_policies.observation import FloatArray
from dynamo_policies.probes.figures import TOOL

IntArray = npt.NDArray[np.int64]
VALIDATION, HELD_OUT = 0.2, 0.2  # shares of the episodes of each task
TOOL_ENTRY_M = 0.01  # an object always as near to the tool is the tool itself


class Values(NamedTuple):
    """What a probe predicts: rows (N, D), and the columns of each group."""

    rows: FloatArray
    groups: dict[str, slice]


class Split(NamedTuple):
    """Numbers of the episodes that probes learn from, choose their penalty by, and are measured on."""

    training: tuple[int, ...]
    validation: tuple[int, ...]
    held_out: tuple[int, ...]

    @property
    def learnt_from(self) -> tuple[int, ...]:
        """All but the held-out ones."""
        return (*self.training, *self.validation)


@dataclass(frozen=True)
class Frames:
    """All valid ticks of all episodes, N together, one episode after the other."""

    contract: Contract
    names: tuple[str, ...]  # of the episodes
    tasks: tuple[str, ...]  # of the episodes
    episode: IntArray  # (N,) number of the episode
    tick: IntArray  # (N,) row within the episode
    elapsed: FloatArray  # (N,) 0 at the start of the episode to 1 at its end
    state: Values  # joints as in the contract, tool position mm
    action: Values  # the next one, relative to the measured pose: mm, rad, gripper 0 to 1
    target: Values  # the same action, absolute
    before_grasp: npt.NDArray[np.bool_]  # (N,) the gripper has not closed yet and is going to
    grasp: FloatArray  # (N, 2) mm, x and y of the tool when the gripper first closes; NaN if never
    object: FloatArray | None  # (N, 2) mm, x and y of the object that gets moved

    def of(self, episodes: Sequence[int]) -> IntArray:
        """Return the rows of the frames of `episodes`."""
        return np.flatnonzero(np.isin(self.episode, episodes))


def make_frames(episodes: Sequence[Episode], objects: Sequence[FloatArray] | None = None) -> Frames:
    """Return the frames of `episodes`; `objects` are the positions (T, K, 3) m of K objects in each.

    Raises:
        ConfigError: an episode has no valid tick.
    """
    kept = [np.flatnonzero(one.valid & np.isfinite(one.state).all(axis=1)) for one in episodes]
    for episode, ticks in zip(episodes, kept, strict=True):
        if not len(ticks):
            raise ConfigError(f"episode {episode.path.name} has no tick with all of its streams fresh")
    closing = [closing_tick(episode) for episode in episodes]
    moved = None if objects is None else moved_object(episodes, objects)
    return Frames(
        contract=episodes[0].contract,
        names=tuple(episode.path.name for episode in episodes),
        tasks=tuple(episode.task for episode in episodes),
        episode=np.concatenate([np.full(len(ticks), i) for i, ticks in enumerate(kept)]),
        tick=np.concatenate(kept),
        elapsed=np.concatenate([k / max(1, len(one) - 1) for one, k in zip(episodes, kept, strict=True)]),
        state=_states(episodes, kept),
        action=_actions(episodes, kept, relative=True),
        target=_actions(episodes, kept, relative=False),
        before_grasp=np.concatenate([ticks < tick for ticks, tick in zip(kept, closing, strict=True)]),
        grasp=np.concatenate(
            [
                np.tile(_grasp(one, tick), (len(k), 1))
                for one, tick, k in zip(episodes, closing, kept, strict=True)
            ]
        ),
        object=None
        if objects is None or moved is None
        else np.concatenate([1000.0 * one[k, moved, :2] for one, k in zip(objects, kept, strict=True)]),
    )


def closing_tick(episode: Episode) -> int:
    """Return the first tick at which the gripper is told to close; 0 where it never is, or at once."""
    changes = gripper_changes(episode)
    return changes[0] if changes else 0


def gripper_changes(episode: Episode) -> list[int]:
    """Return the ticks at which the gripper is told to close, then to open, and so on; it starts open."""
    gripper = episode.contract.gripper
    if gripper is None:
        return []
    changes, closed = [], False
    for tick, value in enumerate(episode.target_gripper):
        if value > gripper.close_above if not closed else value < gripper.open_below:
            closed = not closed
            changes.append(tick)
    return changes


def moved_object(episodes: Sequence[Episode], objects: Sequence[FloatArray]) -> int | None:
    """Return which object (column of `objects`) a typical episode moves farthest, the tool not counted.

    None where nothing moves.
    """
    moves, near = [], []
    for episode, positions in zip(episodes, objects, strict=True):
        moves.append(np.linalg.norm(positions[-1] - positions[0], axis=1))
        near.append(np.linalg.norm(positions - episode.measured_position[:, None], axis=2).max(axis=0))
    typical = np.median(moves, axis=0)
    typical[np.max(near, axis=0) < TOOL_ENTRY_M] = 0.0
    return int(typical.argmax()) if typical.max() > 0.0 else None


def split_episodes(tasks: Sequence[str], seed: int, held_out: Sequence[int] | None = None) -> Split:
    """Return who learns from which episode, the same share of each task, by an order drawn from `seed`.

    `held_out` are numbers of episodes that are chosen already.

    Raises:
        ConfigError: there are too few episodes.
    """
    random = np.random.default_rng(seed)
    parts: dict[str, list[int]] = {"training": [], "validation": [], "held_out": list(held_out or ())}
    for task in dict.fromkeys(tasks):
        numbers = [i for i, other in enumerate(tasks) if other == task and i not in parts["held_out"]]
        order = [numbers[i] for i in random.permutation(len(numbers))]
        for part, share in (("held_out", 0.0 if held_out else HELD_OUT), ("validation", VALIDATION)):
            count = max(1, round(share * len(numbers))) if share else 0
            parts[part] += order[:count]
            order = order[count:]
        parts["training"] += order
    if not all(parts.values()):
        counts = {task: list(tasks).count(task) for task in tasks}
        raise ConfigError(
            f"episodes {counts} are too few; a task needs 3 to learn from, choose by and measure on"
        )
    return Split(**{name: tuple(sorted(numbers)) for name, numbers in parts.items()})


def some_of_each_task(tasks: Sequence[str], count: int, seed: int) -> list[int]:
    """Return the numbers of `count` episodes, as evenly from the tasks as can be, drawn by `seed`."""
    random = np.random.default_rng(seed)
    order = {
        task: random.permutation([i for i, other in enumerate(tasks) if other == task]).tolist()
        for task in dict.fromkeys(tasks)
    }
    chosen: list[int] = []
    while len(chosen) < min(count, len(tasks)):
        for numbers in order.values():
            if numbers and len(chosen) < count:
                chosen.append(numbers.pop())
    return sorted(chosen)


def _states(episodes: Sequence[Episode], kept: Sequence[IntArray]) -> Values:
    contract, groups, start = episodes[0].contract, {}, 0
    for name in contract.proprioception:
        groups[name] = slice(start, start + len(contract.streams[name].joints))
        start = groups[name].stop
    groups[TOOL] = slice(start, start + 3)
    rows = [
        np.concatenate([one.state[k], 1000.0 * one.measured_position[k]], axis=1)
        for one, k in zip(episodes, kept, strict=True)
    ]
    return Values(np.concatenate(rows), groups)


def _actions(episodes: Sequence[Episode], kept: Sequence[IntArray], *, relative: bool) -> Values:
    space = action_space(episodes[0].contract, relative=relative)
    rows = np.concatenate(
        [chunks(one, 1, space)[0][k, 0].astype(np.float64) for one, k in zip(episodes, kept, strict=True)]
    )
    rows[:, :3] *= 1000.0
    groups = {"position": slice(0, 3), "rotation": slice(3, POSE_SIZE)}
    carried = POSE_SIZE + space.grippers
    if space.grippers:
        groups["gripper"] = slice(POSE_SIZE, carried)
    if space.hand_joints:
        groups["hand"] = slice(carried, space.size)
    return Values(rows, groups)


def _grasp(episode: Episode, tick: int) -> FloatArray:
    return 1000.0 * episode.measured_position[tick, :2] if tick else np.full(2, np.nan)
