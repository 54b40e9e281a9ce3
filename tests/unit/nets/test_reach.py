"""How far networks see."""

import pytest
import torch

from adatom.errors import ArgumentError
from adatom.nets.reach import measure_reach


def test_two_convolutions_see_two_pixels_far():
    net = torch.nn.Sequential(*(torch.nn.Conv2d(1, 1, 3, padding=1) for _ in range(2))).eval()
    with torch.inference_mode():
        assert measure_reach(net, 1) == 2
        assert measure_reach(net, 4) == 4


def test_a_network_that_sees_all_of_an_image_is_told():
    def mean(images: torch.Tensor) -> torch.Tensor:
        return images - images.mean(dim=(2, 3), keepdim=True)

    with pytest.raises(ArgumentError, match="looks at all of it"):
        measure_reach(mean, 16)
