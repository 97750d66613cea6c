"""How good the streams of a contract are, from messages as they came; few are decoded."""

from __future__ import annotations

import math
from collections import deque
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.bags import RawMessage, deserialize
from dynamo_policies.cdr import Cdr, concerns, same_but_for_the_stamp, stamp_of
from dynamo_policies.contract import Contract
from dynamo_policies.decode import decode_joints, decode_pose
from dynamo_policies.errors import DynamoError
from dynamo_policies.kinematics import placement
from dynamo_policies.quality import FRESH, Still, StreamMeter, StreamQuality, Thinned
from dynamo_policies.streams import ImageStream, JointStream, PoseStream, Stream

LOOK_NS = 50_000_000  # Joints are decoded this often: often enough for how far the arm has moved.
MOVED_RAD = 0.05  # A camera that sees the arm sees this…
SETTLE_NS = 100_000_000  # …from so long after an image on, since joints and images do not come together.
STAMPS = 16  # of each camera, among which the nearest is looked for…
BEHIND = 6  # …of a frame that is this many frames old, so that later ones have come
FloatArray = npt.NDArray[np.float64]


class Skew(NamedTuple):
    """How far apart two cameras see."""

    one: str
    other: str
    stamps_ms: float  # from a frame to the nearest one of the other, by stamps; 95 % are nearer
    age_ms: float  # how much longer the other's frames take; not seen in stamps where the clocks differ


class Tracking(NamedTuple):
    """How far the measured tool is from its target."""

    p95_mm: float
    worst_mm: float


class Quality(NamedTuple):
    """What was measured of an episode; `broken` counts messages that are too short or nonsense, by stream."""

    seconds: float
    streams: dict[str, StreamQuality]
    skews: tuple[Skew, ...]
    tracking: Tracking
    broken: dict[str, int]


class QualityMeter:
    """Measures every stream of a contract. For one thread at a time."""

    def __init__(self, contract: Contract) -> None:
        streams: dict[str, Stream] = contract.streams
        self._by_topic: dict[str, dict[str, Stream]] = {}
        for name, stream in streams.items():
            self._by_topic.setdefault(stream.topic, {})[name] = stream
        self._streams = streams
        cameras = [name for name, stream in streams.items() if isinstance(stream, ImageStream)]
        self._images = {name: _Images() for name in cameras}
        self._arm = _Arm(contract)
        self._cameras = tuple(contract.cameras)
        self.still = dict.fromkeys(cameras, FRESH)  # of each camera now
        self.renew()

    def renew(self) -> None:
        """Measure anew, but remember the images and where the arm is."""
        self._meters = {name: _meter(stream) for name, stream in self._streams.items()}
        self._skew = _SkewMeter(self._cameras)
        self._arm.renew()
        self._broken = dict.fromkeys(self._streams, 0)
        self._start_ns: int | None = None
        self._end_ns = 0

    @property
    def topics(self) -> set[str]:
        """The topics of the contract's streams."""
        return set(self._by_topic)

    def add(self, topic: str, cdr: Cdr, receive_ns: int) -> None:
        """Take a message in: its CDR bytes, received at `receive_ns`. Topics of no stream do not count."""
        for name, stream in self._by_topic.get(topic, {}).items():
            if concerns(stream, cdr):
                try:
                    self._add(name, stream, cdr, receive_ns)
                except DynamoError:  # counted, since recording goes on
                    self._broken[name] += 1

    def report(self) -> Quality:
        """Return what was measured so far."""
        start_ns, end_ns = self._start_ns, self._end_ns
        return Quality(
            seconds=0.0 if start_ns is None else (end_ns - start_ns) / 1e9,
            streams={name: meter.report(start_ns, end_ns) for name, meter in self._meters.items()},
            skews=self._skew.report(),
            tracking=self._arm.tracking(),
            broken={name: count for name, count in self._broken.items() if count},
        )

    def _add(self, name: str, stream: Stream, cdr: Cdr, receive_ns: int) -> None:
        stamp_ns = receive_ns if stream.stamp == "receive" else stamp_of(cdr)
        self._start_ns = receive_ns if self._start_ns is None else self._start_ns
        self._end_ns = max(self._end_ns, receive_ns)
        if name in self._images:
            self.still[name] = self._images[name].look(cdr, stamp_ns, self._arm.positions)
            self._meters[name].add(stamp_ns, receive_ns, self.still[name])
            self._skew.add(name, stamp_ns, receive_ns)
        else:
            self._meters[name].add(stamp_ns, receive_ns)
            self._arm.see(name, stream, cdr, stamp_ns)


def _meter(stream: Stream) -> StreamMeter:
    if stream.max_age_ns is None:
        return StreamMeter(None)
    # Who commands may pause; a sensor may not.
    return StreamMeter(stream.rate_hz, pause_ns=stream.max_age_ns if stream.role == "action" else math.inf)


class _Images:
    """The last image of a camera, since when it is the same, and where the arm was then."""

    def __init__(self) -> None:
        self._last: Cdr = b""
        self._positions: FloatArray | None = None
        self._since_ns = 0
        self._moving_since_ns: int | None = None

    def look(self, cdr: Cdr, stamp_ns: int, positions: FloatArray | None) -> Still:
        """Return for how long the camera has shown this image; `positions` are those of the arm."""
        if not same_but_for_the_stamp(self._last, cdr):
            self._last, self._positions = cdr, positions
            self._since_ns, self._moving_since_ns = stamp_ns, None
            return FRESH
        if stamp_ns - self._since_ns < SETTLE_NS:
            self._positions = positions
        elif self._moving_since_ns is None and self._moved(positions):
            self._moving_since_ns = stamp_ns
        moving_ns = 0 if self._moving_since_ns is None else stamp_ns - self._moving_since_ns
        return Still(repeats=True, same_ns=stamp_ns - self._since_ns, frozen_ns=moving_ns)

    def _moved(self, positions: FloatArray | None) -> bool:
        if positions is None or self._positions is None:
            return False
        return bool(np.abs(positions - self._positions).max() > MOVED_RAD)


class _Arm:
    """Where the arm is, and how far from its target."""

    def __init__(self, contract: Contract) -> None:
        self._chain, self._offset_m = placement(contract.kinematics), contract.tool_offset_m
        self._joints, self._target = _arm_and_target(contract)
        self._looked_ns = -math.inf
        self._newest_target: tuple[FloatArray, float] | None = None  # position, and until when it holds
        self.positions: FloatArray | None = None
        self.renew()

    def renew(self) -> None:
        """Forget the distances so far."""
        self._errors_mm, self._worst_mm = Thinned(), math.nan

    def see(self, name: str, stream: Stream, cdr: Cdr, stamp_ns: int) -> None:
        """Take note of a message; of most joints only that they came."""
        if isinstance(stream, PoseStream) and name == self._target:
            message = deserialize(RawMessage(stream.topic, stream.type, stamp_ns, cdr))
            until_ns = math.inf if stream.max_age_ns is None else stamp_of(cdr) + stream.max_age_ns
            self._newest_target = decode_pose(name, stream, message)[:3], until_ns
        if not isinstance(stream, JointStream) or name != self._joints:
            return
        if 0 <= stamp_ns - self._looked_ns < LOOK_NS:
            return
        self._looked_ns = stamp_ns
        message = deserialize(RawMessage(stream.topic, stream.type, stamp_ns, cdr))
        self.positions = decode_joints(name, stream, message)
        self._compare(stamp_ns)

    def tracking(self) -> Tracking:
        """Return the distances so far."""
        return Tracking(self._errors_mm.percentile(95), self._worst_mm)

    def _compare(self, stamp_ns: int) -> None:
        if self._newest_target is None or self.positions is None:
            return
        aim, until_ns = self._newest_target
        if stamp_ns > until_ns:
            return
        tool, _ = self._chain.forward(self.positions, tool_offset_m=self._offset_m)
        error_mm = float(np.linalg.norm(tool - aim)) * 1e3
        self._errors_mm.add(error_mm)
        self._worst_mm = error_mm if math.isnan(self._worst_mm) else max(self._worst_mm, error_mm)


class _SkewMeter:
    """Compares the stamps of cameras."""

    def __init__(self, cameras: tuple[str, ...]) -> None:
        self._pairs = {pair: Thinned() for pair in combinations(cameras, 2)}
        self._stamps: dict[str, deque[int]] = {name: deque(maxlen=STAMPS) for name in cameras}
        self._ages = {name: Thinned() for name in cameras}

    def add(self, camera: str, stamp_ns: int, receive_ns: int) -> None:
        """Take a frame's times in; a camera that is not observed does not count."""
        if camera not in self._stamps:
            return
        self._ages[camera].add(receive_ns - stamp_ns)
        stamps = self._stamps[camera]
        stamps.append(stamp_ns)
        if len(stamps) < BEHIND:
            return
        frame_ns = stamps[-BEHIND]
        for (one, other), distances in self._pairs.items():
            others = self._stamps[other]
            # Where the other has nothing later, its nearest frame may be yet to come, or it has died.
            if camera == one and others and others[-1] >= frame_ns:
                distances.add(min(abs(frame_ns - stamp) for stamp in others))

    def report(self) -> tuple[Skew, ...]:
        """Return the skew of each pair so far."""
        ages_ms = {name: ages.percentile(50) / 1e6 for name, ages in self._ages.items()}
        return tuple(
            Skew(one, other, distances.percentile(95) / 1e6, ages_ms[other] - ages_ms[one])
            for (one, other), distances in self._pairs.items()
        )


def _arm_and_target(contract: Contract) -> tuple[str | None, str | None]:
    """Return the names of the arm's measured joints and of its target, None for what the contract lacks."""
    joints = target = None
    for name, stream in contract.streams.items():
        if isinstance(stream, JointStream) and stream.joints == contract.arm.joints:
            joints = joints or name
        if isinstance(stream, PoseStream) and stream.role == "action":
            target = target or name
    return joints, target
