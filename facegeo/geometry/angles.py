"""The angle between two normal maps."""

import torch
from torch import Tensor


def angle_map(pred: Tensor, target: Tensor) -> Tensor:
    r"""Angle between predicted and true normals at every pixel, in degrees.

    .. math:: e = \operatorname{atan2}(\lVert p \times t \rVert,\; p \cdot t)

    Cas-FNE names the mean angular error; arccos, the usual form, loses half the digits near 0:
    in float32 it knows nothing between 0 and 0.02 degrees.

    Args:
        pred: Predicted normals, shape (..., 3, H, W), any length; halves are taken to float32.
        target: True normals, same shape and frame, any length.

    Returns:
        Degrees in [0, 180], shape (..., 1, H, W); NaN where either has no direction: a vector of
        length zero, NaN or infinity.

    Raises:
        ValueError: If the two shapes differ or hold no vectors.
    """
    if pred.shape != target.shape or pred.ndim < 3 or pred.shape[-3] != 3:
        raise ValueError(
            "pred and target must have one shape (..., 3, H, W), "
            f"got {tuple(pred.shape)} and {tuple(target.shape)}"
        )
    wide = torch.promote_types(torch.promote_types(pred.dtype, target.dtype), torch.float32)
    pred, target = pred.to(wide), target.to(wide)
    sine = torch.linalg.vector_norm(torch.linalg.cross(pred, target, dim=-3), dim=-3, keepdim=True)
    cosine = (pred * target).sum(dim=-3, keepdim=True)
    angle = torch.rad2deg(torch.atan2(sine, cosine))
    return torch.where((sine > 0) | (cosine != 0), angle, torch.nan)
