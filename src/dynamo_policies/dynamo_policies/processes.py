"""The processes that share a run, by Hugging Face Accelerate; most runs are one process.

Under `accelerate launch` or `torchrun` every process holds all networks (DistributedDataParallel) and learns
from its own share of each step's segments. The first process, the leader, writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import GradientAccumulationPlugin, InitProcessGroupKwargs

from dynamo_policies.devices import check_device
from dynamo_policies.errors import ConfigError

PATIENCE = timedelta(hours=2)  # how long processes wait for each other: decoding all bags may take that long
BLAS_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what torch asks for to be deterministic on CUDA


def join(device: str, *, accumulate: int = 1) -> Accelerator:
    """Return this process's place among those that share a run on `device`, alone if it was started alone.

    Gradients of `accumulate` parts are summed before they are exchanged. Precision stays with the run's
    settings, whatever `accelerate launch` was told.

    Raises:
        ConfigError: there is no such device.
    """
    place = check_device(device)
    if not _several():
        # Accelerate keeps one state a process, but another run may be on another device.
        AcceleratorState._reset_state(reset_partial_state=True)  # noqa: SLF001  # there is no public way
    if place.type == "cuda":
        os.environ.setdefault(*BLAS_WORKSPACE)  # read once, at the first product
        if place.index is not None:
            torch.cuda.set_device(place)
    return Accelerator(
        cpu=place.type == "cpu",
        mixed_precision="no",
        gradient_accumulation_plugin=GradientAccumulationPlugin(
            num_steps=accumulate, sync_with_dataloader=False
        ),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )


def leave() -> None:
    """Part from the other processes; the last thing a launched process does."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@contextmanager
def one_first(device: str) -> Iterator[bool]:
    """Run the block in the first process of each computer and then in the others; yield whether to speak."""
    if not _several():
        yield True
        return
    state = PartialState(cpu=torch.device(device).type == "cpu", timeout=PATIENCE)
    with state.local_main_process_first():
        yield state.is_main_process


def share_of(count: int, team: Accelerator, *, parts: int = 1) -> slice:
    """Return which of a step's `count` segments are this process's, to be learned from in `parts`.

    Raises:
        ConfigError: they can't be shared out evenly.
    """
    if count % (team.num_processes * parts):
        raise ConfigError(
            f"segments {count} can't be shared by {team.num_processes} processes in {parts} parts each; "
            f"multiples of {team.num_processes * parts} are possible"
        )
    own = count // team.num_processes
    return slice(team.process_index * own, (team.process_index + 1) * own)


@contextmanager
def determined(wanted: bool) -> Iterator[None]:
    """Let torch use deterministic algorithms only, or raise, inside the block if `wanted`."""
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(mode=True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=before[0])
        torch.backends.cudnn.benchmark = before[1]


def _several() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
