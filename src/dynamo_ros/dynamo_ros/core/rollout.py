"""One attempt of a policy at a task on a station, in one process and in the station's time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.decode import FrameSettings, resize
from dynamo_policies.observation import Sample
from dynamo_ros.core.commander import ArmCommand
from dynamo_ros.core.plans import Plan
from dynamo_ros.core.runner import Runner
from dynamo_ros.core.station import HandStation, Station, StationOutcome

Images = dict[str, npt.NDArray[np.uint8]]
# After a reset the station runs this long before the policy begins, so that every stream has spoken.
PREROLL_NS = 600_000_000
# How long after the task's time limit a station may take to call the rollout done.
GRACE_S = 1.0


class Rollout(NamedTuple):
    """How one attempt went."""

    task: str
    seed: int
    success: bool
    reason: str  # why it ended
    seconds: float  # of the station's time, from the reset to the end
    stamps_ns: npt.NDArray[np.int64]  # (N,) of the commands
    commands: npt.NDArray[np.float64]  # (N, J) rad, joints after every limit
    skipped: int  # ticks passed over because inference was busy
    stale: int  # ticks with a stale stream


def rollout(
    station: Station,
    runner: Runner,
    task: str,
    seed: int,
    *,
    frames: FrameSettings,
    latency_ns: int = 0,
    on_frame: Callable[[Images], None] | None = None,
) -> Rollout:
    """Run the start `seed` of `task` to its end; a stop that an earlier attempt left is cleared.

    Plans take effect `latency_ns` after their observation; ticks are skipped meanwhile, as on the robot.
    `on_frame` gets the cameras' newest images, as the station gave them, once a policy period.
    """
    attempt = _Attempt(station, runner, frames, latency_ns)
    station.reset(task, seed)
    attempt.watch(_grid(station.time_ns + PREROLL_NS, runner.contract.arm.period_ns))
    runner.rearm()
    runner.begin(task, station.time_ns)
    limit_s = runner.contract.task(task).time_limit_s + GRACE_S
    while not (outcome := station.outcome()).done and outcome.elapsed_s < limit_s:
        attempt.step(station.time_ns + runner.contract.arm.period_ns)
        if on_frame is not None and station.time_ns % runner.contract.period_ns == 0:
            on_frame(dict(attempt.images))
        if runner.stopped is not None:
            outcome = station.outcome()._replace(reason=f"stopped: {runner.stopped.text}")
            break
    runner.finish()
    return _result(outcome, seed, attempt, runner)


class _Attempt:
    """Ties a runner to a station, one command period at a time."""

    def __init__(self, station: Station, runner: Runner, frames: FrameSettings, latency_ns: int) -> None:
        self._station, self._runner = station, runner
        self._frames, self._latency_ns = frames, latency_ns
        self._waiting: deque[tuple[int, Plan]] = deque()
        self.images: Images = {}
        self.commands: list[tuple[int, ArmCommand]] = []

    def watch(self, until_ns: int) -> None:
        """Let time pass and take in what was measured."""
        cameras = self._runner.contract.cameras
        for sample in self._station.advance(until_ns):
            if sample.stream in cameras:
                self.images[sample.stream] = sample.value.astype(np.uint8, copy=False)
            self._runner.push(fitted(sample, self._runner.contract, self._frames))

    def step(self, now_ns: int) -> None:
        """Let time pass until `now_ns`, think, and command."""
        self.watch(now_ns)
        self._think(now_ns)
        command = self._runner.command(now_ns)
        if command is None:
            return
        self.commands.append((now_ns, command))
        self._station.command_arm(command.joints[None], [self._runner.contract.arm.period_ns / 1e9])
        if command.gripper is not None:
            self._station.command_gripper(command.gripper)
        if command.hand is not None and isinstance(self._station, HandStation):
            self._station.command_hand(command.hand)

    def _think(self, now_ns: int) -> None:
        if not self._waiting and (work := self._runner.due(now_ns)) is not None:
            self._waiting.append((now_ns + self._latency_ns, self._runner.infer(work)))
        if self._waiting and self._waiting[0][0] <= now_ns:
            self._runner.accept(self._waiting.popleft()[1], now_ns)


def fitted(sample: Sample, contract: Contract, frames: FrameSettings) -> Sample:
    """Return `sample` as the decoder would have made it: images at the size of `frames`."""
    if sample.stream not in contract.cameras:
        return sample
    return sample._replace(value=resize(sample.value.astype(np.uint8, copy=False), frames))


def _grid(time_ns: int, period_ns: int) -> int:
    """Return the first multiple of the period from `time_ns` on."""
    return -(-time_ns // period_ns) * period_ns


def _result(outcome: StationOutcome, seed: int, attempt: _Attempt, runner: Runner) -> Rollout:
    joints = len(runner.contract.arm.joints)
    return Rollout(
        outcome.task,
        seed,
        outcome.success,
        outcome.reason or "time limit",
        outcome.elapsed_s,
        np.array([stamp for stamp, _ in attempt.commands], np.int64),
        np.array([command.joints for _, command in attempt.commands]).reshape(-1, joints),
        runner.counts.skipped,
        runner.counts.stale,
    )
