"""The scene's arm is the real one, kinematically."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dynamo_policies.contract import Contract
from dynamo_policies.kinematics import chain
from dynamo_ros.core.graphics import mujoco
from dynamo_sim.xarm_kitchen.scene import CAMERAS, build_kitchen

# Poses of the flange that the arm's URDF and Open-Teach state; the tool is 172 mm below it.
HOME = (0.072358, -0.95536, -0.040176, 0.661511, -0.032836, 1.616466, 0.047656)
STATED = [((0.0,) * 7, (0.206, 0.0, 0.1205)), (HOME, (0.206, 0.0, 0.475))]


@pytest.fixture(scope="module")
def model(contract: Contract) -> Any:
    return build_kitchen(contract)


def tool_of(model: Any, contract: Contract, joints: Any) -> tuple[Any, Any]:
    data = mujoco.MjData(model)
    for name, position in zip(contract.arm.joints, joints, strict=True):
        data.joint(name).qpos[0] = position
    mujoco.mj_kinematics(model, data)
    return data.site("tool").xpos.copy(), data.site("tool").xmat.reshape(3, 3).copy()


@pytest.mark.parametrize(("joints", "flange"), STATED)
def test_tool_is_where_the_maker_says(
    model: Any, contract: Contract, joints: tuple[float, ...], flange: tuple[float, ...]
) -> None:
    position, rotation = tool_of(model, contract, joints)
    np.testing.assert_allclose(position, np.array(flange) - [0.0, 0.0, contract.tool_offset_m], atol=2e-5)
    np.testing.assert_allclose(rotation, np.diag([1.0, -1.0, -1.0]), atol=2e-5)  # roll pi: tool down


@pytest.mark.parametrize(("joints", "flange"), STATED)
def test_chain_is_where_the_maker_says(
    contract: Contract, joints: tuple[float, ...], flange: tuple[float, ...]
) -> None:
    position, rotation = chain(contract.kinematics).forward(joints)
    np.testing.assert_allclose(position, flange, atol=2e-5)
    np.testing.assert_allclose(rotation, np.diag([1.0, -1.0, -1.0]), atol=2e-5)


def test_scene_and_chain_agree_everywhere(model: Any, contract: Contract) -> None:
    links = chain(contract.kinematics)
    for joints in np.random.default_rng(0).uniform(
        contract.arm.lower_rad, contract.arm.upper_rad, size=(50, 7)
    ):
        position, rotation = tool_of(model, contract, joints)
        expected, turned = links.forward(joints, tool_offset_m=contract.tool_offset_m)
        np.testing.assert_allclose(position, expected, atol=1e-9)
        np.testing.assert_allclose(rotation, turned, atol=1e-9)


def test_scene_has_the_drivers_names(model: Any, contract: Contract) -> None:
    for i, joint in enumerate(contract.arm.joints):
        assert model.joint(joint).id >= 0
        assert model.body(f"link{i + 1}").id > 0
    assert {model.camera(i).name for i in range(model.ncam)} == set(CAMERAS)
