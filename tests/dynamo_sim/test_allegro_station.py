"""The simulated Allegro station: its hand is the contract's, its drivers behave as the real ones do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.hand_sink import HAND_JOINTS
from dynamo_policies.streams import JointStream
from dynamo_ros.core.allegro import FINGERS, HOME_RAD, KINEMATICS, THUMB_FIRST, finger_slice
from dynamo_ros.core.graphics import mujoco
from dynamo_ros.core.station import HandStation
from dynamo_sim.allegro_manipulation.expert import AllegroExpert
from dynamo_sim.allegro_manipulation.hand import MOUNT_AXES, MOUNT_M
from dynamo_sim.allegro_manipulation.judge import Judge, Situation
from dynamo_sim.allegro_manipulation.scene import SPONGE_HALF, build_table
from dynamo_sim.allegro_manipulation.starts import INITIAL_HAND_RAD
from dynamo_sim.allegro_manipulation.station import AllegroStation
from dynamo_sim.controllers import RejectedError
from dynamo_sim.demonstrate import run_expert

SECOND = 1_000_000_000
ROBOTS = Path(__file__).parents[2] / "config" / "robots"
ALLEGRO = load_contract(ROBOTS / "allegro_manipulation.yaml")
HOME_V4 = HOME_RAD[list(THUMB_FIRST)]


@pytest.fixture(scope="module")
def blind() -> AllegroStation:
    """A station that renders nothing; every test resets it."""
    return AllegroStation(ALLEGRO, render=False)


@pytest.mark.parametrize("posture", [np.zeros(16), HOME_RAD], ids=["zeros", "home"])
def test_the_fingertips_are_where_the_kinematics_puts_them(posture: np.ndarray) -> None:
    model = build_table(ALLEGRO)
    data = mujoco.MjData(model)
    for number, place in enumerate(THUMB_FIRST):
        data.joint(HAND_JOINTS["allegro_v4"][number]).qpos[0] = posture[place]
    mujoco.mj_forward(model, data)
    palm = data.body("palm_link")
    for finger in FINGERS:
        tip = palm.xmat.reshape(3, 3).T @ (data.geom(f"{finger}_tip").xpos - palm.xpos)
        expected, _ = KINEMATICS[finger].forward(posture[finger_slice(finger)])
        np.testing.assert_allclose(tip, expected, atol=1e-9)


def test_the_hand_hangs_on_the_flange_by_the_bracket() -> None:
    model = build_table(ALLEGRO)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    flange, palm = data.body("link7"), data.body("palm_link")
    axes = flange.xmat.reshape(3, 3)
    np.testing.assert_allclose(axes.T @ (palm.xpos - flange.xpos), MOUNT_M, atol=1e-9)
    np.testing.assert_allclose(axes.T @ palm.xmat.reshape(3, 3), MOUNT_AXES, atol=1e-9)
    assert np.linalg.det(MOUNT_AXES) == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_start_and_another_one_another(blind: AllegroStation) -> None:
    places = []
    for seed in (3, 4, 3):
        blind.reset("pick_sponge", seed)
        places.append(blind.objects()["sponge"].position)
    np.testing.assert_array_equal(places[0], places[2])
    assert np.abs(places[0] - places[1]).max() > 1e-3


def test_streams_come_at_their_rates_in_the_contracts_order(blind: AllegroStation) -> None:
    blind.reset("pick_sponge", 0)
    samples = blind.advance(blind.time_ns + SECOND)
    for name, size in (("arm", 7), ("hand", 16)):
        mine = [sample for sample in samples if sample.stream == name]
        assert len(mine) == 100
        assert mine[0].value.shape == (size,)


def test_the_hand_stands_at_its_drivers_initial_positions(blind: AllegroStation) -> None:
    blind.reset("pick_sponge", 0)
    blind.advance(blind.time_ns + SECOND // 2)
    np.testing.assert_allclose(blind.hand_positions(), INITIAL_HAND_RAD, atol=0.02)


def test_the_hand_goes_where_it_is_sent_and_stays_there(blind: AllegroStation) -> None:
    blind.reset("pick_sponge", 0)
    blind.command_hand(HOME_V4)
    blind.advance(blind.time_ns + 2 * SECOND)
    np.testing.assert_allclose(blind.hand_positions(), HOME_V4, atol=0.02)
    assert isinstance(blind, HandStation)


@pytest.mark.parametrize(
    ("positions", "words"), [([0.0] * 12, "12 positions .* 16 are needed"), ([np.nan] * 16, "not finite")]
)
def test_a_command_that_the_driver_could_not_take_changes_nothing(
    blind: AllegroStation, positions: list[float], words: str
) -> None:
    blind.reset("pick_sponge", 0)
    with pytest.raises(RejectedError, match=words):
        blind.command_hand(positions)
    blind.advance(blind.time_ns + SECOND // 5)
    np.testing.assert_allclose(blind.hand_positions(), INITIAL_HAND_RAD, atol=0.02)


def test_there_is_no_gripper_to_command(blind: AllegroStation) -> None:
    with pytest.raises(RejectedError, match="this robot has no gripper"):
        blind.command_gripper(0.5)


def test_a_driver_of_another_family_moves_the_same_fingers() -> None:
    names = HAND_JOINTS["allegro_v5"]
    streams = {
        name: replace(stream, joints=names)
        if isinstance(stream, JointStream) and len(stream.joints) == 16
        else stream
        for name, stream in ALLEGRO.streams.items()
    }
    index_first = np.argsort(THUMB_FIRST)
    sink = ALLEGRO.need_hand("this test")
    limits = {
        field: tuple(np.array(getattr(sink, field))[index_first].tolist())
        for field in ("lower_rad", "upper_rad", "velocity_rad_s", "step_rad")
    }
    other = replace(ALLEGRO, streams=streams, hand=replace(sink, kind="allegro_v5", joints=names, **limits))
    station = AllegroStation(other, render=False)
    station.advance(station.time_ns + SECOND // 2)
    np.testing.assert_allclose(station.hand_positions(), INITIAL_HAND_RAD[index_first], atol=0.02)
    assert run_expert(station, other, "pick_sponge", 0).outcome.success


def test_an_unknown_task_is_refused(blind: AllegroStation) -> None:
    with pytest.raises(UnknownNameError, match="pick_sponge"):
        blind.reset("open_microwave", 0)
    blind.reset("pick_sponge", 0)
    with pytest.raises(UnknownNameError, match="pick_sponge"):
        AllegroExpert("open_microwave", blind.objects(), blind.tool_pose(), np.random.default_rng(0))


UP = Situation(lowest_m=0.12, by_hand=True, by_others=False)


@pytest.mark.parametrize(
    ("situation", "success"),
    [
        (UP, True),
        (UP._replace(lowest_m=0.09), False),
        (UP._replace(by_hand=False), False),
        (UP._replace(by_others=True), False),
    ],
    ids=["held high", "too low", "thrown", "propped"],
)
def test_only_a_sponge_held_high_by_the_hand_alone_counts(situation: Situation, success: bool) -> None:
    judge = Judge("pick_sponge", time_limit_s=20.0, now_ns=0)
    for number in range(52):
        judge.look(situation, number * SECOND // 100)
    assert judge.outcome().success == success


def test_half_a_second_counts_without_a_break() -> None:
    judge = Judge("pick_sponge", time_limit_s=20.0, now_ns=0)
    for number in range(80):
        judge.look(UP._replace(by_hand=number % 40 != 0), number * SECOND // 100)
    assert not judge.outcome().done


@pytest.mark.parametrize("seed", [0, 7])
def test_the_expert_picks_the_sponge_up(blind: AllegroStation, seed: int) -> None:
    done = run_expert(blind, ALLEGRO, "pick_sponge", seed)
    assert done.stopped is None
    assert done.outcome.success, done.outcome.reason
    assert blind.penetration_m() < 0.006


def test_fingers_that_do_not_close_lift_nothing(
    blind: AllegroStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dynamo_sim.allegro_manipulation.expert.FINGER_CLOSED", (0.0, 0.72, 0.25, 0.20))
    done = run_expert(blind, ALLEGRO, "pick_sponge", 0)
    assert not done.outcome.success
    assert blind.objects()["sponge"].position[2] == pytest.approx(SPONGE_HALF[2], abs=2e-3)


def test_no_two_demonstrations_are_equal_and_commands_stay_within_limits(blind: AllegroStation) -> None:
    sink, ends = ALLEGRO.need_hand("this test"), set()
    for seed in range(3):
        blind.reset("pick_sponge", seed)
        random = np.random.default_rng(seed)
        expert = AllegroExpert("pick_sponge", blind.objects(), blind.tool_pose(), random)
        ends.add(expert.target(expert.duration_s).pose.position.tobytes())
        hands = np.array([expert.target(time_s).hand for time_s in np.arange(0.0, expert.duration_s, 0.02)])
        assert (np.abs(np.diff(hands, axis=0)) < np.array(sink.step_rad)).all()
        turn = Rotation.from_quat(expert.target(2.0).pose.quaternion)
        assert turn.apply([0.0, 0.0, 1.0])[2] < -0.99
    assert len(ends) == 3


@pytest.fixture(scope="module")
def seeing() -> Iterator[AllegroStation]:
    station = AllegroStation(ALLEGRO)
    yield station
    station.close()


def test_the_camera_sees_the_sponge(seeing: AllegroStation) -> None:
    seeing.reset("pick_sponge", 0)
    samples = seeing.advance(seeing.time_ns + SECOND // 10)
    image = next(sample.value for sample in samples if sample.stream == "fixed")
    assert image.shape == (128, 128, 3)
    green = (image[..., 1] > 60) & (image[..., 0] < 70) & (image[..., 2] < 90)
    assert 20 < green.sum() < 600


def test_the_contract_with_other_cameras_is_refused(contract: Contract) -> None:
    streams = {**ALLEGRO.streams, "wrist": contract.streams["wrist"]}
    with pytest.raises(UnknownNameError, match="wrist"):
        AllegroStation(replace(ALLEGRO, streams=streams))
