import numpy as np
import pytest
from crystals import square

import adatom as ad
from adatom.errors import ShapeError
from adatom.prepare.drift import find_drift

PIXEL_NM = 0.05
WAY_PX = np.cumsum(np.random.default_rng(5).normal(0, 1.0, (8, 2)), axis=0)
WAY_PX -= WAY_PX[0]


def drifting(way_px, *, dose=20.0, pixel_size=PIXEL_NM):
    """A lattice of 8 px with vacancies, which has gone so far in each frame."""
    rng = np.random.default_rng(0)
    atoms = square(20, 8.0) - 24.0
    atoms = atoms[rng.random(len(atoms)) > 0.1]
    rows, columns = np.arange(96)[:, None], np.arange(96)[None, :]
    frames = []
    for way in way_px:
        x, y = (atoms + way).T
        across, down = (
            np.exp(-0.5 * ((axis.ravel()[None] - at[:, None]) / 1.7) ** 2) for axis, at in ((columns, x), (rows, y))
        )
        frames.append(rng.poisson(dose * (0.2 + down.T @ across)) / dose)
    return ad.make_image(np.stack(frames), pixel_size=pixel_size, dims=("frame", "y", "x"))


def test_known_drift_is_found_to_a_tenth_of_a_pixel():
    assert find_drift(drifting(WAY_PX)) == pytest.approx(WAY_PX * PIXEL_NM, abs=0.1 * PIXEL_NM)


def test_drift_of_an_uncalibrated_movie_is_in_px():
    assert find_drift(drifting(WAY_PX, pixel_size=None)) == pytest.approx(WAY_PX, abs=0.1)


def test_offsets_of_lines_and_an_empty_frame_do_not_lead_astray():
    movie = drifting(WAY_PX)
    values = movie.values + np.random.default_rng(1).normal(0, 2.0, (8, 96, 1))
    values[4] = np.nan
    found = find_drift(movie.copy(data=values))
    others = [0, 1, 2, 3, 5, 6, 7]
    assert found[others] == pytest.approx(WAY_PX[others] * PIXEL_NM, abs=0.2 * PIXEL_NM)


def test_a_still_has_no_drift():
    with pytest.raises(ShapeError, match="frame"):
        find_drift(drifting(WAY_PX).isel(frame=0))
    assert find_drift(drifting(WAY_PX[:1])).tolist() == [[0.0, 0.0]]
