"""How episodes are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast

from dynamo_policies.bag_info import COMPRESSED
from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.mcap_writer import Compression

STORAGES = ("mcap", "sqlite3")
COMPRESSIONS = ("none", "lz4", "zstd")
IMAGES = ("raw", "jpeg")


@dataclass(frozen=True)
class StorageSettings:
    """What the bag's file is, and what becomes of the bytes on their way to it.

    `images`: raw as they came, or JPEG of `jpeg_quality` by us, for the 8-bit cameras of the contract alone.
    `compression` is for all topics but images, `image_compression` for those; both are of MCAP's chunks.
    `per_topic` says otherwise for single ones: `wrist=jpeg,/camera/depth/image_raw=zstd`, by a stream of the
    contract or by topic; a topic may be named twice, for its form and for its compression.
    `hashes`: a SHA-256 for each topic. `queue_mb` may wait for the disk, `reserve_mb` of it stays free.
    """

    storage: Literal["mcap", "sqlite3"] = "mcap"
    compression: Compression = "none"
    image_compression: Compression = "none"
    images: Literal["raw", "jpeg"] = "raw"
    jpeg_quality: int = 90
    per_topic: str = ""
    hashes: bool = True
    queue_mb: float = 256.0
    reserve_mb: float = 1024.0

    def __post_init__(self) -> None:
        for what, given, known in (
            ("storage", self.storage, STORAGES),
            ("compression", self.compression, COMPRESSIONS),
            ("image_compression", self.image_compression, COMPRESSIONS),
            ("images", self.images, IMAGES),
        ):
            if given not in known:
                raise UnknownNameError(what, given, known)
        for _, choice in self._choices():
            if choice not in (*IMAGES, *COMPRESSIONS):
                raise UnknownNameError("choice in per_topic", choice, (*IMAGES, *COMPRESSIONS))
        packed = {self.compression, self.image_compression, *(choice for _, choice in self._choices())}
        if self.storage == "sqlite3" and packed & {"lz4", "zstd"}:
            raise ConfigError("storage sqlite3 has no compression here; use mcap, or compression none")
        if not 1 <= self.jpeg_quality <= 100:
            raise ConfigError(f"jpeg_quality {self.jpeg_quality} is not from 1 to 100")
        if min(self.queue_mb, self.reserve_mb) < 0:
            raise ConfigError(f"queue_mb {self.queue_mb:g} or reserve_mb {self.reserve_mb:g} is below 0")

    def by_topic(self, topics: Mapping[str, str]) -> StorageSettings:
        """Return the same with topics in `per_topic` instead of streams; `topics` has those by stream.

        Raises:
            UnknownNameError: it names neither a stream nor a topic.
        """
        for name, _ in self._choices():
            if name not in topics and not name.startswith("/"):
                raise UnknownNameError("stream in per_topic", name, topics)
        return replace(
            self, per_topic=",".join(f"{topics.get(name, name)}={choice}" for name, choice in self._choices())
        )

    def form_of(self, topic: str) -> str:
        """Return how images of `topic` are stored, one of IMAGES."""
        return self._chosen(topic, IMAGES) or self.images

    def jpegs_asked_for(self) -> list[str]:
        """Return the topics, or streams, that `per_topic` wants as JPEG."""
        return [name for name, choice in self._choices() if choice == "jpeg"]

    def compression_of(self, topic: str, *, image: bool) -> Compression:
        """Return how chunks with `topic` are compressed."""
        default = self.image_compression if image else self.compression
        return cast("Compression", self._chosen(topic, COMPRESSIONS) or default)

    def _choices(self) -> list[tuple[str, str]]:
        parts = [part.partition("=") for part in self.per_topic.split(",") if part.strip()]
        if wrong := [name for name, sign, _ in parts if not sign or not name.strip()]:
            raise ConfigError(f"per_topic has {wrong[0]!r}; possible is NAME=CHOICE, with commas between")
        return [(name.strip(), choice.strip()) for name, _, choice in parts]

    def _chosen(self, topic: str, among: tuple[str, ...]) -> str | None:
        named = (topic, topic.removesuffix(COMPRESSED))  # as it is stored, or as it came
        return next((choice for name, choice in self._choices() if name in named and choice in among), None)

    @property
    def queue_bytes(self) -> int:
        """How much may wait for the disk."""
        return int(self.queue_mb * (1 << 20))

    @property
    def reserve_bytes(self) -> int:
        """How much of the disk stays free."""
        return int(self.reserve_mb * (1 << 20))
