import numpy as np
import pytest

from adatom.errors import ArgumentError, ShapeError
from adatom.report import draw_samples, figure_png


def test_up_to_six_pairs_are_drawn():
    images = np.random.default_rng(0).normal(size=(9, 24, 32))
    figure = draw_samples(images, (images > 1).astype(int), ["Mo", "_S2"])
    assert len(figure.axes) == 12
    assert [text.get_text().strip() for text in figure.legends[0].get_texts()] == ["no atom", "Mo", "_S2"]
    assert figure_png(figure).startswith(b"\x89PNG")


def test_mistakes_are_told():
    images = np.zeros((2, 8, 8))
    with pytest.raises(ArgumentError, match="expected 0 to 1"):
        draw_samples(images, np.full(images.shape, 2), ["Mo"])
    with pytest.raises(ShapeError, match="labels"):
        draw_samples(images, np.zeros((2, 8, 7), int), ["Mo"])
