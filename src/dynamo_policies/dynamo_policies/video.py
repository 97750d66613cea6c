"""Videos of what the cameras saw: frames side by side, H.264 in MP4, playable in a browser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np
import numpy.typing as npt

from dynamo_policies.bags import read_info, samples
from dynamo_policies.contract import Contract
from dynamo_policies.decode import Decoder, FrameSettings
from dynamo_policies.streams import ImageStream

Frame = npt.NDArray[np.uint8]


class VideoWriter:
    """Write RGB frames of one size to an MP4 file; a context manager. Without a frame there is no file."""

    def __init__(self, path: Path, *, fps: float) -> None:
        self._path, self._fps = path, fps
        self._container: av.container.OutputContainer | None = None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._container is not None:
            self._container.mux(self._stream.encode(None))
            self._container.close()

    def add(self, frame: Frame) -> None:
        """Append `frame`, (H, W, 3) uint8 RGB; the first one sets the size, cut to even numbers."""
        height, width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
        if self._container is None:
            self._container = self._open(height, width)
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
        self._container.mux(self._stream.encode(picture))

    def _open(self, height: int, width: int) -> av.container.OutputContainer:
        container = av.open(str(self._path), "w")
        self._stream: av.VideoStream = container.add_stream("libx264", rate=round(self._fps))
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"crf": "23", "preset": "veryfast"}
        return container


def side_by_side(images: Mapping[str, Frame], *, height: int = 256) -> Frame:
    """Return the cameras' images next to each other, each scaled to `height` and captioned with its name."""
    scaled = [_captioned(name, image, height) for name, image in images.items()]
    return np.concatenate(scaled, axis=1)


def video_of_bag(
    bag: Path, path: Path, *, fps: float = 10.0, height: int = 256, contract: Contract | None = None
) -> int:
    """Write all cameras of `bag` to `path` at `fps` of recorded time and return the number of frames.

    `contract` is for a bag that has none.
    """
    with VideoWriter(path, fps=fps) as writer:
        count = 0
        for images in frames_of_bag(bag, fps=fps, contract=contract):
            writer.add(side_by_side(images, height=height))
            count += 1
    return count


def frames_of_bag(bag: Path, *, fps: float, contract: Contract | None = None) -> Iterable[dict[str, Frame]]:
    """Yield the newest image of every camera of `bag`, `fps` times a second of recorded time."""
    contract = read_info(bag, contract).contract
    size = max(max(stream.width, stream.height) for stream in contract.cameras.values())
    decoder = Decoder(contract, FrameSettings(size=size, crop="none"))
    newest: dict[str, Frame] = {}
    due_ns: int | None = None
    for sample in samples(bag, decoder):
        if not isinstance(contract.streams[sample.stream], ImageStream):
            continue
        newest[sample.stream] = sample.value.astype(np.uint8, copy=False)
        due_ns = sample.stamp_ns if due_ns is None else due_ns
        if len(newest) == len(contract.cameras) and sample.stamp_ns >= due_ns:
            due_ns += round(1e9 / fps)
            yield {name: newest[name] for name in contract.cameras}


def _captioned(name: str, image: Frame, height: int) -> Frame:
    scale = height / image.shape[0]
    resized = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(
            resized, name, (8, height - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thickness, cv2.LINE_AA
        )
    return resized.astype(np.uint8, copy=False)
