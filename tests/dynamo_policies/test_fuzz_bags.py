"""A short form of tests/fuzz/fuzz_bags.py with a fixed seed."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FUZZER = Path(__file__).parents[1] / "fuzz" / "fuzz_bags.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_bags", FUZZER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_bags"] = module  # its named tuple looks itself up there
    spec.loader.exec_module(module)
    return module


fuzz = load()


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Sound bags to damage."""
    return fuzz.Seeds(tmp_path_factory.mktemp("seeds"))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is empty before and after each case."""
    return tmp_path_factory.mktemp("work")


@settings(
    max_examples=150,
    derandomize=True,
    deadline=None,  # `read_damaged` bounds the time that a case itself takes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(number=st.integers(0, 6), changes=st.lists(fuzz.CHANGES, min_size=1, max_size=5))
def test_a_damaged_bag_is_read_or_refused_in_bounded_time_and_memory(
    seeds: object, work: Path, number: int, changes: list[object]
) -> None:
    with fuzz.memory_bound():
        assert fuzz.read_damaged(seeds, number, changes, work) in (
            "read",
            "refused",
            "read, repaired",
            "refused, repaired",
        )


def test_an_undamaged_bag_of_every_storage_is_read(seeds: object, work: Path) -> None:
    for number in range(7):
        assert fuzz.read_damaged(seeds, number, [], work).startswith("read")
