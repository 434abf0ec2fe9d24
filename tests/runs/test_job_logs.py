from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lightning.pytorch.loggers import CSVLogger

from facegeo.runs.wandb import JobLogs, WandbRun


def logs(folder: Path, *, online: bool = True) -> JobLogs:
    makers: dict[str, Any] = {"csv": partial(CSVLogger, name="curves")}
    if online:
        makers["mine"] = partial(WandbRun, project="facegeo")
    return JobLogs(makers, folder, {"seed": 3})


def test_trainers_share_one_wandb_run_and_have_own_curves(
    wandb: SimpleNamespace, tmp_path: Path
) -> None:
    job = logs(tmp_path)
    job.begin({"status": "running"})
    first, run = job.of_trainer("stage1")
    first.save()  # type: ignore[attr-defined]
    second, same = job.of_trainer("stage2")
    assert run is same
    assert isinstance(run, WandbRun)
    assert run.part == "stage2"
    assert first.version != second.version
    run.log_metrics({"train/loss": 1.0}, 0)
    (logged,) = wandb.runs
    assert (logged.config["seed"], logged.config["record"]) == (3, {"status": "running"})


def test_close_logs_pictures_and_results(wandb: SimpleNamespace, tmp_path: Path) -> None:
    for name in ("test_ced.png", "more/page.png", "panels/faces_1.png", "wandb/run/copy.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    logs(tmp_path).close({"test/error": 1.0}, {"status": "done"}, "done")
    (run,) = wandb.runs
    assert run.logged == [
        {"page": [f"picture {tmp_path / 'more/page.png'}"]},
        {"test_ced": [f"picture {tmp_path / 'test_ced.png'}"]},
    ]
    assert (run.summary, run.exits) == ({"test/error": 1.0}, [0])


def test_a_failed_job_shows_no_pictures(wandb: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "of_before.png").touch()
    logs(tmp_path).close({}, {"status": "failed"}, "failed")
    assert [(run.logged, run.exits) for run in wandb.runs] == [([], [1])]


def test_without_wandb_only_csv_is_written(wandb: SimpleNamespace, tmp_path: Path) -> None:
    job = logs(tmp_path, online=False)
    job.begin({})
    assert [type(logger) for logger in job.of_trainer()] == [CSVLogger]
    job.close({"test/error": 1.0}, {}, "done")
    assert (job.address, wandb.runs) == (None, [])


def test_an_evaluation_is_a_line_of_csv(wandb: SimpleNamespace, tmp_path: Path) -> None:
    logs(tmp_path).measured({"test/error": 1.5})
    (file,) = tmp_path.rglob("metrics.csv")
    assert "1.5" in file.read_text()
    assert wandb.runs == []
