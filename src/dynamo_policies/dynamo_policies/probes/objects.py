"""Where a simulated station says that things are: ground truth, which no real robot has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dynamo_policies.bags import BagError, BagInfo, deserialize, raw_messages
from dynamo_policies.episodes import Episode
from dynamo_policies.observation import FloatArray

TOPIC, TYPE = "/station/objects", "geometry_msgs/msg/PoseArray"


def read_objects(infos: Sequence[BagInfo], episodes: Sequence[Episode]) -> list[FloatArray] | None:
    """Return the positions (T, K, 3) m of K objects at the ticks of each episode.

    None unless all bags have them.

    Raises:
        BagError: the objects change in number, or a bag can't be read.
    """
    if not all(info.types.get(TOPIC) == TYPE and info.counts.get(TOPIC) for info in infos):
        return None
    found = [_at_ticks(info, episode) for info, episode in zip(infos, episodes, strict=True)]
    for info, positions in zip(infos, found, strict=True):
        if positions.shape[1] != found[0].shape[1]:
            raise BagError(
                info.path, f"{TOPIC} holds {positions.shape[1]} objects, other bags' {found[0].shape[1]}"
            )
    return found


def _at_ticks(info: BagInfo, episode: Episode) -> FloatArray:
    """Return what was known last at each tick; before the first message, that."""
    stamps, positions = [], []
    for raw in raw_messages(info, [TOPIC]):
        message = deserialize(raw)
        stamps.append(message.header.stamp.sec * 10**9 + message.header.stamp.nanosec)
        positions.append([[pose.position.x, pose.position.y, pose.position.z] for pose in message.poses])
    if len({len(one) for one in positions}) != 1:
        raise BagError(info.path, f"the number of objects on {TOPIC} changes")
    rows = np.maximum(np.searchsorted(np.asarray(stamps), episode.tick_ns, side="right") - 1, 0)
    return np.asarray(positions, dtype=np.float64)[rows]
