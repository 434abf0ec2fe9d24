"""Which runs stand in one table, however their commands put it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facegeo.runs.plan import Job, Part, write_parts
from facegeo.runs.reuse import settings_key, variant_key
from facegeo.studies.apart import apart
from facegeo.studies.comparison import compare
from facegeo.studies.facts import commands, facts, unfinished
from facegeo.studies.report import write_report
from facegeo.studies.runs import Study, read_folder

KeepRun = Callable[..., Path]
ABOUT = {"question": "why?", "rows": ["stage1"], "split": "test", "baseline": "a=1"}


@pytest.fixture
def keep(keep_run: KeepRun) -> Callable[..., Job]:
    """Writes a finished run and returns the job that it is, in the words of a later command."""

    def write(name: str, seed: int, choices: dict[str, Any], error: float = 1.0) -> Job:
        folder = keep_run(name, seed, choices, about=ABOUT, errors={"stage1": error})
        config = json.loads((folder / "config.json").read_text())
        words = ("experiment=the/default", *(f"{k}={v}" for k, v in choices.items()))
        return Job((*words, f"seed={seed}"), seed, settings_key(config), variant_key(config, words))

    return write


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., list[Study]]:
    """Writes a plan and reads the study's parts."""

    def read(*parts: Part) -> list[Study]:
        plan = write_parts("a/study", parts)
        (tmp_path / "study" / "plan.json").write_text(json.dumps(plan))
        return apart([read_folder(tmp_path / "study")])

    return read


def test_runs_of_other_settings_have_a_table_with_baseline_of_their_own(
    keep: Callable[..., Job], found: Callable[..., list[Study]], tmp_path: Path
) -> None:
    jobs = {
        data: tuple(
            keep(f"{data}{a}{n}", n, {"a": a, "data.root": data}, a + n / 8)
            for a in (1, 2)
            for n in (0, 1)
        )
        for data in ("real", "smoke")
    }
    studies = found(*(Part(d, f"data={d}", f"run {d}", ABOUT, jobs[d]) for d in ("real", "smoke")))
    assert [study.name for study in studies] == ["a/study: data=real", "a/study: data=smoke"]
    for study, data in zip(studies, ("real", "smoke"), strict=True):
        comparison = compare(study)
        assert [row.name for row in comparison.rows] == ["a=1", "a=2"]
        assert comparison.baseline == "a=1"
        assert comparison.rows[1].difference is not None
        assert {run.config["data"]["root"] for run in study.runs} == {data}
        assert study.command == f"run {data}"
    page = write_report([tmp_path / "study"]).read_text()
    assert page.count('<section id="a-study-data-real">') == 1
    assert page.count('<section id="a-study-data-smoke">') == 1


def test_a_run_stands_with_every_command_that_asks_for_it(
    keep: Callable[..., Job], found: Callable[..., list[Study]]
) -> None:
    jobs = tuple(keep(f"{a}", 0, {"a": a}) for a in (1, 2))
    studies = found(Part("narrow", "a=1", "one", ABOUT, jobs[:1]), Part("", "", "all", ABOUT, jobs))
    assert [len(study.runs) for study in studies] == [1, 2]
    assert [unfinished(compare(study)) for study in studies] == [[], []]


def test_jobs_are_found_whatever_their_words(
    keep: Callable[..., Job], found: Callable[..., list[Study]]
) -> None:
    jobs = tuple(keep(f"{a}{n}", n, {"a": a}) for a in (1, 2) for n in (0, 1))
    (study,) = found(Part("base", "", "all", ABOUT, jobs))
    comparison = compare(study)
    assert unfinished(comparison) == []
    assert [row.variant.planned for row in comparison.rows] == [2, 2]
    assert [row.name for row in comparison.rows] == ["a=1", "a=2"]


def test_a_run_of_older_defaults_takes_no_place_of_another(
    keep: Callable[..., Job], found: Callable[..., list[Study]]
) -> None:
    jobs = tuple(keep(f"{a}{n}", n, {"a": a}) for a in (1, 2) for n in (0, 1))
    keep("stale", 0, {"a": 1, "data.batch_size": 999})
    now, others = found(Part("base", "", "all", ABOUT, jobs))
    assert unfinished(compare(now)) == []
    assert (now.name, others.name, len(others.runs)) == ("a/study", "a/study: others", 1)
    assert "no command of this study asks for" in others.notes[0]


def test_a_search_takes_all_in_and_says_how_many_are_left(
    keep: Callable[..., Job], found: Callable[..., list[Study]]
) -> None:
    for a, error in ((1, 2.0), (2, 1.0), (3, 3.0)):
        keep(f"{a}", 0, {"a": a}, error)
    (study,) = found(Part("base", "", "search", ABOUT, (), trials=20))
    comparison = compare(study)
    assert facts(comparison)["Runs"] == "3 done, 17 planned"
    assert [row.name for row in comparison.rows] == ["a=2", "a=1", "a=3"]  # the best first
    assert commands(comparison, unfinished(comparison)) == ["search"]
    grid = (keep("4", 0, {"a": 4}), keep("5", 0, {"a": 5}))  # as well: no trials of the search
    (study,) = found(Part("base", "", "search && grid", ABOUT, grid, trials=20))
    assert facts(compare(study))["Runs"] == "5 done, 17 planned"


def test_studies_of_one_name_are_told_apart(
    keep: Callable[..., Job], found: Callable[..., list[Study]]
) -> None:
    (study,) = found(Part(jobs=(keep("a", 0, {"a": 1}),)))
    assert [one.name for one in apart([study, study])] == ["a/study #1", "a/study #2"]


def test_a_seed_that_was_measured_elsewhere_is_to_do(
    keep_run: KeepRun, keep_plan: Callable[..., None], tmp_path: Path
) -> None:
    jobs = [["a=1", f"seed={n}"] for n in (0, 1)]
    keep_plan(*jobs, about=ABOUT, command="again")
    keep_run("0", 0, {"a": 1}, about=ABOUT, errors={"stage1": 1.0})
    other = keep_run("1", 1, {"a": 1}, about=ABOUT, errors={"stage1": 1.0}) / "metrics.json"
    other.write_text(other.read_text().replace("test/", "val/"))
    comparison = compare(read_folder(tmp_path / "study"))
    (left,) = unfinished(comparison)
    assert (left.seed, left.status) == (1, "not measured on test")
    assert facts(comparison)["Runs"] == "1 done, 1 not measured on test"
    page = write_report([tmp_path / "study"]).read_text()
    assert "This study is incomplete: 1 of 2 runs are done." in page


def test_an_axis_that_a_user_adds_leaves_labels_and_baseline(
    keep_run: KeepRun, tmp_path: Path
) -> None:
    labels = [{"when": {"a": a}, "name": name} for a, name in ((1, "off"), (2, "on"))]
    about = ABOUT | {"labels": labels, "baseline": "on"}
    for a in (1, 2):
        for b in (3, 4):
            keep_run(f"{a}{b}", 0, {"a": a, "b": b}, about=about, errors={"stage1": a + b})
    comparison = compare(read_folder(tmp_path / "study"))
    names = [row.name for row in comparison.rows]
    assert names == ["off (b=3)", "off (b=4)", "on (b=3)", "on (b=4)"]
    assert comparison.baseline == "on (b=3)"
