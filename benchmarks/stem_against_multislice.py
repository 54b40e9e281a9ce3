"""The fast STEM engine beside abTEM's multislice (extra `multislice`): dark-field images of three thin materials.

Both are the same probe over the same atoms. Of the fast engine only the exponent of the atomic number and the scale are
fitted; a second fit also lets the width of the atoms go, which a recipe has as a range.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import graphene, make_supercell, mx2
from numpy.typing import NDArray
from scipy import optimize
from scipy.spatial import cKDTree

from adatom.simulate.columns import z_contrast
from adatom.simulate.multislice import multislice_image
from adatom.simulate.placing import place_atoms
from adatom.simulate.stem import Lens
from benchmarks.record import Recorder

Array = NDArray[np.float64]

_PIXEL_NM = 0.0125
_SOURCE_NM = 0.03  # standard deviation, of a source of 0.07 nm full width at half maximum


@dataclass(frozen=True)
class Material:
    """A specimen and how it is looked at; `window_nm` holds its cell."""

    structure: Atoms
    window_nm: float
    lens: Lens
    detector_mrad: tuple[float, float]
    n_configurations: int
    reference: dict[str, float]


def materials() -> dict[str, Material]:
    """Structures are wide enough for the tails of the probe around a window that starts at the origin."""
    low_voltage = Lens(60, 30, source_nm=_SOURCE_NM, atom_width_nm=0.006)
    nitride = graphene(formula="BN", a=2.504, vacuum=2.0)
    sulphide = mx2("MoS2", a=3.16, thickness=3.17, vacuum=2.0)
    a = 3.905
    titanate = Atoms(
        "SrTiO3",
        scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
        cell=[a] * 3,
    )
    return {
        "hBN": Material(_around_window(nitride), 0.46, low_voltage, (70, 200), 16, {"N": 1}),
        "MoS2": Material(_around_window(sulphide), 0.56, low_voltage, (70, 200), 16, {"Mo": 1}),
        "SrTiO3_2nm": Material(
            _around_window(titanate * (1, 1, 5)),
            0.4,
            Lens(200, 20, source_nm=_SOURCE_NM, atom_width_nm=0.008),
            (70, 150),
            8,
            {"Sr": 5},
        ),
    }


def _around_window(cell: Atoms) -> Atoms:
    """The crystal over the window and 1.5 nm around it."""
    cell = cell.copy()
    cell.pbc = True
    wide = make_supercell(cell, np.diag([16, 16, 1])) if not cell.cell.orthorhombic else cell * (12, 12, 1)
    centre = cell.cell.array[0] * (wide.cell.array[0][0] // cell.cell.array[0][0] // 2)
    centre = centre + cell.cell.array[1] * 6
    wide.positions -= [centre[0], centre[1], 0]
    near = ((wide.positions[:, :2] > -15) & (wide.positions[:, :2] < 21)).all(axis=1)
    return wide[near]


def run(recorder: Recorder) -> None:
    """1 - R^2 of the fast engine, the exponent found, and the time of either."""
    for name, material in materials().items():
        size = round(material.window_nm / _PIXEL_NM)
        started = time.perf_counter()
        truth = multislice_image(
            material.structure,
            material.lens,
            material.detector_mrad,
            size=size,
            pixel_size_nm=_PIXEL_NM,
            n_configurations=material.n_configurations,
        )
        slow = time.perf_counter() - started
        for kind, fit in (("", _fit_exponent), ("_and_width", _fit_exponent_and_width)):
            exponent, width, cross_section, left = fit(material, truth)
            recorder.add(f"stem/{name}/one_minus_r2_exponent{kind}_fitted", left, goal="<= 0.02" if not kind else None)
            recorder.add(f"stem/{name}/exponent{kind}", exponent)
        recorder.add(f"stem/{name}/atom_width_nm", width)
        recorder.add(f"stem/{name}/cross_section_a2", cross_section)
        started = time.perf_counter()
        _fast(material, size, exponent, width)
        recorder.add(f"stem/{name}/seconds", time.perf_counter() - started, peer=slow)


def _fit_exponent(material: Material, truth: Array) -> tuple[float, float, float, float]:
    width = material.lens.atom_width_nm
    found = optimize.minimize_scalar(
        lambda exponent: _left_over(material, truth, exponent, width)[1], bounds=(0.5, 3.0), method="bounded"
    )
    return (float(found.x), width, *_left_over(material, truth, found.x, width))


def _fit_exponent_and_width(material: Material, truth: Array) -> tuple[float, float, float, float]:
    start = (1.7, material.lens.atom_width_nm)
    found = optimize.minimize(lambda at: _left_over(material, truth, at[0], abs(at[1]))[1], start, method="Nelder-Mead")
    exponent, width = float(found.x[0]), abs(float(found.x[1]))
    return (exponent, width, *_left_over(material, truth, exponent, width))


def _left_over(material: Material, truth: Array, exponent: float, width_nm: float) -> tuple[float, float]:
    """Cross-section of the reference [A^2], and 1 - R^2."""
    fast = _fast(material, len(truth), exponent, width_nm)
    scale = float((fast * truth).sum() / (fast**2).sum())
    return scale, float(((truth - scale * fast) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def _fast(material: Material, size: int, exponent: float, width_nm: float) -> Array:
    """Share of the beam (y, x) that atoms scatter which have a cross-section of 1 A^2 where their height is 1."""
    x, y, columns = _columns(material.structure)
    height = np.array([z_contrast(column, exponent) for column in columns]) / z_contrast(material.reference, exponent)
    lens = replace(material.lens, atom_width_nm=width_nm)
    one = lens.image_of_one(_PIXEL_NM)
    pixel_a = 10 * _PIXEL_NM / one.oversampling
    return place_atoms(x / (10 * _PIXEL_NM), y / (10 * _PIXEL_NM), height, size, one) / pixel_a**2


def _columns(structure: Atoms) -> tuple[Array, Array, list[dict[str, Any]]]:
    """Positions [A] and composition of what lies above each other."""
    flat = structure.positions[:, :2]
    tree, done = cKDTree(flat), np.zeros(len(flat), dtype=bool)
    x, y, columns = [], [], []
    for index, at in enumerate(flat):
        if done[index]:
            continue
        members = tree.query_ball_point(at, 0.1)
        done[members] = True
        symbols = [structure.symbols[member] for member in members]
        columns.append({symbol: float(symbols.count(symbol)) for symbol in set(symbols)})
        x.append(at[0])
        y.append(at[1])
    return np.array(x), np.array(y), columns
