"""The streams of a contract: what a robot publishes, in which unit, how often, and how old it may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dynamo_policies.checks import check_rate
from dynamo_policies.configs import build
from dynamo_policies.errors import ConfigError, UnknownNameError

Reliability = Literal["reliable", "best_effort"]
Role = Literal["observation", "action", "extra"]
Clock = Literal["header", "receive"]
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


def build_stream(name: str, raw: Any) -> Stream:
    """Return the stream called `name` from its mapping in a contract, or raise ConfigError."""
    if isinstance(raw, Stream):
        return raw
    if not isinstance(raw, Mapping) or "kind" not in raw:
        raise ConfigError(f"streams.{name} needs a kind, one of {', '.join(STREAM_KINDS)}")
    values = {key: value for key, value in raw.items() if key != "kind"}
    if raw["kind"] not in STREAM_KINDS:
        raise UnknownNameError(f"streams.{name}: kind", str(raw["kind"]), STREAM_KINDS)
    return build(STREAM_KINDS[raw["kind"]], values, where=f"streams.{name}")


def kind_of(stream: Stream) -> str:
    """Return what a contract calls this kind of stream."""
    return next(kind for kind, cls in STREAM_KINDS.items() if type(stream) is cls)


def check_topics(streams: Mapping[str, Stream]) -> None:
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
