"""`dynamo replay`: a recorded bag through the runner that runs on the robot, against golden commands."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from dynamo_policies.cli.command import Command

if TYPE_CHECKING:
    from dynamo_policies.bag_info import BagInfo
    from dynamo_policies.bundle import Bundle
    from dynamo_policies.contract import Contract
    from dynamo_ros.bag_replay import BagReplay
    from dynamo_ros.core.divergence import Divergence
    from dynamo_ros.core.golden import Comparison, Golden
    from dynamo_ros.core.replay import Replayed

TOLERANCE_RAD = 1e-3
EQUAL, DIFFERS = 0, 1


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bag", type=Path)
    parser.add_argument("--bundle", type=Path, required=True, help="folder that `dynamo train` wrote")
    parser.add_argument("--golden", type=Path, metavar="FILE", help="compare; exit status 1 where it differs")
    parser.add_argument("--write-golden", type=Path, metavar="FILE", help="keep what was commanded")
    parser.add_argument(
        "--tolerance-rad", type=float, default=TOLERANCE_RAD, help="of a joint (default %(default)g)"
    )
    parser.add_argument("--task", help="default: the bag's")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="from observation to plan (default 0)")
    parser.add_argument("--device", default="cpu", help="where the encoder runs (default cpu)")
    parser.add_argument(
        "--engine", default="eager", help="what runs the encoder: eager, auto, … (docs/latency.md)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument(
        "--plot", type=Path, metavar="PNG", help="draw how far it is from what was commanded in the bag"
    )


def _run(args: argparse.Namespace) -> int:
    import time

    import torch

    from dynamo_policies.bag_info import read_info
    from dynamo_policies.bundle import load_bundle
    from dynamo_policies.engines.choice import use_engine
    from dynamo_ros.bag_replay import replay_bag
    from dynamo_ros.core.golden import compare, golden_of
    from dynamo_ros.golden_file import read_golden, write_golden

    torch.set_num_threads(1)  # sums in another order differ in their last bits
    bundle = load_bundle(args.bundle, device=args.device)
    choice = use_engine(bundle.embedder, args.engine, clock_ns=time.perf_counter_ns, policy=bundle.policy)
    print(f"engine {choice}")
    info, begun = read_info(args.bag), time.monotonic()
    task = args.task or info.task
    found = replay_bag(
        info, bundle, task, clock_ns=time.perf_counter_ns, latency_ns=round(args.latency_ms * 1e6)
    )
    _tell(info, found.replayed, time.monotonic() - begun)
    if found.deaf:
        print(f"gates without effect, the bag holds nothing for them: {', '.join(found.deaf)}")
    apart = _divergence(bundle, found)
    _tell_divergence(apart)
    kept = golden_of(found.replayed, _joints(bundle.contract), _about(info, bundle, task, args.latency_ms))
    if args.write_golden is not None:
        write_golden(args.write_golden, kept)
        print(f"golden: {args.write_golden}")
    comparison = None
    if args.golden is not None:
        golden = read_golden(args.golden)
        comparison = compare(kept, golden, tolerance_rad=args.tolerance_rad)
        _tell_comparison(comparison, kept, golden)
    if args.json is not None:
        figures = _as_json(found, apart, comparison)
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if args.plot is not None:
        from dynamo_ros.divergence_plot import divergence_plot

        divergence_plot(found, apart, args.plot)
    return DIFFERS if comparison is not None and comparison.difference else EQUAL


def _divergence(bundle: Bundle, found: BagReplay) -> Divergence:
    from dynamo_ros.core.divergence import Targets, divergence

    replayed = found.replayed
    wished = Targets(
        replayed.stamps_ns, replayed.position, replayed.quaternion, replayed.gripper, replayed.hand
    )
    max_age_ns = bundle.contract.streams["target_pose"].max_age_ns or 0
    return divergence(wished, found.commanded, max_age_ns=max_age_ns)


def _joints(contract: Contract) -> tuple[str, ...]:
    return (*contract.arm.joints, *(() if contract.hand is None else contract.hand.joints))


def _about(info: BagInfo, bundle: Bundle, task: str, latency_ms: float) -> dict[str, str]:
    from dynamo_policies.bags import bag_hash
    from dynamo_policies.bundle import versions

    same = {
        "bag": bag_hash(info.path),
        "bundle": bundle.digest,
        "task": task,
        "latency_ms": f"{latency_ms:g}",
        "engine": bundle.embedder.engine.name,
    }
    return same | {f"version {name}": value for name, value in versions().items()}


def _tell(info: BagInfo, replayed: Replayed, took_s: float) -> None:
    rate = info.seconds / max(took_s, 1e-9)
    ticks = f"{replayed.planned} plans, {replayed.skipped} ticks skipped, {replayed.stale} stale"
    print(
        f"{info.path.name}: {len(replayed.stamps_ns)} commands for {info.seconds:.1f} s, {ticks}; "
        f"took {took_s:.1f} s, {rate:.1f} times as fast as recorded"
    )
    print(
        f"the recorded arm does not follow: the commands were up to {replayed.apart_rad:.3f} rad from it; "
        f"begun {len(replayed.beginnings)} times"
    )
    for one in replayed.beginnings:
        if one.stop is not None:
            at_s = (one.stop.at_ns - info.start_ns) / 1e9
            print(f"  stopped {at_s:.2f} s into the bag, {one.stop.kind}: {one.stop.text}; begun anew")


def _tell_divergence(apart: Divergence) -> None:
    figures = apart.figures()
    if not figures:
        print("nothing was commanded in the bag to compare with")
        return
    texts = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
    print(f"from what was commanded in the bag: {texts}")


def _tell_comparison(comparison: Comparison, given: Golden, golden: Golden) -> None:
    changed = [
        f"{name} {value} instead of {golden.about.get(name)}"
        for name, value in given.about.items()
        if golden.about.get(name) != value
    ]
    if changed:
        print(f"made by others: {', '.join(changed)}")
    if comparison.difference:
        print(f"differs from golden: {comparison.difference}; worst {comparison.worst_rad:.2g} rad")
    else:
        how = (
            "to the bit" if comparison.bitwise else f"within tolerance, worst {comparison.worst_rad:.2g} rad"
        )
        print(f"equals golden {how}")


def _as_json(found: BagReplay, apart: Divergence, comparison: Comparison | None) -> dict[str, object]:
    replayed = found.replayed
    stops = [one.stop._asdict() for one in replayed.beginnings if one.stop is not None]
    return {
        "commands": len(replayed.stamps_ns),
        "planned": replayed.planned,
        "skipped": replayed.skipped,
        "stale": replayed.stale,
        "begun": len(replayed.beginnings),
        "stops": stops,
        "gates_without_effect": list(found.deaf),
        "apart_from_measured_rad": replayed.apart_rad,
        "divergence": apart.figures(),
        "golden": None if comparison is None else comparison._asdict(),
    }


COMMAND = Command(
    "replay", "feed a recorded bag to a bundle's runner and compare what it commands", _add_arguments, _run
)
