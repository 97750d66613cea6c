"""Targets to the numbers that a policy puts out, and back.

An action is x y z (m), a rotation vector (rad), then the gripper (0 open to 1 closed) where there is one,
then the joints of the hand (rad, always absolute) where there is one: 7 numbers for an arm with a gripper,
22 for one with an Allegro hand (the paper's 23 hold its pose as 7). Absolute actions lie in the base frame;
their rotation is measured from a reference rotation so that it does not wrap. Relative actions are measured
from an anchor, the tool pose measured at the tick, along the axes of the base frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dynamo_policies.errors import DynamoError
from dynamo_policies.observation import FloatArray, Pose, Target
from dynamo_policies.quaternions import turned

if TYPE_CHECKING:
    from dynamo_policies.contract import Contract
    from dynamo_policies.episodes import Episode

POSE_SIZE = 6
ACTION_SIZE = 7  # of an arm with a gripper


class ActionError(DynamoError):
    """Actions have a shape or values that stand for no target."""


@dataclass(frozen=True)
class ActionSpace:
    """How targets are written as actions: `relative` to the measured pose, or absolute.

    Absolute rotations are measured from `reference_rotation`, a quaternion x y z w. `grippers` is how many
    there are (0 or 1), `hand_joints` how many joints a hand has (0: no hand).
    """

    reference_rotation: tuple[float, ...]
    relative: bool
    grippers: int = 1
    hand_joints: int = 0

    def __post_init__(self) -> None:
        if len(self.reference_rotation) != 4 or not np.any(self.reference_rotation):
            raise ActionError(f"reference rotation {self.reference_rotation} is no quaternion x y z w")
        if self.grippers not in (0, 1) or self.hand_joints < 0:
            raise ActionError(
                f"{self.grippers} grippers and {self.hand_joints} joints of a hand are impossible"
            )

    @property
    def size(self) -> int:
        """How many numbers an action has."""
        return POSE_SIZE + self.grippers + self.hand_joints

    def encode(
        self,
        position: npt.ArrayLike,
        quaternion: npt.ArrayLike,
        gripper: npt.ArrayLike,
        hand: npt.ArrayLike | None = None,
        *,
        anchor_position: npt.ArrayLike,
        anchor_quaternion: npt.ArrayLike,
    ) -> npt.NDArray[np.float32]:
        """Return actions (..., A) of target positions (..., 3), quaternions (..., 4) and grippers (...,).

        `hand` is (..., H), needed where there is a hand. The anchors have the same shapes or ones that
        broadcast to them; absolute actions do not depend on them.
        """
        position, quaternion = np.asarray(position, np.float64), np.asarray(quaternion, np.float64)
        origin, base = self._origin(anchor_position, anchor_quaternion)
        shape = position.shape[:-1]
        base = np.broadcast_to(base, (*shape, 4))
        turn = Rotation.from_quat(quaternion.reshape(-1, 4)) * Rotation.from_quat(base.reshape(-1, 4)).inv()
        rotvec = turn.as_rotvec().reshape(*shape, 3)
        ends = self._ends(np.asarray(gripper, np.float64), hand, shape)
        return np.concatenate([position - origin, rotvec, *ends], axis=-1).astype(np.float32)

    def decode(self, actions: npt.ArrayLike, anchor: Pose) -> list[Target]:
        """Return the K targets that `actions` (K, A) stand for; the gripper is held within 0..1.

        Raises:
            ActionError: another shape, or a value that is not finite.
        """
        values = np.asarray(actions, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != self.size:
            raise ActionError(f"actions of shape {values.shape} given, expected (K, {self.size})")
        if not np.isfinite(values).all():
            raise ActionError(f"actions hold values that are not finite: {values.tolist()}")
        origin, base = self._origin(anchor.position, anchor.quaternion)
        positions = values[:, :3] + origin
        quaternions = [turned(base, turn) for turn in values[:, 3:6]]
        grippers = np.clip(values[:, POSE_SIZE], 0.0, 1.0) if self.grippers else np.zeros(len(values))
        hands = values[:, POSE_SIZE + self.grippers :] if self.hand_joints else [None] * len(values)
        return [
            Target(Pose(position, quaternion), float(gripper), hand)
            for position, quaternion, gripper, hand in zip(
                positions, quaternions, grippers, hands, strict=True
            )
        ]

    def _ends(
        self, gripper: FloatArray, hand: npt.ArrayLike | None, shape: tuple[int, ...]
    ) -> list[FloatArray]:
        """Return what follows the pose in an action: gripper (..., 1) and hand (..., H)."""
        ends = [gripper[..., None]] if self.grippers else []
        if not self.hand_joints:
            return ends
        joints = np.asarray([] if hand is None else hand, np.float64)
        if joints.shape != (*shape, self.hand_joints):
            expected = (*shape, self.hand_joints)
            raise ActionError(f"targets of the hand have shape {joints.shape}, expected {expected}")
        return [*ends, joints]

    def _origin(self, position: npt.ArrayLike, quaternion: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return the position and the quaternion that actions are measured from."""
        if self.relative:
            return np.asarray(position, np.float64), np.asarray(quaternion, np.float64)
        return np.zeros(3), np.asarray(self.reference_rotation, np.float64)


def action_space(contract: Contract, *, relative: bool) -> ActionSpace:
    """Return how targets of `contract`'s robot are written as actions."""
    return ActionSpace(
        reference_rotation=contract.reference_rotation,
        relative=relative,
        grippers=0 if contract.gripper is None else 1,
        hand_joints=0 if contract.hand is None else len(contract.hand.joints),
    )


def chunks(
    episode: Episode, horizon: int, space: ActionSpace
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return each tick's chunk (T, K, A), anchored at the pose measured then, and what of it is real (T, K).

    Where the episode has no target for a tick of the chunk, past its end or in a gap, the last target before
    it stands in and the mask is false.
    """
    if horizon < 1:
        raise ActionError(f"a chunk of {horizon} actions is impossible; at least 1 is possible")
    period_ns = episode.contract.period_ns
    wanted = episode.tick_ns[:, None] + np.arange(horizon) * period_ns  # (T, K)
    chosen = np.searchsorted(episode.tick_ns, wanted, side="right") - 1
    actions = space.encode(
        episode.target_position[chosen],
        episode.target_quaternion[chosen],
        episode.target_gripper[chosen],
        episode.target_hand[chosen],
        anchor_position=episode.measured_position[:, None],
        anchor_quaternion=episode.measured_quaternion[:, None],
    )
    return actions, episode.tick_ns[chosen] == wanted
