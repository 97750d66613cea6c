"""Raw images to JPEG, as CDR bytes in and out: sensor_msgs/Image to sensor_msgs/CompressedImage."""

from __future__ import annotations

from typing import Any

import cv2
from rosbags.serde import SerdeError

from dynamo_policies.errors import DynamoError
from dynamo_policies.images import decode_image, to_rgb
from dynamo_policies.storage import typestore
from dynamo_ros.core.bag_topics import COMPRESSED_IMAGE, IMAGE, RecordingError


class JpegEncoder:
    """Encodes 8-bit colour or grey images with one quality."""

    def __init__(self, quality: int) -> None:
        self._options = [cv2.IMWRITE_JPEG_QUALITY, quality]
        self._types = typestore()

    def encode(self, cdr: bytes) -> bytes:
        """Return the image as a CompressedImage with the same header.

        Raises:
            RecordingError: the bytes are no image that JPEG can hold.
        """
        try:
            message: Any = self._types.deserialize_cdr(cdr, IMAGE)
            if message.encoding == "mono8":
                pixels, name = decode_image(message), "mono8; jpeg compressed mono8"
            else:
                pixels = cv2.cvtColor(to_rgb(decode_image(message), message.encoding), cv2.COLOR_RGB2BGR)
                name = f"{message.encoding}; jpeg compressed bgr8"
            done, data = cv2.imencode(".jpg", pixels, self._options)
        except (SerdeError, DynamoError, cv2.error, ValueError) as error:
            raise RecordingError(f"an image can't be made a JPEG: {error}") from error
        if not done:
            raise RecordingError(f"an image of shape {pixels.shape} can't be made a JPEG")
        compressed = self._types.types[COMPRESSED_IMAGE](message.header, name, data.reshape(-1))
        return bytes(self._types.serialize_cdr(compressed, COMPRESSED_IMAGE))
