"""Gaussians on patches: products of lines must be what the formula says, turned ellipses and borders included."""

import numpy as np
import pytest

from adatom.locate.gaussians import Patches, Peaks, render, render_reshaped, render_slope, render_steps
from adatom.locate.likelihood import add_up

SHAPE = (40, 50)
TURNED = (0.3, 0.1, 0.25)


@pytest.fixture(params=[(0.25, 0.0, 0.25), TURNED], ids=["upright", "turned"])
def peaks(request: pytest.FixtureRequest) -> Peaks:
    position = np.array([[12.3, 9.7], [17.1, 11.2], [0.4, 20.6], [48.8, 38.7], [30.0, 25.0]])
    return Peaks(np.array([1.0, 0.6, 0.8, 1.2, 0.9]), position, request.param)


def patches_of(peaks: Peaks, known: np.ndarray | None = None) -> Patches:
    return Patches.around(peaks.position, np.ones(SHAPE, bool) if known is None else known, 2.5)


def drawn_plainly(peaks: Peaks) -> np.ndarray:
    """(atom, y, x) by the formula, within the patches."""
    y, x = np.indices(SHAPE)
    images = []
    for height, (u, v) in zip(peaks.height, peaks.position, strict=True):
        dx, dy = x - u, y - v
        xx, xy, yy = peaks.shape
        near = (abs(x - round(u)) <= 9) & (abs(y - round(v)) <= 9)
        images.append(near * height * np.exp(-0.5 * (xx * dx * dx + 2 * xy * dx * dy + yy * dy * dy)))
    return np.array(images)


def moved(peaks: Peaks, step: float, axis: int) -> Peaks:
    return Peaks(peaks.height, peaks.position + step * np.eye(2)[axis], peaks.shape)


def test_an_image_is_the_sum_of_its_peaks(peaks: Peaks) -> None:
    image = render(peaks, patches_of(peaks), SHAPE)
    np.testing.assert_allclose(image, drawn_plainly(peaks).sum(axis=0), atol=1e-6)


def test_nothing_is_drawn_where_nothing_was_measured(peaks: Peaks) -> None:
    known = np.ones(SHAPE, bool)
    known[8:12] = False
    image = render(peaks, patches_of(peaks, known), SHAPE)
    assert not image[~known].any()
    np.testing.assert_allclose(image[known], drawn_plainly(peaks).sum(axis=0)[known], atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_slope_is_what_a_small_shift_does(peaks: Peaks, axis: int) -> None:
    patches, step = patches_of(peaks), 1e-2
    there, back = (drawn_plainly(moved(peaks, sign * step, axis)).sum(axis=0) for sign in (1, -1))
    np.testing.assert_allclose(render_slope(peaks, patches, SHAPE, axis=axis), (there - back) / (2 * step), atol=1e-4)


def test_steps_change_the_image_as_their_parts_do(peaks: Peaks) -> None:
    patches, steps = patches_of(peaks), np.zeros((5, 3, 2))
    steps[:, 1, 0], steps[:, 0, 1] = 1.0, peaks.height
    by_shift, by_height = render_steps(peaks, patches, SHAPE, steps)
    np.testing.assert_allclose(by_shift, render_slope(peaks, patches, SHAPE, axis=0), atol=1e-6)
    np.testing.assert_allclose(by_height, render(peaks, patches, SHAPE), atol=1e-6)


def test_the_changes_with_the_shape_are_differences(peaks: Peaks) -> None:
    patches, step = patches_of(peaks), 1e-3
    for number, change in enumerate(render_reshaped(peaks, patches, SHAPE)):
        there, back = (
            drawn_plainly(Peaks(peaks.height, peaks.position, tuple(peaks.shape + sign * step * np.eye(3)[number])))
            for sign in (1, -1)
        )
        np.testing.assert_allclose(change, (there - back).sum(axis=0) / (2 * step), atol=1e-4)


def test_sums_are_those_over_all_pixels(peaks: Peaks) -> None:
    rng = np.random.default_rng(0)
    known = np.ones(SHAPE, bool)
    known[:, 13] = False
    weight = (rng.uniform(0.5, 2, SHAPE) * known).astype(np.float32)
    left = [rng.normal(size=SHAPE).astype(np.float32) for _ in range(2)]
    sums = add_up(peaks, patches_of(peaks, known), left, weight)
    step = 1e-3
    plain = drawn_plainly(peaks)
    by_x, by_y = (
        (drawn_plainly(moved(peaks, step, axis)) - drawn_plainly(moved(peaks, -step, axis))) / (2 * step)
        for axis in (0, 1)
    )
    design = np.stack([plain / peaks.height[:, None, None], by_x, by_y], axis=1)  # (atom, 3, y, x)
    np.testing.assert_allclose(sums.normal, np.einsum("naij,nbij,ij->nab", design, design, weight), atol=2e-4)
    for number, image in enumerate(left):
        expected = np.einsum("naij,ij->na", design, weight * image)
        np.testing.assert_allclose(sums.gradient[:, :, number], expected, atol=1e-4)
