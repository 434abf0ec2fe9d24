"""Boxes from a list, CSV and JSON; torn ones are told line by line."""

from pathlib import Path

import numpy as np
import pytest

from facegeo.data.faults import FaultsError
from facegeo.errors import UserError
from facegeo.predict.box_file import BoxFile

BLANK = np.zeros((100, 200, 3), np.uint8)


def told(tmp_path: Path, name: str, text: str) -> BoxFile:
    (tmp_path / name).write_text(text)
    return BoxFile(str(tmp_path / name))


def test_a_list_of_sun_et_al(tmp_path: Path) -> None:
    lines = "a\\b c.jpg 10 30 20 45 1 2 3 4 5 6 7 8 9 10\r\n\r\nd.12.png 1.5 20 3 40\r\n"
    boxes = told(tmp_path, "list.txt", lines)
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
    boxes = told(tmp_path, "boxes.csv", text)
    assert boxes(BLANK, "a.jpg").tolist() == [[10, 40, 20, 60], [5, 15, 5, 15]]


def test_json(tmp_path: Path) -> None:
    boxes = told(tmp_path, "boxes.json", '{"x/a.jpg": [[10, 40, 20, 60]], "b.jpg": []}')
    assert boxes(BLANK, "x/a.jpg").tolist() == [[10, 40, 20, 60]]
    assert boxes(BLANK, "b.jpg").shape == (0, 4)


def test_the_end_of_a_path_is_enough_if_it_is_the_only_one(tmp_path: Path) -> None:
    boxes = told(tmp_path, "boxes.csv", "x/a.jpg,1,2,30,40\nx/b.jpg,1,2,30,40\ny/b.jpg,1,2,3,4\n")
    assert len(boxes(BLANK, "a.jpg")) == 1
    assert len(boxes(BLANK, "photos/x/a.jpg")) == 1
    assert len(boxes(BLANK, "b.jpg")) == 0  # which?
    assert len(boxes(BLANK, "aa.jpg")) == 0


def test_a_box_outside_its_image_is_refused_when_it_is_used(tmp_path: Path) -> None:
    boxes = told(tmp_path, "boxes.csv", "a.jpg,190,2,60,40\n")
    with pytest.raises(UserError, match="its middle in the 200 x 100 image, got left 190"):
        boxes(BLANK, "a.jpg")


def test_torn_lines_are_told_together(tmp_path: Path) -> None:
    text = "file,left,top,width,height\na.jpg,1,2,x,4\nb.jpg,1,2,30,40\nc.jpg,1,2\nd.jpg,9,9,1,9\n"
    with pytest.raises(FaultsError, match="3 faults in the face data") as caught:
        told(tmp_path, "boxes.csv", text)
    wanted = [
        "  boxes.csv line 2, a.jpg: wanted finite numbers, got 'x'",
        "  boxes.csv line 4, c.jpg: wanted left, right, top, bottom, got 2 numbers",
        "  boxes.csv line 5, d.jpg: wanted a box of 2 px or more, left < right, top < bottom, "
        "got left 9, right 10, top 9, bottom 18",
    ]
    assert str(caught.value).splitlines()[1:4] == wanted
    text = "a.jpg 1 20 3 40\nb.jpg 1 2.x 3 4\nc.jpg 1 2\n"
    with pytest.raises(FaultsError, match=r"line 2, b\.jpg: .*'2\.x'\n.*line 3, c\.jpg: .*2 numb"):
        told(tmp_path, "list.txt", text)
    text = '{"a.jpg": [[1, 20, 3, 40]],\n "b.jpg": [[1, 2], 7, [1, true, 3, 4]]}'
    with pytest.raises(FaultsError, match=r"(?s)3 faults.*line 2, b\.jpg: .*2 numb.*1 numb.*True"):
        told(tmp_path, "boxes.json", text)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", r"a\.json line 1: wanted JSON, got what is none"),
        ("a.json", "[]", r"a\.json: wanted boxes by image, \{\.\.\.\}, got a list"),
        ("a.json", '{"a.jpg": 3}', r"a\.json, a\.jpg: wanted a list of boxes, got 3"),
        ("a.csv", "name,x,y\n", r"a\.csv line 1: wanted a header with file and left"),
        ("a.csv", "\n", "wanted a box a face, got an empty file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        told(tmp_path, name, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"detector\.path=.*gone\.csv: .*got No such file"):
        BoxFile(str(tmp_path / "gone.csv"))
