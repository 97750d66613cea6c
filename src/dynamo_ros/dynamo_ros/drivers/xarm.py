"""What all of the xArm driver's command services have in common: preparation, calls, faults, the stop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose
from dynamo_policies.sinks import XarmArm, of_kind
from dynamo_ros.core.commander import ArmCommand
from dynamo_ros.core.free_drive import ModeCall
from dynamo_ros.core.steps import FloatArray, pose_way, tool_pose
from dynamo_ros.core.xarm_preparation import STOPPED, Preparation, Report
from dynamo_ros.core.xarm_units import from_rpy
from dynamo_ros.drivers.bus import Bus
from dynamo_ros.drivers.latest_call import LatestCall
from dynamo_ros.drivers.xarm_services import XarmServices, service_types

A = TypeVar("A", bound=XarmArm)
# The arm's own idea of its tool may differ from ours by its calibration, not by the length of a tool.
AGREE_M, AGREE_RAD = 0.015, 0.05
SERVICES_S = 2.0


class XarmDriver(ABC, Generic[A]):
    """Commands an xArm through the service SERVICE in mode MODE, of the type TYPE in xarm_msgs.

    Nothing is waited for: `ready` takes the next step of the preparation, `send` the next call.
    """

    NEEDS_JOINTS: ClassVar[bool] = True
    MODE: ClassVar[int]
    SERVICE: ClassVar[str]
    TYPE: ClassVar[str]
    SINK: ClassVar[type[XarmArm]]
    CARTESIAN: ClassVar[bool] = False

    def __init__(self, bus: Bus, contract: Contract) -> None:
        what = f"arm kind {contract.arm.kind!r}"
        arm = of_kind(contract.arm, self.SINK, what)
        self._arm: A = arm  # type: ignore[assignment]  # SINK is A's class
        self._contract = contract
        self._request_type = getattr(service_types(what), self.TYPE).Request
        self._services = XarmServices(bus, arm.namespace, self._report, what=what)
        service = bus.service(getattr(service_types(what), self.TYPE), f"{arm.namespace}/{self.SERVICE}")
        self._service = service
        self.calls: LatestCall[ArmCommand | None] = LatestCall(
            service, self._request, patience_ns=round(arm.failure_stop_s * 1e9)
        )
        self._preparation = Preparation(self.MODE)
        self._measured: FloatArray | None = None
        self._reported: Pose | None = None  # the arm's own idea of where its tool is
        self._now_ns = self._begun_ns = 0
        self._halted, self._absent, self._located = "", "", False

    def prepare(self, now_ns: int) -> None:
        """Begin to bring the arm into its mode; errors that a person must look at are not cleared."""
        self._now_ns = self._begun_ns = now_ns
        self._reported, self._halted, self._absent, self._located = None, "", "", False
        self.calls.forget()
        self._forget()
        self._preparation.begin(now_ns)

    def ready(self, now_ns: int) -> bool:
        """Return whether commands may come; to be asked with each tick, since it goes on preparing."""
        self._now_ns = now_ns
        if self._preparation.state == "calling" and (missing := self._missing()):
            if now_ns - self._begun_ns > SERVICES_S * 1e9:
                self._absent = (
                    f"the arm's driver does not offer {', '.join(missing)}; enable what it has in "
                    "xarm_api/config/xarm_user_params.yaml below services"
                )
            return False
        self._absent = ""
        call = self._preparation.due(now_ns)
        if call is not None:
            self._services.call(call, partial(self._answered, call))
        self._located = self._located or (self._preparation.state == "ready" and self._knows_where())
        return self._located and self._preparation.state == "ready"

    def fault(self) -> str:
        """Return why the arm can't be commanded, an empty text while it can."""
        return self._preparation.reason or self._halted or self._absent or self.calls.failure()

    def observe(self, joints: FloatArray) -> None:
        """Take note of the measured joints (J,) rad."""
        self._measured = joints

    def send(self, command: ArmCommand, stamp_ns: int) -> None:
        """Send the command, or let it wait for the answer to the one before; those of a stop never wait."""
        self._now_ns = stamp_ns
        if self._preparation.state != "ready":
            return
        if "stop" in command.clipped:
            self.calls.press(command, stamp_ns)
        else:
            self.calls.offer(command, stamp_ns)

    def release(self) -> None:
        """Send nothing more; a velocity ends."""
        self.calls.drop()

    def halt(self) -> None:
        """Stop as the contract says; from a disabled arm only `prepare` leads out."""
        self.release()
        if self._arm.stop == "hold_and_disable":
            self._services.call(ModeCall("set_state", STOPPED), self._stopped)
            self._preparation.end()

    @abstractmethod
    def _request(self, command: ArmCommand | None) -> Any:
        """Return the request for `command`; None ends a velocity."""

    def _forget(self) -> None:
        """Forget what was sent before."""

    def _missing(self) -> list[str]:
        return [*self._services.missing(), *([] if self._service.ready() else [self._service.name])]

    def _knows_where(self) -> bool:
        """Return whether the arm's place is known; fail if its own idea of the tool's pose is another."""
        if self._measured is None or self._reported is None:
            return False
        if not self.CARTESIAN:
            return True
        way = pose_way(self._reported, tool_pose(self._contract, self._measured))
        distance, angle = (float(np.linalg.norm(part)) for part in (way[:3], way[3:]))
        if distance > AGREE_M or angle > AGREE_RAD:
            self._preparation.fail(
                f"it has its tool {1000.0 * distance:.0f} mm and {angle:.2f} rad from where the contract "
                f"has it; set its controller's TCP offset to tool_offset_m {self._contract.tool_offset_m:g}"
            )
        return self._preparation.state == "ready"

    def _report(self, message: Any) -> None:
        self._reported = from_rpy(message.pose)
        report = Report(message.mode, message.state, message.err, message.warn)
        self._preparation.observe(report)

    def _answered(self, call: ModeCall, code: int, message: str) -> None:
        self._preparation.answered(call, code, message, self._now_ns)

    def _stopped(self, code: int, message: str) -> None:
        if code != 0:
            self._halted = f"set_state {STOPPED} returned {code} {message}: the arm may still be enabled"
