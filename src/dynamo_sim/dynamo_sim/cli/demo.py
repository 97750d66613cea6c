"""`dynamo demo`: the whole loop on the simulated kitchen, from no data to an evaluated policy."""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import webbrowser
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from dynamo_policies.cli.command import Command
from dynamo_policies.report.run import RunFolder, report_run
from dynamo_sim.stages import Stage, run_stages

ROOT = Path(__file__).resolve().parents[4]  # the checkout; colcon's --symlink-install leads back to it
CONTRACT = "xarm_kitchen"
TASKS = ("put_yogurt", "fetch_yogurt")
RECORD_SEED, TRIAL_SEED = 0, 50_000  # far apart: no start of a trial was ever demonstrated


@dataclass(frozen=True)
class Size:
    """How much a demo does."""

    episodes: int  # a task
    steps: int  # of pretraining
    policy: str
    trials: int


SIZES = {"full": Size(24, 300, "mlp", 20), "quick": Size(3, 20, "mlp", 2)}


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("out/demo"), help="folder for everything that the demo makes"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a small run to see that all parts work; learns little"
    )
    parser.add_argument("--rtf", type=float, default=6.0, help="most that recording speeds time up")
    parser.add_argument("--no-open", action="store_true", help="do not open the report in a browser")


def _run(args: argparse.Namespace) -> int:
    console = Console()
    size = SIZES["quick" if args.quick else "full"]
    folder = RunFolder(_fresh(args.out, console))
    seconds = run_stages(stages(folder, size, rtf=args.rtf), folder.logs, console)
    commands = tuple(stage.text for stage in stages(folder, size, rtf=args.rtf))
    summary = report_run(folder, seconds=_with_setup(seconds), commands=commands)
    console.print(f"[bold]{summary['headline']}[/bold]")
    console.print(f"report: {folder.report}   figures: {folder.summary}")
    if not args.no_open and os.environ.get("DISPLAY"):
        webbrowser.open(folder.report.as_uri())
    return 0


COMMAND = Command(
    "demo", "record, learn and evaluate on the simulated kitchen, then report", _add_arguments, _run
)


def stages(folder: RunFolder, size: Size, *, rtf: float) -> list[Stage]:
    """Return the demo's stages; each is a command that a person could type."""
    domain = {"ROS_DOMAIN_ID": os.environ.get("ROS_DOMAIN_ID", str(random.SystemRandom().randint(1, 100)))}
    tasks, episodes = ",".join(TASKS), str(size.episodes)
    bags, cache = str(folder.bags), str(folder.cache)
    record = (
        *(
            "ros2",
            "launch",
            "dynamo_ros",
            "record.launch.py",
            f"contract:={CONTRACT}",
            "teleop:=expert",
            "sim:=true",
        ),
        *(
            f"tasks:={tasks}",
            f"episodes:={episodes}",
            f"seed:={RECORD_SEED}",
            f"rtf:={rtf:g}",
            f"out:={bags}",
        ),
    )
    pretrain = (
        *("dynamo", "pretrain", "--bags", bags, "--config", str(ROOT / "config/pretrain/dynamo.yaml")),
        *("--cache", cache, "--steps", str(size.steps), "--out", str(folder.encoder)),
    )
    evaluate = (
        *("ros2", "launch", "dynamo_ros", "evaluate.launch.py", f"bundle:={folder.bundle}", "sim:=true"),
        *(f"trials:={size.trials}", f"seed:={TRIAL_SEED}", f"out:={folder.rollouts}"),
    )
    total = size.episodes * len(TASKS)
    return [
        Stage("record demonstrations", record, total, lambda: count_bags(folder.bags), domain),
        Stage("pretrain the encoder", pretrain),
        Stage("train the policy", _train(folder, size, str(folder.encoder), folder.bundle)),
        Stage("train on a random encoder", _train(folder, size, "random", folder.random_bundle)),
        Stage("evaluate over ROS", evaluate, size.trials, lambda: count_trials(folder.rollouts), domain),
        Stage("evaluate in one process", _eval(size, folder.bundle, folder.quick_rollouts)),
        Stage("evaluate the random encoder", _eval(size, folder.random_bundle, folder.random_rollouts)),
    ]


def _train(folder: RunFolder, size: Size, encoder: str, bundle: Path) -> tuple[str, ...]:
    return (
        *("dynamo", "train", "--bags", str(folder.bags), "--encoder", encoder, "--cache", str(folder.cache)),
        *("--config", str(ROOT / f"config/policy/{size.policy}.yaml"), "--out", str(bundle)),
    )


def _eval(size: Size, bundle: Path, out: Path) -> tuple[str, ...]:
    trials = ("--trials", str(size.trials), "--seed", str(TRIAL_SEED), "--jobs", "2", "--no-video")
    return ("dynamo", "eval", "--bundle", str(bundle), *trials, "--out", str(out))


def count_bags(folder: Path) -> int:
    """Return how many episodes are complete so far; what is still being recorded is hidden."""
    return sum(not bag.parent.name.startswith(".") for bag in folder.glob("*/metadata.yaml"))


def count_trials(rollouts: Path) -> int:
    """Return how many trials the evaluation has finished so far."""
    trials = rollouts / "trials.json"
    return len(json.loads(trials.read_text())) if trials.exists() else 0


def _fresh(out: Path, console: Console) -> Path:
    """Return `out` as an empty folder; what an earlier run left there is kept under a number."""
    out = out.resolve()
    if out.exists():
        kept = next(path for i in range(1, 10_000) if not (path := out.with_name(f"{out.name}.{i}")).exists())
        shutil.move(out, kept)
        console.print(f"the earlier run is kept in {kept}")
    out.mkdir(parents=True)
    return out


def _with_setup(seconds: dict[str, float]) -> dict[str, float]:
    """Put what the set-up took in front, where `make` has just done it."""
    took = os.environ.get("DYNAMO_SETUP_SECONDS")
    return {"set-up": float(took), **seconds} if took else seconds
