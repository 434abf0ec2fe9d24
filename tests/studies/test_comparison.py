"""Errors in a study's description are raised before a training, and noted after one."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from scipy import stats

from facegeo.files.shipped import conf_dir
from facegeo.runs.jobs import sound
from facegeo.studies.comparison import Difference, Spread, compare, difference, spread
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


def test_entries_of_a_single_variant_are_its_rows(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("a", 0, errors={"stage1": 2.0, "stage10": 1.0, "stage2": 1.5})
    rows = compare(read_folder(tmp_path / "study")).rows
    assert [row.name for row in rows] == ["stage1", "stage2", "stage10"]


def test_without_about_the_last_entry_is_compared_with_the_first_variant(
    keep_run: Keep, tmp_path: Path
) -> None:
    shake(keep_run, about=None)
    found = compare(read_folder(tmp_path / "study"))
    assert [row.name for row in found.rows] == ["sigma=0.0", "sigma=0.01", "sigma=0.02"]
    assert {row.entry for row in found.rows} == {"stage2"}
    assert (found.split, found.measure, found.baseline) == ("test", "error_pct", "sigma=0.0")


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


def test_different_data_and_commits_are_warned_of(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("a", 0, errors={"stage1": 1.0})
    other = {"title": "other faces", "hash": "fedcba"}
    commits = ["deadbeef", "5e55104"]  # of two sessions
    keep_run("b", 1, errors={"stage1": 1.0}, data=other, commits=commits)
    keep_run("c", 2, status="failed", data={"title": "none", "hash": "0"})
    notes = compare(read_folder(tmp_path / "study")).notes
    assert notes == (
        "The runs were trained on different data (faces 1234567890ab, other faces fedcba): their "
        "numbers are not comparable.",
        "The runs are of different commits: 5e55104, c0ffee0123, deadbeef.",
    )


@pytest.mark.parametrize("split", ["test", "strangers"])
def test_different_test_data_are_warned_of(keep_run: Keep, tmp_path: Path, split: str) -> None:
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


@pytest.mark.parametrize(
    ("about", "note"),
    [
        ({"baseline": "none such"}, "There is no row 'none such' to compare with yet."),
        ({"measure": "speed"}, "No finished run has measured test/.../speed."),
        ({"split": "val"}, "No finished run has measured val/.../error_pct."),
        ({"paper": "ccnn.fig99"}, "No number of the paper: there is no section ccnn.fig99"),
    ],
)
def test_mistakes_in_about_become_notes(
    keep_run: Keep, tmp_path: Path, about: dict[str, Any], note: str
) -> None:
    shake(keep_run, about)
    assert any(one.startswith(note) for one in compare(read_folder(tmp_path / "study")).notes)


def test_without_a_finished_run_every_row_is_empty(
    keep_plan: Callable[..., None], keep_run: Keep, tmp_path: Path
) -> None:
    keep_plan(["data.sigma=0.0", "seed=0"], ["data.sigma=0.01", "seed=0"], about=SHAKE)
    keep_run("a", 0, {"data.sigma": 0.0}, about=SHAKE, status="running")
    found = compare(read_folder(tmp_path / "study"))
    assert [(row.name, row.spread.n) for row in found.rows] == [("shake-", 0), ("shake+", 0)]


def test_the_papers_section_of_the_data_is_shown_for_a_study_without_one(
    keep_run: Keep, tmp_path: Path
) -> None:
    folder = keep_run("a", 0, errors={"stage1": 1.0, "stage2": 1.0})
    config = json.loads((folder / "config.json").read_text())
    config["data"]["paper"] = "ccnn.fig4_stage_count"
    (folder / "config.json").write_text(json.dumps(config))
    rows = compare(read_folder(tmp_path / "study")).rows
    assert [row.paper.value for row in rows if row.paper] == [2.21, 1.37]


FILES = sorted((conf_dir() / "ablation").rglob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_studies_say_nothing_wrong(file: Path) -> None:
    assert sound(OmegaConf.to_container(OmegaConf.load(file).about))[1] == []


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("rows", "stage1", "a list such as"),
        ("rows", 3, "a list such as"),
        ("plots", "points", "a list such as"),
        ("paper", 3, "a section of experiments"),
        ("labels", ["foo"], "a list such as"),
        ("labels", [{"name": "foo", "when": "abc"}], "a list such as"),
        ("labels", [{"when": {"a": 1}}], "a list such as"),
        ("baseline", True, "the name of a row"),
        ("row", ["stage1"], "about has no key row; it has question,"),
    ],
)
def test_an_error_becomes_a_note_and_stops_no_report(
    key: str, value: object, wanted: str, keep_run: Callable[..., Path], tmp_path: Path
) -> None:
    assert wanted in sound({key: value})[1][0]
    keep_run("a", 0, {}, about={"measure": "error_pct", key: value}, errors={"stage1": 1.0})
    comparison = compare(read_folder(tmp_path / "study"))
    assert any(wanted in note for note in comparison.notes)
    assert [row.entry for row in comparison.rows] == ["stage1"]


@pytest.mark.parametrize(("about", "faults"), [(None, 0), ({}, 0), ("hello", 1), ([], 1)])
def test_only_keys_are_taken(about: Any, faults: int) -> None:  # noqa: ANN401
    kept, notes = sound(about)
    assert (kept, len(notes)) == ({}, faults)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([2.0, 4.0, 9.0], Spread(3, 5.0, pytest.approx(math.sqrt(13)))),  # 26 / (3 - 1)
        ([2.5], Spread(1, 2.5, None)),
        ([], Spread(0, None, None)),
    ],
)
def test_mean_and_sample_standard_deviation(values: list[float], found: Spread) -> None:
    assert spread(values) == found


def test_a_mean_with_nan_in_it_is_nan() -> None:
    assert math.isnan(spread([1.0, math.nan]).mean or 0)


def test_paired_test_by_hand() -> None:
    # Differences 1, 2, 3: t = 2 / (1 / sqrt(3)) = 3.4641 with 2 degrees of freedom, for which
    # p = 1 - t / sqrt(t^2 + 2) = 1 - sqrt(12 / 14).
    found = difference({0: 2.0, 1: 4.0, 2: 6.0}, {0: 1.0, 1: 2.0, 2: 3.0})
    assert found == Difference(3, 2.0, pytest.approx(1 - math.sqrt(12 / 14)))


def test_only_seeds_that_both_have_count_whatever_their_order() -> None:
    found = difference({3: 9.0, 1: 4.0, 0: 2.0}, {0: 1.0, 1: 2.0, 2: 100.0})
    assert found == Difference(2, 1.5, pytest.approx(stats.ttest_1samp([1.0, 2.0], 0).pvalue))
    assert difference({0: 1.0}, {1: 1.0}) is None


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({0: 2.0}, {0: 1.0, 1: 2.0}),
        ({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}),
        ({0: 0.3, 1: 0.4}, {0: 0.2, 1: 0.3}),  # equal but for rounding
        ({0: math.nan, 1: 2.0}, {0: 1.0, 1: 1.0}),
    ],
    ids=["one-seed", "no-difference", "equal-differences", "nan"],
)
def test_p_is_none_without_a_spread_of_differences(
    ours: dict[int, float], theirs: dict[int, float]
) -> None:
    found = difference(ours, theirs)
    assert found is not None
    assert found.p is None
