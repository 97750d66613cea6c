"""What engines change for a trained policy: its actions on held-out demonstrations, and its success.

Every engine that can be had here is held against eager, frame by frame; then the policy is rolled out on the
simulated station, in one process, by eager and by others from the same starts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dynamo_policies.bags import find_bags
from dynamo_policies.bundle import Bundle, load_bundle
from dynamo_policies.cache import FrameCache
from dynamo_policies.engines.agreement import Bounds, Deviation, deviation, probe_images
from dynamo_policies.engines.base import Engine, EngineError, Features, Images, Shape
from dynamo_policies.engines.choice import ENGINES, make
from dynamo_policies.statistics import wilson

REFERENCE = "eager"


class Known(NamedTuple):
    """An engine that was asked already."""

    name: str
    found: Features

    def features(self, images: Images) -> Features:  # noqa: ARG002  # an engine's signature
        """Return what was found."""
        return self.found


def main() -> int:
    """Measure, print and write."""
    options = _arguments()
    bundle = load_bundle(options.bundle)
    frames = _frames(bundle, options.bags, options.cache, options.every)[: options.most]
    result: dict[str, Any] = {
        "command": " ".join(["python", "benchmarks/engine_accuracy.py", *sys.argv[1:]]),
        "bundle": {"sha256": bundle.digest, "policy": bundle.policy.record.policy},
        "frames": len(frames),
        "bounds": vars(Bounds()),
        "engines": {name: _accuracy(name, bundle, frames) for name in ENGINES if name != REFERENCE},
    }
    if options.trials:
        trials = {name: _rollouts(name, options) for name in (REFERENCE, *options.rollouts)}
        result["seed"] = options.seed
        result["rollouts"] = {name: _counts(found) for name, found in trials.items()}
        result["against_eager"] = {name: _pairs(trials[REFERENCE], trials[name]) for name in options.rollouts}
    text = json.dumps(result, indent=2)
    if options.json:
        options.json.write_text(text + "\n")
    print(text)
    return 0


def _frames(bundle: Bundle, bags: Path, cache: Path, every: int) -> list[Images]:
    """Return every so many of all observations, (V, H, W, 3) each."""
    episodes = FrameCache(cache).episodes(find_bags(bags), bundle.frames)
    cameras = bundle.manifest.cameras
    stacks = [np.stack([one.images[name][::every] for name in cameras], axis=1) for one in episodes]
    return list(np.concatenate(stacks))


def _accuracy(name: str, bundle: Bundle, frames: Sequence[Images]) -> dict[str, Any]:
    """Return how the engine's deviations from eager are distributed over `frames`."""
    encoder, shape = bundle.embedder.encoder, Shape(views=len(bundle.manifest.cameras))
    reference = make(REFERENCE, encoder, shape)
    try:
        engine = make(name, encoder, shape)
    except EngineError as error:
        return {"missing": error.reason}
    found = np.array([_deviation(engine, reference, images, bundle) for images in frames])
    worst = Deviation(
        *np.where(np.array(Deviation._fields) == "cosine", found.min(axis=0), found.max(axis=0))
    )
    # What `auto` goes by: smooth random pictures.
    probed = deviation(engine, reference, probe_images(shape, bundle.frames.size), bundle.policy)
    return {
        **{field: _distribution(field, found[:, i]) for i, field in enumerate(Deviation._fields)},
        "beyond_bounds": list(Bounds().broken_by(worst)),
        "on_probe_images": probed._asdict(),
    }


def _deviation(engine: Engine, reference: Engine, images: Images, bundle: Bundle) -> Deviation:
    # Both are asked once for a frame, whatever is computed of it.
    known = [Known(one.name, one.features(images)) for one in (engine, reference)]
    return deviation(known[0], known[1], [images], bundle.policy)


def _distribution(field: str, values: Any) -> dict[str, float]:
    if field == "cosine":
        return {
            "median": float(np.median(values)),
            "p1": float(np.quantile(values, 0.01)),
            "min": values.min(),
        }
    return {"median": float(np.median(values)), "p99": float(np.quantile(values, 0.99)), "max": values.max()}


def _rollouts(engine: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the trials of the policy by `engine`, with the command that a person would type."""
    environment = os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    with tempfile.TemporaryDirectory() as folder:
        words = ["dynamo", "eval", "--bundle", options.bundle, "--engine", engine, "--no-video"]
        words += ["--trials", options.trials, "--seed", options.seed, "--out", folder]
        subprocess.run([*map(str, words)], stdout=sys.stderr, env=environment, check=True)
        trials: list[dict[str, Any]] = json.loads((Path(folder) / "trials.json").read_text())
    return trials


def _counts(trials: Sequence[dict[str, Any]]) -> dict[str, Any]:
    successes = sum(trial["success"] for trial in trials)
    return {"successes": successes, "trials": len(trials), "interval": list(wilson(successes, len(trials)))}


def _pairs(ours: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Return how often both, one alone, or neither succeeded from the same start."""
    pairs = [(one["success"], other["success"]) for one, other in zip(ours, others, strict=True)]
    kinds = {"both": (True, True), "eager_alone": (True, False), "it_alone": (False, True)}
    return {name: pairs.count(pair) for name, pair in (kinds | {"neither": (False, False)}).items()}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, required=True, help="folder that `dynamo train` wrote")
    parser.add_argument("--bags", type=Path, required=True, help="demonstrations that it did not see")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "dynamo" / "frames")
    parser.add_argument("--every", type=int, default=4, help="one of how many ticks (default 4)")
    parser.add_argument("--most", type=int, help="frames at most (default: all)")
    parser.add_argument("--rollouts", nargs="+", default=["openvino_bf16"], help="engines beside eager")
    parser.add_argument("--trials", type=int, default=20, help="rollouts by each (default 20; 0: none)")
    parser.add_argument("--seed", type=int, default=63_000, help="start of the first rollout (default 63000)")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="few frames and two rollouts: that it works")
    options = parser.parse_args()
    if options.quick:
        options.most, options.trials = 8, min(options.trials, 2)
    return options


if __name__ == "__main__":
    raise SystemExit(main())
