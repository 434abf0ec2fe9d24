"""Regions round faces of one image, halved again and again: pixels for crops, without a cache.

The same pixels as ``facegeo.data.pyramid`` writes into the cache that trains, made on the way.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor

MARGIN = 0.4
"""Width of the margin round a box, box sides: the training cache's."""
LEVELS = 8
"""Most sizes of a region: a pixel of the last is 128 px wide, enough for faces of 5,000 px."""


def source_regions(boxes: Tensor, height: int, width: int) -> Tensor:
    """Whole pixels that cover boxes and a margin round them, as far as the image goes.

    A box far outside gets the nearest pixels of the image.

    Args:
        boxes: left, right, top, bottom, px, float64 as lists are read, (F, 4).
        height: Height of the image, px.
        width: Width of the image, px.

    Returns:
        x0, x1, y0, y1: first pixel and the one past the last, int64, (F, 4).
    """
    low, high = boxes[:, 0::2], boxes[:, 1::2]
    reach = boxes.new_tensor(MARGIN) * (high - low)  # a bare number is exported as float32
    size = torch.stack([boxes.new_full((), width), boxes.new_full((), height)])
    first = torch.minimum(torch.floor(low - reach), size - 1).clamp_min(0)
    last = torch.minimum(torch.ceil(high + reach) + 1, size)
    ends = torch.stack([first, torch.maximum(last, first + 1)], dim=2)
    return ends.flatten(1).long()


def level_places(regions: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
    """Where each level of each region lies in what ``region_pyramid`` returns.

    Args:
        regions: x0, x1, y0, y1, int64, (F, 4).
        depth: Number of levels of each region, int64, (F,).

    Returns:
        Width and height of each level, px, int64, (F, LEVELS, 2), odd sides as they are, though
        stored even; and the index of its first value, int64, (F, LEVELS).
    """
    size = (regions[:, 1::2] - regions[:, 0::2]).float()  # exact, as are halves of it
    scale = 0.5 ** torch.arange(LEVELS, device=regions.device)
    sides = torch.ceil(size[:, None] * scale[:, None]).long()
    even = sides + (sides & 1)
    there = torch.arange(LEVELS, device=regions.device) < depth[:, None]
    values = (3 * even[..., 0] * even[..., 1] * there).flatten()
    return sides, (values.cumsum(0) - values).view_as(there)


@torch.library.custom_op("facegeo::region_pyramid", mutates_args=())
def region_pyramid(image: Tensor, regions: Tensor, depth: Tensor) -> Tensor:
    """All levels of all regions, one after the other.

    A pixel of a level is the mean of 2 x 2 pixels of the level below, rounded half up; the last
    row and column of an odd size count twice and are stored twice.

    Args:
        image: Red, green, blue, uint8, (H, W, 3).
        regions: x0, x1, y0, y1, px, int64, (F, 4).
        depth: Number of levels of each region, int64, (F,).

    Returns:
        Values face by face, level by level, row by row, pixel by pixel, uint8, (P,).
    """
    parts = [image.new_empty(0)]
    for (x0, x1, y0, y1), levels in zip(regions.tolist(), depth.tolist(), strict=True):
        level = image[y0:y1, x0:x1].permute(2, 0, 1)[None].float()
        for number in range(levels):
            if number:
                level = (F.avg_pool2d(level, 2) + 0.5).floor()
            height, width = level.shape[2:]
            level = F.pad(level, (0, width % 2, 0, height % 2), mode="replicate")
            parts.append(level[0].permute(1, 2, 0).to(torch.uint8).flatten())
    return torch.cat(parts)


@region_pyramid.register_fake
def _(image: Tensor, regions: Tensor, depth: Tensor) -> Tensor:
    return image.new_empty(torch.library.get_ctx().new_dynamic_size())
