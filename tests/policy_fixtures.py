"""A whole deployable that fits on a page, and a station without physics to run it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.decode import FrameSettings
from dynamo_policies.kinematics import chain
from dynamo_policies.observation import Pose, Sample, Target
from dynamo_ros.core.station import StationOutcome

ROOT = Path(__file__).parents[1]
CONTRACT = load_contract(ROOT / "config/robots/xarm_kitchen.yaml")
READY = np.array([0.0, -0.45, 0.0, 0.9, 0.0, 1.35, 0.0])
SECOND = 1_000_000_000


class MeanColour:
    """Embeds each camera as its mean colour."""

    def embed(self, images: Mapping[str, npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        """Return (3 V,) features."""
        return np.concatenate([image.mean(axis=(0, 1)) for image in images.values()]).astype(np.float32)


@dataclass
class Constant:
    """A policy whose chunk is always the same; it remembers the windows that it was shown."""

    chunk: npt.NDArray[np.float32]  # (K, 8): a pose and a gripper
    window: int = 1
    shown: list[npt.NDArray[np.float32]] = field(default_factory=list)

    def reset(self) -> None:
        """Forget what was shown."""
        self.shown.clear()

    def act(
        self, features: npt.NDArray[np.float32], state: npt.NDArray[np.float32], task: str
    ) -> npt.NDArray[np.float32]:
        """Return the chunk."""
        assert task in CONTRACT.tasks
        assert len(features) == len(state) == self.window
        self.shown.append(features)
        return self.chunk


class Absolute:
    """Takes an action as a pose and a gripper in the base frame."""

    def decode(self, actions: npt.NDArray[np.float32], anchor: Pose) -> list[Target]:
        """Return the targets of (K, 8) actions."""
        assert np.isfinite(anchor.position).all()
        return [Target(Pose(row[:3], row[3:7]), float(row[7])) for row in actions.astype(np.float64)]


@dataclass
class Tiny:
    """A deployable."""

    policy: Constant
    contract: Contract = CONTRACT
    tasks: tuple[str, ...] = tuple(CONTRACT.tasks)
    frames: FrameSettings = field(default_factory=lambda: FrameSettings(size=8))
    embedder: MeanColour = field(default_factory=MeanColour)
    actions: Absolute = field(default_factory=Absolute)
    novelty: None = None


def driving_to(position: tuple[float, float, float], *, gripper: float = 0.0, window: int = 1) -> Tiny:
    """Return a deployable that says `position`, tool down, for the next ten periods."""
    row = np.array([*position, *CONTRACT.reference_rotation, gripper], np.float32)
    return Tiny(Constant(np.tile(row, (10, 1)), window))


def samples_at(
    stamp_ns: int, joints: npt.NDArray[np.float64] = READY, *, without: str | None = None
) -> list[Sample]:
    """Return one sample of each observed stream, all stamped `stamp_ns`."""
    values = {"arm": joints, "gripper": np.zeros(1)}
    for name in CONTRACT.cameras:
        values[name] = np.full((8, 8, 3), stamp_ns // 10_000_000 % 256, np.uint8)
    return [Sample(name, stamp_ns, value) for name, value in values.items() if name != without]


class IdealStation:
    """A station whose arm is wherever it was commanded; success is the tool within 5 mm of `goal`."""

    def __init__(self, goal: tuple[float, float, float]) -> None:
        self.goal, self.time_ns, self.grips = np.array(goal), 3 * SECOND, []
        self._joints, self._task, self._reset_ns = READY, "", 0

    def reset(self, task: str, seed: int) -> None:
        """Put the arm into its first place; the seed turns it a little."""
        self._joints = READY + np.eye(7)[0] * 0.01 * seed
        self._task, self._reset_ns = task, self.time_ns

    def advance(self, until_ns: int) -> list[Sample]:
        """Return one sample of each stream for every 20 ms."""
        samples = []
        while self.time_ns + CONTRACT.arm.period_ns <= until_ns:
            self.time_ns += CONTRACT.arm.period_ns
            samples += samples_at(self.time_ns, self._joints)
        return samples

    def command_arm(self, positions: npt.ArrayLike, times_s: npt.ArrayLike) -> None:
        """Jump to the last position."""
        assert np.shape(positions) == (*np.shape(times_s), len(READY))
        self._joints = np.asarray(positions)[-1]

    def command_gripper(self, position: float) -> None:
        """Remember the goal."""
        self.grips.append(position)

    def outcome(self) -> StationOutcome:
        """Judge by where the tool is."""
        tool = chain(CONTRACT.kinematics).forward(self._joints, tool_offset_m=CONTRACT.tool_offset_m)[0]
        elapsed_s = (self.time_ns - self._reset_ns) / SECOND
        success = bool(np.linalg.norm(tool - self.goal) < 5e-3)
        late = elapsed_s >= CONTRACT.task(self._task).time_limit_s
        reason = "at the goal" if success else "time limit" if late else ""
        return StationOutcome(self._task, success, success or late, reason, elapsed_s)

    def objects(self) -> dict[str, Pose]:
        """There are none."""
        return {}

    def close(self) -> None:
        """Free nothing."""
