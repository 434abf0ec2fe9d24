"""From the frame of a face box, seen turned, flipped and scaled, to the pixels of its image."""

from __future__ import annotations

import torch
from torch import Tensor

from facegeo.geometry.points import FLIP_ORDER


def view_frames(boxes: Tensor, angle: Tensor, flip: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Affine maps from the box frame, as seen after augmentation, to image pixels.

    The face turns counter-clockwise about the box centre by ``angle``, is then mirrored where
    ``flip``, grows by ``scale``, and the box moves by ``shift``.

    Args:
        boxes: left, right, top, bottom, px, (B, 4).
        angle: Radians, (B,).
        flip: Bool, (B,).
        scale: Factor, (B,).
        shift: Box sides, (B, 2).

    Returns:
        (B, 2, 3): pixel = frame @ (u, v, 1).
    """
    low, high = boxes[:, 0::2], boxes[:, 1::2]
    sides, centre = high - low, (low + high) / 2
    cos, sin = torch.cos(angle), torch.sin(angle)
    # y points down, so turning the picture counter-clockwise by a samples it turned clockwise
    # back: source = R(+a) seen, with R(a) = [[cos, -sin], [sin, cos]] in these axes.
    turn: Tensor = torch.stack([cos, -sin, sin, cos], dim=1).unflatten(1, (2, 2))
    mirror = torch.where(flip, -1.0, 1.0)
    turn = turn / scale[:, None, None]
    turn = torch.stack([turn[..., 0] * mirror[:, None], turn[..., 1]], dim=-1)
    linear = turn * sides[:, None, :]
    middle = (linear * (shift[:, None] - 0.5)).sum(-1) + centre
    return torch.cat([linear, middle[..., None]], dim=-1)


def to_frame(points: Tensor, frames: Tensor) -> Tensor:
    """Points (B, K, 2) in image pixels told in the frames' coordinates, (B, K, 2)."""
    offset = points - frames[:, None, :, 2]
    inverse: Tensor = torch.linalg.inv(frames[..., :2])
    return (inverse[:, None] * offset[..., None, :]).sum(-1)


def from_frame(points: Tensor, frames: Tensor) -> Tensor:
    """Points (B, K, 2) of the frames in image pixels, (B, K, 2)."""
    return (frames[:, None, :, :2] * points[..., None, :]).sum(-1) + frames[:, None, :, 2]


def flip_names(points: Tensor, flip: Tensor) -> Tensor:
    """Exchange left and right points, (B, 5, 2), of the samples where ``flip`` (B,)."""
    return torch.where(flip[:, None, None], points[:, list(FLIP_ORDER)], points)
