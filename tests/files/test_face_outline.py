"""Where the face is: points from files, the crop rule, the mask."""

from pathlib import Path

import numpy as np
import pytest

from facegeo.files.lists import WantedError
from facegeo.files.places import crop_square, metadata_outline, outline_mask, read_outline

POINTS = np.random.default_rng(0).uniform((100, 50), (200, 180), (68, 2)).round(2)
LINES = "".join(f"{x} {y}\n" for x, y in POINTS)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.pts", f"version: 1\nn_points: 68\n{{\n{LINES}}}\n"),
        ("a.csv", "x,y\n" + LINES.replace(" ", ",")),
        ("a.txt", LINES.replace("\n", " ")),
    ],
)
def test_text_files_of_points(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    np.testing.assert_array_equal(read_outline(tmp_path / name), POINTS)


def test_numpy_files_of_points(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", POINTS)
    np.testing.assert_array_equal(read_outline(tmp_path / "a.npy"), POINTS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LINES[: len(LINES) // 2], "x and y of 68 points.*numbers"),
        ("5 5\n" * 68, "spread over a face"),
        (None, "a file of 68 points.*No such file"),
    ],
    ids=["half", "one spot", "none"],
)
def test_faults_of_points(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "a.txt").write_text(text)
    with pytest.raises(WantedError, match=message):
        read_outline(tmp_path / "a.txt")


def test_the_crop_rule() -> None:
    outline = np.array([[100.0, 50], [200, 50], [150, 130]])
    assert crop_square(outline, 480, 640) == (90, 30, 120)  # 1.2 x 100, centre (150, 90)


def test_a_crop_stays_square_and_inside() -> None:
    outline = np.array([[0.0, 10], [100, 50]])
    assert crop_square(outline, 480, 640) == (0, 0, 120)
    assert crop_square(outline + np.array([539, 0]), 480, 640) == (520, 0, 120)
    assert crop_square(outline, 90, 640)[1:] == (0, 90)


def test_the_mask_is_the_hull() -> None:
    outline = np.array([[12.0, 22], [16, 22], [16, 26], [12, 26], [14, 24]])
    mask = outline_mask(outline, 10, 20, 10)
    wanted = np.zeros((10, 10), dtype=bool)
    wanted[2:7, 2:7] = True
    np.testing.assert_array_equal(mask, wanted)


def test_eleven_points_give_an_ellipse_around_eyes_and_chin() -> None:
    x = [100, 120, 130, 140, 160, 120, 130, 140, 115, 145, 130]
    y = [100, 100, 95, 100, 100, 140, 135, 140, 160, 160, 200]
    text = "\n".join(f"{a}, {b}" for a, b in zip(x, y, strict=True))
    outline = metadata_outline(text)
    np.testing.assert_allclose(outline.max(axis=0), [130 + 0.83 * 60, 200], atol=0.01)
    np.testing.assert_allclose(outline.min(axis=0), [130 - 0.83 * 60, 100 - 27], atol=0.01)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3", "11 points.*3 numbers"),
        (" ".join(f"{9 * k} {-k}" for k in range(11)), "chin below"),
    ],
)
def test_faults_of_eleven_points(text: str, message: str) -> None:
    with pytest.raises(WantedError, match=message):
        metadata_outline(text)
