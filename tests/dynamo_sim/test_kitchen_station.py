"""The simulated kitchen: its clock, its sensors' rates and quirks, and its start states."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from dynamo_policies.contract import Contract
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.observation import Sample
from dynamo_ros.core.commander import Commander
from dynamo_sim.controllers import RejectedError
from dynamo_sim.xarm_kitchen.station import KitchenStation

SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def blind(contract: Contract) -> KitchenStation:
    """A station that renders nothing; every test resets it."""
    return KitchenStation(contract, render=False)


@pytest.fixture(scope="module")
def seeing(contract: Contract) -> Iterator[KitchenStation]:
    station = KitchenStation(contract)
    yield station
    station.close()


def stamps(samples: list[Sample], stream: str) -> list[int]:
    return [sample.stamp_ns for sample in samples if sample.stream == stream]


def everything(station: KitchenStation) -> np.ndarray:
    poses = [np.concatenate(pose) for pose in station.objects().values()]
    return np.concatenate([*poses, station.joint_positions()])


def test_the_same_seed_gives_the_same_start_and_the_same_future(blind: KitchenStation) -> None:
    runs = []
    for _ in range(2):
        blind.reset("put_yogurt", 7)
        start = everything(blind)
        blind.command_arm([blind.joint_positions() + 0.1], [0.3])
        blind.advance(blind.time_ns + SECOND // 2)
        runs.append(np.concatenate([start, everything(blind)]))
    np.testing.assert_array_equal(runs[0], runs[1])


def test_seeds_and_tasks_give_different_starts(blind: KitchenStation) -> None:
    starts = []
    for task, seed in (("put_yogurt", 0), ("put_yogurt", 1), ("fetch_yogurt", 0), ("fetch_yogurt", 1)):
        blind.reset(task, seed)
        starts.append(everything(blind))
    for i, start in enumerate(starts):
        for other in starts[:i]:
            assert np.abs(start - other).max() > 1e-3


def test_starts_stand_still_and_are_not_done(blind: KitchenStation) -> None:
    for task in ("put_yogurt", "fetch_yogurt"):
        for seed in range(20):
            blind.reset(task, seed)
            before = everything(blind)
            blind.advance(blind.time_ns + SECOND // 2)
            assert np.abs(everything(blind) - before).max() < 2e-4
            assert not blind.outcome().done


def test_the_tasks_start_where_they_should(blind: KitchenStation) -> None:
    blind.reset("put_yogurt", 3)
    objects = blind.objects()
    assert np.abs(objects["yogurt"].position - objects["zone"].position).max() < 0.06
    blind.reset("fetch_yogurt", 3)
    objects = blind.objects()
    assert np.abs(objects["yogurt"].position - objects["slot"].position).max() < 0.002


def test_an_unknown_task_is_refused_with_the_known_ones(blind: KitchenStation) -> None:
    with pytest.raises(UnknownNameError, match=r"'put_yoghurt' is unknown; did you mean 'put_yogurt'\?"):
        blind.reset("put_yoghurt", 0)


def test_time_goes_on_over_a_reset_and_never_beyond_what_was_asked(blind: KitchenStation) -> None:
    blind.reset("put_yogurt", 0)
    start = blind.time_ns
    blind.advance(start + 3_000_001)
    assert blind.time_ns == start + 2_000_000
    blind.reset("put_yogurt", 1)
    assert blind.time_ns == start + 2_000_000
    assert blind.outcome().elapsed_s == 0.0


def test_a_reset_clears_what_was_commanded(blind: KitchenStation) -> None:
    blind.reset("put_yogurt", 0)
    blind.command_arm([blind.joint_positions() + 1.0], [2.0])
    blind.command_gripper(0.85)
    blind.advance(blind.time_ns + SECOND // 2)
    blind.reset("put_yogurt", 0)
    start = blind.joint_positions()
    blind.advance(blind.time_ns + SECOND)
    assert np.abs(blind.joint_positions() - start).max() < 1e-3
    assert blind.gripper_status() == pytest.approx((0.0, False), abs=1e-3)


def test_samples_come_at_the_contracts_rates_without_drift(
    seeing: KitchenStation, contract: Contract
) -> None:
    seeing.reset("put_yogurt", 0)
    start = seeing.time_ns
    samples = seeing.advance(start + 2 * SECOND)
    assert [sample.stamp_ns for sample in samples] == sorted(sample.stamp_ns for sample in samples)
    for name in ("fixed", "wrist", "arm"):
        times = np.array(stamps(samples, name)) - start
        period = 1e9 / contract.streams[name].rate_hz
        assert abs(len(times) - 2e9 / period) <= 1
        np.testing.assert_allclose(np.diff(times), period, atol=2e6 + 1)
        assert (np.array(stamps(samples, name)) % period < 2e6).all()


def test_pictures_are_of_the_contracts_size_and_show_different_things(seeing: KitchenStation) -> None:
    seeing.reset("put_yogurt", 0)
    samples = seeing.advance(seeing.time_ns + SECOND // 10)
    fixed, wrist = ([s.value for s in samples if s.stream == name][-1] for name in ("fixed", "wrist"))
    for image in (fixed, wrist):
        assert image.shape == (128, 128, 3)
        assert image.dtype == np.uint8
        assert image.std() > 20
        red = (image[..., 0] > 120) & (image[..., 1] < 70) & (image[..., 2] < 80)
        assert red.sum() > 25  # the yogurt is seen
    assert np.abs(fixed.astype(float) - wrist.astype(float)).mean() > 10


def test_a_picture_shows_the_moment_of_its_stamp(seeing: KitchenStation) -> None:
    seeing.reset("put_yogurt", 0)
    first = [s for s in seeing.advance(seeing.time_ns + SECOND // 10) if s.stream == "wrist"][-1]
    q = seeing.joint_positions()
    q[6] += 0.5
    seeing.command_arm([q], [0.5])
    later = [s for s in seeing.advance(seeing.time_ns + SECOND) if s.stream == "wrist"][-1]
    assert np.abs(first.value.astype(float) - later.value.astype(float)).mean() > 5


def test_only_the_contracts_cameras_are_rendered(contract: Contract) -> None:
    streams = {name: stream for name, stream in contract.streams.items() if name != "fixed"}
    station = KitchenStation(dataclasses.replace(contract, streams=streams))
    samples = station.advance(SECOND // 10)
    station.close()
    assert {sample.stream for sample in samples} == {"wrist", "arm", "gripper"}


def test_a_camera_that_the_scene_lacks_is_refused(contract: Contract) -> None:
    streams = {"side" if name == "fixed" else name: stream for name, stream in contract.streams.items()}
    with pytest.raises(UnknownNameError, match=r"camera 'side' is unknown.*\(known: fixed, wrist\)"):
        KitchenStation(dataclasses.replace(contract, streams=streams))


def test_the_gripper_speaks_as_its_driver_does(blind: KitchenStation) -> None:
    blind.reset("put_yogurt", 0)
    start = blind.time_ns
    idle = blind.advance(start + 2 * SECOND)
    assert (np.diff(stamps(idle, "gripper")) // 10_000_000).tolist() == pytest.approx([50] * 4, abs=1)
    blind.command_gripper(0.85)
    moving = [sample for sample in blind.advance(start + 4 * SECOND) if sample.stream == "gripper"]
    assert 15 <= len(moving) <= 20
    assert moving[-1].value.tolist() == pytest.approx([0.85], abs=0.01)
    assert stamps(blind.advance(start + 6 * SECOND), "gripper") == []


def test_the_arm_arrives_where_it_is_sent(blind: KitchenStation) -> None:
    blind.reset("put_yogurt", 0)
    goal = blind.joint_positions() + 0.2
    blind.command_arm([goal], [0.5])
    blind.advance(blind.time_ns + SECOND // 2)
    assert 1e-3 < blind.tracking_error_m() < 0.05  # it lags…
    blind.advance(blind.time_ns + SECOND)
    np.testing.assert_allclose(blind.joint_positions(), goal, atol=2e-3)  # …but gets there
    assert np.abs(blind.joint_velocity()).max() < 1e-2
    assert np.abs(blind.joint_effort()).max() > 0.0


@pytest.mark.parametrize("braking", [True, False])
def test_an_arm_whose_commands_cease_brakes_softly_only_where_they_hold_how(
    blind: KitchenStation, contract: Contract, *, braking: bool
) -> None:
    arm, period_s = contract.arm, contract.arm.period_ns / 1e9
    blind.reset("put_yogurt", 0)
    commander = Commander(contract)
    commander.start(blind.joint_positions(), blind.time_ns)
    for _ in range(30):
        commander.jog([0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], 0.0, blind.time_ns + SECOND)
        commander.observe(blind.joint_positions(), blind.time_ns)
        command = commander.step(blind.time_ns)
        assert command is not None
        way = np.vstack([command.joints, *([command.braking] if braking else [])])
        blind.command_arm(way, period_s * np.arange(1, len(way) + 1))
        blind.advance(blind.time_ns + arm.period_ns)
    places = [blind.joint_positions()[0]]
    for _ in range(40):
        blind.advance(blind.time_ns + arm.period_ns // 2)
        places.append(blind.joint_positions()[0])
    hardest = np.abs(np.diff(places, n=2)).max() / (period_s / 2) ** 2
    assert places[-1] == pytest.approx(way[-1, 0], abs=5e-3)
    assert (hardest < 1.5 * arm.acceleration_rad_s2[0]) == braking


def test_a_rejected_trajectory_changes_nothing(blind: KitchenStation) -> None:
    blind.reset("put_yogurt", 0)
    start = blind.joint_positions()
    with pytest.raises(RejectedError, match="not finite"):
        blind.command_arm([np.full(7, np.nan)], [0.1])
    blind.advance(blind.time_ns + SECOND // 2)
    np.testing.assert_allclose(blind.joint_positions(), start, atol=1e-3)
