from pathlib import Path

import pytest

from dynamo_setup.packages import TORCH, torch_options

PINS = Path("stack.txt")


def test_a_machine_without_nvidia_driver_asks_for_the_cpu_build_first() -> None:
    first, second = torch_options({}, cuda=False, pins=PINS)
    assert first == ["--no-deps", f"torch=={TORCH}+cpu"]
    assert second == ["--constraint", PINS, f"torch=={TORCH}"]


def test_a_machine_with_nvidia_driver_takes_the_default_build() -> None:
    assert torch_options({}, cuda=True, pins=PINS) == [["--constraint", PINS, f"torch=={TORCH}"]]


@pytest.mark.parametrize("cuda", [False, True])
def test_torch_index_url_names_the_index(cuda: bool) -> None:
    index = "file:///somewhere"
    for options in torch_options({"TORCH_INDEX_URL": index}, cuda=cuda, pins=PINS):
        assert options[:2] == ["--index-url", index]


@pytest.mark.parametrize("name", ["stack.txt", "ros.txt", "stack-apt.txt"])
def test_every_package_is_pinned(name: str) -> None:
    path = Path(__file__).parents[2] / "requirements" / name
    lines = [line for line in path.read_text().splitlines() if line and not line.lstrip().startswith("#")]
    assert lines
    assert not [line for line in lines if "==" not in line]
    assert not [line for line in lines if line.startswith(("torch==", "torchvision"))]
