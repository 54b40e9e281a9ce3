import numpy as np
import pytest

from benchmarks.detection_scores import (
    Finds,
    Judged,
    average_precision,
    best_threshold,
    judge,
    paired_bootstrap,
    reliability,
    score,
)


def finds(*rows: tuple[float, float, float]) -> Finds:
    table = np.array(rows, dtype=float).reshape(-1, 3)
    return Finds(table[:, :2], table[:, 2])


MARKS = np.array([[10.0, 10.0], [30.0, 10.0]])


def test_a_mark_is_taken_once_by_the_likelier_find():
    judged = judge(finds((11, 10, 0.4), (13, 10, 0.9), (30, 16, 0.8)), MARKS, tolerance_px=6)
    assert judged.probability.tolist() == [0.9, 0.8, 0.4]
    assert judged.is_right.tolist() == [True, True, False]


def test_a_find_beyond_the_tolerance_is_wrong_and_the_nearest_free_mark_is_taken():
    assert not judge(finds((10, 16.1, 1)), MARKS, tolerance_px=6).is_right.any()
    crowded = judge(finds((10, 10, 0.9), (12, 10, 0.8)), np.array([[10.0, 10.0], [15.0, 10.0]]), tolerance_px=6)
    assert crowded.is_right.all()


def test_counts_and_average_precision_of_a_list_worked_out_by_hand():
    images = [
        Judged(np.array([0.9, 0.7, 0.2]), np.array([True, False, True]), 3),
        Judged(np.array([0.8]), np.array([True]), 1),
    ]
    counted = score(images, 0.5)
    assert (counted.n_right, counted.n_found, counted.n_marks) == (2, 3, 4)
    assert (counted.precision, counted.recall, counted.f1) == pytest.approx((2 / 3, 1 / 2, 4 / 7))
    assert average_precision(images) == pytest.approx((1 / 1 + 2 / 2 + 3 / 4) / 4)
    assert best_threshold(images) == 0.2  # 3 right of 4 found: F1 of 6/8


def test_an_image_without_finds_or_marks_is_scored():
    empty = judge(finds(), MARKS, tolerance_px=6)
    assert score([empty], 0.5).f1 == 0 and average_precision([empty]) == 0 and best_threshold([empty]) == 1
    unmarked = judge(finds((1, 1, 0.9)), np.zeros((0, 2)), tolerance_px=6)
    assert score([unmarked], 0.5).precision == 0 and not unmarked.is_right.any()


def test_bootstrap_of_a_method_against_itself_is_no_difference_and_a_better_one_is_told():
    rng = np.random.default_rng(1)

    def images(share: float) -> list[Judged]:
        return [Judged(np.sort(rng.random(20))[::-1], rng.random(20) < share, 20) for _ in range(11)]

    good, poor = images(0.8), images(0.4)
    assert paired_bootstrap(good, good, average_precision, n=50) == (0, 0, 0)
    difference, low, high = paired_bootstrap(good, poor, average_precision, n=200)
    assert 0.1 < low < difference < high


def test_probabilities_that_come_true_are_reliable_and_others_are_told():
    rng = np.random.default_rng(0)
    probability = rng.random(20_000)
    honest = Judged(probability, rng.random(20_000) < probability, 10_000)
    assert reliability([honest]).expected_calibration_error < 0.015
    boastful = Judged(np.sqrt(probability), honest.is_right, 10_000)
    assert reliability([boastful]).expected_calibration_error == pytest.approx(2 / 3 - 1 / 2, abs=0.02)
    assert reliability([honest], least=0.5).stated.min() > 0.5
