"""Raw sessions: found, read with every spelling of the lights, and every fault of each named."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from facegeo.files.lists import WantedError
from facegeo.normals.sessions import (
    RawSession,
    Reading,
    SessionFault,
    find_sessions,
    load_photos,
    read_lights,
    read_session,
)

NAME = "1001/2008-02-23_12-21-31"
LIGHTS = "".join(
    f"zenith{k} = [35];\nazimuth{k} = [{a}];\n" for k, a in enumerate((45, 135, 225, 315), 1)
)
READING = Reading()


def picture(kind: str, level: int, size: tuple[int, int] = (8, 8)) -> bytes:
    pixels = np.full((*size, 3), level, dtype=np.uint8)
    pixels[..., 2] += np.arange(size[1], dtype=np.uint8)
    return cv2.imencode(kind, pixels)[1].tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A session without faults below ``tmp_path``."""
    session = tmp_path / NAME
    session.mkdir(parents=True)
    for k in range(4):
        (session / f"im{k}.bmp").write_bytes(picture(".bmp", 10 * k))
    (session / "LightSource.m").write_text(LIGHTS)
    return session


def read(root: Path) -> RawSession:
    session = read_session(root, NAME, READING)
    assert isinstance(session, RawSession), session
    return session


def faults(root: Path, reading: Reading = READING) -> list[str]:
    found = read_session(root, NAME, reading)
    assert isinstance(found, list)
    return [str(fault) for fault in found]


def test_a_sound_session(folder: Path, tmp_path: Path) -> None:
    session = read(tmp_path)
    assert [photo.name for photo in session.photos] == [f"im{k}.bmp" for k in range(4)]
    assert (session.height, session.width, session.outline) == (8, 8, None)
    assert np.sign(session.lights).tolist() == [[1, 1, 1], [-1, 1, 1], [-1, -1, 1], [1, -1, 1]]
    photos = load_photos(session.photos)
    assert photos.shape == (4, 8, 8, 3)
    assert photos[2, 0, 3].tolist() == [23, 20, 20]  # red first


def test_sessions_are_found_by_photographs_or_lights(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "1002/a").mkdir(parents=True)
    (tmp_path / "1002/a/im3_c.png").touch()
    (tmp_path / "1002/b").mkdir()
    (tmp_path / "1002/b/LightSource.m").touch()
    (tmp_path / "1002/notes").mkdir()
    (tmp_path / "readme.txt").touch()
    assert find_sessions(tmp_path) == (tmp_path, [NAME, "1002/a", "1002/b"])
    (tmp_path / "1001").rename(tmp_path / "faces")
    (tmp_path / "PhotofaceDB").mkdir()
    (tmp_path / "faces").rename(tmp_path / "PhotofaceDB/1001")
    assert find_sessions(tmp_path) == (tmp_path / "PhotofaceDB", [NAME])


@pytest.mark.parametrize(("name", "kind"), [("im{}_c.png", ".png"), ("im{}.jpg", ".jpg")])
def test_other_names_of_photographs(folder: Path, tmp_path: Path, name: str, kind: str) -> None:
    for k in range(4):
        (folder / f"im{k}.bmp").unlink()
        (folder / name.format(k)).write_bytes(picture(kind, 10 * k))
    assert [photo.name for photo in read(tmp_path).photos] == [name.format(k) for k in range(4)]


def test_the_digest_knows_pixels_and_lights(folder: Path, tmp_path: Path) -> None:
    digests = {read(tmp_path).digest}
    (folder / "im3.bmp").write_bytes(picture(".bmp", 31))
    digests.add(read(tmp_path).digest)
    (folder / "LightSource.m").write_text(LIGHTS.replace("225", "226"))
    digests.add(read(tmp_path).digest)
    assert len(digests) == 3


def test_a_session_of_three_photographs(folder: Path, tmp_path: Path) -> None:
    (folder / "im1.bmp").unlink()
    [fault] = faults(tmp_path)
    assert f"{NAME}/im*: wanted 4 photographs" in fault
    assert fault.endswith("got 3: im0.bmp, im2.bmp, im3.bmp")


def test_all_faults_of_a_session_are_reported(folder: Path, tmp_path: Path) -> None:
    (folder / "im1.bmp").write_bytes(picture(".bmp", 0, (8, 9)))
    (folder / "im2.bmp").write_bytes(picture(".bmp", 0)[:-1])
    (folder / "im3.bmp").write_bytes(b"")
    (folder / "LightSource.m").write_text("% nothing")
    assert faults(tmp_path) == [
        f"{NAME}/im1.bmp: wanted 8 x 8 pixels, as im0.bmp, got 9 x 8",
        f"{NAME}/im2.bmp: wanted a readable image, got a file that is damaged or cut short",
        f"{NAME}/im3.bmp: wanted a readable image, got an empty file (0 bytes)",
        f"{NAME}/LightSource.m: wanted 4 lights of 2 numbers, got 0 numbers, ''",
    ]


def test_missing_and_coplanar_lights(folder: Path, tmp_path: Path) -> None:
    (folder / "LightSource.m").unlink()
    assert "LightSource.m: wanted zenith and azimuth of the lights, got No such file" in str(
        faults(tmp_path)
    )
    (folder / "LightSource.m").write_text(LIGHTS.replace("135", "45").replace("225", "45"))
    assert "LightSource.m: wanted lights that do not lie in one plane" in str(faults(tmp_path))


def test_photographs_that_are_not_square_need_points(folder: Path, tmp_path: Path) -> None:
    for k in range(4):
        (folder / f"im{k}.bmp").write_bytes(picture(".bmp", k, (200, 300)))
    assert "metadata.txt: wanted metadata.txt, or points=FILE" in str(faults(tmp_path))
    assert "pts.csv: wanted a file of 68 points, got No such file" in str(
        faults(tmp_path, Reading(points="pts.csv"))
    )
    (folder / "metadata.txt").write_text("1 2 3")
    assert "metadata.txt: wanted x and y of 11 points, got 3 numbers" in str(faults(tmp_path))
    x = [100, 120, 130, 140, 160, 120, 130, 140, 115, 145, 130]
    y = [100, 100, 95, 100, 100, 140, 135, 140, 160, 160, 180]
    (folder / "metadata.txt").write_text("\n".join(f"{a} {b}" for a, b in zip(x, y, strict=True)))
    outline = read(tmp_path).outline
    assert outline is not None
    assert outline.max(axis=0).round().tolist() == [180, 180]


def test_points_may_be_in_another_folder(folder: Path, tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(0, 8, (68, 2))
    place = tmp_path / "points" / f"{NAME}.npy"
    place.parent.mkdir(parents=True)
    np.save(place, points)
    reading = Reading(points=str(tmp_path / "points/{session}.npy"))
    session = read_session(tmp_path, NAME, reading)
    assert isinstance(session, RawSession)
    np.testing.assert_array_equal(session.outline, points)


def test_a_fault_is_one_line_of_utf8() -> None:
    assert str(SessionFault("1/a\udcff", "im0.bmp", "x", "y")).encode() == (
        rb"1/a\udcff/im0.bmp: wanted x, got y"
    )


ANGLES = [(38.0, 42.0), (38.0, 138.0), (33.0, 222.0), (33.0, 318.0)]
ONE_A_LINE = "% zenith0 = [1]; from the axis\n" + "".join(
    f"zenith{k} = [{z:.4f}];\nazimuth{k} = [{a}];\n" for k, (z, a) in enumerate(ANGLES, 1)
)
SPELLINGS = {
    "named": ONE_A_LINE,
    "no brackets": ONE_A_LINE.replace("[", "").replace("]", ""),
    "two vectors": "Zenith = [38; 38; 33; 33]; Azimuth = [42; 138; 222; 318];",
    "azimuths first": "azi = [42 138 222 318];\r\nzen = [3.8e1 38 33 33];\r\n",
    "rows": "LightSource = [38 42; 38 138; 33 222; 33 318];",
    "lines": "L = [38, 42\n38, 138\n33, 222\n33, 318]",
    "two rows": "L = [38 38 33 33; 42 138 222 318];",
    "every second": "".join(f"l{2 * k} {z}\nl{2 * k + 1} {a}\n" for k, (z, a) in enumerate(ANGLES)),
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
def test_spellings(text: str) -> None:
    zenith, azimuth = torch.deg2rad(torch.tensor(ANGLES, dtype=torch.float64)).T
    x, y = zenith.sin() * azimuth.cos(), zenith.sin() * azimuth.sin()
    wanted = torch.stack([x, y, zenith.cos()], dim=1)
    torch.testing.assert_close(
        read_lights(text, 4, "zenith_azimuth_deg", "right_up_camera"), wanted, atol=1e-5, rtol=0
    )


def test_azimuth_counts_between_the_axes_of_the_frame() -> None:
    text = "L = [30 0; 30 90; 30 180; 40 270]"
    lights = read_lights(text, 4, "zenith_azimuth_deg", "down_right_camera")
    assert lights[0, 1] == pytest.approx(-0.5)  # azimuth 0: down
    assert lights[1, 0] == pytest.approx(0.5)  # azimuth 90: right


def test_directions_need_not_have_unit_length() -> None:
    text = "L = [2 0 2; -1 0 1; 0 3 3; 0 -4 4];"
    lights = read_lights(text, 4, "xyz", "right_up_camera")
    half = 0.5**0.5
    wanted = [[half, 0, half], [-half, 0, half], [0, half, half], [0, -half, half]]
    torch.testing.assert_close(lights, torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "4 lights of 2 numbers.*0 numbers"),
        ("garbled \x00 file 12 34 56", "4 lights of 2 numbers.*3 numbers"),
        (ONE_A_LINE.replace("azimuth4", "other"), "a zenith and an azimuth.*4 zeniths and 3"),
        ("zenith = [38 38 33]; azimuth = [42 138 222];", "4 lights.*3"),
        ("L = [38 42; 38 42; 38 42; 38 42]", "not lie in one plane.*condition number"),
        ("L = [10 0; 40 0; 70 0; 30 180]", "not lie in one plane.*condition number"),
        ("L = [38 42; 38 138; 120 222; 33 318]", r"on the camera's side.*\(120, 222\)"),
    ],
    ids=["empty", "garbled", "lost", "three", "one", "fan", "behind"],
)
def test_faults(text: str, message: str) -> None:
    with pytest.raises(WantedError, match=message):
        read_lights(text, 4, "zenith_azimuth_deg", "right_up_camera")
