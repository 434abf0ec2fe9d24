"""Networks that Cas-FNE is compared with: CARN and Restormer.

Ahn, Kang, Sohn: Fast, Accurate, and Lightweight Super-Resolution with Cascading Residual Network,
ECCV 2018, Sec. 3.1 and Fig. 2. Details that the text leaves open (widths, places of ReLUs) are as
in the authors' network; the loss of the photos' mean colour before its first layer is left out,
as for every generator here. Cas-FNE does not say how it made normals of it; ours:

- Super-resolution gives ``scale`` x ``scale`` pixels for one, normals one. With ``scale`` 1 the
  upsampling is left out. With 2 or 4 it stays, and the photo comes in as small as CARN expects,
  its pixels turned into channels so that none is lost; each normal then sees 84 or 168 pixels
  of the photo in place of 41, and a step is 3 or 6 times as fast.
- The three channels of the last layer are brought to unit length as Cas-FNE's are.

Zamir, Arora, Khan, Hayat, Khan, Yang: Restormer: Efficient Transformer for High-Resolution Image
Restoration, CVPR 2022, Sec. 3 and Fig. 2. Details that the text leaves open (unit length of
queries and keys, layer norms with a bias) are as in the authors' published network. Cas-FNE does
not say how it made normals of it; ours: the photo is not added to the last layer's
output, for normals are no corrected photo, and its three channels are brought to unit length as
Cas-FNE's are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor, nn

from facegeo.normals.export import NormalsModel
from facegeo.normals.generator import check_one_stage, face_camera, to_normals

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
    """Units in a row, before each of which a 1x1 convolution sees all features so far.

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


class CARN(NormalsModel):
    """Cascading residual network: 816,451 parameters with ``scale`` 1.

    The published one has 1,591,939, "1,592K": besides, the upsampling for factors 2, 3 and 4.

    Args:
        scale: Side, in pixels of the photo, of one pixel inside the network.
        width: Channels inside.

    Raises:
        ValueError: If ``scale`` is not 1, 2 or 4.
    """

    def __init__(self, scale: int = 1, width: int = 64) -> None:
        super().__init__()
        if scale not in (1, 2, 4):
            raise ValueError(f"scale must be 1, 2 or 4, got {scale}")
        self.stride = scale
        self.shrink = nn.PixelUnshuffle(scale)
        self.entry = nn.Conv2d(3 * scale**2, width, 3, 1, 1)
        self.body = Cascading(width, lambda width: Cascading(width, ResidualBlock))
        doublings = {1: 0, 2: 1, 4: 2}[scale]
        self.enlarge = nn.Sequential(*(_carn_doubling(width) for _ in range(doublings)))
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


def _carn_doubling(width: int) -> nn.Sequential:
    """A sub-pixel convolution: (B, width, H, W) to (B, width, 2 H, 2 W)."""
    return nn.Sequential(
        nn.Conv2d(width, 4 * width, 3, 1, 1), nn.ReLU(inplace=True), nn.PixelShuffle(2)
    )


LEVELS = 4


class PixelNorm(nn.LayerNorm):
    """Layer norm of each pixel's channels.

    Args:
        channels: C.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class ChannelAttention(nn.Module):
    """MDTA: channels, not pixels, attend to one another, so cost grows with the pixels (Eq. 1).

    Args:
        channels: C.
        heads: Groups of channels that attend separately.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.project = _pointwise(channels, 3 * channels)
        self.mix = _depthwise(3 * channels)
        self.out = _pointwise(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        whole = self.mix(self.project(x)).unflatten(1, (3, self.heads, -1)).flatten(-2)
        query, key, value = whole.unbind(1)  # each (B, heads, C / heads, H * W)
        alike = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).mT
        mixed = (alike * self.temperature).softmax(dim=-1) @ value
        return cast(Tensor, self.out(mixed.flatten(1, 2).unflatten(-1, x.shape[-2:])))


class GatedFeedForward(nn.Module):
    """GDFN: one half of widened channels gates the other (Eq. 2).

    Args:
        channels: C.
        expansion: Width of a half, in C.
    """

    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.widen = _pointwise(channels, 2 * hidden)
        self.mix = _depthwise(2 * hidden)
        self.out = _pointwise(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        gate, content = self.mix(self.widen(x)).chunk(2, dim=1)
        return cast(Tensor, self.out(F.gelu(gate) * content))


class TransformerBlock(nn.Module):
    """Attention, then the feed-forward network, each behind a norm and around a shortcut.

    Args:
        channels: C.
        heads: Of the attention.
        expansion: Of the feed-forward network.
    """

    def __init__(self, channels: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = PixelNorm(channels), PixelNorm(channels)
        self.attention = ChannelAttention(channels, heads)
        self.feed_forward = GatedFeedForward(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        x = x + self.attention(self.norm1(x))
        return cast(Tensor, x + self.feed_forward(self.norm2(x)))


class Restormer(NormalsModel):
    """U-shaped transformer of four levels: 26,126,644 parameters with the paper's sizes.

    Args:
        dim: Channels of the finest level; each coarser one has twice as many.
        blocks: Transformer blocks of each level, finest first; as many on the way back up.
        heads: Of each level's attention.
        refinement: Blocks at the finest level, after all.
        expansion: Of the feed-forward networks.

    Raises:
        ValueError: If there are not four levels, ``dim`` is odd, or heads do not share a level's
            channels evenly.
    """

    stride = 2 ** (LEVELS - 1)

    def __init__(
        self,
        dim: int = 48,
        blocks: Sequence[int] = (4, 6, 6, 8),
        heads: Sequence[int] = (1, 2, 4, 8),
        refinement: int = 4,
        expansion: float = 2.66,
    ) -> None:
        super().__init__()
        widths = [dim * 2**level for level in range(LEVELS)]
        _check(widths, blocks, heads)
        self.entry = _conv(3, dim)
        self.encoders = nn.ModuleList(
            _blocks(count, width, head, expansion)
            for count, width, head in zip(blocks, widths, heads, strict=True)
        )
        self.downs = nn.ModuleList(_halving(width) for width in widths[:-1])
        # At the finest level the features of both ways stay side by side: twice the channels.
        wide = [2 * dim, *widths[1:-1]]
        self.ups = nn.ModuleList(
            _restormer_doubling(coarse, fine) for fine, coarse in pairwise(widths)
        )
        self.fusions = nn.ModuleList(
            _pointwise(2 * width, width) if level else nn.Identity()
            for level, width in enumerate(widths[:-1])
        )
        self.decoders = nn.ModuleList(
            _blocks(count, width, head, expansion)
            for count, width, head in zip(blocks[:-1], wide, heads[:-1], strict=True)
        )
        self.refinement = _blocks(refinement, wide[0], heads[0], expansion)
        self.exit = _conv(wide[0], 3)

    def forward(self, image: Tensor, t: int | None = None) -> tuple[Tensor]:
        """Estimate normals.

        Args:
            image: RGB in [0, 1], shape (B, 3, H, W), H and W multiples of 8.
            t: None or 0: there are no refinements.

        Returns:
            One normal map (B, 3, H, W), float32, unit length, x right, y up, z to the camera (if
            trained in that frame).

        Raises:
            ValueError: If the image has another shape, or ``t`` is another.
        """
        check_one_stage(image, t, self.stride)
        *finer, coarsest = self.encoders
        x, skips = self.entry(image), []
        for encoder, down in zip(finer, self.downs, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        x = coarsest(x)
        layers = list(zip(self.ups, self.fusions, self.decoders, skips, strict=True))
        for up, fuse, decoder, skip in reversed(layers):
            x = decoder(fuse(torch.cat((up(x), skip), dim=1)))
        return (to_normals(self.exit(self.refinement(x))),)


def _check(widths: Sequence[int], blocks: Sequence[int], heads: Sequence[int]) -> None:
    for name, given in (("blocks", blocks), ("heads", heads)):
        if len(given) != LEVELS:
            raise ValueError(f"{name} must have {LEVELS} numbers, a level each, got {list(given)}")
    if widths[0] % 2:
        raise ValueError(f"dim must be even, got {widths[0]}")
    if any(width % head for width, head in zip(widths, heads, strict=True)):
        raise ValueError(
            f"heads must share the channels of their level evenly, got {list(heads)} for "
            f"{list(widths)} channels"
        )


def _blocks(count: int, channels: int, heads: int, expansion: float) -> nn.Sequential:
    return nn.Sequential(*(TransformerBlock(channels, heads, expansion) for _ in range(count)))


def _conv(channels: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 3, 1, 1, bias=False)


def _pointwise(channels: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 1, bias=False)


def _depthwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False)


def _halving(channels: int) -> nn.Sequential:
    """To half the side and twice the channels."""
    return nn.Sequential(_conv(channels, channels // 2), nn.PixelUnshuffle(2))


def _restormer_doubling(channels: int, out: int) -> nn.Sequential:
    """To twice the side."""
    return nn.Sequential(_conv(channels, 4 * out), nn.PixelShuffle(2))
