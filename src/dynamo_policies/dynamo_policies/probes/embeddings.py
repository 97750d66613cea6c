"""Features of episodes, embedded once and kept; may be deleted at any time.

An entry's name is the hash of all it depends on: the encoder's weights and settings, what is in the bag, its
contract, the order of the cameras, and the kind of device, as CUDA rounds otherwise than the CPU.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dynamo_policies.embed import Embedder
from dynamo_policies.encoders import Encoder
from dynamo_policies.episodes import Episode
from dynamo_policies.tensorfiles import write_whole

LAYOUT = 1  # Raise it when decoding, alignment or embedding change.
Floats = npt.NDArray[np.float32]
log = logging.getLogger(__name__)


class EmbeddingCache:
    """A folder with one .npy file for each encoder and episode."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def features(
        self,
        embedder: Embedder,
        episodes: Sequence[Episode],
        progress: Callable[[int], None] = lambda _done: None,
    ) -> list[Floats]:
        """Return the features (T, F) of each of `episodes`; `progress(done)` is called after each."""
        weights, found = weights_hash(embedder.encoder), []
        for episode in episodes:
            found.append(self._one(embedder, episode, weights))
            progress(len(found))
        return found

    def _one(self, embedder: Embedder, episode: Episode, weights: str) -> Floats:
        path = self.root / f"{_key(embedder, episode, weights)}.npy"
        kept = _load(path, (len(episode), embedder.feature_size))
        if kept is not None:
            return kept
        features = embedder.embed_episode(episode)
        content = io.BytesIO()
        np.save(content, features, allow_pickle=False)
        write_whole(path, content.getvalue())
        return features


def weights_hash(encoder: Encoder) -> str:
    """Return the SHA-256 of the encoder's settings and weights, trained or drawn."""
    digest = hashlib.sha256(json.dumps(dataclasses.asdict(encoder.config), sort_keys=True).encode())
    for name, tensor in sorted(encoder.trunk.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _key(embedder: Embedder, episode: Episode, weights: str) -> str:
    parts = {
        "layout": LAYOUT,
        "weights": weights,
        "bag": episode.bag_hash,
        "contract": episode.contract.hash,
        "frames": dataclasses.asdict(embedder.encoder.config.frames),
        "cameras": embedder.cameras,
        "device": embedder.device.type,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _load(path: Path, shape: tuple[int, int]) -> Floats | None:
    """Return the features in `path`; None where there are none or damaged ones."""
    if not path.is_file():
        return None
    try:
        features = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        log.warning("%s is damaged (%r) and will be made anew", path, error)
        return None
    return features if features.shape == shape and features.dtype == np.float32 else None
