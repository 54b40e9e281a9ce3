import io

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

import adatom as ad
from adatom.errors import ArgumentError
from adatom.report.canvas import figure_png
from adatom.report.latent_figures import draw_latent_map, draw_latents, draw_manifold, traversal_gif


class Blobs:
    """Decodes a blob whose width is the first latent number, and its height the second."""

    latent = 2

    def decode(self, table):
        y, x = np.mgrid[-5:6, -5:6]
        width, height = 2 + 0.4 * table["z1"].to_numpy(), 1 + 0.3 * table["z2"].to_numpy()
        drawn = height[:, None, None] * np.exp(-0.5 * (x**2 + y**2) / width[:, None, None] ** 2)
        return xr.DataArray(drawn, dims=("sample", "y", "x"))

    def manifold(self, n=7):
        places = np.linspace(-2, 2, n)
        one, other = np.meshgrid(places, places, indexing="ij")
        drawn = self.decode(pd.DataFrame({"z1": one.ravel(), "z2": other.ravel()})).to_numpy()
        return xr.DataArray(
            drawn.reshape(n, n, 11, 11),
            dims=("row", "column", "y", "x"),
            coords={"z1": ("row", places), "z2": ("column", places)},
        )


@pytest.fixture
def atoms():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"frame": 0, "x": rng.uniform(0, 6, 60), "y": rng.uniform(0, 4, 60)})
    table["z1"], table["z2"], table["flux"] = rng.normal(size=(3, 60))
    table["state"] = 1 + (table["z1"] > 0)
    table.loc[:4, ["z1", "z2"]] = np.nan
    table.loc[:4, "state"] = 0
    table.attrs["units"] = "nm"
    return table


def test_manifold_names_its_axes():
    axes = draw_manifold(Blobs().manifold()).axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("z1", "z2")
    assert [label.get_text() for label in axes.get_xticklabels()][:2] == ["-2.0", "-1.3"]
    with pytest.raises(ArgumentError, match="grid"):
        draw_manifold(Blobs().manifold()[0])


def test_latents_are_drawn_in_the_colours_of_any_column(atoms):
    figure = draw_latents(atoms, ["z1", "z2"], by=["state", "flux"])
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert titles == ["state", "flux"] and figure_png(figure, dpi=40)
    assert figure_png(draw_latents(atoms, ["z1"], by="state"), dpi=40)
    with pytest.raises(ArgumentError, match="'charge'"):
        draw_latents(atoms, ["z1", "z2"], by="charge")


def test_map_shows_atoms_with_numbers_only_and_counts_states(atoms):
    image = ad.make_image(np.random.default_rng(1).normal(size=(80, 120)), pixel_size=0.05)
    figure = draw_latent_map(image, atoms, ["state", "z1"])
    assert [len(axes.collections[0].get_offsets()) for axes in figure.axes[:2]] == [55, 55]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == [f"state {k}: {(atoms['state'] == k).sum()}" for k in (1, 2)]


def test_animation_is_a_gif_that_moves():
    picture = Image.open(io.BytesIO(traversal_gif(Blobs())))
    assert picture.format == "GIF" and picture.n_frames > 10
    first = np.asarray(picture.convert("L"), float)
    picture.seek(picture.n_frames // 4)
    assert np.abs(np.asarray(picture.convert("L"), float) - first).max() > 20
