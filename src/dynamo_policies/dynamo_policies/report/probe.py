"""The page of a report card: what each encoder's frozen features are worth, beside references."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dynamo_policies.probes.card import Card
from dynamo_policies.probes.figures import FIGURES
from dynamo_policies.probes.gates import Gate, failures, proven_figures
from dynamo_policies.probes.run import BLIND, Probed
from dynamo_policies.report.page import Media, Page, Section, Table, Tile, write_page
from dynamo_policies.report.probe_plots import bars, gallery, maps, side_by_side, view_bars

CHARTED = (
    "chunk_error",
    "chunk_error_1s_mm",
    "reach_error_mm",
    "grasp_error_mm",
    "object_error_mm",
    "state_rmse/tool",
    "nn_state_rmse/tool",
    "action_r2/position",
    "target_r2/position",
    "effective_rank",
    "embedding_std",
)
COMPARED = 7  # of those, how many are set against random's: not the alarms
NARROW = "\N{NO-BREAK SPACE}"
BY_VIEW = ("grasp_error_mm", "state_rmse/tool", "nn_state_rmse/tool")


def report_probe(probed: Probed, values: Mapping[str, Any], out: Path, *, gates: Sequence[Gate] = ()) -> Path:
    """Write `report.html`, which needs no other file, into `out` and return its path.

    `values` are those of `probes.card.card_values`.
    """
    page = out / "report.html"
    out.mkdir(parents=True, exist_ok=True)
    sections = (
        _held_out(values),
        _against_random(values),
        _views(probed, values),
        _neighbours(probed),
        Section(
            "What lies near what",
            text="Embeddings in the plane of their first two principal components, by time and by task.",
            wide=(Media(maps(_seeing(probed), probed.frames), "Embeddings of each encoder"),),
        ),
        *_tables(values),
        _meanings(),
        _encoders(values),
    )
    title = "Report card: what frozen features are worth"
    write_page(Page(title, _subtitle(values), _tiles(probed, values, gates), _filled(sections)), page)
    return page


def _subtitle(values: Mapping[str, Any]) -> str:
    parts = values["episodes"]
    counts = ", ".join(f"{len(names)} {part.replace('_', '-')}" for part, names in parts.items())
    proven = proven_figures()
    standing = (
        f"Shown to predict success: {', '.join(proven)}."
        if proven
        else "No figure here has been shown to predict success yet; success of rollouts is the measure."
    )
    return f"{values['contract']['name']}; episodes: {counts}; {values['frames']} frames. {standing}"


def _tiles(probed: Probed, values: Mapping[str, Any], gates: Sequence[Gate]) -> tuple[Tile, ...]:
    asked = [card for card in probed.cards if not card.subject.reference]
    random = next((card for card in probed.cards if card.subject.source == "random"), None)
    tiles = [
        Tile(str(len(asked)), "encoders, beside the references"),
        Tile(str(len(values["episodes"]["held_out"])), "held-out episodes"),
    ]
    if asked:
        best = min(asked, key=lambda card: card.figures["chunk_error"].value)
        against = "" if random is None else f"; random: {random.figures['chunk_error'].value:.3f}"
        label = f"lowest chunk_error: {best.subject.name}{against}"
        tiles.append(Tile(f"{best.figures['chunk_error'].value:.3f}", label))
    if gates:
        broken = failures(probed.cards, gates)
        label = "; ".join(broken) if broken else "every encoder meets: " + ", ".join(map(_gate_text, gates))
        tiles.append(Tile("not met" if broken else "met", f"gates: {label}", "poor" if broken else "good"))
    return tuple(tiles)


def _gate_text(gate: Gate) -> str:
    return f"{gate.figure} {gate.relation} {gate.threshold:g}"


def _held_out(values: Mapping[str, Any]) -> Section:
    charted = [name for name in CHARTED if name in values["figures"]]
    text = (
        "Lines are 95 % intervals over episodes. Grey: references. Random was never trained; blind sees "
        "nothing and knows only which task it is. Rank, deviation and explained shares are alarms for a "
        "collapse: they did not predict success where that was tried."
    )
    return Section("At a glance", text=text, wide=(Media(bars(values, charted), "Held-out figures"),))


def _against_random(values: Mapping[str, Any]) -> Section:
    names = [name for name in CHARTED if name in values["figures"]]
    compared = [one for one in values["encoders"] if one["less_random"]]
    if not compared:
        return Section("")
    rows = tuple(
        (one["name"], *(figure_text(one["less_random"].get(name)) for name in names[:COMPARED]))
        for one in compared
    )
    text = (
        "Figures less those of the random encoder on the same held-out episodes; where an interval does not "
        "hold 0, the two differ on such episodes. For errors, below 0 is better."
    )
    columns = ("encoder", *(_titled(values, name) for name in names[:COMPARED]))
    return Section("Against random", text=text, table=Table(columns, rows))


def _titled(values: Mapping[str, Any], name: str) -> str:
    unit = values["figures"][name]["unit"]
    return f"{name} ({unit})" if unit and unit not in name else name


def _views(probed: Probed, values: Mapping[str, Any]) -> Section:
    cameras = list(probed.frames.contract.cameras)
    names = [name for name in BY_VIEW if f"{name}@{cameras[0]}" in values["figures"]]
    if not names:
        return Section("")
    picture = Media(view_bars(values, names, cameras), "Each view alone and all together")
    return Section(
        "What each view is worth", text="The same probes on the features of one camera.", wide=(picture,)
    )


def _neighbours(probed: Probed) -> Section:
    frames, episodes = probed.frames, probed.episodes
    views = tuple(frames.contract.cameras)

    def images(row: int) -> npt.NDArray[np.uint8]:
        episode = episodes[frames.episode[row]]
        return side_by_side([np.asarray(episode.images[view][frames.tick[row]]) for view in views])

    wide = tuple(
        Media(gallery(card, frames, images), f"{card.subject.name}: queries and their neighbours")
        for card in _seeing(probed)
    )
    text = (
        f"Held-out frames ({', '.join(views)}), and beside each the nearest frame of each of the nearest "
        "other episodes, with how far the tool is from where it is in the query."
    )
    return Section("Neighbours", text=text, wide=wide)


def _seeing(probed: Probed) -> list[Card]:
    return [card for card in probed.cards if card.subject.source != BLIND]


def _tables(values: Mapping[str, Any]) -> tuple[Section, ...]:
    """Return all figures: on held-out episodes, of each view alone, and by the released protocol."""
    released = [name for name, about in values["figures"].items() if about["protocol"] == "released"]
    held_out = [name for name in values["figures"] if name not in released]
    return (
        _table(
            values,
            [name for name in held_out if "@" not in name],
            "All figures on held-out episodes",
            "Probes learn from the training episodes, their penalty is chosen on the validation episodes; "
            "these are errors on episodes that they never saw. In brackets: 95 % intervals over episodes.",
        ),
        _table(
            values,
            released,
            "The released protocol",
            "As the authors' code computes them, to compare with theirs: least squares are fitted to all "
            "frames, so that val is not held out. Totals are in m and rad; the tool does not count in them.",
        ),
        _table(
            values,
            [name for name in held_out if "@" in name],
            "Each view alone, on held-out episodes",
            "As above, from the features of one camera.",
        ),
    )


def _table(values: Mapping[str, Any], names: Sequence[str], title: str, text: str) -> Section:
    if not names:
        return Section("")
    columns = ("figure", "unit", "better", "use", *(one["name"] for one in values["encoders"]))
    rows = []
    for name in names:
        about = values["figures"][name]
        cells = [figure_text(one["figures"].get(name)) for one in values["encoders"]]
        rows.append((name, about["unit"], about["better"], about["role"].replace(" ", NARROW), *cells))
    return Section(title, text=text, table=Table(columns, tuple(rows)))


def figure_text(figure: Mapping[str, float | None] | None) -> str:
    """Return a figure in few digits, with its interval where it has one."""
    value, low, high = (None if figure is None else figure[key] for key in ("value", "low", "high"))
    if value is None:
        return "-"
    if low is None or high is None:
        return f"{value:.3g}"
    largest = max(abs(value), abs(low), abs(high), 1e-9)
    digits = max(0, 2 - math.floor(math.log10(largest)))  # three of the largest; the others in line with it
    return f"{value:.{digits}f}{NARROW}[{low:.{digits}f},{NARROW}{high:.{digits}f}]"


def _meanings() -> Section:
    rows = tuple((name, one.meaning, one.better, one.role, one.protocol) for name, one in FIGURES.items())
    text = (
        "A gate has been shown to predict success; an alarm warns of a collapse; the rest is shown only. "
        "`/group` is a part of what is predicted, `@camera` that view alone."
    )
    return Section(
        "What the figures mean", text, table=Table(("figure", "meaning", "better", "use", "protocol"), rows)
    )


def _encoders(values: Mapping[str, Any]) -> Section:
    held_out = len(values["episodes"]["held_out"])
    rows = tuple(
        (one["name"], one["objective"], one["source"], f"{one['seen']} of {held_out}", one["weights"][:12])
        for one in values["encoders"]
    )
    columns = ("encoder", "objective", "from", "held-out episodes seen in pretraining", "weights")
    return Section("The encoders", table=Table(columns, rows))


def _filled(sections: Sequence[Section]) -> tuple[Section, ...]:
    return tuple(section for section in sections if section.title)
