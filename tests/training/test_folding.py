"""A folded convolution does what the convolution and its normalisation do."""

import pytest
import torch
from torch import nn

from facegeo.training.resnet import conv_of, fold_norm, folded_conv


def trained_norm(channels: int) -> nn.BatchNorm2d:
    """In eval mode, statistics far from fresh; one channel hardly varied."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(channels).eval()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    norm.running_var[0] = norm.eps
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.normal_(norm.bias)
    return norm


@pytest.mark.parametrize("bias", [True, False])
def test_convolution(bias: bool) -> None:
    norm = trained_norm(5)
    conv = nn.Conv2d(3, 5, 3, 2, 1, bias=bias)
    image = torch.rand(2, 3, 9, 8)
    with torch.no_grad():
        torch.testing.assert_close(folded_conv(conv, norm)(image), norm(conv(image)))


@pytest.mark.parametrize("bias", [True, False])
def test_transposed_convolution(bias: bool) -> None:
    norm = trained_norm(3)  # as many as come in: the axis must not be guessed
    conv = nn.ConvTranspose2d(3, 3, 4, 2, 1, bias=bias)
    image = torch.rand(2, 3, 5, 4)
    weight, shift = fold_norm(conv, norm)
    with torch.no_grad():
        got = nn.functional.conv_transpose2d(image, weight, shift, 2, 1)
        torch.testing.assert_close(got, norm(conv(image)))


def test_weights_are_copied() -> None:
    weight, bias = torch.ones(2, 1, 3, 3), torch.ones(2)
    conv = conv_of(weight, bias, 1, 1)
    weight.zero_()
    bias.zero_()
    assert conv.weight.min() == 1
    assert conv.bias is not None
    assert conv.bias.min() == 1
    assert conv_of(weight, None, 1, 0).bias is None
