from pathlib import Path

import pytest

from facegeo.normals.lists import NormalRecord, read_normal_lists


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
