"""Strengths of lamps that lit many faces in turn, from the photographs themselves."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from facegeo.checks import check_shape
from facegeo.geometry.light import directional_shading
from facegeo.geometry.photometric_stereo import robust

ROUNDS = 8
"""Alternations; the last changes no strength by more than 0.001."""
FACING = 0.3
"""Least cosine between normal and light of the pixels that judge a lamp's strength."""
FEWEST = 100
"""Pixels of a face that may judge a lamp, at least."""


@dataclass(frozen=True)
class LitFace:
    """Photographs of one face.

    Attributes:
        images: Linear in light, in [0, 1], shape (N, H, W).
        lights: Unit vectors towards the lamps, shape (N, 3).
        lamps: Which lamp each photograph was taken with, int64, shape (N,).
        usable: Pixels that are not saturated, bool, shape (N, H, W).
    """

    images: Tensor
    lights: Tensor
    lamps: Tensor
    usable: Tensor


def lamp_strengths(faces: Sequence[LitFace], directions: Tensor) -> Tensor:
    """Estimate how bright each lamp is, from all faces together.

    Alternates between ``robust`` for each face and, for each lamp, the median over faces of the
    median ratio of measured to predicted light over lit pixels. Logarithms of strengths that are a
    linear function of the direction look like another shape of all faces (stronger lamps on the
    right like faces turned to the right), so that part is set to zero; our choice.

    Args:
        faces: At least one.
        directions: Unit vectors towards the lamps, shape (L, 3).

    Returns:
        Strengths, about 1, float64, shape (L,); 1 for lamps that no face shows.

    Raises:
        ValueError: If the shapes do not belong together, or a face has too few lights.
    """
    check_shape("directions", directions, "L", 3)
    logs = torch.zeros(len(directions), dtype=torch.float64)
    basis = torch.cat([torch.ones(len(directions), 1), directions], dim=1).double()
    seen = torch.zeros(len(directions), dtype=torch.bool)
    for _ in range(ROUNDS):
        ratios = torch.stack([_ratios(face, logs.exp()) for face in faces])
        step = ratios.nanmedian(dim=0).values
        seen = step.isfinite()
        logs[seen] += step[seen].log()
        fit = torch.linalg.lstsq(basis[seen], logs[seen, None], driver="gelsd").solution
        logs[seen] -= (basis[seen] @ fit)[:, 0]
    return logs.exp()


def _ratios(face: LitFace, strengths: Tensor) -> Tensor:
    """Median measured over predicted light of each lamp, (L,); NaN where few pixels are lit."""
    lights = face.lights * strengths[face.lamps, None]
    surface = robust(face.images, lights, face.usable)
    shading = directional_shading(surface.normals, lights)
    known = surface.lit & face.usable & (shading > FACING)
    ratio = face.images / (shading * surface.albedo).clamp_min(1e-9)
    found = strengths.new_full((len(strengths),), torch.nan)
    for image, lamp in enumerate(face.lamps.tolist()):
        if known[image].sum() >= FEWEST:
            found[lamp] = ratio[image][known[image]].double().median()
    return found
