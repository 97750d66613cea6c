"""A causal transformer over short sequences of vectors: the shape of DynaMo's inverse and forward models.

Pre-norm blocks with learned positions and GPT-2's initialisation, as the released DynaMo code uses them
(arXiv 2409.12192, section 3; sizes in docs).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from dynamo_policies.errors import ConfigError

INITIAL_STD = 0.02


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Sizes of one causal transformer; `length` is the longest sequence it takes."""

    inputs: int
    outputs: int
    length: int
    layers: int = 6
    heads: int = 6
    width: int = 120
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if min(self.inputs, self.outputs, self.length, self.layers, self.heads, self.width) < 1:
            raise ConfigError(f"every size of a transformer must be at least 1: {self}")
        if self.width % self.heads:
            raise ConfigError(f"width {self.width} is not a multiple of heads {self.heads}")
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"dropout {self.dropout:g} is not in 0 <= dropout < 1")


class CausalTransformer(nn.Module):
    """Sequences (N, T, inputs) to (N, T, outputs); output t has seen inputs 0 to t only."""

    def __init__(self, config: TransformerConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.read = nn.Linear(config.inputs, config.width)
        self.positions = nn.Embedding(config.length, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.write = nn.Linear(config.width, config.outputs)
        self._draw(generator)

    def forward(self, sequences: Tensor) -> Tensor:
        """Return outputs (N, T, outputs) for `sequences` (N, T, inputs), T at most `length`."""
        length = sequences.shape[1]
        if length > self.config.length:
            raise ConfigError(f"a sequence of {length} is too long; at most {self.config.length} is possible")
        x = self.dropout(self.read(sequences) + self.positions.weight[:length])
        for block in self.blocks:
            x = block(x)
        outputs: Tensor = self.write(self.norm(x))
        return outputs

    def _draw(self, generator: torch.Generator) -> None:
        # What a block adds to the residual stream is drawn smaller, so that the sum over the blocks keeps its
        # scale.
        residual_std = INITIAL_STD / math.sqrt(2 * self.config.layers)
        for name, module in self.named_modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                std = residual_std if name.endswith((".merge", ".contract")) else INITIAL_STD
                nn.init.normal_(module.weight, std=std, generator=generator)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)


class Block(nn.Module):
    """Attention, then a perceptron of four times the width, each added to its normalised input."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = CausalAttention(config)
        self.expand_norm = nn.LayerNorm(config.width)
        self.expand = nn.Linear(config.width, 4 * config.width)
        self.contract = nn.Linear(4 * config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output for `x` (N, T, width)."""
        x = x + self.attention(self.attention_norm(x))
        hidden = functional.gelu(self.expand(self.expand_norm(x)))
        added: Tensor = self.dropout(self.contract(hidden))
        return x + added


class CausalAttention(nn.Module):
    """Multi-head attention in which position t attends to positions 0 to t."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout_rate = config.dropout
        self.split = nn.Linear(config.width, 3 * config.width)  # queries, keys and values at once
        self.merge = nn.Linear(config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the attention's output for `x` (N, T, width)."""
        query, key, value = (self._by_head(part) for part in self.split(x).chunk(3, dim=-1))
        rate = self.dropout_rate if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, dropout_p=rate, is_causal=True)
        merged: Tensor = self.dropout(self.merge(mixed.transpose(1, 2).flatten(2)))
        return merged

    def _by_head(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        return x.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
