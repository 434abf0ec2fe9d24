"""Normal maps, masks and photos from files, and the coding that a model knows."""

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from facegeo.files.lists import WantedError
from facegeo.normals.maps import (
    Floats,
    Mask,
    as_trained,
    check_normals,
    read_face,
    read_mask,
    read_normals,
    resize_face,
    resize_normals,
    trained_coding,
)

SIZE = 32


def png(pixels: npt.NDArray[Any]) -> bytes:
    """Red first, as in our arrays."""
    if pixels.ndim == 3:
        pixels = pixels[..., ::-1]
    return bytes(cv2.imencode(".png", pixels)[1])


def npy(array: npt.NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def ball(size: int = SIZE) -> tuple[Floats, Mask]:
    y, x = (np.mgrid[:size, :size] + 0.5 - size / 2) / (0.45 * size)
    height = np.sqrt(np.clip(1 - x**2 - y**2, 0, None))
    return np.stack([x, -y, height], axis=2).astype(np.float32), height > 0.3


def colours(normals: Floats) -> npt.NDArray[np.uint8]:
    return ((normals + 1) * 127.5).round().clip(0, 255).astype(np.uint8)


def test_colours_and_vectors_are_read_red_first() -> None:
    normals, mask = ball()
    read = read_normals(png(colours(normals)))
    assert np.abs(read - normals)[mask].max() <= 1 / 255 + 1e-6
    np.testing.assert_array_equal(read_normals(npy(normals)), normals)
    np.testing.assert_array_equal(read_face(png(colours(normals))), colours(normals))


def test_a_mask_counts_above_127_in_any_channel() -> None:
    grey = np.array([[0, 127, 128, 255]], np.uint8)
    assert read_mask(png(grey)).tolist() == [[False, False, True, True]]
    rgb = np.zeros((1, 2, 3), np.uint8)
    rgb[0, 1, 2] = 200
    assert read_mask(png(rgb)).tolist() == [[False, True]]


@pytest.mark.parametrize(
    ("data", "wanted", "got"),
    [
        (png(np.zeros((4, 4, 3), np.uint16)), "3 channels of 8 bits", "3 of 16 bits"),
        (png(np.zeros((4, 4), np.uint8)), "3 channels of 8 bits", "1 of 8 bits"),
        (png(np.zeros((4, 4, 4), np.uint8)), "3 channels of 8 bits", "4 of 8 bits"),
        (png(np.zeros((4, 4, 3), np.uint8))[:-9], "a readable normal map", "damaged or cut short"),
        (b"<html>", "a readable normal map", "6 bytes that are not an image"),
        (npy(np.zeros((4, 4))), "an array of floats", r"float64 of shape \(4, 4\)"),
        (npy(np.zeros((3, 4, 4))), "an array of floats", r"float64 of shape \(3, 4, 4\)"),
        (npy(np.zeros((4, 4, 3), np.uint8)), "an array of floats", "uint8 of shape"),
        (npy(np.zeros((4, 4, 3)))[:-9], "a readable normal map", "a damaged NumPy file"),
        (npy(np.array([{}])), "a readable normal map", "a damaged NumPy file"),
    ],
    ids=["16-bit", "grey", "alpha", "torn", "web", "2d", "first", "bytes", "cut", "pickle"],
)
def test_a_normal_map_of_another_kind_is_named(data: bytes, wanted: str, got: str) -> None:
    with pytest.raises(WantedError) as error:
        read_normals(data)
    assert wanted in error.value.wanted
    assert error.match(got)


def test_a_black_mask_and_one_of_16_bits_are_named() -> None:
    with pytest.raises(WantedError, match=r"a mask with pixels above 127.*none above 1'"):
        read_mask(png(np.ones((4, 4), np.uint8)))
    with pytest.raises(WantedError, match=r"a mask of 8 bits.*1 of 16 bits"):
        read_mask(png(np.full((4, 4), 65535, np.uint16)))
    with pytest.raises(WantedError, match=r"a readable image.*damaged or cut short"):
        read_face(png(np.ones((4, 4, 3), np.uint8))[:-9])


def test_sound_normals_pass_also_softened_by_a_bilinear_resize() -> None:
    normals, mask = ball(96)
    check_normals(normals, mask)
    white = np.where(mask[..., None], colours(normals), np.uint8(255))
    small = cv2.resize(white, (64, 64), interpolation=cv2.INTER_LINEAR)
    face = cv2.resize(mask.astype(np.uint8) * 255, (64, 64), interpolation=cv2.INTER_LINEAR) > 127
    check_normals(read_normals(png(small)), face)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: n * 0.5, "length 1 .* 0.1 at 90% .*, '0.0%, median length 0.5'"),
        (lambda n: (n + 1) / 2, "normals of length 1"),
        (lambda n: np.where(n[..., :1] > 0.7, np.nan, n), "finite normals.*NaN or infinity at"),
        (lambda n: n[:-2, :-2], "a normal map of the mask's size, 32 x 32\", '30 x 30"),
        (lambda n: n[:-2], "a square normal map, 30 x 30', '32 x 30"),
    ],
    ids=["short", "halved-range", "nan", "small", "oblong"],
)
def test_impossible_normals_are_named(change: Callable[[Floats], Floats], message: str) -> None:
    normals, mask = ball()
    with pytest.raises(WantedError, match=message):
        check_normals(change(normals), mask)


def test_pixels_off_the_face_do_not_count() -> None:
    normals, mask = ball()
    normals[~mask] = np.nan
    check_normals(normals, mask)
    kept, same = resize_normals(normals, mask, SIZE)
    np.testing.assert_array_equal(same, mask)
    np.testing.assert_array_equal(kept, np.where(mask[..., None], normals, 0))
    small, face = resize_normals(normals, mask, SIZE // 2)
    assert np.isfinite(small).all()
    assert face.any()


@pytest.mark.parametrize("size", [24, 64])
def test_a_resized_map_has_the_normals_of_its_places(size: int) -> None:
    normals, mask = ball(48)
    wanted, whole = ball(size)
    resized, face = resize_normals(normals, mask, size)
    np.testing.assert_allclose(np.linalg.norm(resized, axis=2), face, atol=1e-5)
    both = face & whole
    assert (face ^ whole).sum() < 0.04 * whole.sum()
    cosine = (resized * wanted).sum(axis=2)[both].clip(-1, 1)
    assert np.degrees(np.arccos(cosine)).mean() < 0.5


def test_a_pixel_without_direction_leaves_the_mask() -> None:
    normals, mask = ball()
    normals[16, 16] = 0.02
    normals[20, 11] = 1  # white: the background's colour
    _, face = resize_normals(normals, mask, SIZE)
    assert not face[16, 16]
    assert not face[20, 11]
    assert face.sum() == mask.sum() - 2


def test_an_image_that_shrinks_is_averaged_over_areas() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    blocks = image.reshape(2, 4, 2, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(resize_face(image, 2), blocks, atol=0.51)


@pytest.mark.parametrize(
    ("notes", "coding"),
    [
        ({"coding": "srgb", "data": "generated sessions"}, "srgb"),
        ({"coding": None, "data": "generated sessions"}, None),
        ({"coding": "linear", "data": "Photoface"}, "linear"),
        ({"data": "generated sessions"}, "linear"),  # before notes stored it
        ({"data": "fixture of generated sessions"}, "linear"),
        ({"data": "Photoface"}, None),
        ({}, None),
    ],
)
def test_coding_is_read_from_notes_and_inferred_for_older_models(
    notes: dict[str, Any], coding: str | None
) -> None:
    assert trained_coding(notes) == coding


def test_photos_are_linearised_only_for_models_of_linear_photos() -> None:
    photos = torch.tensor([0.0, 0.5, 1.0])
    wanted = torch.tensor([0, 0.21404114, 1])  # IEC 61966-2-1
    torch.testing.assert_close(as_trained(photos, "linear"), wanted)
    assert as_trained(photos, "srgb") is photos
    assert as_trained(photos, None) is photos
