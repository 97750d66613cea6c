"""Runs a bundle on a robot: cameras and joints in, limited commands out, only while active."""

from __future__ import annotations

import gc
import sys
import time

import torch
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.timer import Timer
from std_srvs.srv import Trigger

from dynamo_policies.errors import DynamoError
from dynamo_ros.core.again import Again
from dynamo_ros.core.runner import Runner, RunnerError
from dynamo_ros.nodes.authority import AuthorityTopic
from dynamo_ros.nodes.bundle_parameters import FIXED, declare_bundle, declare_shadow, load_declared
from dynamo_ros.nodes.clocks import Clocks
from dynamo_ros.nodes.commands import bring_to_rest
from dynamo_ros.nodes.episode_start import EpisodeStart
from dynamo_ros.nodes.health import HealthPublisher
from dynamo_ros.nodes.inference_parts import Parts
from dynamo_ros.nodes.lifecycle import FAILED, OK, ManagedNode
from dynamo_ros.nodes.messages import now_ns
from dynamo_ros.nodes.realtime import declare_realtime
from dynamo_ros.nodes.shadow import NoAuthority
from dynamo_ros.nodes.spin import run

HEALTH_PERIOD_S = 1.0
AUTOSTART_PERIOD_S, PREPARE_PERIOD_S = 0.2, 0.05
SWITCH_S = 2e-4
AGAIN_NS = 500_000_000


class InferenceNode(ManagedNode):
    """Feeds messages to a Runner and publishes the commands that it returns.

    Parameters: `bundle` (folder), `contract` (name or path; must equal the bundle's where it is given; its
    gates count), `task` (settable while inactive; empty: the bundle's first), `device` and `threads` of the
    networks, `engine` (`auto`: the fastest that computes the same as `eager`), `deadman` (topic of a deadman
    that must be held, as the contract's) and `deadman_button`, `realtime` (priority of what commands and
    listens, 1 to 99; can't be changed; 0: ordinary), `autostart` (configure at once, activate when
    the streams have come), `authority` (`full`, or `shadow`: everything runs and nothing is commanded; can't
    be changed).
    """

    def __init__(self, overrides: list[Parameter] | None = None) -> None:
        super().__init__("inference_node", parameter_overrides=overrides)
        declare_realtime(self)
        declare_bundle(self)
        # On a busy computer several threads wait for one another; one is steadier.
        torch.set_num_threads(self.declare_parameter("threads", 1).value)
        self._runner: Runner | None = None
        self._active = False
        self._command_timer: Timer | None = None
        self._clocks = Clocks(self)
        self._shadow = declare_shadow(self)
        self._authority = NoAuthority() if self._shadow else AuthorityTopic(self)
        self._health = HealthPublisher(self)
        self.create_timer(HEALTH_PERIOD_S, self._report, clock=self._clocks.steady)
        self.create_service(Trigger, "~/rearm", self._rearm)
        self.create_service(Trigger, "~/stop", self._stop)
        self.add_on_set_parameters_callback(self._check_parameters)
        backward = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1))
        self._jumps = self.get_clock().create_jump_callback(backward, post_callback=self._jumped)
        if self.declare_parameter("autostart", False).value:  # noqa: FBT003 (rclpy takes no keyword here)
            self._autostart()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and check the bundle, run its networks once, and listen to its streams."""
        try:
            bundle, contract = load_declared(self)
            runner = self._runner = Runner(bundle, clock_ns=time.perf_counter_ns, contract=contract)
            self._runner.warm_up()
            parts = Parts(self, self._runner, bundle, shadow=self._shadow)
        except DynamoError as error:
            self.get_logger().error(str(error))
            self._runner = None
            return FAILED
        self._parts, self._commands, self._worker = parts, parts.commands, parts.worker
        self._episode_start = EpisodeStart(
            self, runner, parts, self._authority, self._clocks, shadow=self._shadow
        )
        self._timing, self._ticked_ns = parts.timing, 0
        self._again = Again(
            runner, lambda _now_ns: self._episode_start.begin(self._task()), patience_ns=AGAIN_NS
        )
        self._preparing = self.create_timer(PREPARE_PERIOD_S, self._prepare, clock=self._clocks.steady)
        self.get_logger().info(f"bundle {bundle.digest[:12]} for {', '.join(bundle.tasks)}")
        if silent := self._runner.silent_gates:
            self.get_logger().warning(f"these gates do not act: {', '.join(silent)}")
        gc.freeze()  # What is loaded stays; to look through all of it for garbage takes a tenth of a second.
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to command, from where the arm is, if the first action is near it."""
        assert self._runner is not None
        try:
            self._parts.streams.hand_on()
            self._parts.graph.require()
            self._episode_start.begin(self._task())
        except DynamoError as error:
            self.get_logger().error(str(error))
            return FAILED
        self._active = True
        rate_hz = self._runner.contract.arm.rate_hz
        self._command_timer = self.create_timer(1.0 / rate_hz, self._tick, clock=self._clocks.ticking)
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Bring the arm to rest, and command nothing more."""
        self._end_episode()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the bundle."""
        self._forget()
        return super().on_cleanup(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Bring the arm to rest, and forget the bundle: the node can be configured anew."""
        self._forget()
        super().on_error(state)
        return OK

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Bring the arm to rest, and end."""
        self._forget()
        return super().on_shutdown(state)

    def destroy_node(self) -> None:
        """Bring the arm to rest while the topics still work."""
        self._forget()
        super().destroy_node()

    def _tick(self) -> None:
        assert self._runner is not None
        begun_ns = time.perf_counter_ns()
        self._parts.streams.hand_on()
        stamp_ns = self._clocks.look()
        if not self._clocks.simulated:
            self._compare_clocks(self._runner, begun_ns)
        if self._runner.running and (rival := self._episode_start.rival):
            self._runner.stop(rival, kind="authority")
        if self._shadow:
            self._again.step(stamp_ns)
        self._worker.step(self._runner, stamp_ns)
        with self._runner.timings.measure("command"):
            ready = self._can_command(self._runner, stamp_ns)
            command = self._runner.command(stamp_ns) if ready else None
        # A driver with a fault takes no more commands, so none is waited for.
        braking = ready and self._runner.moving and not self._runner.running
        if command is not None:
            with self._runner.timings.measure("publish"):
                if self._runner.may_send(command, self._clocks.later_ns):
                    self._commands.publish(command, stamp_ns)
        else:
            self._commands.rest(stopped=self._runner.stopped is not None and not braking)
        # Until the arm rests nobody else is to move it.
        self._authority.tell(self._runner.last_holder if braking else self._episode_start.holder)
        self._health.tell_stop(self._runner.stopped)

    def _compare_clocks(self, runner: Runner, begun_ns: int) -> None:
        """Tell the runner the time by both clocks; stop where this process stood still for too long."""
        steady_ns = self._clocks.steady_ns
        runner.compare_clocks(self._clocks.stamp_ns, steady_ns)
        runner.timings.tick(runner.contract.arm.period_ns, begun_ns)
        stood_s = (steady_ns - max(self._ticked_ns, self._episode_start.begun_ns)) / 1e9
        self._ticked_ns = steady_ns
        if runner.running and stood_s > runner.contract.arm.stale_stop_s:
            runner.stop(f"this process stood still for {stood_s:.1f} s", kind="stale")

    def _prepare(self) -> None:
        """Get the arm's driver ready while nothing is commanded; nothing moves by it."""
        if not self._active:
            self._parts.streams.hand_on()
            if self._authority.other is None:
                self._commands.ready(self._now_ns())

    def _can_command(self, runner: Runner, stamp_ns: int) -> bool:
        """Return whether the arm's driver is ready; stop by what is wrong with it."""
        if self._episode_start.waits and self._episode_start.person_elsewhere:
            return False
        ready = self._commands.ready(stamp_ns)
        if fault := self._commands.fault():
            self._episode_start.waits = False
            runner.stop(fault, kind="driver")
        elif ready:
            self._episode_start.proceed(self._task())
        return ready

    def _end_episode(self) -> None:
        if self._runner is None or not self._active:
            return
        self._active = self._episode_start.waits = False
        if self._command_timer is not None:
            self.destroy_timer(self._command_timer)
        last = self._runner.finish(self._now_ns())
        bring_to_rest(self._commands, last, arm=self._runner.contract.arm, now_ns=self._now_ns)
        self._worker.drop()
        self._runner.timings.pause()
        self._authority.tell("nobody")
        self._report()

    def _forget(self) -> None:
        was_active = self._active and not self._episode_start.waits
        self._end_episode()
        if self._runner is None:
            return
        if was_active:  # an arm that another node moves is not ours to stop
            self._commands.rest(stopped=True)
        self.destroy_timer(self._preparing)
        self._parts.close()
        gc.unfreeze()
        self._runner = None

    def _rearm(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Clear a stop; an active node begins anew where the arm is."""
        if self._runner is None:
            response.message = "not configured"
            return response
        try:
            response.message = self._episode_start.rearm(self._task(), active=self._active)
        except DynamoError as error:
            response.message = str(error)
            return response
        self._health.tell_stop(self._runner.stopped)
        response.success = True
        return response

    def _stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._runner is None:
            response.message = "not configured, so nothing is commanded"
            return response
        self._runner.stop("by ~/stop")
        response.success = True
        return response

    def _jumped(self, jump: TimeJump) -> None:
        if self._runner is None:
            return
        self._runner.stop(f"the clock jumped {-jump.delta.nanoseconds / 1e6:.0f} ms back", kind="clock")
        self._runner.reset_clock()

    def _check_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        names = {parameter.name for parameter in parameters}
        if self._active and "task" in names:
            return SetParametersResult(successful=False, reason="task can't change while active")
        if self._runner is not None and names & set(FIXED):
            return SetParametersResult(successful=False, reason="clean up before changing the bundle")
        return SetParametersResult(successful=True)

    def _autostart(self) -> None:
        if self.trigger_configure() != OK:
            raise RunnerError("the bundle could not be configured; see above")
        self._starter = self.create_timer(
            AUTOSTART_PERIOD_S, self._start_when_ready, clock=self._clocks.steady
        )

    def _start_when_ready(self) -> None:
        assert self._runner is not None
        self._parts.streams.hand_on()
        fits = self._parts.graph.fits()
        ready = self._runner.ready(self._now_ns()) and self._commands.ready(self._now_ns())
        if fits and ready and self.trigger_activate() == OK:
            self.destroy_timer(self._starter)

    def _report(self) -> None:
        if self._runner is not None:
            self._timing.publish(self._runner)
            self._health.publish(self._runner, active=self._active, task=self._task())
            self._health.tell_stop(self._runner.stopped)

    def _task(self) -> str:
        assert self._runner is not None
        return self.text("task") or self._runner.tasks[0]

    def _now_ns(self) -> int:
        return now_ns(self.get_clock())


def main() -> int:
    """Run the inference node until it is interrupted."""
    # Commands and inference are threads that share the interpreter: neither is to wait 5 ms for the other.
    sys.setswitchinterval(SWITCH_S)
    return run(InferenceNode)
