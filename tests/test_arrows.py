"""Which part may import which: arrows point inward."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[1] / "src"
POLICIES, ROS, SIM = (SRC / name / name for name in ("dynamo_policies", "dynamo_ros", "dynamo_sim"))

RCLPY = {"rclpy", "rcl_interfaces", "ros2cli", "launch", "launch_ros", "ament_index_python"}
MESSAGES = {
    "action_msgs", "builtin_interfaces", "control_msgs", "cv_bridge", "diagnostic_msgs",
    "dynamo_interfaces", "geometry_msgs", "lifecycle_msgs", "rosgraph_msgs", "sensor_msgs", "std_msgs",
    "std_srvs", "trajectory_msgs",
}  # fmt: skip
# The data half of dynamo_policies, which a robot computer runs without torch.
TORCH_FREE = ("contract", "kinematics", "observation", "decode", "align", "errors")


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names that the file imports, relative ones as the absolute names they stand for."""
    package = path.relative_to(SRC).parts[1:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def below(name: str, allowed: set[str]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in allowed)


def offences(folder: Path, forbidden: set[str], *, outside: tuple[str, ...] = ()) -> list[str]:
    """Return `file: import` for each forbidden import below `folder`, but not in its subfolders `outside`."""
    return [
        f"{path.relative_to(SRC)}: {name}"
        for path in sorted(folder.rglob("*.py"))
        if not any(path.is_relative_to(folder / part) for part in outside)
        for name in imports(path)
        if below(name, forbidden)
    ]


def test_learning_knows_no_ros() -> None:
    assert not offences(POLICIES, RCLPY | MESSAGES | {"dynamo_ros", "dynamo_sim"})


def test_only_nodes_use_rclpy() -> None:
    assert not offences(ROS, {"rclpy"}, outside=("nodes",))
    assert not offences(SIM, {"rclpy"}, outside=("nodes",))


def test_only_nodes_and_drivers_know_message_packages() -> None:
    assert not offences(ROS, MESSAGES, outside=("nodes", "drivers"))
    assert not offences(SIM, MESSAGES, outside=("nodes",))


def test_decisions_know_neither_ros_nor_torch() -> None:
    assert not offences(ROS / "core", RCLPY | MESSAGES | {"torch", "dynamo_ros.nodes", "dynamo_ros.drivers"})


def test_drivers_do_not_know_nodes() -> None:
    assert not offences(ROS / "drivers", {"rclpy", "dynamo_ros.nodes"})


def test_deployment_does_not_know_the_simulation() -> None:
    assert not offences(ROS, {"dynamo_sim"})


def test_simulated_stations_use_only_the_inner_parts_of_deployment() -> None:
    # Their nodes share the message helpers of the deployed nodes.
    outer = {"dynamo_ros.launch_command"}
    assert not offences(SIM, outer | {"dynamo_ros.nodes"}, outside=("nodes",))
    assert not offences(SIM, outer)


@pytest.mark.parametrize("name", TORCH_FREE)
def test_data_half_of_learning_needs_no_torch(name: str) -> None:
    files = [*POLICIES.glob(f"{name}.py"), *(POLICIES / name).rglob("*.py")]
    assert not [f"{path.name}: {used}" for path in files for used in imports(path) if below(used, {"torch"})]


def test_relative_imports_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "SRC", tmp_path)
    path = tmp_path / "dynamo_ros" / "dynamo_ros" / "core" / "x.py"
    path.parent.mkdir(parents=True)
    path.write_text("from ..nodes import recorder_node\nimport torch.nn\n")
    assert set(imports(path)) == {"dynamo_ros.nodes.recorder_node", "torch.nn"}
    assert offences(path.parent, {"torch"}) == ["dynamo_ros/dynamo_ros/core/x.py: torch.nn"]
