"""From samples to commands: the whole of camera to command, without ROS and without torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dynamo_policies.align import Aligner
from dynamo_policies.contract import Contract
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.observation import Observation, Pose, Sample, Target
from dynamo_ros.core.agenda import Agenda
from dynamo_ros.core.commander import ArmCommand, Commander, StopReason
from dynamo_ros.core.deployable import Deployable
from dynamo_ros.core.gate_board import GateBoard
from dynamo_ros.core.limiter import is_finite
from dynamo_ros.core.plans import Counts, Episode, Plan, Work
from dynamo_ros.core.slow import within
from dynamo_ros.core.starting import RunnerError, check_first, check_fresh, fresh_joints
from dynamo_ros.core.takeover import Aim, Holder, Takeover
from dynamo_ros.core.thinker import Thinker
from dynamo_ros.core.timings import Timings
from dynamo_ros.core.window import Window

__all__ = ["Runner", "RunnerError"]


class Runner:
    """Runs one bundle. All but `infer` belongs to one thread; `infer` may run on another.

    What the gates of the contract are told goes to `gates`; what a person targets in mid-run, to `takeover`.
    """

    def __init__(
        self, bundle: Deployable, *, clock_ns: Callable[[], int], contract: Contract | None = None
    ) -> None:
        """Run `bundle` by the limits and gates of `contract`; by its own, simulated, if None."""
        own = dataclasses.replace(bundle.contract, gates=bundle.contract.gates.simulated())
        self.contract = own if contract is None else contract
        self._bundle = bundle
        self._aligner, self._commander = Aligner(self.contract), Commander(self.contract)
        self._agenda = Agenda(self.contract)
        self._hand_stream = self.contract.hand_stream
        self._episode: Episode | None = None
        self._tick_ns = self._looked_ns = 0
        self._arm: Sample | None = None
        self._pose: Pose | None = None  # the commanded one
        self._holder: Holder = "nobody"
        self._returned = False  # a person has let go, and no plan was followed since
        self.counts, self.timings = Counts(), Timings(clock_ns)
        self._thinker = Thinker(bundle, self.timings, self._commander.forward)
        self.infer, self.warm_up = self._thinker.infer, self._thinker.warm_up
        self.gates = GateBoard(self.contract)
        self.takeover = Takeover(self.contract)
        self.seen: Plan | None = None  # what came last of inference
        self.observation: Observation | None = None  # what it was last given

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that it can do."""
        return self._bundle.tasks

    @property
    def stopped(self) -> StopReason | None:
        """Why the arm is stopped; None while it is not."""
        return self._commander.stopped

    @property
    def moving(self) -> bool:
        """Whether the commanded joints are not at rest; a stop may still be braking them."""
        return self._commander.moving

    @property
    def rest(self) -> npt.NDArray[np.float64]:
        """Where the commanded joints come to rest, if they brake from now on, (J,) rad."""
        return self._commander.rest

    @property
    def running(self) -> bool:
        """Whether it commands: between `begin` and `finish`, and not stopped."""
        return self._commander.started

    @property
    def authority(self) -> Holder:
        """Who moves the arm."""
        return self._holder if self.running else "nobody"

    @property
    def last_holder(self) -> Holder:
        """Who moves the arm, or whose motion it is that a stop brakes."""
        return self._holder

    @property
    def silent_gates(self) -> tuple[str, ...]:
        """The gates that can't keep the arm from moving: by the contract, or for want of something."""
        calibrated = self._bundle.novelty is not None
        return self.gates.silent if calibrated else (*self.gates.silent, "novelty (not in the bundle)")

    def preview(self, task: str, now_ns: int) -> Work:
        """Return the present observation, to be inferred and shown to `check_first` before `begin`.

        Raises:
            UnknownNameError: the bundle was not made for `task`.
            RunnerError: a stream is stale.
        """
        self._check_task(task)
        observation = self._look(now_ns)
        check_fresh(self.contract, observation)
        self._bundle.policy.reset()
        return Work(self._new_episode(task), observation)

    def check_first(self, plan: Plan, now_ns: int) -> None:
        """Raise RunnerError where the first action of `plan` is too far from the measured tool, or none."""
        check_first(plan, self._commander.forward(self._fresh_joints(now_ns)), self.contract.gates)

    def begin(self, task: str, now_ns: int) -> None:
        """Start an episode of `task` where the arm is; no `infer` may be going on.

        Raises:
            UnknownNameError: the bundle was not made for `task`.
            RunnerError: there is no fresh measurement of the arm, or a gate is against it.
            StoppedError: a stop is latched.
        """
        self._check_task(task)
        joints = self._fresh_joints(now_ns)
        self.gates.reset(now_ns)
        if refusal := self.gates.refusal(now_ns):
            raise RunnerError(f"can't begin: {refusal}")
        self._commander.start(joints, now_ns)
        self._bundle.policy.reset()
        self._episode, self._pose = self._new_episode(task), self._commander.forward(joints)
        # The first tick is the first one at or after now.
        self._tick_ns = (
            -(-now_ns // self.contract.period_ns) * self.contract.period_ns - self.contract.period_ns
        )
        self._agenda.begin()
        self._returned = False
        self.takeover.forget()
        self._holder, self.counts = "policy", Counts()

    def ready(self, now_ns: int) -> bool:
        """Return whether every observed stream is fresh, so that it makes sense to begin."""
        return not self.running and not self._look(now_ns).stale

    def finish(self, now_ns: int | None = None) -> tuple[ArmCommand, ...]:
        """End the episode; return the commands, one a period, that bring the arm to rest.

        With `now_ns`, an arm that has got no command for long, and stands, stays where it is.
        """
        self._agenda.drop()
        return self._commander.finish(now_ns)

    def push(self, sample: Sample) -> None:
        """Take a decoded sample of any stream of the contract."""
        self._aligner.push(sample)
        self.gates.unreadable.clear(sample.stream)
        if sample.stream in self.gates.stale:
            self.gates.stale[sample.stream].saw(sample.stamp_ns)
        if sample.stream in self.gates.frozen and self._arm is not None:
            self.gates.frozen[sample.stream].saw(
                sample.value, self._arm.value.astype(np.float64, copy=False), sample.stamp_ns
            )
        if sample.stream == self.contract.arm_stream:
            self._arm = sample
            self._commander.observe(sample.value, sample.stamp_ns)
        elif sample.stream == self._hand_stream:
            self._commander.observe_hand(sample.value, sample.stamp_ns)

    def refuse(self, stream: str, problem: str) -> None:
        """Take note of a message of `stream` that does not fit the contract."""
        self.gates.unreadable.report(problem, of=stream)

    def compare_clocks(self, now_ns: int, steady_ns: int) -> None:
        """Take note of the time by both clocks before each command; the steady one times the motion."""
        self._commander.shift_clock(self.gates.clock.saw(now_ns, steady_ns))

    def reset_clock(self) -> None:
        """Forget all samples: the clock has jumped back."""
        self._agenda.drop()
        self._aligner.reset()
        self._looked_ns = 0
        for gate in self.gates.stale.values():
            gate.forget()
        self._arm = None

    def due(self, now_ns: int) -> Work | None:
        """Return the newest observation that is due and was not handed out, None if there is none.

        The observation of a tick is due `settle_ms` after it. Older ones that were not asked for are skipped.
        """
        period_ns = self.contract.period_ns
        tick_ns = (now_ns - self.contract.settle_ns) // period_ns * period_ns
        if self._episode is None or not self.running or tick_ns <= self._tick_ns:
            return None
        self.counts.skipped += (tick_ns - self._tick_ns) // period_ns - 1
        self._tick_ns = self._looked_ns = tick_ns
        self.timings.begin(tick_ns, now_ns)
        with self.timings.measure("align"):
            observation = self._aligner.observe(tick_ns)
        self.timings.observed(self._aligner.stamps_ns)
        self._agenda.observe(tick_ns, self._aligner.stamps_ns)
        self.observation = observation
        return Work(self._episode, observation)

    def accept(self, plan: Plan, now_ns: int) -> None:
        """Act by `plan` from now on; one of an earlier episode, or that comes too late, is dropped."""
        if plan.episode is not self._episode or not self.running:
            return
        self.seen = plan
        if plan.nearest is not None:
            self.gates.novelty.saw(plan.nearest.ratio)
        if plan.stale:
            self.counts.stale += 1
            self._agenda.drop()
            self.gates.plan.heard(plan.tick_ns)
        elif plan.fault is not None or not all(is_finite(target) for target in plan.targets):
            self._agenda.drop()
            self.gates.non_finite.report(plan.fault or "a target of the policy is not finite")
        elif self._returned and self._far(plan, now_ns):
            self._agenda.drop()  # the gate `plan` then waits for another one
        elif not self._agenda.take(plan, now_ns):
            self.counts.late += 1
        else:
            self._returned = False
            self.gates.plan.heard(plan.tick_ns)
            self.gates.non_finite.clear()
            self.counts.planned += 1
            self.timings.accept(plan.tick_ns, now_ns)

    def command(self, now_ns: int) -> ArmCommand | None:
        """Return the command for `now_ns`; to be called `contract.arm.rate_hz` times a second.

        Where no chunk reaches, the arm holds.
        """
        if self.running:
            self._steer(now_ns)
        command = self._commander.step(now_ns)
        self._pose = self._pose if command is None else command.target.pose
        return command

    def may_send(self, command: ArmCommand, now_ns: int) -> bool:
        """Return whether `command`, the last one, may still be sent; to be asked right before."""
        return self._commander.may_send(command, now_ns)

    def stop(self, reason: str, *, kind: str = "requested") -> None:
        """Stop the arm until `rearm`."""
        self._commander.stop(reason, kind=kind)

    def estop(self, *, pressed: bool) -> None:
        """Take note of the software e-stop: a press stops, whether or not anything moves."""
        self.gates.estop.saw(pressed)
        if pressed:
            self.stop(f"true on {self.contract.gates.estop.topic}", kind="estop")

    def rearm(self) -> None:
        """Clear the stop; nothing moves before `begin`, and nothing is left of what was commanded.

        Raises:
            RunnerError: there is no stop, but the arm is commanded; or the e-stop is still pressed.
        """
        if self.running:
            raise RunnerError("nothing is stopped")
        if self.gates.estop.pressed:
            raise RunnerError(f"the e-stop on {self.contract.gates.estop.topic} is still pressed")
        self._commander.finish()
        self._commander.clear()

    def _steer(self, now_ns: int) -> None:
        """Do what a person or the policy wants and all gates allow."""
        person = self.takeover.lead(now_ns)
        self._pass_to("policy" if person is None else "person", now_ns)
        verdict, kind = self.gates.check(now_ns, guarding="policy" if person is None else "arm")
        if verdict.reaction == "stop":
            self._commander.stop(verdict.text, kind=kind)
            if kind == "clock":
                self.reset_clock()
            return
        aim = self._planned(now_ns) if person is None else person
        if verdict.reaction == "hold" or aim is None:
            self._commander.hold()
        elif verdict.reaction == "slow":
            self._commander.aim(self._slowly(aim.target), now_ns + self.contract.period_ns)
        else:
            self._commander.aim(aim.target, aim.at_ns)

    def _pass_to(self, holder: Holder, now_ns: int) -> None:
        """Hand the arm over, if it is not there already: what was planned before counts no longer."""
        if holder == self._holder or self._episode is None:
            return
        self.counts.takeovers += holder == "person"
        self._returned = holder == "policy"
        self._holder, self._episode = holder, self._new_episode(self._episode.task, self._episode.window)
        self._agenda.drop()
        self.gates.plan.reset(now_ns)
        self.gates.novelty.reset(now_ns)

    def _far(self, plan: Plan, now_ns: int) -> bool:
        """Return whether `plan` begins where the arm is not: a person may have led it anywhere."""
        try:
            self.check_first(plan, now_ns)
        except RunnerError:
            return True
        return False

    def _planned(self, now_ns: int) -> Aim | None:
        if (aim := self._agenda.aim(now_ns)) is not None:
            self.timings.count("command age", self._agenda.age_ns(now_ns))
        return aim

    def _slowly(self, target: Target) -> Target:
        assert self._pose is not None
        its, period_s = self.contract.gates, self.contract.period_ns / 1e9
        return within(self._pose, target, metres=its.slow_m_s * period_s, radians=its.slow_rad_s * period_s)

    def _look(self, now_ns: int) -> Observation:
        """Observe between episodes; what was seen before the clock went back is forgotten."""
        if now_ns < self._looked_ns:
            self.reset_clock()
        self._looked_ns = now_ns
        return self._aligner.observe(now_ns)

    def _new_episode(self, task: str, window: Window | None = None) -> Episode:
        if window is None:
            window = Window(self._bundle.policy.window, self.contract.period_ns)
        return Episode(task, window)

    def _check_task(self, task: str) -> None:
        if task not in self._bundle.tasks:
            raise UnknownNameError("task", task, self._bundle.tasks)

    def _fresh_joints(self, now_ns: int) -> npt.NDArray[np.float64]:
        return fresh_joints(self.contract, self._arm, now_ns)
