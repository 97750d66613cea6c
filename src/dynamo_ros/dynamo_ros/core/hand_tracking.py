"""Hands as Open-Teach's headset sends them: text, parsed strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.errors import DynamoError

FloatArray = npt.NDArray[np.float64]
Side = Literal["right", "left"]
Level = Literal["High", "Low"]

# Ports and points of Open-Teach (network.yaml, constants.py, detector/oculus.py).
KEYPOINT_PORTS: Mapping[Side, int] = {"right": 8087, "left": 8110}
RESOLUTION_PORT, PAUSE_PORT = 8095, 8100
POINTS = 24
WRIST = 0
# From knuckle to tip; the thumb from its trapezium on.
FINGERS: Mapping[str, tuple[int, ...]] = {
    "thumb": (2, 3, 4, 5, 19),
    "index": (6, 7, 8, 20),
    "middle": (9, 10, 11, 21),
    "ring": (12, 13, 14, 22),
    "pinky": (16, 17, 18, 23),
}
INDEX_KNUCKLE, PINKY_KNUCKLE = FINGERS["index"][0], FINGERS["pinky"][0]

# 24 points of 3 numbers take some 900 characters; more than this is something else.
MOST_BYTES = 8192
FARTHEST_M = 100.0
# A hand whose knuckles are nearer than this to the wrist, or to a line, was not tracked.
SMALLEST_M = 0.005
LONGEST_NUMBER = 32  # characters; the pattern's time grows with their square
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)


class HandMessageError(DynamoError):
    """A message of the headset is not what it should be; nothing of it is used."""


class Hand(NamedTuple):
    """One hand at one moment."""

    points: FloatArray  # (24, 3) m, in the headset's left-handed axes: x right, y up, z forward
    absolute: bool  # in the room; otherwise only the fingers' posture means something


def parse_hand(message: bytes) -> Hand:
    """Return the hand of `absolute:x,y,z|x,y,z|…` or `relative:…`, 24 points, m (Unity's unit).

    Raises:
        HandMessageError: another size, another kind, no finite numbers, or no hand.
    """
    kind, colon, body = _text(message).partition(":")
    if not colon or kind not in ("absolute", "relative"):
        raise HandMessageError(f"{_short(kind)} begins a hand message; 'absolute:' or 'relative:' should")
    triples = body.strip().split("|")
    if len(triples) != POINTS:
        raise HandMessageError(f"a hand message has {len(triples)} points, it should have {POINTS}")
    points = np.array([_point(triple) for triple in triples])
    if float(np.abs(points).max()) > FARTHEST_M:
        raise HandMessageError(
            f"a hand is {np.abs(points).max():g} m away; at most {FARTHEST_M:g} is possible"
        )
    _check_palm(points)
    return Hand(points, absolute=kind == "absolute")


def parse_level(message: bytes) -> Level:
    """Return what a button stream says; HandMessageError for anything but High and Low."""
    text = _text(message)
    if text == "High":
        return "High"
    if text == "Low":
        return "Low"
    raise HandMessageError(f"a button says {_short(text)}; 'High' and 'Low' are possible")


def hand_frame(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the wrist's position (3,) m and the palm's axes (3, 3) as columns.

    x from the pinky's to the index finger's knuckle, y the palm's normal, z towards the fingers; as in
    Open-Teach, but with x made square to the others. In space they form a right-handed frame, although the
    headset's own axes, in which they are given, do not.
    """
    index, pinky = points[INDEX_KNUCKLE] - points[WRIST], points[PINKY_KNUCKLE] - points[WRIST]
    normal = np.cross(index, pinky)
    normal /= np.linalg.norm(normal)
    along = index + pinky
    along /= np.linalg.norm(along)
    return points[WRIST], np.column_stack([np.cross(along, normal), normal, along])


def tip_gaps(points: FloatArray) -> dict[str, float]:
    """Return how far the tip of each finger is from the thumb's, m."""
    thumb = points[FINGERS["thumb"][-1]]
    tips = {name: points[finger[-1]] for name, finger in FINGERS.items() if name != "thumb"}
    return {name: float(np.linalg.norm(tip - thumb)) for name, tip in tips.items()}


def _text(message: bytes) -> str:
    if len(message) > MOST_BYTES:
        raise HandMessageError(f"a message has {len(message)} bytes; at most {MOST_BYTES} are possible")
    try:
        return message.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise HandMessageError("a message is not plain text") from error


def _point(triple: str) -> list[float]:
    numbers = [number.strip() for number in triple.split(",")]
    if len(numbers) != 3 or not all(map(_is_number, numbers)):
        raise HandMessageError(f"{_short(triple)} is not a point x,y,z")
    return [float(number) for number in numbers]


def _is_number(text: str) -> bool:
    return len(text) <= LONGEST_NUMBER and NUMBER.fullmatch(text) is not None


def _check_palm(points: FloatArray) -> None:
    index, pinky = points[INDEX_KNUCKLE] - points[WRIST], points[PINKY_KNUCKLE] - points[WRIST]
    across, longest = np.linalg.norm(np.cross(index, pinky)), np.linalg.norm([index, pinky], axis=1).max()
    if not across > SMALLEST_M * max(float(longest), SMALLEST_M):
        raise HandMessageError("wrist and knuckles lie on a line: the hand is not tracked")


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")
