"""Layers that double the side of a map, in the forms that run fastest.

A transposed convolution (kernel 4, stride 2, padding 1) makes each of the four pixels that come
out of one from 2 x 2 pixels that go in. So it is a 2 x 2 convolution to four times the channels,
whose maps are then woven into one.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor, nn

from facegeo.models.folding import conv_of


class Doubling(nn.Module):
    """A doubling layer in two steps, ``finish(layer(x))``; sums are taken between them.

    Here the first step is the transposed convolution and the second does nothing: fastest for many
    channels in PyTorch.

    Args:
        weight: Of the transposed convolution, (I, O, 4, 4).
        bias: Of the same, (O,), or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        inputs, out = weight.shape[:2]
        conv = nn.ConvTranspose2d(inputs, out, 4, 2, 1, bias=bias is not None)
        conv.weight = nn.Parameter(weight.detach().clone())
        if bias is not None:
            conv.bias = nn.Parameter(bias.detach().clone())
        self.conv: nn.Module = conv

    def forward(self, x: Tensor) -> Tensor:
        """First step, linear, from (B, I, H, W)."""
        return cast(Tensor, self.conv(x))

    def finish(self, x: Tensor) -> Tensor:
        """The doubled map (B, O, 2 H, 2 W) from what the first step gives."""
        return x


class Quarters(Doubling):
    """The same layer as a 2 x 2 convolution and a weaving of its maps.

    Fastest for few channels, and for any number in ONNX Runtime. The first step gives
    (B, 4 O, H + 1, W + 1).
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__(weight, bias)
        # Row 2i of what comes out has rows i - 1 and i under taps 3 and 1; row 2i + 1 has rows i
        # and i + 1 under taps 2 and 0; columns alike.
        taps = weight.flip(2, 3).unflatten(3, (2, 2)).unflatten(2, (2, 2))
        self.conv = conv_of(_quarter_kernels(taps), None if bias is None else bias.repeat(4), 1, 1)

    def finish(self, x: Tensor) -> Tensor:
        """The doubled map (B, O, 2 H, 2 W) from what the first step gives."""
        a, b, c, d = x.chunk(4, dim=1)
        return _weave(a[..., :-1, :-1], b[..., :-1, 1:], c[..., 1:, :-1], d[..., 1:, 1:])


class DoublingHead(nn.Module):
    """A doubling layer and a 3 x 3 convolution behind it, between which nothing bends, as one.

    Together they are a 3 x 3 convolution to four times the channels, woven into one, but along
    the edges: there the second layer sees zeros where the one layer sees what the first would give
    outside its map. That is worked out and taken away.

    Args:
        weight: Of the doubling layer's transposed convolution, (I, M, 4, 4).
        bias: Of the same, (M,).
        head: The layer behind it, a transposed convolution from M to O, kernel 3, padding 1.
    """

    def __init__(self, weight: Tensor, bias: Tensor, head: nn.ConvTranspose2d) -> None:
        super().__init__()
        kernel, head_bias = head.weight.detach(), cast(Tensor, head.bias).detach()
        taps = F.conv_transpose2d(weight, kernel).unflatten(3, (3, 2)).unflatten(2, (3, 2))
        whole = torch.einsum("mohw,m->o", kernel, bias) + head_bias
        self.conv = conv_of(_quarter_kernels(taps.flip(2, 4)), whole.repeat(4), 1, 1)
        turned = kernel.transpose(0, 1).flip(2, 3)
        first = (weight[:, :, :1], weight[:, :, 3:], weight[..., :1], weight[..., 3:])
        second = (turned[:, :, :1], turned[:, :, 2:], turned[..., :1], turned[..., 2:])
        self.first, self.second = _parameters(*first), _parameters(*second)
        self.bias = nn.Parameter(bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, I, H, W) to (B, O, 2 H, 2 W)."""
        out = _weave(*self.conv(x).chunk(4, dim=1))
        sides = (x[:, :, :1], x[:, :, -1:], x[..., :1], x[..., -1:])
        above, below, left, right = (
            F.conv_transpose2d(side, first, self.bias, 2)
            for side, first in zip(sides, self.first, strict=True)
        )
        # The rows outside have the corners, the columns do not.
        out[:, :, :1] -= F.conv2d(above, self.second[0])
        out[:, :, -1:] -= F.conv2d(below, self.second[1])
        out[..., :1] -= F.conv2d(left[:, :, 1:-1], self.second[2], padding=(1, 0))
        out[..., -1:] -= F.conv2d(right[:, :, 1:-1], self.second[3], padding=(1, 0))
        return out


def _parameters(*tensors: Tensor) -> nn.ParameterList:
    return nn.ParameterList(nn.Parameter(tensor.detach().clone()) for tensor in tensors)


def _quarter_kernels(taps: Tensor) -> Tensor:
    """Kernels (4 O, I, T, T) of the four quarters from (I, O, tap, row, tap, column)."""
    inputs, out, side = taps.shape[:3]
    return taps.permute(3, 5, 1, 0, 2, 4).reshape(4 * out, inputs, side, side)


def _weave(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """One map (B, O, 2 H, 2 W) of four quarters, (B, O, H, W) each, in reading order."""
    upper, lower = torch.stack((a, b), dim=-1).flatten(-2), torch.stack((c, d), dim=-1).flatten(-2)
    return torch.stack((upper, lower), dim=-2).flatten(-3, -2)
