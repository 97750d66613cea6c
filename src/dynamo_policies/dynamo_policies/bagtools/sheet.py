"""A picture of many bags: a row each, frames from the start of the episode to its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.decode import FrameSettings
from dynamo_policies.episodes import Episode, load_episode
from dynamo_policies.errors import DynamoError

COLUMNS, SIZE, CAPTION = 8, 112, 16
Picture = npt.NDArray[np.uint8]


class SheetError(DynamoError):
    """A contact sheet can't be made."""


def contact_sheet(
    bags: Sequence[Path], file: Path, contract: Contract | None = None, columns: int = COLUMNS
) -> None:
    """Write a PNG with a row for each camera of each bag, `columns` frames evenly apart in time.

    Raises:
        SheetError: there is no bag, or the file can't be written.
        DynamoError: a bag can't be read.
    """
    frames = FrameSettings(SIZE, crop="center")
    rows = [row for bag in bags for row in _rows(load_episode(bag, frames, contract), columns)]
    if not rows:
        raise SheetError("no bag was given for the contact sheet")
    if file.suffix.lower() not in (".png", ".jpg"):
        raise SheetError(f"contact sheet {file} has no suffix of a picture; possible: .png, .jpg")
    if not cv2.imwrite(str(file), np.concatenate(rows)[..., ::-1]):
        raise SheetError(f"can't write the contact sheet {file}")


def _rows(episode: Episode, columns: int) -> list[Picture]:
    chosen = np.linspace(0, len(episode) - 1, columns).round().astype(int)
    seconds = (episode.tick_ns[chosen] - episode.tick_ns[0]) / 1e9
    rows = []
    for camera, images in episode.images.items():
        shown = [_timed(images[index], since) for index, since in zip(chosen, seconds, strict=True)]
        caption = _caption(f"{episode.path.name} {camera}: {episode.task}, {episode.outcome}", columns)
        rows.append(np.concatenate([caption, np.concatenate(shown, axis=1)]))
    return rows


def _caption(text: str, columns: int) -> Picture:
    bar = np.full((CAPTION, columns * SIZE, 3), 32, np.uint8)
    cv2.putText(bar, text, (4, CAPTION - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    return bar


def _timed(image: Picture, seconds: float) -> Picture:
    image = image.copy()
    for colour, thickness in (((0, 0, 0), 2), ((255, 255, 255), 1)):
        place = (3, SIZE - 4)
        cv2.putText(image, f"{seconds:.1f} s", place, cv2.FONT_HERSHEY_SIMPLEX, 0.35, colour, thickness)
    return image
