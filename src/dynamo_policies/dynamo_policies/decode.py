"""From messages to samples, the same for live messages and for those read from bags."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.errors import ConfigError, DynamoError, UnknownNameError
from dynamo_policies.images import decode_pixels, to_rgb
from dynamo_policies.observation import Sample
from dynamo_policies.streams import ImageStream, JointStream, PoseStream, Stream

LARGEST_SIZE = 1024
NORM_TOLERANCE = 1e-2


@dataclass(frozen=True)
class FrameSettings:
    """How a camera image becomes a network's input: (size, size), of the centre square or squeezed."""

    size: int = 96
    crop: Literal["center", "none"] = "center"

    def __post_init__(self) -> None:
        if not 1 <= self.size <= LARGEST_SIZE:
            raise ConfigError(f"frame size {self.size} is impossible; possible is 1 to {LARGEST_SIZE}")
        if self.crop not in ("center", "none"):
            raise UnknownNameError("crop", self.crop, ("center", "none"))


class DecodeError(DynamoError):
    """A message does not hold what the contract says its stream holds."""

    def __init__(self, stream: str, problem: str) -> None:
        super().__init__(f"stream {stream!r}: {problem}")


class Decoder:
    """Turns messages into samples; of rclpy and of rosbags alike, since it only reads their fields."""

    def __init__(self, contract: Contract, frames: FrameSettings) -> None:
        self.contract = contract
        self.frames = frames

    def decode(self, stream_name: str, message: Any, receive_ns: int) -> Sample | None:
        """Return the sample of `stream_name` in `message`, None where it does not concern the stream.

        `receive_ns` is when the message arrived; it becomes the stamp of a stream with `stamp: receive`.

        Raises:
            DecodeError: the message does not fit the contract; the text says what was given and what was
                expected.
        """
        stream = self._stream(stream_name)
        value = self._value(stream_name, stream, message)
        if value is None:
            return None
        return Sample(stream_name, stamp_of(stream, message, receive_ns), value)

    def _stream(self, name: str) -> Stream:
        if name not in self.contract.streams:
            raise UnknownNameError("stream", name, self.contract.streams)
        stream: Stream = self.contract.streams[name]
        return stream

    def _value(
        self, name: str, stream: Stream, message: Any
    ) -> npt.NDArray[np.uint8] | npt.NDArray[np.float64] | None:
        if isinstance(stream, ImageStream):
            return resize(decode_colour(name, stream, message), self.frames)
        if isinstance(stream, JointStream):
            return decode_joints(name, stream, message)
        if isinstance(stream, PoseStream):
            return decode_pose(name, stream, message)
        raise DecodeError(name, f"no decoder for {type(stream).__name__}")


def stamp_of(stream: Stream, message: Any, receive_ns: int) -> int:
    """Return the stamp of `message` by the clock that the stream's contract names, nanoseconds."""
    if stream.stamp == "receive":
        return receive_ns
    stamp = message.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def decode_colour(name: str, stream: ImageStream, message: Any) -> npt.NDArray[np.uint8]:
    """Return the image as (H, W, 3) uint8 RGB, a view of the message's data where that is possible."""
    try:
        pixels, encoding = decode_pixels(message)
        height, width = pixels.shape[:2]
        # A compressed image's order of channels is settled by its codec, so only its kind has to fit.
        if hasattr(message, "encoding") and encoding != stream.encoding:
            raise DecodeError(name, f"encoding {encoding!r} given, the contract expects {stream.encoding!r}")
        if (width, height) != (stream.width, stream.height):
            raise DecodeError(
                name, f"image of {width}x{height} given, the contract expects {stream.width}x{stream.height}"
            )
        return to_rgb(pixels, encoding)
    except ConfigError as error:
        raise DecodeError(name, str(error)) from error


def resize(image: npt.NDArray[np.uint8], frames: FrameSettings) -> npt.NDArray[np.uint8]:
    """Return `image` (H, W, 3) as (size, size, 3), cropped as `frames` says; itself if it is so."""
    if frames.crop == "center":
        image = _centre_square(image)
    if image.shape[:2] == (frames.size, frames.size):
        return image
    blocks = _block_means(image, frames.size)
    # Areas are averaged when shrinking; when growing, INTER_AREA would only repeat pixels. From blocks
    # there is so little left to shrink that the two nearest of a row tell all, in a sixth of the time.
    shrinks = blocks is image and min(image.shape[:2]) >= frames.size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(blocks, (frames.size, frames.size), interpolation=method)
    return resized.astype(np.uint8, copy=False)  # for the type checker: cv2 keeps uint8


def _block_means(image: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Return the means of the largest blocks of pixels that still make `size` rows and columns.

    `image` itself where that are single pixels, or whole blocks do not fill it.
    """
    height, width = image.shape[:2]
    down, across = height // size, width // size
    if min(down, across) < 2 or height % down or width % across:
        return image
    small = cv2.resize(image, (width // across, height // down), interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8, copy=False)


def decode_joints(name: str, stream: JointStream, message: Any) -> npt.NDArray[np.float64] | None:
    """Return the stream's joints (J,) in contract order, None if the message has none of them."""
    given = list(message.name)
    found = [joint for joint in stream.joints if joint in given]
    if not found:
        return None
    if len(found) < len(stream.joints):
        missing = [joint for joint in stream.joints if joint not in given]
        raise DecodeError(name, f"joints {missing} are missing; the message has {given}")
    if len(set(given)) < len(given) and (twice := [joint for joint in found if given.count(joint) > 1]):
        raise DecodeError(name, f"joints {twice} are given more than once; the message has {given}")
    if len(message.position) != len(given):
        raise DecodeError(
            name, f"{len(message.position)} positions given for {len(given)} joint names {given}"
        )
    values = np.array([message.position[given.index(joint)] for joint in stream.joints], dtype=np.float64)
    if not np.isfinite(values).all():
        raise DecodeError(name, f"positions {values.tolist()} of {list(stream.joints)} are not all finite")
    return values


def decode_pose(name: str, stream: PoseStream, message: Any) -> npt.NDArray[np.float64]:
    """Return x y z (m) and the unit quaternion x y z w, (7,)."""
    if message.header.frame_id != stream.frame:
        raise DecodeError(
            name, f"frame {message.header.frame_id!r} given, the contract expects {stream.frame!r}"
        )
    position, quaternion = message.pose.position, message.pose.orientation
    values = np.array([*_fields(position, "xyz"), *_fields(quaternion, "xyzw")], dtype=np.float64)
    if not np.isfinite(values).all():
        raise DecodeError(name, f"pose {values.tolist()} is not finite")
    norm = math.sqrt(float(values[3:] @ values[3:]))
    if abs(norm - 1.0) > NORM_TOLERANCE:
        raise DecodeError(name, f"quaternion {values[3:].tolist()} has norm {norm:.3g}, expected 1")
    values[3:] /= norm
    return values


def _fields(value: Any, names: Iterable[str]) -> list[float]:
    return [getattr(value, name) for name in names]


def _centre_square(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]
