"""Crops of faces as one batched resampling, and the image pyramids they read.

The same pixels as ``facegeo.landmarks.pixels`` writes into the cache that trains, made on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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
    """Position of each level of each region in the output of ``region_pyramid``.

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


class Pixels(Protocol):
    """Packed pixels of all faces, as ``facegeo.landmarks.pixels.PixelStore`` keeps them.

    A face's level ``l`` is averaged over 2^l x 2^l source pixels; its pixel (row i, column j) has
    its centre at ((j + .5) 2^l - .5 + x, (i + .5) 2^l - .5 + y) of the image, with (x, y) the
    face's ``origin``.
    """

    @property
    def pixels(self) -> Tensor:
        """Red, green, blue and an unused byte in one int32 a pixel, red lowest, (P,)."""

    @property
    def offset(self) -> Tensor:
        """Index of each level's first pixel, int64, (N, L)."""

    @property
    def size(self) -> Tensor:
        """Height and width of each level, int64, (N, L, 2)."""

    @property
    def origin(self) -> Tensor:
        """Left top corner (x, y) of the stored region in its image, px, int64, (N, 2)."""


@dataclass(frozen=True)
class FaceCrops:
    """Cuts windows out of a batch of faces.

    Attributes:
        store: The pixels.
        faces: Rows of ``store``, int64, (B,).
        frames: Affine maps from the box frame (u, v, 1) to image pixels, (B, 2, 3). Rotation, flip
            and scale of an augmented face live here, so its windows stay upright and its
            pixels are still sampled once.
    """

    store: Pixels
    faces: Tensor
    frames: Tensor

    def __call__(self, windows: Tensor, size: int) -> Tensor:
        """Sample every window on a size x size grid.

        Bilinear, from the mip level whose pixels are nearest in size to the crop's, so a window
        larger than the crop is anti-aliased. Outside the stored region its border is repeated.

        Args:
            windows: Box frame (cx, cy, hx, hy), (B, W, 4).
            size: Side S of a crop, px.

        Returns:
            RGB in [0, 1], (B, W, 3, S, S); pixel j of a row has its centre at (j + .5) / S of
            the window's width.
        """
        start, step_x, step_y = self._grid(windows, size)
        footprint = (step_x[..., 0] * step_y[..., 1] - step_x[..., 1] * step_y[..., 0]).abs()
        levels = self.store.offset.shape[1]
        level = (footprint.clamp_min(1e-12).log2() / 2).round().clamp(0, levels - 1).long()
        faces = self.faces[:, None]
        bounds = self.store.size[faces, level]  # (B, W, 2) rows, columns
        scale = torch.exp2(-level.float())
        origin = self.store.origin[self.faces][:, None].to(start.dtype)
        x, y = (
            _level_coordinate(axis, start, step_x, step_y, origin, scale, bounds, size)
            for axis in (0, 1)
        )
        offset = self.store.offset[faces, level][..., None, None]
        colour = _bilinear(self.store.pixels, offset, bounds, x, y)
        return colour.permute(0, 1, 4, 2, 3)  # channels last in memory, as the nets want it

    def _grid(self, windows: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """First sample and the steps along a row and down a column, image px, (B, W, 2) each."""
        centre, half = windows[..., :2], windows[..., 2:]
        linear = self.frames[:, None, :, :2]
        middle = (linear * centre[..., None, :]).sum(-1) + self.frames[:, None, :, 2]
        step_x = linear[..., 0] * (2 * half[..., :1] / size)
        step_y = linear[..., 1] * (2 * half[..., 1:] / size)
        return middle - (step_x + step_y) * ((size - 1) / 2), step_x, step_y


def _level_coordinate(
    axis: int,
    start: Tensor,
    step_x: Tensor,
    step_y: Tensor,
    origin: Tensor,
    scale: Tensor,
    bounds: Tensor,
    size: int,
) -> Tensor:
    """One coordinate of every sample on its level, clamped to the level's pixels, (B, W, S, S)."""
    ticks = torch.arange(size, device=start.device, dtype=start.dtype)
    first = (start[..., axis] - origin[..., axis] + 0.5) * scale - 0.5
    along = (step_x[..., axis] * scale)[..., None] * ticks
    down = (step_y[..., axis] * scale)[..., None] * ticks
    grid = (first[..., None] + down)[..., :, None] + along[..., None, :]
    last = (bounds[..., 1 - axis] - 1).to(start.dtype)[..., None, None]
    return torch.minimum(grid.clamp_min_(0), last)


def _bilinear(pixels: Tensor, offset: Tensor, bounds: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Colours at (x, y), which lie within the level's pixel centres; (B, W, S, S, 3) in [0, 1]."""
    columns = bounds[..., 1, None, None]
    first = y.long().mul_(columns).add_(x.long()).add_(offset)
    below = first + columns
    # right of a level's last column and below its last row the weight is 0: any pixel will do
    corners = [
        pixels.index_select(0, index.clamp_max_(len(pixels) - 1).view(-1)).view(x.shape)
        for index in (first, first + 1, below, below + 1)
    ]
    fx, fy = x.frac(), y.frac()
    colours = x.new_empty(*x.shape, 3)
    for channel in range(3):  # one plane after the other: whole vectors, and they stay in the cache
        byte = 255 << 8 * channel
        upper, upper_right, lower, lower_right = ((corner & byte).float() for corner in corners)
        upper.lerp_(upper_right, fx).lerp_(lower.lerp_(lower_right, fx), fy)
        torch.div(upper, byte, out=colours[..., channel])
    return colours
