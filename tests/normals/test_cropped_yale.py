"""The published layout of the cropped Extended Yale B: what is read, and every fault at once."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.normals.people import light_angles
from facegeo.normals.prepare_people import find_people, light_names, load_linear, read_person
from facegeo.normals.sessions import RawSession

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
