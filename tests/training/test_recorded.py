"""Recorded calls equal plain ones, for every shape, and results are not overwritten."""

import pytest
import torch
from torch import nn

from facegeo.training.recorded import Recorded


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_equal_outputs_for_every_shape_and_value() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 3)).cuda().eval()
    recorded = Recorded(network)
    images = [torch.rand(batch, 3, 9, 9, device="cuda") for batch in (1, 2, 1, 2)]
    got = [recorded(image) for image in images]
    assert len(recorded._calls) == 2
    for image, answer in zip(images, got, strict=True):
        torch.testing.assert_close(answer, network(image).detach())


def test_refuses_tensors_on_the_cpu() -> None:
    with pytest.raises(ValueError, match="must be on a CUDA device, got one on cpu"):
        Recorded(nn.Identity())(torch.zeros(1))
