"""Depth from normals by weighted least squares; fine shape in depth.

The camera is orthographic: a pixel sees along z, and depth counts in pixels towards the camera.

Both fit the steps of ``slopes`` between neighbouring pixels. On the rectangle the normal equations
are Poisson's with free borders, which the cosine transform solves at once: Frankot and Chellappa,
"A Method for Enforcing Integrability in Shape from Shading Algorithms", PAMI 1988, with the cosines
of Simchony, Chellappa and Shao, "Direct Analytical Methods for Solving Poisson Equations in
Computer Vision Problems", PAMI 1990. What is not face must be invented there: it is flat. Inside a
mask they are a sparse system; how weights and domains are handled in general is surveyed by
Queau, Durou and Aujol, "Normal Integration: A Survey", JMIV 2018.

Nehab, Rusinkiewicz, Davis and Ramamoorthi, "Efficiently Combining Positions and Normals for Precise
3D Geometry", SIGGRAPH 2005: positions are good where waves are long, normals where they are short,
and one linear least-squares fit takes both. Theirs weighs errors of positions and of tangents; ours
is the same on a height field, with the weight given as a length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.fft import dctn, idctn
from scipy.sparse.linalg import spsolve

from facegeo.checks import check_range, check_shape
from facegeo.rendering.mesh import Ints

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
STEEPEST: Final = 0.1
"""Least z of a normal that is divided by: slopes end at 84 degrees."""


@dataclass(frozen=True)
class Slopes:
    """Wanted differences of depth between neighbours, in pixels.

    Attributes:
        trust: In the slope at each pixel, in (0, 1], shape (H, W).
        right: depth[:, 1:] - depth[:, :-1], shape (H, W - 1).
        down: depth[1:] - depth[:-1], shape (H - 1, W).
        right_trust: In ``right``, in (0, 1], same shape.
        down_trust: In ``down``, in (0, 1], same shape.
    """

    trust: Floats
    right: Floats
    down: Floats
    right_trust: Floats
    down_trust: Floats


def slopes_of(normals: Floats) -> Slopes:
    """Return the steps between neighbours: means of the slopes at both ends.

    Slope is tan of the angle to the camera's axis, so an error of the angle weighs 1 / z^2 in it:
    trust is the inverse of the variance that equal errors of the angles give, with 1 where both
    normals look at the camera.

    Args:
        normals: Unit vectors, shape (H, W, 3), x right, y up, z to the camera. A vector without
            length says nothing: trust there is next to none, and the surface stays smooth.

    Raises:
        ValueError: If the shape is another.
    """
    check_shape("normals", normals, "H", "W", 3)
    x, y, z = np.moveaxis(normals.astype(np.float64), 2, 0)
    toward = np.maximum(z, STEEPEST)
    right, down, variance = -x / toward, y / toward, toward**-4
    return Slopes(
        trust=1 / variance,
        right=(right[:, 1:] + right[:, :-1]) / 2,
        down=(down[1:] + down[:-1]) / 2,
        right_trust=2 / (variance[:, 1:] + variance[:, :-1]),
        down_trust=2 / (variance[1:] + variance[:-1]),
    )


METHODS: Final = ("dct", "weighted")
RIDGE: Final = 1e-9
"""Pull towards depth 0: each piece of the mask gets mean depth 0, and nothing else changes."""


def integrate(normals: Floats, mask: Bools, method: str = "weighted") -> Floats:
    """Return the depth whose normals come nearest to those given, up to its unknown offset.

    Args:
        normals: Unit vectors, shape (H, W, 3), x right, y up, z to the camera.
        mask: Face pixels, bool, shape (H, W).
        method: ``dct`` takes the whole rectangle, flat outside the mask, every step alike: fast,
            and bent near the mask's border. ``weighted`` takes the mask alone and trusts grazing
            normals little; pieces that do not touch have an offset each.

    Returns:
        Depth in pixels, larger nearer to the camera, shape (H, W), float32; mean 0 over the mask
        (``weighted``: over each of its pieces) and NaN outside.

    Raises:
        ValueError: If the shapes do not belong together or there is no such method.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    check_shape("normals", normals, "H", "W", 3)
    check_shape("mask", mask, *normals.shape[:2])
    if not mask.any():
        return np.full(mask.shape, np.nan, dtype=np.float32)
    flat = np.where(mask[..., None], normals, (0.0, 0.0, 1.0))
    slopes = slopes_of(flat)
    if method == "weighted":
        level = np.zeros(mask.shape)
        return fit_depth(slopes, mask, level, level + RIDGE)
    depth = _on_rectangle(slopes)
    return np.where(mask, depth - depth[mask].mean(), np.nan).astype(np.float32)


def fit_depth(slopes: Slopes, mask: Bools, start: Floats, pull: Floats) -> Floats:
    """Minimise trust * (step - wanted step)^2 + pull * (depth - start)^2 inside a mask.

    Args:
        slopes: Wanted steps of (H, W) pixels.
        mask: Pixels to solve for, bool, shape (H, W).
        start: Depth to stay near, pixels, shape (H, W); read inside the mask only.
        pull: Strength of the second term, > 0, shape (H, W).

    Returns:
        Depth in pixels, shape (H, W), float32; NaN outside the mask.
    """
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(mask.sum())
    ends, wanted, trusts = [], [], []
    for step, trust, before, after in (
        (slopes.right, slopes.right_trust, number[:, :-1], number[:, 1:]),
        (slopes.down, slopes.down_trust, number[:-1], number[1:]),
    ):
        inside = (before >= 0) & (after >= 0)
        ends.append(np.stack([before[inside], after[inside]]))
        wanted.append(step[inside])
        trusts.append(trust[inside])
    steps = _differences(np.concatenate(ends, axis=1), mask.sum())
    weighted = steps.multiply(np.concatenate(trusts)[:, None]).T.tocsr()
    square = weighted @ steps + sparse.diags_array(pull[mask])
    aim = weighted @ np.concatenate(wanted) + pull[mask] * start[mask]
    depth = np.full(mask.shape, np.nan, dtype=np.float32)
    depth[mask] = spsolve(square.tocsc(), aim)
    return depth


def _differences(ends: Ints, count: int) -> sparse.csr_array:
    """Return the matrix that takes ``count`` depths to the steps between ``ends``, (2, E)."""
    steps = np.arange(ends.shape[1])
    signs = np.repeat([-1.0, 1.0], len(steps))
    places = (np.tile(steps, 2), ends.ravel())
    return sparse.csr_array((signs, places), shape=(len(steps), count))


def _on_rectangle(slopes: Slopes) -> Floats:
    """Depth of unweighted least squares on all pixels, shape (H, W)."""
    height, width = len(slopes.right), slopes.down.shape[1]
    excess = np.zeros((height, width))
    for step, axis in ((slopes.right, 1), (slopes.down, 0)):
        excess += -np.diff(step, axis=axis, prepend=0, append=0)
    rows, columns = (2 - 2 * np.cos(np.pi * np.arange(n) / n) for n in (height, width))
    curvature = rows[:, None] + columns
    curvature[0, 0] = 1.0  # of the mean, which is free
    depth: Floats = idctn(dctn(excess, norm="ortho") / curvature, norm="ortho")
    return depth


def transfer_detail(depth: Floats, normals: Floats, mask: Bools, scale_px: float) -> Floats:
    """Refine a coarse depth so that it has the given normals; long waves stay as they are.

    A wave of length l keeps the share 1 / (1 + (2 pi scale / l)^2) of its coarse height and takes
    the rest from the normals. Where normals graze, both are trusted less alike.

    Args:
        depth: Coarse depth in pixels, larger nearer to the camera, shape (H, W), finite in the
            mask: a smooth head fitted to the photo, say, drawn from the camera.
        normals: Unit vectors, shape (H, W, 3), x right, y up, z to the camera.
        mask: Pixels to refine, bool, shape (H, W).
        scale_px: Half of a wave 2 pi times as long as this comes from the coarse depth, pixels.

    Returns:
        Depth in pixels, shape (H, W), float32, NaN outside the mask.

    Raises:
        ValueError: If the shapes do not belong together, or ``scale_px`` is below 0.1.
    """
    check_range("scale_px", scale_px, 0.1)
    check_shape("depth", depth, "H", "W")
    check_shape("normals", normals, *depth.shape, 3)
    check_shape("mask", mask, *depth.shape)
    slopes = slopes_of(normals)
    return fit_depth(slopes, mask, depth, slopes.trust / scale_px**2)
