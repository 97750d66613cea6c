"""What listens, thinks and speaks for one bundle, from its configuration to its clean-up."""

from __future__ import annotations

from contextlib import ExitStack

from rclpy.node import Node

from dynamo_policies.bundle import Bundle
from dynamo_ros.core.runner import Runner
from dynamo_ros.core.worker import Worker
from dynamo_ros.drivers.ends import command_sinks
from dynamo_ros.nodes.commands import CommandPublisher
from dynamo_ros.nodes.gates_in import GatesIn
from dynamo_ros.nodes.graph_in import GraphIn
from dynamo_ros.nodes.live_view import LiveView
from dynamo_ros.nodes.person_in import PersonIn
from dynamo_ros.nodes.shadow import ShadowPublisher
from dynamo_ros.nodes.streams_in import StreamsIn
from dynamo_ros.nodes.timing import TimingPublisher


class Parts:
    """Made together or not at all; gone with `close`."""

    def __init__(self, node: Node, runner: Runner, bundle: Bundle, *, shadow: bool) -> None:
        """Make all for `runner`; a shadow has no way to any driver, and follows nobody.

        Raises:
            DynamoError: a package that the contract needs is missing, or the live graph is another one; what
                is not there yet may still come, and with autostart the rest may be put right as well.
        """
        contract = runner.contract
        with ExitStack() as made:
            self.worker = Worker()
            made.callback(self.worker.close)
            made.callback(GatesIn(node, runner).close)
            make = ShadowPublisher if shadow else CommandPublisher
            self.commands: CommandPublisher | ShadowPublisher = make(node, contract)
            made.callback(self.commands.destroy)
            self.timing = TimingPublisher(node, bundle.embedder)
            made.callback(self.timing.destroy)
            if not shadow:
                made.callback(PersonIn(node, contract, runner.takeover).close)
            if bundle.novelty is not None:
                made.callback(LiveView(node, runner, bundle.novelty).close)
            self.graph = GraphIn(node, contract, () if shadow else command_sinks(contract))
            self.graph.look(wait_for_all=bool(node.get_parameter("autostart").value))
            self.streams = StreamsIn(
                node,
                contract,
                bundle.frames,
                runner.push,
                runner.refuse,
                runner.timings,
                self.graph.saw,
                realtime=int(node.get_parameter("realtime").value),
            )
            made.callback(self.streams.close)
            self._made = made.pop_all()

    def close(self) -> None:
        """End all of them, the last made first."""
        self._made.close()
