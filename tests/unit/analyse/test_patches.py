import numpy as np
import pytest

import adatom as ad
from adatom.analyse import decompose, patches_around_atoms
from adatom.data.atoms import make_atoms
from adatom.errors import ArgumentError, UnitError

PIXEL_NM = 0.05


def atoms_at(x, y, *, frame=0, units="nm"):
    columns = {"x": x, "y": y, "frame": np.full(len(x), frame), "species": ["atom"] * len(x)}
    return make_atoms(
        columns, units=units, image_shape=(100, 120), pixel_size=None if units == "px" else (PIXEL_NM,) * 2
    )


def peaks(x, y, *, turn=0.0, ratio=1.0, shape=(100, 120)):
    """Gaussians at places in nm, `ratio` longer along the direction `turn` [radians]."""
    rows, columns = (PIXEL_NM * index for index in np.mgrid[: shape[0], : shape[1]])
    image = np.zeros(shape)
    for a, b in zip(x, y, strict=True):
        dx, dy = columns - a, rows - b
        along, across = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
        image += np.exp(-0.5 * ((along / (0.1 * ratio)) ** 2 + (across / 0.1) ** 2))
    return image


def test_patches_are_centred_to_a_fraction_of_a_pixel():
    x, y = np.linspace(0.8, 5.1, 5) + 0.01 * np.arange(5), np.full(5, 2.017)
    patches = patches_around_atoms(ad.make_image(peaks(x, y), pixel_size=PIXEL_NM), atoms_at(x, y), 0.6)
    assert patches.shape == (13, 13)
    assert np.ptp(patches.values, axis=0).max() < 0.01
    assert patches.values[0].reshape(13, 13)[6, 6] == pytest.approx(1.0, abs=0.01)


def test_atoms_at_the_edge_and_beside_missing_pixels_are_left_out():
    x, y = np.array([0.1, 2.0, 4.0, 5.9]), np.array([2.0, 2.0, 2.0, 2.0])
    values = peaks(x, y)
    values[38, 82] = np.nan
    atoms = atoms_at(x, y)
    patches = patches_around_atoms(ad.make_image(values, pixel_size=PIXEL_NM), atoms, 0.5)
    assert list(patches.rows) == [1]
    assert np.isfinite(patches.values).all()


def test_each_frame_has_its_own_patches():
    x, y = np.array([2.0]), np.array([2.0])
    movie = ad.make_image(np.stack([peaks(x, y), 3 * peaks(x, y)]), pixel_size=PIXEL_NM)
    patches = patches_around_atoms(movie, atoms_at(x, y, frame=1), 0.5)
    assert patches.values.max() == pytest.approx(3.0, abs=0.01)


def test_oblong_pixels_give_square_patches():
    x, y = np.array([2.0]), np.array([2.0])
    values = peaks(x, y)[::2]
    patches = patches_around_atoms(ad.make_image(values, pixel_size=(2 * PIXEL_NM, PIXEL_NM)), atoms_at(x, y), 0.6)
    patch = patches.values[0].reshape(patches.shape)
    assert patch == pytest.approx(patch.T, abs=0.03)


def test_turned_patches_lie_on_a_circle_of_two_components():
    """Oblong peaks at all angles vary like cos 2a and sin 2a, so the first two components are equal."""
    angles = np.linspace(0, np.pi, 24, endpoint=False)
    parts = []
    for angle in angles:
        image = ad.make_image(peaks([2.0], [2.0], turn=angle, ratio=1.3, shape=(80, 80)), pixel_size=PIXEL_NM)
        parts.append(patches_around_atoms(image, atoms_at([2.0], [2.0]), 0.8).values[0])
    described = patches_around_atoms(image, atoms_at([2.0] * 24, [2.0] * 24), 0.8)
    described.values[:] = parts
    found = decompose(described, n_components=2)
    assert found.explained[0] == pytest.approx(found.explained[1], rel=0.05)
    assert found.explained[:2].sum() > 0.9
    radius = np.hypot(*found.scores.T)
    assert radius.std() < 0.1 * radius.mean()
    assert found.pictures().shape == (2, 17, 17)


def test_standardised_patches_do_not_know_the_brightness():
    x, y = np.array([1.0, 3.0, 5.0]), np.array([2.0, 2.0, 4.5])
    values = peaks(x[:1], y[:1]) + 5 * peaks(x[1:2], y[1:2]) + 7
    patches = patches_around_atoms(
        ad.make_image(values, pixel_size=PIXEL_NM), atoms_at(x, np.array([2.0, 2.0, 2.0])), 0.5, standardise=True
    )
    assert patches.values[0] == pytest.approx(patches.values[1], abs=0.01)
    assert list(patches.rows) == [0, 1]  # the third is flat


@pytest.mark.parametrize("size", [0.0, -1.0, 0.05, 90.0, np.nan])
def test_sizes_that_make_no_sense(size):
    with pytest.raises(ArgumentError, match="size"):
        patches_around_atoms(ad.make_image(np.zeros((100, 120)), pixel_size=PIXEL_NM), atoms_at([2.0], [2.0]), size)


def test_atoms_in_nm_need_a_calibrated_image():
    with pytest.raises(UnitError, match="calibrated"):
        patches_around_atoms(ad.make_image(np.zeros((100, 120))), atoms_at([2.0], [2.0]), 0.5)


def test_no_atoms_no_patches():
    image = ad.make_image(np.zeros((100, 120)), pixel_size=PIXEL_NM)
    assert patches_around_atoms(image, atoms_at([], []), 0.5).values.shape == (0, 121)


def test_wider_pixels_smooth_the_image_first_and_show_the_same_place():
    x, y = np.array([2.0, 3.5]), np.array([2.0, 2.5])
    rng = np.random.default_rng(0)
    values = peaks(x, y) + rng.normal(0, 0.3, (100, 120))
    image = ad.make_image(values, pixel_size=PIXEL_NM)
    fine, coarse = (patches_around_atoms(image, atoms_at(x, y), 1.2, step=step) for step in (None, 0.15))
    assert (fine.shape, coarse.shape) == ((25, 25), (9, 9)) and coarse.step == 0.15
    corner = [each.values[:, 0].std() for each in (fine, coarse)]
    assert corner[1] < corner[0]
    clean = patches_around_atoms(ad.make_image(peaks(x, y), pixel_size=PIXEL_NM), atoms_at(x, y), 1.2, step=0.1)
    assert clean.pictures().isel(sample=0).argmax(...)["y"] == 6
    with pytest.raises(ArgumentError, match="step"):
        patches_around_atoms(image, atoms_at(x, y), 1.2, step=-1.0)


def test_patches_are_pictures_with_the_atom_at_0():
    x, y = np.array([2.0]), np.array([2.0])
    pictures = patches_around_atoms(ad.make_image(peaks(x, y), pixel_size=PIXEL_NM), atoms_at(x, y), 0.6).pictures()
    assert pictures.dims == ("sample", "y", "x") and pictures["x"].attrs["units"] == "nm"
    assert float(pictures.sel(x=0.0, y=0.0, method="nearest").item()) == pytest.approx(1.0, abs=0.01)
