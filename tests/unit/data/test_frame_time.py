import numpy as np
import pytest

import adatom as ad
from adatom.data.frame_time import frame_time_s


def movie(**arguments):
    return ad.make_image(np.zeros((3, 4, 4)), dims=("frame", "y", "x"), **arguments)


def test_axis_comes_before_the_facts_of_the_file():
    facts = {"frame_interval_s": 0.5}
    assert frame_time_s(movie(metadata=facts)) == 0.5
    timed = movie(metadata=facts, coordinates={"frame": ([0, 20, 40], "ms")})
    assert frame_time_s(timed) == pytest.approx(0.02)


def test_time_that_is_not_stated_or_makes_no_sense_is_none():
    assert frame_time_s(movie()) is None
    assert frame_time_s(movie(metadata={"frame_interval_s": -1})) is None
    assert frame_time_s(movie(coordinates={"frame": ([0, 1, 5], "s")})) is None
