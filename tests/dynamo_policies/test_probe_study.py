"""Whether a figure predicts success: correlations whose answer is known."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from dynamo_policies.probes.study import (
    Row,
    StudyError,
    correlate,
    correlate_all,
    holm,
    join,
    permutation_p,
    spearman,
)

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gate_study.py"


def rows_of(errors: list[float], successes: list[int]) -> list[Row]:
    pairs = zip(errors, successes, strict=True)
    return [Row(f"e{i}", count, 40, {"chunk_error": error}) for i, (error, count) in enumerate(pairs)]


def card(sources: list[str], **figures: float | None) -> dict[str, Any]:
    values = {name: {"value": value, "low": None, "high": None} for name, value in figures.items()}
    return {"encoders": [{"name": Path(one).name, "source": one, "figures": values} for one in sources]}


@pytest.mark.parametrize("seed", range(4))
def test_the_rank_correlation_is_scipys_ties_included(seed: int) -> None:
    random = np.random.default_rng(seed)
    one, other = random.integers(0, 5, 12).astype(float), random.normal(size=12)
    assert spearman(one[None], other[None])[0] == pytest.approx(spearmanr(one, other).statistic)


def test_a_smaller_error_where_success_is_higher_is_a_positive_correlation() -> None:
    rows = rows_of([0.5, 0.4, 0.3, 0.2, 0.1], [1, 5, 9, 20, 40])
    found = correlate(rows, "chunk_error")
    assert found.rho == pytest.approx(1.0)
    assert found.p == pytest.approx(2 / 120)  # this order and its reverse, of 5!


def test_a_permutation_p_is_uniform_where_there_is_nothing() -> None:
    random = np.random.default_rng(0)
    values = [permutation_p(random.normal(size=12), random.normal(size=12), random, 200) for _ in range(200)]
    assert 0.4 < np.mean(values) < 0.6
    assert np.mean(np.array(values) < 0.05) < 0.12


def test_drawn_orders_agree_with_all_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    values = np.arange(7.0)
    others = values + random.normal(0.0, 3.0, 7)
    exact = permutation_p(values, others, random, 0)
    monkeypatch.setattr("dynamo_policies.probes.study.EXACT", 3)
    assert permutation_p(values, others, random, 20_000) == pytest.approx(exact, abs=0.01)


def test_what_is_flat_has_no_correlation() -> None:
    found = correlate(rows_of([0.3] * 5, [1, 2, 3, 4, 5]), "chunk_error", draws=20)
    assert np.isnan(found.rho)
    assert np.isnan(found.p)


def test_holm_corrects_in_order() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_only_candidates_are_corrected_and_they_come_first() -> None:
    random = np.random.default_rng(0)
    rows = [
        Row(f"e{i}", 2 * i, 40, {"effective_rank": random.uniform(), "reach_error_mm": -i, "chunk_error": -i})
        for i in range(10)
    ]
    found = correlate_all(rows, orders=500, draws=50)
    assert [one.figure for one in found] == ["reach_error_mm", "chunk_error", "effective_rank"]
    assert found[0].p_holm == pytest.approx(2 * found[0].p)
    assert found[2].p_holm is None


def test_tables_are_joined_by_folder_and_random_by_its_seed(tmp_path: Path) -> None:
    folders = [str(tmp_path / name) for name in "abc"]
    success = {
        "rows": [
            *({"name": Path(one).name, "encoder": one, "successes": 3, "trials": 4} for one in folders),
            {"name": "random", "encoder": "random:0", "successes": 1, "trials": 4},
            {"name": "lost", "encoder": "elsewhere", "successes": 1, "trials": 4},
        ]
    }
    cards = [
        card([f"{one}/." for one in folders], chunk_error=0.5),
        card(["random"], chunk_error=0.7, grasp_error_mm=None),
    ]
    rows = join(success, cards)
    assert [row.name for row in rows] == ["a", "b", "c", "random"]
    assert rows[3].figures == {"chunk_error": 0.7}
    assert rows[0].rate == 0.75


def test_tables_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(StudyError, match="0 encoders are in both tables"):
        join({"rows": []}, [])
    with pytest.raises(StudyError, match="not those of a success study"):
        join({"rows": [{"name": "a"}]}, [card(["a"])])


def test_the_script_finds_the_figure_that_predicts(tmp_path: Path) -> None:
    out, plots = tmp_path / "study.json", tmp_path / "plots"
    command = [sys.executable, str(SCRIPT), "--quick", "--json", str(out), "--plots", str(plots)]
    subprocess.run(command, check=True, timeout=800)
    result = json.loads(out.read_text())
    assert result["predictors"] == ["chunk_error"]
    assert result["synthetic"]
    assert sorted(path.name for path in plots.iterdir()) == ["chunk_error.png", "effective_rank.png"]
