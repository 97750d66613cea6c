"""Thresholds that encoders must meet before they are deployed."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.probes.card import Card
from dynamo_policies.probes.figures import FIGURES, figure_of
from dynamo_policies.probes.scores import Value


class Gate(NamedTuple):
    """A figure and the worst value of it that passes."""

    figure: str
    threshold: float

    @property
    def relation(self) -> str:
        """How a value that passes stands to the threshold."""
        return "<=" if figure_of(self.figure).better == "lower" else ">="

    def passes(self, value: float) -> bool:
        """Return whether `value` meets the threshold; one that is not a number does not."""
        if math.isnan(value):
            return False
        return value <= self.threshold if self.relation == "<=" else value >= self.threshold


def parse_gates(texts: Sequence[str], known: Collection[str]) -> list[Gate]:
    """Return the gates that `texts` (FIGURE=THRESHOLD) stand for; `known` are the figures there will be.

    Raises:
        ConfigError: a text is none, or names an unknown figure.
    """
    gates = []
    for text in texts:
        name, sign, number = text.partition("=")
        if not sign:
            raise ConfigError(f"gate {text!r} is not FIGURE=THRESHOLD, such as chunk_error=0.35")
        if name not in known:
            raise UnknownNameError("gate: figure", name, known)
        try:
            threshold = float(number)
        except ValueError:
            threshold = math.nan
        if not math.isfinite(threshold):
            raise ConfigError(f"gate {text!r}: {number!r} is not a finite number")
        gates.append(Gate(name, threshold))
    return gates


def failures(cards: Sequence[Card], gates: Sequence[Gate]) -> list[str]:
    """Return one line for each of `gates` that an encoder, references not counted, does not meet."""
    return [
        f"{card.subject.name}: {gate.figure} is {value:.4g}, must be {gate.relation} {gate.threshold:g}"
        for card in cards
        if not card.subject.reference
        for gate in gates
        if not gate.passes(value := _value(card.figures, gate.figure))
    ]


def unproven(gates: Sequence[Gate]) -> list[str]:
    """Return the figures of `gates` that have not been shown to predict success."""
    return [gate.figure for gate in gates if figure_of(gate.figure).role != "gate"]


def check_proven(gates: Sequence[Gate]) -> None:
    """Raise ConfigError where a figure of `gates` has not been shown to predict success."""
    if names := unproven(gates):
        raise ConfigError(
            f"gate: {', '.join(names)} not shown to predict success; shown was {', '.join(proven_figures())} "
            "(docs/probe.md). To gate by another figure all the same, give --unproven"
        )


def proven_figures() -> list[str]:
    """Return the figures that have been shown to predict success."""
    return [name for name, figure in FIGURES.items() if figure.role == "gate"]


def _value(figures: Mapping[str, Value], name: str) -> float:
    return figures[name].value if name in figures else math.nan
