from typing import Any

import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.normals.lists import NormalRecord, SessionSplit, SplitBy
from facegeo.training.stream import Rows


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
