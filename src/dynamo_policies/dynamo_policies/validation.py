"""Losses of segments that nothing is learned from."""

from __future__ import annotations

from collections import Counter

import torch
from accelerate import Accelerator

from dynamo_policies.feeding import Batch, Sampler
from dynamo_policies.objectives import Objective
from dynamo_policies.processes import share_of
from dynamo_policies.recipes import PretrainConfig
from dynamo_policies.steps import everyones, forward


class Validation:
    """As many segments as a step has, drawn once, of which each process holds its share."""

    def __init__(self, sampler: Sampler, config: PretrainConfig, team: Accelerator) -> None:
        rows = share_of(config.segments, team)
        segments = torch.from_numpy(sampler.segments(sampler.draw(config.segments)[rows]))
        self._batch, self._config, self._team = Batch(segments.to(team.device), ()), config, team

    @torch.no_grad()
    def losses(self, objective: Objective) -> dict[str, float]:
        """Return the parts of the loss by the name of their curve, in evaluation mode.

        It is computed in as many pieces as a step's. Nothing of `objective` changes, and chance draws the
        same each time.
        """
        objective.eval()
        count, sums = self._config.accumulate, Counter[str]()
        for part, piece in enumerate(self._batch.parts(count)):
            share = self._team.process_index * count + part
            found = everyones(forward(objective, piece, self._config, 0, share=share), self._team)
            sums.update({name: float(value) for name, value in found.parts.items()})
        objective.train()
        return {f"validation/{name}": value / count for name, value in sums.items()}
