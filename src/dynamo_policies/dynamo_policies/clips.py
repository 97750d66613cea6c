"""Contiguous segments of episodes, drawn for the pretraining objectives."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dynamo_policies.episodes import Episode
from dynamo_policies.errors import DynamoError


class ClipError(DynamoError):
    """The episodes don't give the segments that are asked for."""


class SegmentSampler:
    """Draws segments of `length` consecutive valid ticks, each once before any comes again.

    After a segment at least `unused` more valid ticks have to follow; they are not shown. `actions` are those
    of each episode's ticks, (T, A), where segments are to come with them.
    The order depends only on the episodes, `length` and `seed`, so that a restored sampler goes on as it
    would have.
    """

    def __init__(
        self,
        episodes: Sequence[Episode],
        length: int,
        seed: int,
        *,
        unused: int = 0,
        actions: Sequence[npt.NDArray[np.float32]] = (),
    ) -> None:
        if length < 1:
            raise ClipError(f"segments of {length} ticks are impossible; at least 1 is possible")
        _check_alike(episodes)
        if actions and [len(one) for one in actions] != [len(episode) for episode in episodes]:
            raise ClipError("there is not one action for each tick of each episode")
        self._episodes, self._actions = list(episodes), list(actions)
        self._length = length
        self._seed = seed
        needed = length + unused
        self._places = [(i, start) for i, one in enumerate(episodes) for start in segment_starts(one, needed)]
        if not self._places:
            longest = max((longest_run(episode) for episode in episodes), default=0)
            raise ClipError(
                f"no segment of {needed} consecutive valid ticks in {len(episodes)} episodes; "
                f"at most {longest} ticks are possible"
            )
        self._epoch = self._drawn = 0
        self._order = self._shuffle()

    def __len__(self) -> int:
        return len(self._places)

    @property
    def epoch(self) -> int:
        """How many times all segments have been drawn."""
        return self._epoch

    def sample(self, count: int) -> npt.NDArray[np.uint8]:
        """Return the next segments, (count, length, V, H, W, 3) contiguous, views in contract order."""
        return self.segments(self.draw(count))

    def sample_with_actions(self, count: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        """Return the next segments as `sample` does, and the actions of their ticks, (count, length, A).

        Raises:
            ClipError: the sampler was made without actions.
        """
        self._check_actions()
        drawn = self.draw(count)
        return self.segments(drawn), self.actions(drawn)

    def draw(self, count: int) -> npt.NDArray[np.int64]:
        """Return the numbers of the next `count` segments."""
        return np.array([self._next() for _ in range(count)], dtype=np.int64)

    def segments(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the segments of these numbers as `sample` does."""
        cameras = list(self._episodes[0].images)
        shape = self._episodes[0].images[cameras[0]].shape[1:]
        clips = np.empty((len(numbers), self._length, len(cameras), *shape), dtype=np.uint8)
        for row, (index, start) in enumerate(self._places[number] for number in numbers):
            for view, camera in enumerate(cameras):
                clips[row, :, view] = self._episodes[index].images[camera][start : start + self._length]
        return clips

    def actions(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the actions of the ticks of the segments of these numbers, (N, length, A)."""
        self._check_actions()
        places = [self._places[number] for number in numbers]
        return np.stack([self._actions[index][start : start + self._length] for index, start in places])

    def frame_shape(self) -> tuple[int, ...]:
        """Return the shape of `all_frames` put end to end, (ticks, V, H, W, 3)."""
        images = self._episodes[0].images
        shape = next(iter(images.values())).shape[1:]
        return (sum(len(episode) for episode in self._episodes), len(images), *shape)

    def all_frames(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the frames of each episode, (ticks, V, H, W, 3)."""
        for episode in self._episodes:
            yield np.stack(list(episode.images.values()), axis=1)

    def rows(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return where in `all_frames`, put end to end, the segments of these numbers are, (N, length)."""
        before = np.cumsum([0, *(len(episode) for episode in self._episodes)])
        firsts = [before[index] + start for index, start in (self._places[number] for number in numbers)]
        return np.asarray(firsts, dtype=np.int64)[:, None] + np.arange(self._length)

    def state(self) -> dict[str, int]:
        """Return where the sampler is, as plain numbers."""
        return {"seed": self._seed, "segments": len(self), "epoch": self._epoch, "drawn": self._drawn}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state` was taken.

        Raises:
            ClipError: the state is of a sampler with another seed or other episodes.
        """
        for key, own in (("seed", self._seed), ("segments", len(self))):
            if state.get(key) != own:
                raise ClipError(f"state of a sampler with {key} {state.get(key)} given, this one has {own}")
        self._epoch, self._drawn = int(state["epoch"]), int(state["drawn"])
        self._order = self._shuffle()

    def _check_actions(self) -> None:
        if not self._actions:
            raise ClipError("segments with actions are asked for; this sampler was made without actions")

    def _next(self) -> int:
        if self._drawn == len(self):
            self._epoch, self._drawn = self._epoch + 1, 0
            self._order = self._shuffle()
        self._drawn += 1
        return int(self._order[self._drawn - 1])

    def _shuffle(self) -> npt.NDArray[np.int64]:
        return np.random.default_rng([self._seed, self._epoch]).permutation(len(self))


def segment_starts(episode: Episode, length: int) -> list[int]:
    """Return the rows at which `length` consecutive valid ticks begin."""
    # A run goes on from one row to the next if both are valid and no tick between them is missing.
    broken = _breaks(episode)
    blocked = np.concatenate([[0], np.cumsum(broken)])
    rows = np.arange(len(episode) - length + 1)
    fine = blocked[rows + length - 1] == blocked[rows]
    return [int(row) for row in rows[fine & episode.valid[rows]]]


def longest_run(episode: Episode) -> int:
    """Return the length of the longest run of consecutive valid ticks."""
    edges = np.flatnonzero(np.concatenate([[True], _breaks(episode), [True]]))
    return max((int(b - a) for a, b in itertools.pairwise(edges) if episode.valid[a]), default=0)


def _breaks(episode: Episode) -> npt.NDArray[np.bool_]:
    """Return for each row but the last whether no segment may go on from it to the next."""
    missing = np.diff(episode.tick_ns) != episode.contract.period_ns
    return np.asarray(missing | ~episode.valid[1:] | ~episode.valid[:-1])


def _check_alike(episodes: Sequence[Episode]) -> None:
    """Raise ClipError unless all episodes have the same cameras at the same size."""
    shapes = [{name: images.shape[1:] for name, images in episode.images.items()} for episode in episodes]
    for episode, shape in zip(episodes, shapes, strict=True):
        if list(shape.items()) != list(shapes[0].items()):
            raise ClipError(f"episode {episode.path} has images {shape}, {episodes[0].path} has {shapes[0]}")
