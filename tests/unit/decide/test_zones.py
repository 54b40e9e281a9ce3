import numpy as np
import pytest

from adatom.decide import Disc, Polygon, Rectangle, Region
from adatom.errors import ArgumentError, ShapeError


def test_zones_hold_what_lies_in_them():
    places = np.array([[0.0, 0], [3, 0], [1, 1], [2, 3]])
    assert Disc(0, 0, np.sqrt(2)).contains(places).tolist() == [True, False, True, False]
    assert Rectangle(1, 2, 1, 3).contains(places).tolist() == [False, False, True, True]


def test_a_polygon_with_a_bay_holds_its_edge_and_not_its_bay():
    corners = [(0, 0), (4, 0), (4, 4), (2, 1), (0, 4)]
    places = np.array([[2.0, 0.5], [2, 3], [0, 2], [4, 4], [3.8, 3], [-1, 0], [5, 0]])
    assert Polygon(corners).contains(places).tolist() == [True, False, True, True, True, False, False]
    assert Polygon(corners[::-1]).contains(places).tolist() == [True, False, True, True, True, False, False]
    with pytest.raises(ShapeError, match="three pairs"):
        Polygon([(0, 0), (1, 1)]).contains(places)


def test_a_region_is_what_its_zones_its_border_and_its_mask_leave():
    y, x = np.mgrid[:5, :5]
    places = np.column_stack([x.ravel(), y.ravel()]).astype(float)
    mask = places[:, 0] < 3
    allowed = Region([Disc(1, 1, 0.5)], margin_nm=1, mask=mask).allows(places)
    assert places[allowed].tolist() == [[2, 1], [1, 2], [2, 2], [1, 3], [2, 3]]
    with pytest.raises(ArgumentError, match="region: expected one that leaves"):
        Region([Disc(0, 0, 100)]).allows(places)
    with pytest.raises(ShapeError, match="mask: expected one truth"):
        Region(mask=mask[1:]).allows(places)
    with pytest.raises(ArgumentError, match="margin_nm"):
        Region(margin_nm=-1).allows(places)
