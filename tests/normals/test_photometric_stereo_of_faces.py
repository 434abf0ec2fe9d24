"""Photometric stereo of faces: rendered ones, whose normals are known, and two real ones."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from facegeo.geometry.normals import angle_map
from facegeo.normals.photometric_stereo import Surface, least_squares, light_directions, robust
from facegeo.rendering.order import Purpose
from facegeo.rendering.studio import Session, Studio, photograph_session

REAL = os.environ.get("FACEGEO_PHOTOMETRIC", "")
FITS = {"plain": least_squares, "robust": robust}
SETS = [
    [(-35, 15), (35, 15), (-20, -40), (20, -40)],
    [(-50, 0), (50, 0), (0, 45), (0, -35)],
    [(-15, 20), (15, 20), (-35, -20), (35, -20)],
    [(-60, 20), (60, 20), (-50, -40), (50, -40)],
    [(-35, 40), (35, 40), (-35, -20), (35, -20)],
    [(-60, 20), (60, 20), (0, 45), (0, -20)],
]
"""Four lights of the real faces each: azimuth and elevation, degrees; the nearest are taken."""
CLASSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "all four lights reach it": lambda behind, hidden: behind + hidden == 0,
    "one light is behind the surface": lambda behind, hidden: (behind == 1) & (hidden == 0),
    "one light is hidden": lambda behind, hidden: (behind == 0) & (hidden == 1),
    "two lights or more are lost": lambda behind, hidden: behind + hidden > 1,
}
"""Kinds of pixels, by how many lights are behind the surface and how many hidden."""


def error(surface: Surface, normals: Tensor, mask: Tensor) -> Tensor:
    return angle_map(surface.normals, normals)[mask]


def tensors(session: Session) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Photographs (4, H, W), lights (4, 3), true normals (3, H, W) and mask (1, H, W)."""
    zenith, azimuth = torch.tensor(session.angles_deg, dtype=torch.float64).T
    images = torch.from_numpy(np.stack(session.images)).float().mean(-1) / 255
    normals = torch.from_numpy(session.render.normals).permute(2, 0, 1).float()
    mask = torch.from_numpy(session.render.mask)[None]
    return images, light_directions(zenith, azimuth), normals, mask


@pytest.fixture(scope="module")
def rendered() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return tensors(photograph_session(Studio("anny"), (1, 0), (2, 0), 96))


def test_a_rendered_face_with_shadows_and_shine(
    rendered: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    images, lights, normals, mask = rendered
    plain = error(least_squares(images, lights), normals, mask)
    surface = robust(images, lights)
    ours = error(surface, normals, mask)
    kept = error(surface, normals, mask & surface.valid)
    assert ours.mean() < 0.75 * plain.mean()
    assert kept.mean() < 2.5
    assert (mask & surface.valid).sum() > 0.75 * mask.sum()


def test_a_rendered_face_from_its_own_normals_has_no_error_where_three_lights_reach(
    rendered: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    """The same face without cast shadows, shine, skin colour and noise."""
    _, lights, normals, mask = rendered
    shading = torch.einsum("nk,khw->nhw", lights.float(), normals)
    surface = robust(0.6 * shading.clamp_min(0), lights)
    reached = mask & ((shading > 0.15).sum(0) >= 3)
    assert error(surface, normals, reached).mean() < 0.3


@pytest.mark.slow
def test_classes_of_pixels() -> None:
    """Eight sessions of four people, those of facegeo-render with seed 3, with shadows."""
    with_shadows, without = Studio("anny"), Studio("anny", shadows=False)
    losses, errors = [], []
    for number in range(8):
        keys = (Purpose.PERSON, 0, number // 2, 3), (Purpose.SESSION, 0, number, 3)
        images, lights, normals, mask = tensors(photograph_session(with_shadows, *keys, 128))
        unhidden = tensors(photograph_session(without, *keys, 128))[0]
        behind = torch.einsum("nk,khw->nhw", lights.float(), normals) <= 0
        hidden = (unhidden - images > 0.05) & ~behind  # 12 times the grain
        losses.append(torch.stack([behind.sum(0), hidden.sum(0)])[:, mask[0]])
        errors.append(
            torch.stack([error(fit(images, lights), normals, mask) for fit in FITS.values()])
        )
    lost, degrees = torch.cat(losses, 1), torch.cat(errors, 1)
    means = {}
    for name, belongs in CLASSES.items():
        chosen = belongs(*lost)
        plain, ours = means[name] = degrees[:, chosen].mean(1)
        share = 100 * chosen.float().mean()
        print(f"{name}: {share:.1f} % of the pixels, plain {plain:.2f} deg, robust {ours:.2f}")
    for name in ("one light is behind the surface", "one light is hidden"):
        plain, ours = means[name]
        assert ours < 0.5 * plain


def ellipse(height: int, width: int) -> Tensor:
    """Pixels of an ellipse about the middle with half axes of 0.42 widths and 0.46 heights."""
    x = (torch.arange(width) - (width - 1) / 2) / (0.42 * width)
    y = (torch.arange(height) - (height - 1) / 2) / (0.46 * height)
    return (x**2 + y[:, None] ** 2 < 1)[None]


def real(
    subject: str, wanted: list[tuple[int, int]]
) -> tuple[dict[str, Surface], Tensor, Tensor, Tensor]:
    """Fits to four photographs; normals of 64 lights, face mask, and where normals are known."""
    with np.load(REAL) as data:
        angles = data[f"{subject}_azimuth_elevation_deg"]
        chosen = [int(((angles - each) ** 2).sum(1).argmin()) for each in wanted]
        images = torch.from_numpy(data[f"{subject}_images"][chosen]).float() / 255
        lights = torch.from_numpy(data[f"{subject}_light_dirs"][chosen]).double()
        normals = torch.from_numpy(data[f"{subject}_ref_normals"]).permute(2, 0, 1).float()
        mask = torch.from_numpy(data[f"{subject}_mask"])[None]
    known = normals.norm(dim=0)[None] > 0.5
    fits = {name: fit(images, lights) for name, fit in FITS.items()}
    return fits, normals, mask & known, known


with_real_faces = pytest.mark.skipif(
    not Path(REAL).is_file(),
    reason="two subjects of Extended Yale B: set FACEGEO_PHOTOMETRIC to the npz file",
)


@with_real_faces
@pytest.mark.parametrize(
    ("subject", "plain_deg", "robust_deg"), [("yaleB01", 6.5, 5.9), ("yaleB02", 5.6, 5.3)]
)
def test_real_faces(subject: str, plain_deg: float, robust_deg: float) -> None:
    """Four lights against the normals that 64 lights give, inside the subject's face mask."""
    fits, normals, mask, known = real(subject, SETS[0])
    lit = mask & fits["robust"].lit.all(0)
    print(f"{subject}: four lights reach {100 * lit.sum() / mask.sum():.1f} % of the mask")
    regions = {"mask": mask, "ellipse": ellipse(*known.shape[1:]) & known, "four lights": lit}
    for region, pixels in regions.items():
        for name, surface in fits.items():
            degrees = error(surface, normals, pixels)
            below = 100 * (degrees < 30).float().mean()
            print(
                f"{subject}, {region}, {name}: mean {degrees.mean():.2f}, median "
                f"{degrees.median():.2f} deg, below 30 deg {below:.2f} %"
            )
    plain, ours = (error(surface, normals, mask) for surface in fits.values())
    assert plain.mean() < plain_deg
    assert ours.mean() < min(robust_deg, 0.97 * float(plain.mean()))
    assert (ours < 30).float().mean() > (plain < 30).float().mean()


@with_real_faces
@pytest.mark.parametrize("lights", SETS[1:])
def test_real_faces_under_other_lights(lights: list[tuple[int, int]]) -> None:
    for subject in ("yaleB01", "yaleB02"):
        fits, normals, mask, _ = real(subject, lights)
        plain, ours = (error(surface, normals, mask).mean() for surface in fits.values())
        print(f"{lights}, {subject}: robust / plain {ours / plain:.2f}")
        assert ours < 1.15 * plain
