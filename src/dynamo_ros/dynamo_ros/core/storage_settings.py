"""How episodes are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
    `hashes`: a SHA-256 for each topic. `queue_mb` may wait for the disk, `reserve_mb` of it stays free.
    """

    storage: Literal["mcap", "sqlite3"] = "mcap"
    compression: Compression = "none"
    image_compression: Compression = "none"
    images: Literal["raw", "jpeg"] = "raw"
    jpeg_quality: int = 90
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
        if self.storage == "sqlite3" and (self.compression, self.image_compression) != ("none", "none"):
            raise ConfigError("storage sqlite3 has no compression here; use mcap, or compression none")
        if not 1 <= self.jpeg_quality <= 100:
            raise ConfigError(f"jpeg_quality {self.jpeg_quality} is not from 1 to 100")
        if min(self.queue_mb, self.reserve_mb) < 0:
            raise ConfigError(f"queue_mb {self.queue_mb:g} or reserve_mb {self.reserve_mb:g} is below 0")

    @property
    def queue_bytes(self) -> int:
        """How much may wait for the disk."""
        return int(self.queue_mb * (1 << 20))

    @property
    def reserve_bytes(self) -> int:
        """How much of the disk stays free."""
        return int(self.reserve_mb * (1 << 20))
