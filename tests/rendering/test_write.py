"""Folders of generated faces: the same for any number of processes, resumed, never mixed."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.files.images import decode
from facegeo.files.writing import LOCK
from facegeo.landmarks.lists import read_list
from facegeo.rendering import write
from facegeo.rendering.manifest import LOOKS, UNFINISHED, is_complete, options_of, write_manifest
from facegeo.rendering.order import FRAMES, Order, Task
from facegeo.rendering.write import Worker, ensure_faces, fill, remove_faces, share

ORDER = Order(train=5, test=2, size=48, seed=4, maps=True)


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and path.name != LOCK)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with one process."""
    root = tmp_path_factory.mktemp("made") / "faces"
    fill(root, ORDER, processes=1)
    return root


def test_two_processes_write_what_one_writes(made: Path, tmp_path: Path) -> None:
    fill(tmp_path / "faces", ORDER, processes=2)
    assert contents(tmp_path / "faces") == contents(made)
    assert len(contents(made)) == 7 * 3 + 2 + 1  # pictures and maps, lists, manifest


def test_lists_have_the_format_of_sun_et_al(made: Path) -> None:
    text = (made / "trainImageList.txt").read_bytes().decode()
    assert text.count("\r\n") == ORDER.train == text.count("\n")
    path, *numbers = text.split("\r\n")[0].split(" ")
    assert path == "train\\000000.jpg"
    assert all(number.isdigit() for number in numbers[:4])
    assert [len(number.partition(".")[2]) for number in numbers[4:]] == [6] * 10


def test_reader_of_real_lists_reads_generated_ones(made: Path) -> None:
    faces = read_list(made, "testImageList.txt")
    assert list(faces.names) == ["test/000000.jpg", "test/000001.jpg"]
    assert decode((made / faces.names[0]).read_bytes()).shape == (48, 48, 3)
    left, right, top, bottom = faces.boxes.T
    inside = (faces.points > np.stack([left, top], 1)[:, None]) & (
        faces.points < np.stack([right, bottom], 1)[:, None]
    )
    assert inside.all()


def test_all_pictures_differ(made: Path) -> None:
    pictures = [data for name, data in contents(made).items() if name.endswith(".jpg")]
    assert len(set(pictures)) == ORDER.train + ORDER.test


def test_half_written_folder_is_finished(made: Path, tmp_path: Path) -> None:
    root = tmp_path / "faces"
    root.mkdir()
    write_manifest(root, ORDER, complete=False, notes={})
    worker = Worker(root, ORDER)
    for number in (0, 3):
        worker.do(Task("train", number))
    (root / "train" / ".000001.jpg.4711").write_bytes(b"half")
    kept = (root / "train" / "000003.jpg").stat().st_mtime_ns

    report = fill(root, ORDER, processes=1)

    assert report.made == ORDER.train + ORDER.test - 2
    assert (root / "train" / "000003.jpg").stat().st_mtime_ns == kept
    assert contents(root) == contents(made)
    assert not (root / UNFINISHED).exists()


def test_complete_folder_is_not_touched(made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    assert fill(made, ORDER).made == 0
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before


def test_fill_rejects_other_options(made: Path) -> None:
    with pytest.raises(UserError, match=r"seed: 4 there, 5 asked for"):
        fill(made, replace(ORDER, seed=5))


def test_folder_of_other_files_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(UserError, match=r"holds thesis\.tex and no manifest"):
            fill(tmp_path, ORDER, overwrite=overwrite)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_fill_rejects_file_as_folder(tmp_path: Path) -> None:
    (tmp_path / "faces").touch()
    with pytest.raises(UserError, match=r"faces must be a folder, found a file"):
        fill(tmp_path / "faces", ORDER)


def test_overwrite_replaces_faces(tmp_path: Path) -> None:
    root, order = tmp_path / "faces", replace(ORDER, train=1, test=0, size=32)
    fill(root, order, processes=1)
    old = (root / "train" / "000000.jpg").read_bytes()
    fill(root, replace(order, seed=1), processes=1, overwrite=True)
    assert (root / "train" / "000000.jpg").read_bytes() != old
    assert json.loads((root / "manifest.json").read_text())["options"]["seed"] == 1


@pytest.mark.parametrize("layout", ["landmarks", "photoface"])
def test_overwrite_removes_only_faces(tmp_path: Path, layout: str) -> None:
    root = tmp_path / "faces"
    order = replace(ORDER, layout=layout, train=1, test=1, size=32)
    fill(root, order, processes=1)
    (root / "train").mkdir(exist_ok=True)
    own = {name: b"mine" for name in ("README.md", "train/notes.txt", ".x.part", ".x.12")}
    for name, text in own.items():
        (root / name).write_bytes(text)
    remove_faces(root)
    kept = contents(root)
    assert not json.loads(kept.pop("manifest.json"))["complete"]
    assert kept == own
    assert {path.name for path in root.iterdir() if path.is_dir()} == {"train"}


def test_overwrite_keeps_the_same_faces(made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    assert fill(made, ORDER, overwrite=True).made == 0
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before


def change_manifest(root: Path, **changes: object) -> None:
    file = root / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_unfinished_folder_of_other_versions_is_rejected(tmp_path: Path) -> None:
    write_manifest(tmp_path, ORDER, complete=False, notes={})
    versions = json.loads((tmp_path / "manifest.json").read_text())["versions"]
    change_manifest(tmp_path, versions=versions | {"numpy": "1.0"})
    with pytest.raises(UserError, match=r"begun with numpy 1\.0, \d.* here.*overwrite=true"):
        is_complete(tmp_path, ORDER)
    change_manifest(tmp_path, complete=True)
    assert is_complete(tmp_path, ORDER)


def test_faces_of_an_older_facegeo_are_rejected(tmp_path: Path) -> None:
    write_manifest(tmp_path, ORDER, complete=True, notes={})
    change_manifest(tmp_path, options=options_of(ORDER) | {"looks": LOOKS - 1, "gone": 1})
    with pytest.raises(UserError, match=r"made by an older facegeo, .*root of that part of data"):
        is_complete(tmp_path, ORDER)


def test_manifest_without_shadows_means_shadows(tmp_path: Path) -> None:
    write_manifest(tmp_path, ORDER, complete=True, notes={})
    options = options_of(ORDER)
    del options["shadows"]
    change_manifest(tmp_path, options=options)
    assert is_complete(tmp_path, ORDER)
    with pytest.raises(UserError, match=r"shadows: True there, False asked for"):
        is_complete(tmp_path, replace(ORDER, shadows=False))


def test_maps_do_not_change_the_pictures(made: Path, tmp_path: Path) -> None:
    root = ensure_faces(tmp_path, train=1, test=0, size=48, seed=4, processes=1)
    assert (root / "train/000000.jpg").read_bytes() == (made / "train/000000.jpg").read_bytes()
    assert not (root / "normals").exists()


def test_sessions_are_stored_in_the_given_frame(tmp_path: Path) -> None:
    order: dict[str, Any] = {"layout": "photoface", "train": 1, "test": 0, "size": 32, "seed": 4}
    roots = [ensure_faces(tmp_path / frame, frame=frame, processes=1, **order) for frame in FRAMES]
    assert (roots[0] / "train.csv").read_text().split()[:2] == ["face", "100000/session1/im0_c.png"]
    down, up = (decode((r / "100000/session1/sn_c.png").read_bytes()) for r in roots)
    mask = decode((roots[0] / "100000/session1/mask_c.png").read_bytes())[..., 0] > 0
    assert np.abs(255.0 - down[mask][:, 0] - up[mask][:, 1]).max() <= 1
    assert np.array_equal(down[mask][:, 1], up[mask][:, 0])
    before = contents(tmp_path)
    assert ensure_faces(roots[0], **order) == roots[0]
    assert contents(tmp_path) == before


def test_seconds_left_are_reported_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = iter(range(100))  # each task takes one
    monkeypatch.setattr(write.time, "perf_counter", lambda: float(next(seconds)))
    left: list[float] = []
    assert list(write._timed(iter([1] * 12), 12, left.append)) == [1] * 12
    after = write.STARTED + int(write.PACE_S) + 1  # tasks done when it is said
    assert left == [12 - after]


def test_share_returns_a_result_for_every_item() -> None:
    assert sorted(share(abs, [-1, -2, 3], 2, print)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("work", "start"),
    [(os._exit, abs), (abs, os._exit), (abs, len)],
    ids=["work", "start", "raise"],
)
def test_share_reports_dead_worker(
    work: Callable[[int], int], start: Callable[..., object]
) -> None:
    with pytest.raises(UserError, match="a worker was killed"):
        list(share(work, [1, 1], 2, start, 1))
