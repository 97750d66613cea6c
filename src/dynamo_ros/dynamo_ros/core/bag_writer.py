"""One bag, written by a thread of its own.

The bag is built in a hidden folder beside its place and moved there when it is complete and on disk, so that
a bag that can be seen is a whole one.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from dynamo_ros.core.bag_files import BagFile, Item, open_bag
from dynamo_ros.core.bag_topics import RecordingError, Topic
from dynamo_ros.core.part import Part
from dynamo_ros.core.pen import Pen
from dynamo_ros.core.storage_settings import StorageSettings
from dynamo_ros.core.syncing import Syncer

__all__ = ["BagWriter", "Item", "RecordingError", "Topic"]

# The thread looks into the queue this often, or when so much waits: waking it for each message costs more.
LOOK_S, WAKE_BYTES = 0.05, 8 << 20
JOIN_S, OPEN_S = 60.0, 20.0
DISK_ERRORS = (OSError, sqlite3.Error)


class BagWriter:
    """The thread that writes, its bounded queue, and the folder it writes to.

    A failing disk stops the thread; `error` then says why. What was written before stays in the hidden
    folder, and `dynamo_policies.repair` makes a bag of it. `full` says that the disk's reserve is reached:
    the bag should be finished, which still works. `pen` knows what was written.
    """

    def __init__(
        self,
        path: Path,
        topics: Sequence[Topic],
        settings: StorageSettings,
        custom: Mapping[str, str],
        *,
        jpegs: Mapping[str, str] | None = None,
    ) -> None:
        """Open the bag and start the thread; `custom` is what is known of the episode already.

        `jpegs` maps topics of items to those topics of the bag that have them as JPEG.

        Raises:
            RecordingError: the bag exists, can't be made, or a type is not known.
        """
        self.accepted = self.accepted_bytes = self.waiting_bytes = 0
        self.error = self.full = ""
        self.pen: Pen  # as soon as the bag is open
        self.done = threading.Event()
        self._path, self._topics, self._settings = path, tuple(topics), settings
        self._part = Part(path)
        self._about, self._ending, self._unwanted = dict(custom), False, False
        self._custom: Callable[[], Mapping[str, str]] = lambda: self._about
        self._jpegs = dict(jpegs or {})
        self._queue: deque[Item] = deque()
        self._changed = threading.Condition()
        self._opened = threading.Event()
        # sqlite3 wants to be opened by the thread that writes.
        self._thread = threading.Thread(target=self._live, name=f"write {path.name}", daemon=True)
        self._thread.start()
        if not self._opened.wait(OPEN_S):
            self._unwanted = True
            self._tell_to_end()
            raise RecordingError(f"the disk of {path.parent} opened no bag within {OPEN_S:g} s")
        if self.error:
            raise RecordingError(self.error)

    def put(self, item: Item) -> bool:
        """Queue `item`; False if too much waits already. An item that is alone always fits."""
        size = len(item.data)
        with self._changed:
            if self.waiting_bytes and self.waiting_bytes + size > self._settings.queue_bytes:
                return False
            self._queue.append(item)
            self.waiting_bytes += size
            self.accepted += 1
            self.accepted_bytes += size
            if self.waiting_bytes > WAKE_BYTES:
                self._changed.notify()
            return True

    def end(self, custom: Callable[[], Mapping[str, str]]) -> None:
        """Let the thread write out the queue, complete the bag with what `custom` returns, set `done`."""
        self._custom = custom
        self._tell_to_end()

    def wait(self) -> tuple[Path, str]:
        """Wait for the end and return where the bag is, and why that is not its place, empty where it is."""
        self._thread.join(JOIN_S)
        error = self.error
        if self._thread.is_alive():  # It may still come to its end.
            error = error or f"the disk of {self._part.folder} did not take the rest within {JOIN_S:g} s"
        return self._part.folder if error else self._path, error

    def discard(self) -> None:
        """Stop and delete what was written."""
        with self._changed:
            self._queue.clear()
            self._unwanted = True
        self._tell_to_end()
        self._thread.join(JOIN_S)
        self._part.remove()  # A disk that failed has ended the thread before.

    def _tell_to_end(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.notify()

    def _live(self) -> None:
        """What the thread does from its first moment to its last; nobody waits for it in vain."""
        foreseen = False
        try:
            self._write_bag()
            foreseen = True
        finally:  # Python prints what was not foreseen.
            if not foreseen:
                self.error = self.error or f"the thread that writes {self._part.bag} ended unexpectedly"
            self._opened.set()
            self.done.set()

    def _write_bag(self) -> None:
        try:
            bag = open_bag(self._part.bag, self._topics, self._settings)
        except RecordingError as error:
            self.error = str(error)
            return
        try:
            about = self._part.describe(self._about)
        except OSError as error:
            self.error = f"can't write to {self._part.folder}: {_reason(error)}"
            self._throw_away(bag)
            return
        self.pen = Pen(bag, self._topics, self._settings, self._jpegs, clock_s=time.monotonic)
        self._opened.set()
        with about:  # Closing it gives its lock back.
            self._write_all(bag)
            self._conclude(bag)

    def _write_all(self, bag: BagFile) -> None:
        syncer = Syncer(partial(self._sync, bag), DISK_ERRORS, name=f"sync {self._path.name}")
        try:
            while (batch := self._take()) is not None:
                for item in batch:
                    self.pen.write(item)
                    self._took(len(item.data))
                    self._tend(syncer)
                self._tend(syncer)  # There may have been none.
        except DISK_ERRORS as error:
            self.error = f"writing {self._part.bag} failed: {_reason(error)}"
        finally:
            syncer.end()
        if syncer.error is not None and not self.error:  # by the sync that was under way at the end
            self.error = f"writing {self._part.bag} failed: {_reason(syncer.error)}"

    def _take(self) -> list[Item] | None:
        """Wait for items and return all there are; None when the episode ends."""
        with self._changed:
            self._changed.wait_for(lambda: self.waiting_bytes > WAKE_BYTES or self._ending, LOOK_S)
            if not self._queue and self._ending:
                return None
            batch = list(self._queue)
            self._queue.clear()
            return batch

    def _took(self, size: int) -> None:
        with self._changed:
            self.waiting_bytes -= size

    def _tend(self, syncer: Syncer) -> None:
        """Hand over what it is time for: also in the middle of many items, which may take long."""
        if self.pen.flush():
            self._look_for_room()
        if self.pen.wants_sync():
            syncer.ask()
        if syncer.error is not None:
            raise syncer.error

    def _sync(self, bag: BagFile) -> None:
        """Wait until what was written is on the disk; at first also the folders in which it is found."""
        self._part.sync()
        bag.sync()

    def _look_for_room(self) -> None:
        free = shutil.disk_usage(self._part.folder).free
        if free < self._settings.reserve_bytes:
            self.full = (
                f"{free / 1e6:.0f} MB are free on the disk of {self._path.parent}; "
                f"{self._settings.reserve_bytes / 1e6:.0f} MB are kept"
            )

    def _conclude(self, bag: BagFile) -> None:
        if not self.error and not self._unwanted:
            try:
                self._complete(bag)
                return
            except DISK_ERRORS as error:
                self.error = f"could not complete {self._part.bag}: {_reason(error)}"
        if self._unwanted:
            self._throw_away(bag)
        else:
            self._abort(bag)

    def _abort(self, bag: BagFile) -> None:
        with contextlib.suppress(*DISK_ERRORS):  # The disk that failed may fail once more.
            bag.abort()

    def _throw_away(self, bag: BagFile) -> None:
        self._abort(bag)
        self._part.remove()

    def _complete(self, bag: BagFile) -> None:
        bag.finish({**self._custom(), **self.pen.stream_hashes()})
        self._part.reveal()


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
