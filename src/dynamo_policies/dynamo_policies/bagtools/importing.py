"""Writes recordings of other systems as bags under a contract."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from dynamo_policies.bag_copy import BagCopy
from dynamo_policies.contract import Contract
from dynamo_policies.errors import DynamoError
from dynamo_policies.storage import typestore
from dynamo_policies.streams import ImageStream, JointStream, PoseStream, Stream

JPEG_QUALITY = 95  # where the contract says that a camera's messages are compressed


class ImportingError(DynamoError):
    """A recording can't be imported."""


class Timed(NamedTuple):
    """A value of a stream: an image (H, W, 3) RGB, joint positions (J,), or a pose (7,) m and x y z w."""

    stamp_ns: int
    value: npt.NDArray[Any]


class _Message(NamedTuple):
    stamp_ns: int
    topic: str
    type: str
    data: bytes


def write_recording(
    path: Path, contract: Contract, streams: Mapping[str, Iterable[Timed]], *, task: str, source: str
) -> Path:
    """Write `streams`, {stream of the contract: values by stamp}, as the bag `path`.

    Messages are received when they are stamped; the outcome is unknown.

    Raises:
        ImportingError: a stream of the contract is missing, or a value does not fit it.
        CopyError: `path` exists.
        UnknownNameError: the contract has no such task.
    """
    needed = {name for name, stream in contract.streams.items() if stream.role != "extra"}
    if needed - set(streams):
        raise ImportingError(f"{source} gives {sorted(streams)}; the contract needs {sorted(needed)}")
    custom = {
        "task": task,
        "prompt": contract.task(task).prompt,
        "operator": "",
        "outcome": "unknown",
        "note": f"imported from {source}",
        "contract": contract.to_yaml(),
        "contract_hash": contract.hash,
        "versions": "{}",
        "dropped": "{}",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    made = [_messages(name, contract.streams[name], values) for name, values in streams.items()]
    with BagCopy(path, custom) as bag:
        for message in heapq.merge(*made, key=lambda one: one.stamp_ns):
            bag.write_known(message.topic, message.type, message.stamp_ns, message.data)
    return path


def _messages(name: str, stream: Stream, values: Iterable[Timed]) -> Iterator[_Message]:
    types = typestore()
    for stamp_ns, value in values:
        message = _message(name, stream, stamp_ns, value)
        yield _Message(stamp_ns, stream.topic, stream.type, bytes(types.serialize_cdr(message, stream.type)))


def _message(name: str, stream: Stream, stamp_ns: int, value: npt.NDArray[Any]) -> Any:
    if isinstance(stream, ImageStream):
        return _image(name, stream, stamp_ns, value)
    if not np.isfinite(value).all():
        raise ImportingError(f"stream {name!r}: {value.tolist()} at {stamp_ns} ns is not finite")
    if isinstance(stream, JointStream):
        if value.shape != (len(stream.joints),):
            raise ImportingError(
                f"stream {name!r}: {value.shape} values for the joints {list(stream.joints)}"
            )
        return _make("sensor_msgs/msg/JointState", header=_header(stamp_ns), name=list(stream.joints),
                     position=value.astype(np.float64), velocity=np.zeros(0), effort=np.zeros(0))  # fmt: skip
    if isinstance(stream, PoseStream) and value.shape == (7,):
        return _make(
            "geometry_msgs/msg/PoseStamped", header=_header(stamp_ns, stream.frame), pose=_pose(value)
        )
    raise ImportingError(f"stream {name!r}: values of shape {value.shape} do not make a {stream.type}")


def _image(name: str, stream: ImageStream, stamp_ns: int, image: npt.NDArray[Any]) -> Any:
    if image.shape != (stream.height, stream.width, 3) or image.dtype != np.uint8:
        raise ImportingError(
            f"stream {name!r}: an image of {image.shape} {image.dtype}; the contract says "
            f"{stream.width}x{stream.height} and colours are uint8"
        )
    if stream.type == "sensor_msgs/msg/CompressedImage":
        _, packed = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        return _make(stream.type, header=_header(stamp_ns), format="jpeg", data=packed.reshape(-1))
    if stream.encoding != "rgb8":
        raise ImportingError(
            f"stream {name!r}: imported images are rgb8, the contract says {stream.encoding}"
        )
    return _make("sensor_msgs/msg/Image", header=_header(stamp_ns), height=stream.height, width=stream.width,
                 encoding="rgb8", is_bigendian=0, step=stream.width * 3,
                 data=np.ascontiguousarray(image).reshape(-1))  # fmt: skip


def _header(stamp_ns: int, frame: str = "") -> Any:
    stamp = _make("builtin_interfaces/msg/Time", sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return _make("std_msgs/msg/Header", stamp=stamp, frame_id=frame)


def _pose(value: npt.NDArray[Any]) -> Any:
    x, y, z, qx, qy, qz, qw = (float(one) for one in value)
    return _make(
        "geometry_msgs/msg/Pose",
        position=_make("geometry_msgs/msg/Point", x=x, y=y, z=z),
        orientation=_make("geometry_msgs/msg/Quaternion", x=qx, y=qy, z=qz, w=qw),
    )


def _make(kind: str, **fields: Any) -> Any:
    return typestore().types[kind](**fields)
