"""From bags to the frame cache: frames a second, against a plain loop of rosbags and cv2.

Both sides give the same aligned episodes and write the same .npy files of images; that they are equal is
checked. The plain loop reads each message with rosbags' Reader, deserialises it, decodes and resizes every
image, and aligns by bisection, one bag after the other. Bags lie in the page cache for both.
"""

from __future__ import annotations

import argparse
import bisect
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the synthetic bags of the tests

from bag_factory import START_NS, Raw, header, image_message, serialize, stream_messages, write_bag
from dynamo_policies.align import ticks_between
from dynamo_policies.bags import read_info, typestore
from dynamo_policies.cache import FrameCache
from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.decode import FrameSettings
from dynamo_policies.episodes import Episode
from dynamo_policies.streams import ImageStream

CONTRACT = Path(__file__).parents[1] / "config" / "robots" / "xarm_kitchen.yaml"
WIDTH, HEIGHT, JPEG_QUALITY = 640, 480, 90
FRAMES = FrameSettings(96)
Images = dict[str, npt.NDArray[np.uint8]]


def vga_contract(kind: str) -> Contract:
    """Return the kitchen's contract with VGA cameras whose messages are `kind`, raw or jpeg."""
    contract = load_contract(CONTRACT)
    image_type = "sensor_msgs/msg/" + ("Image" if kind == "raw" else "CompressedImage")
    streams = {
        name: replace(stream, width=WIDTH, height=HEIGHT, type=image_type)
        if isinstance(stream, ImageStream)
        else stream
        for name, stream in contract.streams.items()
    }
    return replace(contract, streams=streams)


def scenes() -> list[npt.NDArray[np.uint8]]:
    """Return some images with edges and texture, as a camera's have."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 255, (12, 16, 3), dtype=np.uint8)
    base = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    noise = generator.normal(0, 4, (8, HEIGHT, WIDTH, 3))
    return [np.clip(np.roll(base, 7 * i, 1) + noise[i], 0, 255).astype(np.uint8) for i in range(8)]


def make_bag(path: Path, contract: Contract, kind: str, seconds: float) -> Path:
    """Record an episode of `seconds` with both cameras at 30 Hz."""
    pictures = scenes()
    packed = [cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1] for image in pictures]
    messages: list[Raw] = []
    for name, stream in contract.streams.items():
        if not isinstance(stream, ImageStream):
            messages += stream_messages(contract, name, seconds)
            continue
        for index in range(round(seconds * stream.rate_hz)):
            stamp_ns = START_NS + round(index * 1e9 / stream.rate_hz)
            if kind == "raw":
                message = image_message(pictures[index % 8], stamp_ns)
            else:
                made = typestore().types["sensor_msgs/msg/CompressedImage"]
                message = made(header=header(stamp_ns), format="jpeg", data=packed[index % 8].reshape(-1))
            messages.append(Raw(stream.topic, serialize(message), stamp_ns + 2_000_000))
    return write_bag(path, contract, sorted(messages, key=lambda raw: raw.receive_ns))


def plain_loop(paths: list[Path], out: Path) -> list[Images]:
    """Return the aligned images of the bags, and write them to `out`, as one would do it at first."""
    store = get_typestore(Stores.ROS2_JAZZY)
    found = []
    for path in paths:
        contract = read_info(path).contract
        history: dict[str, tuple[list[int], list[Any]]] = {name: ([], []) for name in contract.streams}
        with Reader(path) as reader:
            for connection, _, data in reader.messages():
                message = store.deserialize_cdr(data, connection.msgtype)
                _keep(contract, connection.topic, message, history)
        images = _align(contract, history)
        for camera, stack in images.items():
            np.save(out / f"{path.name}.{camera}.npy", stack)
        found.append(images)
    return found


def _keep(
    contract: Contract, topic: str, message: Any, history: dict[str, tuple[list[int], list[Any]]]
) -> None:
    stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
    for name, stream in contract.streams.items():
        if stream.topic != topic:
            continue
        if isinstance(stream, ImageStream):
            value: Any = _picture(message)
        elif hasattr(message, "pose"):
            value = message.pose
        elif set(stream.joints) <= set(message.name):  # type: ignore[attr-defined]  # a stream of joints
            value = [message.position[message.name.index(joint)] for joint in stream.joints]  # type: ignore[attr-defined]
        else:
            continue
        history[name][0].append(stamp_ns)
        history[name][1].append(value)


def _picture(message: Any) -> npt.NDArray[np.uint8]:
    if hasattr(message, "encoding"):
        image = message.data.reshape(message.height, message.width, 3)
    else:
        image = cv2.cvtColor(cv2.imdecode(message.data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    height, width = image.shape[:2]
    left = (width - height) // 2
    size = (FRAMES.size, FRAMES.size)
    return np.asarray(cv2.resize(image[:, left : left + height], size, interpolation=cv2.INTER_AREA))


def _align(contract: Contract, history: dict[str, tuple[list[int], list[Any]]]) -> Images:
    observed = [history[name][0] for name in contract.observed]
    first, last = max(stamps[0] for stamps in observed), max(stamps[-1] for stamps in observed)
    last_target = min(history[name][0][-1] for name in ("target_pose", "target_gripper"))
    chosen: dict[str, list[Any]] = {name: [] for name in contract.cameras}
    for tick in ticks_between(first, last, contract.period_ns):
        if tick + contract.period_ns > last_target + 20_000_000:
            break
        for camera, picked in chosen.items():
            stamps, values = history[camera]
            picked.append(values[bisect.bisect_right(stamps, tick) - 1])
    return {camera: np.stack(picked) for camera, picked in chosen.items()}


def ours(paths: list[Path], out: Path) -> list[Images]:
    """Return the images of the episodes from a new frame cache."""
    episodes: list[Episode] = FrameCache(out / "cache").episodes(paths, FRAMES)
    return [episode.images for episode in episodes]


def timed(run: Callable[[list[Path], Path], list[Images]], paths: list[Path]) -> tuple[float, list[Images]]:
    """Return how long `run` takes with an empty folder to write to, and what it gives."""
    out = Path(tempfile.mkdtemp(dir=paths[0].parent))
    start = time.perf_counter()
    found = run(paths, out)
    elapsed = time.perf_counter() - start
    kept = [{name: np.array(stack) for name, stack in images.items()} for images in found]
    shutil.rmtree(out)
    return elapsed, kept


def compare(kind: str, *, bags: int, seconds: float, repeats: int) -> dict[str, Any]:
    """Return frames a second of both sides, each the median of `repeats` in turns."""
    contract = vga_contract(kind)
    with tempfile.TemporaryDirectory() as folder:
        paths = [make_bag(Path(folder) / f"bag_{i}", contract, kind, seconds) for i in range(bags)]
        size = sum(read_info(path).bytes for path in paths)
        times: dict[str, list[float]] = {"plain": [], "ours": []}
        for _ in range(repeats):
            elapsed, expected = timed(plain_loop, paths)
            times["plain"].append(elapsed)
            elapsed, found = timed(ours, paths)
            times["ours"].append(elapsed)
            for one, other in zip(expected, found, strict=True):
                for camera in one:
                    np.testing.assert_array_equal(one[camera], other[camera])
    frames = sum(len(stack) for images in expected for stack in images.values())
    rates = {side: [frames / elapsed for elapsed in given] for side, given in times.items()}
    medians = {side: statistics.median(given) for side, given in rates.items()}
    return {
        "ratio": medians["ours"] / medians["plain"],
        "frames": frames,
        "megabytes": size / 1e6,
        "frames_per_second": medians,
        "repeats": rates,
    }


def main() -> None:
    """Compare raw and jpeg images; the overall ratio is the smaller one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short bags and few repeats")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    size = (
        {"bags": 4, "seconds": 3.0, "repeats": 3}
        if arguments.quick
        else {"bags": 6, "seconds": 10.0, "repeats": 5}
    )
    found = {kind: compare(kind, **size) for kind in ("raw", "jpeg")}  # type: ignore[arg-type]  # see above
    result = {
        "ratio": min(one["ratio"] for one in found.values()),
        "images": f"2 cameras {WIDTH}x{HEIGHT} at 30 Hz to {FRAMES.size}x{FRAMES.size} at 10 Hz",
        **size,
        **found,
        "command": " ".join(["python", "benchmarks/bag_read.py", *sys.argv[1:]]),
    }
    for kind, one in found.items():
        rates = one["frames_per_second"]
        print(
            f"{kind}: ours {rates['ours']:.0f}, plain {rates['plain']:.0f} frames/s, ratio {one['ratio']:.2f}"
        )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
