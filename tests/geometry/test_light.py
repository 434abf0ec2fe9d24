"""Light against physics: lit balls, integrals over the sphere, known skin."""

import math

import pytest
import torch
from torch import Tensor

from facegeo.geometry.light import (
    LIGHTS,
    directional_shading,
    fit_light,
    harmonic_shading,
    harmonics,
    photo_shading,
    to_linear,
    to_srgb,
)

SKIN = torch.tensor([0.6, 0.42, 0.33]).view(1, 3, 1, 1)
ROOM = torch.tensor([2.0, 0.3, 0.8, -0.5, 0.1, 0.05, 0.2, -0.1, 0.1])


def ball(size: int = 65) -> tuple[Tensor, Tensor]:
    """Normals (1, 3, S, S) of a ball that fills the image, and its mask (1, 1, S, S)."""
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    x, y = (column / (size - 1)) * 2 - 1, 1 - (row / (size - 1)) * 2
    mask = (x**2 + y**2 < 0.95)[None, None]
    z = (1 - x**2 - y**2).clamp(min=0).sqrt()
    return torch.stack([x, y, z])[None] * mask, mask


def directions(count: int = 20_000) -> Tensor:
    """Evenly spread directions (3, N, 1): a Fibonacci spiral on the sphere."""
    k = torch.arange(count, dtype=torch.float64) + 0.5
    z, turn = 1 - 2 * k / count, math.pi * (1 + 5**0.5) * k
    ring = (1 - z * z).sqrt()
    return torch.stack([ring * turn.cos(), ring * turn.sin(), z])[..., None]


def directional_harmonics(direction: Tensor) -> Tensor:
    """Coefficients (9,) of a distant light from ``direction`` (3,)."""
    return torch.pi * harmonics(direction[..., None, None])[..., 0, 0]


def albedo_of(photo: Tensor, normals: Tensor, mask: Tensor) -> Tensor:
    """Colour of the skin, (B, 3, H, W), if ``photo_shading`` is right."""
    return (photo / photo_shading(photo, normals, mask)).clamp(0, 1).where(mask, 0)


@pytest.mark.parametrize(
    ("name", "bright"),
    [("left", "left"), ("right", "right"), ("above", "top"), ("below", "bottom")],
)
@pytest.mark.parametrize("kind", ["directional", "harmonic"])
def test_a_ball_is_bright_on_the_side_of_its_light(name: str, bright: str, kind: str) -> None:
    normals, mask = ball()
    light = torch.tensor(LIGHTS[name])
    lambert = directional_shading(normals, light[None])
    shading = (
        lambert
        if kind == "directional"
        else harmonic_shading(normals, directional_harmonics(light))
    )[0, 0] * mask[0, 0]
    half = {
        "left": (slice(None), slice(0, 32)),
        "right": (slice(None), slice(33, None)),
        "top": (slice(0, 32), slice(None)),
        "bottom": (slice(33, None), slice(None)),
    }
    means = {side: shading[place].mean().item() for side, place in half.items()}
    assert max(means, key=lambda side: means[side]) == bright
    assert means[bright] > 1.5 * min(means.values())


def test_lights_are_unit_vectors_and_each_gets_its_own_map() -> None:
    lights = torch.tensor(list(LIGHTS.values()))
    torch.testing.assert_close(lights.norm(dim=1), torch.ones(len(LIGHTS)))
    facing = torch.tensor([0.0, 0, 1]).view(1, 3, 1, 1)
    got = directional_shading(facing, 2 * lights).flatten()
    torch.testing.assert_close(got, 2 * lights[:, 2])


def test_nothing_is_lit_from_behind() -> None:
    facing = torch.tensor([0.0, 0, 1]).view(3, 1, 1)
    assert directional_shading(facing, torch.tensor([[0.0, 0.6, -0.8]])).item() == 0
    behind = directional_harmonics(torch.tensor([0.0, 0.85, -0.53]))
    assert harmonic_shading(facing, behind).item() == 0  # the series itself is at -0.04 here


def test_harmonics_are_orthonormal_over_the_sphere() -> None:
    basis = harmonics(directions())[..., 0]
    # 1e-4: the spiral's own error with 20,000 directions
    torch.testing.assert_close(
        4 * math.pi * (basis @ basis.T) / basis.shape[1], torch.eye(9).double(), rtol=0, atol=1e-4
    )


def test_shading_is_the_integral_of_light_over_the_hemisphere() -> None:
    sky = directions()[..., 0]  # (3, N)
    x, y, z = sky
    radiance = 1 + 0.5 * y - 0.3 * x * z + 0.2 * (x * x - y * y)  # nothing above second order
    weights = 4 * math.pi / sky.shape[1]
    light = (harmonics(sky[..., None])[..., 0] * radiance).sum(dim=1) * weights
    normals = directions(50)
    cosine = (normals[..., 0].T @ sky).clamp(min=0)
    integral = (cosine * radiance).sum(dim=1) * weights / math.pi
    got = harmonic_shading(normals, light)[0, :, 0]
    torch.testing.assert_close(got, integral, rtol=0, atol=1e-3)


def test_light_from_everywhere_shades_nothing() -> None:
    white = torch.zeros(9)
    white[0] = math.sqrt(4 * math.pi)  # radiance 1 is sqrt(4 pi) times the harmonic
    got = harmonic_shading(directions(100).float(), white)
    torch.testing.assert_close(got, torch.ones_like(got))


@pytest.mark.parametrize("name", LIGHTS)
def test_a_distant_light_in_harmonics_is_lambert_to_the_known_error(name: str) -> None:
    normals, light = directions(), torch.tensor(LIGHTS[name]).double()
    lambert = directional_shading(normals, light[None])
    errors = harmonic_shading(normals, directional_harmonics(light)) - lambert
    # 1/4 + c/2 + 5/32 (3 c^2 - 1) against max(0, c): 3/32 at c = 0
    assert errors.abs().max().item() == pytest.approx(3 / 32, rel=0.01)
    cosine = torch.linspace(-1, 1, 10_001).double()  # evenly spread over the sphere
    series = (1 / 4 + cosine / 2 + 5 / 32 * (3 * cosine**2 - 1)).clamp(min=0)
    known = (series - cosine.clamp(min=0)).square().mean().sqrt().item()
    assert known == pytest.approx(0.0325, abs=1e-4)
    assert errors.square().mean().sqrt().item() == pytest.approx(known, rel=1e-3)


def test_each_face_has_its_own_light() -> None:
    normals, _ = ball(9)
    lights = torch.stack([ROOM, ROOM.flip(0)])
    both = harmonic_shading(normals.expand(2, -1, -1, -1), lights)
    torch.testing.assert_close(both[1:], harmonic_shading(normals, ROOM.flip(0)))


def test_the_light_is_found_up_to_the_skins_brightness() -> None:
    normals, mask = ball()
    photo = SKIN * harmonic_shading(normals, ROOM)
    got = fit_light(photo, normals, mask)[0] / SKIN.mean()
    found = harmonic_shading(normals, got) * mask
    torch.testing.assert_close(found, harmonic_shading(normals, ROOM) * mask, rtol=0, atol=1e-3)


def test_constant_albedo_is_recovered() -> None:
    normals, mask = ball()
    shading = harmonic_shading(normals, ROOM)
    albedo = albedo_of(SKIN * shading, normals, mask)
    scale = shading[mask].mean()
    wanted = (SKIN * scale).expand_as(albedo) * mask
    torch.testing.assert_close(albedo, wanted, rtol=2e-3, atol=1e-6)


def test_a_beard_and_highlights_do_not_bend_the_light() -> None:
    normals, mask = ball()
    shading = harmonic_shading(normals, ROOM)
    photo = SKIN * shading
    photo[..., 45:55, 20:45] *= 0.2  # 6 % of the face
    photo[..., 10:18, 30:36] = 3.0
    albedo = albedo_of(photo, normals, mask)
    # the mean of the found shading is that of the true one, so the scale is known here too
    skin = albedo[..., 20:40, 8:57] / (SKIN * shading[mask].mean())
    assert (skin - 1).abs().max() < 0.03
    beard = albedo[..., 48:52, 25:40] / (SKIN * shading[mask].mean())
    torch.testing.assert_close(beard.mean(), torch.tensor(0.2), rtol=0.05, atol=0)


def test_albedo_is_bounded_where_no_light_falls() -> None:
    normals, mask = ball()
    grazing = torch.tensor([[-1.0, 0.0, 0.0]])
    photo = SKIN * directional_shading(normals, grazing) + 0.02
    albedo = albedo_of(photo, normals, mask)
    assert albedo.isfinite().all()
    assert albedo.min() >= 0
    dark = photo[..., 40:, :].where(mask[..., 40:, :], 0)
    assert (albedo[..., 40:, :] <= 10.001 * dark).all()


def test_an_empty_mask_gives_no_light_and_no_albedo() -> None:
    normals, mask = ball(9)
    photo = torch.rand(1, 3, 9, 9)
    assert (fit_light(photo, normals, mask & False) == 0).all()
    assert (albedo_of(photo, normals, mask & False) == 0).all()


def test_faces_of_a_batch_do_not_feel_each_other() -> None:
    normals, mask = ball(33)
    photos = torch.cat([SKIN * harmonic_shading(normals, ROOM), torch.rand(1, 3, 33, 33)])
    both = albedo_of(photos, normals.expand(2, -1, -1, -1), mask.expand(2, -1, -1, -1))
    torch.testing.assert_close(both[:1], albedo_of(photos[:1], normals, mask))


def test_srgb_there_and_back() -> None:
    values = torch.linspace(0, 1, 256)
    torch.testing.assert_close(to_srgb(to_linear(values)), values)
    # half the code is 21 % of the light
    torch.testing.assert_close(to_linear(torch.tensor(0.5)), torch.tensor(0.21404114))


def test_shapes_that_do_not_belong_are_refused() -> None:
    normals, mask = ball(9)
    with pytest.raises(ValueError, match=r"lights must have shape \(L, 3\), got \(3,\)"):
        directional_shading(normals, torch.zeros(3))
    with pytest.raises(ValueError, match=r"light must have shape \(1, 9\), got \(2, 9\)"):
        harmonic_shading(normals, torch.zeros(2, 9))
    with pytest.raises(ValueError, match=r"light must have shape \(9,\), got \(4,\)"):
        harmonic_shading(normals, torch.zeros(4))
    with pytest.raises(ValueError, match=r"normals must have shape \(..., 3, H, W\), got \(9, 9\)"):
        harmonics(mask[0, 0])
    with pytest.raises(ValueError, match=r"mask must have shape \(1, 1, 9, 9\), got \(1, 9, 9\)"):
        fit_light(normals, normals, mask[0])
