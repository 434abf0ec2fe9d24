"""Photographs under one lamp at a time become prepared people; faults, resuming, references."""

import logging
import os
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from facegeo.errors import UserError
from facegeo.geometry.normals import angle_map
from facegeo.normals.people import Person, read_people
from facegeo.normals.prepare import RECORD, Report, prepare
from facegeo.normals.prepare_people import LAMPS, PeoplePreparation

REAL = os.environ.get("FACEGEO_YALEB", "")


@pytest.fixture
def root(sculptures: SimpleNamespace, tmp_path: Path) -> Path:
    """Raw photographs of three people that a test may change."""
    for name in sculptures.names[:3]:
        shutil.copytree(sculptures.root / "CroppedYale" / name, tmp_path / "CroppedYale" / name)
    return tmp_path


def run(sculptures: SimpleNamespace, root: Path, **options: Any) -> Report[Person]:
    own = {"find_face": sculptures.find_face, "processes": 1} | options
    return prepare(PeoplePreparation(root=root, out=root.parent / f"{root.name}-out", **own))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_normals_strengths_and_albedo_are_recovered(
    sculptures: SimpleNamespace, prepared: Path
) -> None:
    people = read_people(prepared)
    truth = torch.from_numpy(sculptures.normals).float()
    angles = angle_map(people.normals.float(), truth)
    covered = people.masks[:, 0].float().sum() / sculptures.inside.sum()
    assert 0.4 < covered < 0.8  # the outline's ellipse has half the head's area
    assert bool(torch.from_numpy(sculptures.inside)[people.masks[:, 0]].all())
    assert angles[people.masks].mean() < 1.0  # 8 bits and strengths good to .02
    lengths = people.normals.float().norm(dim=1)[people.masks[:, 0]]
    torch.testing.assert_close(lengths, torch.ones_like(lengths), atol=2e-3, rtol=0)  # halves
    for record in people.records:
        wanted = [sculptures.strengths[name] for name in record.lights]
        in_front = [d[2] > 0 for d in record.directions]  # the lamp behind is not fitted
        np.testing.assert_allclose(
            np.array(record.strengths)[in_front], np.array(wanted)[in_front], atol=0.02
        )
        assert record.bulge > 0.5


def test_a_changed_photograph_changes_everybody(sculptures: SimpleNamespace, root: Path) -> None:
    run(sculptures, root)
    photo = next((root / "CroppedYale" / "yaleB02").glob("*A+000E+00.pgm"))
    cv2.imwrite(str(photo), 255 - cv2.imread(str(photo), cv2.IMREAD_GRAYSCALE))
    again = run(sculptures, root)
    assert again.done == 3  # the lamps' strengths come from all people together


@pytest.mark.slow
def test_processes_write_the_same(sculptures: SimpleNamespace, root: Path) -> None:
    run(sculptures, root)
    out = root.parent / f"{root.name}-out"
    single = contents(out)
    shutil.rmtree(out)
    run(sculptures, root, processes=2)
    assert contents(out) == single


def test_faults_of_all_people_are_listed_at_once(
    sculptures: SimpleNamespace, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torn = root / "CroppedYale" / "yaleB01" / "yaleB01_P00A+000E+00.pgm"
    torn.write_bytes(torn.read_bytes()[:100])
    other = root / "CroppedYale" / "yaleB03"
    (other / "notes.pgm").write_bytes(b"P5 1 1 255 x")
    with pytest.raises(UserError, match="2 faults in 2 sessions") as caught:
        run(sculptures, root)
    assert "yaleB01_P00A+000E+00.pgm: wanted a readable image" in str(caught.value)
    assert "yaleB03/notes.pgm: wanted a name such as" in str(caught.value)
    with caplog.at_level(logging.WARNING):
        report = run(sculptures, root, on_error="skip")
    assert (report.done, report.faulty, [p.name for p in report.records]) == (1, 2, ["yaleB02"])
    assert "left out 2 sessions" in caplog.text


def test_too_few_lights_in_front_are_a_fault(sculptures: SimpleNamespace, root: Path) -> None:
    for photo in (root / "CroppedYale" / "yaleB01").glob("*A*.pgm"):
        if "A+0" in photo.name or "A-0" in photo.name:
            photo.rename(photo.with_name(photo.name.replace("A+0", "A+1").replace("A-0", "A-1")))
    with pytest.raises(UserError, match=r"wanted 5 lights or more within 85 and 75 degrees, got"):
        run(sculptures, root)


def test_lights_in_one_plane_are_a_fault(sculptures: SimpleNamespace, root: Path) -> None:
    folder = root / "CroppedYale" / "yaleB01"
    pixels = (folder / "yaleB01_P00A+000E+00.pgm").read_bytes()
    for photo in folder.glob("*.pgm"):
        photo.unlink()
    for azimuth in range(-60, 61, 15):
        (folder / f"yaleB01_P00A{azimuth:+04d}E+00.pgm").write_bytes(pixels)
    with pytest.raises(
        UserError, match=r"yaleB01/\*\.pgm: wanted lights from all sides, got light"
    ):
        run(sculptures, root)


def test_people_of_an_earlier_preparation_are_not_read(
    sculptures: SimpleNamespace, root: Path
) -> None:
    run(sculptures, root)
    torn = root / "CroppedYale" / "yaleB02" / "yaleB02_P00A+000E+00.pgm"
    torn.write_bytes(torn.read_bytes()[:100])
    run(sculptures, root, on_error="skip")
    assert read_people(root.parent / f"{root.name}-out").names == ["yaleB01", "yaleB03"]


def test_another_model_of_points_is_another_preparation(
    sculptures: SimpleNamespace, root: Path
) -> None:
    run(sculptures, root)
    other = partial(sculptures.find_face)
    other.digest = "another"  # type: ignore[attr-defined]
    changed = SimpleNamespace(**vars(sculptures) | {"find_face": other})
    with pytest.raises(UserError, match=r"other options \(points"):
        run(changed, root)


def test_a_folder_prepared_otherwise_is_refused(sculptures: SimpleNamespace, root: Path) -> None:
    run(sculptures, root)
    with pytest.raises(UserError, match=r"max_azimuth_deg: 85.0 there, 60.0 asked for"):
        run(sculptures, root, max_azimuth_deg=60.0)
    with pytest.raises(UserError, match=r"max_azimuth_deg must be .* 90, got 120"):
        run(sculptures, root, max_azimuth_deg=120)


def test_references_are_compared_and_faults_named(
    sculptures: SimpleNamespace, prepared: Path, tmp_path: Path
) -> None:
    people = read_people(prepared)
    for normals, mask, name in zip(people.normals, people.masks, people.names, strict=True):
        turned = torch.stack([normals[2], normals[1], -normals[0]]).permute(1, 2, 0).numpy()
        np.savez(tmp_path / f"{name}.npz", normals=turned, mask_reliable=mask[0].numpy())
    report = Report(6, 0, 0, people.records)
    preparation = PeoplePreparation(
        root=prepared, out=prepared, find_face=sculptures.find_face, reference=tmp_path
    )
    table = preparation.table(report, "People")
    assert [row[0] for row in table.rows] == [*sculptures.names, "mean"]
    assert table.rows[-1][4] == 100  # of the reference's mask is covered: it is the same
    assert 40 < float(table.rows[-1][2] or 0) < 90  # axes turned by a quarter
    (tmp_path / "yaleB02.npz").unlink()
    np.savez(tmp_path / "yaleB04.npz", normals=np.zeros((4, 4, 3)))
    with pytest.raises(UserError, match=r"yaleB02.npz: wanted(?s:.*)yaleB04.npz: wanted"):
        preparation.table(report, "People")


def test_a_missing_folder_of_references_is_found_first(
    sculptures: SimpleNamespace, root: Path
) -> None:
    with pytest.raises(UserError, match=r"^reference=/nope: no such folder$"):
        run(sculptures, root, reference=Path("/nope"))


def test_records_that_are_damaged_are_reported(tmp_path: Path, prepared: Path) -> None:
    folder = Path(shutil.copytree(prepared, tmp_path / "people"))
    (folder / "yaleB01" / RECORD).write_text("{")
    (folder / "yaleB02" / "mask.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"yaleB01: (?s:.*)yaleB02/mask.png: wanted"):
        read_people(folder)
    with pytest.raises(UserError, match="wanted the record that facegeo-prepare writes"):
        Person.read(tmp_path)
    assert (folder / LAMPS).is_file()


@pytest.mark.skipif(not REAL, reason="FACEGEO_YALEB names no folder with CroppedYale and reference")
def test_real_people_are_within_two_and_a_half_degrees(tmp_path: Path) -> None:
    from facegeo.predict.people import FaceFinder

    preparation = PeoplePreparation(
        root=Path(REAL),
        out=tmp_path / "out",
        find_face=FaceFinder(),
        reference=Path(REAL) / "reference",
    )
    table = preparation.table(prepare(preparation), "Yale B")
    assert float(table.rows[-1][2] or 99) <= 2.5
