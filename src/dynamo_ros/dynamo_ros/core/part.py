"""The hidden folder in which a bag is built, beside the place where it appears when it is whole."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from dynamo_policies.bag_copy import sync_path
from dynamo_policies.damaged import ABOUT
from dynamo_ros.core.bag_topics import RecordingError


class Part:
    """`folder` is to hold the folder `bag`, which is named as the bag at `path` will be."""

    def __init__(self, path: Path) -> None:
        """Look whether the place is free; nothing is made yet.

        Raises:
            RecordingError: the bag is there already, or was begun.
        """
        self._path, self.folder = path, path.parent / f".{path.name}.part"
        self.bag = self.folder / path.name  # The file is named after its folder.
        self._placed = False
        if path.exists() or self.folder.exists():
            raise RecordingError(
                f"{path if path.exists() else self.folder} exists already; choose another name"
            )

    def describe(self, about: Mapping[str, str]) -> TextIO:
        """Put down what `repair` needs should this process die, and hold a lock that says it has not.

        The lock is given back when what is returned is closed.
        """
        stream = (self.folder / ABOUT).open("w")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX)
            json.dump(dict(about), stream)
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError):  # It flushes once more.
                stream.close()
            raise
        return stream

    def sync(self) -> None:
        """Wait until the folders are on the disk in which the bag's file is found; once is enough."""
        if not self._placed:
            for path in (self.folder / ABOUT, self.bag, self.folder, self._path.parent):
                sync_path(path)
            self._placed = True

    def reveal(self) -> None:
        """Wait until the bag is on the disk, and move it to its place."""
        for file in (*self.bag.iterdir(), self.bag):
            sync_path(file)
        self.bag.rename(self._path)
        (self.folder / ABOUT).unlink()
        self.folder.rmdir()
        sync_path(self._path.parent)

    def remove(self) -> None:
        """Delete it with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
