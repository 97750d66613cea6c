"""What a sub-command of `dynamo` is."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple


class Command(NamedTuple):
    """A sub-command, found through the entry-point group `dynamo.commands`.

    Its module must be quick to import, since `dynamo --help` imports all of them: import torch and the like
    in `run`. `run` returns the exit status; a DynamoError that it raises is shown in one line.
    """

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
