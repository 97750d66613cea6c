"""From one four-cornered patch of a plane to another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dynamo_policies.errors import ConfigError

FloatArray = npt.NDArray[np.float64]


class QuadMap:
    """The perspective map that takes the corners of one convex quadrilateral to those of another."""

    def __init__(self, source: Sequence[Sequence[float]], target: Sequence[Sequence[float]]) -> None:
        self._corners, goal = _convex("source", source), _convex("target", target)
        rows, values = [], []
        for (x, y), (u, v) in zip(self._corners, goal, strict=True):
            rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
            values += [u, v]
        self._matrix = np.append(np.linalg.solve(np.array(rows), np.array(values)), 1.0).reshape(3, 3)

    def __call__(self, point: npt.ArrayLike) -> FloatArray:
        """Return where `point` (2,) goes; one outside the source goes where the nearest point inside does."""
        mapped = self._matrix @ np.append(self._nearest(np.asarray(point, np.float64)), 1.0)
        inside: FloatArray = mapped[:2] / mapped[2]
        return inside

    def _nearest(self, point: FloatArray) -> FloatArray:
        edges = np.roll(self._corners, -1, axis=0) - self._corners
        turns = _cross(edges, point - self._corners)
        if (turns >= 0).all() or (turns <= 0).all():
            return point
        along = ((point - self._corners) * edges).sum(axis=1) / (edges**2).sum(axis=1)
        feet = self._corners + np.clip(along, 0.0, 1.0)[:, None] * edges
        nearest: FloatArray = feet[np.argmin(np.linalg.norm(feet - point, axis=1))]
        return nearest


def _convex(name: str, corners: Sequence[Sequence[float]]) -> FloatArray:
    given = np.asarray(corners, np.float64)
    if given.shape != (4, 2):
        raise ConfigError(f"{name} has shape {given.shape}; 4 corners of 2 numbers are needed")
    edges = np.roll(given, -1, axis=0) - given
    turns = _cross(edges, np.roll(edges, -1, axis=0))
    if not ((turns > 1e-12).all() or (turns < -1e-12).all()):
        raise ConfigError(f"{name} {given.tolist()} is no convex quadrilateral, corner after corner")
    return given


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    product: FloatArray = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return product
