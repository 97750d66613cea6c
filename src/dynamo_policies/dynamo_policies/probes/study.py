"""Whether an offline figure predicts success: rank correlation over encoders that were rolled out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata

from dynamo_policies.errors import DynamoError
from dynamo_policies.observation import FloatArray
from dynamo_policies.probes.figures import figure_of

# Named before looking, so that a correction for several of them is enough; all other figures only explore.
CANDIDATES = ("chunk_error", "chunk_error_1s_mm", "reach_error_mm", "grasp_error_mm", "object_error_mm")
FEWEST, EXACT = 4, 8  # encoders that a correlation needs; up to which all orders are gone through


class StudyError(DynamoError):
    """The tables do not belong together, or are too small."""


class Row(NamedTuple):
    """An encoder's rollouts and its offline figures."""

    name: str
    successes: int
    trials: int
    figures: dict[str, float]

    @property
    def rate(self) -> float:
        """Share of the rollouts that succeeded."""
        return self.successes / self.trials


class Correlation(NamedTuple):
    """How the order of encoders by a figure agrees with that by success; `rho` 1: the better, the better.

    `low` and `high` are a 95 % interval by resampling encoders, `p` is two-sided by permutation, `p_holm`
    corrected for all candidates (None for figures that were none).
    """

    figure: str
    encoders: int
    rho: float
    low: float
    high: float
    p: float
    p_holm: float | None = None


def join(success: Mapping[str, Any], cards: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return the encoders that are in the table of rollouts `success` and in one of the report `cards`.

    They are matched by where they come from, or by name.

    Raises:
        StudyError: a table lacks a key, or fewer than FEWEST encoders are in both.
    """
    try:
        found = [_row(one, cards) for one in success["rows"]]
    except (KeyError, TypeError) as error:
        raise StudyError(
            f"the tables are not those of a success study and of `dynamo probe`: {error!r}"
        ) from error
    rows = [row for row in found if row is not None]
    if len(rows) < FEWEST:
        given = [str(one["encoder"]) for one in success["rows"]]
        probed = [str(one["source"]) for card in cards for one in card["encoders"]]
        raise StudyError(
            f"{len(rows)} encoders are in both tables, at least {FEWEST} are needed; "
            f"rolled out: {given}, probed: {probed}"
        )
    return rows


def correlate_all(
    rows: Sequence[Row], *, seed: int = 0, orders: int = 20_000, draws: int = 2000
) -> list[Correlation]:
    """Return the correlation of every figure that all of `rows` have, the candidates first."""
    shared = [name for name in rows[0].figures if all(name in row.figures for row in rows)]
    names = sorted(shared, key=lambda name: (name not in CANDIDATES, shared.index(name)))
    found = [correlate(rows, name, seed=seed, orders=orders, draws=draws) for name in names]
    tried = [one for one in found if one.figure in CANDIDATES]
    corrected = dict(zip([one.figure for one in tried], holm([one.p for one in tried]), strict=True))
    return [one._replace(p_holm=corrected.get(one.figure)) for one in found]


def correlate(
    rows: Sequence[Row], figure: str, *, seed: int = 0, orders: int = 20_000, draws: int = 2000
) -> Correlation:
    """Return how well `figure` orders the encoders as their success does."""
    sign = -1.0 if figure_of(figure).better == "lower" else 1.0
    values = sign * np.array([row.figures[figure] for row in rows])
    rates = np.array([row.rate for row in rows])
    random = np.random.default_rng(seed)
    drawn = random.integers(len(rows), size=(draws, len(rows)))
    again = spearman(values[drawn], rates[drawn])
    again = again[np.isfinite(again)]
    low, high = np.quantile(again, (0.025, 0.975)) if len(again) else (np.nan, np.nan)
    rho = float(spearman(values[None], rates[None])[0])
    p = permutation_p(values, rates, random, orders)
    return Correlation(figure, len(rows), rho, float(low), float(high), p)


def spearman(values: FloatArray, others: FloatArray) -> FloatArray:
    """Return the rank correlations of the rows of `values` (B, N) with those of `others`; NaN if flat."""
    ranks, other_ranks = (rankdata(one, axis=1) - (one.shape[1] + 1) / 2.0 for one in (values, others))
    scale = np.sqrt(np.square(ranks).sum(axis=1) * np.square(other_ranks).sum(axis=1))
    known = scale > 0.0
    return np.where(known, (ranks * other_ranks).sum(axis=1) / np.where(known, scale, 1.0), np.nan)


def permutation_p(values: FloatArray, others: FloatArray, random: np.random.Generator, orders: int) -> float:
    """Return the share of orders of `others` that correlate at least as strongly, either way; NaN if flat.

    Over all orders of up to EXACT encoders, over `orders` drawn ones (and the given one) of more.
    """
    found = spearman(values[None], others[None])[0]
    if not np.isfinite(found):
        return float("nan")
    count = len(values)
    exact = count <= EXACT
    if exact:
        chosen = np.array(list(itertools.permutations(range(count))))
    else:
        chosen = random.permuted(np.tile(np.arange(count), (orders, 1)), axis=1)
    strong = np.abs(spearman(np.tile(values, (len(chosen), 1)), others[chosen])) >= abs(found) - 1e-12
    return float(strong.mean()) if exact else float((strong.sum() + 1) / (orders + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return `p_values` corrected for being several.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    for place, number in enumerate(np.argsort(p_values)):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[number]))
        corrected[number] = highest
    return corrected


def _row(one: Mapping[str, Any], cards: Sequence[Mapping[str, Any]]) -> Row | None:
    for card in cards:
        for encoder in card["encoders"]:
            if _same(str(one["encoder"]), str(encoder["source"])) or one["name"] == encoder["name"]:
                values = {name: found["value"] for name, found in encoder["figures"].items()}
                known = {name: float(value) for name, value in values.items() if value is not None}
                return Row(str(one["name"]), int(one["successes"]), int(one["trials"]), known)
    return None


def _same(one: str, other: str) -> bool:
    names = {"random": "random:0"}
    one, other = names.get(one, one), names.get(other, other)
    return one == other or Path(one).resolve() == Path(other).resolve()
