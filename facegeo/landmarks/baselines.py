"""Networks that CCNN is compared with: Sun et al. and ResNets.

Sun, Wang, Tang: Deep Convolutional Network Cascade for Facial Point Detection, CVPR 2013, Table 1.
Theirs: layers, channels, kernels, hidden units, 39 x 39 and 31 x 39 inputs, tanh with absolute
value rectification, and weights shared only within parts of the higher maps of level 1. The
numbers of parts are Table 1's as we know them: with them the 23 nets have 1,112,160 weights,
4.24 MB, which CCNN's Table 3 prints for its reference [13].
Ours: Xavier's initialisation; a linear last layer, since a point may lie outside a window; and
pooling without the gain, the bias and the second tanh that follow it in the paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, cast

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from facegeo.checks import checked_call
from facegeo.landmarks.nets import SideBySide
from facegeo.training.resnet import CHANNELS, ResNet


class PartedConv(nn.Module):
    """Convolution without padding whose weights differ from part to part of its output map.

    Args:
        channels: Channels of the input.
        out: Channels of the output.
        kernel: Side of the kernel.
        parts: Rows and columns of equal parts, each with weights of its own.
        size: Rows and columns of the input map.

    Raises:
        ValueError: If the parts do not divide the output map.
    """

    def __init__(
        self, channels: int, out: int, kernel: int, parts: Sequence[int], size: Sequence[int]
    ) -> None:
        super().__init__()
        self.size = tuple(side - kernel + 1 for side in size)
        if any(side < 1 or side % count for side, count in zip(self.size, parts, strict=True)):
            raise ValueError(
                f"parts {list(parts)} must divide the {self.size[0]} x {self.size[1]} map that a "
                f"{kernel} x {kernel} convolution leaves of {size[0]} x {size[1]}"
            )
        self.columns, self.kernel = parts[1], kernel
        self.step = [side // count for side, count in zip(self.size, parts, strict=True)]
        self.parts = nn.ModuleList(
            nn.Conv2d(channels, out, kernel) for _ in range(parts[0] * parts[1])
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, out, H - kernel + 1, W - kernel + 1)."""
        if len(self.parts) == 1:
            return cast(Tensor, self.parts[0](x))
        (high, wide), more = self.step, self.kernel - 1
        cells = []
        for number, conv in enumerate(self.parts):
            row, column = divmod(number, self.columns)
            top, left = row * high, column * wide
            cells.append(conv(x[..., top : top + high + more, left : left + wide + more]))
        rows = [
            torch.cat(cells[i : i + self.columns], dim=-1)
            for i in range(0, len(cells), self.columns)
        ]
        return torch.cat(rows, dim=-2)


class SunNet(nn.Module):
    """One net: convolutions the first of them with 2x2 max pooling, then two linear layers.

    Args:
        outputs: Output numbers.
        size: Rows and columns of the input; a crop of more rows is resampled to them.
        channels: Output channels of each convolution.
        kernels: Kernel side of each convolution.
        parts: Of each convolution, see ``PartedConv``.
        pools: Number of convolutions that are followed by pooling.
        hidden: Units of the hidden layer.
        in_channels: Channels of the input.
    """

    def __init__(
        self,
        outputs: int,
        *,
        size: Sequence[int],
        channels: Sequence[int],
        kernels: Sequence[int],
        parts: Sequence[Sequence[int]],
        pools: int,
        hidden: int,
        in_channels: int = 1,
    ) -> None:
        super().__init__()
        self.size, self.pools, width = tuple(size), pools, in_channels
        layers, left = [], self.size
        for number, (out, kernel, cut) in enumerate(zip(channels, kernels, parts, strict=True)):
            layers.append(PartedConv(width, out, kernel, cut, left))
            shrink = 2 if number < pools else 1
            left = tuple(side // shrink for side in layers[-1].size)
            width = out
        self.convs = nn.ModuleList(layers)
        self.fc1 = nn.Linear(width * left[0] * left[1], hidden)
        self.fc2 = nn.Linear(hidden, outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, crops: Tensor) -> Tensor:
        """Outputs (B, outputs) of crops (B, in_channels, S, S), any range."""
        x = crops
        if x.shape[-2:] != self.size:
            x = F.interpolate(x, self.size, mode="bilinear", align_corners=False)
        for number, conv in enumerate(self.convs):
            # channels_last: pooling takes a tenth of the time; a crop of one channel has no order.
            x = conv(x).abs().contiguous(memory_format=torch.channels_last)
            # |tanh x| = tanh |x|, which grows with |x|: the largest of four can be taken first.
            x = torch.tanh(F.max_pool2d(x, 2) if number < self.pools else x)
        found: Tensor = self.fc2(torch.tanh(self.fc1(x.flatten(1))))
        return found


class SunNets(SideBySide):
    """The nets of one level, which may differ in rows, parts and hidden units.

    Args:
        outputs: Output numbers of each net.
        input_size: Side of the square crops, px.
        shapes: ``rows``, ``parts`` and ``hidden`` of each net, or one for all of them.
        channels, kernels, pools: See ``SunNet``.

    Raises:
        ValueError: If there are neither as many shapes as nets nor one.
    """

    def __init__(
        self,
        outputs: Sequence[int],
        *,
        input_size: int,
        shapes: Sequence[Mapping[str, Any]],
        channels: Sequence[int],
        kernels: Sequence[int],
        pools: int,
    ) -> None:
        if len(shapes) not in (1, len(outputs)):
            raise ValueError(f"shapes must be 1 or {len(outputs)}, one a net, got {len(shapes)}")
        each = list(shapes) * (len(outputs) // len(shapes))
        nets = [
            SunNet(
                out,
                size=(shape["rows"], input_size),
                channels=channels,
                kernels=kernels,
                parts=shape["parts"],
                pools=pools,
                hidden=shape["hidden"],
            )
            for out, shape in zip(outputs, each, strict=True)
        ]
        super().__init__(nets, input_size)


class ResNetPoints(SideBySide):
    """A ResNet for each crop: features of 1/32 of the side, their mean, a linear layer.

    The paper gives no more than a size in its Table 3: torchvision's with 1,000 classes.

    Args:
        outputs: Output numbers of each net.
        input_size: Side of the square crops, px, a multiple of 32.
        depth: 18 or 34.

    Raises:
        ValueError: If the side is not a multiple of 32, or ``depth`` is not 18 or 34.
    """

    @checked_call
    def __init__(
        self,
        outputs: Sequence[int],
        *,
        input_size: Annotated[PositiveInt, Field(multiple_of=32)],
        depth: Literal[18, 34],
    ) -> None:
        super().__init__([_Regressor(depth, out) for out in outputs], input_size)


class _Regressor(nn.Module):
    """ResNet with mean pooling and a linear layer; keys are torchvision's under ``encoder``."""

    def __init__(self, depth: int, outputs: int) -> None:
        super().__init__()
        self.encoder = ResNet(depth)
        self.fc = nn.Linear(CHANNELS[-1], outputs)

    def forward(self, crops: Tensor) -> Tensor:
        """Outputs (B, outputs) of crops (B, 3, S, S)."""
        found: Tensor = self.fc(self.encoder(crops)[-1].mean(dim=(2, 3)))
        return found
