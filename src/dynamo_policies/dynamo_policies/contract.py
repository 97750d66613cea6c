"""The contract of a robot: its streams, units, rates, limits and tasks, read from one YAML file.

The recorder, the reader of bags, the inference node, the simulated station and the evaluation all read the
same contract. Its hash is written into every bag and every bundle.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from dynamo_policies.configs import build, parse_yaml, read_yaml
from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.limits import QualityLimits

Reliability = Literal["reliable", "best_effort"]
Role = Literal["observation", "action", "extra"]
Clock = Literal["header", "receive"]
MAX_RATE_HZ = 1000.0
COLOURS = ("rgb8", "bgr8", "rgba8", "bgra8", "mono8")
ENCODINGS = (*COLOURS, "mono16", "16UC1", "32FC1")


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One thing a robot publishes: where it comes from, how often, and how old it may be.

    `latency_ms` is how long before its stamp the measurement was really taken. `max_age_ms` of None means
    that the last value holds for ever; that is right only for a value that its driver does not repeat.
    """

    topic: str
    type: str
    rate_hz: float
    max_age_ms: float | None
    role: Role = "observation"
    reliability: Reliability = "reliable"
    depth: int = 20
    latency_ms: float = 0.0
    stamp: Clock = "header"

    def __post_init__(self) -> None:
        if not self.topic.startswith("/"):
            raise ConfigError(f"topic {self.topic!r} is not absolute; write {'/' + self.topic!r}")
        check_rate("rate_hz", self.rate_hz)
        if self.max_age_ms is not None and self.max_age_ms * self.rate_hz < 1000.0:
            raise ConfigError(
                f"max_age_ms {self.max_age_ms:g} is shorter than one period at {self.rate_hz:g} Hz; "
                f"at least {1000.0 / self.rate_hz:g} is possible"
            )
        if self.depth < 1:
            raise ConfigError(f"depth {self.depth} is below 1")

    @property
    def max_age_ns(self) -> int | None:
        """The oldest this stream may be at a tick, nanoseconds; None where the last value holds."""
        return None if self.max_age_ms is None else int(self.max_age_ms * 1e6)

    @property
    def latency_ns(self) -> int:
        """How long before its stamp the measurement was taken, nanoseconds."""
        return int(self.latency_ms * 1e6)


@dataclass(frozen=True, kw_only=True)
class ImageStream(Stream):
    """A camera topic, sensor_msgs/Image or CompressedImage."""

    type: str = "sensor_msgs/msg/Image"
    encoding: str = "rgb8"
    width: int
    height: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.encoding not in ENCODINGS:
            raise UnknownNameError("encoding", self.encoding, ENCODINGS)
        if self.role == "observation" and self.encoding not in COLOURS:
            raise ConfigError(
                f"encoding {self.encoding!r} can't be observed, only {', '.join(COLOURS)}; "
                "with role extra it is recorded"
            )
        if min(self.width, self.height) < 1:
            raise ConfigError(f"image size {self.width}x{self.height} is not positive")


@dataclass(frozen=True, kw_only=True)
class JointStream(Stream):
    """Positions of named joints out of a sensor_msgs/JointState, picked by name in this order."""

    type: str = "sensor_msgs/msg/JointState"
    joints: tuple[str, ...]
    unit: Literal["rad", "m"] = "rad"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.joints or len(set(self.joints)) != len(self.joints):
            raise ConfigError(f"joints {list(self.joints)} must be at least one name, each once")


@dataclass(frozen=True, kw_only=True)
class PoseStream(Stream):
    """A geometry_msgs/PoseStamped: position in m and quaternion x y z w."""

    type: str = "geometry_msgs/msg/PoseStamped"
    frame: str
    unit: Literal["m"] = "m"


STREAM_KINDS: dict[str, type[Stream]] = {"image": ImageStream, "joints": JointStream, "pose": PoseStream}


@dataclass(frozen=True, kw_only=True)
class ArmSink:
    """How targets reach the arm, and the limits that every command obeys. Angles rad, lengths m, times s."""

    kind: Literal["joint_trajectory"]
    topic: str
    rate_hz: float
    joints: tuple[str, ...]
    lower_rad: tuple[float, ...]
    upper_rad: tuple[float, ...]
    velocity_rad_s: tuple[float, ...]
    workspace_lower_m: tuple[float, ...]
    workspace_upper_m: tuple[float, ...]
    speed_m_s: float
    turn_rad_s: float
    first_target_within_rad: float
    tracking_stop_rad: float = 0.15  # commanded less measured joints, beyond which the arm is stopped…
    tracking_stop_s: float = 0.5  # …once it has lasted this long
    stale_stop_s: float = 0.5  # an observed stream older than this stops the arm; above max_age_ms it holds
    stop: Literal["hold"] = "hold"

    def __post_init__(self) -> None:
        check_rate("rate_hz", self.rate_hz)
        for name in ("lower_rad", "upper_rad", "velocity_rad_s"):
            _check_length(name, getattr(self, name), len(self.joints))
        for name in ("workspace_lower_m", "workspace_upper_m"):
            _check_length(name, getattr(self, name), 3)
        _check_below("lower_rad", self.lower_rad, "upper_rad", self.upper_rad)
        _check_below("workspace_lower_m", self.workspace_lower_m, "workspace_upper_m", self.workspace_upper_m)
        for name in ("speed_m_s", "turn_rad_s", "first_target_within_rad"):
            _check_positive(name, getattr(self, name))
        for name in ("tracking_stop_rad", "tracking_stop_s", "stale_stop_s"):
            _check_positive(name, getattr(self, name))
        _check_positive("the least of velocity_rad_s", min(self.velocity_rad_s))

    @property
    def period_ns(self) -> int:
        """The time between two commands, nanoseconds."""
        return round(1e9 / self.rate_hz)


@dataclass(frozen=True, kw_only=True)
class GripperSink:
    """How targets reach the gripper: a goal is sent on change only, at most `rate_hz` times a second."""

    kind: Literal["gripper_command"]
    action: str
    rate_hz: float
    open: float
    closed: float
    close_above: float
    open_below: float

    def __post_init__(self) -> None:
        check_rate("rate_hz", self.rate_hz)
        if not 0.0 <= self.open_below < self.close_above <= 1.0:
            raise ConfigError(
                f"open_below {self.open_below:g} and close_above {self.close_above:g} "
                "must lie in 0..1 in this order"
            )


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
    gripper: GripperSink
    proprioception: tuple[str, ...] = field(default=("arm", "gripper"))
    quality: QualityLimits = field(default_factory=QualityLimits)

    def __post_init__(self) -> None:
        check_rate("policy_rate_hz", self.policy_rate_hz)
        if not self.tasks:
            raise ConfigError("tasks is empty; a contract names at least one task")
        _check_length("reference_rotation", self.reference_rotation, 4)
        object.__setattr__(
            self, "streams", {name: _build_stream(name, raw) for name, raw in self.streams.items()}
        )
        _check_topics(self.streams)
        self._check_rates()
        self.quality.check_streams(self.streams)
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

    @property
    def period_ns(self) -> int:
        """The time between two policy ticks, nanoseconds."""
        return round(1e9 / self.policy_rate_hz)

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

    def task(self, name: str) -> Task:
        """Return the task called `name`; UnknownNameError if the contract has none."""
        if name not in self.tasks:
            raise UnknownNameError("task", name, self.tasks)
        return self.tasks[name]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `parse_contract` turns into an equal contract."""
        plain = dataclasses.asdict(self)
        plain["streams"] = {
            name: {"kind": _kind_of(stream), **dataclasses.asdict(stream)}
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

        Comments, defaults left out, the order of other keys and the thresholds of quality do not count: who
        judges more strictly can still use what was recorded and trained before.
        """
        values = {key: value for key, value in self.to_dict().items() if key != "quality"}
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


def check_rate(name: str, rate_hz: float) -> None:
    """Raise ConfigError unless 0 < `rate_hz` <= 1000."""
    if not 0.0 < rate_hz <= MAX_RATE_HZ:
        raise ConfigError(f"{name} {rate_hz:g} is impossible; possible is 0 < {name} <= {MAX_RATE_HZ:g}")


def _build_stream(name: str, raw: Any) -> Stream:
    if isinstance(raw, Stream):
        return raw
    if not isinstance(raw, Mapping) or "kind" not in raw:
        raise ConfigError(f"streams.{name} needs a kind, one of {', '.join(STREAM_KINDS)}")
    values = {key: value for key, value in raw.items() if key != "kind"}
    if raw["kind"] not in STREAM_KINDS:
        raise UnknownNameError(f"streams.{name}: kind", str(raw["kind"]), STREAM_KINDS)
    return build(STREAM_KINDS[raw["kind"]], values, where=f"streams.{name}")


def _kind_of(stream: Stream) -> str:
    return next(kind for kind, cls in STREAM_KINDS.items() if type(stream) is cls)


def _check_topics(streams: Mapping[str, Stream]) -> None:
    """Two streams may share a topic only where they pick different joints of it, as the xArm's do."""
    seen: dict[str, list[tuple[str, Stream]]] = {}
    for name, stream in streams.items():
        for other_name, other in seen.get(stream.topic, []):
            if not _pick_different_joints(stream, other):
                raise ConfigError(f"streams {other_name!r} and {name!r} both read topic {stream.topic!r}")
        seen.setdefault(stream.topic, []).append((name, stream))


def _pick_different_joints(one: Stream, other: Stream) -> bool:
    if not (isinstance(one, JointStream) and isinstance(other, JointStream)):
        return False
    return not set(one.joints) & set(other.joints)


def _check_positive(name: str, value: float) -> None:
    if value <= 0.0:
        raise ConfigError(f"{name} is {value:g}; it must be positive")


def _check_length(name: str, values: tuple[float, ...], length: int) -> None:
    if len(values) != length:
        raise ConfigError(f"{name} has {len(values)} values where {length} are needed")


def _check_below(low_name: str, lower: tuple[float, ...], high_name: str, upper: tuple[float, ...]) -> None:
    for i, (low, high) in enumerate(zip(lower, upper, strict=True)):
        if low >= high:
            raise ConfigError(f"{low_name}[{i}] {low:g} is not below {high_name}[{i}] {high:g}")
