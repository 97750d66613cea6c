"""Runs a policy whose commands no arm follows: where something stops it, it begins anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dynamo_policies.errors import DynamoError
from dynamo_ros.core.commander import StopReason
from dynamo_ros.core.runner import Runner


class Beginning(NamedTuple):
    """When an episode began, and the stop that ended it, if one did."""

    at_ns: int
    stop: StopReason | None = None


class Again:
    """Begins episodes of a runner where the measured arm is, the first as soon as every stream is fresh.

    The arm follows others, so the commanded joints come apart from the measured ones in time, and the
    tracking stop is due then as any other. No gate is off: each stop is kept in `beginnings`, and after the
    braking the runner begins anew. On an arm that moves, a person must do that.
    """

    def __init__(self, runner: Runner, begin: Callable[[int], object], *, patience_ns: int = 0) -> None:
        """Begin by `begin(now_ns)`; where it raises DynamoError, try again after `patience_ns`."""
        self._runner, self._begin, self._patience_ns = runner, begin, patience_ns
        self._tried_ns = -patience_ns
        self.beginnings: list[Beginning] = []
        self.refusal = ""  # why it can't begin, if it can't

    def step(self, now_ns: int) -> None:
        """Begin, if nothing is going on; to be called before each command."""
        stop = self._runner.stopped
        if stop is not None and self.beginnings and self.beginnings[-1].stop is None:
            self.beginnings[-1] = self.beginnings[-1]._replace(stop=stop)
        if self._runner.running or (stop is not None and self._runner.moving):
            return
        if 0 <= now_ns - self._tried_ns < self._patience_ns:
            return
        self._tried_ns = now_ns
        try:
            self._runner.rearm()
            if not self._runner.ready(now_ns):
                return
            self._begin(now_ns)
        except DynamoError as error:
            self.refusal = str(error)
        else:
            self.refusal = ""
            self.beginnings.append(Beginning(now_ns))
