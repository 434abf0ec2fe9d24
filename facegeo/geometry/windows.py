"""Windows: upright rectangles in the frame of the face box, where every CCNN net looks.

A window is (cx, cy, hx, hy): centre and half sizes. In the *box frame* (0, 0) is the box's left
top corner and (1, 1) its right bottom one; in a *window's frame* the same holds of the window.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


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
