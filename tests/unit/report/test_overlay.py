import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from adatom.data import make_atoms, make_image
from adatom.errors import ShapeError, UnitError
from adatom.report import draw_overlay, figure_png
from adatom.report.scale_bar import length_label, round_length

PNG = b"\x89PNG"


def some_image(shape: tuple[int, int] = (60, 80), pixel_size: float | tuple[float, float] | None = 0.1) -> xr.DataArray:
    return make_image(np.random.default_rng(0).normal(size=shape), pixel_size=pixel_size)


def some_atoms(species: list[str], *, units: str = "nm", probability: float = 0.9) -> pd.DataFrame:
    place = np.arange(1, len(species) + 1, dtype=float)
    columns = {"x": place, "y": place, "species": species, "probability": np.full(len(species), probability)}
    return make_atoms(columns, units=units, image_shape=(60, 80), pixel_size=(0.1, 0.1) if units == "nm" else None)


def scale_bar_text(figure: Figure) -> str:
    return next(text.get_text() for text in figure.axes[0].texts if text.get_gid() == "scale bar")


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text().strip() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize(
    ("pixel_size", "text"), [(0.1, "2 nm"), (None, "20 px"), (0.0005, "10 pm"), (50.0, "1 µm"), ((0.3, 0.02), "0.2 nm")]
)
def test_scale_bar_is_a_round_length_below_a_third_of_the_width(pixel_size, text):
    units = "px" if pixel_size is None else "nm"
    figure = draw_overlay(some_image(pixel_size=pixel_size), some_atoms([], units=units))
    assert scale_bar_text(figure) == text
    assert figure_png(figure).startswith(PNG)


@pytest.mark.parametrize(
    ("length", "label"), [(0.5, "0.5 nm"), (0.1, "0.1 nm"), (0.05, "50 pm"), (500, "500 nm"), (2000, "2 µm")]
)
def test_length_is_said_in_the_unit_with_the_fewest_digits(length, label):
    assert length_label(length, "nm") == label


@pytest.mark.parametrize(("longest", "length"), [(9.99, 5), (10, 10), (4.9, 2), (0.03, 0.02), (0.5, 0.5)])
def test_round_length(longest, length):
    assert round_length(longest) == pytest.approx(length)


def test_legend_counts_species_unsure_atoms_and_missing_pixels():
    image = some_image()
    image[:5] = np.nan
    atoms = some_atoms(["Mo", "S2", "Mo", "_odd $name"])
    atoms.loc[1, "probability"] = 0.2
    figure = draw_overlay(image, atoms)
    assert legend_texts(figure) == ["Mo (2)", "S2 (1)", "_odd $name (1)", "probability < 0.5 (1)", "no data"]
    assert figure_png(figure).startswith(PNG)


def test_atoms_lie_where_the_table_says():
    size = (0.2, 0.1)
    atoms = some_atoms(["C", "C"], units="px")
    figure = draw_overlay(some_image(pixel_size=size), atoms)
    drawn = next(c for c in figure.axes[0].collections if isinstance(c, PathCollection) and len(c.get_offsets()))
    assert np.allclose(drawn.get_offsets(), [[0.1, 0.2], [0.2, 0.4]])


def test_pixels_keep_their_shape():
    figure = draw_overlay(some_image((50, 100), pixel_size=(0.2, 0.1)), some_atoms([]))
    box = figure.axes[0].get_window_extent()
    assert box.width == pytest.approx(box.height)


@pytest.mark.parametrize("shape", [(32, 32), (64, 512), (512, 64), (1, 7), (4100, 40)])
def test_every_shape_is_drawn_and_not_too_wide(shape):
    long_title = "a_file_name_without_end_" * 20 + "$x^{ 原子"
    figure = draw_overlay(some_image(shape, None), some_atoms(["C"] * 3, units="px"), title=long_title)
    assert figure.get_figwidth() * 200 <= 2000
    assert figure_png(figure).startswith(PNG)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 7.0])
def test_image_without_contrast_or_values_is_drawn(value):
    figure = draw_overlay(make_image(np.full((20, 30), value)), some_atoms([], units="px"))
    assert figure_png(figure).startswith(PNG)


def test_marks_frame_the_atoms():
    atoms = some_atoms(["C"] * 20, units="px")
    atoms["x"], atoms["y"] = np.arange(20) % 5 * 12.0, np.arange(20) // 5 * 12.0
    figure = draw_overlay(some_image((60, 60), None), atoms)
    drawn = next(c for c in figure.axes[0].collections if isinstance(c, PathCollection) and len(c.get_offsets()))
    points_a_pixel = figure.axes[0].get_window_extent().width / figure.dpi * 72 / 60
    radius = np.sqrt(drawn.get_sizes()[0]) / 2 / points_a_pixel
    assert 2.0 < radius <= 0.3 * 12 + 1e-6


def test_figure_is_the_same_every_time():
    atoms = some_atoms(["Mo", "S2"])
    assert figure_png(draw_overlay(some_image(), atoms)) == figure_png(draw_overlay(some_image(), atoms))


def test_mistakes_are_told():
    with pytest.raises(UnitError, match="Give the image its pixel size"):
        draw_overlay(some_image(pixel_size=None), some_atoms(["C"]))
    with pytest.raises(ShapeError, match="probability"):
        draw_overlay(some_image(), some_atoms(["C"]).drop(columns="probability"))


def test_settings_of_matplotlib_are_left_alone():
    before = dict(matplotlib.rcParams)
    figure_png(draw_overlay(some_image(), some_atoms(["C", "N"]), title="title"))
    assert dict(matplotlib.rcParams) == before


def test_import_loads_no_matplotlib():
    code = "import sys, adatom.report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
