"""`dynamo probe`: a report card for encoders, before a robot moves."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dynamo_policies.bags import BagInfo, find_bags
from dynamo_policies.cli.command import Command
from dynamo_policies.cli.learning import DEFAULT_CACHE, bar, choose_device, make_console, read_infos
from dynamo_policies.cli.train import is_random, open_encoder, successes
from dynamo_policies.errors import ConfigError

if TYPE_CHECKING:
    from dynamo_policies.probes.frames import Split
    from dynamo_policies.probes.gates import Gate
    from dynamo_policies.probes.run import Candidate

NOT_MET = 1
HEADLINES = (
    "chunk_error",
    "chunk_error_1s_mm",
    "reach_error_mm",
    "grasp_error_mm",
    "object_error_mm",
    "state_r2/tool",
    "effective_rank",
    "embedding_std",
)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--bags", nargs="+", type=Path, required=True, metavar="DIR", help="folders with bags")
    add(
        "--encoder",
        nargs="+",
        required=True,
        metavar="PATH",
        help="folders of `dynamo pretrain` or `dynamo encoder import`, random, random:SEED, random:SEED@SIZE",
    )
    add(
        "--reference",
        nargs="+",
        default=[],
        metavar="PATH",
        help="encoders to compare with, such as ImageNet's; gates do not hold for them",
    )
    add(
        "--held-out",
        nargs="+",
        type=Path,
        default=[],
        metavar="DIR",
        help="folders with the bags to measure on (default: a fifth of each task's in --bags)",
    )
    add("--episodes", type=int, metavar="N", help="take N of --bags, drawn evenly from the tasks")
    add("--out", type=Path, metavar="DIR", help="folder for report.html and probe.json")
    add("--json", type=Path, metavar="FILE", help="where to write the figures")
    add(
        "--gate",
        action="append",
        default=[],
        metavar="FIGURE=THRESHOLD",
        help="exit with status 1 unless every encoder meets this; may be given several times",
    )
    add(
        "--unproven",
        action="store_true",
        help="let --gate take figures that have not been shown to predict success",
    )
    add(
        "--cache",
        type=Path,
        default=DEFAULT_CACHE,
        metavar="DIR",
        help=f"decoded frames and features (default {DEFAULT_CACHE})",
    )
    add("--seed", type=int, default=0, metavar="N", help="draw another split and other queries")
    add("--policy-seeds", type=int, default=3, metavar="N", help="probe policies an encoder (default 3)")
    add("--policy-steps", type=int, default=400, metavar="N", help="steps of each of them (default 400)")
    add("--device", metavar="NAME", help="cpu or cuda (default: cuda where there is one)")


def _run(arguments: argparse.Namespace) -> int:
    # torch takes seconds to import; `dynamo --help` need not wait for it.
    from dynamo_policies.probes.card import ProbeSettings, card_values
    from dynamo_policies.probes.gates import failures
    from dynamo_policies.probes.run import Bench
    from dynamo_policies.report.probe import report_probe
    from dynamo_policies.tensorfiles import write_json

    console = make_console()
    settings = ProbeSettings(
        seed=arguments.seed, policy_seeds=arguments.policy_seeds, policy_steps=arguments.policy_steps
    )
    infos, split = _bags(arguments, console)
    gates = _gates(arguments, infos, console)
    candidates = _candidates(arguments.encoder, arguments.reference)
    bench = Bench(
        infos=infos,
        split=split,
        cache=arguments.cache,
        settings=settings,
        device=choose_device(arguments.device),
        watch=functools.partial(bar, console),
    )
    probed = bench.probe_all(candidates)
    values = card_values(probed.cards, probed.frames, split, settings)
    console.print(_table(values))
    if arguments.json is not None:
        write_json(arguments.json, values)
    broken = failures(probed.cards, gates)
    if arguments.out is not None:
        write_json(arguments.out / "probe.json", values)
        console.print(f"report: {report_probe(probed, values, arguments.out, gates=gates)}")
    for line in broken:
        console.print(f"gate not met: {escape(line)}")
    return NOT_MET if broken else 0


def _bags(arguments: argparse.Namespace, console: Console) -> tuple[list[BagInfo], Split]:
    """Return the bags of successful episodes, and who learns from which."""
    from dynamo_policies.probes.frames import some_of_each_task, split_episodes

    infos = successes(read_infos([*arguments.bags, *arguments.held_out]), console)
    kept_out = {path.resolve() for folder in arguments.held_out for path in find_bags(folder)}
    unique = {info.path.resolve(): info for info in infos}
    measured = [info for path, info in unique.items() if path in kept_out]
    if kept_out and not measured:
        raise ConfigError(f"no successful episode in {', '.join(map(str, arguments.held_out))}")
    others = [info for path, info in unique.items() if path not in kept_out]
    if arguments.episodes is not None:
        chosen = some_of_each_task([info.task for info in others], arguments.episodes, arguments.seed)
        others = [others[i] for i in chosen]
    infos = [*others, *measured]
    split = split_episodes(
        [info.task for info in infos], arguments.seed, held_out=range(len(others), len(infos))
    )
    counts = ", ".join(f"{len(part)} {name.replace('_', '-')}" for name, part in split._asdict().items())
    console.print(f"{len(infos)} episodes: {counts}")
    return infos, split


def _gates(arguments: argparse.Namespace, infos: Sequence[BagInfo], console: Console) -> list[Gate]:
    from dynamo_policies.probes.figures import figure_names
    from dynamo_policies.probes.gates import check_proven, parse_gates, unproven
    from dynamo_policies.probes.objects import TOPIC

    with_objects = all(info.counts.get(TOPIC) for info in infos)
    gates = parse_gates(arguments.gate, figure_names(infos[0].contract, with_objects=with_objects))
    if not arguments.unproven:
        check_proven(gates)
    for name in unproven(gates):
        console.print(f"note: {name} has not been shown to predict success")
    return gates


def _candidates(asked: Sequence[str], references: Sequence[str]) -> list[Candidate]:
    """Return the encoders that were asked for, and those to compare with, the random one among them.

    Random ones see images as the first other encoder does, so that they differ from it by training alone.
    """
    from dynamo_policies.probes.card import RANDOM
    from dynamo_policies.probes.run import Candidate, distinct_names

    random = [] if set(RANDOM) & {*asked, *references} else [RANDOM[0]]
    names = distinct_names([*asked, *references, *random])
    trained = {text: open_encoder(text) for text in names.values() if not is_random(text)}
    like = next((one.record.config for one in trained.values()), None)
    return [
        Candidate(name, text, trained.get(text) or open_encoder(text, like), reference=text not in asked)
        for name, text in names.items()
    ]


def _table(values: dict[str, Any]) -> Table:
    from dynamo_policies.report.probe import figure_text

    shown = [name for name in HEADLINES if name in values["figures"]]
    table = Table("encoder", title="held-out episodes, with 95 % intervals over them")
    for name in shown:
        table.add_column(name, justify="right")
    for encoder in values["encoders"]:
        cells = [figure_text(encoder["figures"].get(name)) for name in shown]
        table.add_row(escape(encoder["name"]), *cells)
    return table


COMMAND = Command("probe", "write a report card for encoders", _add_arguments, _run)
