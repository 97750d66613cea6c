"""Who leads the arm, and where to: a person or the policy's plans, as far as the gates allow."""

from __future__ import annotations

from collections.abc import Mapping

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.agenda import Agenda
from dynamo_ros.core.commander import ArmCommand, Commander, StopReason
from dynamo_ros.core.gate_board import GateBoard
from dynamo_ros.core.limiter import is_finite
from dynamo_ros.core.plans import Counts, Episode, Plan
from dynamo_ros.core.senses import Senses
from dynamo_ros.core.slow import within
from dynamo_ros.core.starting import RunnerError, check_first
from dynamo_ros.core.takeover import Aim, Holder, Takeover
from dynamo_ros.core.timings import Timings


class Steering:
    """Aims the commander, once in each period of its commands, by plans and by what `takeover` is told."""

    def __init__(
        self, contract: Contract, gates: GateBoard, commander: Commander, senses: Senses, timings: Timings
    ) -> None:
        self._contract, self._gates, self._commander = contract, gates, commander
        self._senses, self._timings = senses, timings
        self._agenda = Agenda(contract)
        self._pose: Pose | None = None  # the commanded one
        self._returned = False  # a person has let go, and no plan was followed since
        self._stop: StopReason | None = None  # the last that was looked at
        self.takeover = Takeover(contract)
        self.episode: Episode | None = None  # whose plans count; another one after each change of hands
        self.holder: Holder = "nobody"
        self.counts = Counts()

    def begin(self, episode: Episode, pose: Pose) -> None:
        """Let the policy lead from `pose` on."""
        self._agenda.begin()
        self._pose, self._returned = pose, False
        self._senses.begin()
        self.takeover.forget()
        self.episode, self.holder, self.counts = episode, "policy", Counts()

    def drop(self) -> None:
        """Forget what was planned."""
        self._agenda.drop()

    def observe(self, tick_ns: int, stamps_ns: Mapping[str, int]) -> None:
        """Take note of an observation that is planned by; `stamps_ns` are those of its images, by camera."""
        self._agenda.observe(tick_ns, stamps_ns)

    def check_first(self, plan: Plan, now_ns: int) -> None:
        """Raise RunnerError where the first action of `plan` is too far from the measured tool, or none."""
        check_first(plan, self._commander.forward(self._senses.joints(now_ns)), self._contract.gates)

    def accept(self, plan: Plan, now_ns: int) -> None:
        """Act by `plan`, one of `episode`, from now on, where nothing is against it."""
        if plan.nearest is not None:
            self._gates.novelty.saw(plan.nearest.ratio)
        if plan.stale:
            self.counts.stale += 1
            self._agenda.drop()
            self._gates.plan.heard(plan.tick_ns)
        elif plan.fault is not None or not all(is_finite(target) for target in plan.targets):
            self._agenda.drop()
            self._gates.non_finite.report(plan.fault or "a target of the policy is not finite")
        elif self._returned and self._far(plan, now_ns):
            self._agenda.drop()  # the gate `plan` then waits for another one
        elif not self._agenda.take(plan, now_ns):
            self.counts.late += 1
        else:
            self._returned = False
            self._gates.plan.heard(plan.tick_ns)
            self._gates.non_finite.clear()
            self.counts.planned += 1
            self._timings.accept(plan.tick_ns, now_ns)

    def command(self, now_ns: int) -> ArmCommand | None:
        """Return the command for `now_ns`; where no chunk reaches, the arm holds."""
        if self._commander.started:
            self._steer(now_ns)
        self._forget_after(self._commander.stopped)
        command = self._commander.step(now_ns)
        self._pose = self._pose if command is None else command.target.pose
        if command is not None and command.hand is not None:
            self._senses.sent_hand(command.hand)
        return command

    def reset_clock(self) -> None:
        """Forget what was planned and all samples: a clock has jumped."""
        self._agenda.drop()
        self._senses.forget()

    def _steer(self, now_ns: int) -> None:
        """Do what a person or the policy wants and all gates allow."""
        person = self.takeover.lead(now_ns)
        self._pass_to("policy" if person is None else "person", now_ns)
        verdict, kind = self._gates.check(now_ns, guarding="policy" if person is None else "arm")
        if verdict.reaction == "stop":
            self._commander.stop(verdict.text, kind=kind)
            return
        aim = self._planned(now_ns) if person is None else person
        if verdict.reaction == "hold" or aim is None:
            self._commander.hold()
        elif verdict.reaction == "slow":
            self._commander.aim(self._slowly(aim.target), now_ns + self._contract.period_ns)
        else:
            self._commander.aim(aim.target, aim.at_ns)

    def _forget_after(self, stop: StopReason | None) -> None:
        """Where a stop is due to wrong times, forget what came with them: it would be new some day."""
        if stop is not self._stop and stop is not None and stop.kind in ("clock", "stale"):
            self.reset_clock()
        self._stop = stop

    def _pass_to(self, holder: Holder, now_ns: int) -> None:
        """Hand the arm over, if it is not there already: what was planned before counts no longer."""
        if holder == self.holder or self.episode is None:
            return
        self.counts.takeovers += holder == "person"
        self._returned = holder == "policy"
        self.holder, self.episode = holder, Episode(self.episode.task, self.episode.window)
        self._agenda.drop()
        self._gates.plan.reset(now_ns)
        self._gates.novelty.reset(now_ns)

    def _far(self, plan: Plan, now_ns: int) -> bool:
        """Return whether `plan` begins where the arm is not: a person may have led it anywhere."""
        try:
            self.check_first(plan, now_ns)
        except RunnerError:
            return True
        return False

    def _planned(self, now_ns: int) -> Aim | None:
        if (aim := self._agenda.aim(now_ns)) is not None:
            self._timings.count("command age", self._agenda.age_ns(now_ns))
        return aim

    def _slowly(self, target: Target) -> Target:
        assert self._pose is not None
        its, period_s = self._contract.gates, self._contract.period_ns / 1e9
        return within(self._pose, target, metres=its.slow_m_s * period_s, radians=its.slow_rad_s * period_s)
