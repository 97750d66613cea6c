from __future__ import annotations

import pytest

from dynamo_policies.health import CollapseWatch, collapse_signs


def test_healthy_embeddings_show_no_sign() -> None:
    assert collapse_signs(0.1, 5.5, loss=0.0005, trivial=0.0) == []
    assert collapse_signs(0.1, 3.0, loss=0.02, trivial=0.0) == []
    assert collapse_signs(0.1, 5.5, loss=4.9, trivial=None) == []


@pytest.mark.parametrize(
    ("std", "rank", "loss", "says"),
    [
        (0.002, 5.0, 0.3, "deviation is 0.002, below 0.01"),
        (0.2, 1.2, 0.3, "effective rank is 1.2, below 1.5"),
        (0.2, 5.0, 0.20001, "the loss is 0.20001, a blind encoder's is 0.2"),
    ],
)
def test_each_sign_is_named(std: float, rank: float, loss: float, says: str) -> None:
    signs = collapse_signs(std, rank, loss=loss, trivial=0.2)
    assert len(signs) == 1
    assert says in signs[0]


def test_a_prediction_that_is_perfect_is_a_sign_where_few_directions_are_left() -> None:
    assert "blind encoder's is 0 (effective rank 3)" in collapse_signs(0.2, 3.0, loss=5e-4, trivial=0.0)[0]


def test_only_signs_in_a_row_count() -> None:
    watch = CollapseWatch(patience=3)
    pattern = [True, True, False, True, True, True]
    assert [watch.has_collapsed(["sign"] if bad else []) for bad in pattern] == [False] * 5 + [True]
