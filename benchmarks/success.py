"""Success of one policy on the encoders of every objective: equal images, equal demonstrations, equal starts.

For each row an encoder is pretrained on `--bags`, a policy is fitted on its frozen features over
`--policy-bags`, and rolled out on the simulated station in one process, with the commands that a person would
type. Every step leaves a folder behind in `--out`; a run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from scipy.stats import fisher_exact

from dynamo_policies.statistics import wilson

ROOT = Path(__file__).resolve().parents[1]
PRETRAIN, POLICY = ROOT / "config" / "pretrain", ROOT / "config" / "policy"
RANDOM = "random"


@dataclass(frozen=True)
class Kind:
    """An objective as a config and what is changed in it; all see 144 images a step, or 140."""

    config: str
    changes: Mapping[str, Any] = field(default_factory=dict)


KINDS: dict[str, Kind] = {
    "dynamo": Kind("dynamo"),
    "dynamo_windows": Kind("dynamo", {"segment_length": 5, "segments": 14}),
    "dynamo_ema": Kind("dynamo_ema"),
    "dynamo_paper": Kind(
        "dynamo_ema", {"preset": "paper", "drop": ("covariance", "inverse_in_ema", "ema_buffers")}
    ),
    "dynamo_released": Kind(
        "dynamo_ema",
        {
            "preset": "released",
            # An epoch of these demonstrations is longer than the equal budget: schedules go by steps.
            "schedule_every": "step",
            "ema_every": "step",
            "drop": ("covariance", "inverse_in_ema", "ema_buffers"),
        },
    ),
    "dynamo_paper_covariance": Kind("dynamo", {"covariance": "paper"}),
    "byol": Kind("byol"),
    "byol_t": Kind("byol_t"),
    "moco_v3": Kind("moco_v3"),
    "rpt": Kind("rpt"),
    "tcn_mv": Kind("tcn_mv"),
    "tcn_sv": Kind("tcn_sv"),
    "mae": Kind("mae_small"),
}


@dataclass(frozen=True)
class Row:
    """One encoder and its folder."""

    kind: str
    seed: int
    out: Path

    @property
    def name(self) -> str:
        """What the row is called in tables."""
        return f"{self.kind}:{self.seed}"

    @property
    def encoder(self) -> str:
        """What `dynamo train` is given."""
        return self.name if self.kind == RANDOM else str(self.out / "encoder")


def main() -> int:
    """Run all rows, and write the table after each."""
    options = _arguments()
    rows = [Row(*_parsed(text), options.out / text.replace(":", "_")) for text in options.rows]
    table: list[dict[str, Any]] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(lambda row: _run(row, options), rows):
            table.append(result)
            summary = {"command": " ".join(["python", "benchmarks/success.py", *sys.argv[1:]])}
            summary |= {"rows": table, "tests": list(_tests(table))}
            text = json.dumps(summary, indent=2)
            if options.json:
                options.json.write_text(text + "\n")
            print(f"{result['name']}: {result['successes']}/{result['trials']}", file=sys.stderr, flush=True)
    print(text)
    return 0


def _run(row: Row, options: argparse.Namespace) -> dict[str, Any]:
    row.out.mkdir(parents=True, exist_ok=True)
    if row.kind != RANDOM and not (row.out / "encoder" / "encoder.json").exists():
        config = row.out / "config.yaml"
        config.write_text(yaml.safe_dump(_settings(row, options.steps)))
        again = ["--resume"] if (row.out / "encoder" / "checkpoint.safetensors").exists() else []
        _dynamo(row.out / "pretrain.log", "pretrain", "--bags", options.bags, "--config", config, *again,
                "--cache", options.cache, "--seed", row.seed, "--out", row.out / "encoder")  # fmt: skip
    results = {}
    for policy in options.policies:
        bundle, rollouts = row.out / f"bundle_{policy}", row.out / f"rollouts_{policy}_{options.seed}"
        if not (bundle / "manifest.json").exists():
            _dynamo(row.out / f"train_{policy}.log", "train", "--bags", options.policy_bags or options.bags,
                    "--encoder", row.encoder, "--cache", options.cache,
                    "--config", POLICY / f"{policy}.yaml", "--out", bundle)  # fmt: skip
        if not (rollouts / "summary.json").exists():
            _dynamo(row.out / f"eval_{policy}.log", "eval", "--bundle", bundle, "--trials", options.trials,
                    "--seed", options.seed, "--no-video", "--out", rollouts)  # fmt: skip
        results[policy] = _counts(rollouts)
    first = results[options.policies[0]]
    return {"name": row.name, "objective": row.kind, "seed": row.seed, "encoder": row.encoder,
            **first, "policies": results, "pretraining": _metrics(row)}  # fmt: skip


def _settings(row: Row, steps: int) -> dict[str, Any]:
    kind = KINDS[row.kind]
    values = yaml.safe_load((PRETRAIN / f"{kind.config}.yaml").read_text())
    changes = {"steps": steps, "stop_on_collapse": False, **kind.changes}
    dropped = changes.pop("drop", ())
    return {key: value for key, value in (values | changes).items() if key not in dropped}


def _dynamo(log: Path, *words: object) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    with log.open("w") as file:
        subprocess.run(
            ["dynamo", *map(str, words)], stdout=file, stderr=subprocess.STDOUT, env=environment, check=True
        )


def _counts(rollouts: Path) -> dict[str, Any]:
    trials = json.loads((rollouts / "trials.json").read_text())
    successes = sum(trial["success"] for trial in trials)
    tasks = sorted({trial["task"] for trial in trials})
    return {
        "successes": successes,
        "trials": len(trials),
        "interval": list(wilson(successes, len(trials))),
        "tasks": {task: sum(t["success"] for t in trials if t["task"] == task) for task in tasks},
    }


def _metrics(row: Row) -> dict[str, Any]:
    path = row.out / "encoder" / "metrics.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _tests(table: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield for each objective its successes over all seeds against Random's, and Fisher's two-sided p."""
    base = _pooled(table, RANDOM)
    for kind in dict.fromkeys(row["objective"] for row in table):
        successes, trials = _pooled(table, kind)
        p = fisher_exact([[successes, trials - successes], [base[0], base[1] - base[0]]]).pvalue
        seeds = [row["seed"] for row in table if row["objective"] == kind]
        yield {"objective": kind, "seeds": seeds, "successes": successes, "trials": trials,
               "interval": list(wilson(successes, trials)), "p_against_random": float(p)}  # fmt: skip


def _pooled(table: Sequence[Mapping[str, Any]], kind: str) -> tuple[int, int]:
    rows = [row for row in table if row["objective"] == kind]
    return sum(row["successes"] for row in rows), sum(row["trials"] for row in rows)


def _parsed(text: str) -> tuple[str, int]:
    kind, _, seed = text.partition(":")
    if kind not in (*KINDS, RANDOM):
        raise SystemExit(
            f"row {text!r} is unknown; possible are {', '.join((RANDOM, *KINDS))}, each with :SEED"
        )
    return kind, int(seed or 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bags", type=Path, required=True, help="demonstrations to pretrain on")
    parser.add_argument(
        "--policy-bags", type=Path, help="demonstrations to fit policies on (default: --bags)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for encoders, bundles and rollouts")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "dynamo" / "frames")
    parser.add_argument("--rows", nargs="+", default=[f"{kind}:0" for kind in (RANDOM, *KINDS)])
    parser.add_argument(
        "--policies", nargs="+", default=["mlp"], help="names in config/policy; the first counts"
    )
    parser.add_argument("--steps", type=int, default=300, help="of pretraining (default 300)")
    parser.add_argument("--trials", type=int, default=40, help="rollouts of each row (default 40)")
    parser.add_argument("--seed", type=int, default=60_000, help="start of the first rollout (default 60000)")
    parser.add_argument("--jobs", type=int, default=1, help="rows at once (default 1)")
    parser.add_argument("--json", type=Path, help="file for the table")
    parser.add_argument("--quick", action="store_true", help="two rows, few steps and trials: that it works")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.steps, options.trials = ["random:0", "dynamo:0"], 10, 2
    return options


if __name__ == "__main__":
    raise SystemExit(main())
