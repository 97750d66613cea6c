"""What is known of the robot and the world: samples in, observations and the measured arm out.

Joints of the arm or the hand that are said to be a whole turn outside their limits are none: no joint goes
there, but degrees do.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from dynamo_policies.align import Aligner
from dynamo_policies.contract import Contract
from dynamo_policies.observation import Observation, Sample
from dynamo_ros.core.commander import Commander
from dynamo_ros.core.gate_board import GateBoard
from dynamo_ros.core.hand_limiter import TURN
from dynamo_ros.core.starting import fresh_joints

FloatArray = npt.NDArray[np.float64]

KEPT_S, LEAST_KEPT = 1.0, 64


class Senses:
    """The streams of a contract. What comes also goes to the gates it concerns and to the commander."""

    def __init__(self, contract: Contract, gates: GateBoard, commander: Commander) -> None:
        self._contract, self._gates, self._commander = contract, gates, commander
        self._hand_stream = contract.hand_stream
        self._aligner = Aligner(contract)
        self._observed_ns = 0
        self._arm: Sample | None = None
        self._way: deque[Sample] = deque(maxlen=_kept(contract))  # of the arm, lately
        self._hand_sent: FloatArray | None = None  # what the hand was commanded last in this episode
        self._possible = _possible(contract)

    @property
    def stamps_ns(self) -> dict[str, int]:
        """The stamps of the images of the last observation, by camera."""
        return self._aligner.stamps_ns

    def push(self, sample: Sample) -> None:
        """Take a decoded sample of any stream of the contract; impossible joints count as unreadable."""
        if problem := self._impossible(sample):
            self._gates.unreadable.report(problem, of=sample.stream)
            return
        self._aligner.push(sample)
        self._gates.unreadable.clear(sample.stream)
        if sample.stream in self._gates.stale:
            self._gates.stale[sample.stream].saw(sample.stamp_ns)
        if sample.stream in self._gates.frozen and self._arm is not None:
            self._gates.frozen[sample.stream].saw(sample.value, self._joints_of(sample), sample.stamp_ns)
        if sample.stream == self._contract.arm_stream:
            self._arm = sample
            self._way.append(sample)
            self._gates.frozen_joints.saw(sample.value, self._commander.joints, sample.stamp_ns)
            self._commander.observe(sample.value, sample.stamp_ns)
        elif sample.stream == self._hand_stream:
            self._commander.observe_hand(sample.value, self._hand_came_ns(sample))

    def begin(self) -> None:
        """Know of no command: an episode begins."""
        self._hand_sent = None

    def sent_hand(self, joints: FloatArray) -> None:
        """Take note of what the hand is commanded, (16,) rad."""
        self._hand_sent = joints

    def observe(self, tick_ns: int) -> Observation:
        """Return the observation of `tick_ns`."""
        self._observed_ns = tick_ns
        return self._aligner.observe(tick_ns)

    def look(self, now_ns: int) -> Observation:
        """Observe between episodes; what was seen before the clock went back is forgotten."""
        if now_ns < self._observed_ns:
            self.forget()
        return self.observe(now_ns)

    def joints(self, now_ns: int) -> npt.NDArray[np.float64]:
        """Return the arm's measured joints (J,) rad, or raise RunnerError where they are missing or old."""
        return fresh_joints(self._contract, self._arm, now_ns)

    def forget(self) -> None:
        """Forget all samples: the clock has jumped back."""
        self._aligner.reset()
        self._observed_ns = 0
        for gate in self._gates.stale.values():
            gate.forget()
        self._arm = None
        self._way.clear()

    def _hand_came_ns(self, sample: Sample) -> int:
        """Return the stamp of a posture of the hand, of the first like it where it should not repeat."""
        gate = self._gates.frozen_hand
        if gate is None or self._hand_sent is None:
            return sample.stamp_ns
        gate.saw(sample.value, self._hand_sent, sample.stamp_ns)
        return gate.came_ns(sample.stamp_ns)

    def _impossible(self, sample: Sample) -> str:
        """Return what is impossible about a sample of joints; empty where nothing is."""
        if sample.stream not in self._possible:
            return ""
        lower, upper = self._possible[sample.stream]
        if not ((sample.value < lower) | (sample.value > upper)).any():
            return ""
        names = self._contract.streams[sample.stream].joints
        told = dict(zip(names, np.round(sample.value, 3).tolist(), strict=True))
        return f"{sample.stream} tells positions a whole turn outside their limits, in rad: {told}"

    def _joints_of(self, image: Sample) -> npt.NDArray[np.float64]:
        """Return the arm's joints (J,) rad of when `image` was taken, the oldest known if it is older."""
        streams, arm = self._contract.streams, self._contract.arm_stream
        taken_ns = image.stamp_ns - streams[image.stream].latency_ns + streams[arm].latency_ns
        found = next((one for one in reversed(self._way) if one.stamp_ns <= taken_ns), self._way[0])
        return found.value.astype(np.float64, copy=False)


def _kept(contract: Contract) -> int:
    """Return how many joint states are kept: more than come while an image is on its way."""
    rate_hz: float = contract.streams[contract.arm_stream].rate_hz
    return max(LEAST_KEPT, round(rate_hz * KEPT_S))


def _possible(contract: Contract) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return between which positions (J,) rad the joints of the arm and of the hand are, by stream."""
    found = {contract.arm_stream: (contract.arm.lower_rad, contract.arm.upper_rad)}
    if contract.hand is not None and contract.hand_stream is not None:
        found[contract.hand_stream] = (contract.hand.lower_rad, contract.hand.upper_rad)
    return {name: (np.array(lower) - TURN, np.array(upper) + TURN) for name, (lower, upper) in found.items()}
