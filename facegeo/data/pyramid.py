"""The part of an image round a face, as packed pixels at several sizes."""

from math import ceil, floor

import cv2
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


def source_region(
    box: npt.NDArray[np.float64], margin: float, height: int, width: int
) -> tuple[int, int, int, int]:
    """Whole pixels that cover a box and a margin round it, as far as the image goes.

    Args:
        box: Left, right, top, bottom in pixels, shape (4,); its centre lies in the image.
        margin: Width of the margin on each side, in box sides.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Returns:
        x0, x1, y0, y1: first pixel and the one past the last.
    """
    left, right, top, bottom = (float(edge) for edge in box)
    reach_x, reach_y = margin * (right - left), margin * (bottom - top)
    return (
        max(0, floor(left - reach_x)),
        min(width, ceil(right + reach_x) + 1),
        max(0, floor(top - reach_y)),
        min(height, ceil(bottom + reach_y) + 1),
    )


def level_sizes(height: int, width: int, levels: int) -> list[tuple[int, int]]:
    """Height and width of each level in pixels, halved and rounded up."""
    return [(ceil(height / 2**level), ceil(width / 2**level)) for level in range(levels)]


def pyramid(image: Bytes, levels: int) -> list[npt.NDArray[np.int32]]:
    """Pack an image and halve it again and again.

    A pixel of a level is the mean of 2 x 2 pixels of the level below, rounded; the last row and
    column of an odd size count twice.

    Args:
        image: Red, green, blue, shape (H, W, 3).
        levels: Number of sizes L, the image itself included.

    Returns:
        Packed pixels of each level l, shape (ceil(H / 2^l), ceil(W / 2^l)): red in the lowest
        byte, then green, blue and 255.
    """
    level = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    packed = [_pack(level)]
    for _ in range(levels - 1):
        height, width = level.shape[:2]
        even = level
        if height % 2 or width % 2:
            even = cv2.copyMakeBorder(level, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        half = (even.shape[1] // 2, even.shape[0] // 2)
        level = cv2.resize(even, half, interpolation=cv2.INTER_AREA)
        packed.append(_pack(level))
    return packed


def _pack(rgba: npt.NDArray[np.generic]) -> npt.NDArray[np.int32]:
    return np.ascontiguousarray(rgba).view("<i4")[..., 0]
