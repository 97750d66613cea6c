"""Actions of episodes as what objectives with ground truth are to predict."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dynamo_policies.actions import ACTION_SIZE, action_space, chunks
from dynamo_policies.episodes import Episode
from dynamo_policies.errors import ConfigError

SMALLEST_DEVIATION = 1e-6  # a number that never changes becomes 0, not noise


def action_labels(
    episodes: Sequence[Episode], *, relative: bool, size: int = ACTION_SIZE
) -> list[npt.NDArray[np.float32]]:
    """Return each episode's actions (T, A), standardised over the valid ticks of all `episodes`.

    The action of a tick is the target commanded for one period later, `relative` to the measured pose or in
    the base frame. Metres, radians and the gripper's opening would weigh differently as they are; whether the
    paper's authors scale them is not stated.

    Raises:
        ConfigError: the robot's actions are not of the `size` that the objective is made for.
    """
    contract = episodes[0].contract
    space = action_space(contract, relative=relative)
    if space.size != size:
        raise ConfigError(
            f"action_size is {size}, but actions of contract {contract.name!r} have {space.size} numbers"
        )
    actions = [chunks(episode, 1, space)[0][:, 0] for episode in episodes]
    valid = np.concatenate([one[episode.valid] for one, episode in zip(actions, episodes, strict=True)])
    deviation = valid.std(axis=0)
    scale = np.where(deviation > SMALLEST_DEVIATION, deviation, np.inf)
    return [((one - valid.mean(axis=0)) / scale).astype(np.float32) for one in actions]
