"""The rows of `benchmarks/success.py` are recipes that load."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from dynamo_policies.recipes import load_recipe

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))  # scripts, not a package

from success import KINDS, Row, _settings


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_loads(tmp_path: Path, kind: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(_settings(Row(kind, 0, tmp_path), 300)))
    recipe = load_recipe(config)
    assert recipe.run.steps == 300
    assert 140 <= 2 * recipe.run.segments * recipe.run.segment_length <= 144  # images of two cameras


def test_rows_named_after_a_preset_have_its_terms(tmp_path: Path) -> None:
    found = {}
    for name in ("paper", "released"):
        config = tmp_path / f"{name}.yaml"
        config.write_text(yaml.safe_dump(_settings(Row(f"dynamo_{name}", 0, tmp_path), 300)))
        found[name] = load_recipe(config).settings
    keys = ("covariance", "inverse_in_ema", "ema_buffers")
    assert [found["paper"][key] for key in keys] == ["paper", False, True]
    assert [found["released"][key] for key in keys] == ["released", True, False]
