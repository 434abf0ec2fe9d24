"""Detail of predicted normals on a coarse surface.

Nehab, Rusinkiewicz, Davis and Ramamoorthi, "Efficiently Combining Positions and Normals for Precise
3D Geometry", SIGGRAPH 2005: positions are good where waves are long, normals where they are short,
and one linear least-squares fit takes both. Theirs weighs errors of positions and of tangents; ours
is the same on a height field, with the weight told as a length.
"""

from __future__ import annotations

from facegeo.checks import check_range, check_shape
from facegeo.mesh.integrate import fit_depth
from facegeo.mesh.slopes import Bools, Floats, slopes_of


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
