"""Forward kinematics against a product written out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation

from dynamo_policies.kinematics import XARM7

OFFSET_M = 0.172


def product(q: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    position, rotation = np.zeros(3), np.eye(3)
    for joint, angle in zip(XARM7.joints, q, strict=True):
        position = position + rotation @ np.array(joint.xyz)
        rotation = rotation @ Rotation.from_euler("XZ", [joint.roll, angle]).as_matrix()
    return position + rotation[:, 2] * OFFSET_M, rotation


def test_the_tool_is_where_the_product_of_the_joints_puts_it() -> None:
    q = np.random.default_rng(0).uniform(-3.0, 3.0, (4, 5, 7))
    positions, rotations = XARM7.forward(q, tool_offset_m=OFFSET_M)
    assert positions.shape == (4, 5, 3)
    assert rotations.shape == (4, 5, 3, 3)
    for place in np.ndindex(4, 5):
        expected = product(q[place])
        np.testing.assert_allclose(positions[place], expected[0], atol=1e-14)
        np.testing.assert_allclose(rotations[place], expected[1], atol=1e-14)
        np.testing.assert_array_equal(XARM7.forward(q[place], tool_offset_m=OFFSET_M)[0], positions[place])


def test_another_number_of_joints_is_refused() -> None:
    with pytest.raises(ValueError, match="6 joint positions given for a chain of 7 joints"):
        XARM7.forward(np.zeros(6))
