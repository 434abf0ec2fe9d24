"""Layers that double a side: every form gives what the transposed convolution gives."""

import pytest
import torch
from torch import nn

from facegeo.normals.fast import Doubling, DoublingHead, Quarters

SHAPES = pytest.mark.parametrize("shape", [(1, 4, 1, 1), (2, 4, 3, 5), (1, 4, 8, 2)])


@pytest.fixture
def deconv() -> nn.ConvTranspose2d:
    torch.manual_seed(0)
    return nn.ConvTranspose2d(4, 5, 4, 2, 1).requires_grad_(False)


@SHAPES
@pytest.mark.parametrize("form", [Doubling, Quarters])
def test_forms_of_doubling_give_equal_outputs(
    form: type[Doubling], shape: tuple[int, ...], deconv: nn.ConvTranspose2d
) -> None:
    image = torch.randn(shape)
    layer, unbiased = form(deconv.weight, deconv.bias), form(deconv.weight, None)
    want = deconv(image)
    torch.testing.assert_close(layer.finish(layer(image)), want)
    # Sums are taken before the last step.
    halves = layer(image / 4) + unbiased(image * 3 / 4)
    torch.testing.assert_close(layer.finish(halves), want)


@SHAPES
def test_doubling_and_head_agree_up_to_the_edges(
    shape: tuple[int, ...], deconv: nn.ConvTranspose2d
) -> None:
    head = nn.ConvTranspose2d(5, 3, 3, 1, 1).requires_grad_(False)
    assert deconv.bias is not None
    layer, image = DoublingHead(deconv.weight, deconv.bias, head), torch.randn(shape)
    torch.testing.assert_close(layer(image), head(deconv(image)))
