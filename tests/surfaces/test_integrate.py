"""Depth from normals against surfaces whose depth is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from facegeo.surfaces.integrate import METHODS, integrate, slopes_of

Floats = NDArray[np.float64]
SIZE = 48
ROW, COLUMN = np.mgrid[:SIZE, :SIZE].astype(np.float64)


def bowl() -> tuple[Floats, Floats]:
    """Depth and normals of a paraboloid that bulges at the camera, off the middle."""
    across, down = (COLUMN - 20) / 30, (ROW - 26) / 40
    depth = 40 - 15 * across**2 - 20 * down**2
    return depth, unit(-across * -1, -down, np.ones_like(depth))


def unit(x: Floats, y: Floats, z: Floats) -> Floats:
    vectors = np.stack([x, y, z], axis=-1)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def face_with_holes() -> NDArray[np.bool_]:
    mask = np.hypot(COLUMN - 24, ROW - 24) < 21
    mask[14:18, 12:20] = mask[14:18, 28:36] = False
    return mask


@pytest.mark.parametrize("method", METHODS)
def test_a_paraboloid_on_the_whole_rectangle_is_exact(method: str) -> None:
    depth, normals = bowl()
    got = integrate(normals, np.ones_like(depth, dtype=bool), method)
    # its slopes are linear, so the mean of both ends is the true step
    np.testing.assert_allclose(got, depth - depth.mean(), atol=1e-4)


def test_inside_a_mask_with_holes_a_paraboloid_is_exact() -> None:
    depth, normals = bowl()
    mask = face_with_holes()
    normals[~mask] = 0
    got = integrate(normals, mask, "weighted")
    np.testing.assert_allclose(got[mask], (depth - depth[mask].mean())[mask], atol=1e-4)
    assert np.isnan(got[~mask]).all()


def test_the_rectangle_bends_what_a_mask_cuts_off() -> None:
    depth, normals = bowl()
    mask = face_with_holes()
    true = depth - depth[mask].mean()
    got = {method: integrate(normals, mask, method) for method in METHODS}
    errors = {method: np.abs(got[method] - true)[mask].mean() for method in METHODS}
    assert got["dct"][mask].mean() == pytest.approx(0, abs=1e-4)
    assert np.isnan(got["dct"][~mask]).all()
    assert errors["dct"] > 0.3  # px: flat outside, as documented
    assert errors["weighted"] < 1e-4


@pytest.mark.parametrize(
    ("normal", "right", "down"),
    [((-0.6, 0, 0.8), 0.75, 0), ((0, -0.6, 0.8), 0, -0.75), ((0, 0, 1), 0, 0)],
    ids=["looks-left", "looks-down", "looks-at-the-camera"],
)
@pytest.mark.parametrize("method", METHODS)
def test_planes_rise_away_from_their_normals(
    normal: tuple[float, float, float], right: float, down: float, method: str
) -> None:
    normals = np.broadcast_to(normal, (6, 8, 3))
    got = integrate(normals, np.ones((6, 8), dtype=bool), method)
    np.testing.assert_allclose(np.diff(got, axis=1), right, atol=1e-5)
    np.testing.assert_allclose(np.diff(got, axis=0), down, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_noise_of_single_pixels_does_not_pile_up(method: str) -> None:
    depth, normals = bowl()
    noisy = normals + np.random.default_rng(0).normal(0, 0.05, normals.shape)
    noisy /= np.linalg.norm(noisy, axis=-1, keepdims=True)
    got = integrate(noisy, np.ones_like(depth, dtype=bool), method)
    # 0.05 px a step would come to 0.35 px over a row of 48; the grid's many paths average it
    assert np.abs(got - (depth - depth.mean())).mean() < 0.1


def test_a_wrong_grazing_normal_has_less_weight_in_a_mask_than_on_the_rectangle() -> None:
    depth, normals = bowl()
    whole = np.ones_like(depth, dtype=bool)
    normals[20:24, 30] = unit(*np.array([0.995, 0.0, 0.1]))
    errors = {
        m: np.abs(integrate(normals, whole, m) - (depth - depth.mean())).mean() for m in METHODS
    }
    assert errors["weighted"] < 0.1 * errors["dct"]


def test_trust_falls_with_the_variance_of_a_slope() -> None:
    normals = np.broadcast_to((0.6, 0, 0.8), (2, 2, 3))
    slopes = slopes_of(normals)
    # tan is steeper by 1 / z^2 there, its variance by 1 / z^4
    np.testing.assert_allclose(slopes.right_trust, 0.8**4)
    np.testing.assert_allclose(slopes.down_trust, 0.8**4)
    np.testing.assert_allclose(slopes.right, -0.75)


def test_slopes_end_where_a_normal_grazes() -> None:
    normals = np.broadcast_to(unit(*np.array([-1.0, 0.0, 0.01])), (2, 2, 3))
    np.testing.assert_allclose(slopes_of(normals).right, 10, rtol=1e-3)  # px a pixel: 84 degrees


def test_disconnected_pieces_are_each_centred_on_zero() -> None:
    depth, normals = bowl()
    mask = np.zeros_like(depth, dtype=bool)
    mask[4:20, 4:20] = mask[30:40, 25:44] = True
    got = integrate(normals, mask, "weighted")
    for piece in (got[4:20, 4:20], got[30:40, 25:44]):
        assert piece.mean() == pytest.approx(0, abs=1e-4)
    step = got[4, 19] - got[4, 4]
    assert step == pytest.approx(depth[4, 19] - depth[4, 4], abs=1e-4)


def test_a_normal_without_length_leaves_the_surface_smooth() -> None:
    normals = np.zeros((5, 9, 3)) + unit(*np.array([-0.5, 0.0, 1.0]))
    normals[:, 4] = 0
    got = integrate(normals, np.ones((5, 9), dtype=bool), "weighted")
    np.testing.assert_allclose(np.diff(got[:, :4], axis=1), 0.5, atol=1e-3)
    assert np.abs(np.diff(got, axis=1)).max() < 0.51


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_mask_gives_no_depth(method: str) -> None:
    got = integrate(bowl()[1], np.zeros((SIZE, SIZE), dtype=bool), method)
    assert got.shape == (SIZE, SIZE)
    assert np.isnan(got).all()


def test_mismatched_inputs_are_refused() -> None:
    normals, mask = np.zeros((4, 5, 3)), np.ones((4, 5), dtype=bool)
    with pytest.raises(ValueError, match="method must be one of dct, weighted; got 'poisson'"):
        integrate(normals, mask, "poisson")
    with pytest.raises(ValueError, match=r"mask must have shape \(4, 5\), got \(5, 4\)"):
        integrate(normals, mask.T)
    with pytest.raises(ValueError, match=r"normals must have shape \(H, W, 3\), got \(3, 4, 5\)"):
        integrate(normals.transpose(2, 0, 1), mask)
