"""Strengths of lamps, found again in photographs of matt shapes."""

import pytest
import torch
from torch import Tensor

from facegeo.normals.photometric_stereo import LitFace, flash_directions, lamp_strengths, robust

GRID = torch.cartesian_prod(torch.tensor([-60, -30, 0, 30, 60]), torch.tensor([-30, 0, 30]))
DIRECTIONS = flash_directions(*GRID.T)


def shapes() -> list[Tensor]:
    """Normals (3, 40, 40) of balls seen whole, and of ones seen from the side."""
    step = torch.linspace(-0.8, 0.8, 40, dtype=torch.float64)
    found = []
    for right, up in ((0, 0), (0.2, 0.1), (-0.2, 0.1), (0, -0.2)):
        x, y = torch.meshgrid(step + right, step + up, indexing="xy")
        z = (1.5 - x**2 - y**2).clamp_min(0.05).sqrt()
        found.append(torch.nn.functional.normalize(torch.stack([x, -y, z]), dim=0))
    return found


def photographs(strengths: Tensor) -> list[LitFace]:
    faces = []
    for number, normals in enumerate(shapes()):
        lamps = torch.arange(len(DIRECTIONS))[number % 2 :]  # some faces lack the first lamp
        shading = torch.einsum("nk,khw->nhw", DIRECTIONS[lamps], normals).clamp_min(0)
        images = (0.6 * strengths[lamps, None, None] * shading).float()
        usable = torch.ones_like(images, dtype=torch.bool)
        faces.append(LitFace(images, DIRECTIONS[lamps], lamps, usable))
    return faces


def test_strengths_are_recovered_but_for_the_part_that_shapes_explain() -> None:
    logs = torch.randn(len(DIRECTIONS), generator=torch.Generator().manual_seed(0)).double() / 10
    basis = torch.cat([torch.ones(len(DIRECTIONS), 1), DIRECTIONS], dim=1)
    logs -= (basis @ torch.linalg.lstsq(basis, logs[:, None]).solution)[:, 0]
    got = lamp_strengths(photographs(logs.exp()), DIRECTIONS)
    # The robust fit gives each lamp's misfit some weight, so alternation stops a little short.
    torch.testing.assert_close(got, logs.exp(), atol=0.01, rtol=0)


def test_a_lamp_that_no_face_shows_keeps_strength_one() -> None:
    directions = torch.cat([DIRECTIONS, flash_directions(torch.tensor([80]), torch.tensor([0]))])
    got = lamp_strengths(photographs(torch.ones(len(DIRECTIONS))), directions)
    assert got[-1] == 1
    torch.testing.assert_close(got, torch.ones(len(got)).double(), atol=0.003, rtol=0)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="directions must have shape"):
        lamp_strengths([], torch.zeros(4, 2))


def test_saturated_pixels_do_not_bend_the_normals() -> None:
    normals = shapes()[0]
    images = 1.4 * torch.einsum("nk,khw->nhw", DIRECTIONS, normals).clamp_min(0)
    clipped = images.clamp_max(1).float()
    errors = [
        torch.rad2deg(torch.acos((robust(clipped, DIRECTIONS, usable).normals * normals).sum(0)))
        for usable in (None, clipped < 1)
    ]
    assert errors[1].nan_to_num().mean() < 0.1 * errors[0].nan_to_num().mean()
