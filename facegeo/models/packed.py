"""Convolutions whose weights lie in memory as oneDNN's kernels read them, for the CPU.

PyTorch's own convolution brings its weights into that order at every call. With one photo at a
time that is a tenth of Cas-FNE's time.
"""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn

from facegeo.models.casfne.fusion import FMM

OPERATORS = (
    "_reorder_convolution_weight",
    "_reorder_convolution_transpose_weight",
    "_convolution_pointwise",
    "_convolution_transpose_pointwise",
)
"""What ``torch.compile`` itself calls on the CPU; not among torch's documented functions."""


def can_pack() -> bool:
    """Whether this build of PyTorch has what ``packed`` needs."""
    return torch.backends.mkldnn.is_available() and all(
        hasattr(torch.ops.mkldnn, name) for name in OPERATORS
    )


def packed(module: nn.Module) -> nn.Module:
    """Copy a module and pack its convolutions for inference on the CPU.

    Outputs are equal. The copy stays on the CPU and in its type, is not exported and not trained.

    Args:
        module: With weights on the CPU, in float32 or bfloat16.

    Returns:
        The copy; where ``can_pack()`` is false, it is as ``module`` is.
    """
    copy = deepcopy(module)
    if can_pack():
        with torch.no_grad():
            _pack(copy)
    return copy.eval().requires_grad_(False)


def _pack(module: nn.Module) -> None:
    for name, child in module.named_children():
        if type(child) is nn.Conv2d and child.padding_mode == "zeros":
            setattr(module, name, PackedConv(child))
        elif type(child) is nn.ConvTranspose2d:
            setattr(module, name, PackedTransposedConv(child))
        elif not isinstance(child, FMM):  # it reads the weights of its convolution itself
            _pack(child)


class PackedConv(nn.Module):
    """A convolution whose padding is a number of zeros.

    Args:
        conv: What to copy.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        padding = [int(side) for side in conv.padding]
        self.settings = (padding, list(conv.stride), list(conv.dilation), conv.groups)
        self.bias = conv.bias
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(conv.weight, *self.settings)

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution does."""
        run = torch.ops.mkldnn._convolution_pointwise
        return cast(Tensor, run(x, self.weight, self.bias, *self.settings, "none", [], ""))


class PackedTransposedConv(nn.Module):
    """A transposed convolution.

    Args:
        conv: What to copy.
    """

    def __init__(self, conv: nn.ConvTranspose2d) -> None:
        super().__init__()
        padding, more = (
            [int(side) for side in pair] for pair in (conv.padding, conv.output_padding)
        )
        self.settings = (padding, more, list(conv.stride), list(conv.dilation), conv.groups)
        self.bias = conv.bias
        reorder = torch.ops.mkldnn._reorder_convolution_transpose_weight
        self.weight = reorder(conv.weight, *self.settings)

    def forward(self, x: Tensor) -> Tensor:
        """As the transposed convolution does."""
        run = torch.ops.mkldnn._convolution_transpose_pointwise
        return cast(Tensor, run(x, self.weight, self.bias, *self.settings, "none", [], ""))
