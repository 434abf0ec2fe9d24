"""The cropped Extended Yale B: read with every fault at once, prepared, resumed and compared."""

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
from facegeo.normals.people import Person, light_angles, read_people
from facegeo.normals.prepare import RECORD, Report, prepare
from facegeo.normals.prepare_people import (
    LAMPS,
    PeoplePreparation,
    find_people,
    light_names,
    load_linear,
    read_person,
)
from facegeo.normals.sessions import RawSession

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


def test_a_folder_prepared_otherwise_is_refused(sculptures: SimpleNamespace, root: Path) -> None:
    run(sculptures, root)
    with pytest.raises(UserError, match=r"max_azimuth_deg: 85.0 there, 60.0 asked for"):
        run(sculptures, root, max_azimuth_deg=60.0)
    with pytest.raises(UserError, match=r"max_azimuth_deg must be .* 90, got 120"):
        run(sculptures, root, max_azimuth_deg=120)
    other = partial(sculptures.find_face)
    other.digest = "another"  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"other options \(points: "):
        run(sculptures, root, find_face=other)


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


NAME = "yaleB02"


@pytest.fixture
def folder(sculptures: SimpleNamespace, tmp_path: Path) -> Path:
    """A person's folder that a test may change."""
    return Path(shutil.copytree(sculptures.root / "CroppedYale" / NAME, tmp_path / NAME))


def read(folder: Path) -> RawSession:
    session = read_person(folder.parent, folder.name)
    assert isinstance(session, RawSession), session
    return session


def faults(folder: Path) -> list[str]:
    found = read_person(folder.parent, folder.name)
    assert isinstance(found, list)
    return [str(fault) for fault in found]


def test_people_are_found_in_the_folder_or_above_it(
    sculptures: SimpleNamespace, tmp_path: Path
) -> None:
    wanted = sculptures.root / "CroppedYale", list(sculptures.names)
    assert find_people(sculptures.root) == wanted
    assert find_people(sculptures.root / "CroppedYale") == wanted
    with pytest.raises(UserError, match=r"with folders yaleB01, yaleB02, ...; found none in it"):
        find_people(tmp_path)
    with pytest.raises(UserError, match="there is no such folder"):
        find_people(tmp_path / "nowhere")


def test_a_person_has_photographs_and_lights(folder: Path) -> None:
    session = read(folder)
    assert len(session.photos) == len(session.lights) == 25
    assert (session.height, session.width, session.ambient) == (96, 84, None)
    place = light_names(session.photos).index("A+035E-35")
    assert light_angles(session.photos[place].name) == (35, -35)
    sine, cosine = np.sin(np.radians(35)), np.cos(np.radians(35))
    np.testing.assert_allclose(session.lights[place], [-sine * cosine, -sine, cosine**2])


def test_frames_marked_as_bad_are_left_out(folder: Path) -> None:
    photo = folder / f"{NAME}_P00A+000E+00.pgm"
    photo.rename(photo.with_suffix(".pgm.bad"))
    assert "A+000E+00" not in light_names(read(folder).photos)


def test_an_ambient_frame_is_subtracted_if_it_is_cropped(folder: Path) -> None:
    whole, _ = load_linear(read(folder))
    path = str(folder / f"{NAME}_P00_Ambient.pgm")
    cv2.imwrite(path, np.full((480, 640), 9, np.uint8))
    uncropped = read(folder)
    assert uncropped.ambient is None
    np.testing.assert_array_equal(load_linear(uncropped)[0], whole)
    cv2.imwrite(path, np.full((96, 84), 9, np.uint8))
    cropped = read(folder)
    np.testing.assert_array_equal(load_linear(cropped)[0], np.maximum(whole.astype(int) - 9, 0))
    assert cropped.digest != uncropped.digest


def test_saturation_is_seen_before_ambient_light_is_subtracted(folder: Path) -> None:
    photo = folder / f"{NAME}_P00A+000E+00.pgm"
    pixels = cv2.imread(str(photo), cv2.IMREAD_GRAYSCALE)
    pixels[40:50, 30:40] = 255
    cv2.imwrite(str(photo), pixels)
    cv2.imwrite(str(folder / f"{NAME}_P00_Ambient.pgm"), np.full((96, 84), 10, np.uint8))
    session = read(folder)
    place = light_names(session.photos).index("A+000E+00")
    values, usable = load_linear(session)
    assert values[place].max() == 245
    assert not usable[place, 40:50, 30:40].any()
    assert usable[place, :30].all()


def test_all_faults_of_a_person_are_listed_at_once(folder: Path) -> None:
    torn = folder / f"{NAME}_P00A+000E+20.pgm"
    torn.write_bytes(torn.read_bytes()[:-1])
    (folder / f"{NAME}_P00A+000E+45.pgm").write_bytes(b"")
    cv2.imwrite(str(folder / f"{NAME}_P00A+070E+45.pgm"), np.zeros((96, 83), np.uint8))
    cv2.imwrite(str(folder / f"{NAME}_P00_Ambient.pgm"), np.zeros((10, 10), np.uint8))
    shutil.copy(folder / f"{NAME}_P00A+000E+00.pgm", folder / "yaleB03_P00A+000E+00.pgm")
    assert faults(folder) == [
        f"{NAME}/yaleB03_P00A+000E+00.pgm: wanted a name such as {NAME}_P00A+035E-20.pgm, "
        "got another",
        f"{NAME}/{NAME}_P00A+000E+20.pgm: wanted a readable image, got a file that is damaged "
        "or cut short",
        f"{NAME}/{NAME}_P00A+000E+45.pgm: wanted a readable image, got an empty file (0 bytes)",
        f"{NAME}/{NAME}_P00A+070E+45.pgm: wanted 84 x 96 pixels, as {NAME}_P00A+000E+00.pgm, "
        "got 83 x 96",
        f"{NAME}/{NAME}_P00_Ambient.pgm: wanted 84 x 96 pixels, as the photographs, or 640 x 480, "
        "got 10 x 10",
    ]


def test_few_photographs_are_a_fault(folder: Path) -> None:
    for photo in sorted(folder.glob("*.pgm"))[7:]:
        photo.unlink()
    assert faults(folder) == [f"{NAME}/*.pgm: wanted 8 photographs or more, got 7"]


def test_a_name_without_a_light_is_refused() -> None:
    with pytest.raises(ValueError, match=r"name must hold a light such as A\+035E-20"):
        light_angles("yaleB01_P00_Ambient.pgm")
