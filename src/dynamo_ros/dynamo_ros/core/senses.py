"""What is known of the robot and the world: samples in, observations and the measured arm out."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from dynamo_policies.align import Aligner
from dynamo_policies.contract import Contract
from dynamo_policies.observation import Observation, Sample
from dynamo_ros.core.commander import Commander
from dynamo_ros.core.gate_board import GateBoard
from dynamo_ros.core.starting import fresh_joints

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

    @property
    def stamps_ns(self) -> dict[str, int]:
        """The stamps of the images of the last observation, by camera."""
        return self._aligner.stamps_ns

    def push(self, sample: Sample) -> None:
        """Take a decoded sample of any stream of the contract."""
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
            self._commander.observe_hand(sample.value, sample.stamp_ns)

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
