"""What goes from the commanding thread to the thinking one and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from dynamo_policies.observation import Nearest, Observation, Target
from dynamo_ros.core.window import Window


class Episode(NamedTuple):
    """One attempt at a task, with the last observations."""

    task: str
    window: Window


class Work(NamedTuple):
    """One observation to act upon, taken from the streams and safe to hand to another thread."""

    episode: Episode
    observation: Observation


class Plan(NamedTuple):
    """What came of a Work: targets for the periods after its tick, or why there are none."""

    episode: Episode
    tick_ns: int
    targets: tuple[Target, ...]
    stale: tuple[str, ...] = ()
    fault: str | None = None  # what must stop the arm
    nearest: Nearest | None = None  # the demonstration most like the observation, where one can tell


@dataclass
class Counts:
    """What happened since `begin`."""

    planned: int = 0
    skipped: int = 0  # ticks passed over because inference was busy
    stale: int = 0  # ticks with a stale stream
    late: int = 0  # plans that came after the last of their targets, or after the contract's budget
    takeovers: int = 0  # how often a person took the arm from the policy
