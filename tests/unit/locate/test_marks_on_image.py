import numpy as np
import pytest

from adatom.errors import ArgumentError
from adatom.locate.marks_on_image import check_marks

ROWS, COLUMNS = 90, 120
STEP = (0.05, 0.05)


def some_image(seed: int = 0, n: int = 40, height: float = 1.0):
    """Atoms at random places, on noise."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(3, COLUMNS - 4, n), rng.uniform(3, ROWS - 4, n)
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    image = sum(height * np.exp(-((columns - a) ** 2 + (rows - b) ** 2) / 8) for a, b in zip(x, y, strict=True))
    return image + rng.normal(0, 0.3, (ROWS, COLUMNS)), x, y


@pytest.mark.parametrize("height", [1.0, -1.0])
def test_marks_on_atoms_bright_or_dark_are_taken(height):
    image, x, y = some_image(height=height)
    assert check_marks(image, x, y, step=STEP) * height > 1


@pytest.mark.parametrize("seed", range(5))
def test_marks_a_little_beside_their_atoms_are_taken(seed):
    image, x, y = some_image(seed)
    x, y = np.clip(x + 1.5, 0, COLUMNS - 1), np.clip(y - 1, 0, ROWS - 1)
    check_marks(image, x, y, step=STEP)


def test_other_readings_that_fit_are_named():
    image, x, y = some_image()
    square = image[:, :ROWS]
    inside = x < ROWS - 4
    x, y = x[inside], y[inside]
    for given, remedy in {
        "x and y swapped": ((y, x), "--swap-xy)"),
        "upwards": ((x, ROWS - 1 - y), "--flip-y)"),
        "both": ((ROWS - 1 - y, x), "--swap-xy --flip-y)"),
        "nm": ((x * STEP[1], y * STEP[0]), "--in-nm)"),
    }.values():
        with pytest.raises(ArgumentError, match="fit far better with") as error:
            check_marks(square, *given, step=STEP)
        assert remedy in str(error.value)
        check_marks(square, *given, step=STEP, force=True)


def test_marks_outside_are_refused_whatever_is_forced_and_a_reading_that_fits_is_named():
    image, x, y = some_image()
    with pytest.raises(ArgumentError, match=r"40 of 40 outside.*--in-pixels"):
        check_marks(image, x / STEP[1], y / STEP[0], step=STEP, force=True)
    with pytest.raises(ArgumentError, match="in another unit"):
        check_marks(image, x + 1e5, y)
    with pytest.raises(ArgumentError, match=r"1 of 40 outside, the first at x = -3 px"):
        check_marks(image, np.where(np.arange(40) == 7, -3, x), y)


def test_few_marks_and_marks_on_nothing_are_no_reason_to_refuse():
    image, x, y = some_image()
    check_marks(image, y[:2], x[:2])
    rng = np.random.default_rng(1)
    check_marks(image, rng.uniform(0, ROWS - 1, 30), rng.uniform(0, ROWS - 1, 30), step=STEP)


def test_no_marks_are_told():
    with pytest.raises(ArgumentError, match="empty"):
        check_marks(some_image()[0], np.zeros(0), np.zeros(0))
