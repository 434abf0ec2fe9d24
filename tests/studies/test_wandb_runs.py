import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from facegeo.errors import UserError
from facegeo.runs.wandb import WandbRun, to_config, to_summary
from facegeo.studies.runs import StudyRun, read_folder
from facegeo.studies.wandb_logs import read_api, read_offline

METRICS = {"test/stage1/error_pct": 0.1 + 0.2, "test/none": math.nan, "val/lt11.25_pct": 1e-17}
METRICS |= {"test/fail10_pct": 0.0, "test/far": math.inf}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of a study's jobs."""
    return jobs(tmp_path_factory.mktemp("out") / "shake", "disabled")


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of a study's jobs, with their W&B runs."""
    return jobs(tmp_path_factory.mktemp("out") / "shake", "offline")


def jobs(folder: Path, mode: str) -> Path:
    """A finished, a killed, a resumed and a failed job."""
    for seed, ends in enumerate([["done"], ["killed"], ["killed", "done"], ["failed"]]):
        for session, end in enumerate(ends):
            job(folder / f"job{seed}", seed, session, end, mode)
    return folder


def job(folder: Path, seed: int, session: int, end: str, mode: str) -> None:
    """One session of a job, with the files and the logger that the runner gives it."""
    config = {"study": "ccnn/shake", "seed": seed, "task": {"weights": {}}, "about": {"rows": []}}
    record = {"status": "running", "error": None, "study": "ccnn/shake", "seed": seed}
    record |= {"experiment": "ccnn/tuned", "overrides": [f"seed={seed}"], "sessions": session + 1}
    keep(folder / "config.json", config)
    keep(folder / "record.json", record)
    run = WandbRun(folder, "facegeo", mode=mode)
    run.log_hyperparams(config | {"record": record})
    for batch in range(2):
        run.log_metrics({"val/lt11.25_pct": 0.5 * batch, "val/error": math.nan}, step=batch)
    if end == "killed":
        run._finish(well=False)
        return
    record |= {"status": end, "error": "ValueError: no" if end == "failed" else None}
    metrics = METRICS if end == "done" else {}
    keep(folder / "record.json", record)
    if metrics:
        keep(folder / "metrics.json", metrics)
    run.close(metrics, record, end)


def keep(path: Path, values: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def told(runs: Iterable[StudyRun]) -> list[str]:
    """All that runs say, as text: not-a-number equals itself there."""
    return sorted(json.dumps(vars(run), default=str, sort_keys=True) for run in runs)


@pytest.mark.slow
def test_offline_runs_say_what_their_folders_say(logged: Path) -> None:
    found = read_offline(logged)
    assert [run.status for run in found] == ["done", "running", "done", "failed"]
    assert told(found) == told(read_folder(logged).runs)


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no run of W&B.*logger=wandb"):
        read_offline(tmp_path)


@pytest.mark.slow
def test_half_a_file_tells_what_it_has(logged: Path, tmp_path: Path) -> None:
    (whole,) = (logged / "job0").rglob("run-*.wandb")
    torn = tmp_path / "job" / "wandb" / "offline-run-1-a" / "run-a.wandb"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(whole.read_bytes()[:-700])
    (run,) = read_offline(tmp_path)
    assert (run.status, run.seed, run.metrics) == ("running", 0, {})


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


def test_the_server_says_what_the_folders_say(study: Path) -> None:
    runs = read_folder(study).runs
    api = FakeApi(list(runs))
    found = read_api("lab/facegeo", "ccnn/shake", api)
    assert api.asked == {"path": "lab/facegeo", "filters": {"group": "ccnn/shake"}}
    moved = [replace(r, link=f"https://wandb.example/{r.seed}", folder=None) for r in runs]
    assert told(found) == told(moved)


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
