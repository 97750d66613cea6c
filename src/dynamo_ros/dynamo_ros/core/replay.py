"""A recorded episode through the runner that runs on the robot, in the bag's time: what it would command."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from dynamo_policies.errors import DynamoError, UnknownNameError
from dynamo_policies.observation import Sample
from dynamo_ros.core.again import Again, Beginning
from dynamo_ros.core.commander import ArmCommand
from dynamo_ros.core.gate_topics import GateName
from dynamo_ros.core.plans import Plan
from dynamo_ros.core.runner import Runner

FloatArray = npt.NDArray[np.float64]


class Unreadable(NamedTuple):
    """A message that does not fit the contract, and why."""

    stream: str
    problem: str


class Said(NamedTuple):
    """What came for a gate that listens to a topic of its own."""

    gate: GateName
    value: Any  # whether it is pressed or held; of `robot_state` the controller's report


Heard: TypeAlias = "tuple[int, Sample | Unreadable | Said]"  # with the time of receipt, nanoseconds


class ReplayError(DynamoError):
    """A bag can't be replayed."""


class Replayed(NamedTuple):
    """What was commanded, N commands."""

    stamps_ns: npt.NDArray[np.int64]  # (N,)
    joints: FloatArray  # (N, J) rad, after every limit
    position: FloatArray  # (N, 3) m, where `joints` put the tool
    quaternion: FloatArray  # (N, 4) x y z w
    gripper: FloatArray  # (N,) 0 open to 1 closed; NaN without a gripper
    hand: FloatArray  # (N, H) rad, NaN where nothing was due; H is 0 without a hand
    beginnings: tuple[Beginning, ...]
    planned: int
    skipped: int  # ticks passed over because inference was busy
    stale: int  # ticks with a stale stream
    apart_rad: float  # how far any commanded joint ever was from the measured one


def replay(heard: Iterable[Heard], runner: Runner, task: str, *, latency_ns: int = 0) -> Replayed:
    """Return what `runner` commands, fed with `heard` in the order of receipt.

    Times of receipt are the clock: commands are due on its grid, and a plan takes effect `latency_ns` after
    its observation was due. The recorded arm does not follow; `Again` says what comes of it.

    Raises:
        UnknownNameError: the runner's bundle was not made for `task`.
        ReplayError: there was never a moment at which the runner could begin.
    """
    if task not in runner.tasks:
        raise UnknownNameError("task", task, runner.tasks)
    player, period_ns, due_ns = _Player(runner, task, latency_ns), runner.contract.arm.period_ns, 0
    for receive_ns, one in heard:
        due_ns = due_ns or -(-receive_ns // period_ns) * period_ns
        while due_ns < receive_ns:
            player.step(due_ns)
            due_ns += period_ns
        player.hear(one, receive_ns)
    player.step(due_ns)
    return player.result()


class _Player:
    """Takes a runner through the moments of its commands."""

    def __init__(self, runner: Runner, task: str, latency_ns: int) -> None:
        self._runner, self._latency_ns = runner, latency_ns
        self._again = Again(runner, lambda now_ns: runner.begin(task, now_ns))
        self._waiting: deque[tuple[int, Plan]] = deque()
        self._commands: list[tuple[int, ArmCommand]] = []
        self._counts = np.zeros(3, np.int64)
        self._measured: FloatArray | None = None
        self._apart = 0.0

    def hear(self, one: Sample | Unreadable | Said, receive_ns: int) -> None:
        """Take what came."""
        if isinstance(one, Unreadable):
            self._runner.refuse(*one)
        elif isinstance(one, Said):
            self._tell(one, receive_ns)
        else:
            if one.stream == self._runner.contract.arm_stream:
                self._measured = one.value.astype(np.float64)
            self._runner.push(one)

    def step(self, now_ns: int) -> None:
        """Think, and command."""
        before = len(self._again.beginnings)
        counts = self._runner.counts
        self._again.step(now_ns)
        if len(self._again.beginnings) > before:
            self._count(counts)
            self._waiting.clear()
        self._think(now_ns)
        command = self._runner.command(now_ns)
        if command is not None:
            assert self._measured is not None  # nothing begins before
            self._commands.append((now_ns, command))
            self._apart = max(self._apart, float(np.abs(command.joints - self._measured).max()))

    def result(self) -> Replayed:
        """Return what was commanded, ReplayError if nothing was."""
        if not self._commands:
            raise ReplayError(
                f"nothing was commanded: {self._again.refusal or 'never was every stream fresh'}"
            )
        self._count(self._runner.counts)
        commands = [command for _, command in self._commands]
        planned, skipped, stale = self._counts.tolist()
        contract = self._runner.contract
        return Replayed(
            np.array([stamp for stamp, _ in self._commands], np.int64),
            np.array([command.joints for command in commands]),
            np.array([command.target.pose.position for command in commands]),
            np.array([command.target.pose.quaternion for command in commands]),
            _grippers(commands, there=contract.gripper is not None),
            _hands(commands, 0 if contract.hand is None else 16),
            tuple(self._again.beginnings),
            planned,
            skipped,
            stale,
            self._apart,
        )

    def _tell(self, said: Said, receive_ns: int) -> None:
        if said.gate == "estop":
            self._runner.estop(pressed=said.value)
        elif said.gate == "deadman":
            self._runner.gates.deadman.saw(said.value, receive_ns)
        else:
            self._runner.gates.robot_state.saw(said.value, receive_ns)

    def _think(self, now_ns: int) -> None:
        if not self._waiting and (work := self._runner.due(now_ns)) is not None:
            self._waiting.append((now_ns + self._latency_ns, self._runner.infer(work)))
        if self._waiting and self._waiting[0][0] <= now_ns:
            self._runner.accept(self._waiting.popleft()[1], now_ns)

    def _count(self, counts: object) -> None:
        self._counts += [getattr(counts, name) for name in ("planned", "skipped", "stale")]


def _grippers(commands: list[ArmCommand], *, there: bool) -> FloatArray:
    return np.array([command.target.gripper if there else np.nan for command in commands], np.float64)


def _hands(commands: list[ArmCommand], joints: int) -> FloatArray:
    nothing = np.full(joints, np.nan)
    rows = [nothing if command.hand is None else command.hand for command in commands]
    return np.array(rows, np.float64).reshape(len(commands), joints)
