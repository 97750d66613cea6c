"""sensor_msgs/Image and CompressedImage to arrays, without loss and without ROS."""

from __future__ import annotations

import struct
import sys
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.streams import COLOURS


class PixelFormat(NamedTuple):
    """How one pixel lies in memory."""

    dtype: str
    channels: int


FORMATS: dict[str, PixelFormat] = {
    "rgb8": PixelFormat("u1", 3),
    "bgr8": PixelFormat("u1", 3),
    "rgba8": PixelFormat("u1", 4),
    "bgra8": PixelFormat("u1", 4),
    "mono8": PixelFormat("u1", 1),
    "mono16": PixelFormat("u2", 1),
    "16UC1": PixelFormat("u2", 1),
    "32FC1": PixelFormat("f4", 1),
}
LARGEST_PIXELS = 64 << 20
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
PNG_HEADER_BYTES = 24
JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers after which the size stands
TO_RGB = {
    "bgr8": cv2.COLOR_BGR2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
}
# What cv2.imdecode returns, by number of channels and size of a value.
DECODED = {(1, 1): "mono8", (3, 1): "bgr8", (4, 1): "bgra8", (1, 2): "mono16"}


class ImageError(ConfigError):
    """An image message contradicts itself or holds what can't be decoded."""


def decode_image(message: Any) -> npt.NDArray[Any]:
    """Return the image in `message`, (H, W) or (H, W, C), in its own type and order of channels.

    16UC1 and mono16 stay uint16 (16UC1: mm), 32FC1 stays float32 (m). Compressed colour comes as BGR.

    Raises:
        ImageError: data truncated, impossible step, or a codec that cv2 can't read.
        UnknownNameError: the encoding is not among those supported.
    """
    return decode_pixels(message)[0]


def decode_pixels(message: Any) -> tuple[npt.NDArray[Any], str]:
    """Return the image in `message` and the encoding that says what its channels are."""
    if hasattr(message, "encoding"):
        return _raw_pixels(message), str(message.encoding)
    return _compressed_pixels(message)


def to_rgb(pixels: npt.NDArray[Any], encoding: str) -> npt.NDArray[np.uint8]:
    """Return colour or grey `pixels` of 8 bits as (H, W, 3) RGB; `pixels` itself if that is what it is."""
    if encoding == "rgb8":
        return pixels
    if encoding in TO_RGB:
        return cv2.cvtColor(pixels, TO_RGB[encoding]).astype(np.uint8, copy=False)
    raise ImageError(f"encoding {encoding!r} is no colour; as colour possible: {', '.join(COLOURS)}")


def size_of_compressed(data: memoryview) -> tuple[int, int] | None:
    """Return width and height that a jpeg or png says it has, None where it is neither.

    Known before decoding, since a few bytes can claim gigabytes.
    """
    if bytes(data[:8]) == PNG_MAGIC and len(data) >= PNG_HEADER_BYTES:
        return struct.unpack_from(">II", data, 16)
    place = 2 if bytes(data[:2]) == b"\xff\xd8" else len(data)
    while place + 9 <= len(data) and data[place] == 0xFF:
        if data[place + 1] in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        place += 2 + struct.unpack_from(">H", data, place + 2)[0]
    return None


def _raw_pixels(message: Any) -> npt.NDArray[Any]:
    if message.encoding not in FORMATS:
        raise UnknownNameError("encoding", message.encoding, FORMATS)
    form = FORMATS[message.encoding]
    dtype = np.dtype(form.dtype).newbyteorder(">" if message.is_bigendian else "<")
    height, width, step = int(message.height), int(message.width), int(message.step)
    row = width * form.channels * dtype.itemsize
    buffer = np.frombuffer(message.data, dtype=np.uint8)
    if min(height, width) < 1 or step < row:
        raise ImageError(
            f"{width}x{height} {message.encoding} image with step {step}; at least {row} is possible"
        )
    if buffer.size != step * height:
        raise ImageError(
            f"{buffer.size} bytes given for a {width}x{height} {message.encoding} image with step {step}; "
            f"expected {step * height}"
        )
    values = buffer.reshape(height, step)[:, :row]
    if dtype.itemsize > 1:
        # A padded row may not be a whole number of values, so the padding goes before the type changes.
        values = (
            np.ascontiguousarray(values).view(dtype).astype(dtype.newbyteorder(sys.byteorder), copy=False)
        )
    shape = (height, width) if form.channels == 1 else (height, width, form.channels)
    return values.reshape(shape)


def _compressed_pixels(message: Any) -> tuple[npt.NDArray[Any], str]:
    if "compressedDepth" in message.format:
        raise ImageError(f"format {message.format!r} is not supported; possible: jpeg, png")
    buffer = np.frombuffer(message.data, dtype=np.uint8)
    size = size_of_compressed(buffer.data)
    if size is not None and size[0] * size[1] > LARGEST_PIXELS:
        raise ImageError(
            f"a compressed image of {size[0]}x{size[1]}; at most {LARGEST_PIXELS} pixels are read"
        )
    try:
        decoded = None if size is None else cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(f"{buffer.size} bytes of format {message.format!r}: {error}") from error
    if decoded is None:
        raise ImageError(
            f"{buffer.size} bytes of format {message.format!r} are no complete jpeg or png image"
        )
    pixels: npt.NDArray[Any] = decoded
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    kind = (channels, pixels.dtype.itemsize)
    if kind not in DECODED:
        raise ImageError(
            f"{channels} channels of {pixels.dtype} in format {message.format!r}; possible: {DECODED}"
        )
    return pixels, DECODED[kind]
