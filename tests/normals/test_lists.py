"""Lists of faces with normals, and how their faces are split."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.normals.lists import NormalRecord, SessionSplit, SplitBy, read_normal_lists
from facegeo.training.stream import Rows


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two sessions of one subject and one of another; files hold one byte."""
    for session in ("1001/a", "1001/b", "1002/a"):
        folder = tmp_path / "faces" / session
        folder.mkdir(parents=True)
        for name in ("im0_c.png", "im1_c.png", "sn_c.png", "mask_c.png"):
            (folder / name).write_bytes(b"x")
    return tmp_path / "faces"


def faults(root: Path, text: str, name: str = "train.csv") -> list[str]:
    (root / name).write_text(text)
    return [str(fault) for fault in read_normal_lists(root, [name])[1]]


def test_a_session_shares_its_map_and_paths_may_have_backslashes(root: Path) -> None:
    (root / "train.csv").write_bytes(
        b"\xef\xbb\xbfface,id\r\n1001\\a\\im0_c.png,1\r\n\r\n1001/a/im1_c.png,2\r\n"
    )
    records, found = read_normal_lists(root, ["train.csv"])
    maps = ("1001/a/sn_c.png", "1001/a/mask_c.png")
    assert records == [
        NormalRecord("train.csv", 2, "1001/a/im0_c.png", *maps),
        NormalRecord("train.csv", 4, "1001/a/im1_c.png", *maps),
    ]
    assert (records[0].subject, records[0].session) == ("1001", "1001/a")
    assert found == []


def test_columns_name_a_map_of_each_image(root: Path) -> None:
    (root / "1002/a/n.npy").write_bytes(b"x")
    (root / "train.csv").write_text(
        "face,normal,mask\n1002/a/im0_c.png,1002/a/n.npy,1001/a/mask_c.png\n1002/a/im1_c.png,,\n"
    )
    first, second = read_normal_lists(root, ["train.csv"])[0]
    assert (first.normal, first.mask) == ("1002/a/n.npy", "1001/a/mask_c.png")
    assert (second.normal, second.mask) == ("1002/a/sn_c.png", "1002/a/mask_c.png")


def test_a_map_of_each_image_is_found_by_the_name_of_a_crop(root: Path) -> None:
    for name in ("im3_crop.jpg", "im3_sn.npy", "im3_mask.png"):
        (root / "1002/a" / name).write_bytes(b"x")
    (root / "train.csv").write_text("face\n1002/a/im3_crop.jpg\n")
    (record,), found = read_normal_lists(root, ["train.csv"])
    assert (record.normal, record.mask) == ("1002/a/im3_sn.npy", "1002/a/im3_mask.png")
    assert found == []


def test_faults_of_all_lists_are_reported_with_line_file_wanted_and_got(root: Path) -> None:
    (root / "1001/b/mask_c.png").unlink()
    (root / "1002/a/sn_c.png").write_bytes(b"")
    outside = root.parent / "elsewhere.png"
    outside.write_bytes(b"x")
    (root / "1001/a/im9_c.png").symlink_to(outside)
    (root / "train.csv").write_text(
        "face\n1001/a/im0_c.png\n1001/b/im0_c.png\n../x/im0_c.png\n1001/a/im9_c.png\n"
        "1001/a/im7_c.png\nim0_c.png\nC:\\faces\\a\\im0_c.png\n"
    )
    (root / "test.csv").write_text("face\n1002/a/im0_c.png\n1001\\a\\im0_c.png\n")
    records, found = read_normal_lists(root, ["train.csv", "test.csv"])
    assert [record.line for record in records] == [2]
    assert [str(fault) for fault in found] == [
        f"train.csv line 3, 1001/b/mask_c.png: wanted a mask in {root}, "
        "got No such file or directory",
        "train.csv line 4, ../x/im0_c.png: wanted a path inside the folder of the list, "
        "got '../x/im0_c.png'",
        f"train.csv line 5, 1001/a/im9_c.png: wanted a face image inside {root}, "
        f"got a link to {outside}",
        f"train.csv line 6, 1001/a/im7_c.png: wanted a face image in {root}, "
        "got No such file or directory",
        "train.csv line 7, im0_c.png: wanted a path <subject>/<session>/<image>, got 1 of 3 parts",
        "train.csv line 8, C:\\faces\\a\\im0_c.png: wanted a path inside the folder of the list, "
        "got 'C:\\\\faces\\\\a\\\\im0_c.png'",
        "test.csv line 2, 1002/a/sn_c.png: wanted a normal map, got an empty file (0 bytes)",
        "test.csv line 3, 1001/a/im0_c.png: wanted each image once, got that of train.csv line 2 "
        "again",
    ]


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("path,label\n1001/a/im0_c.png,3\n", "a header with a column face, got 'path,label'"),
        ("", "a header with a column face, got an empty file"),
        ("face\n\n", "a face image a line, got only a header"),
    ],
    ids=["no-column", "empty", "only-header"],
)
def test_a_list_without_faces_has_a_fault(root: Path, text: str, got: str) -> None:
    assert faults(root, text) == [f"train.csv line 1: wanted {got}"]


def test_a_missing_list_and_an_empty_field_have_faults(root: Path) -> None:
    assert faults(root, "id,face\n7,\n") == [
        "train.csv line 2: wanted a path <subject>/<session>/<image>, got an empty field"
    ]
    (fault,) = read_normal_lists(root, ["none.csv"])[1]
    wanted = f"wanted a csv of face images in {root}, got No such file or directory"
    assert str(fault) == f"none.csv line 1: {wanted}"


def record(face: str, list_name: str = "train.csv", line: int = 2) -> NormalRecord:
    return NormalRecord(list_name, line, face, "sn_c.png", "mask_c.png")


RECORDS = [
    record(f"{subject}/{session}/im{photo}_c.png")
    for subject in range(20)
    for session in range(3)
    for photo in range(4)
]


def leaks(rows: dict[str, Rows], records: list[NormalRecord], what: str) -> set[str]:
    """Subjects, sessions or faces that are in more than one split."""
    sets = [{getattr(records[row], what) for row in part} for part in rows.values()]
    return set().union(*(a & b for n, a in enumerate(sets) for b in sets[:n]))


@pytest.mark.parametrize(
    ("by", "whole"),
    [
        ("subject", {"subject", "session", "face"}),
        ("session", {"session", "face"}),
        ("image", {"face"}),
    ],
)
def test_related_sessions_are_in_one_split(by: SplitBy, whole: set[str]) -> None:
    rows = SessionSplit(by).rows(RECORDS)
    assert sorted(np.concatenate(list(rows.values()))) == list(range(240))
    assert len(rows["test"]) == 48  # 20 % of all
    assert len(rows["val"]) == pytest.approx(19.2, abs=5)  # 10 % of the rest
    for what in ("subject", "session", "face"):
        assert bool(leaks(rows, RECORDS, what)) == (what not in whole)


def test_a_split_depends_only_on_names_and_seed() -> None:
    def test_faces(split: SessionSplit, records: list[NormalRecord]) -> set[str]:
        return {records[row].face for row in split.rows(records)["test"]}

    backwards = RECORDS[::-1]
    assert test_faces(SessionSplit(), RECORDS) == test_faces(SessionSplit(), backwards)
    assert test_faces(SessionSplit(seed=1), RECORDS) != test_faces(SessionSplit(), RECORDS)
    other = SessionSplit(val_fraction=0.4)
    assert test_faces(other, RECORDS) == test_faces(SessionSplit(), RECORDS)


def test_a_test_list_is_the_test_split() -> None:
    records = [*RECORDS, record("99/0/im0_c.png", "test.csv")]
    rows = SessionSplit(test_list="test.csv").rows(records)
    assert rows["test"].tolist() == [240]
    assert len(rows["train"]) + len(rows["val"]) == 240


def test_subjects_of_two_lists_are_named_once_each() -> None:
    records = [record("1/a/im0_c.png", line=5), record("2/a/im0_c.png", line=9)]
    for line, face in enumerate(["2/b/im0_c.png", "2/b/im1_c.png", "3/a/im0_c.png"], start=2):
        records.append(record(face, "test.csv", line))
    (fault,) = SessionSplit("subject", test_list="test.csv").overlap(records)
    assert str(fault) == (
        "test.csv line 2, 2/b/im0_c.png: wanted no subject of train.csv (data.split_by=subject), "
        "got subject 2 of its line 9"
    )
    assert SessionSplit("session", test_list="test.csv").overlap(records) == []


def test_a_fraction_that_leaves_a_side_empty_is_named() -> None:
    with pytest.raises(UserError, match=r"data.test_fraction=0.1 of 24 images .* got 24 for"):
        SessionSplit(test_fraction=0.1).rows(RECORDS[:24])
    wanted = r"data.test_fraction=0.2 .* wanted two subjects or more .* got only subject 0"
    with pytest.raises(UserError, match=wanted):
        SessionSplit().rows(RECORDS[:12])


def test_kind_of_split_in_words() -> None:
    assert SessionSplit("session", seed=3).kind() == "split by session, seed 3"
    listed = SessionSplit(test_list="test.csv").kind()
    assert listed == "split by subject, seed 0, test faces of test.csv"


def described(split: SessionSplit, records: list[NormalRecord]) -> dict[str, Any]:
    digests = [f"digest of {record.face}" for record in records]
    return split.describe(records, digests, split.rows(records))


def test_description_names_the_faces_of_each_part_and_changes_with_any() -> None:
    split = described(SessionSplit(), RECORDS)
    assert len(split["test"]) == 48
    assert set(split["test"]).isdisjoint(split["val"])
    assert split == described(SessionSplit(), RECORDS[::-1])
    for other in (
        described(SessionSplit(seed=1), RECORDS),
        described(SessionSplit(val_fraction=0.2), RECORDS),
        described(SessionSplit(), [*RECORDS[:-1], record("19/2/other.png")]),
        described(SessionSplit(), RECORDS[4:]),
    ):
        assert split != other
