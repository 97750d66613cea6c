"""Which stages are done: a stamp holds the hash of everything its stage depended on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


def key_of(facts: Iterable[str], files: Iterable[Path] = ()) -> str:
    """Hash `facts` in order, and the names and contents of `files`."""
    digest = hashlib.sha256()
    for fact in facts:
        digest.update(f"{fact}\0".encode())
    for path in sorted(files):
        digest.update(f"{path}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@dataclass(frozen=True)
class Stamps:
    """The stamps in one folder."""

    folder: Path

    def done(self, stage: str, key: str) -> bool:
        """Whether `stage` was finished with the same `key`."""
        path = self.folder / stage
        return path.is_file() and path.read_text(encoding="utf-8") == key

    def begin(self, stage: str) -> None:
        """Forget that `stage` was done, so that an interruption is seen."""
        (self.folder / stage).unlink(missing_ok=True)

    def finish(self, stage: str, key: str) -> None:
        """Note that `stage` is done."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / stage
        partial = path.with_suffix(".partial")
        partial.write_text(key, encoding="utf-8")
        partial.replace(path)
