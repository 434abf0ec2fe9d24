"""The five points of a face: their order, their mirror order, and how far a guess is off."""

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
