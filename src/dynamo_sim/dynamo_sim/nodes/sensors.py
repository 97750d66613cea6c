"""Samples of a simulated station in the form that the real drivers give them."""

from __future__ import annotations

import array
import math

import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import PoseArray
from sensor_msgs.msg import CameraInfo, Image, JointState

from dynamo_policies.observation import Pose
from dynamo_policies.streams import ImageStream
from dynamo_ros.nodes.messages import to_pose_message, to_time
from dynamo_sim.reading import JointReading


def image_message(name: str, image: npt.NDArray[np.uint8], stamp_ns: int) -> Image:
    """Return `image` (H, W, 3) RGB as realsense-ros publishes its colour stream."""
    height, width, _ = image.shape
    message = Image(height=height, width=width, encoding="rgb8", is_bigendian=0, step=3 * width)
    message.header.stamp, message.header.frame_id = to_time(stamp_ns), optical_frame(name)
    # An array.array is taken as it is; any other sequence would be checked number by number.
    pixels = array.array("B")
    pixels.frombytes(np.ascontiguousarray(image).data.cast("B"))
    message.data = pixels
    return message


def camera_info(name: str, stream: ImageStream, *, fovy_deg: float) -> CameraInfo:
    """Return the pinhole camera without distortion that the renderer is; the stamp is left to the caller."""
    focal = stream.height / 2.0 / math.tan(math.radians(fovy_deg) / 2.0)
    cx, cy = (stream.width - 1) / 2.0, (stream.height - 1) / 2.0
    message = CameraInfo(height=stream.height, width=stream.width, distortion_model="plumb_bob", d=[0.0] * 5)
    message.header.frame_id = optical_frame(name)
    message.k = [focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message


def optical_frame(name: str) -> str:
    """Return the frame that a camera's images are in."""
    return f"{name}_camera_color_optical_frame"


def joint_message(reading: JointReading, stamp_ns: int) -> JointState:
    """Return joints as their driver reports them: rad, rad/s, Nm."""
    message = JointState(name=list(reading.names), position=reading.positions.tolist())
    message.header.stamp = to_time(stamp_ns)
    message.velocity, message.effort = reading.velocities.tolist(), reading.efforts.tolist()
    return message


def objects_message(
    objects: dict[str, Pose], order: tuple[str, ...], *, frame: str, stamp_ns: int
) -> PoseArray:
    """Return the poses of the objects named in `order`, in this order."""
    message = PoseArray(poses=[to_pose_message(objects[name]) for name in order])
    message.header.stamp, message.header.frame_id = to_time(stamp_ns), frame
    return message
