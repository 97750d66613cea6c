"""Terms over the rows of all processes, of which there is one here; `test_processes` has two."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dynamo_policies.across import covariance
from dynamo_policies.objectives.moco import contrast
from dynamo_policies.objectives.terms import covariance_released

TERMS: dict[str, Callable[[Tensor], Tensor]] = {
    "covariance": covariance,
    "penalty": covariance_released,
    "contrast": lambda x: contrast(x, x.flip(1), 0.1),
}


def rows(dtype: torch.dtype = torch.float32) -> Tensor:
    drawn = torch.randn(24, 6, generator=torch.Generator().manual_seed(0)) + 20.0
    return drawn.to(dtype).requires_grad_()


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_autocast_does_not_round_what_is_exact(name: str, dtype: torch.dtype) -> None:
    given, expected = rows(dtype), rows(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lowered = TERMS[name](given)
    exact = TERMS[name](expected)
    assert lowered.dtype == dtype
    assert torch.equal(lowered, exact)
    (lowered.sum() + exact.sum()).backward()
    assert given.grad is not None
    assert torch.equal(given.grad, expected.grad)


def test_the_covariance_is_that_of_its_definition() -> None:
    x = rows(torch.float64)
    torch.testing.assert_close(covariance(x), torch.cov(x.T), rtol=1e-12, atol=1e-12)
    (ours,) = torch.autograd.grad(covariance(x).square().sum(), x)
    (theirs,) = torch.autograd.grad(torch.cov(x.T).square().sum(), x)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
