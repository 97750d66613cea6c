"""What is put into an open bag, and when it is handed to the system and to the disk."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from dynamo_ros.core.bag_files import BagFile, Item
from dynamo_ros.core.bag_topics import RecordingError, Topic
from dynamo_ros.core.jpeg import JpegEncoder
from dynamo_ros.core.storage_settings import StorageSettings

# Chunks are closed and handed to the system this often, which bounds what a killed process loses.
FLUSH_S = 0.25
# Data goes to the disk this often, or in such pieces: a power loss takes no more, and closing is quick.
SYNC_S, SYNC_BYTES = 1.0, 64 << 20


class Pen:
    """Writes items, some of them as JPEGs, hashes them by topic and counts; for one thread.

    `safe` of the `written` messages outlive this process. `refused` counts the images of each topic that
    could not be made JPEGs, `refusal` says why.
    """

    def __init__(
        self,
        bag: BagFile,
        topics: Sequence[Topic],
        settings: StorageSettings,
        jpegs: Mapping[str, str],
        *,
        clock_s: Callable[[], float],
    ) -> None:
        """`jpegs` maps topics of items to those of `topics`, the bag's, that have them as JPEG."""
        self.written = self.written_bytes = self.safe = 0
        self.refused = Counter(dict.fromkeys(jpegs, 0))  # never grows while others sum it up
        self.refusal = ""
        self._bag, self._jpegs, self._jpeg = bag, dict(jpegs), JpegEncoder(settings.jpeg_quality)
        self._hashes = {topic.name: hashlib.sha256() for topic in topics} if settings.hashes else {}
        self._clock_s, self._unsynced = clock_s, 0
        self._flushed_s = self._synced_s = clock_s()

    def write(self, item: Item) -> None:
        """Append `item`, or count it as refused."""
        if item.topic in self._jpegs:
            try:
                data = self._jpeg.encode(item.data)
            except RecordingError as error:
                self.refused[item.topic] += 1
                self.refusal = str(error)
                return
            item = Item(self._jpegs[item.topic], data, item.receive_ns, item.publish_ns)
        self._bag.write(item)
        if self._hashes:
            self._hashes[item.topic].update(item.data)
        self.written += 1
        self.written_bytes += len(item.data)
        self._unsynced += len(item.data)

    def flush(self) -> bool:
        """Hand all that was written to the system if it is time to; return whether it was."""
        now_s = self._clock_s()
        if now_s - self._flushed_s < FLUSH_S:
            return False
        self._bag.flush()
        self.safe, self._flushed_s = self.written, now_s
        return True

    def wants_sync(self) -> bool:
        """Return whether it is time for what was written to go to the disk; from then on it counts anew."""
        now_s = self._clock_s()
        if not self._unsynced or (self._unsynced <= SYNC_BYTES and now_s - self._synced_s < SYNC_S):
            return False
        self._unsynced, self._synced_s = 0, now_s
        return True

    def stream_hashes(self) -> dict[str, str]:
        """Return the hashes of what was written as a bag's custom data has them; nothing without hashes."""
        hashes = {topic: digest.hexdigest() for topic, digest in self._hashes.items()}
        return {"stream_hashes": json.dumps(hashes)} if hashes else {}
