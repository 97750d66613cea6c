"""The engine that a launch gives the policy: measured on a real robot, repeatable in a simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("launch_ros")

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.launch_description_sources import get_launch_description_from_python_launch_file
from launch_ros.actions import Node
from launch_ros.utilities import evaluate_parameters

ROOT = Path(__file__).parents[1]
FILES = ("xarm_kitchen", "allegro_manipulation", "evaluate")
# A contract without a hand: the vendor's launch file of one is not installed.
REAL = {"sim": "false", "contract": "xarm_kitchen", "arm_driver": "none", "cameras": "none"}


def parameters_of_policy(file: str, given: dict[str, str]) -> dict[str, Any]:
    """Return the parameters that a launch gives the inference node."""
    context = LaunchContext()
    context.launch_configurations.update({"bundle": "bundle", **given})
    entities = get_launch_description_from_python_launch_file(str(ROOT / f"launch/{file}.launch.py")).entities
    for entity in entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.visit(context)
    (started,) = [entity for entity in entities if isinstance(entity, OpaqueFunction)]
    nodes = [one for one in started.execute(context) or [] if isinstance(one, Node)]
    (policy,) = [node for node in nodes if node.node_executable == "inference_node"]
    # A node has no public way to them before it is started.
    (found,) = evaluate_parameters(context, policy._Node__parameters)
    return dict(found)


@pytest.mark.parametrize("file", FILES)
def test_the_engine_is_measured_on_a_real_robot_and_fixed_in_a_simulation(file: str) -> None:
    assert parameters_of_policy(file, {})["engine"] == "eager"
    assert parameters_of_policy(file, REAL)["engine"] == "auto"


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("robot", [{}, REAL], ids=["simulated", "real"])
def test_an_engine_that_is_asked_for_is_given(file: str, robot: dict[str, str]) -> None:
    assert parameters_of_policy(file, {**robot, "engine": "onnx"})["engine"] == "onnx"
