"""A headset's streams, as Open-Teach's application sends them: ZeroMQ, the last message wins."""

from __future__ import annotations

import zmq

from dynamo_policies.errors import DynamoError


class HeadsetError(DynamoError):
    """A stream can't be listened to."""


class LastMessage:
    """Listens for one stream and keeps its newest message. Nothing is unpickled: messages stay bytes.

    Raises:
        HeadsetError: the port is taken, or the address is not this computer's.
    """

    def __init__(self, host: str, port: int, *, most_bytes: int) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PULL)
        self._socket.setsockopt(zmq.CONFLATE, 1)
        self._socket.setsockopt(zmq.LINGER, 0)
        # A peer that sends more is cut off before the message takes memory.
        self._socket.setsockopt(zmq.MAXMSGSIZE, most_bytes)
        address = f"tcp://{host}:{port}"
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            self.close()
            raise HeadsetError(f"can't listen at {address}: {error}") from error

    @property
    def port(self) -> int:
        """The port; of the system's choice where 0 was given."""
        return int(self._socket.get_string(zmq.LAST_ENDPOINT).rpartition(":")[2])

    def take(self) -> bytes | None:
        """Return the newest message since the last call, None if there is none."""
        try:
            return self._socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            return None

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
        self._context.term()
