"""Regression replay: a recorded episode through the runner, and golden commands."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from bag_factory import episode_messages, write_bag, write_episode_bag
from bundle_factory import write_bundle
from dynamo_policies.cli.main import main
from dynamo_policies.contract import Contract
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.hand_sink import HAND_JOINTS
from dynamo_policies.observation import Pose, Sample, Target
from dynamo_ros.cli.replay import COMMAND
from dynamo_ros.core.divergence import Targets, divergence, target_apart
from dynamo_ros.core.golden import Golden, GoldenError, compare, golden_of
from dynamo_ros.core.replay import Heard, Replayed, ReplayError, Unreadable, replay
from dynamo_ros.core.rollout import PREROLL_NS, rollout
from dynamo_ros.core.runner import Runner
from dynamo_ros.golden_file import read_golden, write_golden
from hand_fixtures import WANTED, all_fingers
from policy_fixtures import CONTRACT, READY, SECOND, IdealStation, Tiny, driving_to, samples_at
from raw_faults import with_gap

GOAL = (0.45, 0.05, 0.3)
PERIOD_NS = CONTRACT.arm.period_ns
TREMBLE_RAD = 1e-6
SAME = {"bag": "b", "bundle": "d", "task": "put_yogurt", "latency_ms": "0", "engine": "eager"}


def runner(deployable: Tiny | None = None) -> Runner:
    return Runner(driving_to(GOAL) if deployable is None else deployable, clock_ns=lambda: 0)


def standing(seconds: float, *, without: str | None = None) -> list[Heard]:
    """Return what comes of an arm that nobody moves; its encoders tremble."""
    times = range(3 * SECOND, 3 * SECOND + round(seconds * SECOND), PERIOD_NS)
    places = itertools.cycle((READY, READY + TREMBLE_RAD))
    return [(time, sample) for time in times for sample in samples_at(time, next(places), without=without)]


class Recorded(IdealStation):
    """Remembers what it measured."""

    def __init__(self) -> None:
        super().__init__(GOAL)
        self.heard: list[Heard] = []

    def advance(self, until_ns: int) -> list[Sample]:
        samples = super().advance(until_ns)
        self.heard += [(sample.stamp_ns, sample) for sample in samples]
        return samples


def test_a_replayed_rollout_commands_what_it_commanded_to_the_bit() -> None:
    station, deployable = Recorded(), driving_to(GOAL)
    done = rollout(station, runner(), "put_yogurt", 0, frames=deployable.frames)
    begun_ns = 3 * SECOND + PREROLL_NS
    heard = [one for one in station.heard if one[0] >= begun_ns]
    replayed = replay(heard, runner(), "put_yogurt")
    assert done.success
    assert replayed.stamps_ns[0] == begun_ns
    assert np.array_equal(replayed.stamps_ns[1:], done.stamps_ns)
    assert np.array_equal(replayed.joints[1:], done.commands)
    assert [one.stop for one in replayed.beginnings] == [None]


def test_the_same_recording_gives_the_same_commands() -> None:
    one, other = (replay(standing(1.5), runner(), "put_yogurt") for _ in range(2))
    assert np.array_equal(one.joints, other.joints)
    assert one.beginnings == other.beginnings


def test_an_arm_that_does_not_follow_stops_the_policy_and_it_begins_anew_at_the_arm() -> None:
    replayed = replay(standing(4.0), runner(), "put_yogurt")
    first, second = replayed.beginnings[:2]
    assert first.stop is not None
    assert first.stop.kind == "tracking"
    place = int(np.searchsorted(replayed.stamps_ns, second.at_ns))
    measured = samples_at(0)[0].value
    assert np.abs(replayed.joints[place] - measured).max() < 0.01
    assert replayed.apart_rad > CONTRACT.arm.tracking_stop_rad


def test_latency_delays_the_first_motion() -> None:
    def first_motion(latency_ns: int) -> int:
        replayed = replay(standing(1.0), runner(), "put_yogurt", latency_ns=latency_ns)
        moved = np.abs(replayed.joints - replayed.joints[0]).max(axis=1) > 1e-6
        return int(replayed.stamps_ns[moved.argmax()])

    assert first_motion(3 * PERIOD_NS) - first_motion(0) == 3 * PERIOD_NS


def test_a_message_that_does_not_fit_trips_its_gate() -> None:
    heard = standing(3.0)
    spoiled: list[Heard] = [
        (at, Unreadable("fixed", "too small"))
        if isinstance(one, Sample) and one.stream == "fixed" and at > 4 * SECOND
        else (at, one)
        for at, one in heard
    ]
    kinds = {one.stop.kind for one in replay(spoiled, runner(), "put_yogurt").beginnings if one.stop}
    assert kinds & {"unreadable", "stale"}


def test_a_recording_without_a_camera_gives_no_commands() -> None:
    with pytest.raises(ReplayError, match="nothing was commanded"):
        replay(standing(1.0, without="wrist"), runner(), "put_yogurt")


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(UnknownNameError, match="juggle"):
        replay(standing(1.0), runner(), "juggle")


def replayed_of(joints: np.ndarray) -> Replayed:
    count = len(joints)
    stamps = np.arange(count) * PERIOD_NS
    zeros = np.zeros((count, 3))
    return Replayed(
        stamps, joints, zeros, np.zeros((count, 4)), np.zeros(count), np.zeros((count, 0)), (), 0, 0, 0, 0.0
    )


def golden(joints: np.ndarray, **about: str) -> Golden:
    return golden_of(replayed_of(joints), CONTRACT.arm.joints, SAME | about)


def test_golden_commands_come_back_from_the_disk_to_the_bit(tmp_path: Path) -> None:
    kept = golden(np.random.default_rng(0).normal(size=(20, 7)))
    write_golden(tmp_path / "g.safetensors", kept)
    again = read_golden(tmp_path / "g.safetensors")
    assert compare(again, kept, tolerance_rad=0.0) == ("", 0.0, True)
    assert again.about == kept.about


def test_a_file_of_something_else_is_no_golden(tmp_path: Path) -> None:
    write_golden(tmp_path / "g.safetensors", golden(np.zeros((2, 7))))
    content = (tmp_path / "g.safetensors").read_bytes().replace(b'"gripper"', b'"flipper"')
    (tmp_path / "g.safetensors").write_bytes(content)
    with pytest.raises(GoldenError, match="no golden commands"):
        read_golden(tmp_path / "g.safetensors")


def test_the_first_joint_beyond_the_tolerance_is_named() -> None:
    joints = np.zeros((50, 7))
    moved = joints.copy()
    moved[10:, 3], moved[20:, 1] = 5e-4, 0.5
    given = compare(golden(moved), golden(joints), tolerance_rad=1e-3)
    assert given.difference.startswith(
        "command 20, 0.400 s after the first: joint2 is 0.500000 rad, golden is 0.0"
    )
    assert compare(golden(moved), golden(joints), tolerance_rad=1e-4).difference.startswith("command 10")
    assert compare(golden(moved), golden(joints), tolerance_rad=1.0) == ("", 0.5, False)


def test_missing_commands_are_a_difference() -> None:
    given = compare(golden(np.zeros((9, 7))), golden(np.zeros((10, 7))), tolerance_rad=1.0)
    assert given.difference == "1 commands fewer than golden"


def test_golden_commands_of_another_replay_are_refused() -> None:
    with pytest.raises(GoldenError, match="bundle 'other' instead of 'd'; task 'juggle' instead of"):
        compare(
            golden(np.zeros((2, 7)), bundle="other", task="juggle"),
            golden(np.zeros((2, 7))),
            tolerance_rad=1.0,
        )


def test_golden_commands_of_another_engine_are_refused(tmp_path: Path) -> None:
    write_golden(tmp_path / "g.safetensors", golden(np.zeros((2, 7)), engine="openvino_bf16"))
    with pytest.raises(GoldenError, match="engine 'eager' instead of 'openvino_bf16'"):
        compare(golden(np.zeros((2, 7))), read_golden(tmp_path / "g.safetensors"), tolerance_rad=1.0)


def test_golden_commands_from_before_engines_were_named_are_of_the_eager_one(tmp_path: Path) -> None:
    old = golden(np.zeros((2, 7)))
    about = {name: value for name, value in old.about.items() if name != "engine"}
    write_golden(tmp_path / "g.safetensors", old._replace(about=about))
    assert compare(old, read_golden(tmp_path / "g.safetensors"), tolerance_rad=0.0).bitwise


def test_divergence_is_from_the_newest_target_that_is_young_enough() -> None:
    turned = [0.0, 0.0, np.sin(0.1), np.cos(0.1)]
    commanded = Targets(
        np.array([0, 100]),
        np.array([[0.0, 0, 0], [0, 0, 1]]),
        np.array([[0.0, 0, 0, 1], turned]),
        np.zeros(2),
        np.zeros((2, 0)),
    )
    wished = Targets(
        np.array([-5, 50, 150, 400]),
        np.zeros((4, 3)),
        np.tile([0.0, 0, 0, 1], (4, 1)),
        np.ones(4),
        np.zeros((4, 0)),
    )
    found = divergence(wished, commanded, max_age_ns=200)
    assert found.stamps_ns.tolist() == [50, 150]
    assert found.metres == pytest.approx([0.0, 1.0])
    assert found.radians == pytest.approx([0.0, 0.2])
    assert found.figures()["gripper elsewhere share"] == 1.0
    assert (
        divergence(wished, commanded._replace(stamps_ns=np.array([900, 950])), max_age_ns=9).figures() == {}
    )


def test_two_targets_are_apart_by_metres_radians_and_grip() -> None:
    one = Target(Pose(np.zeros(3), np.array([0.0, 0, 0, 1])), 0.25)
    other = Target(Pose(np.array([0.3, 0.4, 0.0]), np.array([0.0, 0, np.sin(0.05), np.cos(0.05)])), 1.0)
    assert target_apart(one, other) == pytest.approx((0.5, 0.1, 0.75, np.nan), nan_ok=True)
    fingers = np.zeros(16)
    assert np.isnan(target_apart(one._replace(hand=fingers), other).hand)
    moved = np.eye(16)[3] * -0.4 + np.eye(16)[9] * 0.3
    assert target_apart(one._replace(hand=fingers), other._replace(hand=moved)).hand == pytest.approx(0.4)


def test_divergence_of_a_hand_is_that_of_its_farthest_joint_where_both_have_one() -> None:
    def targets(hand: np.ndarray) -> Targets:
        count = len(hand)
        level = np.tile([0.0, 0, 0, 1], (count, 1))
        return Targets(np.arange(count), np.zeros((count, 3)), level, np.full(count, np.nan), hand)

    commanded, wished = np.zeros((4, 16)), np.zeros((4, 16))
    wished[0, 5], wished[0, 6], wished[3, 15] = -0.7, 0.2, 0.1
    commanded[1], wished[2] = np.nan, np.nan
    found = divergence(targets(wished), targets(commanded), max_age_ns=0)
    assert found.hand == pytest.approx([0.7, np.nan, np.nan, 0.1], nan_ok=True)
    figures = found.figures()
    assert (figures["hand rad median"], figures["hand rad max"]) == pytest.approx((0.4, 0.7))
    assert "gripper elsewhere share" not in figures
    assert (
        "hand rad max" not in divergence(targets(wished * np.nan), targets(commanded), max_age_ns=0).figures()
    )


def test_a_finger_beyond_the_tolerance_is_named() -> None:
    def fingers(hand: np.ndarray) -> Golden:
        names = (*CONTRACT.arm.joints, *HAND_JOINTS["allegro_v4"])
        return golden_of(replayed_of(np.zeros((len(hand), 7)))._replace(hand=hand), names, SAME)

    hand = np.zeros((20, 16))
    moved, silent = hand.copy(), hand.copy()
    moved[12, 5], silent[15] = 0.2, np.nan
    given = compare(fingers(moved), fingers(hand), tolerance_rad=1e-3)
    assert given.difference.startswith("command 12, 0.240 s after the first: ah_joint11 is 0.200000 rad")
    assert given.worst_rad == pytest.approx(0.2)
    given = compare(fingers(silent), fingers(hand), tolerance_rad=1.0)
    assert given.difference.startswith("command 15, 0.300 s after the first: ah_joint00 is nan rad")
    with pytest.raises(GoldenError, match="joints"):
        compare(fingers(hand), golden(np.zeros((20, 7))), tolerance_rad=1.0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, contract: Contract) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle"), contract, GOAL)


def command(*arguments: object) -> int:
    return main(["replay", *map(str, arguments)], [COMMAND])


def test_the_command_holds_a_bag_against_golden_commands(
    episode_bag: Path, bundle: Path, contract: Contract, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, figures, picture = tmp_path / "g.safetensors", tmp_path / "f.json", tmp_path / "p.png"
    assert command(episode_bag, "--bundle", bundle, "--write-golden", kept, "--plot", picture) == 0
    assert picture.stat().st_size > 10_000
    again = command(
        episode_bag, "--bundle", bundle, "--golden", kept, "--tolerance-rad", 0, "--json", figures
    )
    assert again == 0
    assert "equals golden to the bit" in capsys.readouterr().out
    assert json.loads(figures.read_text())["golden"]["bitwise"]
    golden = read_golden(kept)
    golden.joints[30, 2] += 0.01
    write_golden(kept, golden)
    assert command(episode_bag, "--bundle", bundle, "--golden", kept) == 1
    out = capsys.readouterr().out
    assert "differs from golden: command 30, 0.600 s after the first: joint3 is" in out
    other = write_bundle(tmp_path / "other", contract, (0.5, 0.0, 0.3))
    assert command(episode_bag, "--bundle", other, "--golden", kept) == 2
    assert "another replay: bundle" in capsys.readouterr().err


def test_the_command_runs_the_engine_that_is_asked_for(
    episode_bag: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "g.safetensors"
    deployed = (episode_bag, "--bundle", bundle, "--engine", "torch_bf16")
    assert command(*deployed, "--write-golden", kept) == 0
    assert read_golden(kept).about["engine"] == "torch_bf16"
    assert command(*deployed, "--golden", kept, "--tolerance-rad", 0) == 0
    assert command(episode_bag, "--bundle", bundle, "--golden", kept) == 2
    assert "engine 'eager' instead of 'torch_bf16'" in capsys.readouterr().err
    assert command(episode_bag, "--bundle", bundle, "--engine", "steam") == 2
    assert "steam" in capsys.readouterr().err


def test_the_command_tells_where_a_stream_of_the_bag_ended(
    contract: Contract, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loose = dataclasses.replace(contract, arm=dataclasses.replace(contract.arm, tracking_stop_rad=6.0))
    bundle = write_bundle(tmp_path / "bundle", loose, GOAL)
    messages = with_gap(episode_messages(loose, 4.0), contract.streams["wrist"].topic, 30, 45)
    bag = write_bag(tmp_path / "bag", loose, messages)
    assert command(bag, "--bundle", bundle, "--json", tmp_path / "f.json") == 0
    figures = json.loads((tmp_path / "f.json").read_text())
    assert [stop["kind"] for stop in figures["stops"]] == ["stale"]
    assert figures["begun"] == 2
    assert ", stale: wrist is " in capsys.readouterr().out


def test_the_command_compares_the_fingers_of_a_robot_with_a_hand(
    allegro: Contract, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = np.array(all_fingers(WANTED))
    bundle = write_bundle(tmp_path / "bundle", allegro, GOAL, hand=wanted.tolist())
    bag = write_episode_bag(tmp_path / "bag", allegro, seconds=1.0, task="pick_sponge")  # fingers told: 0 rad
    kept, figures, picture = tmp_path / "g.safetensors", tmp_path / "f.json", tmp_path / "p.png"
    assert command(bag, "--bundle", bundle, "--write-golden", kept, "--plot", picture, "--json", figures) == 0
    assert picture.stat().st_size > 10_000
    found = json.loads(figures.read_text())["divergence"]
    assert found["hand rad max"] == pytest.approx(wanted.max(), abs=1e-3)
    assert "gripper elsewhere share" not in found
    assert command(bag, "--bundle", bundle, "--golden", kept, "--tolerance-rad", 0) == 0
    assert "equals golden to the bit" in capsys.readouterr().out
    golden = read_golden(kept)
    golden.hand[20, 2] += 0.01
    write_golden(kept, golden)
    assert command(bag, "--bundle", bundle, "--golden", kept) == 1
    assert "command 20, 0.400 s after the first: ah_joint02 is" in capsys.readouterr().out


def test_a_bag_of_another_contract_is_refused(
    episode_bag: Path, contract: Contract, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_bundle(tmp_path, dataclasses.replace(contract, settle_ms=30.0), GOAL)
    assert command(episode_bag, "--bundle", other) == 2
    assert "settle_ms: 25.0 instead of 30.0" in capsys.readouterr().err
