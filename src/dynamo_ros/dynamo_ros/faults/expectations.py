"""What a contract promises about each fault: which gate reacts, how, and within what time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from dynamo_policies.contract import Contract
from dynamo_ros.faults.bench import REPORT_NS, THINK_NS
from dynamo_ros.faults.sensors import CAMERA_LATENCY_NS, JOINTS_LATENCY_NS

Answer = Literal["none", "slow", "hold", "stop", "silence", "any"]


class Waits(NamedTuple):
    """A gate that waits until a joint, of the arm or the hand, has moved; that counts beyond `besides_ns`."""

    moved_rad: float
    besides_ns: int
    of_hand: bool = False


class Expected(NamedTuple):
    """What must come of a fault.

    `answer`: a gate's reaction; `silence`: no command comes at all; `any`: nothing but that limits are kept.
    `within_ns` is how long the gate itself may take; two command periods are granted besides.
    """

    answer: Answer
    gate: str = ""
    within_ns: int = 0
    stop_after_s: float | None = None  # when what lasts becomes a stop
    waits: Waits | None = None


# None: the contract does not ask for the gate that would see the fault.
Expects = Callable[[Contract], Expected | None]


def stale(name: str, *, lasting: bool = True) -> Expects:
    """Expect the gate of a stream that has ended; one that comes now and then never stops for good."""

    def expects(contract: Contract) -> Expected:
        its, age_ns = contract.gates.stale, contract.streams[name].max_age_ns
        assert age_ns is not None
        stop_after_s = contract.arm.stale_stop_s if lasting else None
        return Expected(its.streams.get(name, its.reaction), "stale", age_ns, stop_after_s)

    return expects


def stale_hand(name: str, *, lasting: bool = True) -> Expects:
    """Expect the same of the hand's stream; its limiter stops the hand and the arm where the gate lets be."""

    def expects(contract: Contract) -> Expected:
        found, itself = _of(stale(name, lasting=lasting)(contract)), _stopped_by_limiter(contract)
        if found.answer in ("none", "slow"):
            return itself
        if found.answer != "hold" or found.stop_after_s is None:
            return found
        after_s = (itself.within_ns - found.within_ns) / 1e9
        return found._replace(stop_after_s=min(found.stop_after_s, after_s))

    return expects


def at_once(name: str, gate: str) -> Expects:
    """Expect a gate that sees the first wrong message of a stream."""

    def expects(contract: Contract) -> Expected:
        within_ns = round(1e9 / contract.streams[name].rate_hz) + CAMERA_LATENCY_NS
        if gate == "stale":
            return _of(stale(name)(contract))._replace(within_ns=within_ns)
        its = contract.gates.unreadable
        return Expected(its.reaction, gate, within_ns, its.stop_after_s)

    return expects


def frozen(name: str) -> Expects:
    """Expect the gate of a camera that repeats one image, or of the arm's joints that repeat one reading."""

    def expects(contract: Contract) -> Expected:
        gates, stream = contract.gates, contract.streams[name]
        assert stream.max_age_ns is not None
        within_ns = stream.max_age_ns
        # That the arm has moved shows with the next message.
        besides_ns = within_ns - round(1e9 / stream.rate_hz)
        if name in contract.cameras:
            camera = gates.frozen
            waits = Waits(camera.moved_rad, besides_ns - CAMERA_LATENCY_NS)
            return Expected(camera.reaction, "frozen", within_ns, camera.stop_after_s, waits)
        its = gates.frozen_joints
        waits = Waits(its.moved_rad, besides_ns - JOINTS_LATENCY_NS - round(its.lag_ms * 1e6))
        return Expected(its.reaction, "frozen_joints", within_ns, its.stop_after_s, waits)

    return expects


def frozen_hand(name: str) -> Expects:
    """Expect the same of the hand's joints; its limiter stops the hand and the arm where the gate lets be."""

    def expects(contract: Contract) -> Expected:
        its, found = contract.gates.frozen_joints, _of(frozen(name)(contract))
        assert found.waits is not None
        if its.reaction in ("none", "slow"):
            return _stopped_by_limiter(contract)
        return found._replace(waits=found.waits._replace(moved_rad=its.finger_moved_rad, of_hand=True))

    return expects


def novel(name: str) -> Expects:
    """Expect the gate of observations like none that was demonstrated."""

    def expects(contract: Contract) -> Expected:
        its = contract.gates.novelty
        within_ns = round(1e9 / contract.streams[name].rate_hz) + CAMERA_LATENCY_NS
        within_ns += its.least * contract.period_ns + contract.settle_ns + THINK_NS
        return Expected(its.reaction, "novelty", within_ns, its.stop_after_s)

    return expects


def non_finite(contract: Contract) -> Expected:
    """Expect the gate of actions that are not finite, with the next plan."""
    its = contract.gates.non_finite
    return Expected(its.reaction, "non_finite", next_plan_ns(contract), its.stop_after_s)


def hand_non_finite(contract: Contract) -> Expected:
    """Expect the stop of a target of the hand that is not finite, with the next plan."""
    return Expected("stop", "hand", next_plan_ns(contract))


def failing(contract: Contract) -> Expected:
    """Expect the stop of inference that fails, with the next plan."""
    return Expected("stop", "inference", next_plan_ns(contract))


def no_plan(contract: Contract) -> Expected:
    """Expect the gate of a policy that does not act; it counts from the tick of the last plan."""
    its = contract.gates.plan
    return Expected(its.reaction, "plan", int(its.periods * contract.period_ns), its.stop_after_s)


def clock(contract: Contract) -> Expected:
    """Expect the gate of the clock with the next command."""
    return Expected(contract.gates.clock.reaction, "clock", 0, contract.gates.clock.stop_after_s)


def estop(_contract: Contract) -> Expected:
    """Expect the e-stop."""
    return Expected("stop", "estop")


def robot_state(within_ns: int | None = None) -> Expects:
    """Expect the gate of the arm's controller, after its longest silence if None."""

    def expects(contract: Contract) -> Expected | None:
        its = contract.gates.robot_state
        within = int(its.max_age_ms * 1e6) if within_ns is None else within_ns
        return None if its.topic is None else Expected(its.reaction, "robot_state", within, its.stop_after_s)

    return expects


def warned(contract: Contract) -> Expected | None:
    """Expect the gate of the arm's controller on a warning."""
    found = robot_state(REPORT_NS)(contract)
    return None if found is None else found._replace(answer=contract.gates.robot_state.on_warning)


def deadman(within_ns: int | None = None) -> Expects:
    """Expect the gate of the deadman, after its longest silence if None."""

    def expects(contract: Contract) -> Expected | None:
        its = contract.gates.deadman
        within = int(its.max_age_ms * 1e6) if within_ns is None else within_ns
        return None if its.topic is None else Expected(its.reaction, "deadman", within, its.stop_after_s)

    return expects


def nothing(_contract: Contract) -> Expected:
    """Expect that the arm goes on."""
    return Expected("none")


def anything(_contract: Contract) -> Expected:
    """Expect that limits are kept."""
    return Expected("any")


def silence(_contract: Contract) -> Expected:
    """Expect that no command comes, and that all goes on afterwards."""
    return Expected("silence")


def silence_and_stop(_contract: Contract) -> Expected:
    """Expect that no command comes, and a stop afterwards: what was measured is too old."""
    return Expected("silence", stop_after_s=0.0)


def next_plan_ns(contract: Contract) -> int:
    """Return how long it takes at most until the next plan is there."""
    return contract.period_ns + contract.settle_ns + THINK_NS


def _stopped_by_limiter(contract: Contract) -> Expected:
    """Return the stop of a hand whose joints are too old to go by."""
    return Expected("stop", "hand", round(contract.need_hand("a hand's stop").stale_stop_s * 1e9))


def _of(expected: Expected | None) -> Expected:
    assert expected is not None
    return expected
