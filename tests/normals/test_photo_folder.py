"""Plain photos: the square is where the rule says, and every bad file is named at once."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from facegeo.errors import UserError
from facegeo.files.places import five_point_outline
from facegeo.normals.photos import PhotoFolder

WIDTH, HEIGHT = 200, 160


def save(path: Path, width: int = WIDTH, height: int = HEIGHT) -> Path:
    """A photo whose red is the column, whose green is the row and whose blue is 7."""
    row, column = np.mgrid[:height, :width]
    pixels = np.stack([np.full_like(row, 7), row, column], axis=2).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)
    return path


def square(root: Path, side: int, **places: object) -> list[int]:
    """Left, top, right and bottom pixel of the one cut-out of a folder, ``side`` px wide."""
    image = PhotoFolder(root, side, **places)[0]["image"]  # type: ignore[arg-type]
    assert image.shape == (3, side, side)
    corners = [image[0, 0, 0], image[1, 0, 0], image[0, -1, -1], image[1, -1, -1]]
    return [round(255 * corner.item()) for corner in corners]


def sixty_eight(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    """68 points whose bounding box is this; most lie in its middle."""
    middle = ((left + right) / 2, (top + bottom) / 2)
    rim = [(left, middle[1]), (right, middle[1]), (middle[0], top), (middle[0], bottom)]
    return rim + [middle] * 64


def line(points: Sequence[tuple[float, float]], by: str = ",") -> str:
    return by.join(f"{number:g}" for point in points for number in point)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("points", f"a/One.png,{line(sixty_eight(70, 50, 120, 90))}\n"),
        ("boxes", "image_id,x_1,y_1,width,height\na/One.png,70,50,50,40\n"),
        ("boxes", "./a/One.png,70,50,50,40\n\n"),
        ("boxes", "a\\One.png,70,50,50,40"),
        ("boxes", " a/One.png ,70,50,50,40"),
    ],
    ids=["points", "header", "dot", "backslash", "spaces"],
)
def test_a_list_gives_the_square_of_the_rule(tmp_path: Path, key: str, text: str) -> None:
    save(tmp_path / "faces/a/One.png")
    places = tmp_path / "places.csv"
    places.write_text(text)
    # box 50 x 40 around (95, 70): side 60, from 65.5 to 124.5 and from 40.5 to 99.5
    left, top, right, bottom = square(tmp_path / "faces", 60, **{key: places})
    assert (right - left, bottom - top) == (59, 59)
    assert abs(left - 65.5) <= 0.5
    assert abs(top - 40.5) <= 0.5


def test_points_beside_the_photo_as_in_300w(tmp_path: Path) -> None:
    save(tmp_path / "indoor_001.png")
    body = "\n".join(f"{x} {y}" for x, y in sixty_eight(70, 50, 120, 91))
    (tmp_path / "indoor_001.pts").write_text(f"version: 1\nn_points: 68\n{{\n{body}\n}}\n")
    left, _, right, _ = square(tmp_path, 60)
    assert right - left == 59
    assert left == pytest.approx(65, abs=1)
    (tmp_path / "indoor_001.pts").rename(tmp_path / "indoor_001.txt")
    (tmp_path / "indoor_001.txt").write_text(body)
    assert square(tmp_path, 60)[0] == left


def test_only_the_first_line_is_a_header(tmp_path: Path) -> None:
    save(tmp_path / "faces/one.png")
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("one.png,70,50,50,40\nfile,left,top,width,height\n")
    with pytest.raises(UserError, match="line 2, file: wanted finite numbers, got 'left'"):
        PhotoFolder(tmp_path / "faces", 60, boxes=boxes)


def test_the_square_moves_into_the_photo_and_ends_with_it(tmp_path: Path) -> None:
    save(tmp_path / "faces/one.png")
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("one.png,-20,110,50,50\n")
    assert square(tmp_path / "faces", 60, boxes=boxes) == [0, 100, 59, 159]
    boxes.write_text("one.png,10,10,189,150\n")  # 227 px wanted, 160 there
    left, top, _, bottom = square(tmp_path / "faces", 160, boxes=boxes)
    assert (left, top, bottom) == (25, 0, 159)


def test_without_a_place_the_largest_square_in_the_middle_is_taken(tmp_path: Path) -> None:
    save(tmp_path / "one.png")
    assert square(tmp_path, 160) == [20, 0, 179, 159]


def test_five_points_are_scaled_to_the_box_of_68(tmp_path: Path) -> None:
    # eyes 40 px apart, mouth 40 px below: 1.074 x 80 = 85.9 px, 0.035 sides = 3 px below (100, 80)
    five = np.array([[80, 60], [120, 60], [100, 80], [85, 100], [115, 100]], dtype=np.float64)
    (left, top), (right, bottom) = five_point_outline(five)
    assert right - left == pytest.approx(85.9, abs=0.1)
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((100, 83), abs=0.1)
    save(tmp_path / "faces/one.png")
    points = tmp_path / "points.csv"
    header = ",".join(["file", *(f"{axis}{k}" for k in range(5) for axis in "xy")])
    points.write_text(f"{header}\none.png,{line([(x, y) for x, y in five])}\n")
    got = square(tmp_path / "faces", 103, points=points)  # 1.2 x 85.9
    assert got == pytest.approx([100 - 51, 83 - 51, 100 + 51, 83 + 51], abs=1)


def test_photos_come_by_name_at_any_depth_and_collate(tmp_path: Path) -> None:
    for name in ("b.png", "a/2.jpg", "a/1.BMP", "c.webp"):
        save(tmp_path / name)
    (tmp_path / "notes.md").write_text("no photo")
    folder = PhotoFolder(tmp_path, 32, limit=3)
    assert folder.names == ("a/1.BMP", "a/2.jpg", "b.png")
    batch = next(iter(DataLoader(folder, batch_size=3)))
    assert batch["sample"].tolist() == [0, 1, 2]
    assert batch["image"].shape == (3, 3, 32, 32)
    assert batch["image"].dtype == torch.float32
    torch.testing.assert_close(
        batch["image"][:, 2], torch.full((3, 32, 32), 7 / 255), atol=0.02, rtol=0
    )


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    root = tmp_path / "faces"
    for name in ("good.png", "torn.png", "off.png", "left_out.png", "twice.png"):
        save(root / name)
    (root / "torn.png").write_bytes((root / "torn.png").read_bytes()[:300])
    (root / "text.jpg").write_text("not an image")
    boxes = tmp_path / "boxes.csv"
    boxes.write_text(
        "file,left,top,width,height\ngood.png,70,50,50,40\ntorn.png,70,50,50,40\n"
        "off.png,300,50,50,40\ntext.jpg,70,50,50\ntwice.png,1,1,9,9\ntwice.png,1,1,9,9\n"
        "elsewhere.png,70,x,50,40\nfar.png,1,1,0,9\nnobody.png,1,1,5,5\n"
    )
    with pytest.raises(UserError, match=r"^8 faults in the photos of .*faces:") as caught:
        PhotoFolder(root, 64, boxes=boxes)
    found = str(caught.value).splitlines()[1:-1]
    wanted = {
        "boxes.csv line 5, text.jpg: wanted left, top, width, height, got 3 numbers",
        "boxes.csv line 7, twice.png: wanted each photo once, got it again",
        "boxes.csv line 8, elsewhere.png: wanted finite numbers, got 'x'",
        "boxes.csv line 9, far.png: wanted a box of 1 px or more, got 0 x 9",
        "left_out.png: wanted its place, as other photos have, got none",
        "off.png: wanted a face in the image's 200 x 160 pixels, "
        "got one from (300, 50) to (350, 90)",
        "torn.png: wanted a readable image, got a file that is damaged or cut short",
        "text.jpg: wanted a readable image, got 12 bytes that are not an image",
    }
    assert {fault.strip() for fault in found} == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3", r"one\.png: wanted x and y of 5 or 68 points, got 3 numbers"),
        (",".join("5" * 10), r"one\.png: wanted points spread over a face, got points on one spot"),
        ("nan," + ",".join("12345" + "6789"), r"one\.png: wanted finite numbers, got 'nan'"),
    ],
    ids=["three", "one-spot", "nan"],
)
def test_bad_points_are_refused_beside_the_photo_and_in_a_list(
    tmp_path: Path, text: str, message: str
) -> None:
    save(tmp_path / "one.png")
    points = tmp_path / "points.csv"
    points.write_text(f"one.png,{text}\n")
    with pytest.raises(UserError, match=r"points\.csv line 1, " + message):
        PhotoFolder(tmp_path, 64, points=points)
    (tmp_path / "one.txt").write_text(text.replace(",", "\n"))
    with pytest.raises(UserError, match="points beside " + message):
        PhotoFolder(tmp_path, 64)


def test_photo_that_is_damaged_later_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "one.png")
    folder = PhotoFolder(tmp_path, 64)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(
        UserError, match=r"one\.png: wanted a readable image, got a file that is damaged"
    ):
        folder[0]


def test_invalid_photo_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"wanted a folder with photos \(\.jpg.*got none in it"):
        PhotoFolder(tmp_path, 64)
    with pytest.raises(UserError, match="got no such folder"):
        PhotoFolder(tmp_path / "gone", 64)
    save(tmp_path / "one.png")
    with pytest.raises(UserError, match=r"wanted points or boxes, got both: a\.csv and b\.csv"):
        PhotoFolder(tmp_path, 64, points="a.csv", boxes="b.csv")
    with pytest.raises(UserError, match=r"a\.csv: wanted a CSV file with the boxes of each photo"):
        PhotoFolder(tmp_path, 64, boxes=tmp_path / "a.csv")
    with pytest.raises(ValueError, match=r"size must be in \[1, inf\], got 0"):
        PhotoFolder(tmp_path, 0)
    with pytest.raises(ValueError, match=r"limit must be in \[1, inf\], got 0"):
        PhotoFolder(tmp_path, 64, limit=0)
