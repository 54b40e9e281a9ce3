"""A server that speaks the Nanonis protocol over a sample, for those who want to try a plan without a microscope.

It takes what a controller takes, coerces what a controller coerces, and notes everything that moves or changes the bias
in `log`. It answers with errors, too late, by halves, with garbage or not at all where it is told to. It listens on the
loopback interface only, unless it is told otherwise: whoever can reach it can use it.
"""

import ipaddress
import itertools
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np

from adatom.errors import ArgumentError, InstrumentError
from adatom.instruments import nanonis_wire as wire
from adatom.instruments.instrument import ScanFrame
from adatom.instruments.nanonis_commands import COMMANDS
from adatom.instruments.nanonis_segments import MOST_SEGMENTS, Segment, values_of
from adatom.instruments.samples import LoopSample, Sample

Fault = Literal["error", "delay", "half", "disconnect", "garbage", "oversize", "other name", "not done"]
FAULTS: tuple[Fault, ...] = ("error", "delay", "half", "disconnect", "garbage", "oversize", "other name")

_SIGNALS = 128
_CURRENT, _BIAS, _Z = 0, 24, 30
_SETPOINT_A = 1e-10
_WITHDRAWN_M = 5e-7
_DELAY_S = 1.0
_PIXELS_COME_IN = 16
_NM_PER_M = 1e9


class _Refused(Exception):
    """A command that the controller answers with an error."""


@dataclass
class Controller:
    """What a controller keeps: its settings, and what it does at present. Lengths in m, y upwards."""

    sample: Sample
    range_m: float
    seconds_per_second: float
    place: tuple[float, float] = (0.0, 0.0)
    speed: float = 1e-7
    bias_V: float = 0.0
    is_height_controlled: bool = False
    is_withdrawn: bool = True
    is_safe_tip_on: bool = False
    frame: tuple[float, ...] = (0.0, 0.0, 1e-7, 1e-7, 0.0)
    buffer: tuple[list[int], int, int] = ((_Z,), 64, 64)  # type: ignore[assignment]
    scan_speed: tuple[float, ...] = (1e-7, 1e-7, 1.0, 1.0, 1, 1.0)
    images: dict[int, np.ndarray] = field(default_factory=dict)
    is_upwards: int = 0
    scan_ends_at: float = 0.0
    is_scanning: bool = False
    recorded: list[int] = field(default_factory=lambda: [_CURRENT])
    n_points: int = 64
    mode: str = "Linear"
    sweep: tuple[float, float] = (-1.0, 1.0)
    timing: tuple[float, ...] = (0.0, 0.0, 0.0, 50.0, 0.01, 0.01, 0.0, 0.0)
    segments: tuple[Any, ...] = (0, *[np.zeros(0)] * 7)
    is_sweeping: bool = False


class NanonisSimulator:
    """A controller in a thread. Use it as ``with NanonisSimulator() as simulator: ... simulator.port``.

    Parameters
    ----------
    sample : what lies under the tip. Its first channel is the signal ``Z (m)``, its spectra are ``Current (A)``;
        further channels follow by their names.
    range_nm : width of the scanner's range, centred on (0, 0).
    seconds_per_second : how long a second of scanning, moving and sweeping takes here.
    host, port : where to listen; port 0 is any that is free.
    is_open_to_others : whether `host` may be another than the loopback interface.
    """

    def __init__(
        self,
        sample: Sample | None = None,
        *,
        range_nm: float = 2000.0,
        seconds_per_second: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
        is_open_to_others: bool = False,
    ) -> None:
        if not is_open_to_others and not (host == "localhost" or _is_loopback(host)):
            raise ArgumentError(
                f"host: expected the loopback interface, got {host}. Say is_open_to_others if you mean it."
            )
        self.controller = Controller(sample or LoopSample(), range_nm / _NM_PER_M, seconds_per_second)
        self.log: list[tuple[str, Any]] = []
        self._faults: list[tuple[str | None, Fault]] = []
        self._chance: tuple[np.random.Generator, float] | None = None
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._stopped_action = threading.Event()
        self._connections: set[socket.socket] = set()
        self._signals = _signal_names(self.controller.sample)
        self._server = socket.create_server((host, port))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, name="nanonis simulator", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Break all connections and listen no more."""
        self._stopping.set()
        self._stopped_action.set()
        self._server.close()
        self.disconnect_all()

    def fail_next(self, kind: Fault, command: str | None = None) -> None:
        """Answer the next request, or the next of `command`, with a fault. ``not done`` says that it is done."""
        with self._lock:
            self._faults.append((command, kind))

    def fail_at_random(self, probability: float, *, seed: int = 0) -> None:
        """Answer requests with faults of all kinds, in this share."""
        self._chance = (np.random.default_rng(seed), probability) if probability > 0 else None

    def disconnect_all(self) -> None:
        """Break all connections now."""
        with self._lock:
            for each in list(self._connections):
                _shut(each)

    # --- connections

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while not self._stopping.is_set():
                command, size = wire.read_header(_received(connection, wire.HEADER_BYTES))
                body = _received(connection, size)
                kind = self._fault_of(command)
                if kind == "disconnect":
                    return
                answer = self._answer(command, body, kind)
                if not self._send(connection, answer, kind):
                    return
        except (OSError, wire.WireError, EOFError):
            return
        finally:
            with self._lock:
                self._connections.discard(connection)
            _shut(connection)

    def _fault_of(self, command: str) -> Fault | None:
        with self._lock:
            for number, (name, kind) in enumerate(self._faults):
                if name in (None, command):
                    del self._faults[number]
                    return kind
            if self._chance is not None and self._chance[0].random() < self._chance[1]:
                return FAULTS[int(self._chance[0].integers(len(FAULTS)))]
        return None

    def _answer(self, command: str, body: bytes, kind: Fault | None) -> bytes:
        form = COMMANDS.get(command)
        if form is None:
            return wire.packed_answer(command, (), (), f"unknown command {command}")
        if kind == "error":
            return wire.packed_answer(command, form.gives, _blank(form.gives), "an error, as asked")
        try:
            values, end = wire.read_fields(body, form.takes)
            if end != len(body):
                raise wire.WireError("too many bytes")
            if kind == "not done" and not form.gives:
                return wire.packed_answer(command, (), ())
            done = getattr(self, f"_{command.replace('.', '_')}")(*values)
        except wire.WireError as error:
            return wire.packed_answer(command, form.gives, _blank(form.gives), f"arguments: {error}")
        except (_Refused, InstrumentError) as error:  # the latter of the sample
            return wire.packed_answer(command, form.gives, _blank(form.gives), str(error))
        return wire.packed_answer(command, form.gives, () if done is None else done)

    def _send(self, connection: socket.socket, answer: bytes, kind: Fault | None) -> bool:
        """Whether the connection goes on."""
        if kind == "delay":
            self._stopping.wait(_DELAY_S)
        if kind == "half":
            connection.sendall(answer[: max(1, len(answer) // 2)])
            return False
        if kind == "garbage":
            answer = np.random.default_rng(len(answer)).bytes(len(answer))
        if kind == "oversize":
            answer = answer[:32] + struct.pack(">i", 2**31 - 1) + answer[36:]
        if kind == "other name":
            answer = b"Other.Command".ljust(32, b"\0") + answer[32:]
        connection.sendall(answer)
        return True

    def _work(self, seconds: float) -> None:
        """Let time pass, unless it is stopped."""
        self._stopped_action.clear()
        if self._stopped_action.wait(seconds * self.controller.seconds_per_second) and not self._stopping.is_set():
            raise _Refused("stopped")

    def _note(self, what: str, facts: Any) -> None:
        with self._lock:
            self.log.append((what, facts))

    # --- commands, in the order of the table

    def _Bias_Set(self, bias_V: float) -> None:
        self._note("bias", (bias_V,))
        self.controller.bias_V = bias_V

    def _Bias_Get(self) -> tuple[float]:
        return (self.controller.bias_V,)

    def _Current_Get(self) -> tuple[float]:
        return (0.0 if self.controller.is_withdrawn else _SETPOINT_A,)

    def _ZCtrl_OnOffSet(self, status: int) -> None:
        self.controller.is_height_controlled = bool(status)
        if status:
            self.controller.is_withdrawn = False

    def _ZCtrl_OnOffGet(self) -> tuple[int]:
        return (int(self.controller.is_height_controlled),)

    def _ZCtrl_ZPosGet(self) -> tuple[float]:
        return (_WITHDRAWN_M if self.controller.is_withdrawn else 0.0,)

    def _ZCtrl_Withdraw(self, wait: int, timeout_ms: int) -> None:
        self._note("withdraw", ())
        self.controller.is_height_controlled = False
        self.controller.is_withdrawn = True

    def _SafeTip_OnOffSet(self, status: int) -> None:
        if status:
            self.controller.is_safe_tip_on = status == 1

    def _SafeTip_OnOffGet(self) -> tuple[int]:
        return (int(self.controller.is_safe_tip_on),)

    def _Motor_StopMove(self) -> None:
        self._note("motor stop", ())

    def _Piezo_RangeGet(self) -> tuple[float, float, float]:
        return self.controller.range_m, self.controller.range_m, 2 * _WITHDRAWN_M

    def _Signals_NamesGet(self) -> tuple[list[str]]:
        return (self._signals,)

    def _Signals_ValGet(self, number: int, wait: int) -> tuple[float]:
        values = {_CURRENT: self._Current_Get()[0], _BIAS: self.controller.bias_V, _Z: self._ZCtrl_ZPosGet()[0]}
        if not 0 <= number < _SIGNALS:
            raise _Refused(f"there is no signal {number}")
        return (values.get(number, 0.0),)

    def _FolMe_SpeedSet(self, speed: float, is_own: int) -> None:
        self.controller.speed = max(speed, 1e-12)

    def _FolMe_SpeedGet(self) -> tuple[float, int]:
        return self.controller.speed, 1

    def _FolMe_XYPosSet(self, x: float, y: float, wait: int) -> None:
        self._note("move", (x, y))
        half = self.controller.range_m / 2
        target = float(np.clip(x, -half, half)), float(np.clip(y, -half, half))
        way = np.hypot(target[0] - self.controller.place[0], target[1] - self.controller.place[1])
        self._work(float(way) / self.controller.speed)
        self.controller.place = target

    def _FolMe_XYPosGet(self, wait: int) -> tuple[float, float]:
        return self.controller.place

    def _FolMe_Stop(self) -> None:
        self._stopped_action.set()

    def _Scan_FrameSet(self, *frame: float) -> None:
        self.controller.frame = frame

    def _Scan_FrameGet(self) -> tuple[float, ...]:
        return self.controller.frame

    def _Scan_BufferSet(self, channels: np.ndarray, pixels: int, lines: int) -> None:
        if not all(0 <= each < _SIGNALS for each in channels):
            raise _Refused("there are no such channels")
        if not (0 < pixels <= 2**13 and 0 < lines <= 2**13):
            raise _Refused("there are no such buffers")
        coerced = max(_PIXELS_COME_IN, round(pixels / _PIXELS_COME_IN) * _PIXELS_COME_IN)
        self.controller.buffer = ([int(each) for each in channels], coerced, lines)

    def _Scan_BufferGet(self) -> tuple[list[int], int, int]:
        return self.controller.buffer

    def _Scan_SpeedSet(self, *speed: float) -> None:
        self.controller.scan_speed = speed

    def _Scan_SpeedGet(self) -> tuple[float, ...]:
        *speeds, keeps, ratio = self.controller.scan_speed
        return *speeds, int(keeps) - 1 if keeps else 0, ratio

    def _Scan_Action(self, action: int, direction: int) -> None:
        if action == 1:
            self._stopped_action.set()
            self.controller.is_scanning = False
        if action != 0:
            return
        x, y, width, height, angle = self.controller.frame
        channels, pixels, lines = self.controller.buffer
        self._note("scan", (x, y, width, height, angle, pixels, lines, *self.controller.scan_speed[2:4]))
        if angle:
            raise _Refused("this simulator scans upright frames only")
        nm = _NM_PER_M
        frame = ScanFrame(x * nm, -y * nm, width * nm, height * nm, lines, pixels, 1.0)
        places = np.meshgrid(*frame.places())
        self.controller.images = {}
        for each in channels:
            seen = self._look(each, *places)
            self.controller.images[each] = seen[::-1] if direction else seen
        self.controller.is_upwards = int(bool(direction))
        takes_s = lines * (self.controller.scan_speed[2] + self.controller.scan_speed[3])
        self.controller.scan_ends_at = time.monotonic() + takes_s * self.controller.seconds_per_second
        self.controller.is_scanning = True

    def _Scan_StatusGet(self) -> tuple[int]:
        if time.monotonic() >= self.controller.scan_ends_at:
            self.controller.is_scanning = False
        return (int(self.controller.is_scanning),)

    def _Scan_WaitEndOfScan(self, timeout_ms: int) -> tuple[int, str]:
        deadline = time.monotonic() + timeout_ms / 1000 if timeout_ms >= 0 else float("inf")
        while self._Scan_StatusGet()[0]:
            if time.monotonic() > deadline or self._stopping.wait(0.005):
                return 1, ""
        return 0, ""

    def _Scan_FrameDataGrab(self, number: int, direction: int) -> tuple[str, np.ndarray, int]:
        if number not in self.controller.images:
            raise _Refused(f"channel {number} was not recorded")
        image = self.controller.images[number]
        return self._signals[number], image if direction else image[:, ::-1], self.controller.is_upwards

    def _BiasSpectr_Open(self) -> None:
        pass

    def _BiasSpectr_Stop(self) -> None:
        self._stopped_action.set()

    def _BiasSpectr_StatusGet(self) -> tuple[int]:
        return (int(self.controller.is_sweeping),)

    def _BiasSpectr_ChsSet(self, channels: np.ndarray) -> None:
        if not all(0 <= each < _SIGNALS for each in channels):
            raise _Refused("there are no such channels")
        self.controller.recorded = [int(each) for each in channels]

    def _BiasSpectr_PropsSet(
        self, save: int, sweeps: int, back: int, points: int, z: float, auto: int, ask: int
    ) -> None:
        if points:
            self.controller.n_points = min(max(points, 2), 2**16)

    def _BiasSpectr_AdvPropsSet(self, *_: int) -> None:
        pass

    def _BiasSpectr_LimitsSet(self, start_V: float, end_V: float) -> None:
        self.controller.sweep = (start_V, end_V)

    def _BiasSpectr_LimitsGet(self) -> tuple[float, float]:
        return self.controller.sweep

    def _BiasSpectr_TimingSet(self, *timing: float) -> None:
        before = self.controller.timing
        self.controller.timing = tuple(old if np.isnan(new) else new for old, new in zip(before, timing, strict=True))

    def _BiasSpectr_TimingGet(self) -> tuple[float, ...]:
        return self.controller.timing

    def _BiasSpectr_MLSModeSet(self, mode: str) -> None:
        if mode not in ("Linear", "MLS"):
            raise _Refused(f"there is no mode {mode[:20]!r}")
        self.controller.mode = mode

    def _BiasSpectr_MLSModeGet(self) -> tuple[str]:
        return (self.controller.mode,)

    def _BiasSpectr_MLSValsSet(self, n: int, *columns: np.ndarray) -> None:
        kept = min(n, MOST_SEGMENTS)
        self.controller.segments = (kept, *(each[:kept] for each in columns))

    def _BiasSpectr_MLSValsGet(self) -> tuple[Any, ...]:
        return self.controller.segments

    def _BiasSpectr_Start(self, with_data: int, name: str) -> tuple[list[str], np.ndarray, list[float]]:
        if self.controller.is_withdrawn:
            raise _Refused("the tip is withdrawn")
        bias = self._sweep()
        settle_s, measure_s = self.controller.timing[4:6]
        if self.controller.mode == "MLS":
            settle_s, measure_s = float(self.controller.segments[4][0]), float(self.controller.segments[5][0])
        x, y = self.controller.place
        self._note("sweep", (x, y, bias, settle_s + measure_s))
        self.controller.is_sweeping = True
        try:
            self._work(bias.size * (settle_s + measure_s))
        finally:
            self.controller.is_sweeping = False
        measured = self.controller.sample.respond(x * _NM_PER_M, -y * _NM_PER_M, bias)
        names = ["Bias calc (V)", *(self._signals[each] for each in self.controller.recorded)]
        rows = [bias, *(measured if each == _CURRENT else np.zeros_like(bias) for each in self.controller.recorded)]
        return (names, np.array(rows), [x, y]) if with_data else ([], np.zeros((0, 0)), [])

    def _sweep(self) -> np.ndarray:
        if self.controller.mode == "Linear":
            return np.linspace(*self.controller.sweep, self.controller.n_points)
        n, starts, ends, _, _, _, points, _ = self.controller.segments
        if not n or (points < 1).any() or points.sum() > 2**16:
            raise _Refused("there are no such segments")
        return values_of([Segment(*each) for each in zip(starts.tolist(), ends.tolist(), points.tolist(), strict=True)])

    def _look(self, number: int, x_nm: np.ndarray, y_nm: np.ndarray) -> np.ndarray:
        channels = list(self.controller.sample.offer.channels)
        place = {_Z: 0} | {_Z + 1 + i: 1 + i for i in range(len(channels) - 1)}
        if number not in place:
            return np.zeros_like(x_nm)
        return self.controller.sample.look(channels[place[number]], x_nm, y_nm)


def _signal_names(sample: Sample) -> list[str]:
    names = {number: f"Input {number + 1} (V)" for number in range(_SIGNALS)}
    names |= {_CURRENT: "Current (A)", _BIAS: "Bias (V)", _Z: "Z (m)"}
    further = itertools.islice(sample.offer.channels.items(), 1, None)
    names |= {_Z + 1 + i: f"{name} ({unit})" for i, (name, unit) in enumerate(further)}
    return [names[number] for number in range(_SIGNALS)]


def _blank(kinds: tuple[str, ...]) -> list[Any]:
    """Fields beside an error."""
    return [{"s": "", "s*": [], "f**": np.zeros((0, 0))}.get(kind, [] if kind[-1] in "*#" else 0) for kind in kinds]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _received(connection: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        part = connection.recv(min(size - len(received), 2**16))
        if not part:
            raise EOFError
        received += part
    return bytes(received)


def _shut(connection: socket.socket) -> None:
    for step in (lambda: connection.shutdown(socket.SHUT_RDWR), connection.close):
        try:
            step()
        except OSError:
            continue
