"""How good a class map is."""

import torch
from torch import Tensor


def confusion(logits: Tensor, label: Tensor) -> Tensor:
    """Counts (true class, predicted class) over all pixels of (n, classes, y, x) logits and (n, y, x) labels."""
    n_classes = logits.shape[1]
    pairs = label.reshape(-1) * n_classes + logits.argmax(dim=1).reshape(-1)
    return torch.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def iou_per_class(counts: Tensor) -> list[float]:
    """Intersection over union of each class from `confusion`; 1 for a class that is neither there nor claimed."""
    hits = counts.diagonal().double()
    union = counts.sum(0).double() + counts.sum(1).double() - hits
    return [float(h / u) if u > 0 else 1.0 for h, u in zip(hits, union, strict=True)]
