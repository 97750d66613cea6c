"""Damages bags at random and reads them: every outcome but an episode or a DynamoError is a bug.

By hand, for as long as wanted: `python tests/fuzz/fuzz_bags.py --seconds 3600`; with `--atheris`, where that
is installed, the mutations are guided by coverage. `tests/dynamo_policies/test_fuzz_bags.py` is a short form.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st


def instrumented() -> AbstractContextManager[object]:
    """Return what lets atheris see which lines of the readers are run, where it is asked for."""
    if "--atheris" not in sys.argv:
        return nullcontext()
    import atheris  # type: ignore[import-not-found]  # optional, and only here

    context: AbstractContextManager[object] = atheris.instrument_imports(
        include=["dynamo_policies", "rosbags"]
    )
    return context


sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a script, it finds the tests' factories

# What is not instrumented while it is imported can't guide the mutations.
with instrumented():
    from bag_factory import Raw, episode_messages, write_bag
    from dynamo_policies.contract import Contract, load_contract
    from dynamo_policies.decode import FrameSettings
    from dynamo_policies.episodes import load_episode
    from dynamo_policies.errors import DynamoError
    from dynamo_policies.repair import repair
    from dynamo_policies.streams import ImageStream
    from dynamo_policies.verify import verify
    from foreign_bags import foreign_bag

CONTRACT = Path(__file__).parents[2] / "config" / "robots" / "xarm_kitchen.yaml"
CASE_S = 10.0  # longer is a hang
MEMORY_BYTES = 1 << 30  # on top of what the process has
FRAMES = FrameSettings(8)


class Change(NamedTuple):
    """One damage: `kind` at `place`, a share of the file's length."""

    in_metadata: bool
    kind: str
    place: float
    data: bytes


CHANGES = st.builds(
    Change,
    st.booleans(),
    st.sampled_from(["flip", "put", "insert", "cut", "copy", "end"]),
    st.floats(0.0, 1.0, exclude_max=True),
    st.one_of(
        st.binary(min_size=1, max_size=9),
        st.sampled_from(
            [
                b"\xff" * 8,
                b"\x00" * 8,
                b"\xff\xff\xff\x7f",
                b"- ",
                b": ",
                b"[",
                b"&a *a",
                b"<<: *a",
                b"-1",
                b"~",
            ]
        ),
    ),
)


class Seeds:
    """Small sound bags of every storage, and the contract that reads them."""

    def __init__(self, folder: Path) -> None:
        given = load_contract(CONTRACT)
        streams = {
            name: replace(stream, width=8, height=8) if isinstance(stream, ImageStream) else stream
            for name, stream in given.streams.items()
        }
        self.contract: Contract = replace(given, streams=streams)
        messages: list[Raw] = episode_messages(self.contract, 0.4)
        types = {stream.topic: stream.type for stream in self.contract.streams.values()}
        self.bags = [
            write_bag(folder / "ours", self.contract, messages),
            foreign_bag(folder / "plain", types, messages),
            foreign_bag(folder / "zstd", types, messages, compression="zstd"),
            foreign_bag(folder / "lz4", types, messages, compression="lz4"),
            foreign_bag(folder / "file", types, messages, mode="file"),
            foreign_bag(folder / "message", types, messages, mode="message"),
            foreign_bag(folder / "sqlite3", types, messages, storage="sqlite3"),
        ]


def damage(content: bytes, change: Change) -> bytes:
    """Return `content` with the change made to it."""
    place, data = int(change.place * len(content)), change.data
    if change.kind == "flip":
        flipped = bytes([content[place] ^ (1 << (data[0] % 8))]) if content else b""
        return content[:place] + flipped + content[place + 1 :]
    if change.kind == "put":
        return content[:place] + data + content[place + len(data) :]
    if change.kind == "insert":
        return content[:place] + data + content[place:]
    if change.kind == "cut":
        return content[:place] + content[place + data[0] :]
    if change.kind == "copy":
        start = int(data[0] / 256 * len(content))
        return content[:place] + content[start : start + 200] + content[place:]
    return content[:place]


def read_damaged(seeds: Seeds, number: int, changes: Sequence[Change], folder: Path) -> str:
    """Damage a copy of bag `number`, read, verify and repair it; return what became of it.

    Raises:
        Anything but a DynamoError, and AssertionError for a hang: a bug was found.
    """
    bag = Path(shutil.copytree(seeds.bags[number % len(seeds.bags)], folder / "bag"))
    try:
        for change in changes:
            data = next(file for file in sorted(bag.iterdir()) if file.name != "metadata.yaml")
            file = bag / "metadata.yaml" if change.in_metadata else data
            file.write_bytes(damage(file.read_bytes(), change))
        start = time.process_time()  # what other programs take does not count
        outcome = _read(bag, seeds.contract)
        assert time.process_time() - start < CASE_S, "reading took too long"
        return outcome
    finally:
        for path in folder.iterdir():
            shutil.rmtree(path)


def _read(bag: Path, contract: Contract) -> str:
    verify(bag, contract)
    outcome = "read"
    try:
        load_episode(bag, FRAMES, contract)
    except DynamoError:
        outcome = "refused"
    try:
        repair(bag, contract)
    except DynamoError:
        return outcome
    return f"{outcome}, repaired"


@contextmanager
def memory_bound() -> Iterator[None]:
    """Let allocations fail that would take the process `MEMORY_BYTES` beyond what it has."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _with_hypothesis(seeds: Seeds, folder: Path, seconds: float, start: int) -> int:
    cases = 0
    until = time.monotonic() + seconds

    def one(number: int, changes: list[Change]) -> None:
        nonlocal cases
        cases += 1
        read_damaged(seeds, number, changes, folder)

    options = settings(
        max_examples=200,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    for round_number in range(start, sys.maxsize):
        arguments = given(st.integers(0, 6), st.lists(CHANGES, min_size=1, max_size=5))
        seed(round_number)(options(arguments(one)))()
        if time.monotonic() > until:
            break
    return cases


def _with_atheris(seeds: Seeds, folder: Path, seconds: float) -> int:
    import atheris  # type: ignore[import-not-found]  # optional, and only here

    test = given(st.integers(0, 6), st.lists(CHANGES, min_size=1, max_size=5))(
        lambda number, changes: read_damaged(seeds, number, changes, folder)
    )
    # Several damages at once take some hundred bytes; by itself libFuzzer would try short inputs for hours.
    options = [f"-max_total_time={seconds:.0f}", "-max_len=512", "-len_control=0"]
    atheris.Setup([sys.argv[0], *options], test.hypothesis.fuzz_one_input)
    atheris.Fuzz()
    return 0


def main() -> None:
    """Fuzz for as long as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", action="store_true", help="guide by coverage; needs atheris")
    given_arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, memory_bound():
        (Path(name) / "seeds").mkdir()
        (Path(name) / "work").mkdir()
        seeds = Seeds(Path(name) / "seeds")
        if given_arguments.atheris:
            _with_atheris(seeds, Path(name) / "work", given_arguments.seconds)
        else:
            cases = _with_hypothesis(
                seeds, Path(name) / "work", given_arguments.seconds, given_arguments.seed
            )
            sys.stdout.write(f"{cases} damaged bags were read or refused as they should be\n")


if __name__ == "__main__":
    main()
