"""A robot, its sensors and the inference node's loop around a Runner, on simulated time in one process.

The loop does what `nodes/inference_node.py` does on a real robot: messages are decoded and pushed as they
come, at each command tick the clocks are compared, a plan is taken over, the next observation is handed to
inference, and a command is asked for. Inference takes THINK_NS. The arm is ideal: it goes in straight lines
from command to command, and where none comes by the braking of the last one.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.decode import Decoder
from dynamo_policies.errors import DynamoError, UnknownNameError
from dynamo_policies.gates import Reaction
from dynamo_ros.core.deployable import Deployable
from dynamo_ros.core.plans import Plan
from dynamo_ros.core.runner import Runner
from dynamo_ros.core.ways import Given, place, resting
from dynamo_ros.core.worker import hand_over, infer
from dynamo_ros.faults.circling import READY, Circling
from dynamo_ros.faults.hand import FollowingHand
from dynamo_ros.faults.sensors import sensors
from dynamo_ros.faults.spoiled import Spoiled

FloatArray = npt.NDArray[np.float64]

STEP_NS = 1_000_000
START_NS = 10_000_000_000
THINK_NS = 20_000_000
WARM_UP_NS = 200_000_000  # sensors run this long before the policy begins
REPORT_NS = 20_000_000  # between reports of the arm's controller, and of the deadman
WELL = {"state": 1, "mode": 1, "err": 0, "warn": 0, "mt_able": 0xFFFF}


class Tick(NamedTuple):
    """One command tick, by the steady clock."""

    at_ns: int
    given: Given | None  # the command; None: nothing was sent
    rest: FloatArray  # where the arm would come to rest, (J,) rad
    measured: FloatArray  # where the arm was, (J,) rad
    stop: str  # the kind of the latched stop, empty while there is none
    wants: tuple[tuple[str, Reaction], ...]  # the gates that want something, and what

    @property
    def joints(self) -> FloatArray | None:
        """The command, (J,) rad; None: nothing was sent."""
        return None if self.given is None else self.given.joints


class Bench:
    """Everything that a fault can be put into, and what came of it: `ticks`."""

    def __init__(self, bundle: Deployable, contract: Contract) -> None:
        """Put an arm at rest under `bundle`; UnknownNameError where nobody knows where it begins."""
        if contract.kinematics not in READY:
            raise UnknownNameError("kinematics", contract.kinematics, READY)
        spoiled = Spoiled(bundle)
        self.contract, self.policy, self.ticks = contract, spoiled.policy, list[Tick]()
        self.runner = Runner(spoiled, clock_ns=lambda: self.now_ns, contract=contract)
        self.now_ns = START_NS  # by the steady clock
        self.ahead_ns = 0  # by how much the clock of stamps is ahead of it
        self.hangs = False  # whether inference never comes back
        self.think_ns = THINK_NS
        self.stalled_until_ns = 0  # the node does nothing before
        self.robot: dict[str, int] | None = dict(WELL)  # None: the controller says nothing
        self.deadman: bool | None = True  # None: nobody says anything about it
        self._decoder = Decoder(contract, bundle.frames)
        self._begun = np.array(READY[contract.kinematics])  # where the arm was when the last command came
        self._given = resting(self._begun)
        self.hand = FollowingHand(contract, START_NS, swings=isinstance(bundle, Circling))
        self.sensors = sensors(contract, START_NS, self._measure)
        self._names = {
            sensor.topic: [name for name, one in contract.observed.items() if one.topic == sensor.topic]
            for sensor in self.sensors.values()
        }
        self._coming: list[tuple[int, int, str, Any]] = []
        self._inbox: dict[str, deque[Any]] = {
            sensor.topic: deque(maxlen=contract.streams[name].depth) for name, sensor in self.sensors.items()
        }
        self._order = itertools.count()
        self._thought: tuple[int, Future[Plan]] | None = None
        self._tick_ns = 0

    @property
    def stamp_ns(self) -> int:
        """The time by the clock of stamps."""
        return self.now_ns + self.ahead_ns

    @property
    def arm(self) -> FloatArray:
        """Where the arm is, (J,) rad."""
        return place(self.contract.arm, self._given, self._begun, self.now_ns)

    def begin(self) -> None:
        """Let the sensors come, then the policy begin."""
        self._pass(WARM_UP_NS)
        self.runner.begin(self.runner.tasks[0], self.stamp_ns)
        self._tick_ns = self.now_ns

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self._pass(round(seconds * 1e9))

    def again(self) -> None:
        """Re-arm and begin again, as the node does when somebody calls ~/rearm."""
        self.runner.rearm()
        self.runner.begin(self.runner.tasks[0], self.stamp_ns)

    def press(self, *, pressed: bool) -> None:
        """Press or release the e-stop."""
        self.runner.estop(pressed=pressed)

    def _pass(self, duration_ns: int) -> None:
        end_ns = self.now_ns + duration_ns
        while self.now_ns < end_ns:
            self.now_ns += STEP_NS
            self._sense()
            if self.now_ns < self.stalled_until_ns:
                continue
            if self._tick_ns and self.now_ns >= self._tick_ns:
                # A timer that was held up ticks once, and before the messages that wait: the worst order.
                self._tick_ns = max(self._tick_ns, self.now_ns - self.contract.arm.period_ns + 1)
                self._tick_ns += self.contract.arm.period_ns
                self._tick()
            self._hear()

    def _sense(self) -> None:
        for sensor in self.sensors.values():
            for at_ns, message in sensor.send(self.now_ns, self.stamp_ns):
                heapq.heappush(self._coming, (at_ns, next(self._order), sensor.topic, message))
        while self._coming and self._coming[0][0] <= self.now_ns:
            _, _, topic, message = heapq.heappop(self._coming)
            self._inbox[topic].append(message)

    def _hear(self) -> None:
        if self.now_ns % REPORT_NS == 0:
            if self.robot is not None:
                self.runner.gates.robot_state.saw(SimpleNamespace(**self.robot), self.stamp_ns)
            if self.deadman is not None:
                self.runner.gates.deadman.saw(self.deadman, self.stamp_ns)
        for topic, inbox in self._inbox.items():
            while inbox:
                message = inbox.popleft()
                for name in self._names[topic]:
                    self._receive(name, message)

    def _receive(self, name: str, message: Any) -> None:
        try:
            sample = self._decoder.decode(name, message, self.stamp_ns)
        except DynamoError as error:
            self.runner.refuse(name, str(error))
            return
        if sample is not None:
            self.runner.push(sample)

    def _tick(self) -> None:
        self.runner.compare_clocks(self.stamp_ns, self.now_ns)
        self._think()
        command = self.runner.command(self.stamp_ns)
        measured = self.arm
        given = None if command is None else Given(self.now_ns, command.joints, command.braking)
        if given is not None:
            self._begun, self._given = measured, given
        self.hand.follow(None if command is None else command.hand, self.now_ns)
        stop = "" if self.runner.stopped is None else self.runner.stopped.kind
        wants = tuple(self.runner.gates.reactions().items())
        self.ticks.append(Tick(self.now_ns, given, self.runner.rest, measured, stop, wants))

    def _think(self) -> None:
        """Do what `core.worker` does, in simulated time."""
        if self._thought is not None:
            if self.hangs or self._thought[0] > self.now_ns:
                return
            hand_over(self._thought[1], self.runner, self.stamp_ns)
            self._thought = None
        if (work := self.runner.due(self.stamp_ns)) is not None:
            self._thought = self.now_ns + self.think_ns, Future()
            infer(self.runner, work, self._thought[1])

    def _measure(self, name: str) -> FloatArray:
        """Return what a stream of joints measures; all but the arm's and the hand's stand at zero."""
        if name == self.contract.arm_stream:
            return self.arm
        if name == self.contract.hand_stream:
            return self.hand.at(self.now_ns)
        return np.zeros(len(self.contract.streams[name].joints))
