"""Many images: the same whoever draws them."""

import numpy as np
import pytest

from adatom.errors import ArgumentError
from adatom.simulate import simulate_image, simulate_images

N = 120  # enough for processes to be started


def test_processes_draw_the_images_that_one_draws_in_their_order(tiny_recipe):
    alone = [simulate_image(tiny_recipe, seed=5, index=index) for index in range(7, 7 + N)]
    together = list(simulate_images(tiny_recipe, seed=5, first=7, n=N, jobs=2))
    assert len(together) == N
    for one, other in zip(alone, together, strict=True):
        for name in ("image", "label", "x", "y", "species", "flux", "scale"):
            assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)


def test_who_stops_early_gets_what_was_asked_for_so_far(tiny_recipe):
    stream = simulate_images(tiny_recipe, seed=5, first=0, n=10_000, jobs=2)
    first = next(stream)
    stream.close()
    assert np.array_equal(first.image, simulate_image(tiny_recipe, seed=5, index=0).image)


def test_few_images_need_no_process(tiny_recipe):
    assert len(list(simulate_images(tiny_recipe, seed=5, first=0, n=2, jobs=8))) == 2


def test_no_process_is_told(tiny_recipe):
    with pytest.raises(ArgumentError, match="jobs: expected at least 1, got 0"):
        simulate_images(tiny_recipe, seed=5, first=0, n=2, jobs=0)
