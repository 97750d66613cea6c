"""Episodes whose images say which tick they are of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dynamo_policies.contract import Contract
from dynamo_policies.episodes import Episode

PERIOD_NS = 100_000_000


def make_episode(
    contract: Contract, valid: list[bool], *, first: int = 0, gap_after: int | None = None
) -> Episode:
    """Return an episode whose images at row i are full of first + i, with a tick missing after a row."""
    count = len(valid)
    ticks = np.arange(count) * PERIOD_NS
    if gap_after is not None:
        ticks[gap_after + 1 :] += PERIOD_NS
    images = np.empty((count, 4, 4, 3), np.uint8)
    images[:] = (first + np.arange(count))[:, None, None, None]
    zeros = np.zeros((count, 4))
    return Episode(
        path=Path("episode"),
        task="put_yogurt",
        outcome="success",
        contract=contract,
        tick_ns=ticks.astype(np.int64),
        images={"fixed": images, "wrist": images + 100},
        state=np.zeros((count, 8), np.float32),
        valid=np.array(valid, dtype=bool),
        measured_position=zeros[:, :3],
        measured_quaternion=zeros,
        target_position=zeros[:, :3],
        target_quaternion=zeros,
        target_gripper=zeros[:, 0],
    )
