"""A demonstration in one process: expert, teleoperation and station, as the nodes would run them over ROS."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Sample
from dynamo_ros.core.commander import ArmCommand, StopReason
from dynamo_ros.core.station import HandStation, Station, StationOutcome
from dynamo_ros.core.teleoperation import Teleoperation
from dynamo_sim.stations import SimulatedStation, station_kind

PREROLL_NS = 200_000_000  # of standing still, until every stream has spoken
LINGER_S = 1.0  # after the expert has finished, for the judge


class Demonstration(NamedTuple):
    """How a demonstration went; `stopped` says why the commander stopped the arm, if it did."""

    outcome: StationOutcome
    stopped: StopReason | None


def run_expert(
    station: SimulatedStation,
    contract: Contract,
    task: str,
    seed: int,
    *,
    on_period: Callable[[ArmCommand | None, list[Sample]], None] | None = None,
) -> Demonstration:
    """Reset `station` to start `seed` of `task` and let the expert do it, as fast as the computer can.

    `on_period` gets each period's command and the samples that followed it.
    """
    station.reset(task, seed)
    teleoperation = Teleoperation(contract)
    period_ns = contract.arm.period_ns
    _observe(teleoperation, contract, station.advance(station.time_ns + PREROLL_NS))
    random = np.random.default_rng([seed, 1])
    make = station_kind(contract.name).expert
    expert = make(contract, task, station.objects(), station.tool_pose(), random)
    start_ns = station.time_ns
    while not station.outcome().done and not expert.finished((station.time_ns - start_ns) / 1e9 - LINGER_S):
        target = expert.target((station.time_ns - start_ns) / 1e9)
        teleoperation.wish(target.gripper)
        teleoperation.aim(target.pose, station.time_ns)
        if target.hand is not None:
            teleoperation.aim_hand(target.hand, station.time_ns)
        command = teleoperation.step(station.time_ns)
        if command is not None:
            send(station, command, period_ns)
        samples = station.advance(station.time_ns + period_ns)
        _observe(teleoperation, contract, samples)
        if on_period is not None:
            on_period(command, samples)
    return Demonstration(station.outcome(), teleoperation.stopped)


def send(station: Station, command: ArmCommand, period_ns: int) -> None:
    """Give `command` to the station's controllers, as the drivers do."""
    station.command_arm(command.joints[None], [period_ns / 1e9])
    if command.gripper is not None:
        station.command_gripper(command.gripper)
    if command.hand is not None and isinstance(station, HandStation):
        station.command_hand(command.hand)


def _observe(teleoperation: Teleoperation, contract: Contract, samples: list[Sample]) -> None:
    for sample in samples:
        if sample.stream == contract.arm_stream:
            teleoperation.observe(sample.value, sample.stamp_ns)
        elif sample.stream == contract.hand_stream:
            teleoperation.observe_hand(sample.value, sample.stamp_ns)
