"""The cascade as one graph of tensors, for export and for recording.

That is what can be recorded on a GPU (``facegeo.training.recorded``): 23 nets, their crops and the
fusion of their votes become one launch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from facegeo.checks import check_shape
from facegeo.geometry.crops import LEVELS, FaceCrops, level_places, region_pyramid, source_regions
from facegeo.geometry.windows import from_window
from facegeo.landmarks.nets import POINTS, Cascade, Stage, grey

WHITE = 255.0


class CascadeGraph(nn.Module):
    """A cascade for use: cuts its own crops, by the rule it was trained with.

    The pixels are those of ``facegeo.landmarks.pixels`` and the crops those of
    ``facegeo.geometry.crops``, made only for the regions round the boxes, at as many sizes as
    large faces need.

    Args:
        cascade: Trained; used as it is, not copied.
    """

    reach: Tensor
    bounds: Tensor
    scales: Tensor

    def __init__(self, cascade: Cascade) -> None:
        super().__init__()
        self.cascade, self.counts = cascade, []
        steps = []
        for number, stage in enumerate(cascade.by_name().values()):
            self.register_buffer(f"fusion{number}", _fusion(stage), persistent=False)
            half = stage.windows(torch.full((1, POINTS, 2), 0.5))[0, :, 2:]  # at any position
            self.counts.append(len(half))
            steps.append(2 * half / stage.input_size)
        self.register_buffer("reach", torch.cat(steps), persistent=False)
        self.register_buffer("bounds", _level_bounds(), persistent=False)
        self.register_buffer("scales", 0.5 ** torch.arange(LEVELS), persistent=False)

    def forward(self, image: Tensor, boxes: Tensor) -> Tensor:
        """Find the points of all faces of an image.

        Args:
            image: Red, green, blue, uint8, (H, W, 3).
            boxes: left, right, top, bottom, px, (F, 4); float64, in which the training decided
                which pixels belong to a face.

        Returns:
            Points after each stage, image px, float32, (F, T, 5, 2).

        Raises:
            ValueError: If the shapes are others, or the image is not uint8.
        """
        if not torch.compiler.is_exporting():  # which would take the sizes for fixed ones
            check_shape("image", image, "H", "W", 3)
            check_shape("boxes", boxes, "F", 4)
            if image.dtype != torch.uint8:
                raise ValueError(f"image must be uint8, values to 255, got {image.dtype}")
            if not len(boxes):
                return boxes.new_zeros((0, len(self.counts), POINTS, 2), dtype=torch.float32)
        edges = boxes.float()
        sides = edges[:, 1::2] - edges[:, 0::2]
        low = sides * -0.5 + (edges[:, 0::2] + edges[:, 1::2]) / 2  # rounded as by view_frames
        regions = source_regions(boxes.double(), image.shape[0], image.shape[1])
        step = sides[:, None] * self.reach  # image px between samples, (F, all W, 2)
        level = ((step[..., 0] * step[..., 1])[..., None] > self.bounds).long().sum(-1)
        depth = level.amax(1) + 1
        sizes, starts = level_places(regions, depth)
        pixels = region_pyramid(image, regions, depth)
        size = sizes.gather(1, level[..., None].expand(-1, -1, 2))
        start = starts.gather(1, level)
        scale = self.scales[level][..., None]
        origin = regions[:, None, 0::2].float()
        whole = torch.stack([low.new_full((), side) for side in (image.shape[1], image.shape[0])])
        canvas = torch.cat([((whole - 1) / 2 - low) / sides, whole / 2 / sides], dim=-1)
        anchors = low.new_full((1, POINTS, 2), 0.5).expand(boxes.shape[0], -1, -1)
        found, after = [], 0
        for number, stage in enumerate(self.cascade.by_name().values()):
            own = slice(after, after + self.counts[number])
            after = own.stop
            windows = stage.windows(anchors)
            middle = sides[:, None] * windows[..., :2] + low[:, None]
            side = stage.input_size
            first = middle - step[:, own] * ((side - 1) / 2)
            first = (first - origin + 0.5) * scale[:, own] - 0.5
            tick = step[:, own] * scale[:, own]
            crops = _sample(pixels, first, tick, size[:, own], start[:, own], side)
            crops = _standardise(grey(crops) if stage.colour == "grey" else crops)
            kind = next(stage.bank.parameters()).dtype  # may be half precision
            votes = stage.bank(crops.to(kind)).float()
            frames = stage.frames(windows, canvas)
            places = (votes.unflatten(1, (-1, 2)) - 0.5) * (2 * frames[..., 2:]) + frames[..., :2]
            anchors = cast(Tensor, getattr(self, f"fusion{number}")) @ places
            found.append(anchors)
        return torch.stack(found, dim=1) * sides[:, None, None] + low[:, None, None]


def _sample(
    pixels: Tensor, first: Tensor, tick: Tensor, size: Tensor, start: Tensor, side: int
) -> Tensor:
    """Crops by ``FaceCrops``' rule, values from 0 to 255.

    Args:
        pixels: What ``region_pyramid`` returns, (P,).
        first: First sample of each window on its level, px, (F, W, 2).
        tick: Distance of samples, px, (F, W, 2).
        size: Width and height of the level, px, int64, (F, W, 2).
        start: Index of the level's first value, int64, (F, W).
        side: Side S of the crops, px.

    Returns:
        (F, W, 3, S, S).
    """
    ticks = torch.arange(side, device=first.device, dtype=first.dtype)
    last = (size - 1)[..., None]
    grid = first[..., None] + tick[..., None] * ticks  # (F, W, 2, S)
    grid = torch.minimum(grid.clamp_min(0), last.float())
    near = grid.long()
    part = grid - near.float()
    both = torch.stack([near, torch.minimum(near + 1, last)])  # (2, F, W, 2, S)
    width = size[..., :1]
    row = 3 * (width + (width & 1)) * both[..., 1, :] + start[..., None]
    left, right = (3 * both[..., 0, :])[..., None, :].unbind(0)  # (F, W, 1, S)
    # Whole planes are contiguous: broadcasting single rows would take most of the time.
    x, y = (one.expand(-1, -1, side, -1) for one in part[..., None, :].unbind(2))
    y = y.transpose(2, 3)
    a, b = (_values(pixels, row[..., None] + column) for column in (left, right))
    upper, lower = (a + (b - a) * x).unbind(0)
    return (upper + (lower - upper) * y).permute(1, 2, 0, 3, 4)


def _values(pixels: Tensor, index: Tensor) -> Tensor:
    """Red, green and blue at indices (2, F, W, S, S) of red values: (2, 3, F, W, S, S)."""
    channel = torch.arange(3, device=index.device).view(3, 1, 1, 1, 1)
    index = index[:, None] + channel
    return pixels.gather(0, index.flatten()).view(index.shape).float()


def _standardise(crops: Tensor) -> Tensor:
    """``facegeo.landmarks.nets.standardise`` for values up to 255, rows lying as they do."""
    flat = crops.flatten(2)
    flat = flat - flat.mean(dim=2, keepdim=True)
    flat = flat / ((flat * flat).mean(dim=2, keepdim=True).sqrt() + 1e-6 * WHITE)
    return flat.view(crops.shape)


def _level_bounds() -> Tensor:
    """Footprints, px^2, above which a sample belongs to the next level, (LEVELS - 1,).

    Where log2(footprint) / 2, which ``FaceCrops`` rounds, comes to the next whole number: about
    2^(2 l - 1), to the last bit. Exported graphs have other logarithms.
    """
    level = torch.arange(1, LEVELS)[:, None]
    exact = 2.0 ** (2 * level - 1)
    near = (exact.view(torch.int32) + torch.arange(-8, 9, dtype=torch.int32)).view(torch.float32)
    below = (near.log2() / 2).round() < level
    return torch.where(below, near, 0.0).amax(1)


def _fusion(stage: Stage) -> Tensor:
    """Shares of all votes V in the stage's points, (5, V): what ``Stage.fuse`` averages."""
    shares = torch.zeros(POINTS, len(stage.vote_point))
    shares[stage.vote_point[stage.counts], stage.counts] = 1.0
    return shares / shares.sum(dim=1, keepdim=True)


@dataclass(frozen=True)
class StoredPixels:
    """Pixels as ``facegeo.geometry.crops.Pixels`` describes them."""

    pixels: Tensor
    offset: Tensor
    size: Tensor
    origin: Tensor


class StoredCascade(nn.Module):
    """As ``Cascade``, which is not copied, with everything it needs among its inputs."""

    def __init__(self, cascade: Cascade) -> None:
        super().__init__()
        self.graph = CascadeGraph(cascade)  # has the fusion of each stage as a matrix

    def forward(
        self,
        pixels: Tensor,
        offset: Tensor,
        size: Tensor,
        origin: Tensor,
        faces: Tensor,
        frames: Tensor,
        canvas: Tensor,
    ) -> Tensor:
        """Find the points of a batch of faces.

        Args:
            pixels: See ``Pixels``. May be longer than needed, so that photos of many sizes have
                one shape.
            offset: See ``Pixels``.
            size: See ``Pixels``.
            origin: See ``Pixels``.
            faces: Rows of the pixels, see ``FaceCrops``.
            frames: See ``FaceCrops``.
            canvas: Each whole image as a window of the box frame, (B, 4).

        Returns:
            Points after each stage, box frame, (B, T, 5, 2).
        """
        crop = FaceCrops(StoredPixels(pixels, offset, size, origin), faces, frames)
        anchors, found = canvas.new_full((len(canvas), POINTS, 2), 0.5), []
        for number, stage in enumerate(self.graph.cascade.by_name().values()):
            windows = stage.windows(anchors)
            places = from_window(
                stage(crop(windows, stage.input_size)), stage.frames(windows, canvas)
            )
            anchors = cast(Tensor, getattr(self.graph, f"fusion{number}")) @ places
            found.append(anchors)
        return torch.stack(found, dim=1)
