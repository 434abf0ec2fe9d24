"""Points in windows and windows in the box frame; affine maps from the box frame to pixels.

A window is (cx, cy, hx, hy): centre and half sizes. In the *box frame* (0, 0) is the box's left
top corner and (1, 1) its right bottom one; in a *window's frame* the same holds of the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from facegeo.checks import check_shape

POINT_NAMES: Final = ("LE", "RE", "N", "LM", "RM")
"""Left eye, right eye, nose tip, left and right mouth corner; left as seen in the image."""
FLIP_ORDER: Final = (1, 0, 2, 4, 3)
"""In a mirrored image, point k is the former point ``FLIP_ORDER[k]``: ``p[:, FLIP_ORDER]``."""


def point_errors(pred: Tensor, target: Tensor, width: Tensor) -> Tensor:
    r"""Distance of every point from the truth as a share of the face box's width.

    .. math:: e_{jk} = \lVert p_{jk} - g_{jk} \rVert_2 / w_j

    The test error of CCNN, Section 4; the paper names no divisor, the box width is what its
    figures agree with.

    Args:
        pred: Points found, pixels, shape (B, 5, 2), (x, y); any origin that ``target`` shares.
        target: True points, same shape and frame.
        width: Divisor in pixels, shape (B,): the width of the given face box.

    Returns:
        Errors, shape (B, 5), 0.01 = one per cent of the width. NaN wherever the error is not a
        finite number: a prediction with NaN or infinity in it, or a width of zero.

    Raises:
        ValueError: If the three shapes do not belong together.
    """
    sizes: dict[str, int] = {}
    check_shape("pred", pred, "B", 5, 2, sizes=sizes)
    check_shape("target", target, "B", 5, 2, sizes=sizes)
    check_shape("width", width, "B", sizes=sizes)
    errors = torch.linalg.vector_norm(pred - target, dim=2) / width[:, None]
    return torch.where(errors.isfinite(), errors, torch.nan)


def window_of_region(region: Sequence[float]) -> tuple[float, float, float, float]:
    """Turn a region (x0, x1, y0, y1) into a window (cx, cy, hx, hy), same frame.

    >>> window_of_region((0.0, 1.0, 0.0, 0.5))
    (0.5, 0.25, 0.5, 0.25)
    """
    x0, x1, y0, y1 = region
    if not (x1 > x0 and y1 > y0):
        raise ValueError(f"region must be (x0, x1, y0, y1) with x1 > x0 and y1 > y0, got {region}")
    return (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2


def to_window(points: Tensor, windows: Tensor) -> Tensor:
    """Points in the windows' own frames: formula (9) of the CCNN paper.

    Args:
        points: Box frame, (..., 2).
        windows: Box frame, (..., 4), one for each point.

    Returns:
        Window frame, (..., 2); [0, 1] inside the window, right and bottom edges at 1.
    """
    centre, half = windows[..., :2], windows[..., 2:]
    return (points - centre) / (2 * half) + 0.5


def from_window(points: Tensor, windows: Tensor) -> Tensor:
    """Points of the windows' frames in the box frame, (..., 2): the inverse of ``to_window``."""
    centre, half = windows[..., :2], windows[..., 2:]
    return (points - 0.5) * (2 * half) + centre


def shift(windows: Tensor, offset: Tensor) -> Tensor:
    """Windows moved by ``offset`` (..., 2) box sides: the paper's *shake* (Sec. 3.1.2)."""
    return torch.cat([windows[..., :2] + offset, windows[..., 2:]], dim=-1)


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
    """Points (B, K, 2) in image pixels, expressed in the frames' coordinates, (B, K, 2)."""
    offset = points - frames[:, None, :, 2]
    inverse: Tensor = torch.linalg.inv(frames[..., :2])
    return (inverse[:, None] * offset[..., None, :]).sum(-1)


def from_frame(points: Tensor, frames: Tensor) -> Tensor:
    """Points (B, K, 2) of the frames in image pixels, (B, K, 2)."""
    return (frames[:, None, :, :2] * points[..., None, :]).sum(-1) + frames[:, None, :, 2]


def flip_names(points: Tensor, flip: Tensor) -> Tensor:
    """Exchange left and right points, (B, 5, 2), of the samples where ``flip`` (B,)."""
    return torch.where(flip[:, None, None], points[:, list(FLIP_ORDER)], points)
