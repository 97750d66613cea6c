"""Synthetic hands in the headset's axes and wire format."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from dynamo_ros.core.hand_tracking import FINGERS, POINTS

# The palm's axes (columns) of an upright right hand whose fingers point forward: thumb up. Headset: x right,
# y up, z forward, left-handed.
UPRIGHT = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
# Where each finger lies across the palm, m.
ACROSS = {"index": 0.03, "middle": 0.01, "ring": -0.01, "pinky": -0.03}


def flat_hand() -> np.ndarray:
    """Return the points (24, 3) m of a flat hand in its palm's axes, wrist at the origin."""
    points = np.zeros((POINTS, 3))
    for finger, across in ACROSS.items():
        for joint, point in enumerate(FINGERS[finger]):
            points[point] = [across, 0.0, 0.09 + 0.03 * joint]
    for joint, point in enumerate(FINGERS["thumb"]):
        points[point] = [0.04 + 0.015 * joint, -0.02, 0.03 + 0.015 * joint]
    points[15] = [-0.03, 0.0, 0.02]
    return points


def hand(
    wrist: tuple[float, float, float] = (0.1, 1.2, 0.3),
    turn: Rotation | None = None,
    pinch: str | None = None,
    gap_m: float = 0.0,
) -> np.ndarray:
    """Return the points (24, 3) of a hand at `wrist`, turned in the palm's axes, pinched to `gap_m`."""
    points = flat_hand()
    if pinch is not None:
        points[FINGERS["thumb"][-1]] = points[FINGERS[pinch][-1]] + np.array([gap_m, 0.0, 0.0])
    if turn is not None:
        points = turn.apply(points)
    return points @ UPRIGHT.T + np.array(wrist)


def message(points: np.ndarray, kind: str = "absolute") -> bytes:
    """Return the points as the headset sends them."""
    return f"{kind}:{'|'.join(','.join(f'{value:.6f}' for value in point) for point in points)}".encode()


def fist(wrist: tuple[float, float, float] = (0.1, 1.2, 0.3)) -> np.ndarray:
    """Return the points (24, 3) of a hand at `wrist` whose long fingers are bent at each joint."""
    points = flat_hand()
    for finger in ACROSS:
        place, heading = points[FINGERS[finger][0]], 0.0
        for point in FINGERS[finger][1:]:
            heading += 0.7
            place = place + 0.03 * np.array([0.0, -np.sin(heading), np.cos(heading)])
            points[point] = place
    return points @ UPRIGHT.T + np.array(wrist)
