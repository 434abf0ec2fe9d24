"""Face boxes: checks, overlap, and how other boxes become those that the cascade knows.

The cascade was trained with squares of one detector, from the brows to below the mouth. Another
detector's boxes must be moved and scaled first: how much an error there costs stands in
``experiments/ccnn/boxes.md``.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from facegeo.errors import UserError
from facegeo.predict.face import Boxes

MEAN_SHAPE: Final = np.array(
    [[0.2685, 0.2585], [0.7389, 0.2519], [0.5029, 0.5415], [0.3060, 0.7684], [0.7136, 0.7641]]
)
"""Mean points of Sun et al.'s 10,000 training faces in their boxes."""
LARGEST: Final = 10
"""Most that a box may measure, in longer sides of its image."""


@dataclass(frozen=True)
class BoxMapping:
    """Moves and scales a detector's boxes.

    Attributes:
        right: Move of the middle, in widths of the detector's box.
        down: The same, in heights.
        scale: Side of the new square over the mean side of the detector's box.
    """

    right: float
    down: float
    scale: float

    def __call__(self, boxes: npt.NDArray[np.floating]) -> Boxes:
        """Return squares for boxes, both left, right, top, bottom, px, (F, 4)."""
        low, high = boxes[:, 0::2], boxes[:, 1::2]
        middle = (low + high) / 2 + [self.right, self.down] * (high - low)
        half = self.scale * (high - low).mean(axis=1, keepdims=True) / 2
        return _of_corners(middle - half, middle + half)


def box_of_points(points: npt.NDArray[np.floating]) -> Boxes:
    """Return the boxes in which faces with these points would have been trained.

    The square in which the mean shape lies nearest to the points, of their size whatever the
    turn of the head. On Sun et al.'s training faces its overlap with the given box (IoU) is 0.83
    on average.

    Args:
        points: Px, (F, 5, 2).

    Returns:
        Left, right, top, bottom, px, (F, 4).
    """
    middle, shape = points.mean(axis=1), MEAN_SHAPE - MEAN_SHAPE.mean(axis=0)
    spread = np.square(points - middle[:, None]).sum(axis=(1, 2))
    side = np.sqrt(spread / np.square(shape).sum())[:, None]
    low = middle - side * MEAN_SHAPE.mean(axis=0)
    return _of_corners(low, low + side)


def overlap(boxes: Boxes, others: Boxes) -> npt.NDArray[np.float64]:
    """Return intersection over union of all pairs, (F, G), for boxes (F, 4) and (G, 4)."""
    low = np.maximum(boxes[:, None, 0::2], others[None, :, 0::2])
    high = np.minimum(boxes[:, None, 1::2], others[None, :, 1::2])
    both = (high - low).clip(min=0).prod(axis=2)
    areas = [(b[:, 1::2] - b[:, 0::2]).prod(axis=1) for b in (boxes, others)]
    either = np.maximum(areas[0][:, None] + areas[1][None] - both, 1e-12)
    return np.asarray(both / either, np.float64)


def paired_overlap(boxes: Boxes, others: Boxes) -> npt.NDArray[np.float64]:
    """Return intersection over union of boxes (F, 4) and (F, 4), pair by pair, (F,)."""
    shares = [
        overlap(one[None], other[None])[0, 0] for one, other in zip(boxes, others, strict=True)
    ]
    return np.array(shares, np.float64)


def is_inside(boxes: Boxes, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Tell which boxes (F, 4) have their middle in an image and a fit size, (F,).

    They are 2 px wide or more, and no larger than ``LARGEST`` says.
    """
    middle = (boxes[:, 0::2] + boxes[:, 1::2]) / 2
    within = ((middle >= 0) & (middle <= [width - 1, height - 1])).all(axis=1)
    sides = boxes[:, 1::2] - boxes[:, 0::2]
    fit = ((sides >= 2) & (sides <= LARGEST * max(height, width))).all(axis=1)
    return np.asarray(within & fit, np.bool_)


def check_boxes(boxes: npt.ArrayLike, height: int, width: int) -> Boxes:
    """Return boxes as float64 (F, 4); one box (4,) may stand alone.

    Args:
        boxes: Left, right, top, bottom, px.
        height: Of their image, px.
        width: Of their image, px.

    Raises:
        UserError: If a box is empty, not finite, far larger than the image, or its middle lies
            outside.
        ValueError: If the shape is another.
    """
    array = np.asarray(boxes, np.float64)
    if array.size == 0:
        return np.zeros((0, 4))
    array = array[None] if array.ndim == 1 else array
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes must have shape (F, 4) or (4,), got {array.shape}")
    for left, right, top, bottom in array:
        got = f"left {left:g}, right {right:g}, top {top:g}, bottom {bottom:g}"
        if not (right - left >= 2 and bottom - top >= 2 and np.isfinite([right, bottom]).all()):
            raise UserError(f"wanted a box of 2 px or more, left < right, top < bottom; got {got}")
        if max(right - left, bottom - top) > (most := LARGEST * max(height, width)):
            raise UserError(
                f"wanted a box of {most} px or less, {LARGEST} times its image; got {got}"
            )
        if not is_inside(np.array([[left, right, top, bottom]]), height, width).all():
            wanted = f"wanted a box with its middle in the {width} x {height} image"
            raise UserError(f"{wanted}, got {got}")
    return array


def _of_corners(low: npt.NDArray[np.floating], high: npt.NDArray[np.floating]) -> Boxes:
    return np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], axis=1).astype(np.float64)
