"""Boxes from a list, CSV and JSON; damaged ones are reported line by line."""

from pathlib import Path

import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.files.lists import FaultsError
from facegeo.predict.boxes import (
    MEAN_SHAPE,
    BoxFile,
    BoxMapping,
    box_of_points,
    check_boxes,
    overlap,
)
from facegeo.predict.photo import Face
from facegeo.predict.results import faces_json, frame_json, list_csv, rows_of, video_json
from facegeo.predict.tracks import Seen

BLANK = np.zeros((100, 200, 3), np.uint8)


def box_file(tmp_path: Path, name: str, text: str) -> BoxFile:
    (tmp_path / name).write_text(text)
    return BoxFile(str(tmp_path / name))


def test_a_list_of_sun_et_al(tmp_path: Path) -> None:
    lines = "a\\b c.jpg 10 30 20 45 1 2 3 4 5 6 7 8 9 10\r\n\r\nd.12.png 1.5 20 3 40\r\n"
    boxes = box_file(tmp_path, "list.txt", lines)
    assert boxes(BLANK, "a/b c.jpg").tolist() == [[10, 30, 20, 45]]
    assert boxes(BLANK, "d.12.png").tolist() == [[1.5, 20, 3, 40]]
    assert boxes(BLANK, "e.png").shape == (0, 4)


@pytest.mark.parametrize(
    "text",
    [
        "a.jpg,10,20,30,40\na.jpg,5,5,10,10\n",
        "file,left,top,width,height\na.jpg,10,20,30,40\na.jpg,5,5,10,10\n",
        "File,face,left,right,top,bottom,LE_x\na.jpg,0,10,40,20,60,7\na.jpg,1,5,15,5,15,7\n",
    ],
    ids=["no-header", "as-celeba", "as-points.csv"],
)
def test_csv_either_way_and_several_faces(tmp_path: Path, text: str) -> None:
    boxes = box_file(tmp_path, "boxes.csv", text)
    assert boxes(BLANK, "a.jpg").tolist() == [[10, 40, 20, 60], [5, 15, 5, 15]]


def test_json(tmp_path: Path) -> None:
    boxes = box_file(tmp_path, "boxes.json", '{"x/a.jpg": [[10, 40, 20, 60]], "b.jpg": []}')
    assert boxes(BLANK, "x/a.jpg").tolist() == [[10, 40, 20, 60]]
    assert boxes(BLANK, "b.jpg").shape == (0, 4)


def test_the_end_of_a_path_is_enough_if_it_is_the_only_one(tmp_path: Path) -> None:
    boxes = box_file(
        tmp_path, "boxes.csv", "x/a.jpg,1,2,30,40\nx/b.jpg,1,2,30,40\ny/b.jpg,1,2,3,4\n"
    )
    assert len(boxes(BLANK, "a.jpg")) == 1
    assert len(boxes(BLANK, "photos/x/a.jpg")) == 1
    assert len(boxes(BLANK, "b.jpg")) == 0  # which?
    assert len(boxes(BLANK, "aa.jpg")) == 0


def test_a_box_outside_its_image_is_refused_when_it_is_used(tmp_path: Path) -> None:
    boxes = box_file(tmp_path, "boxes.csv", "a.jpg,190,2,60,40\n")
    with pytest.raises(UserError, match="its middle in the 200 x 100 image, got left 190"):
        boxes(BLANK, "a.jpg")


def test_invalid_lines_are_reported_together(tmp_path: Path) -> None:
    text = "file,left,top,width,height\na.jpg,1,2,x,4\nb.jpg,1,2,30,40\nc.jpg,1,2\nd.jpg,9,9,1,9\n"
    with pytest.raises(FaultsError, match="3 faults in the face data") as caught:
        box_file(tmp_path, "boxes.csv", text)
    wanted = [
        "  boxes.csv line 2, a.jpg: wanted finite numbers, got 'x'",
        "  boxes.csv line 4, c.jpg: wanted left, right, top, bottom, got 2 numbers",
        "  boxes.csv line 5, d.jpg: wanted a box of 2 px or more, left < right, top < bottom, "
        "got left 9, right 10, top 9, bottom 18",
    ]
    assert str(caught.value).splitlines()[1:4] == wanted
    text = "a.jpg 1 20 3 40\nb.jpg 1 2.x 3 4\nc.jpg 1 2\n"
    with pytest.raises(FaultsError, match=r"line 2, b\.jpg: .*'2\.x'\n.*line 3, c\.jpg: .*2 numb"):
        box_file(tmp_path, "list.txt", text)
    text = '{"a.jpg": [[1, 20, 3, 40]],\n "b.jpg": [[1, 2], 7, [1, true, 3, 4]]}'
    with pytest.raises(FaultsError, match=r"(?s)3 faults.*line 2, b\.jpg: .*2 numb.*1 numb.*True"):
        box_file(tmp_path, "boxes.json", text)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", r"a\.json line 1: wanted JSON, got something else"),
        ("a.json", "[]", r"a\.json: wanted boxes by image, \{\.\.\.\}, got a list"),
        ("a.json", '{"a.jpg": 3}', r"a\.json, a\.jpg: wanted a list of boxes, got 3"),
        ("a.csv", "name,x,y\n", r"a\.csv line 1: wanted a header with file and left"),
        ("a.csv", "\n", "wanted a box a face, got an empty file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        box_file(tmp_path, name, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"detector\.path=.*gone\.csv: .*got No such file"):
        BoxFile(str(tmp_path / "gone.csv"))


def test_boxes_of_a_video_belong_to_their_frames(tmp_path: Path) -> None:
    """And are those that were written, in CSV and in JSON; a box of no frame is of all."""
    faces = [Face((10.0 + n, 40.0 + n, 20, 60), np.zeros((1, 5, 2), np.float32)) for n in range(3)]
    lines = [rows_of("clip.mp4", [face], n, [Seen(0, True)]) for n, face in enumerate(faces)]
    frames = [frame_json(n, n / 25, [Seen(0, True)], [face]) for n, face in enumerate(faces)]
    texts = {
        "points.csv": list_csv([line for own in lines for line in own]),
        "clip.mp4.json": video_json("clip.mp4", (100, 200), 25, frames),
    }
    for name, text in texts.items():
        boxes = box_file(tmp_path, name, text)
        for number, face in enumerate(faces):
            assert boxes(BLANK, "clip.mp4", number).tolist() == [list(face.box)]
        assert boxes(BLANK, "clip.mp4", 3).shape == boxes(BLANK, "clip.mp4").shape == (0, 4)
    text = "file,frame,left,right,top,bottom\nclip.mp4,,1,9,1,9\nclip.mp4,1,2,9,2,9\n"
    boxes = box_file(tmp_path, "some.csv", text)
    assert boxes(BLANK, "clip.mp4", 0).tolist() == [[1, 9, 1, 9]]
    assert boxes(BLANK, "clip.mp4", 1).tolist() == [[1, 9, 1, 9], [2, 9, 2, 9]]


def test_json_of_a_photo_gives_its_boxes_back(tmp_path: Path) -> None:
    name = "caf\udce9.jpg"
    face = Face((10, 40, 20, 60), np.zeros((1, 5, 2), np.float32))
    boxes = box_file(tmp_path, "a.json", faces_json(name, (100, 200), [face]))
    assert boxes(BLANK, name).tolist() == [[10, 40, 20, 60]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"a.jpg": []}'),
        ("points.csv", "file,frame,face,left,right,top,bottom\n"),
    ],
)
def test_a_photo_may_be_listed_without_faces(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert BoxFile(str(tmp_path / name))(BLANK, "a.jpg").shape == (0, 4)


def test_json_of_a_photo_without_a_face_has_no_boxes(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(faces_json("a.jpg", (100, 200), []))
    assert BoxFile(str(tmp_path / "a.json"))(BLANK, "a.jpg").shape == (0, 4)


def test_a_path_that_is_there_is_not_looked_for_by_its_end(tmp_path: Path) -> None:
    boxes = box_file(tmp_path, "boxes.csv", "a.jpg,1,2,30,40\nx/a.jpg,5,5,30,40\n")
    assert boxes(BLANK, "a.jpg").tolist() == [[1, 31, 2, 42]]


def test_missing_names_and_frames_are_reported(tmp_path: Path) -> None:
    text = "left,top,width,height,frame,file\n1,2,30,40,,a.jpg\n1,2,30,40\n1,2,30,40,x,c.jpg\n"
    with pytest.raises(FaultsError, match=r"(?s)line 3: wanted the name of an image.*line 4, c"):
        box_file(tmp_path, "boxes.csv", text)
    boxes = box_file(tmp_path, "odd.csv", "a\u2028b.jpg,1,2,30,40\n")
    assert len(boxes(BLANK, "a\u2028b.jpg")) == 1
    with pytest.raises(UserError, match=r"JSON of facegeo-predict, got another \(KeyError\('box"):
        box_file(tmp_path, "a.json", '{"format": "facegeo-faces-1", "file": "a", "faces": [{}]}')


def test_a_mapping_moves_by_sides_and_scales_about_the_middle() -> None:
    mapped = BoxMapping(right=0.1, down=-0.2, scale=0.5)(np.array([[10.0, 30, 100, 140]]))
    # middle (20, 120) -> (22, 112); sides 20 and 40, their mean 30 -> 15
    np.testing.assert_allclose(mapped, [[14.5, 29.5, 104.5, 119.5]])


def test_points_of_the_mean_shape_give_their_box_at_any_rotation() -> None:
    box = np.array([20.0, 60, 30, 70])
    points = box[[0, 2]] + 40 * MEAN_SHAPE
    middle = points.mean(axis=0)
    turn = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    turned = (points - middle) @ turn.T + middle
    for shape in (points, turned):
        np.testing.assert_allclose(box_of_points(shape[None]), box[None])


def test_overlap_is_intersection_over_union_of_all_pairs() -> None:
    boxes = np.array([[0.0, 10, 0, 10], [5, 15, 0, 10]])
    others = np.array([[0.0, 10, 0, 10], [20, 30, 0, 10], [0, 10, 5, 10]])
    np.testing.assert_allclose(overlap(boxes, others), [[1, 0, 0.5], [1 / 3, 0, 0.2]])
    assert overlap(boxes, np.zeros((0, 4))).shape == (2, 0)


def test_a_single_box_and_no_boxes_are_accepted() -> None:
    assert check_boxes([1, 9, 2, 9], 10, 10).tolist() == [[1, 9, 2, 9]]
    assert check_boxes([], 10, 10).shape == (0, 4)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[9, 1, 2, 9]], "left < right, top < bottom; got left 9, right 1, top 2, bottom 9"),
        ([[1, 2, 2, 9]], "a box of 2 px or more"),
        ([[0, np.inf, 0, 9]], "a box of 2 px or more"),
        ([[0, np.nan, 0, 9]], "a box of 2 px or more"),
        ([[15, 30, 0, 9]], r"its middle in the 20 x 10 image, got left 15, right 30"),
        ([[0, 9, -9, 3]], r"its middle in the 20 x 10 image"),
    ],
)
def test_a_box_that_holds_no_part_of_the_image_is_refused(boxes: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_boxes(boxes, 10, 20)  # type: ignore[arg-type]


def test_boxes_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have shape \(F, 4\) or \(4,\), got \(2, 3\)"):
        check_boxes(np.zeros((2, 3)), 10, 10)
