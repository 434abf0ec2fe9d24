"""Angles between normals, by hand, also where arccos knows nothing."""

import math

import pytest
import torch

from facegeo.geometry.normals import angle_map


def pixel(*vector: float) -> torch.Tensor:
    return torch.tensor(vector, dtype=torch.float32).reshape(3, 1, 1)


@pytest.mark.parametrize(
    ("pred", "degrees"),
    [
        ((0, 0, 1), 0.0),
        ((0, 0, 7), 0.0),
        ((1, 0, 1), 45.0),
        ((0, -1, 0), 90.0),
        ((0, 0, -1), 180.0),
        ((math.sin(math.radians(0.01)), 0, math.cos(math.radians(0.01))), 0.01),
    ],
    ids=["same", "length-is-ignored", "half-way", "square", "opposite", "tiny"],
)
def test_known_angles(pred: tuple[float, float, float], degrees: float) -> None:
    got = angle_map(pixel(*pred), pixel(0, 0, 1))
    assert got.shape == (1, 1, 1)
    assert got.item() == pytest.approx(degrees, rel=1e-5)


@pytest.mark.parametrize("vector", [(0, 0, 0), (math.nan, 0, 1), (0, math.inf, 0)])
def test_no_direction_has_no_angle(vector: tuple[float, float, float]) -> None:
    good, bad = pixel(0, 0, 1), pixel(*vector)
    assert angle_map(bad, good).isnan().all()
    assert angle_map(good, bad).isnan().all()
    assert angle_map(bad, bad).isnan().all()


def test_halves_are_measured_in_float32() -> None:
    tilted = pixel(0.01, 0, 1)
    got = angle_map(tilted.half(), pixel(0, 0, 1).half())
    assert got.dtype == torch.float32
    # 0.01 itself is known to 3e-4 in halves
    assert got.item() == pytest.approx(math.degrees(math.atan(0.01)), rel=1e-3)


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one shape .* got \(2, 3, 1, 1\) and \(3, 1, 1\)"):
        angle_map(torch.zeros(2, 3, 1, 1), pixel(0, 0, 1))
