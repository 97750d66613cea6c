"""`dynamo`: finds the sub-commands of all installed packages and runs one."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version

from dynamo_policies.cli.command import Command
from dynamo_policies.errors import DynamoError

GROUP = "dynamo.commands"
FAILED, INTERRUPTED = 2, 130


class CommandError(DynamoError):
    """A sub-command can't be loaded."""


def main(argv: Sequence[str] | None = None, commands: Sequence[Command] | None = None) -> int:
    """Run the command line `argv` and return the exit status; `commands` stand in for the installed ones."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments  # Needed before the arguments can be parsed, and welcome at any place.
    arguments = [argument for argument in arguments if argument != "--debug"]
    _log_to_stderr(logging.DEBUG if debug else logging.INFO)
    try:
        found = installed_commands(arguments) if commands is None else commands
        parsed = make_parser(found).parse_args(arguments)
        return int(parsed.run(parsed))
    except DynamoError as error:
        if debug:
            raise
        sys.stderr.write(f"dynamo: {error}\n")
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def make_parser(commands: Sequence[Command]) -> argparse.ArgumentParser:
    """Return the parser of `dynamo` with `commands`; what it parses has the command's `run`."""
    parser = argparse.ArgumentParser(
        prog="dynamo", description="Learning from robot demonstrations: bags in, evaluated policy out."
    )
    parser.add_argument("--version", action="version", version=f"dynamo {_version()}")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    choices = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in sorted(commands):
        one = choices.add_parser(command.name, help=command.help, description=command.help)
        command.add_arguments(one)
        one.set_defaults(run=command.run)
    return parser


def installed_commands(arguments: Sequence[str]) -> list[Command]:
    """Return the commands that may be meant: the one that `arguments` begin with, or all that can be loaded.

    Raises:
        CommandError: none is installed, or the one meant can't be loaded.
    """
    entries = {entry.name: entry for entry in entry_points(group=GROUP)}
    if not entries:
        raise CommandError(f"no commands are installed (entry points {GROUP!r}); run `make setup` first")
    if arguments and arguments[0] in entries:
        return [_load(entries[arguments[0]])]
    return [load_or_explain(entry) for entry in entries.values()]


def _load(entry: EntryPoint) -> Command:
    try:
        command = entry.load()
    except (ImportError, AttributeError) as error:
        raise CommandError(f"command {entry.name!r} can't be loaded from {entry.value}: {error}") from error
    if not isinstance(command, Command):
        raise CommandError(f"{entry.value} is {type(command).__name__}, not a Command")
    return command


def load_or_explain(entry: EntryPoint) -> Command:
    """Return the command, or one of the same name whose help says why it can't be used."""
    try:
        return _load(entry)
    except CommandError as error:
        failure = error

        def fail(_arguments: argparse.Namespace) -> int:
            raise failure

        reason = str(error.__cause__ or error).replace("%", "%%")
        return Command(entry.name, f"not available: {reason}", lambda _parser: None, fail)


def _log_to_stderr(level: int) -> None:
    """Show what this project's packages log from `level` on, and the warnings of others."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    for package in ("dynamo_policies", "dynamo_sim"):
        logging.getLogger(package).setLevel(level)


def _version() -> str:
    try:
        return version("dynamo_policies")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
