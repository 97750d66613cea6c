"""`dynamo encoder`: encoders that others trained, made ready for `dynamo train`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.markup import escape

from dynamo_policies.cli.command import Command
from dynamo_policies.cli.learning import make_console
from dynamo_policies.errors import ConfigError


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    one = actions.add_parser("import", help="make an encoder folder of published weights")
    one.add_argument("file", type=Path, metavar="FILE", help="checkpoint: .pth, .pt, .safetensors")
    one.add_argument(
        "--kind",
        default="auto",
        metavar="NAME",
        help="imagenet, r3m, vc1, mvp, mae, dynamo, or auto (default): by what is in the file",
    )
    one.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the encoder")
    one.add_argument(
        "--image-size", type=int, default=224, metavar="N", help="side of cached images, pixels (default 224)"
    )
    one.add_argument(
        "--crop", default="center", choices=("center", "none"), help="how camera images become square"
    )
    one.add_argument(
        "--network-size", type=int, metavar="N", help="side of the image the network itself sees, if another"
    )
    one.set_defaults(action=_import)


def _run(arguments: argparse.Namespace) -> int:
    return int(arguments.action(arguments))


def _import(arguments: argparse.Namespace) -> int:
    # torch takes seconds to import; `dynamo --help` need not wait for it.
    from dynamo_policies.encoders import RECORD_FILE, save_encoder
    from dynamo_policies.foreign import import_encoder

    if (arguments.out / RECORD_FILE).exists():
        raise ConfigError(f"{arguments.out} holds an encoder already; name another folder")
    encoder, record = import_encoder(
        arguments.file,
        arguments.kind,
        image_size=arguments.image_size,
        crop=arguments.crop,
        network_size=arguments.network_size,
    )
    record = save_encoder(arguments.out, encoder, record)
    config, console = record.config, make_console()
    console.print(f"{record.objective}: {config.kind}, {config.feature_size} features, layout", end=" ")
    console.print(escape(str(record.settings["layout"])))
    for what in ("dropped", "filled"):
        names = record.settings[what]
        if names:
            console.print(escape(f"{what} {len(names)}: {', '.join(names[:5])}{' …' * (len(names) > 5)}"))
    if config.fit != "none" and config.image_size != config.network_size:
        console.print(
            f"images of {config.image_size} pixels are fitted to {config.network_size}: {config.fit}"
        )
    console.print(f"encoder: {arguments.out} (sha256 {record.weights_sha256[:12]})")
    return 0


COMMAND = Command("encoder", "use encoders that others trained", _add_arguments, _run)
