"""One episode of a bag, aligned to ticks: what the robot saw, where its tool was, what was commanded next.

The ticks and their observations are the ones that `align.Aligner` gives live. Only the images
that ticks select are decoded.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dynamo_policies.align import ticks_between
from dynamo_policies.bags import BagError, bag_hash, check_contract, read_info
from dynamo_policies.contract import Contract
from dynamo_policies.decode import Decoder, FrameSettings
from dynamo_policies.errors import ConfigError
from dynamo_policies.kinematics import tool_poses
from dynamo_policies.observation import FloatArray
from dynamo_policies.streams import JointStream, PoseStream, Stream
from dynamo_policies.tracks import IntArray, Track, read_images, read_tracks

LONGEST_NS = 24 * 3600 * 10**9


@dataclass(frozen=True, kw_only=True)
class Episode:
    """An episode as T ticks of its contract's grid, increasing; a tick without a target is left out.

    `valid` is false at a tick at which an observed stream was stale; images and state are the last known
    then.
    """

    path: Path
    task: str
    outcome: str
    contract: Contract
    tick_ns: IntArray  # (T,)
    images: dict[str, npt.NDArray[np.uint8]]  # camera, in contract order -> (T, H, W, 3) RGB
    state: npt.NDArray[np.float32]  # (T, S) in the order of contract.state_names
    valid: npt.NDArray[np.bool_]  # (T,)
    measured_position: FloatArray  # (T, 3) m, base frame
    measured_quaternion: FloatArray  # (T, 4) x y z w
    target_position: FloatArray  # (T, 3) m, commanded for one period after the tick
    target_quaternion: FloatArray  # (T, 4) x y z w
    target_gripper: FloatArray  # (T,) 0 open to 1 closed; 0 without a gripper
    # (T, H) rad in the order of contract.hand.joints; H is 0 without a hand.
    target_hand: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))

    def __post_init__(self) -> None:
        if not self.target_hand.size:
            object.__setattr__(self, "target_hand", np.zeros((len(self.tick_ns), 0)))

    def __len__(self) -> int:
        return len(self.tick_ns)

    @functools.cached_property
    def bag_hash(self) -> str:
        """SHA-256 of the bag, computed when first asked for: that takes as long as reading the bag."""
        return bag_hash(self.path)


def load_episode(path: Path | str, frames: FrameSettings, contract: Contract | None = None) -> Episode:
    """Return the episode in the bag at `path`, by the contract that the bag was recorded under.

    `contract` is for a bag that has none; one that has its own must have been recorded under the same.

    Raises:
        BagError: the bag can't be read, its stamps are no single episode's, or it has no tick at which all
            streams are fresh and a target exists.
        ContractMismatchError: the bag was recorded under another contract.
        MissingTopicError: a stream's topic is not in the bag.
        DecodeError: a message does not fit the contract.
    """
    info = read_info(path, contract)
    if contract is not None:
        check_contract(info, contract)
    contract, decoder = info.contract, Decoder(info.contract, frames)
    tracks = read_tracks(info, decoder)
    check_span(path, tracks)
    ticks = _ticks(contract, tracks)
    if not len(ticks):
        counts = {name: len(track.stamps) for name, track in tracks.items()}
        raise BagError(path, f"no tick at which all streams are fresh and a target exists; samples: {counts}")
    state = np.concatenate([tracks[name].values(ticks) for name in contract.proprioception], axis=1)
    state = state.astype(np.float32)
    position, quaternion = tool_poses(contract, state)
    targets = {name: tracks[name].values(ticks + contract.period_ns) for name in target_streams(contract)}
    pose = targets["target_pose"]
    return Episode(
        path=info.path,
        task=info.task,
        outcome=info.outcome,
        contract=contract,
        tick_ns=ticks,
        images={name: read_images(info, decoder, name, tracks[name], ticks) for name in contract.cameras},
        state=state,
        valid=_all_fresh(contract, tracks, ticks),
        measured_position=position,
        measured_quaternion=quaternion,
        target_position=pose[:, :3],
        target_quaternion=pose[:, 3:],
        target_gripper=targets["target_gripper"][:, 0] if contract.gripper else np.zeros(len(ticks)),
        target_hand=targets.get("target_hand", np.zeros((len(ticks), 0))),
    )


def target_streams(contract: Contract) -> dict[str, type[Stream]]:
    """Return the streams that hold what was commanded, by name: of the pose, and of what the arm carries."""
    kinds: dict[str, type[Stream]] = {"target_pose": PoseStream}
    if contract.gripper is not None:
        kinds["target_gripper"] = JointStream
    if contract.hand is not None:
        kinds["target_hand"] = JointStream
    return kinds


def check_span(path: Path | str, tracks: dict[str, Track]) -> None:
    """Refuse stamps that are years apart, which would make as many ticks."""
    stamps = [int(stamp) for track in tracks.values() for stamp in (*track.stamps[:1], *track.stamps[-1:])]
    if stamps and max(stamps) - min(stamps) > LONGEST_NS:
        raise BagError(
            path,
            f"its stamps span {(max(stamps) - min(stamps)) / 3.6e12:.0f} hours, at most "
            f"{LONGEST_NS / 3.6e12:.0f} are possible: did a clock jump, or do two clocks differ?",
        )


def _ticks(contract: Contract, tracks: dict[str, Track]) -> IntArray:
    """Return the ticks from the first that is valid to the last that was recorded, those with a target."""
    _check_targets(contract)
    seen = [tracks[name].stamps for name in contract.observed if len(tracks[name].stamps)]
    if not seen:
        return np.zeros(0, dtype=np.int64)
    span = ticks_between(
        min(int(stamps[0]) for stamps in seen), max(int(stamps[-1]) for stamps in seen), contract.period_ns
    )
    ticks = np.asarray(span, dtype=np.int64)
    valid = _all_fresh(contract, tracks, ticks)
    if not valid.any():
        return np.zeros(0, dtype=np.int64)
    ticks = ticks[int(valid.argmax()) :]
    return ticks[_have_targets(contract, tracks, ticks + contract.period_ns)]


def _all_fresh(contract: Contract, tracks: dict[str, Track], ticks: IntArray) -> npt.NDArray[np.bool_]:
    stale = np.array([tracks[name].stale(ticks) for name in contract.observed])
    return np.asarray(~stale.any(axis=0))


def _have_targets(contract: Contract, tracks: dict[str, Track], times: IntArray) -> npt.NDArray[np.bool_]:
    """Return at which of `times` all targets are fresh and still being recorded."""
    have = np.ones(len(times), dtype=np.bool_)
    for name in target_streams(contract):
        track = tracks[name]
        last = int(track.stamps[-1]) if len(track.stamps) else 0
        # Past the last target it is not known what would have been commanded; one of its own periods is due.
        known_until = last + round(1e9 / contract.streams[name].rate_hz)
        have &= ~track.stale(times) & (times <= known_until)
    return have


def _check_targets(contract: Contract) -> None:
    for name, kind in target_streams(contract).items():
        stream = contract.streams.get(name)
        if not isinstance(stream, kind) or stream.role != "action":
            actions = [key for key, other in contract.streams.items() if other.role == "action"]
            raise ConfigError(
                f"an episode needs the stream {name!r}, a {kind.__name__} of role action; "
                f"streams of role action are {actions}"
            )
    hand = contract.streams.get("target_hand")
    if contract.hand is not None and isinstance(hand, JointStream) and hand.joints != contract.hand.joints:
        raise ConfigError(
            f"target_hand has joints {list(hand.joints)}, the hand {list(contract.hand.joints)}"
        )
