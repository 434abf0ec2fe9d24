"""CARN as a generator of normals, for comparison with Cas-FNE (its Table I, row "CARN").

Ahn, Kang, Sohn: Fast, Accurate, and Lightweight Super-Resolution with Cascading Residual Network,
ECCV 2018, Sec. 3.1 and Fig. 2. What the text leaves open (widths, where a ReLU stands) is as in
the authors' published network; the loss of the photos' mean colour before its first layer is left
out, as for every generator here. Cas-FNE does not say how it made normals of it; ours:

- Super-resolution gives ``scale`` x ``scale`` pixels for one, normals one. With ``scale`` 1 the
  upsampling is left out. With 2 or 4 it stays, and the photo comes in as small as CARN expects,
  its pixels turned into channels so that none is lost; each normal then sees 84 or 168 pixels
  of the photo in place of 41, and a step is 3 or 6 times as fast.
- The three channels of the last layer are brought to unit length as Cas-FNE's are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from facegeo.models.normal_head import check_one_stage, face_camera, to_normals

UNITS = 3
"""Residual blocks in a cascading block, and of those in the network."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, a ReLU after each.

    Args:
        width: Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, 1, 1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, H, W) to the same shape."""
        return torch.relu(self.conv2(torch.relu(self.conv1(x))) + x)


class Cascading(nn.Module):
    """Units in a row, before each of which a 1x1 convolution sees all that was found so far.

    So are residual blocks tied to a cascading block (Eq. 5), and cascading blocks to the network.

    Args:
        width: Channels.
        unit: Builds a unit from ``width``.
    """

    def __init__(self, width: int, unit: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.units = nn.ModuleList(unit(width) for _ in range(UNITS))
        self.fusions = nn.ModuleList(
            nn.Conv2d(width * seen, width, 1) for seen in range(2, UNITS + 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, H, W) to the same shape."""
        seen = [x]
        for unit, fuse in zip(self.units, self.fusions, strict=True):
            seen.append(unit(x))
            x = torch.relu(fuse(torch.cat(seen, dim=1)))
        return x


class CARN(nn.Module):
    """Cascading residual network: 816,451 parameters with ``scale`` 1.

    The published one has 1,591,939, "1,592K": besides, the upsampling for factors 2, 3 and 4.

    Args:
        scale: Side, in pixels of the photo, of what one pixel inside the network stands for.
        width: Channels inside.

    Raises:
        ValueError: If ``scale`` is not 1, 2 or 4.
    """

    t = 0

    def __init__(self, scale: int = 1, width: int = 64) -> None:
        super().__init__()
        if scale not in (1, 2, 4):
            raise ValueError(f"scale must be 1, 2 or 4, got {scale}")
        self.stride = scale
        self.shrink = nn.PixelUnshuffle(scale)
        self.entry = nn.Conv2d(3 * scale**2, width, 3, 1, 1)
        self.body = Cascading(width, lambda width: Cascading(width, ResidualBlock))
        doublings = {1: 0, 2: 1, 4: 2}[scale]
        self.enlarge = nn.Sequential(*(_doubling(width) for _ in range(doublings)))
        self.exit = nn.Conv2d(width, 3, 3, 1, 1)
        face_camera(self.exit)

    def forward(self, image: Tensor, t: int | None = None) -> tuple[Tensor]:
        """Estimate normals.

        Args:
            image: RGB in [0, 1], shape (B, 3, H, W), H and W multiples of ``scale``.
            t: None or 0: there are no refinements.

        Returns:
            One normal map (B, 3, H, W), float32, unit length, x right, y up, z to the camera (if
            trained in that frame).

        Raises:
            ValueError: If the image has another shape, or ``t`` is another.
        """
        check_one_stage(image, t, self.stride)
        features = self.body(self.entry(self.shrink(image)))
        return (to_normals(self.exit(self.enlarge(features))),)


def _doubling(width: int) -> nn.Sequential:
    """A sub-pixel convolution: (B, width, H, W) to (B, width, 2 H, 2 W)."""
    return nn.Sequential(
        nn.Conv2d(width, 4 * width, 3, 1, 1), nn.ReLU(inplace=True), nn.PixelShuffle(2)
    )
