"""Episodes of moving things, drawn rather than recorded, for benchmarks of pretraining.

Two cameras see a bar that turns and two discs that drift over a textured ground; the second camera sees them
mirrored and larger. What moves is known, so that a probe can be asked for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import load_contract
from dynamo_policies.episodes import Episode

CONTRACT = Path(__file__).parents[1] / "config" / "robots" / "xarm_kitchen.yaml"
CAMERAS = ("fixed", "wrist")
JPEG_QUALITY = 95
GROUND = 7  # one for all episodes, so that those held out show the same place
Images = npt.NDArray[np.uint8]


class Scene(NamedTuple):
    """One episode, where its frames lie as JPEG files, and what moves: (T, 6) float32 in -1..1."""

    episode: Episode
    files: tuple[tuple[Path, ...], ...]  # for each tick, those of all cameras
    truth: npt.NDArray[np.float32]


def make_scenes(
    folder: Path, *, episodes: int, ticks: int, size: int, seed: int = 0, jpeg: bool = True
) -> list[Scene]:
    """Write episodes of `ticks` into `folder`: frames of `size` pixels as .npy, as JPEG if wanted."""
    contract = load_contract(CONTRACT)
    made = []
    for number in range(episodes):
        random = np.random.default_rng([seed, number])
        truth = _paths(random, ticks)
        place = folder / f"{seed}_{number}"
        place.mkdir(parents=True)
        images = {}
        for camera, zoom in zip(CAMERAS, (1.0, -1.5), strict=True):
            np.save(place / f"{camera}.npy", _draw(truth * zoom, size, np.random.default_rng(GROUND)))
            images[camera] = np.load(place / f"{camera}.npy", mmap_mode="r")
        files = tuple(_write_jpeg(place, images, tick) for tick in range(ticks)) if jpeg else ()
        nothing = np.zeros((ticks, 4))
        episode = Episode(
            path=place,
            task="drift",
            outcome="success",
            contract=contract,
            tick_ns=np.arange(ticks, dtype=np.int64) * contract.period_ns,
            images=images,
            state=np.zeros((ticks, 8), np.float32),
            valid=np.ones(ticks, dtype=bool),
            measured_position=nothing[:, :3],
            measured_quaternion=nothing,
            target_position=nothing[:, :3],
            target_quaternion=nothing,
            target_gripper=nothing[:, 0],
        )
        made.append(Scene(episode, files, truth))
    return made


def _paths(random: np.random.Generator, ticks: int) -> npt.NDArray[np.float32]:
    """Return smooth paths (ticks, 6): place and angle of a bar, place of a disc, half that of another."""
    phase = random.uniform(0, 2 * np.pi, (3, 6))
    pace = random.uniform(0.02, 0.12, (3, 6))
    moments = np.arange(ticks)[:, None, None]
    return np.asarray(0.8 * np.sin(phase + pace * moments).mean(axis=1) * 1.5, dtype=np.float32).clip(-1, 1)


def _draw(truth: npt.NDArray[np.float32], size: int, random: np.random.Generator) -> Images:
    coarse = random.integers(60, 160, (8, 8, 3), dtype=np.uint8)
    ground = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    frames = np.empty((len(truth), size, size, 3), np.uint8)
    for frame, (x, y, angle, u, v, w) in zip(frames, truth, strict=True):
        frame[:] = ground
        place = [int(size * (0.5 + 0.35 * value)) for value in (x, y, u, v, w, -u)]
        end = (
            place[0] + int(size / 4 * np.cos(np.pi * angle)),
            place[1] + int(size / 4 * np.sin(np.pi * angle)),
        )
        cv2.line(frame, (place[0], place[1]), end, (230, 230, 230), max(2, size // 16))
        cv2.circle(frame, (place[2], place[3]), size // 12, (200, 40, 40), -1)
        cv2.circle(frame, (place[4], place[5]), size // 14, (40, 60, 210), -1)
    return frames


def _write_jpeg(place: Path, images: dict[str, Images], tick: int) -> tuple[Path, ...]:
    files = []
    for camera, frames in images.items():
        files.append(place / f"{camera}_{tick}.jpg")
        colours = cv2.cvtColor(frames[tick], cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(files[-1]), colours, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return tuple(files)
