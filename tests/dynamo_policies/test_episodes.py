"""Bags to episodes, held against the live aligner."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bag_factory import (
    START_NS,
    Raw,
    episode_messages,
    joints_at,
    stream_messages,
    target_at,
    write_bag,
    write_episode_bag,
)
from dynamo_policies.align import Aligner
from dynamo_policies.bags import BagError, bag_hash, samples
from dynamo_policies.contract import Contract
from dynamo_policies.decode import DecodeError, Decoder, FrameSettings
from dynamo_policies.episodes import Episode, load_episode
from dynamo_policies.errors import ConfigError
from dynamo_policies.kinematics import tool_poses

FRAMES = FrameSettings(16)
PERIOD_NS = 100_000_000
FIXED = "/fixed/camera/color/image_raw"


@pytest.fixture(scope="module")
def episode(episode_bag: Path) -> Episode:
    return load_episode(episode_bag, FRAMES)


def without(contract: Contract, seconds: float, gone: Callable[[Raw], bool]) -> list[Raw]:
    """Return the messages of an episode less those that are `gone`."""
    return [raw for raw in episode_messages(contract, seconds) if not gone(raw)]


def elapsed(raw: Raw) -> float:
    return (raw.receive_ns - START_NS) / 1e9


def test_an_episode_is_what_the_live_aligner_sees(episode: Episode, episode_bag: Path) -> None:
    aligner = Aligner(episode.contract)
    waiting = list(samples(episode_bag, Decoder(episode.contract, FRAMES)))
    for i, tick in enumerate(episode.tick_ns.tolist()):
        # Live, what was received until a settling time after the tick is known.
        while waiting and waiting[0].stamp_ns <= tick + episode.contract.settle_ns:
            aligner.push(waiting.pop(0))
        live = aligner.observe(tick)
        assert live.valid == episode.valid[i]
        np.testing.assert_array_equal(live.state, episode.state[i])
        assert list(live.images) == list(episode.images)
        for camera, image in live.images.items():
            np.testing.assert_array_equal(image, episode.images[camera][i])


def test_ticks_lie_on_the_absolute_grid_and_cover_the_episode(episode: Episode) -> None:
    first = -(-START_NS // PERIOD_NS) * PERIOD_NS
    # The last target is stamped 1.98 s after the start, and a tick needs one a period later.
    last = (START_NS + 2_000_000_000 - PERIOD_NS) // PERIOD_NS * PERIOD_NS
    np.testing.assert_array_equal(episode.tick_ns, np.arange(first, last + 1, PERIOD_NS))
    assert episode.valid.all()


def test_the_action_of_a_tick_is_the_target_of_one_period_later(episode: Episode, contract: Contract) -> None:
    for i, tick in enumerate(episode.tick_ns.tolist()):
        stamp_s = (tick + PERIOD_NS - START_NS) // 20_000_000 * 0.02  # targets come every 20 ms
        expected = target_at(contract, stamp_s)
        np.testing.assert_allclose(episode.target_position[i], expected[:3], atol=1e-9)
        turn = Rotation.from_quat(episode.target_quaternion[i]) * Rotation.from_quat(expected[3:]).inv()
        assert turn.magnitude() < 1e-6
        assert episode.target_gripper[i] == float(stamp_s % 2.0 > 1.0)


def test_the_measured_pose_is_the_forward_kinematics_of_the_state(
    episode: Episode, contract: Contract
) -> None:
    position, quaternion = tool_poses(contract, episode.state)
    np.testing.assert_array_equal(episode.measured_position, position)
    np.testing.assert_array_equal(episode.measured_quaternion, quaternion)
    stamp_s = (episode.tick_ns[0] - START_NS) // 10_000_000 * 0.01
    np.testing.assert_allclose(episode.state[0, :7], joints_at(stamp_s), atol=1e-6)


def test_an_episode_says_where_it_is_from(episode: Episode, episode_bag: Path, contract: Contract) -> None:
    assert (episode.path, episode.task, episode.outcome) == (episode_bag, "put_yogurt", "success")
    assert episode.contract == contract
    assert episode.bag_hash == bag_hash(episode_bag)
    assert len(episode) == len(episode.tick_ns)
    assert {camera: images.shape for camera, images in episode.images.items()} == {
        "fixed": (len(episode), 16, 16, 3),
        "wrist": (len(episode), 16, 16, 3),
    }


def test_a_camera_that_stops_makes_ticks_invalid_but_keeps_them(contract: Contract, tmp_path: Path) -> None:
    messages = without(contract, 2.0, lambda raw: raw.topic == FIXED and 0.6 < elapsed(raw) < 1.2)
    episode = load_episode(write_bag(tmp_path / "bag", contract, messages), FRAMES)
    assert (np.diff(episode.tick_ns) == PERIOD_NS).all()
    seconds = (episode.tick_ns - START_NS) / 1e9
    np.testing.assert_array_equal(~episode.valid, (seconds > 0.6 + 0.149) & (seconds < 1.2))
    last_seen = episode.images["fixed"][seconds < 0.62][-1]
    assert (episode.images["fixed"][~episode.valid] == last_seen).all()


def test_ticks_without_a_target_are_left_out(contract: Contract, tmp_path: Path) -> None:
    messages = without(
        contract, 2.0, lambda raw: raw.topic == "/dynamo/target_pose" and 0.5 < elapsed(raw) < 1.2
    )
    episode = load_episode(write_bag(tmp_path / "bag", contract, messages), FRAMES)
    seconds = (episode.tick_ns - START_NS) / 1e9 + 0.1
    assert not ((seconds > 0.5 + 0.2) & (seconds < 1.2)).any()
    assert np.diff(episode.tick_ns).max() == 6 * PERIOD_NS


def test_the_first_tick_waits_for_the_last_stream(contract: Contract, tmp_path: Path) -> None:
    messages = without(contract, 2.0, lambda raw: raw.topic == FIXED and elapsed(raw) < 0.75)
    episode = load_episode(write_bag(tmp_path / "bag", contract, messages), FRAMES)
    assert (episode.tick_ns[0] - START_NS) / 1e9 == pytest.approx(0.77)
    assert episode.valid[0]


def test_a_latency_shifts_what_a_tick_sees(contract: Contract, tmp_path: Path) -> None:
    late = replace(contract.streams["fixed"], latency_ms=50.0)
    other = replace(contract, streams={**contract.streams, "fixed": late})
    episode = load_episode(write_episode_bag(tmp_path / "bag", other), FRAMES)
    index = episode.images["fixed"][:, 0, 0, 0].astype(int)
    # The image of a tick is the newest one stamped 50 ms after it or earlier.
    np.testing.assert_array_equal(index, (episode.tick_ns + 50_000_000 - START_NS) // 33_333_333)


def test_duplicated_messages_change_nothing(contract: Contract, tmp_path: Path, episode: Episode) -> None:
    messages = episode_messages(contract, 2.0)
    again = [raw._replace(receive_ns=raw.receive_ns + 1_000_000) for raw in messages]
    doubled = load_episode(write_bag(tmp_path / "bag", contract, [*messages, *again]), FRAMES)
    np.testing.assert_array_equal(doubled.tick_ns, episode.tick_ns)
    np.testing.assert_array_equal(doubled.state, episode.state)
    np.testing.assert_array_equal(doubled.images["wrist"], episode.images["wrist"])


def test_images_that_no_tick_selects_are_not_decoded(
    contract: Contract, tmp_path: Path, episode: Episode
) -> None:
    messages = episode_messages(contract, 2.0)
    selected = set(episode.images["fixed"][:, 0, 0, 0].tolist())
    index = 0
    for i, raw in enumerate(messages):
        if raw.topic == FIXED:
            if index not in selected:
                messages[i] = raw._replace(data=raw.data[:40])  # the header, and no image
            index += 1
    broken = load_episode(write_bag(tmp_path / "bag", contract, messages), FRAMES)
    np.testing.assert_array_equal(broken.images["fixed"], episode.images["fixed"])


def test_a_stream_that_never_came_is_an_error_with_the_counts(contract: Contract, tmp_path: Path) -> None:
    path = write_bag(tmp_path / "bag", contract, without(contract, 0.5, lambda raw: raw.topic == FIXED))
    with pytest.raises(BagError, match=r"no tick at which .* samples: \{'fixed': 0, 'wrist': 15"):
        load_episode(path, FRAMES)
    with pytest.raises(BagError, match="no tick"):
        load_episode(write_bag(tmp_path / "empty", contract, []), FRAMES)


def test_a_message_that_does_not_fit_is_an_error(contract: Contract, tmp_path: Path) -> None:
    small = replace(contract.streams["fixed"], width=64)
    other = replace(contract, streams={**contract.streams, "fixed": small})
    messages = [
        *without(contract, 0.5, lambda raw: raw.topic == FIXED),
        *stream_messages(other, "fixed", 0.5),
    ]
    with pytest.raises(DecodeError, match="image of 64x128 given, the contract expects 128x128"):
        load_episode(write_bag(tmp_path / "bag", contract, messages), FRAMES)


def test_a_contract_without_targets_is_an_error(contract: Contract, tmp_path: Path) -> None:
    streams = {name: stream for name, stream in contract.streams.items() if name != "target_pose"}
    path = write_episode_bag(tmp_path / "bag", replace(contract, streams=streams), seconds=0.3)
    with pytest.raises(ConfigError, match=r"'target_pose', a PoseStream .* are \['target_gripper'\]"):
        load_episode(path, FRAMES)
