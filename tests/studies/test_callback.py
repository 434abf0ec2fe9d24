"""The plan and reports of a sweep, without a training."""

import json
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from facegeo.files.shipped import conf_dir
from facegeo.files.writing import write_whole
from facegeo.runs.jobs import Outcome
from facegeo.runs.plan import Part, read_parts, write_parts
from facegeo.studies import callback as study_callback
from facegeo.studies.callback import StudyCallback, summary


@pytest.mark.parametrize("study", ["../elsewhere", "shared"])
def test_a_plan_is_not_written_outside_its_place(
    study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_callback, "planned", lambda config: Part())
    StudyCallback().on_multirun_start(config(tmp_path / "out", study))  # a job will report it
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("jobs", "kept"),
    [
        ([["seed=0"], ["seed=abc"]], False),
        ([["about=5"]], False),
        ([["splits=[]"]], False),
        ([["objective=test/stage1/error_pct"]], False),
        ([["seed=0", "model=ccnn"], ["seed=1", "model=ccnn"]], True),
        ([["seed=0", "task.shake_sigma=0.1"]], False),
        ([["seed=0", "model=ccnn"], ["seed=0", "model=cnn"]], False),
    ],
)
def test_an_invalid_sweep_leaves_no_plan(
    jobs: list[list[str]], kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_callback, "_jobs", lambda config, axes: jobs)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        given = [f"out={tmp_path}", "study=mine"]
        StudyCallback().on_multirun_start(compose("train", given, return_hydra_config=True))
    assert (tmp_path / "mine" / "plan.json").is_file() == kept


def config(out: Path, study: str | None = None) -> DictConfig:
    return OmegaConf.create(
        {"out": str(out), "study": study, "dry_run": False, "hydra": {"sweep": {"dir": str(out)}}}
    )


@pytest.fixture
def failed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The list of failures, empty again."""
    monkeypatch.setattr(study_callback, "FAILED", found := [])
    return found


def test_failed_jobs_are_found_and_reported_whatever_their_names(
    tmp_path: Path, failed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for number, status in enumerate(["failed", "done"]):
        outcome = Outcome(f"[/x]{number}", ["splits=[val]"], status, "why" * number)
        file = tmp_path / "jobs" / f"{number:05d}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(outcome.__dict__))
    (tmp_path / "jobs" / ".00002.json.77").write_text("{")  # of a killed process
    StudyCallback().on_multirun_end(config(tmp_path))
    assert failed == ["[/x]0"]
    assert "2 jobs: 1 failed, 1 done" in capsys.readouterr().out


def test_outcomes_of_an_earlier_sweep_in_the_same_folder_are_forgotten(
    tmp_path: Path, failed: list[str]
) -> None:
    (tmp_path / "jobs").mkdir()
    told = json.dumps(Outcome("old", [], "failed", "why").__dict__)
    (tmp_path / "jobs" / "00000.json").write_text(told)
    StudyCallback().on_multirun_start(config(tmp_path))
    StudyCallback().on_multirun_end(config(tmp_path))
    assert failed == []


def test_jobs_of_an_interrupted_sweep_are_reported(
    tmp_path: Path,
    failed: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(study_callback, "BEGUN", [])
    study_callback.show_broken_off()
    monkeypatch.setattr(study_callback, "BEGUN", [config(tmp_path)])
    study_callback.show_broken_off()
    assert capsys.readouterr().out == ""  # no job got as far as an end
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "00000.json").write_text(json.dumps(Outcome("a", [], "done").__dict__))
    study_callback.show_broken_off()
    study_callback.show_broken_off()
    assert capsys.readouterr().out == "1 jobs: 1 done\n"


def test_a_search_that_came_to_its_end_has_no_trials_left(
    tmp_path: Path, failed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine" / "plan.json"
    parts = [Part("other", trials=5), Part("this", trials=3)]
    write_whole(file, json.dumps(write_parts("mine", parts)))
    monkeypatch.setattr(study_callback, "planned", lambda config: parts[1])
    searched = config(tmp_path, "mine")
    StudyCallback().on_multirun_end(searched)
    assert [part.trials for part in read_parts(json.loads(file.read_text()))] == [5, 3]  # a grid
    searched.hydra.sweeper = {"n_trials": 3}
    StudyCallback().on_multirun_end(searched)
    assert [part.trials for part in read_parts(json.loads(file.read_text()))] == [5, 0]


def test_a_report_that_cannot_be_written_is_a_failure(
    tmp_path: Path, failed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    StudyCallback().on_multirun_end(config(tmp_path, "none"))
    assert failed == [f"report of {tmp_path / 'none'}"]
    assert "is not the folder of a study" in capsys.readouterr().err


def test_the_summary_says_why_and_what_to_do() -> None:
    text = summary([Outcome("a", ["lr=-1"], "failed", "Invalid learning rate")])
    assert "failed a (lr=-1): Invalid learning rate" in text
    assert "The same command repeats failed jobs" in text
