"""A hostile policy on instruments that fail: what gets past the limits, what is raised, and whether it is left safe.

A trial is one thing asked for: often within the limits, often outside, sometimes no number at all. Meanwhile
connections break, answers come late, by halves, as garbage, or not at all. What reaches the instrument is noted behind
the limits.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from adatom.errors import AdatomError, LimitError
from adatom.instruments import Guarded, Limits, ScanFrame, SpectrumSettings
from adatom.instruments.faults import Faults, FaultyInstrument
from adatom.instruments.nanonis import Nanonis
from adatom.instruments.nanonis_simulator import NanonisSimulator
from adatom.instruments.samples import LoopSample
from adatom.instruments.twin import Twin, World
from adatom.simulate.loops import triangle_sweep
from benchmarks.record import Recorder

TRIALS = 1000
_HALF_NM, _BIAS_V, _SPEED = 500.0, 8.0, 1e4
_LIMITS = Limits(
    x_nm=(-_HALF_NM, _HALF_NM),
    y_nm=(-_HALF_NM, _HALF_NM),
    speed_nm_per_s=_SPEED,
    total_time_s=1e6,
    bias_V=(-_BIAS_V, _BIAS_V),
    bias_step_V=1.5,
    dwell_time_s=(1e-4, 1.0),
    current_A=1e-8,
)
_ODD = (math.nan, math.inf, -math.inf, 1e308, "0", None, True, -1.0, [1.0], 1j, 10**400)


def run(recorder: Recorder) -> None:
    """1000 trials on a twin with faults, 1000 on the driver of a Nanonis before its simulator with faults."""
    watched = _WatchedTwin(LoopSample(size_px=16), World(crash_probability=0.02, noise=0.1))
    faults = Faults(disconnects=0.01, garbage=0.02, foreign=0.01, hangs=0.002, fails_every=17)
    guarded = Guarded(FaultyInstrument(watched, faults), _LIMITS, grace_s=0.3)
    _trials(recorder, "twin", guarded, lambda: watched.seen, lambda: watched.read()["z_nm"] > 0)
    with NanonisSimulator() as simulator:
        driver = Nanonis(port=simulator.port, safe_port=simulator.port, timeout_s=0.2)
        simulator.fail_at_random(0.03)
        guarded = Guarded(driver, _LIMITS, grace_s=5.0)
        controller = simulator.controller
        _trials(recorder, "nanonis", guarded, lambda: _seen_by(simulator), lambda: controller.is_withdrawn)


class _WatchedTwin(Twin):
    """Notes the largest distance [nm] and bias [V] of each thing that it is to do."""

    def __init__(self, sample: LoopSample, world: World) -> None:
        super().__init__(sample, world)
        self.seen: list[tuple[float, float]] = []

    def move(self, x_nm: float, y_nm: float, *, speed_nm_per_s: float) -> None:
        self.seen.append((max(abs(x_nm), abs(y_nm)), 0.0))
        super().move(x_nm, y_nm, speed_nm_per_s=speed_nm_per_s)

    def scan(self, frame: ScanFrame) -> Any:
        farthest = max(abs(frame.x_nm) + frame.width_nm / 2, abs(frame.y_nm) + frame.height_nm / 2)
        self.seen.append((farthest, 0.0))
        return super().scan(frame)

    def spectrum(self, settings: SpectrumSettings) -> Any:
        self.seen.append((0.0, float(np.abs(settings.values).max())))
        return super().spectrum(settings)


def _seen_by(simulator: NanonisSimulator) -> list[tuple[float, float]]:
    seen = []
    for what, facts in simulator.log:
        if what == "move":
            seen.append((1e9 * max(abs(facts[0]), abs(facts[1])), 0.0))
        elif what == "scan":
            x, y, width, height, *_ = facts
            seen.append((1e9 * max(abs(x) + width / 2, abs(y) + height / 2), 0.0))
        elif what == "sweep":
            seen.append((1e9 * max(abs(facts[0]), abs(facts[1])), float(np.abs(facts[2]).max())))
        elif what == "bias":
            seen.append((0.0, abs(facts[0])))
    return seen


def _trials(
    recorder: Recorder,
    name: str,
    guarded: Guarded,
    seen: Callable[[], list[tuple[float, float]]],
    is_safe: Callable[[], bool],
) -> None:
    rng = np.random.default_rng(0)
    done = refused = failed = foreign = unsafe = stops = 0
    for _ in range(TRIALS):
        try:
            _ask(guarded, rng)
            done += 1
        except LimitError:
            refused += 1
            unsafe += not is_safe() and guarded.stopped is None
        except AdatomError:
            failed += 1
            unsafe += not is_safe() and guarded.stopped is None
        except Exception as error:
            foreign += 1
            print(f"    {type(error).__name__}: {error}")
        if guarded.stopped is not None:
            stops += 1
            try:
                guarded.release()
            except AdatomError as error:
                print(f"    {error}")
    reached = seen()
    outside = sum(place > _HALF_NM * (1 + 1e-6) or bias > _BIAS_V * (1 + 1e-6) for place, bias in reached)
    recorder.add(f"instrument_faults/{name}/trials", TRIALS)
    recorder.add(f"instrument_faults/{name}/done", done, goal=f">= {TRIALS // 10}")
    recorder.add(f"instrument_faults/{name}/refused", refused)
    recorder.add(f"instrument_faults/{name}/failed", failed)
    recorder.add(f"instrument_faults/{name}/stopped_until_released", stops)
    recorder.add(f"instrument_faults/{name}/commands_that_reached_it", len(reached))
    recorder.add(f"instrument_faults/{name}/outside_limits", outside, goal="<= 0")
    recorder.add(f"instrument_faults/{name}/foreign_exceptions", foreign, goal="<= 0")
    recorder.add(f"instrument_faults/{name}/left_unsafe", unsafe, goal="<= 0")
    guarded.close()


def _ask(guarded: Guarded, rng: np.random.Generator) -> None:
    """Something within the limits, something beyond them, or something odd, of one of three verbs."""
    kind = rng.integers(3)
    reach = rng.choice([0.9, 1.0, 2.0]) * _HALF_NM
    numbers: list[Any] = [*rng.uniform(-reach, reach, 2), rng.uniform(10, rng.choice([0.9, 1.2]) * _SPEED)]
    if rng.random() < 0.15:
        numbers[int(rng.integers(3))] = _ODD[int(rng.integers(len(_ODD)))]
    if kind == 0:
        guarded.move(numbers[0], numbers[1], speed_nm_per_s=numbers[2])
    elif kind == 1:
        sides = rng.uniform(10, 300, 2)
        dwell_time_s = rng.choice([0.05, 0.01, 1e-5, -1.0])
        guarded.scan(ScanFrame(numbers[0], numbers[1], *sides, 4, 16, dwell_time_s))
    else:
        values = rng.choice([0.5, 7.9, 12.0]) * triangle_sweep(int(rng.choice([8, 64])), 1.0)
        if rng.random() < 0.1:
            values[3] = math.nan
        guarded.spectrum(SpectrumSettings("bias", values, rng.choice([1e-3, 0.1, 1e9])))
