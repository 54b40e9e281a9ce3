"""A simulator of the Nanonis TCP programming interface, to try plans and to test clients: a real server on loopback.

What it measures comes from a twin. It can answer late, with errors, with half a message, with garbage, or hang up.
"""

import random
import socket
import socketserver
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from adatom.errors import AdatomError
from adatom.instruments.instrument import ScanFrame, SpectrumSettings
from adatom.instruments.nanonis_wire import Body, error_part, message, packed, received
from adatom.instruments.twin import Twin

_NM = 1e-9
_SIGNALS = ["Current (A)", "Bias (V)", "Z (m)", "X (m)", "Y (m)"]


@dataclass(frozen=True)
class Faults:
    """What goes wrong: probabilities for each answer.

    Attributes
    ----------
    error, delay, half, garbage, hang_up : an error in words; `delay_s` of silence; half of the answer, then the
        connection is closed; random bytes; the connection is closed without an answer.
    seed : of all of them.
    """

    error: float = 0.0
    delay: float = 0.0
    delay_s: float = 0.2
    half: float = 0.0
    garbage: float = 0.0
    hang_up: float = 0.0
    seed: int = 0


class NanonisSimulator:
    """A server; use it in a ``with`` block.

    Parameters
    ----------
    twin : what is measured.
    faults : what goes wrong.
    host, port : where it listens; port 0 takes a free one.

    Attributes
    ----------
    port : where it listens.
    moves : (x, y) [nm], in the scanner's frame here, of all moves that were carried out.
    biases : all values of the bias that were applied [V].
    is_withdrawn : whether the probe is.
    """

    def __init__(self, twin: Twin, *, faults: Faults = Faults(), host: str = "127.0.0.1", port: int = 0) -> None:
        self.twin, self.faults = twin, faults
        self.moves: list[tuple[float, float]] = []
        self.biases: list[float] = []
        self.is_withdrawn = False
        self._chance, self._turn = random.Random(faults.seed), threading.RLock()
        self._bias, self._speed = 0.0, 100.0
        self._frame: list[float] = [0.0, 0.0, 1e-7, 1e-7, 0.0]
        self._buffer: list[Any] = [[2], 64, 64]
        self._line_s = 1.0
        self._scan: Any = None
        self._sweep, self._points, self._backward, self._integration_s = (-1.0, 1.0), 64, False, 0.01
        simulator = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError, AdatomError):
                    while True:
                        simulator._answer(self.request)

        self._server = socketserver.ThreadingTCPServer((host, port), Handler, bind_and_activate=False)
        self._server.daemon_threads = True
        self._server.allow_reuse_address = True
        self._server.server_bind()
        self._server.server_activate()
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    # ---------------------------------------------------------------- answering

    def _answer(self, connection: socket.socket) -> None:
        command, content = received(connection)
        with self._turn:
            try:
                handler = getattr(self, "_do_" + command.replace(".", "_").lower(), None)
                if handler is None:
                    body = error_part(f"unknown command {command}")
                else:
                    body = handler(Body(content, command)) + error_part()
            except AdatomError as error:
                body = error_part(str(error))
            draw, faults = self._chance.random(), self.faults
            delayed = self._chance.random() < faults.delay
            noise = self._chance.randbytes(64)
        if delayed:
            time.sleep(faults.delay_s)
        whole = message(command, body, is_request=False)
        for name in ("error", "half", "garbage", "hang_up"):
            share = getattr(faults, name)
            if draw < share:
                if name == "error":
                    whole = message(command, error_part("something is wrong, as every so often"), is_request=False)
                    connection.sendall(whole)
                    return
                if name == "half":
                    connection.sendall(whole[: len(whole) // 2])
                if name == "garbage":
                    connection.sendall(noise)
                connection.close()
                raise ConnectionError(name)
            draw -= share
        connection.sendall(whole)

    def _do_signals_namesget(self, _: Body) -> bytes:
        return packed("S", [_SIGNALS])

    def _do_bias_set(self, body: Body) -> bytes:
        self._bias = body.take("f")[0]
        self.biases.append(self._bias)
        return b""

    def _do_bias_get(self, _: Body) -> bytes:
        return packed("f", [self._bias])

    def _do_current_get(self, _: Body) -> bytes:
        return packed("f", [1e-10])

    def _do_zctrl_zposget(self, _: Body) -> bytes:
        return packed("f", [1e-6 if self.is_withdrawn else 0.0])

    def _do_zctrl_onoffset(self, body: Body) -> bytes:
        self.is_withdrawn = not body.take("I")[0]
        return b""

    def _do_zctrl_withdraw(self, body: Body) -> bytes:
        body.take("Ii")
        self.is_withdrawn = True
        return b""

    def _do_motor_stopmove(self, _: Body) -> bytes:
        return b""

    def _do_folme_stop(self, _: Body) -> bytes:
        return b""

    def _do_folme_speedset(self, body: Body) -> bytes:
        self._speed = max(body.take("fI")[0] / _NM, 1e-6)
        return b""

    def _do_folme_xyposset(self, body: Body) -> bytes:
        x, y, _ = body.take("ddI")
        self.is_withdrawn = False
        self.twin.move(x / _NM, -y / _NM, speed_nm_per_s=self._speed)
        self.moves.append((x / _NM, -y / _NM))
        return b""

    def _do_folme_xyposget(self, body: Body) -> bytes:
        body.take("I")
        x, y = self.twin.position()
        return packed("dd", [x * _NM, -y * _NM])

    def _do_scan_frameset(self, body: Body) -> bytes:
        self._frame = body.take("fffff")
        return b""

    def _do_scan_frameget(self, _: Body) -> bytes:
        return packed("fffff", self._frame)

    def _do_scan_bufferset(self, body: Body) -> bytes:
        self._buffer = body.take("aii")
        return b""

    def _do_scan_speedset(self, body: Body) -> bytes:
        self._line_s = body.take("ffffHf")[2]
        return b""

    def _do_scan_action(self, body: Body) -> bytes:
        action, _ = body.take("HI")
        if action == 0:
            x, y, width, height, _ = (value / _NM for value in self._frame)
            _, columns, rows = self._buffer
            for sign in (-0.5, 0.5):
                self.moves.append((x + sign * width, -y + sign * height))
            frame = ScanFrame(x, -y, width, height, rows, columns, self._line_s / max(columns, 1))
            self._scan = self.twin.scan(frame)["image"].to_numpy()
        return b""

    def _do_scan_statusget(self, _: Body) -> bytes:
        return packed("I", [0])

    def _do_scan_waitendofscan(self, body: Body) -> bytes:
        body.take("i")
        return packed("Is", [0, ""])

    def _do_scan_framedatagrab(self, body: Body) -> bytes:
        number, _ = body.take("II")
        name = _SIGNALS[number] if number < len(_SIGNALS) else "?"
        return packed("sFI", [name, np.zeros((0, 0)) if self._scan is None else self._scan, 0])

    def _do_biasspectr_open(self, _: Body) -> bytes:
        return b""

    def _do_biasspectr_stop(self, _: Body) -> bytes:
        return b""

    def _do_biasspectr_propsset(self, body: Body) -> bytes:
        _, _, backward, points, _, _, _ = body.take("HiHifHH")
        self._points, self._backward = points or self._points, backward == 1
        return b""

    def _do_biasspectr_limitsset(self, body: Body) -> bytes:
        low, high = body.take("ff")
        self._sweep = (low, high)
        return b""

    def _do_biasspectr_timingset(self, body: Body) -> bytes:
        self._integration_s = body.take("ffffffff")[5]
        return b""

    def _do_biasspectr_start(self, body: Body) -> bytes:
        body.take("Is")
        at = self.twin.spectral_values
        seen = self.twin.spectrum(SpectrumSettings("bias", at, self._integration_s)).to_numpy()
        sweep = np.linspace(*self._sweep, self._points)
        self.biases += [float(sweep.min()), float(sweep.max())]
        rising = np.r_[np.diff(at) >= 0, False]
        names, rows = ["Bias calc (V)"], [sweep]
        for name, branch in (("Current (A)", rising), ("Current [bwd] (A)", ~rising))[: 1 + self._backward]:
            order = np.argsort(at[branch], kind="stable")
            names.append(name)
            rows.append(np.interp(sweep, at[branch][order], seen[branch][order]))
        return packed("SFA", [names, np.array(rows), [0.0]])
