"""The kitchen, block pushing and push-T sets of the authors' release, in folders of their exact layout."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from dynamo_policies.bagtools.importing import ImportingError
from dynamo_policies.bagtools.release_sets import import_set, is_set
from dynamo_policies.cli.bags import COMMAND
from dynamo_policies.cli.main import main
from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.decode import FrameSettings
from dynamo_policies.episodes import Episode, load_episode
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.kinematics import chain, placement
from dynamo_policies.streams import ImageStream
from dynamo_policies.verify import verify

RELEASED = Path(__file__).parents[2] / "config" / "released"
SIZE = 16
LENGTHS = (30, 24)
LONGEST = 34  # the arrays are padded
FINGERS = (0.04, 0.0)


class Trap:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return (pytest.fail, ("a pickle was opened",))


def small(name: str) -> Contract:
    contract = load_contract(RELEASED / f"{name}.yaml")
    streams = {
        key: replace(stream, width=SIZE, height=SIZE) if isinstance(stream, ImageStream) else stream
        for key, stream in contract.streams.items()
    }
    return replace(contract, streams=streams)


def frames(length: int, *others: int) -> torch.Tensor:
    """Images that tell their number by their brightness."""
    steps = torch.arange(length, dtype=torch.uint8) * 5
    return steps.reshape(-1, *[1] * len(others)).expand(length, *others).clone()


def mask() -> np.ndarray:
    return (np.arange(LONGEST) < np.array(LENGTHS)[:, None]).astype(np.float32)


def paths(width: int) -> np.ndarray:
    """Values (N, T, width) that tell episode, step and place."""
    n, t, d = np.meshgrid(range(len(LENGTHS)), range(LONGEST), range(width), indexing="ij")
    return (0.3 + 0.05 * n + 0.002 * t + 0.01 * d).astype(np.float32)


@pytest.fixture
def kitchen(tmp_path: Path) -> Path:
    folder = tmp_path / "kitchen"
    (folder / "obses").mkdir(parents=True)
    observed = paths(60)
    observed[..., 3] -= 2.0  # the elbow's range
    observed[..., 7:9] = np.where(np.arange(LONGEST) < 15, *FINGERS)[None, :, None]
    np.save(folder / "observations_seq.npy", observed.swapaxes(0, 1))
    np.save(folder / "actions_seq.npy", np.zeros((LONGEST, 2, 9), np.float32))
    np.save(folder / "existence_mask.npy", mask().T)
    torch.save(torch.zeros(LONGEST, 2, 7), folder / "onehot_goals.pth")
    for number, length in enumerate(LENGTHS):
        torch.save(frames(length, 1, 3, SIZE, SIZE), folder / "obses" / f"{number:03d}.pth")
    return folder


@pytest.fixture
def block_push(tmp_path: Path) -> Path:
    folder = tmp_path / "block_push"
    (folder / "obs_multiview").mkdir(parents=True)
    np.save(folder / "multimodal_push_observations.npy", paths(16))
    np.save(folder / "multimodal_push_actions.npy", np.full((2, LONGEST, 2), 0.003, np.float32))
    np.save(folder / "multimodal_push_masks.npy", mask())
    for number in range(2):
        images = frames(LONGEST, 2, SIZE, SIZE, 3)  # as long as the padding
        torch.save(images, folder / "obs_multiview" / f"{number:03d}.pth")
    return folder


@pytest.fixture
def push_t(tmp_path: Path) -> Path:
    folder = tmp_path / "push_t"
    (folder / "obses").mkdir(parents=True)
    torch.save(torch.from_numpy(paths(5) * 1e3), folder / "states.pth")
    torch.save(torch.from_numpy(paths(2) * 1e3 + 7.0), folder / "abs_actions.pth")
    torch.save(torch.zeros(2, LONGEST, 2), folder / "rel_actions.pth")
    (folder / "seq_lengths.pkl").write_bytes(pickle.dumps(Trap()))
    for number, length in enumerate(LENGTHS):
        torch.save(frames(length, SIZE, SIZE, 3), folder / "obses" / f"episode_{number:03d}.pth")
    return folder


def imported(folder: Path, name: str, task: str) -> list[Episode]:
    contract = small(name)
    bags = list(import_set(folder, folder.parent / "bags", contract, task=task))
    assert [bag.name for bag in bags] == [f"{folder.name}_000", f"{folder.name}_001"]
    for bag in bags:
        assert verify(bag).errors == []
    return [load_episode(bag, FrameSettings(SIZE)) for bag in bags]


def brightness(episode: Episode, camera: str) -> np.ndarray:
    return episode.images[camera][:, 4, 4, 0].astype(int)


def test_push_t_keeps_agent_actions_and_images_step_by_step(push_t: Path) -> None:
    episodes = imported(push_t, "push_t", "push_t")
    for number, (episode, length) in enumerate(zip(episodes, LENGTHS, strict=True)):
        assert len(episode) == length
        agent = paths(5)[number, :length, :2]
        np.testing.assert_allclose(episode.state, agent, atol=1e-6)
        np.testing.assert_allclose(episode.measured_position[:, :2], agent, atol=1e-6)
        np.testing.assert_allclose(episode.target_position[:, :2], agent + 0.007, atol=1e-6)
        np.testing.assert_array_equal(brightness(episode, "top"), 5 * np.arange(length))


def test_block_pushing_adds_actions_to_where_the_effector_was_told_to_be(block_push: Path) -> None:
    episodes = imported(block_push, "block_push", "push_blocks")
    for number, (episode, length) in enumerate(zip(episodes, LENGTHS, strict=True)):
        assert len(episode) == length
        observed = paths(16)[number, :length]
        np.testing.assert_allclose(episode.state, observed[:, 6:8], atol=1e-6)
        np.testing.assert_allclose(episode.target_position[:, :2], observed[:, 8:10] + 0.003, atol=1e-6)
        assert list(episode.images) == ["front", "side"]


def test_the_kitchens_targets_are_the_poses_and_fingers_of_the_next_step(kitchen: Path) -> None:
    episodes = imported(kitchen, "kitchen", "relay_kitchen")
    for episode, length in zip(episodes, LENGTHS, strict=True):
        assert len(episode) == length
        assert episode.state.shape == (length, 9)
        np.testing.assert_allclose(episode.target_position[:-1], episode.measured_position[1:], atol=1e-5)
        closed = np.arange(length) >= 14  # decided a step before they are measured so
        np.testing.assert_allclose(episode.target_gripper, closed, atol=1e-6)
        np.testing.assert_array_equal(brightness(episode, "fixed"), 5 * np.arange(length))


def test_the_panda_is_where_its_maker_says() -> None:
    ready = [0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4]
    position, rotation = chain("panda").forward(ready, tool_offset_m=0.107 + 0.1034)
    np.testing.assert_allclose(position, [0.3069, 0.0, 0.4869], atol=2e-4)
    hand = rotation @ Rotation.from_euler("z", -np.pi / 4).as_matrix()  # how it is mounted to the flange
    np.testing.assert_allclose(hand, np.diag([1.0, -1.0, -1.0]), atol=1e-9)


def test_a_plane_is_no_robot_to_command() -> None:
    position, rotation = placement("plane").forward([[0.1, 0.2]])
    np.testing.assert_array_equal(position, [[0.1, 0.2, 0.0]])
    np.testing.assert_array_equal(rotation, np.eye(3)[None])
    with pytest.raises(UnknownNameError, match="kinematics 'plane' is unknown"):
        chain("plane")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_what_is_wrong_with_a_set_is_said_and_no_pickle_is_opened(push_t: Path, kitchen: Path) -> None:
    def attempt(folder: Path, name: str, task: str, reason: str) -> None:
        with pytest.raises(ImportingError, match=reason):
            list(import_set(folder, folder.parent / "bad", small(name), task=task))

    attempt(kitchen.parent, "push_t", "push_t", r"none of the released sets: kitchen \(observations_seq")
    attempt(push_t, "block_push", "push_blocks", r"has 1 views, the contract the cameras \['front', 'side'\]")
    (push_t / "obses" / "episode_000.pth").write_bytes(pickle.dumps(Trap()))
    attempt(push_t, "push_t", "push_t", "can't be read as plain tensors")
    torch.save(frames(LONGEST + 1, SIZE, SIZE, 3), push_t / "obses" / "episode_000.pth")
    attempt(push_t, "push_t", "push_t", "has 35 images, but states for 34 steps")
    torch.save(frames(9, SIZE, 3), push_t / "obses" / "episode_000.pth")
    attempt(push_t, "push_t", "push_t", r"shape \(9, 16, 3\), not images: uint8 with 4 dimensions")
    torch.save(frames(9, 1, 3, SIZE, SIZE), kitchen / "obses" / "000.pth")
    attempt(kitchen, "kitchen", "relay_kitchen", "episode 0 has 30 steps, but 9 images")
    np.save(kitchen / "existence_mask.npy", 1 - mask().T)
    attempt(kitchen, "kitchen", "relay_kitchen", "mask of the steps is not 1 up to the end")
    np.save(kitchen / "observations_seq.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    attempt(kitchen, "kitchen", "relay_kitchen", "can't be read without unpickling")
    np.save(kitchen / "observations_seq.npy", np.zeros((4, 2, 30)))
    attempt(kitchen, "kitchen", "relay_kitchen", r"has shape \(4, 2, 30\); \('any', 'any', 60\) expected")


def test_the_command_line_imports_a_set(push_t: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contract = push_t.parent / "contract.yaml"
    contract.write_text(small("push_t").to_yaml())
    assert is_set(push_t)
    command = ["bags", "import", "--format", "dynamo-release", "--contract", str(contract)]
    out = ["--task", "push_t", "--out", str(push_t.parent / "bags"), str(push_t)]
    assert main([*command, *out], [COMMAND]) == 0
    shown = capsys.readouterr().out
    assert "push_t_000: 90 messages" in shown
    assert "push_t_001: 72 messages" in shown
