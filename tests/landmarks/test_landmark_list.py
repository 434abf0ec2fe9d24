import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.files.lists import OnError
from facegeo.landmarks.lists import read_list

Writer = Callable[..., Path]
FACE = "8 28 10 30 13 16 23 16 18 21 14 26 22 26"
SKIP_HINT = "set data.on_error=skip to leave these faces out"


def write_list(root: Path, *lines: str) -> None:
    (root / "list.txt").write_bytes("\r\n".join(lines).encode())


def test_original_layout_is_read_to_the_digit(face_folder: Writer) -> None:
    root = face_folder(["lfw/a_1.png", "net/b.png"])
    write_list(
        root,
        r"lfw\a_1.png 8 28 10 30 13.25 16.5 23 16 18 21 14 26 22 26.75",
        r"net\b.png 7.5 29 9 31 -1.5e0 16 23 16 18 21 14 26 22 26",
        "",
    )
    faces = read_list(root, "list.txt")
    assert faces.names == ("lfw/a_1.png", "net/b.png")
    assert faces.lines == (1, 2)
    np.testing.assert_array_equal(faces.boxes, [[8, 28, 10, 30], [7.5, 29, 9, 31]])
    np.testing.assert_array_equal(
        faces.points[0], [[13.25, 16.5], [23, 16], [18, 21], [14, 26], [22, 26.75]]
    )
    assert faces.points[1, 0].tolist() == [-1.5, 16]
    assert faces.path(1) == root / "net" / "b.png"


@pytest.mark.parametrize(
    "name",
    ["two  words and 3.png", "žluťoučký kůň 馬.png", "deep/er/a.png"],
    ids=["spaces", "unicode", "subfolder"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_names_and_encodings(face_folder: Writer, name: str, encoding: str, end: str) -> None:
    root = face_folder([name])
    text = f"{end}  {end}{name} {FACE}{end}"
    (root / "list.txt").write_bytes(text.encode(encoding))
    faces = read_list(root, "list.txt")
    assert (faces.names, faces.lines) == ((name,), (3,))


def test_name_that_is_not_utf8_is_found(face_folder: Writer) -> None:
    root = face_folder(["a.png"])
    raw = b"caf\xe9.png"
    (root / "a.png").rename(root / os.fsdecode(raw))
    (root / "list.txt").write_bytes(raw + f" {FACE}\n".encode() + b"caf\xe8.png 1\n")
    faces = read_list(root, "list.txt", "skip")
    assert faces.path(0).stat().st_size > 0
    assert "caf\\udce8.png" in str(faces.skipped[0])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.png 8 28 10 30 13 16 23", r"wanted 15 fields \(path, box, 5 points\), got 8"),
        (f"a.png {FACE} 99", r"wanted 15 fields \(path, box, 5 points\), got 16 or more"),
        ("a.png " + FACE.replace("21", "nan"), "wanted a finite number for y3, got 'nan'"),
        ("a.png " + FACE.replace("18", "1e999"), "wanted a finite number for x3, got '1e999'"),
        ("a.png " + FACE.replace("18", "18,5"), "wanted a finite number for x3, got '18,5'"),
        ("a.png " + FACE.replace("18", "1_8"), "wanted a finite number for x3, got '1_8'"),
        (
            "a.png " + FACE.replace("8 28", "28 8", 1),
            "wanted a box with left < right and top < bottom, "
            "got left 28, right 8, top 10, bottom 30",
        ),
        ("a.png " + FACE.replace("30", "10"), "top < bottom, got .* top 10, bottom 10"),
        (
            "a.png " + FACE.replace("14 26", "14 41"),
            r"wanted point 4 at most 0.5 box sides outside the box "
            r"\(left 8, right 28, top 10, bottom 30\), got \(14, 41\)",
        ),
        (f"../a.png {FACE}", "wanted a path inside the folder of the list, got '../a.png'"),
        (rf"x\..\a.png {FACE}", r"wanted a path inside the folder of the list, got 'x\\\\.."),
        (f"/tmp/a.png {FACE}", "wanted a path inside the folder of the list, got '/tmp/a.png'"),
        (rf"\\server\a.png {FACE}", "wanted a path inside the folder of the list"),
        (rf"C:\a.png {FACE}", "wanted a path inside the folder of the list, got 'C:"),
        (f"./a.png {FACE}", "wanted each image once, got the image of line 1 again"),
        (f"gone.png {FACE}", "gone.png: wanted an image in .*, got No such file or directory"),
        (f"folder {FACE}", "wanted an image, got a folder"),
        (f"zero.png {FACE}", r"wanted an image, got an empty file \(0 bytes\)"),
        (f"out.png {FACE}", "wanted an image inside .*faces, got a link to .*outside.png"),
        (f"nul\0.png {FACE}", "wanted an image in .*, got embedded null byte"),
    ],
    ids=[
        *("torn", "one-more", "nan", "infinite", "comma", "underscore", "inverted", "flat"),
        *("far-point", "parent", "inner-parent", "absolute", "share", "drive", "repeated"),
        *("missing", "folder", "zero-bytes", "link-out", "nul"),
    ],
)
def test_bad_line_is_named(face_folder: Writer, line: str, message: str) -> None:
    root = face_folder(["a.png"])
    (root / "folder").mkdir()
    (root / "zero.png").touch()
    outside = root.parent / "outside.png"
    outside.write_bytes(b"any")
    (root / "out.png").symlink_to(outside)
    write_list(root, f"a.png {FACE}", line)
    with pytest.raises(UserError, match=f"1 fault in .*\n  list.txt line 2, .*{message}") as got:
        read_list(root, "list.txt")
    assert SKIP_HINT in str(got.value)
    assert str(root) in str(got.value)


@pytest.mark.parametrize(
    ("point", "passes"),
    [
        *[("-2 16", True), ("-2.1 16", False), ("38 16", True), ("38.1 16", False)],
        *[("13 0", True), ("13 -.1", False), ("13 40", True), ("13 40.1", False)],
    ],
)
def test_points_may_be_half_a_box_outside_the_box(
    face_folder: Writer, point: str, passes: bool
) -> None:
    root = face_folder(["a.png", "b.png"])
    write_list(root, f"a.png {FACE}", f"b.png {FACE.replace('13 16', point)}")
    assert len(read_list(root, "list.txt", "skip")) == 1 + passes


def test_all_faults_are_reported_at_once(face_folder: Writer) -> None:
    root = face_folder(["a.png"])
    write_list(root, f"gone.png {FACE}", f"a.png {FACE}", "a.png 1 2", f"../b.png {FACE}")
    with pytest.raises(UserError, match="3 faults") as got:
        read_list(root, "list.txt")
    lines = str(got.value).split("\n")
    assert [line[:18] for line in lines[1:4]] == [f"  list.txt line {n}," for n in (1, 3, 4)]


def test_long_reports_leave_nothing_out(face_folder: Writer) -> None:
    root = face_folder(["a.png"])
    write_list(root, f"a.png {FACE}", *(f"gone{n}.png {FACE}" for n in range(1003)))
    with pytest.raises(UserError, match=r"(?s)^1003 faults .*\n1003 faults: fix") as got:
        read_list(root, "list.txt")
    assert all(f"gone{n}.png:" in str(got.value) for n in range(1003))


def test_skip_keeps_the_sound_faces_and_the_faults(face_folder: Writer) -> None:
    root = face_folder(["a.png", "b.png"])
    write_list(root, f"a.png {FACE}", f"gone.png {FACE}", f"b.png {FACE}", "torn 1 2")
    faces = read_list(root, "list.txt", "skip")
    assert faces.names == ("a.png", "b.png")
    assert faces.lines == (1, 3)
    assert [(fault.line, fault.image) for fault in faces.skipped] == [(2, "gone.png"), (4, "torn")]


def test_select_keeps_rows_together(face_folder: Writer) -> None:
    root = face_folder(["a.png", "b.png", "c.png"])
    write_list(
        root, *(f"{n}.png {FACE.replace('8', s, 1)}" for n, s in zip("abc", "456", strict=True))
    )
    faces = read_list(root, "list.txt").select([2, 0])
    assert faces.names == ("c.png", "a.png")
    assert faces.lines == (3, 1)
    assert faces.boxes[:, 0].tolist() == [6, 4]


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_missing_or_empty_list_is_refused(tmp_path: Path, on_error: OnError) -> None:
    with pytest.raises(UserError, match=r"list\.txt: wanted a list of faces, got No such file"):
        read_list(tmp_path, "list.txt", on_error)
    (tmp_path / "list.txt").write_text("\n \n")
    with pytest.raises(UserError, match=r"wanted one face a line .*, got an empty list"):
        read_list(tmp_path, "list.txt", on_error)


def test_skip_stops_if_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.png 1 2\n")
    with pytest.raises(UserError, match=r"list.txt line 1, a.png: wanted 15 fields") as got:
        read_list(tmp_path, "list.txt", "skip")
    assert SKIP_HINT not in str(got.value)
