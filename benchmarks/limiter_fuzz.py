"""Whether any command ever exceeds a limit: random sequences of actions, measured by the commands alone.

Three kinds of sequence, each of STEPS commands and begun at rest at random joints inside the limits:
- `limiter`: through `Motion`, which is what decides on the joints of every command. At random moments it is
  asked for something else: joint goals near and far beyond every limit, jogs up to four times as fast as
  allowed, a noisy goal with each command, braking.
- `commander`: through the whole Commander, with inverse kinematics, stops and the clock: poses near, far, not
  finite, jogs, holds, stops, re-arming, arms that do not follow, calls that are early, late, bunched, or of a
  clock that jumps back. Each is a hundred times as slow as one of the limiter, so there are fewer.
- `hand`: through the whole Commander of an arm with a hand, whose joints are sent to postures near, far and
  not finite, press on something, are not measured for a while, are stopped, finished and begun anew.

What is measured, and with which tolerance: `dynamo_ros.core.limit_audit`, on the way of the arm: where calls
fail to come it brakes as the last command told it to (`dynamo_ros.core.ways`), and the next ones go on there.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from fuzzed_hand import MIDDLE, PERIODS, STEPS, fuzz_hands

from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.commander import Commander
from dynamo_ros.core.limit_audit import ROUNDING, audit_all
from dynamo_ros.core.motion import Motion
from dynamo_ros.core.ways import STILL, Given, Way, resting

ROBOTS = Path(__file__).parents[1] / "config" / "robots"
CONTRACT, WITH_HAND = ROBOTS / "xarm_kitchen.yaml", ROBOTS / "allegro_manipulation.yaml"
KINDS = ("limiter", "commander", "hand")
BATCH = 500
FloatArray = npt.NDArray[np.float64]


class Batch(NamedTuple):
    """Sequences to run: `count` of a kind, from a seed."""

    kind: str
    count: int
    seed: tuple[int, int, int]


class Found(NamedTuple):
    """What a batch came to; by limit."""

    kind: str
    sequences: int
    commands: int
    violations: Counter[str]
    worst: dict[str, float]
    braked_for: Counter[str]


def starts(contract: Contract, random: np.random.Generator, count: int) -> FloatArray:
    """Return joints (count, 7) inside their limits, the tool inside the workspace."""
    found = np.empty((0, 7))
    lower, upper = np.array(contract.arm.lower_rad), np.array(contract.arm.upper_rad)
    while len(found) < count:
        spread = random.choice([0.1, 0.5, 1.5], size=(8 * count, 1))
        joints = np.clip(MIDDLE + spread * random.normal(size=(8 * count, 7)), lower, upper)
        inside = audit_all(contract, np.repeat(joints[:, None], 4, axis=1))["workspace"] <= 1.0
        found = np.vstack([found, joints[inside]])
    return found[:count]


def limiter_sequence(
    motion: Motion, start: FloatArray, random: np.random.Generator, braked: Counter[str]
) -> FloatArray:
    """Return the joints (STEPS + STILL, 7) of one sequence through the limiter."""
    motion.start(start)
    joints = [start] * STILL
    for step in range(STEPS):
        if step == 0 or random.random() < 0.25:
            ask = random.integers(5)
            goal = motion.joints + random.choice([0.05, 0.3, 3.0]) * random.normal(size=7)
            speed = (
                random.choice([0.3, 2.0, 8.0]) * random.normal(size=7) * (random.random(7) < random.random())
            )
        if ask == 0:
            motion.brake()
            said: tuple[str, ...] = ()
        elif ask == 1:
            said = motion.along(speed)
        elif ask == 2:
            said = motion.toward(goal + 0.02 * random.normal(size=7))
        else:
            said = motion.toward(goal)
        braked.update(said)
        joints.append(motion.joints)
    return np.array(joints)


def commander_sequence(
    contract: Contract,
    commander: Commander,
    start: FloatArray,
    random: np.random.Generator,
    braked: Counter[str],
) -> list[list[FloatArray]]:
    """Return the way of the arm, in parts (N, 7), on one sequence through the commander."""
    period_ns, now_ns = contract.arm.period_ns, 0
    commander.finish()
    commander.rearm(start, now_ns)
    way = Way(contract.arm, resting(start))
    for step in range(STEPS):
        if step == 0 or random.random() < 0.25:
            ask_something(commander, way.here(now_ns), now_ns, random)
        now_ns += int(random.choice(PERIODS) * period_ns)
        commander.observe(way.here(now_ns) + 0.01 * random.normal(size=7), now_ns)
        command = commander.step(now_ns)
        if command is None:
            continue
        now_ns += int(random.choice([0.0, 0.0, 0.0, 0.4, 2.0, 8.0]) * period_ns)
        if not commander.may_send(command, now_ns):
            way.here(now_ns)  # the arm brakes, and goes on doing so whatever the clock says next
            continue
        braked.update(command.clipped)
        way.go(Given(now_ns, command.joints, command.braking))
    return way.parts


def ask_something(commander: Commander, last: FloatArray, now_ns: int, random: np.random.Generator) -> None:
    """Ask the commander for something random, half of the time a target that is not far."""
    here = commander.forward(last)
    turn = here.quaternion + random.choice([0.0, 0.1, 1.0]) * random.normal(size=4)
    ask = random.integers(12)
    ahead_ns = int(random.integers(-100, 500)) * 1_000_000
    if ask < 6:
        place = here.position + random.choice([0.02, 0.2]) * random.normal(size=3)
        commander.aim(Target(Pose(place, turn), random.random()), now_ns + ahead_ns)
    elif ask == 6:
        place = random.choice([1.0, 1e6, np.nan, np.inf]) * random.normal(size=3)
        commander.aim(Target(Pose(place, turn), 2.0), now_ns + ahead_ns)
    elif ask in (7, 8):
        commander.jog(random.choice([0.3, 3.0, 1e6]) * random.normal(size=7), 0.0, now_ns + ahead_ns)
    elif ask == 9:
        commander.hold()
    elif ask == 10:
        commander.stop("fuzz", kind=str(random.choice(["requested", "tracking"])))
    else:
        commander.rearm(last, now_ns)


def run(batch: Batch) -> Found:
    """Run a batch in this process."""
    if batch.kind == "hand":
        hands = fuzz_hands(load_contract(WITH_HAND), np.random.default_rng(batch.seed), batch.count)
        return Found(batch.kind, batch.count, *hands)
    contract, random = load_contract(CONTRACT), np.random.default_rng(batch.seed)
    violations: Counter[str] = Counter()
    worst: dict[str, float] = {}
    braked: Counter[str] = Counter()
    begins = starts(contract, random, batch.count)
    if batch.kind == "limiter":
        motion = Motion(contract)
        rows = [limiter_sequence(motion, start, random, braked) for start in begins]
        series = [np.array(rows)]
    else:
        commander = Commander(contract)
        series = [
            np.array([one])
            for start in begins
            for one in commander_sequence(contract, commander, start, random, braked)
        ]
    for one in series:
        for name, part in audit_all(contract, one).items():
            violations[name] += int((~(part <= 1.0 + ROUNDING)).sum())
            worst[name] = max(worst.get(name, 0.0), float(part.max()))
    commands = sum(one.shape[0] * (one.shape[1] - STILL) for one in series)
    return Found(batch.kind, batch.count, commands, violations, worst, braked)


def summary(found: list[Found]) -> dict[str, Any]:
    """Return one kind's findings, summed up."""
    names = found[0].worst
    return {
        "sequences": sum(one.sequences for one in found),
        "commands": sum(one.commands for one in found),
        "violations": sum(sum(one.violations.values()) for one in found),
        "limits": {
            name: {
                "violations": sum(one.violations[name] for one in found),
                "worst_part_of_limit": max(one.worst[name] for one in found),
            }
            for name in names
        },
        "commands_that_said": dict(sum((one.braked_for for one in found), Counter())),
    }


def batches(kind: str, count: int, seed: int) -> list[Batch]:
    """Return `count` sequences of a kind in parts."""
    number = KINDS.index(kind)
    return [Batch(kind, min(BATCH, count - first), (seed, number, first)) for first in range(0, count, BATCH)]


def main() -> None:
    """Run the sequences and say which limits were exceeded, if any."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sequences", type=int, default=1_000_000, help="through the limiter")
    parser.add_argument("--commander", type=int, default=20_000, help="sequences through the whole commander")
    parser.add_argument("--hand", type=int, default=20_000, help="the same of an arm with a hand")
    parser.add_argument("--quick", action="store_true", help="3000, 60 and 60 sequences")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    counts = (3_000, 60, 60) if given.quick else (given.sequences, given.commander, given.hand)
    counted = dict(zip(KINDS, counts, strict=True))
    work = [one for kind in reversed(KINDS) for one in batches(kind, counted[kind], given.seed)]
    begun, done = time.monotonic(), 0
    found: list[Found] = []
    with multiprocessing.get_context("spawn").Pool(given.jobs) as pool:
        for one in pool.imap_unordered(run, work):
            found.append(one)
            done += 1
            if done % 50 == 0:
                seconds = time.monotonic() - begun
                print(f"{done} of {len(work)} batches in {seconds:.0f} s", flush=True)
    kinds = {kind: summary([one for one in found if one.kind == kind]) for kind in KINDS if counted[kind]}
    result = {
        "violations": sum(kind["violations"] for kind in kinds.values()),
        "sequences": sum(kind["sequences"] for kind in kinds.values()),
        "seconds": round(time.monotonic() - begun, 1),
        "jobs": given.jobs,
        "seed": given.seed,
        "command": " ".join(["python", "benchmarks/limiter_fuzz.py", *sys.argv[1:]]),
        "commands_per_sequence": STEPS,
        **kinds,
    }
    print(json.dumps(result, indent=2))
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
