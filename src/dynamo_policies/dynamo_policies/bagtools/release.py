"""Import of the LIBERO demonstrations that DynaMo's authors released (osf.io/kxehw).

`libero_goal/<task>/<demo>/` holds agentview_image.pth and robot0_eye_in_hand_image.pth (T, H, W, C) uint8,
and robot0_joint_pos.npy, robot0_eef.npy, robot0_gripper_pos.npy and actions.npy. For the other released sets
see `release_sets`. Tensors are loaded with weights_only, arrays without pickle.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dynamo_policies.bagtools.importing import ImportingError, Timed, write_recording
from dynamo_policies.bagtools.release_files import array, pictures
from dynamo_policies.contract import Contract

RATE_HZ = 20
IMAGES = ("agentview_image.pth", "robot0_eye_in_hand_image.pth")
START_NS = 1_000_000_000


def import_release(folder: Path, out: Path, contract: Contract, *, task: str) -> Path:
    """Write the demonstration in `folder` as the bag `out`, at 20 Hz from one second on.

    The contract's first camera is the outer one, its second the wrist's. The target of a step is the pose
    measured at the next one; the gripper's is the action's last value, from -1 (open) to 1 (closed).

    Raises:
        ImportingError: it is no such demonstration, a file is missing, or needs unpickling.
        CopyError: `out` exists.
    """
    if not (folder / IMAGES[0]).is_file():
        raise ImportingError(f"{folder} is no LIBERO demonstration: {IMAGES[0]} is missing")
    if len(contract.cameras) > len(IMAGES):
        raise ImportingError(
            f"the contract has cameras {list(contract.cameras)}, a demonstration {list(IMAGES)}"
        )
    joints, eef, gripper, actions = (
        array(folder / f"{name}.npy")
        for name in ("robot0_joint_pos", "robot0_eef", "robot0_gripper_pos", "actions")
    )
    if eef.ndim != 2 or eef.shape[1] != 7 or actions.shape[:1] != eef.shape[:1] or actions.ndim != 2:
        raise ImportingError(
            f"{folder}: poses of shape {eef.shape}, actions {actions.shape}; (T, 7) expected"
        )
    beside = [name for name in contract.proprioception if name != contract.arm_stream]
    streams = {
        camera: _timed(pictures(folder / name, 4))
        for camera, name in zip(contract.cameras, IMAGES, strict=False)
    }
    streams |= {contract.arm_stream: _timed(joints), "target_pose": _timed(eef)}
    streams |= {name: _timed(gripper.reshape(len(gripper), -1)) for name in beside}
    streams["target_gripper"] = _timed((actions[:, -1:] + 1.0) / 2.0)
    return write_recording(out, contract, streams, task=task, source=f"release {folder.name}")


def _timed(values: Iterable[npt.NDArray[np.generic]]) -> list[Timed]:
    return [Timed(START_NS + index * 10**9 // RATE_HZ, value) for index, value in enumerate(values)]
