"""Which of two runs of one configuration and seed a study keeps."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from facegeo.errors import UserError
from facegeo.runs.reuse import settings_key
from facegeo.studies.runs import StudyRun, make_study, natural, read_folder, read_run
from facegeo.studies.variants import divide

Keep = Callable[..., Path]


def read(tmp_path: Path) -> tuple[StudyRun, ...]:
    return read_folder(tmp_path / "study").runs


def test_a_study_is_read_in_the_order_of_its_plan(
    keep_run: Keep, keep_plan: Callable[..., None], tmp_path: Path
) -> None:
    for seed, sigma in ((1, 0.1), (0, 0.2), (0, 0.1)):
        keep_run(f"{sigma}-{seed}", seed, {"task.sigma": sigma}, errors={"stage1": 1.0})
    jobs = [
        ["task.sigma=0.2", "seed=0"],
        ["task.sigma=0.1", "seed=0"],
        ["task.sigma=0.1", "seed=1"],
    ]
    keep_plan(*jobs)
    study = read_folder(tmp_path / "study")
    assert study.name == "a/study"
    assert [run.overrides for run in study.runs] == [tuple(job) for job in jobs]
    assert [run.status for run in study.runs] == ["done"] * 3
    assert study.runs[0].metrics["test/stage1/error_pct"] == 1.0
    assert study.runs[0].link == str(tmp_path / "study" / "0.2-0")


def test_about_of_the_last_command_is_used(
    keep_run: Keep, keep_plan: Callable[..., None], tmp_path: Path
) -> None:
    keep_run("a", 0, errors={"stage1": 1.0}, about={"split": "test"})
    assert read_folder(tmp_path / "study").about == {"split": "test"}
    for time, split in ((2.0, "val"), (1.0, "strangers")):
        keep_plan(["seed=0"], base=split, about={"split": split}, time=time)
    assert read_folder(tmp_path / "study").about == {"split": "val"}


def test_status_of_runs(keep_run: Keep) -> None:
    done = keep_run("done", 0, errors={"stage1": 1.0})
    running = keep_run("running", 1, status="running")
    again = keep_run("again", 2, errors={"stage1": 1.0}, status="running")
    failed = keep_run("failed", 3, errors={"stage1": 1.0}, status="failed", error="no\n  disk")
    old = keep_run("old", 4, errors={"stage1": 1.0})
    (old / "record.json").unlink()  # of a version that kept none
    states = [read_run(folder).status for folder in (done, running, again, failed, old)]
    assert states == ["done", "running", "running", "failed", "done"]
    assert read_run(again).metrics == {}  # of the session before
    assert read_run(failed).error == "no disk"


@pytest.mark.parametrize("name", ["config", "record", "metrics", "planned"])
@pytest.mark.parametrize("text", ['{"seed": 0', "[1]", ""], ids=["torn", "list", "empty"])
def test_a_torn_file_makes_a_failed_run_that_names_it(keep_run: Keep, name: str, text: str) -> None:
    folder = keep_run("torn", 0, errors={"stage1": 1.0})
    (folder / f"{name}.json").write_text(text)
    run = read_run(folder)
    assert run.status == "failed"
    assert f"{folder / name}.json" in (run.error or "")
    assert run.metrics == {}


def test_a_study_that_an_older_version_planned_is_read(keep_run: Keep, tmp_path: Path) -> None:
    """Its plan.json has the jobs of all commands."""
    for number, size in enumerate((64, 32)):
        keep_run(f"{size}", 0, {"data.size": size}, errors={"stage1": 1.0 + number})
    keep_run("other", 0, {"data.size": 16}, errors={"stage1": 3.0})
    keys = {run.folder.name: settings_key(run.config) for run in read(tmp_path) if run.folder}
    jobs = [{"words": [f"data.size={n}", "seed=0"], "key": keys[n]} for n in ("64", "32")]
    part = {"base": "b", "told": "a=b", "command": "again", "about": {"split": "val"}}
    parts = [
        part | {"jobs": jobs, "trials": None},
        part | {"base": "c", "told": "", "jobs": [], "trials": 4},
    ]
    (tmp_path / "study" / "plan.json").write_text(json.dumps({"study": "s", "parts": parts}))
    grid, search = divide([read_folder(tmp_path / "study")])
    assert [run.overrides[0] for run in grid.runs] == ["data.size=64", "data.size=32"]
    assert (grid.about, grid.name) == ({"split": "val"}, "a/study: a=b")
    assert [run.overrides[0] for run in search.runs] == ["data.size=16"]
    assert [one.trials for one in search.searches] == [4]


def test_a_folder_without_a_study_is_refused_with_a_hint(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("a", 0, errors={"stage1": 1.0})
    with pytest.raises(UserError, match=rf"of a job.*such as {re.escape(str(tmp_path))}/stu"):
        read_folder(tmp_path)
    with pytest.raises(UserError, match="nowhere is not the folder of a study"):
        read_folder(tmp_path / "nowhere")


def test_of_a_run_made_twice_the_last_that_is_done_counts(keep_run: Keep) -> None:
    ended = "2026-01-01T00:00:00+00:00"
    early = keep_run("a", 0, {"name": "x"}, errors={"stage1": 1.0}, ended=ended)  # of no effect
    late = keep_run("b", 0, errors={"stage1": 2.0}, ended="2026-01-02T00:00:00+00:00")
    failed = keep_run("c", 0, status="failed", ended="2026-01-03T00:00:00+00:00")
    study = make_study("x", [read_run(folder) for folder in (late, failed, early)])
    assert [run.folder for run in study.runs] == [late]
    assert study.notes == (
        f"{failed} is left out: {early} is the same run again.",
        f"{early} is left out: {late} is the same run again.",
    )


def test_about_comes_from_a_run_unless_given(keep_run: Keep) -> None:
    run = read_run(keep_run("a", 0, about={"question": "why?"}))
    assert make_study("x", [run]).about == {"question": "why?"}
    assert make_study("x", [run], about={}).about == {}


def test_numbers_in_words_sort_as_numbers() -> None:
    for low, high in (("a=9", "a=10"), ("a=1e-3", "a=0.01"), ("a=[1,9]", "a=[1,10]"), ("a", "b")):
        assert sorted([[high], [low]], key=natural) == [[low], [high]]


EARLY, LATE = "2026-01-01T00:00:00", "2026-01-03T00:00:00"
BETWEEN, BEFORE_LATE = "2026-01-02T00:00:00", "2026-01-02T12:00:00"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_run_that_ended_last_is_kept_whichever_began_first(
    keep_run: Keep, order: tuple[int, int]
) -> None:
    long = keep_run("a-long", 0, errors={"stage1": 1.0}, started=EARLY, ended=LATE)
    short = keep_run("b-short", 0, errors={"stage1": 2.0}, started=BETWEEN, ended=BEFORE_LATE)
    runs = [read_run((long, short)[place]) for place in order]
    study = make_study("mine", runs)
    assert [run.folder for run in study.runs] == [long]
    assert study.notes == (f"{short} is left out: {long} is the same run again.",)


def test_of_two_that_have_not_ended_the_last_to_begin_is_kept(keep_run: Keep) -> None:
    late = keep_run("a-late", 0, started=LATE, status="running")
    early = keep_run("b-early", 0, started=EARLY, status="running")
    study = make_study("mine", [read_run(late), read_run(early)])
    assert [run.folder for run in study.runs] == [late]
