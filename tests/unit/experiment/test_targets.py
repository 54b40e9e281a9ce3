"""What a model sees of each target."""

import numpy as np
import pytest

from adatom.data import make_image
from adatom.experiment.plan import plan_of
from adatom.experiment.targets import targets_in

SIDE = 24


def overview():
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    values = np.where(x < 12, -1.0, 1.0) * (1 + 0.2 * np.sin(y))
    return make_image(values, pixel_size=2.0)


def plan(**policy):
    limits = {"x_nm": [-100, 100], "y_nm": [-100, 100], "speed_nm_per_s": 10, "total_time_s": 1000}
    frame = {"width_nm": 48, "height_nm": 48, "rows": SIDE, "columns": SIDE}
    return plan_of(
        {
            "limits": limits,
            "overview": frame,
            "quantity": {"name": "work"},
            "stop": {"points": 5},
            "targets": {"every_px": 2},
            "policy": policy,
        }
    )


@pytest.mark.parametrize(
    ("policy", "shape"),
    [
        ({}, (144, 2)),
        ({"sees": "strength"}, (144, 2)),
        ({"sees": "patches", "model": "dkl", "patch_px": 5}, (144, 5, 5)),
    ],
)
def test_each_target_has_what_the_model_sees(policy, shape) -> None:
    targets = targets_in(overview(), plan(**policy))
    assert targets.inputs.shape == shape and np.isfinite(targets.inputs).all()


def test_a_plain_process_sees_components_of_patches() -> None:
    targets = targets_in(overview(), plan(sees="patches", patch_px=5))
    assert targets.inputs.ndim == 2 and 1 <= targets.inputs.shape[1] <= 5
    np.testing.assert_allclose(targets.inputs.std(axis=0), 1, rtol=1e-6)


def test_strength_does_not_know_up_from_down() -> None:
    targets = targets_in(overview(), plan(sees="strength"))
    turned = targets_in(-overview(), plan(sees="strength"))
    np.testing.assert_allclose(targets.inputs, turned.inputs)
