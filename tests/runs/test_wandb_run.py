import logging
import pickle
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from facegeo.errors import UserError
from facegeo.runs.plan import Planned, write_planned
from facegeo.runs.wandb import WandbRun

CONFIG: dict[str, Any] = {
    "study": "ccnn/shake",
    "about": {"source": "CCNN, Fig. 6"},
    "task": {"weights": {}},
    "record": {"experiment": "ccnn/tuned", "overrides": ["data=lfpw", "data.shake=0", "seed=0"]},
}
JOBS = [["data=lfpw", f"data.shake={s}", f"seed={n}"] for s in (0, 0.01) for n in (0, 1)]


def plan(study: Path) -> Path:
    """Write the records of a study's jobs and of one on other data; return the first's folder."""
    folders = [study / f"job{number}" for number in range(len(JOBS))]
    for folder, words in zip(folders, JOBS, strict=True):
        write_planned(folder, Planned("", "base", "", None, tuple(words), {}, (0.0, 0)))
    write_planned(study / "other", Planned("", "other", "", None, ("seed=7",), {}, (0.0, 0)))
    return folders[0]


def begun(folder: Path, config: dict[str, Any] = CONFIG, **options: Any) -> WandbRun:
    logger = WandbRun(folder, "facegeo", **options)
    logger.log_hyperparams(config)
    return logger


def whole_job(logger: WandbRun) -> None:
    for part in ("stage1", "stage2"):
        logger.part = part
        logger.log_metrics({"train/loss": 0.5, "epoch": 0}, step=7)
    logger.log_image("panels/faces", ["a.png"])
    record = CONFIG["record"] | {"status": "done"}
    logger.close({"test/stage1/error_pct": 1.5}, record, "done")


def test_a_job_is_one_run_named_for_its_differences(wandb: SimpleNamespace, tmp_path: Path) -> None:
    folder = plan(tmp_path)
    whole_job(begun(folder, entity="lab"))
    (asked,) = wandb.asked
    wanted = {"project": "facegeo", "entity": "lab", "mode": "offline", "dir": str(folder)}
    wanted |= {"group": "ccnn/shake", "job_type": "ccnn/tuned", "tags": ["CCNN", "Fig. 6"]}
    wanted |= {"name": "data.shake=0 seed=0", "resume": "allow"}
    assert {key: asked[key] for key in wanted} == wanted
    config = wandb.runs[0].config
    assert (config["variant"], config["varied"]) == ("data.shake=0", {"data/shake": 0.0})


def test_outside_a_study_the_folder_gives_the_name(wandb: SimpleNamespace, tmp_path: Path) -> None:
    plan(tmp_path)
    whole_job(begun(tmp_path / "my-run", CONFIG | {"study": None, "about": None}))
    assert (wandb.asked[0]["name"], wandb.asked[0]["tags"]) == ("my-run", [])


def test_stages_have_curves_and_batches_each(wandb: SimpleNamespace, tmp_path: Path) -> None:
    whole_job(begun(tmp_path))
    (run,) = wandb.runs
    assert run.logged == [
        {"stage1/train/loss": 0.5, "stage1/batch": 7},
        {"stage2/train/loss": 0.5, "stage2/batch": 7},
        {"panels/faces": ["picture a.png"]},
    ]
    assert run.defined["stage2/*"] == {"step_metric": "stage2/batch", "summary": "none"}


def test_close_logs_metrics_record_and_settings(wandb: SimpleNamespace, tmp_path: Path) -> None:
    whole_job(begun(tmp_path))
    (run,) = wandb.runs
    assert run.summary == {"test/stage1/error_pct": 1.5}
    assert run.config["record"]["status"] == "done"
    assert (run.config["study"], run.config["task"]) == ("ccnn/shake", {"weights": {}})


@pytest.mark.parametrize(("status", "code"), [("done", 0), ("failed", 1), ("stopped", 1)])
def test_exit_code_depends_on_the_jobs_status(
    wandb: SimpleNamespace, tmp_path: Path, status: str, code: int
) -> None:
    begun(tmp_path).close({}, {}, status)  # nothing was logged: it has failed early
    assert wandb.runs[0].exits == [code]


def test_a_resumed_job_keeps_its_id(wandb: SimpleNamespace, tmp_path: Path) -> None:
    for folder in ("one", "one", "two"):
        whole_job(begun(tmp_path / folder))
    first, again, other = (asked["id"] for asked in wandb.asked)
    assert first == again != other
    assert WandbRun(tmp_path / "one", "facegeo").version == first


@pytest.mark.parametrize("broken", ["init", "config", "log", "summary", "finish"])
def test_a_wandb_failure_is_reported_once_and_does_not_stop_the_job(
    wandb: SimpleNamespace, tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    wandb.broken = broken
    whole_job(begun(tmp_path))
    warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert [f"no {broken} today" in warning.getMessage() for warning in warnings] == [True]
    assert len(wandb.asked) == 1  # a second try might hang as long as the first
    assert all(len(run.exits) == 1 for run in wandb.runs)


def test_a_lost_network_keeps_the_run_offline(
    wandb: SimpleNamespace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wandb.broken = "online init"
    whole_job(begun(tmp_path, mode="online"))
    assert [asked["mode"] for asked in wandb.asked] == ["online", "offline"]
    assert len({asked["id"] for asked in wandb.asked}) == 1
    assert wandb.torn_down == 1
    assert wandb.runs[0].summary == {"test/stage1/error_pct": 1.5}
    assert "(no init today): run kept in" in caplog.text


def test_online_without_an_account_is_offline(
    wandb: SimpleNamespace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wandb.logged_in = False
    whole_job(begun(tmp_path, mode="online"))
    assert [asked["mode"] for asked in wandb.asked] == ["offline"]
    assert "nobody is logged in" in caplog.text


def test_waiting_has_an_end(wandb: SimpleNamespace, tmp_path: Path) -> None:
    whole_job(begun(tmp_path, mode="online"))
    settings = wandb.asked[0]["settings"]
    assert 0 < settings["init_timeout"] <= 60
    assert 0 < settings["finish_timeout"] <= 300


def test_address_is_a_page_or_an_id(wandb: SimpleNamespace, tmp_path: Path) -> None:
    online, offline = (begun(tmp_path / mode, mode=mode) for mode in ("online", "offline"))
    assert online.address == "https://wandb.example/run"
    assert offline.address == offline.version
    wandb.broken = "init"
    assert begun(tmp_path / "broken").address is None


def test_disabled_does_not_even_import_wandb(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # type: ignore[arg-type]
    whole_job(begun(tmp_path, mode="disabled"))
    assert (caplog.records, list(tmp_path.iterdir())) == ([], [])


def test_unknown_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="offline, online, disabled, got 'ofline'"):
        WandbRun(tmp_path, "facegeo", mode="ofline")


@pytest.mark.parametrize(("spawned", "exits"), [(False, []), (True, [0])])
def test_a_spawned_process_ends_its_own_run_with_its_training(
    wandb: SimpleNamespace, tmp_path: Path, spawned: bool, exits: list[int]
) -> None:
    logger = begun(tmp_path)
    logger.log_metrics({"train/loss": 1.0}, 0)
    own = pickle.loads(pickle.dumps(logger)) if spawned else logger
    own.log_metrics({"train/loss": 1.0}, 0)
    own.finalize("success")
    assert len(wandb.runs) == 1 + spawned
    assert wandb.runs[-1].exits == exits


@pytest.mark.slow
def test_a_server_that_never_answers_holds_no_job_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import wandb

    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes calls and says nothing
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("WANDB_BASE_URL", address)
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        monkeypatch.delenv("WANDB_MODE")
        monkeypatch.setattr("facegeo.runs.wandb.INIT_TIMEOUT_S", 2.0)
        wandb.teardown()  # what this process has read of the environment before
        whole_job(begun(tmp_path, CONFIG | {"study": None}, mode="online"))
        wandb.teardown()
    assert "W&B cannot be reached" in caplog.text
    assert "W&B failed" in caplog.text  # there is no picture a.png
    (kept,) = tmp_path.rglob("offline-run-*/run-*.wandb")
    assert kept.stat().st_size
