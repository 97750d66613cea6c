"""Import of the kitchen, block pushing and push-T sets that DynaMo's authors released (osf.io/kxehw).

Each is one folder with all episodes: what was measured and done in one array, images in a file an episode.

- kitchen: observations_seq.npy (T, N, 60) of which 0 to 6 are the arm's joints and 7, 8 its fingers,
  existence_mask.npy (T, N), obses/NNN.pth (T, V, C, H, W). Its actions are joint velocities, scaled: the
  target of a step is the pose measured at the next one.
- block pushing: multimodal_push_observations.npy (N, T, 16) of which 6, 7 are where the effector is and 8, 9
  where it was told to be, multimodal_push_actions.npy (N, T, 2), m, which is added to that,
  multimodal_push_masks.npy (N, T), obs_multiview/NNN.pth (T, V, H, W, C).
- push-T: states.pth (N, T, 5 or more) of which 0, 1 are where the agent is, abs_actions.pth (N, T, 2), both
  in units of the board, written as millimetres, obses/episode_NNN.pth (T, H, W, C). seq_lengths.pkl is a
  pickle, which could run code, and is never opened: an episode is as long as its images.

Tensors are loaded with weights_only, arrays without pickle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dynamo_policies.bagtools.importing import ImportingError, Timed, write_recording
from dynamo_policies.bagtools.release_files import array, floats, pictures
from dynamo_policies.contract import Contract
from dynamo_policies.kinematics import placement

FINGER_M = 0.04  # each finger of the Panda's hand, open
UNIT_M = 1e-3  # of push-T's board
START_NS = 1_000_000_000
FloatArray = npt.NDArray[np.float64]


class Released(NamedTuple):
    """One episode of a released set, T steps."""

    name: str
    images: npt.NDArray[np.uint8]  # (T, V, H, W, 3)
    joints: FloatArray  # (T, J) rad or m, in the order of the contract's arm
    fingers: FloatArray | None  # (T, 2) m, where there are any
    target: FloatArray | None  # (T, J) joints commanded for a step later; None: those measured a step later


def import_set(folder: Path, out: Path, contract: Contract, *, task: str) -> Iterator[Path]:
    """Write each episode of the set in `folder` as a bag in the folder `out`, and yield it.

    `contract` is that of config/released/ for the set; its cameras are the views in order.

    Raises:
        ImportingError: `folder` is none of the sets, or a file is missing, has other shapes or needs
            unpickling.
        CopyError: a bag exists.
    """
    for released in _reader(folder)(folder):
        streams = _streams(contract, released)
        source = f"release {folder.name} {released.name}"
        yield write_recording(
            out / f"{folder.name}_{released.name}", contract, streams, task=task, source=source
        )


def is_set(folder: Path) -> bool:
    """Whether `folder` holds one of the sets."""
    return any((folder / name).exists() for name in SETS)


def _reader(folder: Path) -> Callable[[Path], Iterator[Released]]:
    for name, (_, reader) in SETS.items():
        if (folder / name).exists():
            return reader
    kinds = ", ".join(f"{kind} ({name})" for name, (kind, _) in SETS.items())
    raise ImportingError(f"{folder} is none of the released sets: {kinds}")


def _streams(contract: Contract, released: Released) -> dict[str, list[Timed]]:
    views, cameras = released.images.shape[1], list(contract.cameras)
    if views != len(cameras):
        raise ImportingError(f"{released.name} has {views} views, the contract the cameras {cameras}")
    later = _next(released.joints) if released.target is None else released.target
    streams = {camera: _timed(contract, released.images[:, view], 0) for view, camera in enumerate(cameras)}
    streams[contract.arm_stream] = _timed(contract, released.joints, 0)
    streams["target_pose"] = _timed(contract, _poses(contract, later), 1)
    if released.fingers is not None:
        closed = 1.0 - _next(released.fingers).mean(axis=1, keepdims=True) / FINGER_M
        beside = next(name for name in contract.proprioception if name != contract.arm_stream)
        streams[beside] = _timed(contract, released.fingers, 0)
        streams["target_gripper"] = _timed(contract, closed.clip(0.0, 1.0), 1)
    return streams


def _kitchen(folder: Path) -> Iterator[Released]:
    observed = array(folder / "observations_seq.npy", (None, None, 60)).swapaxes(0, 1)
    mask = array(folder / "existence_mask.npy", observed.shape[1::-1]).T
    for number, length in enumerate(_lengths(mask)):
        images = pictures(folder / "obses" / f"{number:03d}.pth", 5)
        state = observed[number, :length]
        shown = np.moveaxis(_first(images, length, number), 2, -1)
        yield Released(f"{number:03d}", shown, state[:, :7], state[:, 7:9], None)


def _block_push(folder: Path) -> Iterator[Released]:
    observed = array(folder / "multimodal_push_observations.npy", (None, None, 16))
    actions = array(folder / "multimodal_push_actions.npy", (*observed.shape[:2], 2))
    mask = array(folder / "multimodal_push_masks.npy", observed.shape[:2])
    for number, length in enumerate(_lengths(mask)):
        images = pictures(folder / "obs_multiview" / f"{number:03d}.pth", 5)
        state = observed[number, :length]
        target = state[:, 8:10] + actions[number, :length]
        yield Released(f"{number:03d}", _first(images, length, number), state[:, 6:8], None, target)


def _push_t(folder: Path) -> Iterator[Released]:
    states = floats(folder / "states.pth")
    actions = floats(folder / "abs_actions.pth")
    if states.shape[-1] < 2 or actions.shape != (*states.shape[:2], 2):
        raise ImportingError(f"{folder}: states {states.shape}, actions {actions.shape}; (N, T, 2) expected")
    for number in range(len(states)):
        images = pictures(folder / "obses" / f"episode_{number:03d}.pth", 4)
        length = len(images)
        if length > states.shape[1]:
            raise ImportingError(
                f"episode {number} has {length} images, but states for {states.shape[1]} steps"
            )
        agent = states[number, :length, :2] * UNIT_M
        yield Released(f"{number:03d}", images[:, None], agent, None, actions[number, :length] * UNIT_M)


SETS: dict[str, tuple[str, Callable[[Path], Iterator[Released]]]] = {
    "observations_seq.npy": ("kitchen", _kitchen),
    "multimodal_push_observations.npy": ("block pushing", _block_push),
    "abs_actions.pth": ("push-T", _push_t),
}


def _lengths(mask: FloatArray) -> list[int]:
    """Return how many steps each episode has, of a mask (N, T) that is 1 up to there."""
    lengths = [round(float(row.sum())) for row in mask]
    expected = np.arange(mask.shape[1]) < np.array(lengths)[:, None]
    if not (mask == expected).all():
        raise ImportingError("the mask of the steps is not 1 up to the end of each episode and 0 after it")
    return lengths


def _first(images: npt.NDArray[np.uint8], length: int, number: int) -> npt.NDArray[np.uint8]:
    if len(images) < length:
        raise ImportingError(f"episode {number} has {length} steps, but {len(images)} images")
    return images[:length]


def _next(values: FloatArray) -> FloatArray:
    """Return what is measured a step later; at the last step what is measured there."""
    return np.concatenate([values[1:], values[-1:]])


def _poses(contract: Contract, joints: FloatArray) -> FloatArray:
    """Return the poses (T, 7) of the tool at `joints` (T, J)."""
    position, rotation = placement(contract.kinematics).forward(joints, tool_offset_m=contract.tool_offset_m)
    return np.concatenate([position, Rotation.from_matrix(rotation).as_quat()], axis=1)


def _timed(contract: Contract, values: npt.NDArray[np.generic], later: int) -> list[Timed]:
    """Stamp the values on the contract's grid, `later` steps after the first step."""
    period = contract.period_ns
    first = -(-START_NS // period) + later
    return [Timed((first + step) * period, value) for step, value in enumerate(values)]
