"""`adatom.find` as a Python user calls it, on the real Si(111)-7x7 image."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import adatom as ad
from adatom.analyse import find_lattice
from adatom.data import nearest_distances
from adatom.errors import ArgumentError, ShapeError
from adatom.models.recipe import load_recipe
from adatom.simulate import simulate_image

IMAGE = Path(ad.__file__).parent / "examples" / "image_with_defects.dat"
PIXEL_NM = 0.0588


@pytest.fixture(scope="module")
def heights() -> np.ndarray:
    return ad.read(IMAGE).to_numpy()[60:188, 100:256]  # clean crystal, oblong


@pytest.fixture(scope="module")
def atoms(heights: np.ndarray) -> pd.DataFrame:
    return ad.find(ad.make_image(heights, pixel_size=PIXEL_NM))


def xy(atoms: pd.DataFrame) -> np.ndarray:
    return atoms[["x", "y"]].to_numpy()


def test_positions_have_error_bars_in_nm(atoms: pd.DataFrame) -> None:
    assert atoms.attrs["units"] == "nm" and atoms.attrs["pixel_size"] == pytest.approx((PIXEL_NM, PIXEL_NM))
    assert atoms[["x_std", "y_std"]].gt(0).all().all() and atoms["x_std"].median() < 0.05
    assert np.median(nearest_distances(xy(atoms))) == pytest.approx(0.66, abs=0.05)


def test_a_stack_is_searched_frame_by_frame(heights: np.ndarray, atoms: pd.DataFrame) -> None:
    stack = ad.make_image(np.stack([heights, heights[:, ::-1]]), pixel_size=PIXEL_NM)
    found = ad.find(stack)
    assert set(found["frame"]) == {0, 1}
    np.testing.assert_allclose(xy(found[found["frame"] == 0]), xy(atoms))
    assert (found["frame"] == 1).sum() == pytest.approx(len(atoms), rel=0.03)


def test_oblong_pixels_give_the_same_atoms(heights: np.ndarray, atoms: pd.DataFrame) -> None:
    found = ad.find(ad.make_image(heights[::2], pixel_size=(2 * PIXEL_NM, PIXEL_NM)))
    assert len(found) == pytest.approx(len(atoms), rel=0.05)
    assert found["y"].max() == pytest.approx(atoms["y"].max(), abs=0.15)


def test_nothing_is_found_where_nothing_was_measured(heights: np.ndarray, atoms: pd.DataFrame) -> None:
    holed = heights.copy()
    holed[:, 70:] = np.nan
    found = ad.find(ad.make_image(holed, pixel_size=PIXEL_NM))
    assert found["x"].max() < 69.6 * PIXEL_NM
    inner = 62 * PIXEL_NM
    assert (found["x"] < inner).sum() == pytest.approx((atoms["x"] < inner).sum(), abs=2)


def test_no_two_atoms_are_closer_than_asked(heights: np.ndarray) -> None:
    found = ad.find(ad.make_image(heights, pixel_size=PIXEL_NM), min_distance_nm=0.9)
    assert len(found) > 20 and nearest_distances(xy(found)).min() >= 0.9


def test_without_refinement_positions_and_error_bars_are_the_networks(heights: np.ndarray, atoms: pd.DataFrame) -> None:
    found = ad.find(ad.make_image(heights, pixel_size=PIXEL_NM), refine=False)
    assert not found["refined"].any() and atoms["refined"].any()
    assert found["x_std"].median() > atoms["x_std"].median()
    assert found["flux"].isna().all()  # a segmenter's


def test_a_wrong_pixel_size_is_contradicted_by_the_lattice(heights: np.ndarray, atoms: pd.DataFrame) -> None:
    wrong = ad.find(ad.make_image(heights, pixel_size=1.3 * PIXEL_NM))
    (warning,) = wrong.attrs["summary"]["warnings"]
    assert "pixel size is off by +3" in warning
    assert atoms.attrs["summary"]["warnings"] == []


def test_offset_and_unit_of_the_values_do_not_matter(heights: np.ndarray, atoms: pd.DataFrame) -> None:
    found = ad.find(ad.make_image(1e6 + heights * 1e9, pixel_size=PIXEL_NM))
    np.testing.assert_allclose(xy(found), xy(atoms), atol=1e-3)


@pytest.mark.parametrize("options", [{"spacing_nm": 0.7}, {"min_distance_nm": 0.5}])
def test_lengths_need_a_pixel_size(heights: np.ndarray, options: dict[str, float]) -> None:
    with pytest.raises(ArgumentError, match="--pixel-size"):
        ad.find(ad.make_image(heights), **options)


@pytest.mark.parametrize(
    "options", [{"min_probability": 2}, {"spacing_nm": -1}, {"lattice_constant_nm": np.nan}, {"contrast": "grey"}]
)
def test_arguments_that_make_no_sense_are_refused(heights: np.ndarray, options: dict[str, float]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(options))):
        ad.find(ad.make_image(heights, pixel_size=PIXEL_NM), **options)


def test_images_that_hold_nothing_are_refused() -> None:
    with pytest.raises(ShapeError, match="at least 4 pixels"):
        ad.find(ad.make_image(np.ones((1, 1))))
    with pytest.raises(ArgumentError, match="got none that is a number"):
        ad.find(ad.make_image(np.full((20, 20), np.nan)))


def test_a_named_material_gives_the_pixel_size_and_undistorted_positions() -> None:
    recipe = load_recipe("hexagonal_two_atoms")
    clean = recipe.microscope.model_copy(
        update={"noise": (0.05, 0.05), "image_size": 192, "strain": (-0.04, 0.04), "border_probability": 0.0}
    )
    drawn = simulate_image(recipe.model_copy(update={"microscope": clean}), seed=3, index=1)
    image = ad.make_image(drawn.image, pixel_size=0.0228)
    atoms = ad.find(image, lattice_constant_nm="MoS2", undistort=True)
    summary = atoms.attrs["summary"]
    assert summary["model"] == "any_atoms"
    demanded = summary["lattice"]["pixel_size"]
    assert demanded == pytest.approx(0.0228 / drawn.scale, rel=0.06)  # strain changes the area by up to 8 %
    straight = find_lattice(atoms[["x_undistorted", "y_undistorted"]].to_numpy())
    assert straight is not None
    assert straight.edge == pytest.approx(0.316, rel=0.02)
    assert straight.stretch == pytest.approx(1, abs=0.01)
