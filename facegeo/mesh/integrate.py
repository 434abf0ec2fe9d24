"""Depth whose normals are given: least squares on the rectangle, or inside a mask alone.

Both fit the steps of ``slopes`` between neighbouring pixels. On the rectangle the normal equations
are Poisson's with free borders, which the cosine transform solves at once: Frankot and Chellappa,
"A Method for Enforcing Integrability in Shape from Shading Algorithms", PAMI 1988, with the cosines
of Simchony, Chellappa and Shao, "Direct Analytical Methods for Solving Poisson Equations in
Computer Vision Problems", PAMI 1990. What is not face must be invented there: it is flat. Inside a
mask they are a sparse system; how weights and domains are handled in general is surveyed by
Queau, Durou and Aujol, "Normal Integration: A Survey", JMIV 2018.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import sparse
from scipy.fft import dctn, idctn
from scipy.sparse.linalg import spsolve

from facegeo.checks import check_shape
from facegeo.mesh.slopes import Bools, Floats, Slopes, slopes_of
from facegeo.synthetic.head_model import Ints

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
