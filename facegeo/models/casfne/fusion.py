"""What the normals do to the face's structure before the cascaded block concatenates both.

Cas-FNE, Sec. V-4, compares three ways and describes them in one line: "the feature modulation
module [71]" (StyleGAN2) and "AdaIN [72]", beside the concatenation (CAT) of Eq. (3). Where they
stand and what changes what is not said. Our reading: at every scale the normals are the prior
that modulates the structure features, which then are concatenated as before. So the decoder
keeps its widths, and AdaIN its 29.3 M parameters of Table IV; FMM has fewer than printed there.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

EPS = 1e-5

MakeFusion = Callable[[int, int], nn.Module]
"""Builds the fusion of one scale from the channels of normals and structure, N and S.

The module maps their features, (B, N, h, w) and (B, S, h, w), to structure (B, S, h, w).
"""


class CAT(nn.Module):
    """The structure stays as it is (Eq. 3).

    Args:
        normal: Channels of the normals' features, N.
        structure: Channels of the structure's features, S.
    """

    def __init__(self, normal: int, structure: int) -> None:
        super().__init__()

    def forward(self, normal: Tensor, structure: Tensor) -> Tensor:
        """Return ``structure``."""
        return structure


class AdaIN(nn.Module):
    """Each channel of the structure takes on mean and deviation of that of the normals.

    Huang, Belongie 2017, Eq. (8). It has no parameters, so it needs as many channels on both
    sides: the coarsest scale, with 256 and 512, stays as it is.

    Args:
        normal: Channels of the normals' features, N.
        structure: Channels of the structure's features, S.
    """

    def __init__(self, normal: int, structure: int) -> None:
        super().__init__()
        self.matched = normal == structure

    def forward(self, normal: Tensor, structure: Tensor) -> Tensor:
        """Change structure (B, S, h, w) by the normals' features (B, N, h, w)."""
        if not self.matched:
            return structure
        mean, deviation = statistics(normal)
        own_mean, own_deviation = statistics(structure)
        styled = (structure.float() - own_mean) / own_deviation * deviation + mean
        return styled.to(structure.dtype)


class FMM(nn.Module):
    """The structure passes a 3x3 convolution whose weights the normals scale.

    Karras et al. 2020 (StyleGAN2), Eqs. (1) and (3): weights of an input channel are multiplied by
    its style, an affine function of the normals' channel means, and those of an output channel
    divided by their norm. Written as a scaling of inputs and outputs, which is the same.

    Args:
        normal: Channels of the normals' features, N.
        structure: Channels of the structure's features, S.
    """

    def __init__(self, normal: int, structure: int) -> None:
        super().__init__()
        self.style = nn.Linear(normal, structure)
        nn.init.ones_(self.style.bias)
        self.conv = nn.Conv2d(structure, structure, 3, 1, 1, bias=False)

    def forward(self, normal: Tensor, structure: Tensor) -> Tensor:
        """Change structure (B, S, h, w) by the normals' features (B, N, h, w)."""
        style: Tensor = self.style(normal.mean(dim=(2, 3)))
        power = self.conv.weight.float().square().sum(dim=(2, 3))
        scale = (style.float().square() @ power.T + EPS).rsqrt()[..., None, None]
        convolved: Tensor = self.conv(structure * style[..., None, None])
        return convolved * scale.to(convolved.dtype)


def statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each image's channels, both (B, C, 1, 1), float32."""
    variance, mean = torch.var_mean(features.float(), dim=(2, 3), correction=0, keepdim=True)
    return mean, (variance + EPS).sqrt()
