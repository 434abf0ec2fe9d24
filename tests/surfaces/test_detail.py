"""Detail put on a coarse surface: short waves from the normals, long ones from the depth."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from facegeo.surfaces.integrate import transfer_detail

Floats = NDArray[np.float64]
SIZE = 64
COLUMN = np.broadcast_to(np.arange(SIZE) + 0.5, (SIZE, SIZE))
ALL = np.ones((SIZE, SIZE), dtype=bool)


def wave(length: float, height: float) -> Floats:
    """A wave along the rows that is level at both borders, if 2 * SIZE / length is whole."""
    return height * np.cos(2 * math.pi * COLUMN / length)


def normals_of(depth: Floats) -> Floats:
    down, right = np.gradient(depth)
    vectors = np.stack([-right, down, np.ones_like(depth)], axis=-1)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize("length", [8, 16, 32, 64])
def test_a_wave_keeps_the_share_of_its_coarse_height_that_is_documented(length: int) -> None:
    scale = 4.0
    level = np.broadcast_to((0.0, 0.0, 1.0), (SIZE, SIZE, 3))
    got = transfer_detail(wave(length, 2.0), level, ALL, scale)
    share = 1 / (1 + (2 * math.pi * scale / length) ** 2)
    frequency = 2 * math.sin(math.pi / length)  # the grid's own; 2 pi / length if that is small
    on_grid = 1 / (1 + (frequency * scale) ** 2)
    np.testing.assert_allclose(got, on_grid * wave(length, 2.0), atol=1e-4)
    assert on_grid == pytest.approx(share, abs=0.01)


def test_on_a_steep_side_the_share_is_the_same() -> None:
    steep = 2.0 * (SIZE - COLUMN.T)  # 63 degrees
    level = normals_of(steep)
    got = transfer_detail(steep + wave(16, 0.5), level, ALL, 4.0) - steep
    on_grid = 1 / (1 + (2 * math.sin(math.pi / 16) * 4) ** 2)
    np.testing.assert_allclose(got, wave(16, 0.5 * on_grid), atol=1e-4)


def test_detail_comes_from_the_normals_and_the_rest_stays() -> None:
    broad, fine = wave(64, 6.0), wave(8, 0.3)
    wrong = 0.1 * COLUMN  # a slope that the normals have wrong everywhere, as networks do
    got = transfer_detail(broad, normals_of(broad + fine + wrong), ALL, 8.0)
    basis = np.cos(2 * math.pi * COLUMN / 8)
    found = 2 * (got * basis).mean()
    assert found == pytest.approx(0.3, rel=0.2)
    low = 2 * (got * np.cos(2 * math.pi * COLUMN / 64)).mean()
    assert low == pytest.approx(6.0, rel=0.05)
    assert np.abs(got - broad - fine)[:, 16:-16].mean() < 0.15  # px; the wrong slope is 6.4 high


def test_the_normals_are_nearer_than_before_and_the_means_do_not_move() -> None:
    random = np.random.default_rng(0)
    true = wave(64, 6.0) + wave(8, 0.3) + wave(10, 0.2).T
    coarse = wave(64, 6.0)
    noisy = normals_of(true) + random.normal(0, 0.02, (SIZE, SIZE, 3))
    got = transfer_detail(coarse, noisy, ALL, 8.0)
    before, after = (angle(normals_of(depth), normals_of(true)) for depth in (coarse, got))
    assert after < 0.35 * before
    assert np.abs(got - true).mean() < 0.5 * np.abs(coarse - true).mean()
    assert got.mean() == pytest.approx(coarse.mean(), abs=1e-3)


def angle(found: Floats, true: Floats) -> float:
    cosine = (found * true).sum(axis=-1).clip(-1, 1)
    return float(np.degrees(np.arccos(cosine)).mean())


def test_outside_the_mask_nothing_is_read_and_nothing_written() -> None:
    mask = np.zeros_like(ALL)
    mask[10:50, 12:40] = True
    coarse, normals = wave(32, 3.0), normals_of(wave(32, 3.0) + wave(8, 0.3))
    inside = transfer_detail(coarse, normals, mask, 6.0)
    coarse[~mask], normals[~mask] = np.nan, np.nan
    np.testing.assert_array_equal(transfer_detail(coarse, normals, mask, 6.0), inside)
    assert np.isnan(inside[~mask]).all()
    assert np.isfinite(inside[mask]).all()


def test_a_scale_below_a_tenth_of_a_pixel_is_refused() -> None:
    with pytest.raises(ValueError, match=r"scale_px must be in \[0.1, inf\], got 0"):
        transfer_detail(wave(8, 1.0), normals_of(wave(8, 1.0)), ALL, 0.0)
    with pytest.raises(ValueError, match=r"normals must have shape \(64, 64, 3\)"):
        transfer_detail(wave(8, 1.0), np.zeros((3, SIZE, SIZE)), ALL, 1.0)
