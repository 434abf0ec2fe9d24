from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import CSVLogger

from facegeo.runs.wandb import JobLogs, WandbRun

Calls = list[tuple[str, Any]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Records calls to W&B runs, in place of W&B."""
    found: Calls = []
    monkeypatch.setattr(WandbRun, "log_hyperparams", lambda _, v: found.append(("config", v)))
    monkeypatch.setattr(WandbRun, "log_image", lambda _, key, __: found.append(("picture", key)))
    monkeypatch.setattr(WandbRun, "close", lambda _, *ends: found.append(("end", ends)))
    return found


def logs(folder: Path, *, wandb: bool = True) -> JobLogs:
    makers: dict[str, Any] = {"csv": partial(CSVLogger, name="curves")}
    if wandb:
        makers["mine"] = partial(WandbRun, project="facegeo")
    return JobLogs(makers, folder, {"seed": 3})


def test_trainers_share_one_wandb_run_and_have_own_curves(calls: Calls, tmp_path: Path) -> None:
    job = logs(tmp_path)
    job.begin({"status": "running"})
    first, run = job.of_trainer("stage1")
    first.save()  # type: ignore[attr-defined]
    second, same = job.of_trainer("stage2")
    assert run is same
    assert isinstance(run, WandbRun)
    assert run.part == "stage2"
    assert first.version != second.version
    assert calls == [("config", {"seed": 3, "record": {"status": "running"}})]


def test_close_logs_pictures_and_results(calls: Calls, tmp_path: Path) -> None:
    for name in ("test_ced.png", "more/page.png", "panels/faces_1.png", "wandb/run/copy.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    logs(tmp_path).close({"test/error": 1.0}, {"status": "done"}, "done")
    end = ("end", ({"test/error": 1.0}, {"status": "done"}, "done"))
    assert calls == [("picture", "page"), ("picture", "test_ced"), end]


def test_a_failed_job_shows_no_pictures(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "of_before.png").touch()
    logs(tmp_path).close({}, {"status": "failed"}, "failed")
    assert [kind for kind, _ in calls] == ["end"]


def test_without_wandb_only_csv_is_written(calls: Calls, tmp_path: Path) -> None:
    job = logs(tmp_path, wandb=False)
    job.begin({})
    assert [type(logger) for logger in job.of_trainer()] == [CSVLogger]
    job.close({"test/error": 1.0}, {}, "done")
    assert (job.address, calls) == (None, [])


def test_an_evaluation_is_a_line_of_csv(calls: Calls, tmp_path: Path) -> None:
    logs(tmp_path).measured({"test/error": 1.5})
    (file,) = tmp_path.rglob("metrics.csv")
    assert "1.5" in file.read_text()
    assert calls == []
