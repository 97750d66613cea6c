"""Import of Open-Teach's demonstrations and of released LIBERO data: nothing is unpickled."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from bag_factory import joints_at, target_at
from dynamo_policies.bagtools.importing import ImportingError
from dynamo_policies.bagtools.open_teach import import_open_teach
from dynamo_policies.bagtools.release import import_release
from dynamo_policies.cli.bags import COMMAND
from dynamo_policies.cli.main import main
from dynamo_policies.contract import Contract
from dynamo_policies.decode import FrameSettings
from dynamo_policies.episodes import load_episode
from dynamo_policies.streams import ImageStream
from dynamo_policies.verify import verify

WIDTH, HEIGHT, START_S = 64, 48, 1000.03
SMALL = FrameSettings(8)


@pytest.fixture(scope="module")
def open_teach_contract(contract: Contract) -> Contract:
    """The kitchen as Open-Teach would have recorded it: 90 Hz, the gripper among the states."""
    streams = {
        name: replace(stream, width=WIDTH, height=HEIGHT) if isinstance(stream, ImageStream) else stream
        for name, stream in contract.streams.items()
    }
    for name in ("arm", "gripper", "target_pose", "target_gripper"):
        streams[name] = replace(streams[name], rate_hz=90.0)
    streams["gripper"] = replace(streams["gripper"], topic="/gripper")
    return replace(contract, streams=streams)


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return (pytest.fail, ("a pickle was opened",))


def write_h5(file: Path, **datasets: np.ndarray) -> None:
    with h5py.File(file, "w") as content:
        for name, values in datasets.items():
            content.create_dataset(name, data=values, compression="gzip", compression_opts=6)


def write_video(file: Path, count: int) -> None:
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate, stream.gop_size = 8_000_000, 1
        for index in range(count):
            picture = np.full((HEIGHT, WIDTH, 3), 2 * index + 20, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture
def demonstration(open_teach_contract: Contract, tmp_path: Path) -> Path:
    """A folder as Open-Teach leaves it, of two seconds."""
    folder = tmp_path / "demonstration_7"
    folder.mkdir()
    stamps = START_S + np.arange(180) / 90
    elapsed = stamps - START_S
    poses = np.array([target_at(open_teach_contract, t) for t in elapsed])
    vectors = Rotation.from_quat(poses[:, 3:]).as_rotvec()
    cartesian = np.concatenate([poses[:, :3] * 1e3, vectors], axis=1)
    joints = np.array([joints_at(t) for t in elapsed])
    gripper = np.where(elapsed < 1.0, 800.0, 0.0)
    write_h5(folder / "right_xarm_joint_states.h5", joint_positions=joints, timestamps=stamps)
    write_h5(folder / "right_xarm_cartesian_states.h5", cartesian_positions=cartesian, timestamps=stamps)
    write_h5(folder / "right_xarm_gripper_states.h5", gripper_positions=gripper, timestamps=stamps)
    for number in (0, 1):
        write_video(folder / f"cam_{number}_rgb_video.avi", 60)
        (folder / f"cam_{number}_rgb_video.metadata").write_bytes(pickle.dumps(Trap()))
        millis = (START_S + np.arange(60) / 30) * 1e3
        write_h5(folder / f"cam_{number}_depth.h5", depth_images=np.zeros((60, 2, 2)), timestamps=millis)
    return folder


def test_a_demonstration_of_open_teach_becomes_a_bag(
    demonstration: Path, open_teach_contract: Contract, tmp_path: Path
) -> None:
    bag = import_open_teach(demonstration, tmp_path / "bag", open_teach_contract, task="put_yogurt")
    assert verify(bag, open_teach_contract).errors == []
    episode = load_episode(bag, SMALL)
    elapsed = episode.tick_ns / 1e9 - START_S
    expected = np.array([joints_at(t) for t in elapsed])
    np.testing.assert_allclose(episode.state[:, :7], expected, atol=0.1 / 90 + 1e-6)
    assert episode.state[0, 7] == 0.0
    assert episode.state[-1, 7] == pytest.approx(0.85)
    assert (episode.target_gripper[[0, -1]] == [0.0, 1.0]).all()
    targets = np.array([target_at(open_teach_contract, t + 0.1) for t in elapsed])
    np.testing.assert_allclose(episode.target_position, targets[:, :3], atol=2e-3)
    assert (np.abs((episode.target_quaternion * targets[:, 3:]).sum(axis=1)) > 0.9999).all()
    grey = episode.images["wrist"][:, 4, 4, 0].astype(float)
    np.testing.assert_allclose(grey, 20 + 2 * np.floor(elapsed * 30 + 1e-6), atol=3)  # the newest frame
    assert (episode.task, episode.outcome) == ("put_yogurt", "unknown")


def test_without_stamps_the_error_says_how_to_convert_them(
    demonstration: Path, open_teach_contract: Contract, tmp_path: Path
) -> None:
    (demonstration / "cam_1_depth.h5").unlink()
    with pytest.raises(
        ImportingError, match=r"could run code and is not opened.*run: python -c .*numpy\.save"
    ):
        import_open_teach(demonstration, tmp_path / "bag", open_teach_contract, task="put_yogurt")
    assert not (tmp_path / "bag").exists()
    np.save(demonstration / "cam_1_rgb_video.timestamps.npy", (START_S + np.arange(60) / 30) * 1e3)
    assert import_open_teach(demonstration, tmp_path / "bag", open_teach_contract, task="put_yogurt").is_dir()


def test_what_is_wrong_with_a_demonstration_is_said(
    demonstration: Path, open_teach_contract: Contract, tmp_path: Path
) -> None:
    def attempt(reason: str) -> None:
        with pytest.raises(ImportingError, match=reason):
            import_open_teach(demonstration, tmp_path / "bag", open_teach_contract, task="put_yogurt")
        assert not (tmp_path / "bag").exists()

    joints = demonstration / "right_xarm_joint_states.h5"
    sound = joints.read_bytes()
    joints.write_bytes(b"nothing")
    attempt("can't be read")
    joints.unlink()
    attempt("no joint_positions in .*right_xarm_cartesian_states.h5")
    write_h5(joints, joint_positions=np.zeros((180, 7)), timestamps=np.arange(180) / 90)
    attempt("their clocks do not overlap")
    with h5py.File(joints, "w") as content:
        content["joint_positions"] = h5py.ExternalLink("right_xarm_gripper_states.h5", "gripper_positions")
    attempt("no joint_positions")
    joints.write_bytes(sound)
    write_video(demonstration / "cam_0_rgb_video.avi", 50)
    attempt("has 50 frames for 60 stamps")
    (demonstration / "cam_0_rgb_video.avi").write_bytes(b"RIFF" + bytes(100))
    attempt("can't be decoded")


def test_the_command_line_imports(
    demonstration: Path, open_teach_contract: Contract, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "contract.yaml"
    file.write_text(open_teach_contract.to_yaml())
    command = ["bags", "import", "--format", "open-teach", "--contract", str(file), "--task", "put_yogurt"]
    out = ["--out", str(tmp_path / "bags"), str(demonstration)]
    assert main([*command, "--camera", "fixed=1", "--camera", "wrist=0", *out], [COMMAND]) == 0
    assert "demonstration_7: 840 messages" in capsys.readouterr().out
    assert main([*command, "--camera", "fixed", *out], [COMMAND]) == 2
    assert "is not NAME=N" in capsys.readouterr().err


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A LIBERO demonstration as the authors released it."""
    folder = tmp_path / "demo_0"
    folder.mkdir()
    count = 40
    images = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(count, HEIGHT, WIDTH, 3)
    for name in ("agentview_image", "robot0_eye_in_hand_image"):
        torch.save(images.clone(), folder / f"{name}.pth")
    np.save(folder / "robot0_joint_pos.npy", np.tile(joints_at(0.0), (count, 1)))
    np.save(folder / "robot0_eef.npy", np.tile([0.4, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0], (count, 1)))
    np.save(folder / "robot0_gripper_pos.npy", np.full((count, 1), 0.04))
    np.save(folder / "actions.npy", np.tile([0.0] * 6 + [-1.0], (count, 1)))
    return folder


@pytest.fixture(scope="module")
def libero_contract(open_teach_contract: Contract) -> Contract:
    """Everything at 20 Hz."""
    streams = {name: replace(stream, rate_hz=20.0) for name, stream in open_teach_contract.streams.items()}
    return replace(open_teach_contract, streams=streams)


def test_a_released_demonstration_becomes_a_bag(
    released: Path, libero_contract: Contract, tmp_path: Path
) -> None:
    bag = import_release(released, tmp_path / "bag", libero_contract, task="put_yogurt")
    episode = load_episode(bag, SMALL)
    assert len(episode) == 20
    assert (np.diff(episode.images["fixed"][:, 4, 4, 0].astype(int)) == 2).all()
    assert (episode.target_gripper == 0).all()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_pickles_of_a_release_are_not_opened(
    released: Path, libero_contract: Contract, tmp_path: Path
) -> None:
    (released / "agentview_image.pth").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ImportingError, match="can't be read as plain tensors"):
        import_release(released, tmp_path / "bag", libero_contract, task="put_yogurt")
    np.save(released / "actions.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(ImportingError, match="can't be read without unpickling"):
        import_release(released, tmp_path / "bag", libero_contract, task="put_yogurt")


def test_what_is_no_demonstration_is_said(libero_contract: Contract, tmp_path: Path) -> None:
    with pytest.raises(ImportingError, match=r"no LIBERO demonstration: agentview_image\.pth is missing"):
        import_release(tmp_path, tmp_path / "bag", libero_contract, task="put_yogurt")
