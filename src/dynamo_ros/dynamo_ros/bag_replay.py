"""A recorded bag through the runner of a bundle, and what was commanded in the bag."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.bags import (
    BagInfo,
    check_contract,
    check_types,
    deserialize,
    raw_messages,
    streams_by_topic,
)
from dynamo_policies.contract import Contract
from dynamo_policies.decode import DecodeError, Decoder
from dynamo_policies.episodes import target_streams
from dynamo_policies.observation import FloatArray, Sample
from dynamo_ros.bag_gates import BagGates
from dynamo_ros.core.deployable import Deployable
from dynamo_ros.core.divergence import Targets
from dynamo_ros.core.replay import Heard, Replayed, Said, Unreadable, replay
from dynamo_ros.core.runner import Runner

IntArray = npt.NDArray[np.int64]


class BagReplay(NamedTuple):
    """What a bundle commands in a bag's situations, and what was commanded when it was recorded."""

    replayed: Replayed
    commanded: Targets
    deaf: tuple[str, ...]  # gates that the bag holds nothing for, each with its topic and type


def replay_bag(
    info: BagInfo, bundle: Deployable, task: str, *, clock_ns: Callable[[], int], latency_ns: int = 0
) -> BagReplay:
    """Feed the bag to a runner of `bundle`, by the gates of its contract; `clock_ns` times its stages only.

    Raises:
        ContractMismatchError: the bag was recorded under another contract than the bundle's.
        MissingTopicError: a stream's topic is not in the bag.
        BagError: the bag can't be read.
        ReplayError: nothing was commanded.
    """
    check_contract(info, bundle.contract)
    gates, told = BagGates(info, bundle.contract), _Told(bundle.contract)
    runner = Runner(bundle, clock_ns=clock_ns, contract=gates.contract)
    heard = told.apart_from(_heard(info, Decoder(bundle.contract, bundle.frames), gates))
    return BagReplay(replay(heard, runner, task, latency_ns=latency_ns), told.targets(), gates.off)


def _heard(info: BagInfo, decoder: Decoder, gates: BagGates) -> Iterator[Heard]:
    """Yield what a node would have received, observed or commanded, in the order of receipt."""
    by_topic = streams_by_topic(decoder.contract)
    check_types(info, {topic: streams.values() for topic, streams in by_topic.items()})
    for raw in raw_messages(info, {*by_topic, *gates.topics}):
        for said in gates.said(raw):
            yield raw.receive_ns, said
        if raw.topic not in by_topic:
            continue
        message = deserialize(raw)
        for name in by_topic[raw.topic]:
            try:
                sample = decoder.decode(name, message, raw.receive_ns)
            except DecodeError as error:
                yield raw.receive_ns, Unreadable(name, str(error))
                continue
            if sample is not None:
                yield raw.receive_ns, sample


class _Told:
    """Keeps the commands that pass by."""

    def __init__(self, contract: Contract) -> None:
        self._observed, self._streams, self._hand = contract.observed, contract.streams, contract.hand
        self._samples: dict[str, list[Sample]] = {name: [] for name in target_streams(contract)}

    def apart_from(self, heard: Iterator[Heard]) -> Iterator[Heard]:
        """Yield what is observed or said to gates, and keep the rest."""
        for receive_ns, one in heard:
            if isinstance(one, Said) or one.stream in self._observed:
                yield receive_ns, one
            elif isinstance(one, Sample) and one.stream in self._samples:
                self._samples[one.stream].append(one)

    def targets(self) -> Targets:
        """Return the poses that were commanded, each with the newest wish of the gripper and of the hand.

        A wish of the hand counts for its stream's `max_age_ms`, one of the gripper until the next.
        """
        poses = sorted(self._samples["target_pose"], key=lambda sample: sample.stamp_ns)
        stamps = np.array([sample.stamp_ns for sample in poses], np.int64)
        values = np.array([sample.value for sample in poses], np.float64).reshape(-1, 7)
        gripper = self._newest("target_gripper", 1, stamps, max_age_ns=None)
        hand, joints = self._streams.get("target_hand"), 0 if self._hand is None else len(self._hand.joints)
        hands = self._newest("target_hand", joints, stamps, max_age_ns=hand and hand.max_age_ns)
        return Targets(stamps, values[:, :3], values[:, 3:], gripper[:, 0], hands)

    def _newest(self, name: str, size: int, stamps: IntArray, *, max_age_ns: int | None) -> FloatArray:
        """Return the newest wish (N, `size`) at each of `stamps` (N,), NaN where it is missing or too old."""
        wishes = sorted(self._samples.get(name, []), key=lambda sample: sample.stamp_ns)
        found = np.full((len(stamps), size), np.nan)
        if not wishes:
            return found
        given = np.array([sample.stamp_ns for sample in wishes], np.int64)
        place = np.searchsorted(given, stamps, side="right") - 1
        told = place >= 0
        if max_age_ns is not None:
            told &= stamps - given[place] <= max_age_ns
        found[told] = np.array([sample.value for sample in wishes], np.float64)[place[told]]
        return found
