"""Segments for tests of pretraining, and runs that are interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dynamo_policies.actions import ACTION_SIZE
from dynamo_policies.pretraining import StepReport


class Squares:
    """Draws segments (count, 4, 2, 32, 32, 3) of a bright square that moves over noise, and actions."""

    def __init__(self) -> None:
        self.drawn = 0
        self.made: dict[int, npt.NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return 5

    def draw(self, count: int) -> npt.NDArray[np.int64]:
        first = 1000 * self.drawn
        self.made = {first + i: segment for i, segment in enumerate(self.sample(count))}
        return first + np.arange(count)

    def segments(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return np.stack([self.made[int(number)] for number in numbers])

    def actions(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        randoms = [np.random.default_rng(int(number)) for number in numbers]
        return np.stack([random.normal(size=(4, ACTION_SIZE)) for random in randoms]).astype(np.float32)

    def sample(self, count: int) -> npt.NDArray[np.uint8]:
        random = np.random.default_rng(self.drawn)
        segments = random.integers(0, 80, (count, 4, 2, 32, 32, 3), dtype=np.uint8)
        for segment in segments:
            left = int(random.integers(0, 16))
            for tick in range(4):
                segment[tick, :, 8:16, left + 2 * tick : left + 2 * tick + 8] = 250
        self.drawn += 1
        return segments

    def state(self) -> dict[str, int]:
        return {"drawn": self.drawn}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.drawn = state["drawn"]


class Grey(Squares):
    """Draws segments in which there is nothing to see."""

    def sample(self, count: int) -> npt.NDArray[np.uint8]:
        return np.full((count, 4, 2, 32, 32, 3), 128, np.uint8)


class InterruptedRunError(Exception):
    pass


def interrupt_after(step: int) -> Any:
    """Return what interrupts a run after `step`."""

    def on_step(report: StepReport) -> None:
        if report.step == step:
            raise InterruptedRunError

    return on_step
