import numpy as np
import pytest

from adatom.errors import ArgumentError
from adatom.report import draw_loss, figure_png


def test_best_step_is_the_one_with_the_lowest_validation_loss():
    history = [{"step": step, "loss": 1 / step} for step in range(1, 101)]
    for step, loss, iou in ((20, 0.1, 0.5), (60, 0.0333, 0.8), (100, 0.05, 0.81)):
        history[step - 1] |= {"val_loss": loss, "val_iou": iou, "val_f1": iou + 0.1}
    figure = draw_loss(history)
    assert [text.get_text() for text in figure.texts] == [
        "best step 60: validation loss 0.0333, IoU 0.8, F1 0.9",
    ]
    assert figure.axes[0].get_yscale() == "log"
    assert figure_png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "history",
    [[], [{"step": 1, "loss": 1.0}], [{"step": 1, "loss": -1.0, "val_loss": np.nan}, {"step": 2, "loss": np.nan}]],
)
def test_any_history_is_drawn(history):
    assert figure_png(draw_loss(history)).startswith(b"\x89PNG")


def test_record_without_step_is_told():
    with pytest.raises(ArgumentError, match="step"):
        draw_loss([{"loss": 1.0}])
