"""Restormer as a generator of normals, for comparison with Cas-FNE (its Table I, row "Res").

Zamir, Arora, Khan, Hayat, Khan, Yang: Restormer: Efficient Transformer for High-Resolution Image
Restoration, CVPR 2022, Sec. 3 and Fig. 2. What the text leaves open (unit length of queries and
keys, layer norms with a bias) is as in the authors' published network. Cas-FNE does not say how it
made normals of it; ours: the photo is not added to the last layer's output, for normals are no
corrected photo, and its three channels are brought to unit length as Cas-FNE's are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor, nn

from facegeo.models.normal_head import check_one_stage, to_normals

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
        heads: Groups of channels that attend apart.
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


class Restormer(nn.Module):
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

    t = 0
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
        self.ups = nn.ModuleList(_doubling(coarse, fine) for fine, coarse in pairwise(widths))
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


def _doubling(channels: int, out: int) -> nn.Sequential:
    """To twice the side."""
    return nn.Sequential(_conv(channels, 4 * out), nn.PixelShuffle(2))
