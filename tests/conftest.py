"""Fixtures that several test modules use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from bag_factory import write_episode_bag
from dynamo_policies.contract import Contract, load_contract
from fakes.vendor_messages import provide

# Fixtures of tests over ROS; they skip the test where there is no rclpy.
pytest_plugins = ["ros_fixtures", "inference_fixtures", "hand_fixtures"]

ROOT = Path(__file__).parents[1]

provide()

# The same examples on every computer, however slow it is; `--hypothesis-profile explore` tries others.
PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("steady", derandomize=True, **PATIENT)
settings.register_profile("explore", derandomize=False, **PATIENT)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def contract() -> Contract:
    """The contract of the xArm kitchen."""
    return load_contract(ROOT / "config" / "robots" / "xarm_kitchen.yaml")


@pytest.fixture(scope="session")
def episode_bag(contract: Contract, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic episode of 2 s. Shared, so only read it; `bag_factory.write_episode_bag` makes others."""
    return write_episode_bag(tmp_path_factory.mktemp("bags") / "episode_0", contract)
