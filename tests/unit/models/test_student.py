"""One small network that says what many say."""

import numpy as np
import torch

from adatom.models.student import Student

POINTS = np.linspace(0, 1, 12)


def teach(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Something smooth of (sample, 3, 3)."""
    mean = inputs.mean(axis=(1, 2))[:, None]
    return np.tanh(2 * mean + POINTS - 0.5) + inputs[:, 1, 1, None] * POINTS, 0.1 + 0.05 * mean**2 + 0 * POINTS


def taught(known: np.ndarray, **options) -> tuple[Student, float]:
    settings = {"steps": 600, "seed": 3, "device": torch.device("cpu"), **options}
    return Student.taught(known, teach, lambda inputs, rng: inputs, **settings)


def test_a_student_says_what_it_was_taught_and_how_sure_that_is():
    rng = np.random.default_rng(0)
    student, faithful = taught(rng.standard_normal((300, 3, 3)))
    new = rng.standard_normal((100, 3, 3))
    values, std = student.predict(new.reshape(100, -1))
    true, true_std = teach(new)
    assert faithful > 0.97
    assert np.mean((values - true) ** 2) < 0.05 * true.var()
    assert np.median(np.abs(std / true_std - 1)) < 0.1


def test_who_learned_too_little_is_not_called_faithful():
    assert taught(np.random.default_rng(0).standard_normal((300, 3, 3)), steps=3)[1] < 0.9


def test_a_seed_gives_the_same_student_and_leaves_the_users_alone():
    known = np.random.default_rng(0).standard_normal((30, 3, 3))
    torch.manual_seed(5)
    before = torch.get_rng_state().clone()
    first, second = (taught(known, steps=5)[0] for _ in range(2))
    assert all((a == b).all() for a, b in zip(first.weights, second.weights, strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_its_arrays_bring_it_back():
    known = np.random.default_rng(0).standard_normal((30, 3, 3))
    student = taught(known, steps=5)[0]
    arrays = student.arrays()
    assert {name: each.shape for name, each in arrays.items()} == Student.shapes(9, 12)
    again = Student.of_arrays({name: each.astype(float) for name, each in arrays.items()})
    for one, other in zip(again.predict(known.reshape(30, -1)), student.predict(known.reshape(30, -1)), strict=True):
        assert (one == other).all()
