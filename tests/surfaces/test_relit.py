"""Lit balls: what each kind of source does to a surface that is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from facegeo.geometry.light import LIGHTS
from facegeo.surfaces.lights import EVEN, OVERCAST, PRESETS, Distant, Near, Surround, find_light
from facegeo.surfaces.relight import relight, relit, shade

Ball = tuple[NDArray[np.float32], NDArray[np.bool_]]
SKIN = np.array([0.5, 0.35, 0.25])


def srgb(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def linear(coded: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def test_a_distant_light_shades_with_the_cosine_whatever_its_length(ball: Ball) -> None:
    normals, mask = ball
    towards = np.array([-0.6, 0.0, 0.8])
    got = shade(normals, mask, (Distant((-6.0, 0.0, 8.0), (1.0, 0.5, 0.0)),))
    cosine = np.maximum(normals @ towards, 0)[..., None]
    np.testing.assert_allclose(got, cosine * (1.0, 0.5, 0.0), atol=1e-6)


def test_even_light_shades_nothing_and_the_sky_shades_downward_normals(ball: Ball) -> None:
    normals, mask = ball
    even = shade(normals, mask, (Surround(EVEN, (0.3, 0.2, 0.1)),))
    np.testing.assert_allclose(even, np.broadcast_to((0.3, 0.2, 0.1), even.shape), atol=1e-6)
    sky = shade(normals, mask, (Surround(OVERCAST),))[..., 0]
    assert sky[4, 32] > sky[32, 32] > sky[60, 32] > 0


def test_sources_of_one_light_add(ball: Ball) -> None:
    normals, mask = ball
    one, two = Distant(LIGHTS["left"]), Near((0.3, 0.2, 0.8))
    both = shade(normals, mask, (one, two))
    apart = shade(normals, mask, (one,)) + shade(normals, mask, (two,))
    np.testing.assert_allclose(both, apart, atol=1e-6)


def test_a_near_lamp_over_a_plane_falls_as_it_must() -> None:
    normals = np.zeros((5, 101, 3), dtype=np.float32)
    normals[..., 2] = 1
    got = shade(normals, np.ones((5, 101), dtype=bool), (Near((0.0, 0.0, 0.5)),))[2, :, 0]
    across = (np.arange(101) - 50) / 101  # widths of the picture
    far = np.hypot(across, 0.5)
    np.testing.assert_allclose(got, (0.5 / far) * (0.5 / far) ** 2, rtol=1e-4)
    assert got.max() == got[50]


def test_a_near_lamp_lights_the_side_where_it_is() -> None:
    normals = np.zeros((41, 41, 3), dtype=np.float32)
    normals[..., 2] = 1
    got = shade(normals, np.ones((41, 41), dtype=bool), (Near((0.2, 0.3, 0.05)),))[..., 0]
    row, column = np.unravel_index(got.argmax(), got.shape)
    assert (column, row) == (20 + round(0.2 * 41), 20 - round(0.3 * 41))


def test_a_near_lamp_is_nearer_to_protruding_parts(ball: Ball) -> None:
    normals, mask = ball
    lamp = shade(normals, mask, (Near((0.0, 0.0, 1.0)),))[32, 32, 0]
    # the ball's top stands out by radius / 3 over its mean depth, the radius being 32 of 65
    out = 1 - (2 / 3) * (1 - 0.1**1.5) / 0.9  # mean depth over the disc that the mask keeps
    assert lamp == pytest.approx(1 / (1 - out * 32 / 65) ** 2, rel=0.01)


def test_a_lamp_far_away_is_a_distant_light(ball: Ball) -> None:
    normals, mask = ball
    far = shade(normals, mask, (Near((600.0, 0.0, 800.0)),))
    np.testing.assert_allclose(far, shade(normals, mask, (Distant((0.6, 0, 0.8)),)), atol=5e-3)


def test_a_white_face_shows_its_shading_and_black_around(ball: Ball) -> None:
    normals, mask = ball
    got = relight(normals, None, mask, find_light("left"))
    wanted = np.maximum(normals @ np.array(LIGHTS["left"]), 0) * mask
    np.testing.assert_allclose(got, np.repeat(wanted[..., None], 3, axis=2), atol=1e-6)
    bright = relight(normals, None, mask, (Surround(EVEN, (2.0, 2.0, 2.0)),))
    assert bright.max() == 1


def test_a_photo_in_its_own_light_is_found_again_in_new_light(ball: Ball) -> None:
    normals, mask = ball
    old = shade(normals, mask, (Surround(OVERCAST),))
    photo = srgb(SKIN * old)
    got = relight(normals, photo, mask, find_light("right"))
    # one photo cannot separate bright light from bright skin: mean old shading counts as 1
    skin = SKIN * old[mask].mean()
    wanted = srgb(skin * shade(normals, mask, find_light("right"))) * mask[..., None]
    np.testing.assert_allclose(got, wanted, atol=0.01)
    assert (got[~mask] == 0).all()


def test_a_finer_photo_keeps_its_pixels_and_is_lit_alike(ball: Ball) -> None:
    normals, mask = ball
    freckles = np.where(np.indices((260, 260)).sum(axis=0) % 2, 1.1, 0.9)[..., None]  # pixels
    old = shade(normals, mask, (Surround(OVERCAST),)).repeat(4, 0).repeat(4, 1)
    fine = relight(normals, srgb(SKIN * old * freckles), mask, find_light("right"))
    assert fine.shape == (260, 260, 3)
    coarse = relight(normals, srgb(SKIN * old[::4, ::4]), mask, find_light("right"))
    inner = mask[::4, ::4] & (normals[::4, ::4, 2] > 0.5) & (normals[::4, ::4, 0] > -0.2)
    spots = fine[1::16, 1::16], fine[1::16, 2::16]  # even and odd pixels of one place
    bright, dark = (linear(np.asarray(each, float))[inner] for each in spots[::-1])
    np.testing.assert_allclose(bright / dark, 1.1 / 0.9, rtol=0.05)
    middle = (bright + dark) / 2
    np.testing.assert_allclose(middle, linear(coarse[::4, ::4].astype(float))[inner], atol=0.02)
    assert (fine[:8, :8] == 0).all()


def test_a_finer_photo_has_no_rim_where_the_mask_ends() -> None:
    normals = np.zeros((16, 16, 3), dtype=np.float32)
    mask = np.zeros((16, 16), dtype=bool)
    mask[4:12, 4:12] = True
    normals[mask] = (0.0, 0.0, 1.0)
    photo = np.full((128, 128, 3), 0.5)
    got = relight(normals, photo, mask, (Surround(EVEN),))
    np.testing.assert_allclose(got[36:92, 36:92], 0.5, atol=1e-4)
    assert set(np.unique(got.round(3))) == {0.0, 0.5}


def test_many_lights_give_the_same_as_one_at_a_time(ball: Ball) -> None:
    normals, mask = ball
    photo = np.random.default_rng(0).uniform(0.2, 0.6, normals.shape)
    together = list(relit(normals, photo, mask, PRESETS.values()))
    assert len(together) == len(PRESETS)
    for picture, light in zip(together, PRESETS.values(), strict=True):
        np.testing.assert_array_equal(picture, relight(normals, photo, mask, light))
        assert picture.dtype == np.float32
        assert 0 <= picture.min() <= picture.max() <= 1
    assert not any(np.allclose(together[0], other, atol=0.02) for other in together[1:])


def test_a_mirrored_face_in_mirrored_light_is_the_mirrored_picture(ball: Ball) -> None:
    normals, mask = ball
    photo = np.random.default_rng(0).uniform(0.2, 0.6, normals.shape)
    mask = mask & (np.indices(mask.shape)[1] > 20)
    got = relight((normals * (-1, 1, 1))[:, ::-1], photo[:, ::-1], mask[:, ::-1], PRESETS["right"])
    wanted = relight(normals, photo, mask, PRESETS["left"])[:, ::-1]
    np.testing.assert_allclose(got, wanted, atol=1e-3)


def test_no_face_is_black(ball: Ball) -> None:
    normals, mask = ball
    nothing = np.zeros_like(mask)
    for light in PRESETS.values():
        assert (relight(normals, np.ones_like(normals), nothing, light) == 0).all()


def test_shapes_that_do_not_belong_are_refused(ball: Ball) -> None:
    normals, mask = ball
    with pytest.raises(ValueError, match=r"photo must have shape \(s, s, 3\), got \(65, 64, 3\)"):
        relight(normals, np.zeros((65, 64, 3)), mask, PRESETS["front"])
    with pytest.raises(ValueError, match=r"mask must have shape \(65, 65\), got \(65, 64\)"):
        relight(normals, None, mask[:, 1:], PRESETS["front"])
