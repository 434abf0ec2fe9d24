"""Photometric stereo and strengths of lamps, for shapes whose normals are known."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from facegeo.geometry.normals import angle_map
from facegeo.normals.photometric_stereo import (
    LitFace,
    Surface,
    check_lights,
    colour_albedo,
    flash_directions,
    lamp_strengths,
    least_squares,
    light_directions,
    robust,
)

ZENITH, AZIMUTH = [38.0, 38, 33, 33], [42.0, 138, 222, 318]
BOOTH = light_directions(torch.tensor(ZENITH), torch.tensor(AZIMUTH))
RING = light_directions(torch.full((7,), 35.0), torch.arange(7) * 360.0 / 7)
FAN = torch.tensor([[0.0, 0, 1], [0.5, 0, 0.866], [-0.5, 0, 0.866], [0, 0.5, 0.866]]).double()
"""The first three lie in one plane."""

Fit = Callable[[Tensor, Tensor], Surface]


def ball(least_z: float, size: int = 48) -> tuple[Tensor, Tensor]:
    """Normals (3, H, W) of a ball's front, and where their z exceeds a bound, (1, H, W)."""
    step = (torch.arange(size) + 0.5) / size * 2 - 1
    x, y = step[None, :].expand(size, size), -step[:, None].expand(size, size)
    normals = torch.stack([x, y, (1 - x**2 - y**2).clamp_min(0).sqrt()])
    return normals, normals[2:] > least_z


def photographs(normals: Tensor, lights: Tensor, albedo: float = 0.6) -> Tensor:
    return albedo * torch.einsum("nk,khw->nhw", lights.float(), normals).clamp_min(0)


def error(surface: Surface, normals: Tensor, mask: Tensor) -> Tensor:
    return angle_map(surface.normals, normals)[mask]


def test_directions_of_lights_worked_out_by_hand() -> None:
    got = light_directions(torch.tensor([0.0, 90, 90, 45]), torch.tensor([77.0, 0, 90, 180]))
    half = 0.5**0.5
    wanted = torch.tensor([[0, 0, 1], [1, 0, 0], [0, 1, 0], [-half, 0, half]], dtype=torch.float64)
    torch.testing.assert_close(got, wanted, atol=1e-7, rtol=0)
    azimuth, elevation = torch.tensor([0, 90, -90, 0, 45]), torch.tensor([0, 0, 0, 90, 0])
    wanted = [[0, 0, 1], [-1, 0, 0], [1, 0, 0], [0, 1, 0], [-half, 0, half]]
    got = flash_directions(azimuth, elevation)
    torch.testing.assert_close(got, torch.tensor(wanted, dtype=torch.float64))


def test_a_ball_lit_from_the_left_is_bright_on_its_left_and_faces_left_there() -> None:
    """Written without the code's conventions: columns count from the left."""
    left = torch.zeros(4, 9, 9)
    left[2, :, :4] = left[1, :, :4] = 0.8  # the lights with azimuths 138 and 222
    left[0, :, :4] = left[3, :, :4] = 0.4
    surface = robust(left, BOOTH)
    assert (surface.normals[0, :, :4] < -0.2).all()


@pytest.mark.parametrize("fit", [least_squares, robust])
@pytest.mark.parametrize("lights", [BOOTH[:3], BOOTH, FAN, RING], ids=["3", "4", "fan", "7"])
def test_without_shadows_normals_and_albedo_are_exact(fit: Fit, lights: Tensor) -> None:
    normals, mask = ball(0.85)
    surface = fit(photographs(normals, lights), lights)
    assert error(surface, normals, mask).max() < 0.02
    torch.testing.assert_close(surface.albedo[mask[0]], torch.tensor(0.6).expand(int(mask.sum())))
    assert surface.valid[mask[0]].all()
    assert surface.lit[:, mask[0]].all()


@pytest.mark.parametrize("lights", [BOOTH, RING], ids=["4", "7"])
def test_a_light_behind_the_surface_does_not_count(lights: Tensor) -> None:
    normals, _ = ball(0.3)
    shading = torch.einsum("nk,khw->nhw", lights.float(), normals)
    behind, lit = shading <= -0.05, shading > 0.12
    some_behind = behind.any(0) & (behind | lit).all(0) & (lit.sum(0) >= 3)
    images = photographs(normals, lights)
    assert error(least_squares(images, lights), normals, some_behind[None]).mean() > 1.5
    surface = robust(images, lights)
    assert error(surface, normals, some_behind[None]).max() < 0.3
    assert torch.equal(surface.lit[:, some_behind], lit[:, some_behind])


@pytest.mark.parametrize("lights", [BOOTH, RING], ids=["4", "7"])
@pytest.mark.parametrize("odd", range(4))
def test_a_cast_shadow_does_not_count(lights: Tensor, odd: int) -> None:
    normals, mask = ball(0.9)
    images = photographs(normals, lights)
    images[odd] *= 0.03
    assert error(least_squares(images, lights), normals, mask).mean() > 5
    surface = robust(images, lights)
    assert error(surface, normals, mask).max() < 0.3
    assert not surface.lit[odd, mask[0]].any()
    assert surface.valid[mask[0]].all()


@pytest.mark.parametrize("lights", [BOOTH, RING], ids=["4", "7"])
@pytest.mark.parametrize("odd", range(4))
def test_a_highlight_does_not_count(lights: Tensor, odd: int) -> None:
    mirror = torch.nn.functional.normalize(lights + torch.tensor([0.0, 0, 1]), dim=1).float()
    normals, front = ball(0.5)
    shine = 0.4 * torch.exp((torch.einsum("k,khw->hw", mirror[odd], normals) - 1) / 0.01)
    images = photographs(normals, lights, 0.5)
    images[odd] += shine
    spot = (shine > 0.2) & front
    assert error(least_squares(images, lights), normals, spot).mean() > 7
    assert (
        error(robust(images, lights), normals, spot).mean() < 2
    )  # the spot's rim is the hard part


def test_where_two_lights_are_hidden_the_pixel_is_not_valid() -> None:
    normals, mask = ball(0.9)
    images = photographs(normals, BOOTH)
    images[:2] *= 0.01
    assert not robust(images, BOOTH).valid[mask[0]].any()


def test_no_normal_points_away_from_the_camera() -> None:
    draw = torch.Generator().manual_seed(0)
    shown = torch.rand(4, 60, 60, generator=draw) > 0.5
    surface = robust(torch.rand(4, 60, 60, generator=draw) * shown, BOOTH)
    assert surface.normals[2, shown.sum(0) >= 2].min() > 0.15


def test_explanations_as_likely_as_each_other_are_averaged() -> None:
    """Two opposite photographs are too bright: the highlight is in one of them."""
    lights = light_directions(torch.full((4,), 35.0), torch.tensor([45.0, 135, 225, 315]))
    surface = robust(torch.tensor([0.9, 0.5, 0.9, 0.5])[:, None, None], lights)
    torch.testing.assert_close(surface.normals[:, 0, 0], torch.tensor([0.0, 0, 1]))


def test_black_pixels_have_no_normal_and_nothing_is_nan() -> None:
    for fit in (least_squares, robust):
        surface = fit(torch.zeros(4, 2, 2), BOOTH)
        assert surface.normals.abs().sum() == 0
        assert not surface.valid.any()
        assert surface.albedo.isfinite().all()


def test_noise_in_the_dark_is_not_valid() -> None:
    noise = 0.01 * torch.rand(4, 20, 20, generator=torch.Generator().manual_seed(0))
    assert not robust(noise, BOOTH).valid.any()


def test_pixels_do_not_know_their_neighbours() -> None:
    normals, _ = ball(0.3)
    images = photographs(normals, BOOTH)
    whole, part = robust(images, BOOTH), robust(images[:, 5:20, 7:30], BOOTH)
    torch.testing.assert_close(part.normals, whole.normals[:, 5:20, 7:30])


def test_albedo_of_each_channel_comes_from_the_lit_photographs() -> None:
    normals, mask = ball(0.9)
    colours = torch.tensor([0.7, 0.5, 0.3])
    images = photographs(normals, BOOTH, 1.0)[:, None] * colours[:, None, None]
    images[2] *= 0.02
    surface = robust(images.mean(1), BOOTH)
    albedo = colour_albedo(images, BOOTH, surface)[:, mask[0]]
    torch.testing.assert_close(albedo, colours[:, None].expand_as(albedo), atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("lights", "message"),
    [
        (BOOTH[:2], "needs at least 3 lights, got 2"),
        (torch.tensor([[0.0, 0, 1], [0.6, 0, 0.8], [-0.6, 0, 0.8], [0.8, 0, 0.6]]), "one plane"),
        (torch.tensor([[0, 0.02, 1.0], [0.6, 0, 0.8], [-0.6, 0, 0.8]]), "one plane.*got 1[0-9]{2}"),
        (torch.ones(4, 3), "one plane"),
        (torch.full((4, 3), torch.nan), "one plane"),
        (torch.ones(4, 2), r"lights must have shape \(N, 3\), got \(4, 2\)"),
    ],
    ids=["two", "fan", "near", "one", "nan", "shape"],
)
def test_lights_that_leave_the_normal_open_are_refused(lights: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_lights(lights)


def test_images_and_lights_must_belong_together() -> None:
    with pytest.raises(ValueError, match=r"lights must have shape \(3, 3\), got \(4, 3\)"):
        robust(torch.zeros(3, 2, 2), BOOTH)
    with pytest.raises(ValueError, match="at least 3 lights, got 2"):
        least_squares(torch.zeros(2, 2, 2), BOOTH[:2])


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


def lit_faces(strengths: Tensor) -> list[LitFace]:
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
    got = lamp_strengths(lit_faces(logs.exp()), DIRECTIONS)
    # The robust fit gives each lamp's misfit some weight, so alternation stops a little short.
    torch.testing.assert_close(got, logs.exp(), atol=0.01, rtol=0)


def test_a_lamp_that_no_face_shows_keeps_strength_one() -> None:
    directions = torch.cat([DIRECTIONS, flash_directions(torch.tensor([80]), torch.tensor([0]))])
    got = lamp_strengths(lit_faces(torch.ones(len(DIRECTIONS))), directions)
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
