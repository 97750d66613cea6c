"""What gates and a person who takes over do to the arm, in invented time."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest

from dynamo_policies import gates as settings
from dynamo_policies.contract import Contract
from dynamo_policies.gates import Gates
from dynamo_policies.observation import Nearest, Pose, Target
from dynamo_ros.core.commander import ArmCommand, StoppedError
from dynamo_ros.core.runner import Runner, RunnerError
from policy_fixtures import CONTRACT, READY, SECOND, Tiny, driving_to, samples_at

TASK = "put_yogurt"
STEP = CONTRACT.arm.period_ns
START = 10 * SECOND
GOAL = (0.45, 0.1, 0.3)
DOWN = np.array(CONTRACT.reference_rotation)
ANYWHERE = settings.FirstAction(within_m=1.0, within_rad=3.2)


class Lab:
    """A runner in the middle of an episode, with an arm that follows its commands."""

    def __init__(self, bundle: Tiny | None = None, **gates: object) -> None:
        contract = dataclasses.replace(CONTRACT, gates=Gates(**gates))
        self.now, self.joints = START, READY
        self.runner = make_runner(bundle or driving_to(GOAL), contract)
        self.feed()
        self.runner.begin(TASK, self.now)

    def feed(self) -> None:
        for sample in samples_at(self.now, self.joints):
            self.runner.push(sample)

    def run(self, seconds: float, each: Callable[[], object] = lambda: None) -> list[ArmCommand]:
        """Go on for `seconds`, calling `each` before every command."""
        commands = []
        end = self.now + int(seconds * SECOND)
        while self.now < end:
            self.now += STEP
            self.feed()
            each()
            if (work := self.runner.due(self.now)) is not None:
                self.runner.accept(self.runner.infer(work), self.now)
            if (command := self.runner.command(self.now)) is not None:
                self.joints = command.joints
                commands.append(command)
        return commands

    def lead_to(self, x: float, y: float, z: float) -> None:
        """Target this position as a person does with each command."""
        self.runner.takeover.wish(0.0)
        self.runner.takeover.aim(Pose(np.array([x, y, z]), DOWN), self.now)


def make_runner(bundle: Tiny, contract: Contract | None = None) -> Runner:
    return Runner(bundle, clock_ns=itertools.count().__next__, contract=contract)


def steps(commands: list[ArmCommand]) -> np.ndarray:
    """Return how far the tool moves from command to command, m."""
    return np.linalg.norm(np.diff([one.target.pose.position for one in commands], axis=0), axis=1)


class Novel:
    """Knows demonstrations that are `ratio` away from everything."""

    ratio = 0.5

    def nearest(self, _features: np.ndarray) -> Nearest:
        return Nearest(0, self.ratio)

    def picture(self, _place: int) -> np.ndarray:
        return np.zeros((8, 16, 3), np.uint8)


def test_the_estop_stops_within_a_command_and_needs_rearming() -> None:
    lab = Lab()
    lab.run(0.5)
    lab.runner.estop(pressed=True)
    lab.run(1.0)
    assert lab.runner.stopped is not None
    assert lab.runner.stopped.kind == "estop"
    assert lab.runner.authority == "nobody"
    with pytest.raises(RunnerError, match="still pressed"):
        lab.runner.rearm()
    lab.runner.estop(pressed=False)
    with pytest.raises(StoppedError, match="re-arm"):
        lab.runner.begin(TASK, lab.now)
    lab.runner.rearm()
    lab.runner.begin(TASK, lab.now)
    assert np.linalg.norm(lab.run(2.0)[-1].target.pose.position - GOAL) < 5e-3


def test_the_estop_pressed_before_the_beginning_is_remembered() -> None:
    runner = make_runner(driving_to(GOAL))
    for sample in samples_at(START):
        runner.push(sample)
    runner.estop(pressed=True)
    runner.estop(pressed=False)
    with pytest.raises(StoppedError, match="/dynamo/estop"):
        runner.begin(TASK, START)


def test_a_released_deadman_holds_until_it_is_held_again() -> None:
    lab = Lab(deadman=settings.DeadmanGate(topic="/deadman"))
    deadman = lab.runner.gates.deadman
    before = lab.run(0.5)
    assert steps(before).max() < 1e-6
    moving = lab.run(0.5, lambda: deadman.saw(True, lab.now))
    assert steps(moving).max() > 1e-3
    held = lab.run(1.5, lambda: deadman.saw(False, lab.now))
    assert steps(held[-10:]).max() < 1e-6
    assert lab.runner.stopped is None
    assert (
        np.linalg.norm(lab.run(2.0, lambda: deadman.saw(True, lab.now))[-1].target.pose.position - GOAL)
        < 5e-3
    )


def test_a_warning_makes_the_arm_slow() -> None:
    lab = Lab(unreadable=settings.UnreadableGate(reaction="slow", stop_after_s=None))
    commands = lab.run(1.0, lambda: lab.runner.refuse("wrist", "bgr8 given"))
    speed = steps(commands) / (STEP / SECOND)
    assert 0.01 < speed.max() <= lab.runner.contract.gates.slow_m_s * 1.01
    assert steps(lab.run(1.0)).max() / (STEP / SECOND) > 0.1


def test_what_was_never_demonstrated_holds_and_then_stops() -> None:
    bundle = driving_to(GOAL)
    bundle.novelty = Novel()
    lab = Lab(bundle, novelty=settings.NoveltyGate(stop_after_s=1.0))
    assert steps(lab.run(0.4)).max() > 1e-3
    bundle.novelty.ratio = 3.0
    lab.run(0.9)
    assert "novelty" in lab.runner.gates.wants()
    assert lab.runner.seen is not None
    assert lab.runner.seen.nearest == (0, 3.0)
    assert steps(lab.run(0.4)[-10:]).max() < 1e-6
    lab.run(1.0)
    assert lab.runner.stopped is not None
    assert lab.runner.stopped.kind == "novelty"


def test_a_joint_reading_that_can_not_be_read_holds_the_arm() -> None:
    lab = Lab()
    lab.run(0.4)
    lab.run(0.3, lambda: lab.runner.refuse("arm", "positions are not all finite"))
    assert "unreadable" in lab.runner.gates.wants()
    lab.run(0.4, lambda: lab.runner.refuse("arm", "positions are not all finite"))
    assert lab.runner.stopped is not None
    assert lab.runner.stopped.kind == "unreadable"


class Onward:
    """Takes an action as 5 mm more along y, from wherever the arm is said to be."""

    def decode(self, actions: np.ndarray, anchor: Pose) -> list[Target]:
        ways = 0.005 * np.arange(1, len(actions) + 1)[:, None] * np.array([0.0, 1.0, 0.0])
        return [Target(Pose(anchor.position + way, anchor.quaternion), 0.0) for way in ways]


class FrozenLab(Lab):
    """One whose arm moves but is said, from `frozen` on, to stand where it was."""

    def __init__(self, bundle: Tiny | None = None) -> None:
        self.frozen: np.ndarray | None = None
        super().__init__(bundle or dataclasses.replace(driving_to(GOAL), actions=Onward()))

    def feed(self) -> None:
        joints = self.joints if self.frozen is None else self.frozen
        for sample in samples_at(self.now, joints):
            self.runner.push(sample)


def test_joints_that_freeze_hold_the_arm_and_let_it_go_on_when_they_come_again() -> None:
    lab = FrozenLab()
    speed = steps(lab.run(1.0))[-25:].mean()
    lab.frozen = lab.joints
    held = lab.run(0.4)
    assert lab.runner.gates.wants().keys() == {"frozen_joints"}
    assert steps(held[-5:]).max() < 1e-6
    assert steps(held).sum() < 15 * speed
    lab.frozen = None
    assert steps(lab.run(1.0))[-25:].mean() > speed / 2
    assert lab.runner.stopped is None


def test_joints_that_stay_frozen_stop_the_arm() -> None:
    lab = FrozenLab()
    lab.run(0.6)
    lab.frozen = lab.joints
    lab.run(1.0)
    assert lab.runner.stopped is not None
    assert lab.runner.stopped.kind == "frozen_joints"
    assert "arm tells one position while the arm is to move" in lab.runner.stopped.text


def test_joints_that_freeze_stop_a_person_as_well() -> None:
    lab = FrozenLab()
    lab.run(0.3, lambda: lab.lead_to(0.4, -0.1, 0.25))
    lab.frozen = lab.joints
    lab.run(1.0, lambda: lab.lead_to(0.4, -0.1, 0.25))
    assert lab.runner.stopped is not None
    assert lab.runner.stopped.kind == "frozen_joints"


def test_an_arm_that_nobody_commands_to_move_may_be_said_to_stand_for_ever() -> None:
    lab = FrozenLab(driving_to(GOAL))
    lab.run(3.0)
    lab.frozen = lab.joints
    lab.run(3.0)
    assert lab.runner.gates.trips["frozen_joints"] == 0
    assert lab.runner.stopped is None


def test_a_first_action_far_from_the_arm_is_refused() -> None:
    runner = make_runner(driving_to((0.6, 0.4, 0.3)))
    for sample in samples_at(START):
        runner.push(sample)
    plan = runner.infer(runner.preview(TASK, START))
    with pytest.raises(RunnerError, match=r"0\.\d+ m and 0\.\d+ rad from the arm; at most 0\.1 m"):
        runner.check_first(plan, START)


def test_a_first_action_near_the_arm_is_accepted() -> None:
    measured = make_runner(driving_to(GOAL))._commander.forward(READY)
    bundle = driving_to(tuple(measured.position + 0.05))
    bundle.policy.chunk[:, 3:7] = measured.quaternion
    runner = make_runner(bundle)
    for sample in samples_at(START):
        runner.push(sample)
    runner.check_first(runner.infer(runner.preview(TASK, START)), START)


def test_a_beginning_without_all_streams_names_those_that_lack() -> None:
    runner = make_runner(driving_to(GOAL))
    for sample in samples_at(START, without="wrist"):
        runner.push(sample)
    with pytest.raises(RunnerError, match=r"no fresh wrist on /wrist/camera"):
        runner.preview(TASK, START)


def test_a_controller_in_error_is_a_reason_not_to_begin() -> None:
    with pytest.raises(RunnerError, match="no robot state has come on /xarm/robot_states"):
        Lab(robot_state=settings.RobotStateGate(topic="/xarm/robot_states"))


def test_a_person_takes_the_arm_and_gives_it_back_without_a_jump() -> None:
    lab = Lab(first_action=ANYWHERE)
    policy = lab.run(0.5)
    assert lab.runner.authority == "policy"
    person = lab.run(1.5, lambda: lab.lead_to(0.35, -0.1, 0.25))
    assert lab.runner.authority == "person"
    assert np.linalg.norm(person[-1].target.pose.position - (0.35, -0.1, 0.25)) < 5e-3
    back = lab.run(2.5)
    assert lab.runner.authority == "policy"
    assert np.linalg.norm(back[-1].target.pose.position - GOAL) < 5e-3
    joints = np.diff([one.joints for one in [*policy, *person, *back]], axis=0)
    assert (np.abs(joints) <= np.array(CONTRACT.arm.velocity_rad_s) * STEP / SECOND + 1e-9).all()
    assert lab.runner.counts.takeovers == 1


def test_a_policy_that_begins_elsewhere_does_not_take_the_arm_back() -> None:
    lab = Lab()
    lab.run(1.5, lambda: lab.lead_to(0.3, -0.2, 0.25))
    held = lab.run(1.0)
    assert lab.runner.authority == "policy"
    assert np.linalg.norm(held[-1].target.pose.position - (0.3, -0.2, 0.25)) < 5e-3
    lab.run(6.0)
    assert lab.runner.stopped is not None
    assert lab.runner.stopped.kind == "plan"


def test_what_was_planned_before_a_person_let_go_is_not_acted_upon() -> None:
    lab = Lab()
    lab.run(0.5, lambda: lab.lead_to(0.35, -0.1, 0.25))
    work = None
    while work is None:
        lab.now += STEP
        lab.feed()
        lab.lead_to(0.35, -0.1, 0.25)
        work = lab.runner.due(lab.now)
        lab.runner.command(lab.now)
    plan = lab.runner.infer(work)
    for _ in range(20):  # the person says nothing any more
        lab.now += STEP
        lab.feed()
        lab.runner.command(lab.now)
    assert lab.runner.authority == "policy"
    planned = lab.runner.counts.planned
    lab.runner.accept(plan, lab.now)
    assert lab.runner.counts.planned == planned


def test_a_person_may_go_on_where_the_policy_must_not() -> None:
    bundle = driving_to(GOAL)
    bundle.novelty = Novel()
    bundle.novelty.ratio = 3.0
    lab = Lab(bundle)
    lab.run(1.0)
    assert "novelty" in lab.runner.gates.wants()
    person = lab.run(1.5, lambda: lab.lead_to(0.35, -0.1, 0.25))
    assert np.linalg.norm(person[-1].target.pose.position - (0.35, -0.1, 0.25)) < 5e-3


def test_the_estop_stops_a_person_as_well() -> None:
    lab = Lab()
    lab.run(0.5, lambda: lab.lead_to(0.35, -0.1, 0.25))
    lab.runner.estop(pressed=True)
    lab.run(1.0, lambda: lab.lead_to(0.35, 0.1, 0.25))
    assert lab.run(0.2, lambda: lab.lead_to(0.35, 0.1, 0.25)) == []
    assert lab.runner.stopped is not None


def test_a_contract_can_keep_persons_out() -> None:
    lab = Lab(takeover=settings.Takeover(possible=False))
    lab.run(1.0, lambda: lab.lead_to(0.35, -0.1, 0.25))
    assert lab.runner.authority == "policy"


@pytest.mark.parametrize("jump_s", [-5, 5])
def test_the_arm_can_be_rearmed_after_the_clock_has_jumped(jump_s: int) -> None:
    lab, steady = Lab(), itertools.count(0, STEP)
    lab.run(0.5, lambda: lab.runner.gates.clock.saw(lab.now, next(steady)))
    assert lab.runner.stopped is None
    lab.now += jump_s * SECOND
    lab.run(0.5, lambda: lab.runner.gates.clock.saw(lab.now, next(steady)))
    assert lab.runner.stopped is not None
    assert lab.runner.stopped.kind == "clock"
    lab.runner.rearm()
    assert lab.runner.preview(TASK, lab.now).observation.valid
    lab.runner.begin(TASK, lab.now)
    assert np.linalg.norm(lab.run(2.5)[-1].target.pose.position - GOAL) < 5e-3


@pytest.mark.parametrize("stream", ["fixed", "arm"])
def test_the_arm_can_be_rearmed_after_one_stream_was_stamped_far_ahead_for_a_moment(stream: str) -> None:
    lab = Lab()
    lab.run(0.5)
    for sample in samples_at(lab.now + 3600 * SECOND, lab.joints):
        if sample.stream == stream:
            lab.runner.push(sample)
    assert len(lab.run(1.0)) > 0
    assert lab.runner.stopped is not None
    assert lab.runner.stopped.kind == "stale"
    lab.runner.rearm()
    assert lab.runner.preview(TASK, lab.now).observation.valid
    lab.runner.begin(TASK, lab.now)
    assert np.linalg.norm(lab.run(2.5)[-1].target.pose.position - GOAL) < 5e-3


def test_a_clock_that_goes_back_between_episodes_is_no_obstacle() -> None:
    runner = make_runner(driving_to(GOAL))
    for start in (START, START - 5 * SECOND):
        assert not runner.ready(start)
        for sample in samples_at(start):
            runner.push(sample)
        assert runner.ready(start)
