"""What our lifecycle nodes have in common."""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

OK, FAILED = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class ManagedNode(LifecycleNode):
    """A lifecycle node that leaves nothing behind and reads its parameters shortly."""

    def destroy_node(self) -> None:
        """Take the node and all its services out of the graph."""
        super().destroy_node()
        # rclpy 7.1 forgets it: its services would stay in the graph, and the participant with them.
        self._state_machine.destroy_when_not_in_use()

    def text(self, name: str) -> str:
        """Return a declared parameter as text."""
        return str(self.get_parameter(name).value)
