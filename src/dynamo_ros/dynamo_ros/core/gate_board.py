"""All gates of a contract, asked together: the most severe verdict counts, and one that lasts stops."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, NamedTuple

from dynamo_policies.contract import Contract
from dynamo_policies.gates import REACTIONS, Reaction
from dynamo_ros.core.frozen import FrozenGate
from dynamo_ros.core.gates import (
    CLEAR,
    ClockGate,
    DeadmanGate,
    EstopGate,
    Gate,
    NoveltyGate,
    PlanGate,
    ReportGate,
    RobotStateGate,
    StaleGate,
    Verdict,
)

Guarded = Literal["arm", "policy"]


class Ruling(NamedTuple):
    """The most severe verdict, and the kind of gate that gave it."""

    verdict: Verdict
    kind: str = ""


@dataclass
class _Place:
    """One gate on the board."""

    kind: str
    gate: Gate
    guards: Guarded  # whoever moves the arm, or only a policy
    stop_after_s: float | None = None
    since_ns: int | None = None  # since when it wants something
    verdict: Verdict = CLEAR

    def ask(self, now_ns: int) -> bool:
        """Ask the gate; return whether it has just begun to want something."""
        verdict = self.gate.check(now_ns)
        if not verdict.text:
            self.since_ns, self.verdict = None, CLEAR
            return False
        begins = self.since_ns is None
        self.since_ns = now_ns if self.since_ns is None else self.since_ns
        self.verdict = self._lasting(verdict, (now_ns - self.since_ns) / 1e9)
        return begins

    def _lasting(self, verdict: Verdict, seconds: float) -> Verdict:
        if verdict.reaction not in ("slow", "hold") or self.stop_after_s is None:
            return verdict
        if seconds < self.stop_after_s:
            return verdict
        return Verdict("stop", f"{verdict.text}; for {seconds:.2f} s")


class GateBoard:
    """The gates of a contract; what they are told goes to them directly, the runner asks them all."""

    def __init__(self, contract: Contract) -> None:
        its = contract.gates
        self._reactions: dict[str, Reaction] = {
            "stale": its.stale.reaction,
            **{f"stale {name}": reaction for name, reaction in its.stale.streams.items()},
            "unreadable": its.unreadable.reaction,
            "frozen": its.frozen.reaction,
            "frozen_joints": its.frozen_joints.reaction,
            "non_finite": its.non_finite.reaction,
            "plan": its.plan.reaction,
            "clock": its.clock.reaction,
            "novelty": its.novelty.reaction,
            "robot_state": "none" if its.robot_state.topic is None else its.robot_state.reaction,
            "deadman": "none" if its.deadman.topic is None else its.deadman.reaction,
        }
        self.stale = {
            name: StaleGate(
                name, stream, its.stale.streams.get(name, its.stale.reaction), ahead_ms=its.stale.ahead_ms
            )
            for name, stream in contract.observed.items()
        }
        self.unreadable, self.non_finite = (
            ReportGate(its.unreadable.reaction),
            ReportGate(its.non_finite.reaction),
        )
        self.frozen = {
            name: FrozenGate(its.frozen, stream, f"{name} shows one image while the arm moves")
            for name, stream in contract.cameras.items()
        }
        arm = contract.arm_stream
        self.frozen_joints = FrozenGate(
            its.frozen_joints,
            contract.streams[arm],
            f"{arm} tells one position while the arm is to move",
            lag_ms=its.frozen_joints.lag_ms,
        )
        self.frozen_hand = _frozen_hand(contract)
        self.plan, self.clock = PlanGate(its.plan, contract.period_ns), ClockGate(its.clock)
        self.robot_state = RobotStateGate(its.robot_state, len(contract.arm.joints))
        self.deadman, self.estop = DeadmanGate(its.deadman), EstopGate(its.estop)
        self.novelty = NoveltyGate(its.novelty)
        self._places = [
            _Place("estop", self.estop, "arm"),
            _Place("clock", self.clock, "arm", its.clock.stop_after_s),
            _Place("unreadable", self.unreadable, "policy", its.unreadable.stop_after_s),
            *self._of_streams(contract),
            *(_Place("frozen", gate, "policy", its.frozen.stop_after_s) for gate in self.frozen.values()),
            *(
                _Place("frozen_joints", gate, "arm", its.frozen_joints.stop_after_s)
                for gate in (self.frozen_joints, self.frozen_hand)
                if gate is not None
            ),
            _Place("non_finite", self.non_finite, "policy", its.non_finite.stop_after_s),
            _Place("plan", self.plan, "policy", its.plan.stop_after_s),
            _Place("novelty", self.novelty, "policy", its.novelty.stop_after_s),
        ]
        if its.robot_state.topic is not None:
            self._places.append(_Place("robot_state", self.robot_state, "arm", its.robot_state.stop_after_s))
        if its.deadman.topic is not None:
            self._places.append(_Place("deadman", self.deadman, "policy", its.deadman.stop_after_s))
        self.trips = dict.fromkeys((place.kind for place in self._places), 0)  # how often each began

    def check(self, now_ns: int, *, guarding: Guarded = "policy") -> Ruling:
        """Ask all gates; return the most severe verdict. A person is not guarded by what guards a policy."""
        worst = Ruling(CLEAR)
        for place in self._places:
            if place.guards == "policy" and guarding == "arm":
                place.since_ns, place.verdict = None, CLEAR
                continue
            self.trips[place.kind] += place.ask(now_ns)
            if REACTIONS.index(place.verdict.reaction) > REACTIONS.index(worst.verdict.reaction):
                worst = Ruling(place.verdict, place.kind)
        return worst

    def wants(self) -> dict[str, str]:
        """Return what each gate that wants something said when it was asked last."""
        return {
            place.kind: f"{place.verdict.reaction}: {place.verdict.text}"
            for place in self._places
            if place.verdict.text
        }

    def reactions(self) -> dict[str, Reaction]:
        """Return the reaction of each gate that wanted something when it was asked last."""
        return {place.kind: place.verdict.reaction for place in self._places if place.verdict.text}

    @property
    def silent(self) -> tuple[str, ...]:
        """The gates that can't keep the arm from moving, because the contract says so."""
        return tuple(name for name, reaction in self._reactions.items() if reaction == "none")

    def reset(self, now_ns: int) -> None:
        """Forget what belongs to the episode before, the counts included."""
        for place in self._places:
            place.gate.reset(now_ns)
            place.since_ns, place.verdict = None, CLEAR
            self.trips[place.kind] = 0

    def refusal(self, now_ns: int) -> str:
        """Return why nothing may begin to move the arm now; empty if it may."""
        ruling = self.check(now_ns, guarding="arm")
        return ruling.verdict.text if ruling.verdict.reaction in ("hold", "stop") else ""

    def _of_streams(self, contract: Contract) -> list[_Place]:
        stop_after_s = contract.arm.stale_stop_s
        return [
            _Place("stale", gate, "arm" if name == contract.arm_stream else "policy", stop_after_s)
            for name, gate in self.stale.items()
        ]


def _frozen_hand(contract: Contract) -> FrozenGate | None:
    """Return the gate of a hand whose joints repeat one reading; None without a hand."""
    if (name := contract.hand_stream) is None:
        return None
    its = contract.gates.frozen_joints
    return FrozenGate(
        dataclasses.replace(its, moved_rad=its.finger_moved_rad),
        contract.streams[name],
        f"{name} tells one posture while the hand is to move",
        lag_ms=its.lag_ms,
    )
