"""What every simulated station with an arm is: physics, controller, sensors and judge behind one clock."""

from __future__ import annotations

import abc
from collections.abc import Collection
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.observation import Pose, Sample
from dynamo_policies.streams import ImageStream, JointStream, Stream
from dynamo_ros.core.station import StationOutcome
from dynamo_sim.cameras import Cameras
from dynamo_sim.controllers import JointTrajectoryController
from dynamo_sim.physics import STEP_NS
from dynamo_sim.schedule import Schedule
from dynamo_sim.world import World

FloatArray = npt.NDArray[np.float64]
JUDGE_HZ = 100.0


class Verdict(Protocol):
    """What a station needs of its judge; what the judge looks at is the station's own."""

    def outcome(self) -> StationOutcome:
        """Return the verdict so far."""


class ArmStation(abc.ABC):
    """An arm in a scene.

    Stamps are the station's time when a picture or a reading was taken, multiples of the 2 ms step: a 30 Hz
    camera's frames are 32 or 34 ms apart and do not drift. Use it from one thread only: the graphics context
    belongs to the thread of the first picture.
    """

    _judge: Any

    def __init__(self, contract: Contract, world: World, cameras: Collection[str], *, render: bool) -> None:
        self._contract, self._world = contract, world
        self._streams = _sensed(contract, cameras, render=render)
        self._schedules = {name: Schedule(stream.rate_hz) for name, stream in self._streams.items()}
        images = {name: stream for name, stream in self._streams.items() if isinstance(stream, ImageStream)}
        self._cameras = Cameras(world.model, images)
        self._arm = JointTrajectoryController(contract.arm.joints)
        self._judging = Schedule(JUDGE_HZ)
        self._now_ns = 0
        self._deepest_m = 0.0

    @abc.abstractmethod
    def _step(self) -> None:
        """Let one step of physics pass."""

    @abc.abstractmethod
    def _judged(self) -> None:
        """Let the judge look."""

    @property
    def time_ns(self) -> int:
        """The station's clock, nanoseconds."""
        return self._now_ns

    def advance(self, until_ns: int) -> list[Sample]:
        """Let time pass in 2 ms steps, not beyond `until_ns`; return what was measured meanwhile."""
        samples: list[Sample] = []
        while self._now_ns + STEP_NS <= until_ns:
            self._step()
            self._now_ns += STEP_NS
            self._deepest_m = max(self._deepest_m, self._world.penetration_m)
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

    def outcome(self) -> StationOutcome:
        """Return the judge's verdict at this moment."""
        verdict: Verdict = self._judge
        return verdict.outcome()

    def close(self) -> None:
        """Free the graphics context."""
        self._cameras.close()

    def joint_positions(self) -> FloatArray:
        """Return the arm's measured positions (7,), rad."""
        return self._world.arm.positions

    def tool_pose(self) -> Pose:
        """Return the tool's true pose."""
        return self._world.tool_pose()

    def camera_fovy_deg(self, name: str) -> float:
        """Return the vertical field of view of camera `name`, degrees."""
        return float(self._world.model.camera(name).fovy[0])

    def penetration_m(self) -> float:
        """Return how deep the deepest contact since the reset was, m."""
        return self._deepest_m

    def _measure(self) -> list[Sample]:
        due = [name for name, schedule in self._schedules.items() if schedule.due(self._now_ns)]
        judging = self._judging.due(self._now_ns)
        if due or judging:
            self._world.update()
        if judging:
            self._judged()
        return [Sample(name, self._now_ns, self._value(name)) for name in due]

    def _value(self, name: str) -> npt.NDArray[Any]:
        stream = self._streams[name]
        if isinstance(stream, ImageStream):
            return self._cameras.render(name, self._world.data)
        assert isinstance(stream, JointStream)
        return self._positions(name, stream)

    def _positions(self, name: str, stream: JointStream) -> FloatArray:
        """Return what `stream` measures, rad; here joints of the arm."""
        del name
        order = [self._contract.arm.joints.index(joint) for joint in stream.joints]
        return self.joint_positions()[order]


def _sensed(contract: Contract, cameras: Collection[str], *, render: bool) -> dict[str, Stream]:
    """Return the streams measured at rates of their own: `cameras`, if they render, and joints."""
    sensed: dict[str, Stream] = {}
    for name, stream in contract.observed.items():
        if isinstance(stream, ImageStream):
            if name not in cameras:
                raise UnknownNameError("camera", name, cameras)
            if render:
                sensed[name] = stream
        elif isinstance(stream, JointStream) and (
            set(stream.joints) <= set(contract.arm.joints) or name == contract.hand_stream
        ):
            sensed[name] = stream
    return sensed
