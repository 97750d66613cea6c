"""Linear probes in closed form: ridge with its penalty chosen on other frames, and least squares."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dynamo_policies.observation import FloatArray

PENALTIES = 10.0 ** np.arange(-6.0, 3.01, 0.5)  # times the number of frames; features have deviation 1
# What scipy's least squares, which scikit-learn's linear regression uses, cuts off in float32.
SMALLEST_SINGULAR = 1.2e-7
SMALLEST_SHARE = 0.01  # as in policies.scaling: a feature that hardly varies is not blown up


class Linear(NamedTuple):
    """Predicts x @ weights + offset."""

    weights: FloatArray  # (F, D)
    offset: FloatArray  # (D,)

    def predict(self, features: FloatArray) -> FloatArray:
        """Return predictions (N, D) for `features` (N, F)."""
        return features @ self.weights + self.offset


def least_squares(features: FloatArray, targets: FloatArray) -> Linear:
    """Return the least squares fit with intercept; of several, the one with the smallest weights."""
    middle, mean = features.mean(axis=0), targets.mean(axis=0)
    centred = features - middle
    values, vectors = directions(centred)
    weights = vectors @ ((vectors.T @ (centred.T @ (targets - mean))) / values[:, None])
    return Linear(weights, mean - middle @ weights)


class Ridge:
    """Ridge regressions of all of PENALTIES to the same frames; features are standardised inside."""

    def __init__(self, features: FloatArray, targets: FloatArray) -> None:
        self._middle, self._mean = features.mean(axis=0), targets.mean(axis=0)
        spread = features.std(axis=0)
        self._spread = np.maximum(spread, max(SMALLEST_SHARE * spread.mean(), 1e-6))
        scaled = (features - self._middle) / self._spread
        values, self._vectors = directions(scaled)
        self._values = values / len(scaled)
        self._products = self._vectors.T @ (scaled.T @ (targets - self._mean)) / len(scaled)  # (F, D)

    def errors(self, features: FloatArray, targets: FloatArray) -> FloatArray:
        """Return the mean square error of each of PENALTIES for each target on other frames, (P, D)."""
        turned = ((features - self._middle) / self._spread) @ self._vectors
        wanted = targets - self._mean
        return np.stack(
            [
                np.square(turned @ (self._products / (self._values[:, None] + penalty)) - wanted).mean(axis=0)
                for penalty in PENALTIES
            ]
        )

    def fitted(self, penalties: FloatArray) -> Linear:
        """Return the regression in which target d has the penalty `penalties[d]`."""
        shrunk = self._products / (self._values[:, None] + penalties)
        weights = (self._vectors @ shrunk) / self._spread[:, None]
        return Linear(weights, self._mean - self._middle @ weights)


def directions(centred: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the directions (F, R) in which rows (N, F) vary, and the sum of squares (R,) along each, rising.

    Those that are nothing but rounding are left out.
    """
    wide = centred.shape[1] > len(centred)  # then the products of rows are the smaller matrix
    values, vectors = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    used = values > SMALLEST_SINGULAR**2 * max(values[-1], 1e-30)
    values, vectors = values[used], vectors[:, used]
    return values, centred.T @ vectors / np.sqrt(values) if wide else vectors


def best_penalties(errors: FloatArray, groups: list[slice]) -> FloatArray:
    """Return for each target the penalty that its group does best with; `errors` (P, D) as of `Ridge.errors`.

    Within a group targets count alike, whatever their size.
    """
    relative = errors / np.maximum(errors.min(axis=0), 1e-12)
    chosen = np.empty(errors.shape[1])
    for group in groups:
        chosen[group] = PENALTIES[relative[:, group].mean(axis=1).argmin()]
    return chosen
