"""The contract of a robot: its streams, units, rates, limits and tasks, read from one YAML file.

The recorder, the reader of bags, the inference node, the simulated station and the evaluation all read the
same contract. Its hash is written into every bag and every bundle.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dynamo_policies.checks import check_length, check_rate
from dynamo_policies.configs import build, parse_yaml, read_yaml
from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.gates import Gates
from dynamo_policies.hand_sink import HandSink
from dynamo_policies.limits import QualityLimits
from dynamo_policies.sinks import ArmSink, GripperSink
from dynamo_policies.streams import (
    ImageStream,
    JointStream,
    Stream,
    build_stream,
    check_topics,
    kind_of,
)
from dynamo_policies.timing import TimingLimits

UNHASHED = ("quality", "gates", "timing")  # by which a robot is judged and watched, not what it is


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a person is asked to demonstrate and a policy to do."""

    prompt: str
    time_limit_s: float


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Everything that the parts of the stack must agree upon about one robot. See docs/architecture.md."""

    name: str
    kinematics: str
    base_frame: str
    tool_offset_m: float
    policy_rate_hz: float
    settle_ms: float
    reference_rotation: tuple[float, ...]
    tasks: dict[str, Task]
    streams: dict[str, Any]
    arm: ArmSink
    gripper: GripperSink | None = None
    hand: HandSink | None = None
    proprioception: tuple[str, ...] = field(default=("arm", "gripper"))
    quality: QualityLimits = field(default_factory=QualityLimits)
    gates: Gates = field(default_factory=Gates)
    timing: TimingLimits = field(default_factory=TimingLimits)

    def __post_init__(self) -> None:
        check_rate("policy_rate_hz", self.policy_rate_hz)
        if not self.tasks:
            raise ConfigError("tasks is empty; a contract names at least one task")
        check_length("reference_rotation", self.reference_rotation, 4)
        object.__setattr__(
            self, "streams", {name: build_stream(name, raw) for name, raw in self.streams.items()}
        )
        check_topics(self.streams)
        self._check_rates()
        self.quality.check_streams(self.streams)
        self.gates.check_streams(self.observed)
        possible = [name for name, stream in self.observed.items() if isinstance(stream, JointStream)]
        for name in self.proprioception:
            if name not in possible:
                raise UnknownNameError("proprioception: observed stream of joints", name, possible)

    def _check_rates(self) -> None:
        for name, stream in self.streams.items():
            if isinstance(stream, ImageStream) and stream.rate_hz < self.policy_rate_hz:
                raise ConfigError(
                    f"policy_rate_hz {self.policy_rate_hz:g} is impossible with camera {name!r} at "
                    f"{stream.rate_hz:g} Hz; at most {stream.rate_hz:g} is possible"
                )
        if self.arm.rate_hz < self.policy_rate_hz:
            raise ConfigError(
                f"arm.rate_hz {self.arm.rate_hz:g} is below policy_rate_hz {self.policy_rate_hz:g}"
            )
        if self.hand is not None and self.hand.rate_hz > self.arm.rate_hz:
            raise ConfigError(
                f"hand.rate_hz {self.hand.rate_hz:g} is above arm.rate_hz {self.arm.rate_hz:g}: the hand is "
                "commanded together with the arm"
            )

    @property
    def period_ns(self) -> int:
        """The time between two policy ticks, nanoseconds."""
        return round(1e9 / self.policy_rate_hz)

    @property
    def budget_ns(self) -> int:
        """How old the oldest image of the newest plan behind a command may be, nanoseconds."""
        if self.timing.capture_to_command_ms is not None:
            return int(self.timing.capture_to_command_ms * 1e6)
        return round(self.gates.plan.periods * self.period_ns)

    @property
    def settle_ns(self) -> int:
        """How long after a tick its observation is taken, so that what was stamped before has arrived."""
        return int(self.settle_ms * 1e6)

    @property
    def cameras(self) -> dict[str, ImageStream]:
        """The observed image streams by name, in contract order."""
        return {
            name: stream
            for name, stream in self.streams.items()
            if isinstance(stream, ImageStream) and stream.role == "observation"
        }

    @property
    def observed(self) -> dict[str, Stream]:
        """The streams that make up an observation."""
        return {name: stream for name, stream in self.streams.items() if stream.role == "observation"}

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the entries of an observation's state vector, in order."""
        return tuple(joint for name in self.proprioception for joint in self.streams[name].joints)

    @property
    def arm_stream(self) -> str:
        """The name of the stream that measures the joints which the arm's sink commands."""
        for name, stream in self.streams.items():
            if isinstance(stream, JointStream) and stream.joints == self.arm.joints:
                return name
        raise ConfigError(f"no stream measures the arm's joints {list(self.arm.joints)} in this order")

    @property
    def hand_stream(self) -> str | None:
        """The name of the observed stream that measures the joints of the hand; None without a hand."""
        if self.hand is None:
            return None
        for name, stream in self.observed.items():
            if isinstance(stream, JointStream) and stream.joints == self.hand.joints:
                return name
        raise ConfigError(
            f"no observed stream measures the hand's joints {list(self.hand.joints)} in this order"
        )

    def need_gripper(self, what: str) -> GripperSink:
        """Return the gripper's sink; ConfigError where `what` needs a gripper and the robot has none."""
        if self.gripper is None:
            raise ConfigError(f"{what} needs a gripper; contract {self.name!r} has none")
        return self.gripper

    def need_hand(self, what: str) -> HandSink:
        """Return the hand's sink; ConfigError where `what` needs a hand and the robot has none."""
        if self.hand is None:
            raise ConfigError(f"{what} needs a hand; contract {self.name!r} has none")
        return self.hand

    def task(self, name: str) -> Task:
        """Return the task called `name`; UnknownNameError if the contract has none."""
        if name not in self.tasks:
            raise UnknownNameError("task", name, self.tasks)
        return self.tasks[name]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `parse_contract` turns into an equal contract."""
        # What a robot has not is left out, so that contracts from before hands keep their hash.
        absent = [name for name in ("gripper", "hand") if getattr(self, name) is None]
        plain = {key: value for key, value in dataclasses.asdict(self).items() if key not in absent}
        plain["streams"] = {
            name: {"kind": kind_of(stream), **dataclasses.asdict(stream)}
            for name, stream in self.streams.items()
        }
        loaded: dict[str, Any] = json.loads(json.dumps(plain))
        return loaded

    def to_yaml(self) -> str:
        """Return the contract as YAML text, every default written out."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)

    @property
    def hash(self) -> str:
        """SHA-256 of the values and of the order of streams, which is the order of a policy's inputs.

        Comments, defaults left out, the order of other keys, and what is in UNHASHED do not count: who judges
        more strictly can still use what was recorded and trained before.
        """
        values = {key: value for key, value in self.to_dict().items() if key not in UNHASHED}
        canonical = json.dumps([values, list(self.streams)], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


class ContractMismatchError(ConfigError):
    """Two contracts that should be the same are not."""

    def __init__(self, what: str, given: Contract, expected: Contract) -> None:
        found = differing(given.to_dict(), expected.to_dict())
        if not found:  # Then it is the order of streams, the only other thing that a hash depends on.
            found = differing(list(given.streams), list(expected.streams), "order of streams")
        super().__init__(f"{what}: the contracts differ in {'; '.join(found)}")


def load_contract(path: Path | str) -> Contract:
    """Return the contract in the YAML file at `path`, or raise ConfigError."""
    return build(Contract, read_yaml(path), where=str(path))


def parse_contract(text: str, *, where: str = "contract") -> Contract:
    """Return the contract in the YAML `text`, or raise ConfigError naming `where`."""
    return build(Contract, parse_yaml(text, where=where), where=where)


def differing(given: Any, expected: Any, path: str = "") -> list[str]:
    """Return one line for each value that differs between two plain structures."""
    if isinstance(given, dict) and isinstance(expected, dict):
        keys = list(dict.fromkeys([*given, *expected]))
        return [
            line for key in keys for line in differing(given.get(key), expected.get(key), f"{path}.{key}")
        ]
    return [] if given == expected else [f"{path.lstrip('.')}: {given!r} instead of {expected!r}"]
