"""Cards of several encoders on the same episodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dynamo_policies.bags import BagInfo
from dynamo_policies.cache import FrameCache
from dynamo_policies.decode import FrameSettings
from dynamo_policies.embed import Embedder
from dynamo_policies.encoders import LoadedEncoder
from dynamo_policies.episodes import Episode
from dynamo_policies.probes.card import Card, ProbeSettings, Subject, probe
from dynamo_policies.probes.embeddings import EmbeddingCache, Floats, weights_hash
from dynamo_policies.probes.frames import Frames, Split, make_frames
from dynamo_policies.probes.objects import read_objects

BLIND = "blind"
EMBEDDINGS = "embeddings"  # folder in the cache of frames
# Shows a bar: title and total in, a function that is told how many are done (and a remark) out.
Watch = Callable[[str, int], AbstractContextManager[Callable[[float, str], None]]]


class Candidate(NamedTuple):
    """An encoder to be probed; `reference`: it is there to compare with."""

    name: str
    source: str
    loaded: LoadedEncoder
    reference: bool = False


class Probed(NamedTuple):
    """The cards, and what they were measured on; `episodes` have images of the first encoder's size."""

    cards: list[Card]
    frames: Frames
    episodes: list[Episode]


@dataclass
class Bench:
    """What all encoders are probed on, and where frames and features are kept."""

    infos: Sequence[BagInfo]
    split: Split
    cache: Path
    settings: ProbeSettings
    device: str
    watch: Watch
    _kept: dict[FrameSettings, list[Episode]] = field(default_factory=dict)

    def probe_all(self, candidates: Sequence[Candidate]) -> Probed:
        """Return the cards of `candidates` and of the blind encoder, which sees nothing."""
        episodes = self._episodes(candidates[0].loaded.record.config.frames)
        frames = make_frames(episodes, self._objects(episodes))
        hashes = frozenset(episodes[i].bag_hash for i in self.split.held_out)
        cards = []
        for one in candidates:
            weights = weights_hash(one.loaded.encoder)
            record = one.loaded.record
            seen = len(hashes & set(record.bag_hashes))
            subject = Subject(one.name, one.source, record.objective, one.reference, weights, seen)
            cards.append(self._card(subject, self._features(one), frames, episodes))
        blind = Subject(BLIND, BLIND, "sees nothing", reference=True, weights="", seen=0)
        nothing = [np.zeros((len(one), len(frames.contract.cameras)), np.float32) for one in episodes]
        return Probed([*cards, self._card(blind, nothing, frames, episodes)], frames, episodes)

    def _card(
        self, subject: Subject, features: Sequence[Floats], frames: Frames, episodes: Sequence[Episode]
    ) -> Card:
        with self.watch(f"probe {subject.name}", 1) as advance:
            return probe(
                subject,
                features,
                frames,
                episodes,
                self.split,
                self.settings,
                device=self.device,
                progress=lambda share: advance(share, ""),
            )

    def _features(self, one: Candidate) -> list[Floats]:
        episodes = self._episodes(one.loaded.record.config.frames)
        embedder = Embedder(one.loaded.encoder, tuple(episodes[0].contract.cameras), device=self.device)
        with self.watch(f"embed {one.name}", len(episodes)) as advance:
            return EmbeddingCache(self.cache / EMBEDDINGS).features(
                embedder, episodes, lambda done: advance(done, "")
            )

    def _episodes(self, frames: FrameSettings) -> list[Episode]:
        if frames not in self._kept:
            paths = [info.path for info in self.infos]
            with self.watch(f"decode at {frames.size} px", len(paths)) as advance:
                self._kept[frames] = FrameCache(self.cache).episodes(
                    paths, frames, lambda done, _total: advance(done, "")
                )
        return self._kept[frames]

    def _objects(
        self, episodes: Sequence[Episode]
    ) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]] | None:
        with self.watch("objects", 1):
            return read_objects(self.infos, episodes)


def distinct_names(sources: Sequence[str]) -> Mapping[str, str]:
    """Return a name for each of `sources`: as much of the end of its path as tells it from the others."""
    names: dict[str, str] = {}
    for source in dict.fromkeys(sources):
        parts = Path(source).parts
        others = [Path(other).parts for other in dict.fromkeys(sources) if other != source]
        length = 1
        while length < len(parts) and any(other[-length:] == parts[-length:] for other in others):
            length += 1
        names["/".join(parts[-length:])] = source
    return names
