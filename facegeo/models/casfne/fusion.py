"""How the cascaded block joins the normals' features with the face's structure.

Cas-FNE, Sec. V-4, compares three ways and describes them in one line: "the feature modulation
module [71]" (StyleGAN2) and "AdaIN [72]", each in place of the concatenation (CAT) of Eq. (3).
Where they stand and what modulates what is not said. Our reading: at every scale the normals
are the prior that changes the structure features, which then are concatenated as before. So the
decoder keeps its widths, and AdaIN its 29.3 M parameters of Table IV.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

EPS = 1e-5


class Fusion(Protocol):
    """What the decoder asks of a fusion of one scale.

    Attributes:
        channels: That come out of it.
    """

    channels: int

    def __call__(self, normal: Tensor, structure: Tensor) -> Tensor:
        """Join (B, N, h, w) and (B, S, h, w) to (B, channels, h, w)."""


MakeFusion = Callable[[int, int], nn.Module]
"""Builds the fusion of one scale from the channels of normals and structure, N and S."""


class Concat(nn.Module):
    """CAT: one after the other (Eq. 3).

    Args:
        normal: Channels of the normals' features, N.
        structure: Channels of the structure's features, S.
    """

    def __init__(self, normal: int, structure: int) -> None:
        super().__init__()
        self.channels = normal + structure

    def forward(self, normal: Tensor, structure: Tensor) -> Tensor:
        """Join (B, N, h, w) and (B, S, h, w) to (B, N + S, h, w)."""
        return torch.cat((normal, structure), dim=1)


class AdaIN(Concat):
    """The structure takes on each channel's mean and deviation of the normals, then CAT.

    Huang, Belongie 2017, Eq. (8): no parameters, so it needs as many channels on both sides. The
    coarsest scale has 256 and 512, and is concatenated as it is.
    """

    def forward(self, normal: Tensor, structure: Tensor) -> Tensor:
        """Join (B, N, h, w) and (B, S, h, w) to (B, N + S, h, w)."""
        if normal.shape[1] != structure.shape[1]:
            return super().forward(normal, structure)
        mean, deviation = _statistics(normal)
        own_mean, own_deviation = _statistics(structure)
        styled = (structure.float() - own_mean) / own_deviation * deviation + mean
        return super().forward(normal, styled.to(structure.dtype))


class FMM(Concat):
    """The structure passes a 3x3 convolution whose weights the normals scale, then CAT.

    Karras et al. 2020 (StyleGAN2), Eqs. (1) and (3): weights of an input channel are multiplied by
    its style, an affine function of the normals' channel means, and those of an output channel
    divided by their norm. Written as a scaling of inputs and outputs, which is the same.
    """

    def __init__(self, normal: int, structure: int) -> None:
        super().__init__(normal, structure)
        self.style = nn.Linear(normal, structure)
        nn.init.ones_(self.style.bias)
        self.conv = nn.Conv2d(structure, structure, 3, 1, 1, bias=False)

    def forward(self, normal: Tensor, structure: Tensor) -> Tensor:
        """Join (B, N, h, w) and (B, S, h, w) to (B, N + S, h, w)."""
        style = self.style(normal.mean(dim=(2, 3))).float()
        power = self.conv.weight.float().square().sum(dim=(2, 3))
        norm = (style.square() @ power.T + EPS).sqrt()
        made = self.conv(structure * style[..., None, None].to(structure.dtype))
        return super().forward(normal, made / norm[..., None, None].to(made.dtype))


def _statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each image's channels, both (B, C, 1, 1), float32."""
    variance, mean = torch.var_mean(features.float(), dim=(2, 3), correction=0, keepdim=True)
    return mean, (variance + EPS).sqrt()
