"""Lights as data: names, the overcast sky's numbers, the light that turns."""

import math

import numpy as np
import pytest
import torch

from facegeo.errors import UserError
from facegeo.geometry.light import harmonics
from facegeo.surfaces.lights import (
    EVEN,
    OVERCAST,
    PRESETS,
    Distant,
    Near,
    Surround,
    find_light,
    turning,
)


def directions(count: int = 40_000) -> torch.Tensor:
    """Evenly spread directions (3, N, 1): a Fibonacci spiral on the sphere."""
    k = torch.arange(count, dtype=torch.float64) + 0.5
    z, turn = 1 - 2 * k / count, math.pi * (1 + 5**0.5) * k
    ring = (1 - z * z).sqrt()
    return torch.stack([ring * turn.cos(), ring * turn.sin(), z])[..., None]


def project(radiance: torch.Tensor) -> torch.Tensor:
    """Coefficients of radiance (N,) from ``directions``, by summing over the sphere."""
    return 4 * math.pi * (harmonics(directions())[..., 0] * radiance).mean(dim=1)


def test_the_overcast_sky_is_the_projection_of_its_radiance() -> None:
    up = directions()[1, :, 0]
    sky = torch.where(up > 0, 3 / 7 * (1 + 2 * up), 0.2)
    # irradiance over pi of what looks up: the integral of radiance times cosine
    assert 4 * (sky * up.clamp(min=0)).mean().item() == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(OVERCAST, project(sky), atol=2e-4)


def test_even_light_is_the_projection_of_one() -> None:
    np.testing.assert_allclose(EVEN, project(torch.ones(40_000, dtype=torch.float64)), atol=1e-4)


def test_there_are_presets_of_every_kind() -> None:
    sources = {type(source) for light in PRESETS.values() for source in light}
    assert sources == {Distant, Near, Surround}
    assert {"left", "right", "above", "below", "studio", "overcast"} <= PRESETS.keys()


def test_an_unknown_light_is_refused_with_the_names_there_are() -> None:
    assert find_light("left") == (Distant((-(0.5**0.5), 0.0, 0.5**0.5)),)
    with pytest.raises(UserError, match=r"light must be one of front, left, .*; got 'disco'"):
        find_light("disco")


def test_the_light_turns_once_clockwise_from_above_at_its_slant() -> None:
    distant = [light[0] for light in turning(4, slant_deg=30)]
    assert all(isinstance(source, Distant) for source in distant)
    tall, deep = 0.5, 3**0.5 / 2
    wanted = [(0, tall, deep), (tall, 0, deep), (0, -tall, deep), (-tall, 0, deep)]
    np.testing.assert_allclose([source.towards for source in distant], wanted, atol=1e-12)
