"""Photos of odd sizes, names and turns are done like others."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from facegeo.predict.boxes import BoxFile
from facegeo.predict.detectors import Haar, WholeImage
from facegeo.predict.job import Summary, predict_files
from facegeo.predict.photo import Image, read_photo
from facegeo.predict.points import FindPoints
from facegeo.predict.predictor import Predictor
from facegeo.predict.results import Settings
from facegeo.predict.video import opened

Predict = Callable[..., Summary]
Save = Callable[[Path, Image], Path]
BOX = "20,72,22,74"


def test_a_name_that_is_no_text_is_a_name_all_the_same(
    tmp_path: Path, face: Image, save: Save, predict: Predict
) -> None:
    (tmp_path / "in").mkdir()
    good = os.fsdecode(b"in/caf\xe9.png")
    save(tmp_path / "a.png", face).rename(tmp_path / good)
    (tmp_path / os.fsdecode(b"in/\xff.jpg")).write_bytes(b"torn")
    for _ in range(2):
        report = predict(WholeImage())
    assert (tmp_path / "out" / os.fsdecode(b"caf\xe9.png.json")).is_file()
    assert "caf\\udce9.png,,0," in (tmp_path / "out/points.csv").read_text()
    faults = "".join(table.csv() for table in report.tables(tmp_path))
    assert "\\udcff.jpg," in faults


def test_a_film_whose_name_is_no_text_is_a_film_all_the_same(
    tmp_path: Path, face: Image, film: Callable[..., Path], find_points: FindPoints
) -> None:
    (tmp_path / "in").mkdir()
    name, out = os.fsdecode(b"caf\xe9.mp4"), tmp_path / os.fsdecode(b"\xff")
    film(tmp_path / "a.avi", [face] * 3).rename(tmp_path / "in" / name)
    predictor = Predictor(find_points, WholeImage())
    report = predict_files(str(tmp_path / "in"), out, predictor, Settings())
    assert (report.faults, report.frames) == ([], 3)
    shutil.copy(out / f"{name}.points.mp4", tmp_path / "plain.mp4")
    with opened(tmp_path / "plain.mp4") as clip:
        assert clip.frames == 3


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 3000), (20, 20)])
def test_photos_of_odd_sizes_are_accepted(
    tmp_path: Path, save: Save, predict: Predict, size: tuple[int, int]
) -> None:
    save(tmp_path / "in/a.png", np.zeros((*size, 3), np.uint8))
    for detect in (Haar(), WholeImage()):
        report = predict(detect)
        assert (report.photos, report.faults) == (1, [])


def test_a_turned_photo_is_predicted_as_it_is_seen(
    tmp_path: Path, face: Image, predict: Predict
) -> None:
    """Stored on its side with the tag that says so: points as of the photo itself."""
    (tmp_path / "in").mkdir()
    stored = cv2.imencode(".jpg", np.rot90(face)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])[1]
    orientation = bytes.fromhex(
        "ffe1 0022 457869660000 4d4d002a00000008 0001 0112 0003 00000001 0006 0000 00000000"
    )
    data = stored.tobytes()
    (tmp_path / "in/turned.jpg").write_bytes(data[:2] + orientation + data[2:])
    cv2.imwrite(str(tmp_path / "in/as_it_is.png"), face[..., ::-1])
    boxes = "file,left,right,top,bottom\n" + "\n".join(
        f"{n},{BOX}" for n in ("turned.jpg", "as_it_is.png")
    )
    (tmp_path / "boxes.csv").write_text(boxes)
    predict(BoxFile(str(tmp_path / "boxes.csv")))
    turned, plain = (
        np.array(json.loads((tmp_path / f"out/{name}.json").read_text())["faces"][0]["stages"][-1])
        for name in ("turned.jpg", "as_it_is.png")
    )
    assert np.abs(turned - plain).max() < 1


def test_odd_files_do_not_end_the_rest(
    tmp_path: Path, face: Image, save: Save, predict: Predict
) -> None:
    """Longer than a JPEG may be; and a box of two million pixels."""
    save(tmp_path / "in/a_long.png", np.zeros((4, 70000, 3), np.uint8))
    save(tmp_path / "in/b_wide.png", face)
    save(tmp_path / "in/c.png", face)
    boxes = ["a_long.png,5,9,0,4", "b_wide.png,-1e6,1e6,-1e6,1e6", f"c.png,{BOX}"]
    (tmp_path / "boxes.csv").write_text("\n".join(["file,left,right,top,bottom", *boxes]))
    report = predict(BoxFile(str(tmp_path / "boxes.csv")))
    assert (report.photos, [name for name, _ in report.faults]) == (2, ["b_wide.png"])
    assert "wanted a box of 960 px or less, 10 times its image" in report.faults[0][1]
    assert read_photo(tmp_path / "out/a_long.png.points.jpg").shape == (3, 65500, 3)
