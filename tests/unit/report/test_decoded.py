"""The image beside its atoms as spots in the colours of their classes."""

import numpy as np
import pytest

from adatom.data import make_atoms, make_image
from adatom.errors import UnitError
from adatom.report import draw_decoded, figure_png


def atoms(units: str = "px"):
    return make_atoms(
        {"x": [10.0, 30.0, 50.0], "y": [20.0, 20.0, 40.0], "species": ["W", "S2", "W"], "probability": [1.0, 1.0, 0.9]},
        units=units,
        image_shape=(60, 60),
        pixel_size=None,
    )


def test_each_atom_is_a_spot_of_its_colour_at_its_place_and_the_legend_counts() -> None:
    figure = draw_decoded(make_image(np.random.default_rng(0).normal(size=(60, 60))), atoms(), ["W", "S2", "V_S"])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["W (2)", "S2 (1)", "V_S (0)"]
    shown = np.asarray(figure.axes[1].images[0].get_array())
    scale = shown.shape[0] / 60

    def at(x: float, y: float) -> np.ndarray:
        return shown[int((y + 0.5) * scale), int((x + 0.5) * scale)]

    np.testing.assert_allclose(at(10, 20), at(50, 40), atol=0.02)
    assert np.abs(at(10, 20) - at(30, 20)).max() > 0.2
    assert at(50, 10).max() < 0.3  # nothing there
    assert figure_png(figure).startswith(b"\x89PNG")


def test_atoms_in_nm_need_a_calibrated_image() -> None:
    with pytest.raises(UnitError, match="expected positions in px"):
        draw_decoded(make_image(np.zeros((60, 60))), atoms("nm"))
    figure = draw_decoded(make_image(np.eye(60), pixel_size=0.02), atoms("nm"))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["S2 (1)", "W (2)"]


def test_no_atom_at_all_is_an_empty_picture() -> None:
    draw_decoded(make_image(np.eye(60)), atoms().iloc[:0])
