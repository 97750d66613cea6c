"""The table's physics: a model, its state, and what can be measured in it."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_ros.core.graphics import mujoco
from dynamo_sim.allegro_manipulation.judge import Situation
from dynamo_sim.allegro_manipulation.scene import SPONGE, SPONGE_HALF, build_table
from dynamo_sim.allegro_manipulation.starts import Start
from dynamo_sim.world import Joints, World, below

FloatArray = npt.NDArray[np.float64]

SETTLE_STEPS = 100  # until the sponge rests
CORNERS = np.array(list(itertools.product(*((-half, half) for half in SPONGE_HALF))))  # (8, 3) m


class Table(World):
    """Arm, hand and sponge; `hand` has its joints in the contract's order."""

    def __init__(self, contract: Contract) -> None:
        super().__init__(build_table(contract), contract)
        self.hand = Joints(self.model, self.data, contract.need_hand("the simulated table").joints)
        self._sponge = self.model.body(SPONGE).id
        self._of_hand = below(self.model, self.model.body("palm_link").id)

    def place(self, start: Start, hand: FloatArray) -> None:
        """Put everything where `start` says, at rest, with the hand at `hand` (16,) rad."""
        mujoco.mj_resetData(self.model, self.data)
        half = start.yaw / 2
        self.data.joint(SPONGE).qpos[:] = [*start.sponge, np.cos(half), 0.0, 0.0, np.sin(half)]
        self.arm.place(start.arm)
        self.hand.place(hand)
        mujoco.mj_step(self.model, self.data, SETTLE_STEPS)
        self.update()

    def step(self, arm: FloatArray, hand: FloatArray) -> None:
        """Let one time step pass with the servos aiming at `arm` (7,) and `hand` (16,), rad."""
        self.arm.aim(arm)
        self.hand.aim(hand)
        mujoco.mj_step(self.model, self.data)

    def sponge_in_tool(self) -> FloatArray:
        """Return the place (3,) m of the sponge's middle in the tool's frame."""
        return self.in_tool(self.data.xpos[self._sponge])

    def situation(self) -> Situation:
        """Return what the judge looks at."""
        turn = self.data.xmat[self._sponge].reshape(3, 3)
        lowest = float((self.data.xpos[self._sponge] + CORNERS @ turn.T)[:, 2].min())
        touching = self.touching(self._sponge)
        return Situation(lowest, bool(touching[self._of_hand].any()), bool(touching[~self.robot].any()))
