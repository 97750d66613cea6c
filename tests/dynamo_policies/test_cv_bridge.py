"""Our image decoder against cv_bridge, where a working one is installed: apt's, not PyPI's."""

import numpy as np
import pytest

pytest.importorskip("cv_bridge.boost.cv_bridge_boost", reason="needs the cv_bridge of apt's ROS 2")

from cv_bridge import CvBridge

from dynamo_policies.images import decode_image

SHAPES = {
    "rgb8": (np.uint8, 3),
    "bgr8": (np.uint8, 3),
    "rgba8": (np.uint8, 4),
    "bgra8": (np.uint8, 4),
    "mono8": (np.uint8, 1),
    "mono16": (np.uint16, 1),
    "16UC1": (np.uint16, 1),
    "32FC1": (np.float32, 1),
}


@pytest.mark.parametrize("encoding", SHAPES)
def test_an_image_decodes_as_cv_bridge_decodes_it(encoding: str) -> None:
    dtype, channels = SHAPES[encoding]
    shape = (24, 32, channels) if channels > 1 else (24, 32)
    values = (np.random.default_rng(0).random(shape) * 60_000).astype(dtype)
    message = CvBridge().cv2_to_imgmsg(values, encoding)
    ours, theirs = decode_image(message), CvBridge().imgmsg_to_cv2(message, "passthrough")
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours.reshape(theirs.shape), theirs)
