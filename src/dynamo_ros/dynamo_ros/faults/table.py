"""The faults that are injected, and what must come of each."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from dynamo_policies.contract import Contract
from dynamo_policies.streams import Stream
from dynamo_ros.faults import distortions as bad
from dynamo_ros.faults import expectations as expect
from dynamo_ros.faults import injections as put
from dynamo_ros.faults import spoiled
from dynamo_ros.faults.bench import REPORT_NS
from dynamo_ros.faults.expectations import Expects
from dynamo_ros.faults.injections import Injection


class Fault(NamedTuple):
    """One fault."""

    what: str
    injection: Injection
    expects: Expects


def faults(contract: Contract) -> dict[str, Fault]:
    """Return all faults by name: of the contract's first camera, its arm's and hand's joints, the rest."""
    camera = next(iter(contract.cameras))
    return {
        **_camera(camera, contract.streams[camera]),
        "all cameras cut off": Fault(
            "no camera comes any more",
            put.on(tuple(contract.cameras), lambda: bad.silent),
            expect.stale(camera),
        ),
        **_joints(contract.arm_stream, contract.streams[contract.arm_stream]),
        **_hand(contract),
        **_policy(),
        **_node(),
        **_robot(),
    }


def _camera(name: str, stream: Stream) -> dict[str, Fault]:
    period_ms = 1e3 / stream.rate_hz
    on, stale, unreadable = partial(put.on, (name,)), expect.stale(name), expect.at_once(name, "unreadable")
    return {
        "camera killed": Fault("no image comes any more", on(lambda: bad.silent), stale),
        "camera frozen": Fault("one image, new stamps", put.freeze(name, "data"), expect.frozen(name)),
        "camera's stamps frozen": Fault(
            "new images under one stamp", on(lambda: bad.stuck_stamp(period_ms)), stale
        ),
        "camera slow": Fault(
            "2 images a second", on(lambda: bad.slowed(2.0)), expect.stale(name, lasting=False)
        ),
        "camera slow, allowed": Fault("15 images a second", on(lambda: bad.slowed(15.0)), expect.nothing),
        "camera late": Fault("every image 0.5 s late", on(lambda: bad.delayed(500.0)), stale),
        "camera late, allowed": Fault("images 60 ms late", on(lambda: bad.delayed(60.0)), expect.nothing),
        "camera reordered": Fault("overtaking by 80 ms", on(lambda: bad.reordered(80.0)), expect.nothing),
        "camera's clock ahead": Fault(
            "stamps 0.2 s in the future", on(lambda: bad.ahead(200.0)), expect.at_once(name, "stale")
        ),
        "camera's size wrong": Fault("images half as high", on(bad.half_height), unreadable),
        "camera's encoding wrong": Fault("another order of channels", on(bad.other_encoding), unreadable),
        "camera dark": Fault("almost black images", on(bad.dark), expect.novel(name)),
    }


def _joints(name: str, stream: Stream) -> dict[str, Fault]:
    period_ms = 1e3 / stream.rate_hz
    on, stale, unreadable = partial(put.on, (name,)), expect.stale(name), expect.at_once(name, "unreadable")
    return {
        "joints killed": Fault("no joint state comes any more", on(lambda: bad.silent), stale),
        "joints frozen": Fault("one position, new stamps", put.freeze(name, "position"), expect.frozen(name)),
        "joints' stamps frozen": Fault(
            "new positions under one stamp", on(lambda: bad.stuck_stamp(period_ms)), stale
        ),
        "joints slow": Fault(
            "4 joint states a second", on(lambda: bad.slowed(4.0)), expect.stale(name, lasting=False)
        ),
        "joints late": Fault("every joint state 0.3 s late", on(lambda: bad.delayed(300.0)), stale),
        "joints reordered": Fault("overtaking by 40 ms", on(lambda: bad.reordered(40.0)), expect.nothing),
        "joint's name wrong": Fault("of one joint", on(lambda: bad.renamed("other_", 1)), unreadable),
        "joints' names wrong": Fault("of all joints", on(lambda: bad.renamed("other_")), stale),
        "joint twice": Fault("one name at two positions", on(bad.told_twice), unreadable),
        "joints in degrees": Fault("instead of radians", on(bad.in_degrees), unreadable),
        "joints not a number": Fault("one position is NaN", on(bad.not_a_number), unreadable),
    }


def _hand(contract: Contract) -> dict[str, Fault]:
    """Return the faults of a hand; none where the contract has none."""
    if (name := contract.hand_stream) is None:
        return {}
    on, stale, unreadable = (
        partial(put.on, (name,)),
        expect.stale_hand(name),
        expect.at_once(name, "unreadable"),
    )
    period_ms = 1e3 / contract.streams[name].rate_hz
    return {
        "hand killed": Fault("no joint state of the hand comes any more", on(lambda: bad.silent), stale),
        "hand frozen": Fault(
            "one posture, new stamps", put.freeze(name, "position"), expect.frozen_hand(name)
        ),
        "hand's stamps frozen": Fault(
            "new postures under one stamp", on(lambda: bad.stuck_stamp(period_ms)), stale
        ),
        "hand slow": Fault(
            "4 joint states a second", on(lambda: bad.slowed(4.0)), expect.stale_hand(name, lasting=False)
        ),
        "hand late": Fault("every joint state 0.3 s late", on(lambda: bad.delayed(300.0)), stale),
        "hand reordered": Fault("overtaking by 40 ms", on(lambda: bad.reordered(40.0)), expect.nothing),
        "hand's clock ahead": Fault(
            "stamps 0.2 s in the future", on(lambda: bad.ahead(200.0)), expect.at_once(name, "stale")
        ),
        "hand's name wrong": Fault("of one joint", on(lambda: bad.renamed("other_", 1)), unreadable),
        "hand's names wrong": Fault("of all joints", on(lambda: bad.renamed("other_")), stale),
        "hand's order changed": Fault("names and positions alike", on(bad.other_order), expect.nothing),
        "hand's positions swapped": Fault("under the names of others", on(bad.swapped), expect.anything),
        "hand's joint missing": Fault("15 names and positions", on(bad.last_missing), unreadable),
        "hand's position missing": Fault("15 positions of 16 names", on(bad.position_missing), unreadable),
        "hand's joint twice": Fault("one name at two positions", on(bad.told_twice), unreadable),
        "hand in degrees": Fault("instead of radians", on(bad.in_degrees), unreadable),
        "hand not a number": Fault("one position is NaN", on(bad.not_a_number), unreadable),
        "policy's hand not a number": Fault(
            "one action, of the hand, is NaN", put.spoil(lambda: spoiled.hand_not_a_number), expect.non_finite
        ),
        "hand's targets not a number": Fault(
            "the actions are finite, what they decode to for a finger is NaN",
            put.spoil_targets(lambda: spoiled.hand_targets_not_a_number),
            expect.hand_non_finite,
        ),
    }


def _policy() -> dict[str, Fault]:
    return {
        "policy not a number": Fault(
            "one action is NaN", put.spoil(lambda: spoiled.not_a_number), expect.non_finite
        ),
        "policy raises": Fault("an exception", put.spoil(lambda: spoiled.raising), expect.failing),
        "policy gives nothing": Fault(
            "chunks without actions", put.spoil(lambda: spoiled.no_actions), expect.no_plan
        ),
        "policy wild": Fault("actions all over the place", put.spoil(spoiled.wild), expect.anything),
        "policy hangs": Fault("inference does not come back", put.setting(hangs=True), expect.no_plan),
        "policy slow": Fault("inference takes 0.55 s", put.setting(think_ns=550_000_000), expect.no_plan),
    }


def _node() -> dict[str, Fault]:
    return {
        "clock jumps ahead": Fault("by 1 s", put.jump(1.0), expect.clock),
        "clock jumps back": Fault("by 1 s", put.jump(-1.0), expect.clock),
        "clock jumps a little": Fault("ahead by 90 ms", put.jump(0.09), expect.nothing),
        "node stands still": Fault("no time for 0.3 s", put.stall(0.3), expect.silence),
        "node stands still long": Fault("no time for 2 s", put.stall(2.0), expect.silence_and_stop),
        "e-stop": Fault("true on its topic", put.estop(), expect.estop),
        "deadman released": Fault(
            "nobody holds the button", put.setting(deadman=False), expect.deadman(REPORT_NS)
        ),
        "deadman silent": Fault("its driver died", put.setting(deadman=None), expect.deadman()),
    }


def _robot() -> dict[str, Fault]:
    reported = expect.robot_state(REPORT_NS)
    return {
        "arm's error": Fault("the controller reports error 31", put.robot(err=31), reported),
        "arm's mode wrong": Fault("the controller is in mode 2", put.robot(mode=2), reported),
        "arm's motors off": Fault("the controller says so", put.robot(mt_able=0), reported),
        "arm's warning": Fault("the controller reports warning 11", put.robot(warn=11), expect.warned),
        "arm's controller silent": Fault("no report any more", put.setting(robot=None), expect.robot_state()),
    }
