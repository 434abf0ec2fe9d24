import csv
import io
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from facegeo.studies.comparison import Comparison, Difference, compare
from facegeo.studies.facts import commands, duration, facts, unfinished
from facegeo.studies.runs import read_folder
from facegeo.studies.tables import (
    cells_csv,
    detail_table,
    latex,
    main_table,
    relative,
    show_p,
)

Keep = Callable[..., Path]
ABOUT = {
    "question": "Does 50 % of a_b help?",
    "source": "CCNN, Fig. 6",
    "paper": "ccnn.fig6_shake",
    "rows": ["stage1"],
    "labels": [{"when": {"a_b": 0}, "name": "shake-"}, {"when": {"a_b": 1}, "name": "shake+"}],
}


@pytest.fixture
def comparison(keep_run: Keep, keep_plan: Callable[..., None], tmp_path: Path) -> Comparison:
    """Two labelled variants, two seeds and one, of three planned; a third without a label."""
    jobs = [[f"a_b={a}", f"seed={seed}"] for a in (0, 1, 2) for seed in range(3)]
    keep_plan(*jobs, about=ABOUT)
    for name, seed, a, error in (("a", 0, 0, 1.2), ("b", 1, 0, 1.4), ("c", 0, 1, 1.0)):
        keep_run(name, seed, {"a_b": a}, about=ABOUT, errors={"stage1": error})
    return compare(read_folder(tmp_path / "study"))


def test_table_for_people(comparison: Comparison) -> None:
    table = main_table(comparison)
    assert table.shown() == [
        ["shake- *", "2 of 3", "1.30", "0.141", "-", "-", "2.35"],
        ["shake+", "1 of 3", "1.00", "-", "-0.200", "- (1)", "1.90"],
        ["a_b=2", "0 of 3", "-", "-", "-", "-", "-"],
    ]
    assert table.note.startswith("Mean over images of the distance to the true point / face box")
    assert "sample standard deviation" in table.note


def test_a_number_in_doubt_is_marked_and_an_unknown_measure_named(
    keep_run: Keep, tmp_path: Path
) -> None:
    labels = [{"when": {"a": 0}, "name": "ResNet-34"}]
    about = {"paper": "ccnn.table3_size_speed", "measure": "size_mb", "rows": ["stage1"]}
    for a in (0, 1):
        folder = keep_run(str(a), 0, {"a": a}, about=about | {"labels": labels})
        (folder / "metrics.json").write_text('{"test/stage1/size_mb": 83.15}')
    table = main_table(compare(read_folder(tmp_path / "study")))
    assert table.shown()[0][-1] == "85.15 (?)"
    assert table.shown()[0][2] == "83.15"
    assert "size_mb: as the runs' metrics name it" in table.note


def test_all_measures_are_in_a_table_of_their_own(
    comparison: Comparison, keep_run: Keep, tmp_path: Path
) -> None:
    table = detail_table(comparison)
    assert table is not None
    assert [row[0] for row in table.rows] == ["shake-", "shake+"]
    assert table.rows[0][table.columns.index(">5 %")] == pytest.approx(1.3)
    assert "AUC = area" in table.note


def test_the_papers_other_measures_are_below_ours(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("a", 0, about={"paper": "casfne.table1_cascade_depth"}, degrees={"t0": 9.0, "t1": 8.0})
    table = detail_table(compare(read_folder(tmp_path / "study")))
    assert table is not None
    assert [row[0] for row in table.rows] == ["t0", "t0, paper", "t1", "t1, paper"]
    assert table.rows[1][table.columns.index("<20")] == 90.03
    assert table.rows[1][table.columns.index("med.")] is None  # not printed


def test_the_papers_error_is_not_shown_next_to_a_failure_rate(
    comparison: Comparison, tmp_path: Path
) -> None:
    about = {**comparison.study.about, "measure": "fail10_pct"}
    found = compare(replace(comparison.study, about=about))
    assert [row.paper for row in found.rows] == [None, None, None]
    table = detail_table(found)
    assert table is not None
    (paper,) = [row for row in table.rows if row[0] == "shake-, paper"]
    assert paper[1:] == tuple(2.35 if name == "mean %" else None for name in table.columns[1:])


def test_csv_has_full_numbers_and_run_paths_relative_to_its_folder(
    comparison: Comparison, tmp_path: Path
) -> None:
    rows = list(csv.DictReader(io.StringIO(cells_csv([comparison, comparison], tmp_path))))
    assert len(rows) == 6
    assert rows[1] == {
        "study": "a/study",
        "split": "test",
        "measure": "error_pct",
        "row": "shake+",
        "seeds_done": "1",
        "seeds_planned": "3",
        "mean": "1",
        "std": "",
        "baseline": "shake-",
        "difference": "-0.2",
        "p": "",
        "common_seeds": "1",
        "paper": "1.9",
        "paper_certain": "True",
        "runs": "study/c",
    }
    assert rows[0]["std"] == "0.141421"


def test_latex_is_escaped_and_set_with_booktabs(comparison: Comparison) -> None:
    text = latex(comparison)
    assert r"\caption{Does 50 \% of a\_b help? CCNN, Fig. 6. Mean error" in text
    assert r"    shake- & 2/3 & $1.30 \pm 0.141$ & -- & -- & 2.35 \\" in text
    assert r"    a\_b=2 & 0/3 & -- & -- & -- & -- \\" in text
    assert text.count("rule") == 3
    assert text.count("{") == text.count("}")


def test_latex_has_the_p_of_a_paired_t_test(keep_run: Keep, tmp_path: Path) -> None:
    """Of two degrees of freedom p is 1 - t / sqrt(t^2 + 2): by hand."""
    for seed, base in enumerate((1.0, 2.0, 4.0)):
        near, far = (0.1, 0.3, 0.2)[seed], (1.0, 1.001, 0.999)[seed]
        for a, error in (("0", base), ("near", base + near), ("far", base + far)):
            keep_run(f"{a}{seed}", seed, {"a": a}, errors={"stage1": error})
    text = latex(compare(read_folder(tmp_path / "study")))
    p = 1 - math.sqrt(12) / math.sqrt(12 + 2)  # t is 0.2 / (0.1 / sqrt(3))
    assert f"{p:.3f}" == "0.074"
    (near_row,) = [line for line in text.splitlines() if "a=near" in line]
    assert near_row.split(" & ")[4] == "0.074"
    (far_row,) = [line for line in text.splitlines() if "a=far" in line]
    assert far_row.split(" & ")[4] == "$<0.001$"


def test_p_is_shown_with_its_number_of_seeds() -> None:
    shown = {None: "- (3)", 0.0123: "0.012 (3)", 0.0004: "<0.001 (3)"}
    assert {p: show_p(Difference(3, 0.5, p)) for p in shown} == shown


def test_only_an_address_is_left_as_it_is(tmp_path: Path) -> None:
    for address in ("https://wandb.ai/me/facegeo/runs/1", "http://localhost:8080/me/p/runs/1"):
        assert relative(address, tmp_path) == address
    assert relative("javascript:alert(1)", tmp_path).startswith("../")


def read(tmp_path: Path) -> Comparison:
    return compare(read_folder(tmp_path / "study"))


def test_missing_jobs_are_listed_with_their_state(
    keep_run: Keep, keep_plan: Callable[..., None], tmp_path: Path
) -> None:
    keep_plan(*([f"a={a}", f"seed={seed}"] for a in (1, 2) for seed in (0, 1)))
    keep_run("a", 0, {"a": 1}, errors={"stage1": 1.0})
    failed = keep_run("b", 1, {"a": 1}, status="failed", error="ValueError: no")
    keep_run("c", 0, {"a": 2}, status="running")
    found = unfinished(read(tmp_path))
    assert [(job.variant, job.seed, job.status, job.error) for job in found] == [
        ("a=1", 1, "failed", "ValueError: no"),
        ("a=2", 0, "running", None),
        ("a=2", 1, "planned", None),
    ]
    assert found[0].link == str(failed)
    assert commands(found) == ["again"]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ([], "facegeo-train experiment=ccnn/tuned study=a/study 'a={b: 1}' seed=0"),
        (["ablation=ccnn/x"], "facegeo-train -m ablation=ccnn/x 'a={b: 1}' seed=0"),
        (
            ["study=y", "experiment=z"],
            "facegeo-train study=y experiment=z 'a={b: 1}' seed=0",
        ),
    ],
)
def test_a_run_that_no_sweep_planned_has_its_own_command(
    keep_run: Keep, tmp_path: Path, given: list[str], line: str
) -> None:
    keep_run("a", 0, status="failed", overrides=[*given, "a={b: 1}", "seed=0"])
    assert commands(unfinished(read(tmp_path))) == [line]


def test_facts_are_gathered_from_the_records(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("a", 0, errors={"stage1": 1.0}, packages={"torch": "2.13.0", "other": "1"})
    keep_run("b", 1, errors={"stage1": 1.0}, wall_s=3540, git={"commit": "c0ffee", "dirty": True})
    keep_run("c", 2, status="failed", device="another")
    assert facts(read(tmp_path)) == {
        "Runs": "2 done, 1 failed",
        "Data": "faces (LFPWDataModule, 1234567890ab)",
        "Commit": "c0ffee0123 (1 runs); c0ffee with changes (1 runs)",
        "Device": "a processor",
        "Wall time": "1 h 1 min",
        "Software": "torch 2.13.0",
    }


def test_durations_are_in_words() -> None:
    seconds = {0: "", 59: "59 s", 119: "2 min", 7260: "2 h 1 min"}
    assert {key: duration(key) for key in seconds} == seconds
