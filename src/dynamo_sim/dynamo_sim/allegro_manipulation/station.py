"""The simulated Allegro station: physics, controllers, sensors and judge behind one clock."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.kinematics import chain
from dynamo_policies.observation import Pose, Sample
from dynamo_policies.streams import ImageStream, JointStream, Stream
from dynamo_ros.core.station import StationOutcome
from dynamo_sim.allegro_manipulation.judge import Judge
from dynamo_sim.allegro_manipulation.scene import CAMERAS, SPONGE, TIMESTEP_S
from dynamo_sim.allegro_manipulation.starts import TASKS, draw_start, initial_hand
from dynamo_sim.allegro_manipulation.world import Joints, Table
from dynamo_sim.cameras import Cameras
from dynamo_sim.controllers import JointTrajectoryController, RejectedError
from dynamo_sim.reading import JointReading
from dynamo_sim.schedule import Schedule

FloatArray = npt.NDArray[np.float64]

STEP_NS = round(TIMESTEP_S * 1e9)
JUDGE_HZ = 100.0


class AllegroStation:
    """An xArm 7 with an Allegro hand at a table; a `dynamo_ros.core.station.Station`.

    The hand's driver forwards every command as it comes and holds the last one for ever, as the real ones do.
    Stamps are the station's time when a picture or a reading was taken. Use it from one thread only: the
    graphics context belongs to the thread of the first picture.
    """

    def __init__(self, contract: Contract, *, render: bool = True) -> None:
        self._contract, self._chain = contract, chain(contract.kinematics)
        self._sink = contract.need_hand("the simulated Allegro station")
        self._table = Table(contract)
        self._streams = _sensed(contract, render=render)
        self._schedules = {name: Schedule(stream.rate_hz) for name, stream in self._streams.items()}
        images = {name: stream for name, stream in self._streams.items() if isinstance(stream, ImageStream)}
        self._cameras = Cameras(self._table.model, images)
        self._arm = JointTrajectoryController(contract.arm.joints)
        self._judging = Schedule(JUDGE_HZ)
        self._now_ns = 0
        self.reset(next(task for task in contract.tasks if task in TASKS), 0)

    @property
    def time_ns(self) -> int:
        """The station's clock, nanoseconds."""
        return self._now_ns

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

    def advance(self, until_ns: int) -> list[Sample]:
        """Let time pass in 2 ms steps, not beyond `until_ns`; return what was measured meanwhile."""
        samples: list[Sample] = []
        while self._now_ns + STEP_NS <= until_ns:
            self._table.step(self._arm.desired(self._now_ns), self._wanted)
            self._now_ns += STEP_NS
            self._deepest_m = max(self._deepest_m, self._table.penetration_m)
            samples.extend(self._measure())
        return samples

    def command_arm(self, positions: npt.ArrayLike, times_s: npt.ArrayLike) -> None:
        """Replace the trajectory: (N, 7) rad in contract order, (N,) s from now; may raise RejectedError."""
        self.follow(self._contract.arm.joints, positions, times_s)

    def follow(
        self,
        names: tuple[str, ...],
        positions: npt.ArrayLike,
        times_s: npt.ArrayLike,
        *,
        start_ns: int | None = None,
        velocities: npt.ArrayLike | None = None,
    ) -> None:
        """Give the arm a trajectory as a message has it; see JointTrajectoryController.accept."""
        self._arm.accept(
            names,
            positions,
            times_s,
            now_ns=self._now_ns,
            measured=self.joint_positions(),
            start_ns=start_ns,
            velocities=velocities,
        )

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

    def outcome(self) -> StationOutcome:
        """Return the judge's verdict at this moment."""
        return self._judge.outcome()

    def objects(self) -> dict[str, Pose]:
        """Return the true pose of the sponge's middle; its x axis is across it."""
        return {SPONGE: self._table.sponge_pose()}

    def close(self) -> None:
        """Free the graphics context."""
        self._cameras.close()

    def reading(self, sample: Sample) -> JointReading:
        """Return what the driver of arm or hand says with `sample`; efforts are the simulated servos'."""
        stream, joints = self._contract.streams[sample.stream], self._joints(sample.stream)
        assert isinstance(stream, JointStream)
        return JointReading(stream.joints, sample.value.astype(np.float64), joints.velocities, joints.efforts)

    def hand_positions(self) -> FloatArray:
        """Return the hand's measured positions (16,), rad, in the driver's order."""
        return self._table.hand.positions

    def joint_positions(self) -> FloatArray:
        """Return the arm's measured positions (7,), rad."""
        return self._table.arm.positions

    def tool_pose(self) -> Pose:
        """Return the tool's true pose."""
        return self._table.tool_pose()

    def camera_fovy_deg(self, name: str) -> float:
        """Return the vertical field of view of camera `name`, degrees."""
        return float(self._table.model.camera(name).fovy[0])

    def sponge_in_tool(self) -> FloatArray:
        """Return where (3,) m the sponge's middle is in the tool's frame; its change while held is slip."""
        return self._table.sponge_in_tool()

    def penetration_m(self) -> float:
        """Return how deep the deepest contact since the reset was, m."""
        return self._deepest_m

    def _measure(self) -> list[Sample]:
        due = [name for name, schedule in self._schedules.items() if schedule.due(self._now_ns)]
        judging = self._judging.due(self._now_ns)
        if due or judging:
            self._table.update()
        if judging:
            self._judge.look(self._table.situation(), self._now_ns)
        return [self._sample(name) for name in due]

    def _sample(self, name: str) -> Sample:
        if isinstance(self._streams[name], ImageStream):
            return Sample(name, self._now_ns, self._cameras.render(name, self._table.data))
        return Sample(name, self._now_ns, self._joints(name).positions.copy())

    def _joints(self, stream: str) -> Joints:
        return self._table.hand if stream == self._contract.hand_stream else self._table.arm


def _sensed(contract: Contract, *, render: bool) -> dict[str, Stream]:
    """Return the streams that are measured: cameras (if they render), the arm's joints and the hand's."""
    sensed: dict[str, Stream] = {}
    for name, stream in contract.observed.items():
        if isinstance(stream, ImageStream):
            if name not in CAMERAS:
                raise UnknownNameError("camera", name, CAMERAS)
            if render:
                sensed[name] = stream
        elif isinstance(stream, JointStream) and name in (contract.arm_stream, contract.hand_stream):
            sensed[name] = stream
    return sensed
