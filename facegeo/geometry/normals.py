"""Normal maps: unit length, frames, flips, rotations, angles between them.

Inside the package a normal map is (..., 3, H, W), unit vectors, x right in the image, y up,
z to the camera. Files in other frames pass through ``from_frame`` once, when they are read.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from facegeo.checks import check_shape


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


FRAMES: Final[Mapping[str, tuple[tuple[int, int], ...]]] = MappingProxyType(
    {
        "right_up_camera": ((0, 1), (1, 1), (2, 1)),  # ours
        "down_right_camera": ((1, -1), (0, 1), (2, 1)),  # Photoface: MATLAB's row, column
        "right_down_camera": ((0, 1), (1, -1), (2, 1)),  # y as in pixels ("DirectX" green)
    }
)
"""Our axis and its sign that each stored channel takes, by the names of the channels' axes."""
WHITE: Final = 255
LIKE_A_FACE: Final = 0.3
"""Least ``bulge`` of a face in the right frame; generated faces have 0.6 to 0.8."""


def to_frame(normals: Tensor, frame: str) -> Tensor:
    """Convert our normals to another frame; exact, undone by ``from_frame``.

    Args:
        normals: Shape (..., 3, H, W), x right, y up, z to the camera; any length.
        frame: A key of ``FRAMES``.

    Returns:
        The same vectors with channels in that frame, same shape.

    Raises:
        ValueError: If ``frame`` is unknown or the shape is another.
    """
    _check(normals)
    channels = [normals.select(-3, axis) * sign for axis, sign in _axes(frame)]
    return torch.stack(channels, dim=-3)


def from_frame(normals: Tensor, frame: str) -> Tensor:
    """Convert normals from another frame to ours; exact, undone by ``to_frame``.

    Args:
        normals: Shape (..., 3, H, W), channels in ``frame``; any length.
        frame: A key of ``FRAMES``.

    Returns:
        The same vectors, x right, y up, z to the camera, same shape.

    Raises:
        ValueError: If ``frame`` is unknown or the shape is another.
    """
    _check(normals)
    axes = [axis for axis, _ in _axes(frame)]
    stored = [(axes.index(axis), _axes(frame)[axes.index(axis)][1]) for axis in range(3)]
    return torch.stack([normals.select(-3, at) * sign for at, sign in stored], dim=-3)


def encode(normals: Tensor, mask: Tensor | None = None) -> Tensor:
    """Colours of normals: (n + 1) / 2 * 255, rounded; white where there is no face.

    Args:
        normals: Shape (..., 3, H, W), components in [-1, 1]; others are cut off there.
        mask: Face pixels, bool, shape (..., 1, H, W); None colours every pixel.

    Returns:
        RGB, uint8, shape (..., 3, H, W).

    Raises:
        ValueError: If the shapes do not belong together.
    """
    _check(normals)
    colours = ((normals.float().clamp(-1, 1) + 1) / 2 * WHITE).round().to(torch.uint8)
    if mask is None:
        return colours
    check_shape("mask", mask, *normals.shape[:-3], 1, *normals.shape[-2:])
    return torch.where(mask, colours, WHITE)


def decode(colours: Tensor) -> Tensor:
    """Return normals of their colours; off by at most 1/255 a component, so not of unit length.

    Args:
        colours: RGB, uint8, shape (..., 3, H, W).

    Returns:
        2 c / 255 - 1 in [-1, 1], float32, same shape and frame as stored.

    Raises:
        ValueError: If shape or type is another.
    """
    _check(colours)
    if colours.dtype != torch.uint8:
        raise ValueError(f"colours must be uint8 in 0..255, got {colours.dtype}")
    return colours.float() * (2 / WHITE) - 1


def normalise(normals: Tensor, eps: float = 1e-4) -> Tensor:
    """Bring vectors to unit length; those shorter than ``eps`` are divided by ``eps``.

    A zero vector stays zero and has a finite gradient, in halves too.

    Args:
        normals: Shape (..., 3, H, W); halves are taken to float32.
        eps: Least length to divide by.

    Returns:
        The vectors at unit length, same shape, float32 or float64.

    Raises:
        ValueError: If the shape is another.
    """
    _check(normals)
    wide = normals.to(torch.promote_types(normals.dtype, torch.float32))
    return torch.nn.functional.normalize(wide, dim=-3, eps=eps)


def flip(normals: Tensor) -> Tensor:
    """Mirror a map left to right: pixels move and x changes its sign; twice gives the input.

    Args:
        normals: Shape (..., 3, H, W), x right, y up, z to the camera.

    Returns:
        The normals of the mirrored face, same shape and frame.

    Raises:
        ValueError: If the shape is another.
    """
    _check(normals)
    return normals.flip(-1) * normals.new_tensor([-1, 1, 1])[:, None, None]


def rotate_vectors(normals: Tensor, angle: Tensor | float) -> Tensor:
    """Turn the vectors about the camera's axis, counter-clockwise as seen; pixels stay.

    Args:
        normals: Shape (..., 3, H, W), x right, y up, z to the camera.
        angle: Radians: one number, or one a map, shape (B,) for normals of (B, 3, H, W).

    Returns:
        The turned vectors, same shape and frame.

    Raises:
        ValueError: If the shapes do not belong together.
    """
    _check(normals)
    turn = torch.as_tensor(angle, dtype=normals.dtype, device=normals.device)
    if turn.ndim:
        check_shape("angle", turn, *normals.shape[:-3])
    cos, sin = torch.cos(turn)[..., None, None], torch.sin(turn)[..., None, None]
    x, y, z = normals.unbind(-3)
    return torch.stack([cos * x - sin * y, sin * x + cos * y, z], dim=-3)


def scale_relief(normals: Tensor, factor: float) -> Tensor:
    """Normals of a surface whose depth is multiplied; zero vectors stay zero.

    The slopes ``-x / z`` and ``-y / z`` are multiplied by ``factor``: the diagonal case of the
    generalised bas-relief transformation (Belhumeur, Kriegman, Yuille, IJCV 1999).

    Args:
        normals: Shape (..., 3, H, W), x right, y up, z to the camera, any length.
        factor: Of the depth, above 0.

    Returns:
        Unit vectors, same shape and frame.

    Raises:
        ValueError: If the shape is another or ``factor`` is not above 0.
    """
    _check(normals)
    if factor <= 0:
        raise ValueError(f"factor must be above 0, got {factor}")
    return normalise(normals * normals.new_tensor([factor, factor, 1])[:, None, None])


def bulge(normals: Tensor, mask: Tensor) -> float:
    """Correlation of a normal map with that of a ball: is the surface convex to the camera?

    Near 1 for a face; near 0 or below if the light directions were given in another frame.

    Args:
        normals: Shape (3, H, W), x right, y up, z to the camera.
        mask: Face pixels, bool, shape (1, H, W).

    Returns:
        Mean of the correlations of x with the column and of y with the row from below.
    """
    rows, columns = torch.nonzero(mask[0], as_tuple=True)
    x, y = normals[0][mask[0]], normals[1][mask[0]]
    pairs = (torch.stack([x, columns.to(x)]), torch.stack([y, -rows.to(y)]))
    return float(sum(torch.corrcoef(pair)[0, 1].nan_to_num() for pair in pairs) / 2)


def _check(normals: Tensor) -> None:
    if normals.ndim < 3 or normals.shape[-3] != 3:
        raise ValueError(f"normals must have shape (..., 3, H, W), got {tuple(normals.shape)}")


def _axes(frame: str) -> tuple[tuple[int, int], ...]:
    if frame not in FRAMES:
        raise ValueError(f"frame must be one of {', '.join(FRAMES)}; got {frame!r}")
    return FRAMES[frame]
