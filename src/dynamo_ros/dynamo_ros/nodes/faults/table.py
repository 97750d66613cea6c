"""The faults that are put into the real inference node over DDS, and what must come of each."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from dynamo_policies.contract import Contract
from dynamo_ros.faults import distortions as bad
from dynamo_ros.faults import expectations as expect
from dynamo_ros.faults.bench import REPORT_NS
from dynamo_ros.faults.expectations import Expects, Waits
from dynamo_ros.nodes.faults.arm import SOUND
from dynamo_ros.nodes.faults.rig import FLOOD, NODE, Rig

Act = Callable[[Rig], object]

JUMP_NS = 5_000_000_000
SLOW_RAD_S = 0.1  # one joint at least goes as fast along the line…
HAND_RAD_S = 0.3  # …and one of the hand's, which swings
GOES_ON, STOPPED, EITHER = ("goes on",), ("stopped",), ("goes on", "stopped")


class RosFault(NamedTuple):
    """One fault over ROS.

    `answer`: what the commands show: hold, stop, silence, none. `either`: none, or one of these in time;
    `any`: nothing but that limits are kept; empty: the contract does not ask for the gate that would see it.
    """

    what: str
    begin: Act
    end: Act
    answer: str
    within_ns: int | None  # how long the gate itself may take; None: nobody knows when it is to begin
    lasts_s: float
    after: tuple[str, ...]  # what may be afterwards: goes on, stopped, stands, dead
    clock: str = ""  # which process needs a clock of its own: a camera, or NODE; empty: none


def ros_faults(contract: Contract) -> dict[str, RosFault]:
    """Return the faults by name, for the contract's first camera, its arm, hand, the policy and the node."""
    return {
        **_camera(contract),
        **_joints(contract),
        **_hand(contract),
        **_policy(contract),
        **_gates(contract),
        **_clocks(contract),
        **_node(),
    }


def _camera(contract: Contract) -> dict[str, RosFault]:
    name = next(iter(contract.cameras))
    stale, unreadable = expect.stale(name), expect.at_once(name, "unreadable")

    def says(what: str, word: str, expects: Expects, lasts_s: float = 0.4) -> RosFault:
        return _expected(contract, what, _tell(name, word), _tell(name, "sound"), expects, lasts_s)

    return {
        "camera killed -9": RosFault(
            "its process",
            lambda rig: rig.kill_camera(name),
            Rig.revive,
            "hold",
            within(contract, stale),
            1.0,
            STOPPED,
        ),
        "camera's participant restarts": says("a new DDS participant", "restart", stale, 1.0)._replace(
            answer="either", after=EITHER
        ),
        "camera silent": says("0.4 s", "silent", stale),
        "camera frozen": says("one image, new stamps", "frozen", expect.frozen(name), 0.8),
        "camera's stamps frozen": says("new images under one stamp", "stuck", stale),
        "camera's clock ahead": says("stamps 0.2 s in the future", "ahead", expect.at_once(name, "stale")),
        "camera slow": says("2 Hz", "slow", stale),
        "camera late": says("0.5 s", "late", stale),
        "camera reordered": says("overtaking by 60 ms", "reordered", expect.nothing, 1.0),
        "camera's size wrong": says("half as high", "half_height", unreadable),
        "camera's encoding wrong": says("another order of channels", "other_encoding", unreadable),
    }


def _joints(contract: Contract) -> dict[str, RosFault]:
    name = contract.arm_stream
    stale, unreadable = expect.stale(name), expect.at_once(name, "unreadable")
    sends = partial(_sends, contract, lambda rig: rig.arm.line)
    return {
        "joints silent": sends("0.3 s", lambda: bad.silent, stale),
        "joints frozen": sends(
            "one position, new stamps", lambda: bad.faithful, expect.frozen(name), 1.0
        )._replace(begin=_freeze(lambda rig: rig.arm.line), after=STOPPED),
        "joints slow": sends("4 Hz", lambda: bad.slowed(4.0), stale, 0.4),
        "joints late": sends("0.3 s", lambda: bad.delayed(300.0), stale),
        "joints reordered": sends("overtaking by 40 ms", lambda: bad.reordered(40.0), expect.nothing, 1.0),
        "joint's name wrong": sends("of one joint", lambda: bad.renamed("other_", 1), unreadable),
        "joints' names wrong": sends("of all joints", lambda: bad.renamed("other_"), stale),
        "joints not a number": sends("one is NaN", bad.not_a_number, unreadable),
    }


def _hand(contract: Contract) -> dict[str, RosFault]:
    """Return the faults of a hand; none where the contract has none."""
    if (name := contract.hand_stream) is None:
        return {}
    stale, unreadable = expect.stale_hand(name), expect.at_once(name, "unreadable")
    sends = partial(_sends, contract, lambda rig: rig.hand.line)
    return {
        "hand silent": sends("0.3 s", lambda: bad.silent, stale),
        "hand frozen": sends(
            "one posture, new stamps", lambda: bad.faithful, expect.frozen_hand(name), 1.0
        )._replace(begin=_freeze(lambda rig: rig.hand.line), after=STOPPED),
        "hand slow": sends("4 Hz", lambda: bad.slowed(4.0), stale, 0.4),
        "hand late": sends("0.3 s", lambda: bad.delayed(300.0), stale),
        "hand reordered": sends("overtaking by 40 ms", lambda: bad.reordered(40.0), expect.nothing, 1.0),
        "hand's name wrong": sends("of one joint", lambda: bad.renamed("other_", 1), unreadable),
        "hand's names wrong": sends("of all joints", lambda: bad.renamed("other_"), stale),
        "hand's order changed": sends("names and positions alike", bad.other_order, expect.nothing),
        "hand's joint missing": sends("15 names and positions", bad.last_missing, unreadable),
        "hand's joint twice": sends("one name at two positions", bad.told_twice, unreadable),
        "hand in degrees": sends("instead of radians", bad.in_degrees, unreadable),
        "hand not a number": sends("one position is NaN", bad.not_a_number, unreadable),
        "policy's hand not a number": _expected(
            contract,
            "one action, of the hand, is NaN",
            _spoil("hand_not_a_number"),
            _spoil("sound"),
            expect.non_finite,
            0.5,
        ),
    }


def _policy(contract: Contract) -> dict[str, RosFault]:
    def does(what: str, word: str, expects: Expects, lasts_s: float) -> RosFault:
        return _expected(contract, what, _spoil(word), _spoil("sound"), expects, lasts_s)

    return {
        "policy not a number": does("one action is NaN", "not_a_number", expect.non_finite, 0.5),
        "policy raises": does("an exception", "raises", expect.failing, 0.5),
        "policy gives nothing": does("chunks without actions", "nothing", expect.no_plan, 0.9),
        "policy wild": does("actions all over the place", "wild", expect.anything, 0.5)._replace(
            after=(*EITHER, "stands")
        ),
        "policy hangs": does("inference does not come back", "hangs", expect.no_plan, 0.9),
        "policy slow": does("inference takes 0.55 s", "slow", expect.no_plan, 0.9),
    }


def _gates(contract: Contract) -> dict[str, RosFault]:
    def holds(what: str, expects: Expects, lasts_s: float, *, held: bool | None) -> RosFault:
        return _expected(contract, what, _set(held=held), _set(held=True), expects, lasts_s)

    def reports(what: str, said: dict[str, int] | None, expects: Expects, lasts_s: float) -> RosFault:
        return _expected(contract, what, _set(reports=said), _set(reports=SOUND), expects, lasts_s)

    reported = expect.robot_state(REPORT_NS)
    press, release = (lambda rig: rig.arm.press(pressed=True)), (lambda rig: rig.arm.press(pressed=False))
    return {
        "e-stop": _expected(contract, "true on its topic", press, release, expect.estop, 0.5),
        "deadman released": holds("nobody holds the button", expect.deadman(REPORT_NS), 0.4, held=False),
        "deadman silent": holds("its driver died", expect.deadman(), 0.6, held=None),
        "arm's error": reports("the controller reports error 31", SOUND | {"err": 31}, reported, 0.4),
        "arm's mode wrong": reports("the controller is in mode 2", SOUND | {"mode": 2}, reported, 0.4),
        "arm's motors off": reports("the controller says so", SOUND | {"mt_able": 0}, reported, 0.4),
        "arm's controller silent": reports("no report any more", None, expect.robot_state(), 0.9),
    }


def _clocks(contract: Contract) -> dict[str, RosFault]:
    """Return jumps of the clock of one computer among several, far enough for none to be waited out."""
    camera = next(iter(contract.cameras))

    def jumps(name: str, ahead_ns: int, expects: Expects, lasts_s: float) -> RosFault:
        what = f"by {abs(ahead_ns) / 1e9:g} s, for {lasts_s:g} s; nobody else's"
        fault = _expected(contract, what, _jump(name, ahead_ns), _jump(name, 0), expects, lasts_s)
        return fault._replace(clock=name)

    # What a camera stamped in the future is in the way until that has come; nothing is in the way of what it
    # stamps rightly again.
    ahead = jumps(camera, JUMP_NS, expect.at_once(camera, "stale"), 0.4)._replace(after=STOPPED)
    return {
        "camera's clock jumps ahead": ahead,
        "camera's clock jumps back": jumps(camera, -JUMP_NS, expect.stale(camera), 0.4),
        "node's clock jumps ahead": jumps(NODE, JUMP_NS, expect.clock, 1.0),
        "node's clock jumps back": jumps(NODE, -JUMP_NS, expect.clock, 1.0),
    }


def _node() -> dict[str, RosFault]:
    def flood(what: str, word: str) -> RosFault:
        begin, end = _tell(FLOOD, word), _tell(FLOOD, "off")
        return RosFault(f"thousands of messages a second for {what}", begin, end, "either", None, 3.0, EITHER)

    def signalled(what: str, number: signal.Signals, lasts_s: float, after: Iterable[str]) -> RosFault:
        end = _go_on if number == signal.SIGSTOP else _nothing
        return RosFault(what, lambda rig: rig.signal_node(number), end, "silence", 0, lasts_s, tuple(after))

    return {
        "streams flooded": flood("the thread that listens", "streams"),
        "executor overloaded": flood("the one that commands", "executor"),
        "node stopped 0.3 s": signalled("SIGSTOP", signal.SIGSTOP, 0.3, EITHER),
        "node stopped 2 s": signalled("SIGSTOP", signal.SIGSTOP, 2.0, STOPPED),
        "node killed -9": signalled("its process", signal.SIGKILL, 1.0, ("dead",)),
    }


def within(contract: Contract, expects: Expects) -> int:
    """Return how long the gate takes that is expected, ns."""
    found = expects(contract)
    assert found is not None
    return found.within_ns


def _expected(
    contract: Contract, what: str, begin: Act, end: Act, expects: Expects, lasts_s: float
) -> RosFault:
    """Return a fault of which that must come which the contract promises."""
    found = expects(contract)
    if found is None:
        return RosFault(what, begin, end, "", None, lasts_s, ())
    after = STOPPED if found.answer == "stop" else GOES_ON
    within_ns = found.within_ns + _waiting_ns(found.waits)
    return RosFault(what, begin, end, found.answer, within_ns, lasts_s, after)


def _waiting_ns(waits: Waits | None) -> int:
    """Return how long a gate waits besides until the arm, or the hand, has moved."""
    if waits is None:
        return 0
    rad_s = HAND_RAD_S if waits.of_hand else SLOW_RAD_S
    return max(0, round(waits.moved_rad / rad_s * 1e9) - waits.besides_ns)


def _tell(name: str, word: str) -> Act:
    return lambda rig: rig.tell(name, word)


def _spoil(word: str) -> Act:
    return lambda rig: rig.spoil(word)


def _sends(
    contract: Contract,
    line_of: Callable[[Rig], bad.Line],
    what: str,
    make: Callable[[], bad.Distortion],
    expects: Expects,
    lasts_s: float = 0.3,
) -> RosFault:
    """Return a fault of the joint states that go by a line of the rig."""
    begin, end = _distort(line_of, make), _distort(line_of, lambda: bad.faithful)
    return _expected(contract, what, begin, end, expects, lasts_s)


def _distort(line_of: Callable[[Rig], bad.Line], make: Callable[[], bad.Distortion]) -> Act:
    def distort(rig: Rig) -> None:
        line_of(rig).distort = make()

    return distort


def _freeze(line_of: Callable[[Rig], bad.Line]) -> Act:
    def freeze(rig: Rig) -> None:
        line_of(rig).distort = bad.frozen("position", line_of(rig).last)

    return freeze


def _set(**values: object) -> Act:
    def put(rig: Rig) -> None:
        for name, value in values.items():
            setattr(rig.arm, name, value)

    return put


def _jump(name: str, ahead_ns: int) -> Act:
    return lambda rig: rig.jump(name, ahead_ns)


def _go_on(rig: Rig) -> None:
    rig.signal_node(signal.SIGCONT)


def _nothing(_rig: Rig) -> None:
    """Leave things as they are."""
