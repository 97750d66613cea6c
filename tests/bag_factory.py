"""Small synthetic episode bags of a contract, with real CDR messages."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dynamo_policies.bags import typestore
from dynamo_policies.contract import Contract
from dynamo_policies.kinematics import chain
from dynamo_policies.streams import ImageStream, JointStream, PoseStream
from dynamo_ros.core.recording import EpisodeWriter, Topic

START_NS = 1_000_030_000_000  # not on the policy's grid
REST_RAD = np.array([0.0, -0.6, 0.0, 0.9, 0.0, 1.5, 0.0])


class Raw(NamedTuple):
    """A message ready to be written."""

    topic: str
    data: bytes
    receive_ns: int


def header(stamp_ns: int, frame: str = "") -> Any:
    """Return a std_msgs/Header."""
    types = typestore().types
    stamp = types["builtin_interfaces/msg/Time"](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame)


def image_message(
    pixels: npt.NDArray[Any],
    stamp_ns: int = 0,
    encoding: str = "rgb8",
    *,
    padding: int = 0,
    bigendian: int = 0,
) -> Any:
    """Return a sensor_msgs/Image of `pixels` (H, W) or (H, W, C), each row followed by `padding` bytes."""
    height, width = pixels.shape[:2]
    if bigendian:
        pixels = pixels.astype(pixels.dtype.newbyteorder(">"))
    rows = np.frombuffer(np.ascontiguousarray(pixels).tobytes(), np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xAB)
    return typestore().types["sensor_msgs/msg/Image"](
        header=header(stamp_ns),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=bigendian,
        step=rows.shape[1],
        data=rows.reshape(-1),
    )


def joint_message(names: Sequence[str], positions: Sequence[float], stamp_ns: int = 0) -> Any:
    """Return a sensor_msgs/JointState."""
    return typestore().types["sensor_msgs/msg/JointState"](
        header=header(stamp_ns),
        name=list(names),
        position=np.asarray(positions, dtype=np.float64),
        velocity=np.zeros(0),
        effort=np.zeros(0),
    )


def pose_message(values: Sequence[float], stamp_ns: int = 0, frame: str = "link_base") -> Any:
    """Return a geometry_msgs/PoseStamped of x y z qx qy qz qw."""
    types = typestore().types
    x, y, z, qx, qy, qz, qw = (float(value) for value in values)
    pose = types["geometry_msgs/msg/Pose"](
        position=types["geometry_msgs/msg/Point"](x=x, y=y, z=z),
        orientation=types["geometry_msgs/msg/Quaternion"](x=qx, y=qy, z=qz, w=qw),
    )
    return types["geometry_msgs/msg/PoseStamped"](header=header(stamp_ns, frame), pose=pose)


def serialize(message: Any) -> bytes:
    """Return the CDR bytes of a message."""
    return bytes(typestore().serialize_cdr(message, message.__msgtype__))


def frame_pixels(index: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Return an image that tells its index: red and green hold it, blue is a gradient."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = index % 256, index // 256
    pixels[..., 2] = np.linspace(0, 255, width).astype(np.uint8)
    return pixels


def joints_at(elapsed_s: float) -> npt.NDArray[np.float64]:
    """Return seven joint positions, rad, a slow movement about a pose with the tool down."""
    return np.asarray(REST_RAD + 0.1 * np.sin(elapsed_s + np.arange(7)))


def target_at(contract: Contract, elapsed_s: float) -> npt.NDArray[np.float64]:
    """Return the commanded pose x y z qx qy qz qw: where the arm will be 50 ms later."""
    position, rotation = chain(contract.kinematics).forward(
        joints_at(elapsed_s + 0.05), tool_offset_m=contract.tool_offset_m
    )
    return np.concatenate([position, Rotation.from_matrix(rotation).as_quat()])


def stream_messages(contract: Contract, name: str, seconds: float, start_ns: int = START_NS) -> Iterator[Raw]:
    """Yield what stream `name` publishes over `seconds`, at its rate, received 2 ms after its stamp."""
    stream = contract.streams[name]
    for index in range(round(seconds * stream.rate_hz)):
        stamp_ns = start_ns + round(index * 1e9 / stream.rate_hz)
        message = _message(contract, stream, index, (stamp_ns - start_ns) / 1e9, stamp_ns)
        yield Raw(stream.topic, serialize(message), stamp_ns + 2_000_000)


def _message(contract: Contract, stream: Any, index: int, elapsed_s: float, stamp_ns: int) -> Any:
    if isinstance(stream, ImageStream):
        return image_message(frame_pixels(index, stream.width, stream.height), stamp_ns, stream.encoding)
    if isinstance(stream, PoseStream):
        return pose_message(target_at(contract, elapsed_s), stamp_ns, stream.frame)
    if isinstance(stream, JointStream) and stream.joints == contract.arm.joints:
        return joint_message(stream.joints, joints_at(elapsed_s), stamp_ns)
    place = float(elapsed_s % 2.0 > 1.0)
    if contract.hand is not None and stream.role == "observation":
        place += 1e-9 * elapsed_s  # no posture is measured twice, as where fingers tremble
    return joint_message(stream.joints, [place] * len(stream.joints), stamp_ns)


def episode_messages(contract: Contract, seconds: float, start_ns: int = START_NS) -> list[Raw]:
    """Return the messages of all streams of `contract`, by time of receipt."""
    messages = [
        raw for name in contract.streams for raw in stream_messages(contract, name, seconds, start_ns)
    ]
    return sorted(messages, key=lambda raw: raw.receive_ns)


PATIENCE_BYTES = 64_000_000


def write_bag(
    path: Path,
    contract: Contract,
    messages: Sequence[Raw],
    *,
    task: str = "put_yogurt",
    outcome: str = "success",
    topics: Sequence[Topic] = (),
) -> Path:
    """Record `messages`, on the contract's topics and `topics`, into the bag `path` and return it."""
    writer = EpisodeWriter(path, contract, task, topics, operator="tester", note="synthetic")
    for raw in messages:
        while writer.waiting_bytes > PATIENCE_BYTES:  # nobody waits live; here the disk may be slower
            time.sleep(0.002)
        assert writer.write(*raw)
    summary = writer.close(outcome)
    assert summary.error == ""
    return summary.path


def write_episode_bag(
    path: Path,
    contract: Contract,
    *,
    seconds: float = 2.0,
    task: str = "put_yogurt",
    outcome: str = "success",
    start_ns: int = START_NS,
) -> Path:
    """Record a synthetic episode of `seconds` into the bag `path` and return it."""
    return write_bag(
        path, contract, episode_messages(contract, seconds, start_ns), task=task, outcome=outcome
    )


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Let every write past `size` bytes of a file fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
