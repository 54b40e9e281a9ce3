import pytest
import torch
from torch.nn import functional

from adatom.train.metrics import confusion, iou_per_class


def logits_of(claimed: torch.Tensor, classes: int) -> torch.Tensor:
    return functional.one_hot(claimed, classes).movedim(-1, 1).float()


@pytest.mark.parametrize("classes", [2, 4])
def test_iou_equals_a_count_pixel_by_pixel(classes):
    generator = torch.Generator().manual_seed(classes)
    label = torch.randint(classes, (3, 7, 5), generator=generator)
    claimed = torch.randint(classes, (3, 7, 5), generator=generator)
    pairs = list(zip(label.flatten().tolist(), claimed.flatten().tolist(), strict=True))
    expected = [
        sum(a == c and b == c for a, b in pairs) / sum(a == c or b == c for a, b in pairs) for c in range(classes)
    ]
    assert iou_per_class(confusion(logits_of(claimed, classes), label)) == pytest.approx(expected)


def test_confusion_counts_true_class_by_row_and_claimed_class_by_column():
    label = torch.tensor([[[0, 0, 1, 2]]])
    claimed = torch.tensor([[[0, 1, 1, 1]]])
    assert confusion(logits_of(claimed, 3), label).tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]


def test_counts_of_batches_add_up():
    label = torch.randint(3, (4, 6, 6), generator=torch.Generator().manual_seed(1))
    logits = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(2))
    parts = confusion(logits[:1], label[:1]) + confusion(logits[1:], label[1:])
    assert torch.equal(parts, confusion(logits, label))


def test_a_class_that_is_neither_there_nor_claimed_counts_as_right():
    label = torch.zeros(1, 4, 4, dtype=torch.long)
    assert iou_per_class(confusion(logits_of(label, 3), label)) == [1.0, 1.0, 1.0]


def test_a_class_that_is_only_claimed_counts_as_wrong():
    label = torch.zeros(1, 4, 4, dtype=torch.long)
    assert iou_per_class(confusion(logits_of(label + 1, 2), label)) == [0.0, 0.0]
