"""Studies read from folders of runs and from W&B's server."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from facegeo.errors import UserError
from facegeo.runs.wandb import to_config, to_summary
from facegeo.studies.comparison import compare
from facegeo.studies.runs import StudyRun, read_folder
from facegeo.studies.sources import find_studies, loose_study, read_api

Keep = Callable[..., Path]
METRICS = {"test/stage1/error_pct": 0.1 + 0.2, "test/none": math.nan, "val/lt11.25_pct": 1e-17}
METRICS |= {"test/fail10_pct": 0.0, "test/far": math.inf}


def test_loose_runs_are_compared_in_the_order_named(keep_run: Keep) -> None:
    about = {"baseline": "of their own study", "split": "val"}
    folders = [
        keep_run(f"{a}{seed}", seed, {"a": a}, about=about, errors={"stage1": 1.0}, overrides=[])
        for a in (2, 1)
        for seed in (1, 0)
    ]
    (study,) = find_studies([], [str(folder) for folder in folders])
    found = compare(study)
    assert [(row.name, list(row.values)) for row in found.rows] == [
        ("a=2", [1, 0]),
        ("a=1", [1, 0]),
    ]
    assert (found.split, found.baseline, study.name) == ("test", "a=2", "ccnn/tuned")


@pytest.mark.parametrize("status", ["running", "failed"])
def test_an_unfinished_loose_run_is_refused(keep_run: Keep, status: str) -> None:
    folder = keep_run("a", 0, status=status)
    with pytest.raises(UserError, match=r"a holds no finished run .* name folders"):
        loose_study([folder])


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no finished run \(.*config\.json is missing"):
        loose_study([tmp_path])


def test_nothing_named_is_refused() -> None:
    with pytest.raises(UserError, match="nothing to report on"):
        find_studies([])


def test_a_server_needs_the_names_of_studies() -> None:
    with pytest.raises(UserError, match="name the studies to read from me/facegeo"):
        find_studies([], wandb="me/facegeo")


def test_a_folder_of_wandb_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is a folder, wanted ENTITY/PROJECT"):
        find_studies([], wandb=str(tmp_path))


class FakeRun:
    """A run as ``wandb.Api`` gives it: nothing empty in its config, its numbers through JSON."""

    def __init__(self, run: StudyRun) -> None:
        config = to_config({**run.config, "record": dict(run.record)})
        self.config = {key: without_empty(value) for key, value in config.items()}
        numbers = json.loads(json.dumps(to_summary(run.metrics), allow_nan=False))
        self.summary_metrics = {"_step": 3, "panels/faces": {"_type": "images"}, **numbers}
        self.url = f"https://wandb.example/{run.seed}"


class FakeApi:
    def __init__(self, runs: list[StudyRun]) -> None:
        self.found, self.asked = [FakeRun(run) for run in runs], {}

    def runs(self, path: str, filters: dict[str, Any], *, lazy: bool) -> Iterator[FakeRun]:
        self.asked = {"path": path, "filters": filters}
        return iter(self.found)


def without_empty(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {key: without_empty(inner) for key, inner in value.items() if inner != {}}


def test_the_server_gives_the_same_runs_as_the_folders(keep_run: Keep, tmp_path: Path) -> None:
    done = keep_run("a", 0, {"task.weights": {}})
    (done / "metrics.json").write_text(json.dumps(METRICS))
    keep_run("b", 1, status="running")
    keep_run("c", 2, status="failed", error="ValueError: no")
    runs = read_folder(tmp_path / "study").runs
    api = FakeApi(list(runs))
    found = read_api("lab/facegeo", "a/study", api)
    assert api.asked == {"path": "lab/facegeo", "filters": {"group": "a/study"}}
    moved = [replace(r, link=f"https://wandb.example/{r.seed}", folder=None) for r in runs]
    as_text = [[json.dumps(vars(run), sort_keys=True) for run in one] for one in (found, moved)]
    assert as_text[0] == as_text[1]  # not-a-number equals itself in text
    assert [run.status for run in found] == ["running", "failed", "done"]


def no_network(*args: object, **kwargs: object) -> object:
    raise OSError("no route to host")


@pytest.mark.parametrize(
    ("runs", "message"),
    [(lambda *args, **kwargs: [], "no run of facegeo in a group"), (no_network, "no route")],
)
def test_a_server_that_gives_nothing(runs: Callable[..., Any], message: str) -> None:
    api = FakeApi([])
    api.runs = runs  # type: ignore[method-assign]
    with pytest.raises(UserError, match=message):
        read_api("lab/facegeo", "ccnn/shake", api)
