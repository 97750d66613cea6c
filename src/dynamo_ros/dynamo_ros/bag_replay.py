"""A recorded bag through the runner of a bundle, and what was commanded in the bag."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

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
from dynamo_policies.observation import Sample
from dynamo_ros.bag_gates import BagGates
from dynamo_ros.core.deployable import Deployable
from dynamo_ros.core.divergence import Targets
from dynamo_ros.core.replay import Heard, Replayed, Said, Unreadable, replay
from dynamo_ros.core.runner import Runner


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
        self._observed = contract.observed
        self._samples: dict[str, list[Sample]] = {name: [] for name in target_streams(contract)}

    def apart_from(self, heard: Iterator[Heard]) -> Iterator[Heard]:
        """Yield what is observed or said to gates, and keep the rest."""
        for receive_ns, one in heard:
            if isinstance(one, Said) or one.stream in self._observed:
                yield receive_ns, one
            elif isinstance(one, Sample) and one.stream in self._samples:
                self._samples[one.stream].append(one)

    def targets(self) -> Targets:
        """Return the poses that were commanded, each with the newest wish of the gripper."""
        poses = sorted(self._samples["target_pose"], key=lambda sample: sample.stamp_ns)
        stamps = np.array([sample.stamp_ns for sample in poses], np.int64)
        values = np.array([sample.value for sample in poses], np.float64).reshape(-1, 7)
        return Targets(stamps, values[:, :3], values[:, 3:], self._grips(stamps))

    def _grips(
        self, stamps: np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        wishes = sorted(self._samples.get("target_gripper", []), key=lambda sample: sample.stamp_ns)
        if not wishes:
            return np.full(len(stamps), np.nan)
        values = np.array([float(sample.value[0]) for sample in wishes])
        place = np.searchsorted(np.array([sample.stamp_ns for sample in wishes]), stamps, side="right") - 1
        return np.where(place >= 0, values[place], np.nan)
