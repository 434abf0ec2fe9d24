import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facegeo.studies.comparison import compare
from facegeo.studies.runs import read_folder

Keep = Callable[..., Path]
SHAKE = {
    "paper": "ccnn.fig6_shake",
    "split": "test",
    "rows": ["stage1"],
    "measure": "error_pct",
    "baseline": "shake-",
    "labels": [
        {"when": {"data.sigma": 0.0}, "name": "shake-"},
        {"when": {"data.sigma": 0.01}, "name": "shake+"},
    ],
}


def shake(keep_run: Keep, about: dict[str, Any] | None = SHAKE) -> None:
    for sigma, values in {0.0: (2.0, 4.0), 0.01: (1.0, 2.0), 0.02: (3.0,)}.items():
        for seed, value in enumerate(values):
            errors = {"stage1": value, "stage2": value / 2}
            keep_run(f"{sigma}-{seed}", seed, {"data.sigma": sigma}, about=about, errors=errors)


def test_rows_hold_mean_spread_difference_and_the_papers_number(
    keep_run: Keep, tmp_path: Path
) -> None:
    shake(keep_run)
    found = compare(read_folder(tmp_path / "study"))
    assert [row.name for row in found.rows] == ["shake-", "shake+", "sigma=0.02"]
    base, on, more = found.rows
    assert found.baseline == "shake-"
    assert (base.spread.mean, base.spread.std) == (3.0, pytest.approx(2**0.5))
    assert base.difference is None
    assert on.difference is not None
    assert (on.difference.n, on.difference.mean) == (2, -1.5)
    assert more.difference is not None
    assert (more.difference.n, more.difference.mean) == (1, 1.0)  # to seed 0 alone: 3 - 2
    assert base.paper is not None
    assert on.paper is not None
    assert (base.paper.value, on.paper.value, more.paper) == (2.35, 1.90, None)
    assert found.paper.startswith("Duan, Wang, Wu")
    assert found.notes == ()


def test_a_study_that_says_nothing_compares_the_last_entry_with_the_first_variant(
    keep_run: Keep, tmp_path: Path
) -> None:
    shake(keep_run, about=None)
    found = compare(read_folder(tmp_path / "study"))
    assert [row.name for row in found.rows] == ["sigma=0.0", "sigma=0.01", "sigma=0.02"]
    assert {row.entry for row in found.rows} == {"stage2"}
    assert (found.split, found.measure, found.baseline) == ("test", "error_pct", "sigma=0.0")


def test_entries_of_a_single_variant_are_its_rows(keep_run: Keep, tmp_path: Path) -> None:
    for seed in (0, 1):
        keep_run(f"{seed}", seed, errors={"stage1": 2.0, "stage10": 1.0, "stage2": 1.5})
    found = compare(read_folder(tmp_path / "study"))
    assert [row.name for row in found.rows] == ["stage1", "stage2", "stage10"]


def test_variants_and_entries_that_both_vary_name_rows_together(
    keep_run: Keep, tmp_path: Path
) -> None:
    shake(keep_run, SHAKE | {"rows": ["stage1", "stage2"], "baseline": "shake- stage2"})
    found = compare(read_folder(tmp_path / "study"))
    assert [row.name for row in found.rows][:3] == [
        "shake- stage1",
        "shake- stage2",
        "shake+ stage1",
    ]
    assert found.baseline == "shake- stage2"


def test_last_is_what_each_variant_measured_last(keep_run: Keep, tmp_path: Path) -> None:
    about = {"rows": ["last"], "measure": "mean_deg", "paper": "casfne.table1_cascade_depth"}
    about["labels"] = [{"when": {"model.t": t}, "name": f"t{t}"} for t in (0, 1)]  # type: ignore[assignment]
    keep_run("a", 0, {"model.t": 0}, about=about, degrees={"t0": 7.0})
    keep_run("b", 0, {"model.t": 1}, about=about, degrees={"t0": 8.0, "t1": 6.0})
    found = compare(read_folder(tmp_path / "study"))
    assert [(row.name, row.entry, row.spread.mean) for row in found.rows] == [
        ("t0", "t0", 7.0),
        ("t1", "t1", 6.0),
    ]
    assert [row.paper.value for row in found.rows if row.paper] == [10.21, 8.02]


@pytest.mark.parametrize(("baseline", "name"), [("0.01", "sigma=0.01"), (None, None)])
def test_baseline_may_be_a_value_or_none(
    keep_run: Keep, tmp_path: Path, baseline: str | None, name: str | None
) -> None:
    shake(keep_run, {"baseline": baseline})
    assert compare(read_folder(tmp_path / "study")).baseline == name


def test_different_data_and_commits_are_told(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("a", 0, errors={"stage1": 1.0})
    other = {"title": "other faces", "hash": "fedcba"}
    keep_run("b", 1, errors={"stage1": 1.0}, data=other, git={"commit": "deadbeef"})
    keep_run("c", 2, status="failed", data={"title": "none", "hash": "0"})
    notes = compare(read_folder(tmp_path / "study")).notes
    assert notes == (
        "The runs were trained on different data (faces 1234567890ab, other faces fedcba): their "
        "numbers do not compare.",
        "The runs are of different commits: c0ffee0123, deadbeef.",
    )


@pytest.mark.parametrize("split", ["test", "strangers"])
def test_different_data_to_measure_on_are_told(keep_run: Keep, tmp_path: Path, split: str) -> None:
    for number, digest in enumerate(("1a", "2b")):
        data = {"title": "faces", "hash": "same", "test_hash": digest}
        others = {"strangers": {"title": "faces", "hash": digest}}
        about = {"split": split}
        keep_run(
            f"{number}", number, errors={"stage1": 1.0}, about=about, data=data, also_on=others
        )
    (note,) = (
        note for note in compare(read_folder(tmp_path / "study")).notes if "different" in note
    )
    assert note.startswith("The runs were measured on different data (faces 1a, faces 2b)")


def test_commits_of_earlier_sessions_count(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("a", 0, errors={"stage1": 1.0}, commits=["deadbeef", "c0ffee0123"])
    notes = compare(read_folder(tmp_path / "study")).notes
    assert notes == ("The runs are of different commits: c0ffee0123, deadbeef.",)


@pytest.mark.parametrize(
    ("about", "note"),
    [
        ({"baseline": "none such"}, "There is no row 'none such' to compare with yet."),
        ({"measure": "speed"}, "No finished run has measured test/.../speed."),
        ({"split": "val"}, "No finished run has measured val/.../error_pct."),
        ({"paper": "ccnn.fig99"}, "No number of the paper: there is no section ccnn.fig99"),
    ],
)
def test_what_is_wrong_in_about_becomes_a_note(
    keep_run: Keep, tmp_path: Path, about: dict[str, Any], note: str
) -> None:
    shake(keep_run, about)
    assert any(one.startswith(note) for one in compare(read_folder(tmp_path / "study")).notes)


def test_without_a_finished_run_every_row_stands_empty(
    keep_plan: Callable[..., None], keep_run: Keep, tmp_path: Path
) -> None:
    keep_plan(["data.sigma=0.0", "seed=0"], ["data.sigma=0.01", "seed=0"])
    keep_run("a", 0, {"data.sigma": 0.0}, about=SHAKE, status="running")
    found = compare(read_folder(tmp_path / "study"))
    assert [(row.name, row.spread.n) for row in found.rows] == [("shake-", 0), ("shake+", 0)]


def test_the_papers_section_of_the_data_stands_beside_a_study_that_names_none(
    keep_run: Keep, tmp_path: Path
) -> None:
    folder = keep_run("a", 0, errors={"stage1": 1.0, "stage2": 1.0})
    config = json.loads((folder / "config.json").read_text())
    config["data"]["paper"] = "ccnn.fig4_stage_count"
    (folder / "config.json").write_text(json.dumps(config))
    rows = compare(read_folder(tmp_path / "study")).rows
    assert [row.paper.value for row in rows if row.paper] == [2.21, 1.37]
