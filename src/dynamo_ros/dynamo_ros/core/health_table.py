"""The health of streams as a table for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from dynamo_policies.limits import Colour
from dynamo_ros.core.live_health import StreamHealth

STYLES: dict[Colour, str] = {"green": "green", "amber": "yellow", "red": "bold red"}
COLUMNS = {
    "Hz": "rate now Hz",
    "jitter ms": "jitter ms",
    "gap ms": "gap ms",
    "missing": "missing",
    "repeated": "repeated stamps",
    "age ms": "age now ms",
    "drift ms/min": "drift ms/min",
    "same images": "same images",
}


def health_table(states: Sequence[StreamHealth]) -> Table:
    """Return one row for each stream; figures are of the last seconds."""
    table = Table("stream", "state", *COLUMNS)
    for state in states:
        figures = [state.figures.get(name, math.nan) for name in COLUMNS.values()]
        table.add_row(state.stream, Text(state.text, STYLES[state.colour]), *map(_shown, figures))
    return table


def _shown(value: float) -> str:
    if math.isnan(value):
        return ""
    return str(value) if isinstance(value, int) else f"{value:.1f}"
