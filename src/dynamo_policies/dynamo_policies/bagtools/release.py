"""Import of the LIBERO demonstrations that DynaMo's authors released (osf.io/kxehw).

`libero_goal/<task>/<demo>/` holds agentview_image.pth and robot0_eye_in_hand_image.pth (T, H, W, C) uint8,
and robot0_joint_pos.npy, robot0_eef.npy, robot0_gripper_pos.npy and actions.npy. The other released sets
(kitchen, block pushing, push-T) have no arm whose joints and pose a contract could name, so there is nothing
to make a bag of. Tensors are loaded with weights_only, arrays without pickle.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dynamo_policies.bagtools.importing import ImportingError, Timed, write_recording
from dynamo_policies.contract import Contract

RATE_HZ = 20
IMAGES = ("agentview_image.pth", "robot0_eye_in_hand_image.pth")
OTHERS = {
    "observations_seq.npy": "kitchen",
    "multimodal_push_observations.npy": "block pushing",
    "abs_actions.pth": "push-T",
}
START_NS = 1_000_000_000
FloatArray = npt.NDArray[np.float64]


def import_release(folder: Path, out: Path, contract: Contract, *, task: str) -> Path:
    """Write the demonstration in `folder` as the bag `out`, at 20 Hz from one second on.

    The contract's first camera is the outer one, its second the wrist's. The target of a step is the pose
    measured at the next one; the gripper's is the action's last value, from -1 (open) to 1 (closed).

    Raises:
        ImportingError: it is another of the released sets, a file is missing, or needs unpickling.
        CopyError: `out` exists.
    """
    _check_kind(folder)
    if len(contract.cameras) > len(IMAGES):
        raise ImportingError(
            f"the contract has cameras {list(contract.cameras)}, a demonstration {list(IMAGES)}"
        )
    joints, eef, gripper, actions = (
        _array(folder / f"{name}.npy")
        for name in ("robot0_joint_pos", "robot0_eef", "robot0_gripper_pos", "actions")
    )
    if eef.ndim != 2 or eef.shape[1] != 7 or actions.shape[:1] != eef.shape[:1] or actions.ndim != 2:
        raise ImportingError(
            f"{folder}: poses of shape {eef.shape}, actions {actions.shape}; (T, 7) expected"
        )
    beside = [name for name in contract.proprioception if name != contract.arm_stream]
    streams = {
        camera: _timed(_tensor(folder / name)) for camera, name in zip(contract.cameras, IMAGES, strict=False)
    }
    streams |= {contract.arm_stream: _timed(joints), "target_pose": _timed(eef)}
    streams |= {name: _timed(gripper.reshape(len(gripper), -1)) for name in beside}
    streams["target_gripper"] = _timed((actions[:, -1:] + 1.0) / 2.0)
    return write_recording(out, contract, streams, task=task, source=f"release {folder.name}")


def _check_kind(folder: Path) -> None:
    for name, kind in OTHERS.items():
        if (folder / name).exists():
            raise ImportingError(
                f"{folder} is the {kind} set, which has no arm's joints and pose; LIBERO's can be read"
            )
    if not (folder / IMAGES[0]).is_file():
        raise ImportingError(f"{folder} is no LIBERO demonstration: {IMAGES[0]} is missing")


def _array(file: Path) -> FloatArray:
    try:
        return np.asarray(np.load(file, allow_pickle=False), dtype=np.float64)
    except (OSError, ValueError, EOFError) as error:
        raise ImportingError(f"{file} can't be read without unpickling: {error}") from error


def _tensor(file: Path) -> npt.NDArray[np.uint8]:
    import torch

    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise ImportingError(f"{file} can't be read as plain tensors: {error}") from error
    if not isinstance(loaded, torch.Tensor) or loaded.dtype != torch.uint8 or loaded.ndim != 4:
        raise ImportingError(f"{file} holds {type(loaded).__name__}, not images (T, H, W, 3) of uint8")
    images: npt.NDArray[np.uint8] = loaded.numpy()
    return images


def _timed(values: Iterable[npt.NDArray[np.generic]]) -> list[Timed]:
    return [Timed(START_NS + index * 10**9 // RATE_HZ, value) for index, value in enumerate(values)]
