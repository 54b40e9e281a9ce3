"""Slow errors of the scan move atoms as stated, and truth and image together."""

from typing import Any

import numpy as np
import pytest

from adatom.models.recipe import Recipe
from adatom.simulate import simulate_image
from adatom.simulate.atoms_in_image import Specimen
from adatom.simulate.probe_recipe import ScanErrors
from adatom.simulate.scan import flyback_shift, move_atoms

SIZE = 100


def grid() -> Specimen:
    x, y = (values.ravel() for values in np.meshgrid(np.arange(0.0, SIZE, 5), np.arange(0.0, SIZE, 5)))
    return Specimen(x=x, y=y, species=np.zeros(len(x), dtype=int), height=np.ones(len(x)), px_per_nm=10.0)


def shift(**errors: Any) -> tuple[Specimen, np.ndarray]:
    before, after = grid(), grid()
    move_atoms(after, ScanErrors(**errors), SIZE, np.random.default_rng(3))
    return before, np.column_stack([after.x - before.x, after.y - before.y])


def test_without_errors_nothing_moves():
    assert not shift()[1].any()


def test_drift_goes_its_way_from_the_first_line_to_the_last():
    before, moved = shift(drift_nm=(0.4, 0.4))
    ends = [moved[before.y == row].mean(axis=0) for row in (0, 95)]
    assert np.hypot(*(ends[1] - ends[0])) == pytest.approx(4.0, rel=0.07)
    assert all(np.ptp(moved[before.y == row], axis=0) == pytest.approx(0) for row in (0, 50, 95))


def test_creep_is_fast_at_first_and_dies_away():
    before, moved = shift(creep_nm=(0.4, 0.4))
    way = np.hypot(*np.array([moved[before.y == row][0] for row in (0, 5, 50, 95)]).T)
    assert 3.0 < way[0] < 4.0 and way[-1] < 0.1
    speed = -np.diff(way) / np.diff([0, 5, 50, 95])
    assert speed[0] > 3 * speed[1] > 9 * speed[2] > 0


def test_flyback_is_what_the_probes_place_on_the_line_says():
    x = np.linspace(0, 60, 200)
    column = x + flyback_shift(x, 4.0, 6.0)
    assert column - 4.0 * np.exp(-column / 6.0) == pytest.approx(x)
    assert np.all(np.diff(column) > 0) and column[-1] == pytest.approx(60, abs=1e-3)


@pytest.mark.parametrize("kind", ["stem", "stm"])
def test_atoms_are_bright_where_the_truth_has_them_after_all_errors(tiny_recipe, kind):
    probes = {
        "stem": {"voltage_kv": (60, 60), "semi_angle_mrad": (6, 6), "source_nm": (0.15, 0.15)},
        "stm": {"tip_radius_nm": (0.2, 0.2), "bias_v": (-1, -1)},
    }
    content = tiny_recipe.model_dump()
    errors = {"drift_nm": (0.5, 0.5), "creep_nm": (0.4, 0.4), "flyback_nm": (0.2, 0.2)}
    content["microscope"] |= {"probe": {"kind": kind} | probes[kind] | errors, "noise": (0, 0)}
    content["microscope"]["image_size"] = 96
    content["defects"] |= {"vacancy": (0, 0), "substitution": (0, 0)}
    content["material"]["height_b"] = (1.0, 1.0)
    drawn = simulate_image(Recipe.model_validate(content), seed=1, index=0)
    inner = (np.abs(drawn.x - 47.5) < 44) & (np.abs(drawn.y - 47.5) < 44)
    for x, y in zip(drawn.x[inner], drawn.y[inner], strict=True):
        column, row = round(x), round(y)
        box = drawn.image[row - 2 : row + 3, column - 2 : column + 3]
        highest = np.array(np.unravel_index(box.argmax(), box.shape)) - 2
        assert np.hypot(row + highest[0] - y, column + highest[1] - x) < 1.3
