"""A connection to a Nanonis controller that is not believed: each answer has to come in time and in its form."""

import socket
import threading
import time
from typing import Any

from adatom.errors import InstrumentError
from adatom.instruments import nanonis_wire as wire
from adatom.instruments.nanonis_commands import COMMANDS


class NanonisConnection:
    """Sends commands one after another; connects when it is first needed, and anew after anything went wrong.

    Parameters
    ----------
    host, port : of the controller's programming interface; each of its ports serves one client.
    timeout_s : for a whole answer of a command that takes no time.
    """

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._host, self._port, self._timeout_s = host, port, timeout_s
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def call(self, command: str, *values: Any, takes_s: float = 0.0) -> list[Any]:
        """Fields of the answer. A question is asked once more on a fresh connection if its answer was lost.

        Parameters
        ----------
        takes_s : what it takes until the answer comes, beside the time-out.

        Raises
        ------
        InstrumentError : if the answer is an error, or does not come, or makes no sense.
        """
        tries = 2 if COMMANDS[command].is_question else 1
        with self._lock:
            while True:
                tries -= 1
                try:
                    return self._exchange(command, values, takes_s)
                except (OSError, wire.WireError) as error:
                    self._disconnect()  # what comes later would be taken for the next answer
                    if not tries:
                        raise InstrumentError(f"{command}: {self._said(error)}.") from error

    def close(self) -> None:
        """Let go; the next call connects anew."""
        with self._lock:
            self._disconnect()

    def _exchange(self, command: str, values: tuple[Any, ...], takes_s: float) -> list[Any]:
        form = COMMANDS[command]
        connection = self._connected()
        deadline = time.monotonic() + self._timeout_s + takes_s
        connection.settimeout(self._timeout_s)
        connection.sendall(wire.packed_request(command, form.takes, values))
        answered, size = wire.read_header(self._receive(connection, wire.HEADER_BYTES, deadline))
        if answered != command:
            raise wire.WireError(f"an answer to {answered[:40]!r}")
        fields, problem = wire.read_answer(self._receive(connection, size, deadline), form.gives)
        if problem:
            raise InstrumentError(f"{command}: the controller says {problem!r}.")
        return fields

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection((self._host, self._port), timeout=self._timeout_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @staticmethod
    def _receive(connection: socket.socket, size: int, deadline: float) -> bytes:
        """So many bytes before the deadline, however slowly they drip."""
        received = bytearray()
        while len(received) < size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            part = connection.recv(min(size - len(received), 2**20))
            if not part:
                raise ConnectionResetError
            received += part
        return bytes(received)

    def _said(self, error: Exception) -> str:
        where = f"{self._host}:{self._port}"
        if isinstance(error, TimeoutError):
            return f"expected an answer from {where} in time, got none"
        if isinstance(error, wire.WireError):
            return f"expected an answer of its form from {where}, got {error}"
        if isinstance(error, ConnectionRefusedError):
            return f"expected a controller at {where}, got no connection. Is its programming interface on?"
        return f"expected an answer from {where}, got a broken connection ({type(error).__name__})"
