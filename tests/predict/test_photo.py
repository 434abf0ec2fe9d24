"""Photos in every form a caller may have them."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from facegeo.errors import UserError
from facegeo.predict.photo import is_one, read_photo, to_photo, write_jpeg

RAMP = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(6, 4, 3) * 3


def exif(orientation: int) -> Pillow.Exif:
    tags = Pillow.Exif()
    tags[0x0112] = orientation
    return tags


@pytest.mark.parametrize(
    ("orientation", "seen"),
    [
        (1, RAMP),
        (2, RAMP[:, ::-1]),
        (3, RAMP[::-1, ::-1]),
        (6, np.rot90(RAMP, -1)),
        (8, np.rot90(RAMP)),
    ],
)
def test_a_photo_is_turned_as_its_tag_says(
    tmp_path: Path, orientation: int, seen: np.ndarray
) -> None:
    large = np.kron(RAMP, np.ones((16, 16, 1), np.uint8))
    path = tmp_path / "turned.jpg"
    Pillow.fromarray(large).save(path, quality=100, subsampling=0, exif=exif(orientation))
    read = read_photo(path)
    wanted = np.kron(seen, np.ones((16, 16, 1), np.uint8))
    assert read.shape == wanted.shape
    assert np.abs(read.astype(int) - wanted).max() < 8
    with Pillow.open(path) as image:
        assert np.abs(to_photo(image).astype(int) - wanted).max() < 8


def test_grey_transparent_and_deep_files_become_rgb_bytes(tmp_path: Path) -> None:
    grey = RAMP[..., 0]
    files = {
        "grey.png": grey,
        "alpha.png": np.dstack([RAMP[..., ::-1], np.full((6, 4), 7, np.uint8)]),
        "deep.png": RAMP[..., ::-1].astype(np.uint16) * 256 + 99,
        "deep_grey.png": grey.astype(np.uint16) * 256 + 99,
    }
    for name, pixels in files.items():
        cv2.imwrite(str(tmp_path / name), pixels)
        wanted = np.repeat(grey[..., None], 3, axis=2) if "grey" in name else RAMP
        np.testing.assert_array_equal(read_photo(tmp_path / name), wanted)


class OfAPlugin(Pillow.Image):
    """As plugins of Pillow make them, for HEIC files say."""

    @classmethod
    def of(cls, grey: "np.ndarray[Any, Any]") -> "OfAPlugin":
        image, made = cls(), Pillow.fromarray(grey)
        image.__dict__ |= made.__dict__
        return image


def test_images_in_memory_give_the_same_bytes(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), RAMP[..., ::-1])
    forms = [
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        RAMP,
        RAMP.astype(np.uint16) * 256 + 200,
        RAMP / 255,
        (RAMP / 255).astype(np.float32),
        np.dstack([RAMP, RAMP[..., 0]]),
        torch.from_numpy(RAMP).permute(2, 0, 1),
        torch.from_numpy(RAMP).permute(2, 0, 1).float() / 255,
        torch.from_numpy(RAMP).permute(2, 0, 1).double() / 255,
        Pillow.fromarray(RAMP),
        Pillow.fromarray(RAMP).convert("RGBA"),
    ]
    for form in forms:
        assert is_one(form)
        np.testing.assert_array_equal(to_photo(form), RAMP)
    coarse = to_photo(torch.from_numpy(RAMP).permute(2, 0, 1).bfloat16() / 255)
    assert np.abs(coarse.astype(int) - RAMP).max() <= 1  # eight bits, of which one is the first
    grey = np.repeat(RAMP[..., :1], 3, axis=2)
    greys = [RAMP[..., 0], RAMP[..., :1], torch.from_numpy(RAMP[None, ..., 0])]
    for form in [*greys, Pillow.fromarray(RAMP[..., 0])]:
        np.testing.assert_array_equal(to_photo(form), grey)
    deep = Pillow.fromarray(RAMP[..., 0].astype(np.uint16) * 256)
    shares = Pillow.fromarray((RAMP[..., 0] / 255).astype(np.float32))  # mode F
    for form in (deep, shares, OfAPlugin.of(RAMP[..., 0])):
        assert is_one(form)
        np.testing.assert_array_equal(to_photo(form), grey)


def test_several_photos_are_distinguished_from_one() -> None:
    assert not is_one([RAMP, "a.jpg"])
    assert not is_one(RAMP[None])
    assert not is_one(torch.zeros(2, 3, 4, 4))
    assert not is_one(path for path in ["a.jpg"])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((2, 3, 5)), r"must have shape \(H, W\), \(H, W, 3 or 4\), got \(2, 3, 5\)"),
        (np.zeros((0, 3, 3)), r"got \(0, 3, 3\)"),
        (np.full((2, 2, 3), 1.5), r"must be in \[0, 1\], got 1.5 to 1.5"),
        (np.full((2, 2, 3), np.nan), r"must be in \[0, 1\], got nan"),
        (np.zeros((2, 2, 3), np.int32), "must be uint8, uint16 or floats, got int32"),
        (Pillow.fromarray(np.zeros((2, 2), np.int32)), "must be uint8, uint16 or floats, got int"),
        (torch.zeros(5, 4, 4), r"\(1, H, W\) or \(3, H, W\), got \(5, 4, 4\)"),
        (7, "must be a path, an array, a tensor or a Pillow image, got int"),
    ],
)
def test_other_things_are_refused(image: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_photo(image)


def test_file_that_is_not_an_image_is_named(tmp_path: Path) -> None:
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(write_jpeg(np.kron(RAMP, np.ones((40, 40, 1), np.uint8)))[:300])
    with pytest.raises(UserError, match=r"torn\.jpg: wanted a readable image, got .* damaged"):
        read_photo(torn)
    with pytest.raises(UserError, match=r"gone\.jpg: wanted a readable image, got No such file"):
        to_photo(tmp_path / "gone.jpg")
