"""Sensors on simulated time: messages of cameras and joints, as a contract describes them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.errors import ConfigError
from dynamo_policies.streams import ImageStream, JointStream, Stream
from dynamo_ros.faults.distortions import Distortion, faithful

CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
IMAGE_TYPE = "sensor_msgs/msg/Image"
CAMERA_LATENCY_NS, JOINTS_LATENCY_NS = 8_000_000, 1_000_000  # from the stamp to the listener
VARIETY = 5  # images that take turns: no two that follow one another are the same


class Sensor:
    """One stream: `make(stamp_ns)` is its message; `distort` is what happens to it; `last` is the newest."""

    def __init__(self, stream: Stream, make: Callable[[int], Any], latency_ns: int, first_ns: int) -> None:
        self.topic, self.latency_ns, self._make = stream.topic, latency_ns, make
        self._period_ns, self._due_ns = round(1e9 / stream.rate_hz), first_ns
        self.distort: Distortion = faithful
        self.last: Any = None

    def send(self, now_ns: int, stamp_ns: int) -> list[tuple[int, Any]]:
        """Return the messages that are sent now, each with the time at which it arrives."""
        if now_ns < self._due_ns:
            return []
        self._due_ns += self._period_ns
        self.last = self._make(stamp_ns)
        arrivals = self.distort(self.last, now_ns)
        return [(now_ns + self.latency_ns + late_ns, message) for late_ns, message in arrivals]


def sensors(
    contract: Contract, start_ns: int, joints: Callable[[str], npt.NDArray[np.float64]]
) -> dict[str, Sensor]:
    """Return a sensor for each observed stream; `joints` gives what a stream of joints measures, (J,) rad.

    Raises:
        ConfigError: a stream has no sensor here.
    """
    found = {}
    for number, (name, stream) in enumerate(contract.observed.items()):
        # They do not measure at the same moments.
        first_ns = start_ns + 3_000_000 * number
        if isinstance(stream, ImageStream) and stream.type == IMAGE_TYPE:
            found[name] = Sensor(stream, camera(stream, seed=number), CAMERA_LATENCY_NS, first_ns)
        elif isinstance(stream, JointStream):
            found[name] = Sensor(stream, encoders(name, stream, joints), JOINTS_LATENCY_NS, first_ns)
        else:
            raise ConfigError(
                f"stream {name!r} of {stream.type} can't be simulated; possible: images, joints"
            )
    return found


def camera(stream: ImageStream, *, seed: int) -> Callable[[int], Any]:
    """Return what makes images of noise."""
    random, width = np.random.default_rng(seed), stream.width * CHANNELS[stream.encoding]
    images = [random.integers(0, 256, stream.height * width, np.uint8).tobytes() for _ in range(VARIETY)]
    size = {"height": stream.height, "width": stream.width, "encoding": stream.encoding, "step": width}
    count = 0

    def image(stamp_ns: int) -> Any:
        nonlocal count
        count += 1
        return SimpleNamespace(header=header(stamp_ns), data=images[count % VARIETY], is_bigendian=0, **size)

    return image


def encoders(
    name: str, stream: JointStream, joints: Callable[[str], npt.NDArray[np.float64]]
) -> Callable[[int], Any]:
    """Return what makes messages of joints."""
    return lambda stamp_ns: SimpleNamespace(
        header=header(stamp_ns), name=list(stream.joints), position=joints(name).tolist()
    )


def header(stamp_ns: int) -> Any:
    """Return a header with this stamp."""
    return SimpleNamespace(
        stamp=SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9), frame_id=""
    )
