"""From messages to samples."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bag_factory import header, image_message, joint_message, pose_message
from dynamo_policies.bags import typestore
from dynamo_policies.contract import Contract
from dynamo_policies.decode import DecodeError, Decoder, FrameSettings, decode_colour, resize
from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.images import ImageError, decode_image
from dynamo_policies.streams import ImageStream

JOINTS = [f"joint{i}" for i in range(1, 8)]
RGB = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
NATIVE = {
    "rgb8": np.uint8,
    "bgr8": np.uint8,
    "rgba8": np.uint8,
    "bgra8": np.uint8,
    "mono8": np.uint8,
    "mono16": np.uint16,
    "16UC1": np.uint16,
    "32FC1": np.float32,
}
CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4}


def stream(encoding: str = "rgb8", width: int = 5, height: int = 4) -> ImageStream:
    return ImageStream(topic="/c", rate_hz=30, max_age_ms=150, width=width, height=height, encoding=encoding)


def compressed(pixels: np.ndarray, suffix: str, form: str) -> object:
    encoded = cv2.imencode(suffix, pixels)[1].reshape(-1)
    return typestore().types["sensor_msgs/msg/CompressedImage"](header=header(0), format=form, data=encoded)


@pytest.fixture
def decoder(contract: Contract) -> Decoder:
    return Decoder(contract, FrameSettings(96))


@given(
    encoding=st.sampled_from(sorted(NATIVE)),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    padding=st.integers(0, 5),
    bigendian=st.integers(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_encoding_decodes_without_loss(
    encoding: str, height: int, width: int, padding: int, bigendian: int, seed: int
) -> None:
    shape = (height, width, CHANNELS[encoding]) if encoding in CHANNELS else (height, width)
    pixels = (np.random.default_rng(seed).random(shape) * 65535).astype(NATIVE[encoding])
    decoded = decode_image(image_message(pixels, 0, encoding, padding=padding, bigendian=bigendian))
    assert decoded.dtype == pixels.dtype
    assert decoded.dtype.isnative
    np.testing.assert_array_equal(decoded, pixels)


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", RGB),
        ("bgr8", RGB[..., ::-1]),
        ("rgba8", np.dstack([RGB, np.full((4, 5), 7, np.uint8)])),
        ("bgra8", np.dstack([RGB[..., ::-1], np.full((4, 5), 7, np.uint8)])),
    ],
)
def test_colour_of_any_order_becomes_rgb(encoding: str, pixels: np.ndarray) -> None:
    message = image_message(pixels, 0, encoding, padding=2)
    np.testing.assert_array_equal(decode_colour("c", stream(encoding), message), RGB)


def test_grey_becomes_three_equal_channels() -> None:
    message = image_message(RGB[..., 0], 0, "mono8")
    np.testing.assert_array_equal(decode_colour("c", stream("mono8"), message), np.dstack([RGB[..., 0]] * 3))


def test_compressed_colour_becomes_rgb() -> None:
    message = compressed(np.ascontiguousarray(RGB[..., ::-1]), ".png", "rgb8; png compressed bgr8")
    np.testing.assert_array_equal(decode_colour("c", stream(), message), RGB)
    smooth = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    jpeg = compressed(np.ascontiguousarray(smooth[..., ::-1]), ".jpg", "jpeg")
    np.testing.assert_allclose(
        decode_colour("c", stream(width=16, height=16), jpeg).astype(int), smooth, atol=4
    )


def test_compressed_depth_as_png_keeps_its_16_bits() -> None:
    depth = np.arange(20, dtype=np.uint16).reshape(4, 5) * 3000
    np.testing.assert_array_equal(decode_image(compressed(depth, ".png", "16UC1; png compressed")), depth)


def test_an_uncompressed_image_is_not_copied() -> None:
    message = image_message(RGB)
    decoded = decode_colour("c", stream(), message)
    assert np.shares_memory(decoded, message.data)
    assert np.shares_memory(resize(decoded, FrameSettings(4)), message.data)


def test_resize_averages_the_centre_square() -> None:
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, 2:6] = np.arange(4, dtype=np.uint8)[:, None, None] * 10  # rows 0 10 20 30, only in the centre
    np.testing.assert_array_equal(resize(image, FrameSettings(2))[..., 0], [[5, 5], [25, 25]])
    squeezed = resize(image, FrameSettings(2, "none"))
    np.testing.assert_array_equal(squeezed[..., 0], [[2, 2], [12, 12]])


@pytest.mark.parametrize("size", [48, 60, 64, 110, 224])
def test_resize_is_near_the_mean_of_areas_and_samples_no_pattern(size: int) -> None:
    rng = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(rng.integers(0, 256, (480, 640, 3), np.uint8), (0, 0), 4).astype(np.uint8)
    areas = cv2.resize(smooth[:, 80:560], (size, size), interpolation=cv2.INTER_AREA)
    assert np.abs(resize(smooth, FrameSettings(size)).astype(int) - areas).max() <= 3
    stripes = np.zeros((480, 640, 3), np.uint8)
    stripes[::2] = 200
    assert np.abs(resize(stripes, FrameSettings(size)).astype(int) - 100).max() <= 25


def test_frame_settings_check_themselves() -> None:
    with pytest.raises(ConfigError, match="frame size 0 is impossible; possible is 1 to 1024"):
        FrameSettings(0)
    with pytest.raises(UnknownNameError, match="did you mean 'center'"):
        FrameSettings(96, "centre")  # type: ignore[arg-type]  # wrong on purpose


def test_the_decoder_gives_images_at_the_size_of_the_settings(decoder: Decoder) -> None:
    sample = decoder.decode("fixed", image_message(np.zeros((128, 128, 3), np.uint8), 5), 9)
    assert sample is not None
    assert (sample.stream, sample.stamp_ns, sample.value.shape) == ("fixed", 5, (96, 96, 3))


def test_the_stamp_is_the_one_that_the_contract_names(contract: Contract) -> None:
    received = replace(contract.streams["arm"], stamp="receive")
    other = replace(contract, streams={**contract.streams, "arm": received})
    message = joint_message(JOINTS, range(7), 1_500_000_001)
    for given_contract, stamp_ns in ((contract, 1_500_000_001), (other, 9)):
        sample = Decoder(given_contract, FrameSettings()).decode("arm", message, 9)
        assert sample is not None
        assert sample.stamp_ns == stamp_ns


def test_joints_are_picked_by_name_in_contract_order(decoder: Decoder) -> None:
    names = [*reversed(JOINTS), "other"]
    sample = decoder.decode("arm", joint_message(names, range(8)), 0)
    assert sample is not None
    assert sample.value.tolist() == [6, 5, 4, 3, 2, 1, 0]


def test_a_message_of_other_joints_does_not_concern_the_stream(decoder: Decoder) -> None:
    assert decoder.decode("arm", joint_message(["drive_joint"], [0.1]), 0) is None
    assert decoder.decode("gripper", joint_message(JOINTS, range(7)), 0) is None
    assert decoder.decode("arm", joint_message([], []), 0) is None


def test_a_pose_is_normalised(decoder: Decoder) -> None:
    sample = decoder.decode("target_pose", pose_message([1, 2, 3, 0, 0, 0, 1.002]), 0)
    assert sample is not None
    np.testing.assert_array_equal(sample.value, [1, 2, 3, 0, 0, 0, 1])


@pytest.mark.parametrize(
    ("name", "message", "problem"),
    [
        ("fixed", image_message(RGB), "image of 5x4 given, the contract expects 128x128"),
        ("fixed", image_message(RGB, 0, "bgr8"), "encoding 'bgr8' given, the contract expects 'rgb8'"),
        ("fixed", image_message(RGB, 0, "yuv"), "encoding 'yuv' is unknown"),
        (
            "arm",
            joint_message(JOINTS[:6], range(6)),
            r"joints \['joint7'\] are missing; the message has",
        ),
        ("arm", joint_message(JOINTS, range(6)), "6 positions given for 7 joint names"),
        (
            "arm",
            joint_message((*JOINTS, "joint2"), range(8)),
            r"joints \['joint2'\] are given more than once",
        ),
        ("arm", joint_message(JOINTS, [np.nan] * 7), "are not all finite"),
        ("arm", joint_message(JOINTS, [np.inf] * 7), "are not all finite"),
        (
            "target_pose",
            pose_message([0] * 6 + [1], 0, "world"),
            "frame 'world' given, the contract expects 'link_base'",
        ),
        ("target_pose", pose_message([0] * 7), "has norm 0, expected 1"),
        ("target_pose", pose_message([np.nan] * 7), "is not finite"),
    ],
)
def test_what_does_not_fit_is_an_error_that_says_so(
    decoder: Decoder, name: str, message: object, problem: str
) -> None:
    with pytest.raises(DecodeError, match=rf"stream '{name}': .*{problem}"):
        decoder.decode(name, message, 0)


def test_truncated_and_impossible_images_are_errors() -> None:
    message = image_message(RGB)
    message.data = message.data[:-1]
    with pytest.raises(ImageError, match="59 bytes given for a 5x4 rgb8 image with step 15; expected 60"):
        decode_image(message)
    message.step = 14
    with pytest.raises(ImageError, match="step 14; at least 15 is possible"):
        decode_image(message)
    jpeg = compressed(RGB, ".jpg", "jpeg")
    jpeg.data = jpeg.data[:20]  # type: ignore[attr-defined]  # a generated class
    with pytest.raises(ImageError, match="20 bytes of format 'jpeg' are no complete"):
        decode_image(jpeg)
    with pytest.raises(ImageError, match=r"compressedDepth.* is not supported"):
        decode_image(compressed(RGB, ".png", "16UC1; compressedDepth"))


def test_depth_is_no_colour() -> None:
    extra = ImageStream(
        topic="/d", rate_hz=30, max_age_ms=150, width=5, height=4, encoding="16UC1", role="extra"
    )
    with pytest.raises(DecodeError, match="'16UC1' is no colour"):
        decode_colour("depth", extra, image_message(RGB[..., 0].astype(np.uint16), 0, "16UC1"))


def test_an_unknown_stream_is_an_error(decoder: Decoder) -> None:
    with pytest.raises(UnknownNameError, match="stream 'arms' is unknown; did you mean 'arm'"):
        decoder.decode("arms", None, 0)
