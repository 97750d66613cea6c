"""The simulated Allegro station: physics, controllers, sensors and judge behind one clock."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose, Sample
from dynamo_policies.streams import JointStream
from dynamo_sim.allegro_manipulation.judge import Judge
from dynamo_sim.allegro_manipulation.scene import CAMERAS, SPONGE
from dynamo_sim.allegro_manipulation.starts import TASKS, draw_start, initial_hand
from dynamo_sim.allegro_manipulation.world import Table
from dynamo_sim.arm_station import ArmStation
from dynamo_sim.controllers import RejectedError
from dynamo_sim.reading import JointReading
from dynamo_sim.world import Joints

FloatArray = npt.NDArray[np.float64]


class AllegroStation(ArmStation):
    """An xArm 7 with an Allegro hand at a table; a `dynamo_ros.core.station.Station`.

    The hand's driver forwards every command as it comes and holds the last one for ever, as the real ones do.
    """

    def __init__(self, contract: Contract, *, render: bool = True) -> None:
        self._table = Table(contract)
        super().__init__(contract, self._table, CAMERAS, render=render)
        self._sink = contract.need_hand("the simulated Allegro station")
        self.reset(next(task for task in contract.tasks if task in TASKS), 0)

    def reset(self, task: str, seed: int) -> None:
        """Put everything into the start state `seed` of `task`; UnknownNameError if there is no such task.

        The arm holds the start pose, the hand its driver's initial positions. Time goes on.
        """
        limit_s = self._contract.task(task).time_limit_s
        start = draw_start(task, seed)
        self._wanted = initial_hand(self._sink.kind)
        self._table.place(start, self._wanted)
        self._arm.reset(start.arm)
        self._judge = Judge(task, time_limit_s=limit_s, now_ns=self._now_ns)
        self._deepest_m = 0.0

    def command_gripper(self, position: float) -> None:
        """Refuse: this robot has no gripper."""
        raise RejectedError(f"gripper position {position:g} given; this robot has no gripper")

    def command_hand(self, positions: npt.ArrayLike) -> None:
        """Send the hand to positions (16,), rad, in the driver's order, at once.

        Raises:
            RejectedError: there are more or fewer than 16, or one is not finite.
        """
        wanted = np.array(positions, np.float64)
        if wanted.shape != self._wanted.shape:
            raise RejectedError(f"{wanted.size} positions of the hand given; {self._wanted.size} are needed")
        if not np.isfinite(wanted).all():
            raise RejectedError(f"positions of the hand are not finite: {wanted.tolist()}")
        self._wanted = wanted

    def objects(self) -> dict[str, Pose]:
        """Return the true pose of the sponge's middle; its x axis is across it."""
        return {SPONGE: self._table.body_pose(SPONGE)}

    def reading(self, sample: Sample) -> JointReading:
        """Return what the driver of arm or hand says with `sample`; efforts are the simulated servos'."""
        stream, joints = self._contract.streams[sample.stream], self._joints(sample.stream)
        assert isinstance(stream, JointStream)
        return JointReading(stream.joints, sample.value.astype(np.float64), joints.velocities, joints.efforts)

    def hand_positions(self) -> FloatArray:
        """Return the hand's measured positions (16,), rad, in the driver's order."""
        return self._table.hand.positions

    def sponge_in_tool(self) -> FloatArray:
        """Return where (3,) m the sponge's middle is in the tool's frame; its change while held is slip."""
        return self._table.sponge_in_tool()

    def _step(self) -> None:
        self._table.step(self._arm.desired(self._now_ns), self._wanted)

    def _judged(self) -> None:
        self._judge.look(self._table.situation(), self._now_ns)

    def _positions(self, name: str, stream: JointStream) -> FloatArray:
        hand = name == self._contract.hand_stream
        return self._table.hand.positions if hand else super()._positions(name, stream)

    def _joints(self, stream: str) -> Joints:
        return self._table.hand if stream == self._contract.hand_stream else self._table.arm
