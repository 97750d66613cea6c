"""From samples to commands: the whole of camera to command, without ROS and without torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.observation import Observation, Sample
from dynamo_ros.core.commander import ArmCommand, Commander, StopReason
from dynamo_ros.core.deployable import Deployable
from dynamo_ros.core.gate_board import GateBoard
from dynamo_ros.core.plans import Counts, Episode, Plan, Work
from dynamo_ros.core.senses import Senses
from dynamo_ros.core.starting import RunnerError, check_fresh
from dynamo_ros.core.steering import Steering
from dynamo_ros.core.takeover import Holder
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
        self.gates, self.timings = GateBoard(self.contract), Timings(clock_ns)
        self._commander = Commander(self.contract)
        self._senses = Senses(self.contract, self.gates, self._commander)
        self._steering = Steering(self.contract, self.gates, self._commander, self._senses, self.timings)
        self._thinker = Thinker(bundle, self.timings, self._commander.forward)
        self.infer, self.warm_up = self._thinker.infer, self._thinker.warm_up
        self.takeover = self._steering.takeover
        self._tick_ns = 0
        self.seen: Plan | None = None  # what came last of inference
        self.observation: Observation | None = None  # what it was last given

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that it can do."""
        return self._bundle.tasks

    @property
    def counts(self) -> Counts:
        """What happened since `begin`."""
        return self._steering.counts

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
        return self._steering.holder if self.running else "nobody"

    @property
    def last_holder(self) -> Holder:
        """Who moves the arm, or whose motion it is that a stop brakes."""
        return self._steering.holder

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
        observation = self._senses.look(now_ns)
        check_fresh(self.contract, observation)
        self._bundle.policy.reset()
        return Work(self._new_episode(task), observation)

    def check_first(self, plan: Plan, now_ns: int) -> None:
        """Raise RunnerError where the first action of `plan` is too far from the measured tool, or none."""
        self._steering.check_first(plan, now_ns)

    def begin(self, task: str, now_ns: int) -> None:
        """Start an episode of `task` where the arm is; no `infer` may be going on.

        Raises:
            UnknownNameError: the bundle was not made for `task`.
            RunnerError: there is no fresh measurement of the arm, or a gate is against it.
            StoppedError: a stop is latched.
        """
        self._check_task(task)
        joints = self._senses.joints(now_ns)
        self.gates.reset(now_ns)
        if refusal := self.gates.refusal(now_ns):
            raise RunnerError(f"can't begin: {refusal}")
        self._commander.start(joints, now_ns)
        self._bundle.policy.reset()
        self._steering.begin(self._new_episode(task), self._commander.forward(joints))
        # The first tick is the first one at or after now.
        self._tick_ns = (
            -(-now_ns // self.contract.period_ns) * self.contract.period_ns - self.contract.period_ns
        )

    def ready(self, now_ns: int) -> bool:
        """Return whether every observed stream is fresh, so that it makes sense to begin."""
        return not self.running and not self._senses.look(now_ns).stale

    def finish(self, now_ns: int | None = None) -> tuple[ArmCommand, ...]:
        """End the episode; return the commands, one a period, that bring the arm to rest.

        With `now_ns` they begin where the arm is by then, if it got none for a while.
        """
        self._steering.drop()
        return self._commander.finish(now_ns)

    def push(self, sample: Sample) -> None:
        """Take a decoded sample of any stream of the contract."""
        self._senses.push(sample)

    def refuse(self, stream: str, problem: str) -> None:
        """Take note of a message of `stream` that does not fit the contract."""
        self.gates.unreadable.report(problem, of=stream)

    def compare_clocks(self, now_ns: int, steady_ns: int) -> None:
        """Take note of the time by both clocks before each command; the steady one times the motion."""
        self._commander.shift_clock(self.gates.clock.saw(now_ns, steady_ns))

    def reset_clock(self) -> None:
        """Forget all samples: the clock has jumped back."""
        self._steering.reset_clock()

    def due(self, now_ns: int) -> Work | None:
        """Return the newest observation that is due and was not handed out, None if there is none.

        The observation of a tick is due `settle_ms` after it. Older ones that were not asked for are skipped.
        """
        period_ns = self.contract.period_ns
        tick_ns = (now_ns - self.contract.settle_ns) // period_ns * period_ns
        episode = self._steering.episode
        if episode is None or not self.running or tick_ns <= self._tick_ns:
            return None
        self.counts.skipped += (tick_ns - self._tick_ns) // period_ns - 1
        self._tick_ns = tick_ns
        self.timings.begin(tick_ns, now_ns)
        with self.timings.measure("align"):
            observation = self._senses.observe(tick_ns)
        self.timings.observed(self._senses.stamps_ns)
        self._steering.observe(tick_ns, self._senses.stamps_ns)
        self.observation = observation
        return Work(episode, observation)

    def accept(self, plan: Plan, now_ns: int) -> None:
        """Act by `plan` from now on; one of an earlier episode, or that comes too late, is dropped."""
        if plan.episode is self._steering.episode and self.running:
            self.seen = plan
            self._steering.accept(plan, now_ns)

    def command(self, now_ns: int) -> ArmCommand | None:
        """Return the command for `now_ns`; to be called `contract.arm.rate_hz` times a second.

        Where no chunk reaches, the arm holds.
        """
        return self._steering.command(now_ns)

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

    def _new_episode(self, task: str) -> Episode:
        return Episode(task, Window(self._bundle.policy.window, self.contract.period_ns))

    def _check_task(self, task: str) -> None:
        if task not in self._bundle.tasks:
            raise UnknownNameError("task", task, self._bundle.tasks)
