"""How segments reach the device: from memory-mapped files ahead of time, or out of its own memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from torch import Tensor

from dynamo_policies.processes import share_of
from dynamo_policies.recipes import PretrainConfig

Numbers = npt.NDArray[np.int64]
RESIDENT_SHARE = 0.5  # of the free memory; networks and activations need the rest


class Sampler(Protocol):
    """Where segments come from; `clips.SegmentSampler` is one."""

    def __len__(self) -> int:
        """Return how many different segments there are."""

    def draw(self, count: int) -> Numbers:
        """Return the numbers of the next `count` segments."""

    def segments(self, numbers: Numbers) -> npt.NDArray[np.uint8]:
        """Return the segments of these numbers, (N, T, V, H, W, 3)."""

    def actions(self, numbers: Numbers) -> npt.NDArray[np.float32]:
        """Return the actions of the ticks of the segments of these numbers, (N, T, A)."""

    def frame_shape(self) -> tuple[int, ...]:
        """Return the shape of all frames together, (ticks, V, H, W, 3)."""

    def all_frames(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield all frames in blocks (ticks, V, H, W, 3)."""

    def rows(self, numbers: Numbers) -> Numbers:
        """Return where in `all_frames` the ticks of the segments of these numbers are, (N, T)."""

    def state(self) -> dict[str, int]:
        """Return where the sampler is."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state` was taken."""


class Source(Protocol):
    """Gives segments by their numbers in two steps, of which the first may run ahead on another thread."""

    def fetch(self, numbers: Numbers) -> Tensor:
        """Return what `finish` needs, in the memory of the host."""

    def finish(self, fetched: Tensor) -> Tensor:
        """Return the segments (N, T, V, H, W, 3) uint8 on the device."""


class MappedFrames:
    """Segments copied out of the sampler's arrays, into pinned memory where they go on to CUDA."""

    def __init__(self, sampler: Sampler, device: torch.device) -> None:
        self._sampler, self._device = sampler, device

    def fetch(self, numbers: Numbers) -> Tensor:
        """Return the segments in the memory of the host."""
        found = torch.from_numpy(self._sampler.segments(numbers))
        return found.pin_memory() if self._device.type == "cuda" else found

    def finish(self, fetched: Tensor) -> Tensor:
        """Return the segments on the device; the copy may still be under way."""
        return fetched.to(self._device, non_blocking=True)


class ResidentFrames:
    """Segments gathered out of all frames, which lie on the device."""

    def __init__(self, sampler: Sampler, device: torch.device) -> None:
        self._sampler, self._device = sampler, device
        self._frames = torch.empty(sampler.frame_shape(), dtype=torch.uint8, device=device)
        filled = 0
        for block in sampler.all_frames():
            self._frames[filled : filled + len(block)] = torch.from_numpy(block)
            filled += len(block)

    def fetch(self, numbers: Numbers) -> Tensor:
        """Return where the frames of the segments are."""
        return torch.from_numpy(self._sampler.rows(numbers))

    def finish(self, fetched: Tensor) -> Tensor:
        """Return the segments."""
        return self._frames[fetched.to(self._device)]


class Batch(NamedTuple):
    """One process's share of a step: segments (N, T, V, H, W, 3) uint8; actions (N, T, A) if asked for."""

    segments: Tensor
    actions: tuple[Tensor, ...]

    def parts(self, count: int) -> Iterator[Batch]:
        """Yield the batch in `count` equal parts."""
        for rows in zip(*(tensor.chunk(count) for tensor in (self.segments, *self.actions)), strict=True):
            yield Batch(rows[0], tuple(rows[1:]))


class _Ahead(NamedTuple):
    """A batch on its way, and where the sampler was after it."""

    segments: Tensor
    actions: tuple[Tensor, ...]
    state: dict[str, int]


class Feed:
    """Draws `count` segments a step and gives those in `rows`, the next ones being fetched meanwhile."""

    def __init__(
        self,
        sampler: Sampler,
        source: Source,
        pool: ThreadPoolExecutor,
        *,
        count: int,
        rows: slice,
        actions: bool,
    ) -> None:
        self._sampler, self._source, self._pool = sampler, source, pool
        self._count, self._rows, self._with_actions = count, rows, actions
        self.state = sampler.state()  # after the batches given so far, whatever was fetched ahead
        self._ahead: Future[_Ahead] = pool.submit(self._fetch)

    def next(self, device: torch.device) -> Batch:
        """Return the next batch on `device`."""
        fetched = self._ahead.result()
        self._ahead = self._pool.submit(self._fetch)
        self.state = fetched.state
        actions = tuple(tensor.to(device, non_blocking=True) for tensor in fetched.actions)
        return Batch(self._source.finish(fetched.segments), actions)

    def _fetch(self) -> _Ahead:
        numbers = self._sampler.draw(self._count)[self._rows]
        actions = (torch.from_numpy(self._sampler.actions(numbers)),) if self._with_actions else ()
        return _Ahead(self._source.fetch(numbers), actions, self._sampler.state())


@contextmanager
def feeding(sampler: Sampler, config: PretrainConfig, team: Accelerator, *, actions: bool) -> Iterator[Feed]:
    """Yield a feed that gives this process its share of each step of `config`.

    Raises:
        ConfigError: a step's segments can't be shared out evenly.
    """
    rows = share_of(config.segments, team, parts=config.accumulate)
    resident = fits(sampler, team.device) if config.resident == "auto" else config.resident
    source = ResidentFrames(sampler, team.device) if resident else MappedFrames(sampler, team.device)
    with ThreadPoolExecutor(1, thread_name_prefix="feed") as pool:
        yield Feed(sampler, source, pool, count=config.segments, rows=rows, actions=actions)


def fits(sampler: Sampler, device: torch.device) -> bool:
    """Return whether all frames fit into a CUDA device beside a run; on the CPU files are mapped instead."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return math.prod(sampler.frame_shape()) <= RESIDENT_SHARE * free
