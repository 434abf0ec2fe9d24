"""Whole folders: good files are done, others are reported, and nothing stops the rest."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.predict.boxes import BoxFile
from facegeo.predict.detectors import WholeImage
from facegeo.predict.folders import PART, RECORD
from facegeo.predict.job import Summary, predict_files
from facegeo.predict.photo import Boxes, Floats, Image, read_photo
from facegeo.predict.points import FindPoints
from facegeo.predict.predictor import Predictor
from facegeo.predict.results import Pictures, Settings

Save = Callable[[Path, Image], Path]
BOX = "20,72,22,74"


@pytest.fixture
def photos(tmp_path: Path, face: Image, save: Save, film: Callable[..., Path]) -> Path:
    """Three good photos, one torn, one whose box lies elsewhere, one of nobody, and a video."""
    folder = tmp_path / "photos"
    for name in ("a.png", "b/a.png", "b/c d.png", "off.png", "nobody.png"):
        save(folder / name, face)
    (folder / "torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    film(folder / "clip.avi", [face] * 3)
    lines = [f"{name},{BOX}" for name in ("a.png", "b/a.png", "b/c d.png", "clip.avi")]
    lines += ["a.png,25,70,24,69", "off.png,500,600,22,74", "nobody2.png,1,9,1,9"]
    header = "file,left,right,top,bottom"
    (folder / "boxes.csv").write_text("\n".join([header, *lines]))
    return folder


@pytest.fixture
def predictor(find_points: FindPoints, photos: Path) -> Predictor:
    return Predictor(find_points, BoxFile(str(photos / "boxes.csv")))


def run(photos: Path, predictor: Predictor, **options: object) -> Summary:
    settings = Settings(**options)  # type: ignore[arg-type]
    return predict_files(str(photos), photos.parent / "out", predictor, settings)


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_good_files_are_done_and_the_others_reported(
    photos: Path, predictor: Predictor, batch: int
) -> None:
    report = run(photos, predictor, batch=batch)
    assert (report.photos, report.faces, report.videos, report.frames) == (4, 4, 1, 3)
    assert report.without == ["nobody.png"]
    assert report.faults == [
        (
            "off.png",
            "wanted a box with its middle in the 96 x 96 image, "
            "got left 500, right 600, top 22, bottom 74",
        ),
        ("torn.jpg", "wanted a readable image, got 8 bytes that are not an image"),
    ]
    out = photos.parent / "out"
    assert len(json.loads((out / "a.png.json").read_text())["faces"]) == 2
    assert len(json.loads((out / "clip.avi.json").read_text())["frames"]) == 3
    assert read_photo(out / "b/c d.png.points.jpg").shape == (480, 480, 3)
    files = [line.split(",")[0] for line in (out / "points.csv").read_text().splitlines()]
    assert files == ["file", "a.png", "a.png", "b/a.png", "b/c d.png", *["clip.avi"] * 3]
    assert read_photo(out / "sheet.jpg").shape == (160, 5 * 160, 3)
    assert {"off.png.json", "torn.jpg.json"}.isdisjoint(path.name for path in out.iterdir())
    assert report.skipped == {".csv": 1}
    shown = [table.title for table in report.tables(out)]
    assert "Skipped" in shown
    (no_face,) = [one for one in report.tables(out) if one.title == "No face found in"]
    assert "detector=whole looks=2" in no_face.note


def test_faces_do_not_depend_on_their_batch(photos: Path, predictor: Predictor) -> None:
    rows = [
        np.array([row.split(",")[3:] for row in run(photos, predictor, batch=n).rows], float)
        for n in (1, 8)
    ]
    np.testing.assert_allclose(rows[0], rows[1], atol=2e-3)


def test_a_repeated_run_writes_the_same_files_and_reads_none_of_them(
    photos: Path, predictor: Predictor
) -> None:
    out = photos / "out"
    for _ in range(2):
        report = predict_files(str(photos), out, predictor, Settings())
    assert report.photos == 4
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    listed = [line.split(PART)[0] for line in (out / RECORD).read_text().splitlines()[1:]]
    assert sorted([*listed, ".lock", RECORD]) == names


def test_a_file_of_another_owner_stops_only_its_photo(photos: Path, predictor: Predictor) -> None:
    out = photos.parent / "out"
    predict_files(str(photos / "nobody.png"), out, predictor, Settings())
    (out / "a.png.json").write_text("mine")
    report = run(photos, predictor)
    faults = dict(report.faults)
    assert "a.png.json was not written by facegeo-predict" in faults["a.png"]
    assert (report.photos, (out / "a.png.json").read_text()) == (3, "mine")
    assert run(photos, predictor, overwrite=True).photos == 4


def test_errors_are_reported_before_any_photo_is_read(photos: Path, predictor: Predictor) -> None:
    for pictures in (Pictures(relight="studio"), Pictures(mesh="glb")):
        with pytest.raises(UserError, match="relight and mesh need normals; add normals=MODEL"):
            run(photos, predictor, pictures=pictures)
    assert not (photos.parent / "out").exists()


def test_an_empty_folder_is_refused(tmp_path: Path, predict: Callable[..., Summary]) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match=r"wanted photos or videos .*, found none"):
        predict(WholeImage())
    assert not (tmp_path / "out").exists()


def test_a_second_run_replaces_its_results(
    tmp_path: Path, face: Image, save: Save, predict: Callable[..., Summary]
) -> None:
    for name in "abc":
        save(tmp_path / f"in/{name}.png", face)
    out = tmp_path / "out"
    predict(WholeImage())
    (tmp_path / "in/c.png").write_bytes(b"torn")
    (tmp_path / "in/b.png").unlink()
    predict(lambda *image: np.zeros((0, 4)))
    assert not (out / "sheet.jpg").exists()
    faces = {n: len(json.loads((out / f"{n}.png.json").read_text())["faces"]) for n in "abc"}
    assert faces == {"a": 0, "b": 1, "c": 1}  # b was not asked for, c could not be read


def test_a_photo_that_breaks_a_model_is_reported_and_its_batch_is_done(
    photos: Path, find_points: FindPoints
) -> None:
    def breaks(images: Sequence[Image], boxes: Sequence[Boxes]) -> Sequence[Floats]:
        if any(len(own) == 2 for own in boxes):
            raise MemoryError("two faces")
        return find_points(images, boxes)

    report = run(photos, Predictor(breaks, BoxFile(str(photos / "boxes.csv"))))
    assert report.faults[0] == ("a.png", "MemoryError: two faces")
    assert (report.photos, report.faces, report.frames) == (3, 2, 3)


def test_an_interrupted_run_lists_its_results(photos: Path, find_points: FindPoints) -> None:
    calls = []

    def interrupted(images: Sequence[Image], boxes: Sequence[Boxes]) -> Sequence[Floats]:
        calls.append(len(images))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return find_points(images, boxes)

    with pytest.raises(KeyboardInterrupt):
        run(photos, Predictor(interrupted, BoxFile(str(photos / "boxes.csv"))), batch=2)
    out = photos.parent / "out"
    assert len((out / "points.csv").read_text().splitlines()) == 1 + 3
    assert (out / "sheet.jpg").is_file()


@pytest.mark.parametrize("error", [MemoryError("frame 3"), KeyboardInterrupt()])
def test_an_interrupted_video_keeps_the_faces_found_so_far(
    photos: Path, find_points: FindPoints, error: BaseException
) -> None:
    calls = []

    def stops(images: Sequence[Image], boxes: Sequence[Boxes]) -> Sequence[Floats]:
        calls.append(len(images))
        if len(calls) == 3:
            raise error
        return find_points(images, boxes)

    out, detect = photos.parent / "out", BoxFile(str(photos / "boxes.csv"))
    work = partial(
        predict_files, str(photos / "clip.avi"), out, Predictor(stops, detect), Settings(batch=1)
    )
    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            work()
    else:
        report = work()
        why = "MemoryError: frame 3 (frames done before: 2)"
        assert report.faults == [("clip.avi", why)]
        assert (report.videos, report.frames) == (1, 2)
    assert len(json.loads((out / "clip.avi.json").read_text())["frames"]) == 2
    assert len((out / "points.csv").read_text().splitlines()) == 1 + 2
