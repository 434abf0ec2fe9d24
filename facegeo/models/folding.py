"""Batch normalisation that no longer learns, taken into the convolution before it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


@torch.no_grad()
def fold_norm(conv: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias that do at once what a convolution and its normalisation do in eval mode.

    Args:
        conv: ``nn.Conv2d`` or ``nn.ConvTranspose2d`` of one group.
        norm: The ``nn.BatchNorm2d`` behind it, with running statistics and an affine map.

    Returns:
        The weight, shaped as ``conv.weight``, and the bias, (C,); both new tensors.
    """
    conv, norm = cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm)
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight / (variance + norm.eps).sqrt()
    shape = (1, -1, 1, 1) if conv.transposed else (-1, 1, 1, 1)
    shift = -mean if conv.bias is None else conv.bias - mean
    return conv.weight * scale.view(shape), shift * scale + norm.bias


def folded_conv(conv: nn.Module, norm: nn.Module) -> nn.Conv2d:
    """A convolution that equals ``conv``, an ``nn.Conv2d``, and then ``norm`` in eval mode."""
    weight, bias = fold_norm(conv, norm)
    conv = cast(nn.Conv2d, conv)
    return conv_of(weight, bias, conv.stride[0], int(conv.padding[0]))


def conv_of(weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> nn.Conv2d:
    """A convolution with copies of this weight (O, I, K, K) and bias (O,)."""
    out, inputs, kernel, _ = weight.shape
    conv = nn.Conv2d(inputs, out, kernel, stride, padding, bias=bias is not None)
    conv.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        conv.bias = nn.Parameter(bias.detach().clone())
    return conv
