"""Import of Open-Teach demonstrations of an xArm.

A folder `demonstration_N` holds `cam_<i>_rgb_video.avi` with a pickle of its stamps, `cam_<i>_depth.h5` with
the same camera's stamps in ms, and `<robot>_<key>.h5` with stamps in s (aadhithya14/Open-Teach, 4615033).
Pickles can run code and are never opened: the stamps of a video come from the depth file of its camera, or
from an .npy file that its user has made of the pickle.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dynamo_policies.bagtools.importing import ImportingError, Timed, write_recording
from dynamo_policies.contract import Contract
from dynamo_policies.streams import JointStream

GRIPPER_OPEN = 800.0  # Open-Teach's xArm gripper: 0 closed to 800 open
LARGEST = 50_000_000  # values of a dataset
CONVERT = (
    "python -c \"import pickle, numpy; numpy.save('{npy}', numpy.asarray(pickle.load(open('{pickle}', 'rb'))"
    "['timestamps'], dtype=float))\""
)
FloatArray = npt.NDArray[np.float64]


def import_open_teach(
    folder: Path,
    out: Path,
    contract: Contract,
    *,
    task: str,
    cameras: Mapping[str, int] | None = None,
    robot: str = "right_xarm",
) -> Path:
    """Write the demonstration in `folder` as the bag `out`.

    `cameras` says which number each camera of the contract had; in order from 0 without it. Joints are rad;
    the target pose is the measured one (cartesian_positions: mm and rotation vector, rad), as in the authors'
    data; the gripper's 0 to 800 becomes the contract's range.

    Raises:
        ImportingError: a file or dataset is missing or damaged, stamps can't be had without a pickle, or
            the clocks of robot and cameras do not overlap.
        CopyError: `out` exists.
    """
    if importlib.util.find_spec("h5py") is None:
        raise ImportingError("Open-Teach's files need h5py: pip install 'dynamo_policies[import]'")
    if not folder.is_dir():
        raise ImportingError(f"{folder} is no folder")
    numbers = (
        dict(zip(contract.cameras, range(len(contract.cameras)), strict=True)) if cameras is None else cameras
    )
    joints, poses, gripper = (
        _read(folder, robot, name) for name in ("joint_positions", "cartesian_positions", "gripper_positions")
    )
    stamps = {camera: _video_stamps(folder, number) for camera, number in numbers.items()}
    _check_clocks(joints[0], stamps)
    streams = {
        **{camera: _frames(_video(folder, number), stamps[camera]) for camera, number in numbers.items()},
        contract.arm_stream: _timed(*joints),
        _gripper_stream(contract): _timed(gripper[0], _measured_gripper(contract, gripper[1])),
        "target_pose": _timed(poses[0], _poses(folder, poses[1])),
        "target_gripper": _timed(gripper[0], 1.0 - gripper[1].reshape(-1, 1) / GRIPPER_OPEN),
    }
    return write_recording(out, contract, streams, task=task, source=f"Open-Teach {folder.name}")


def _read(folder: Path, robot: str, name: str) -> tuple[FloatArray, FloatArray]:
    """Return stamps (N,) s and values (N, …) of the dataset `name`, in whichever file of the robot it is."""
    files = sorted(folder.glob(f"{robot}_*.h5"))
    for file in files:
        found = _datasets(file, (name, "timestamps"))
        if name in found and "timestamps" in found:
            stamps, values = found["timestamps"].reshape(-1), found[name]
            if len(stamps) != len(values) or not len(stamps):
                raise ImportingError(f"{file}: {len(stamps)} timestamps for {len(values)} {name}")
            return stamps, values
    raise ImportingError(f"no {name} in {[file.name for file in files] or f'{robot}_*.h5'} of {folder}")


def _datasets(file: Path, names: tuple[str, ...]) -> dict[str, FloatArray]:
    """Return the plain numeric datasets among `names`; links to other files are not followed."""
    import h5py

    try:
        with h5py.File(file, "r") as content:
            hard = [name for name in names if isinstance(content.get(name, getlink=True), h5py.HardLink)]
            return {name: _values(file, name, content[name]) for name in hard}
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ImportingError(f"{file} can't be read: {error}") from error


def _values(file: Path, name: str, dataset: Any) -> FloatArray:
    if not hasattr(dataset, "dtype") or dataset.dtype.kind not in "fiu" or dataset.size > LARGEST:
        raise ImportingError(f"{file}: {name} is no dataset of numbers, or has more than {LARGEST} of them")
    values = np.asarray(dataset, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ImportingError(f"{file}: {name} holds values that are not finite")
    return values


def _video(folder: Path, number: int) -> Path:
    return folder / f"cam_{number}_rgb_video.avi"


def _video_stamps(folder: Path, number: int) -> FloatArray:
    """Return the stamps of the video's frames, s."""
    video = _video(folder, number)
    if not video.is_file():
        raise ImportingError(
            f"{video.name} is missing in {folder}; it has {sorted(p.name for p in folder.iterdir())}"
        )
    converted = video.with_suffix(".timestamps.npy")
    if converted.is_file():
        return _converted(converted)
    depth = folder / f"cam_{number}_depth.h5"
    if depth.is_file():
        found = _datasets(depth, ("timestamps",))
        if "timestamps" in found:
            return found["timestamps"].reshape(-1) / 1e3
    command = CONVERT.format(npy=converted, pickle=video.with_suffix(".metadata"))
    raise ImportingError(
        f"{video}: its stamps are in a pickle, which could run code and is not opened, and there is no "
        f"{depth.name}. If you trust whoever recorded it, run: {command}"
    )


def _converted(file: Path) -> FloatArray:
    try:
        return np.asarray(np.load(file, allow_pickle=False), dtype=np.float64).reshape(-1) / 1e3
    except (OSError, ValueError, EOFError) as error:
        raise ImportingError(f"{file} is no .npy file of numbers: {error}") from error


def _check_clocks(robot: FloatArray, cameras: Mapping[str, FloatArray]) -> None:
    for camera, stamps in cameras.items():
        if not len(stamps) or stamps.min() > robot.max() or robot.min() > stamps.max():
            seen = f"{stamps.min():.3f} to {stamps.max():.3f} s" if len(stamps) else "no frames"
            raise ImportingError(
                f"camera {camera!r} has {seen}, the robot {robot.min():.3f} to {robot.max():.3f} s: "
                "their clocks do not overlap"
            )


def _frames(video: Path, stamps: FloatArray) -> Iterator[Timed]:
    count = 0
    try:
        with av.open(str(video)) as container:
            for frame in container.decode(video=0):
                if count == len(stamps):
                    raise ImportingError(
                        f"{video} has more frames than the {len(stamps)} stamps given for it"
                    )
                yield Timed(_nanoseconds(stamps[count]), frame.to_ndarray(format="rgb24"))
                count += 1
    except (av.FFmpegError, IndexError) as error:
        raise ImportingError(f"{video} can't be decoded: {error}") from error
    if count < len(stamps):
        raise ImportingError(f"{video} has {count} frames for {len(stamps)} stamps")


def _timed(stamps: FloatArray, values: FloatArray) -> list[Timed]:
    order = np.argsort(stamps, kind="stable")
    return [Timed(_nanoseconds(stamps[index]), values[index]) for index in order]


def _nanoseconds(seconds: float) -> int:
    return round(float(seconds) * 1e9)


def _gripper_stream(contract: Contract) -> str:
    names = [name for name in contract.proprioception if name != contract.arm_stream]
    if len(names) != 1 or not isinstance(contract.streams[names[0]], JointStream):
        raise ImportingError(f"the contract has {names} beside the arm's joints; one gripper is possible")
    return names[0]


def _measured_gripper(contract: Contract, positions: FloatArray) -> FloatArray:
    closed = 1.0 - positions.reshape(-1, 1) / GRIPPER_OPEN
    gripper = contract.need_gripper("an Open-Teach recording of an xArm")
    return gripper.open + (gripper.closed - gripper.open) * closed


def _poses(folder: Path, values: FloatArray) -> FloatArray:
    """Return x y z (m) and quaternions out of mm and rotation vectors, (N, 7)."""
    if values.ndim != 2 or values.shape[1] != 6:
        raise ImportingError(f"cartesian_positions of {folder} have shape {values.shape}; (N, 6) is expected")
    return np.concatenate([values[:, :3] / 1e3, Rotation.from_rotvec(values[:, 3:]).as_quat()], axis=1)
