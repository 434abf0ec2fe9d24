"""What a sweep plans and tells, without a training."""

import json
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from facegeo import study_callback
from facegeo.errors import UserError
from facegeo.paths import conf_dir
from facegeo.study_callback import Outcome, StudyCallback, summary, united


def plan(*seeds: int, command: str = "c") -> dict[str, object]:
    return {"study": "s", "command": command, "jobs": [[f"seed={n}", "out=a"] for n in seeds]}


def test_a_smaller_sweep_forgets_no_job_of_the_study(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan(0, 1, 2, command="all")))
    merged = united(file, {**plan(0, command="one"), "jobs": [["seed=0", "out=elsewhere"]]})
    assert merged["jobs"] == [["seed=0", "out=elsewhere"], ["seed=1", "out=a"], ["seed=2", "out=a"]]
    assert merged["command"] == "all"


def test_a_larger_sweep_is_the_one_that_finishes_the_study(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan(0)))
    assert united(file, plan(0, 1, command="more")) == plan(0, 1, command="more")


def test_sweeps_beside_each_other_finish_the_study_together(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    for seeds, command in (((0, 1), "a"), ((2, 3), "b"), ((2, 3), "b"), ((0,), "a seed=0")):
        file.write_text(json.dumps(united(file, plan(*seeds, command=command))))
    merged = json.loads(file.read_text())
    assert merged["command"] == "a && b"
    assert {job[0] for job in merged["jobs"]} == {f"seed={n}" for n in range(4)}


@pytest.mark.parametrize("study", ["../elsewhere", "shared"])
def test_a_plan_is_not_written_outside_its_place(
    study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_callback, "planned", lambda config: [["seed=0"]])
    monkeypatch.setattr(study_callback, "composed", lambda config, jobs: True)
    with pytest.raises(UserError, match="study"):
        StudyCallback().on_multirun_start(config(tmp_path / "out", study))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("jobs", "kept"),
    [
        ([["seed=0", "model=ccnn"], ["seed=1", "model=ccnn"]], True),
        ([["seed=0", "task.shake_sigma=0.1"]], False),
        ([["seed=0", "model=ccnn"], ["seed=0", "model=cnn"]], False),
    ],
)
def test_a_mistaken_sweep_leaves_no_plan(
    jobs: list[list[str]], kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_callback, "planned", lambda config: jobs)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        given = [f"out={tmp_path}", "study=mine"]
        StudyCallback().on_multirun_start(compose("train", given, return_hydra_config=True))
    assert (tmp_path / "mine" / "plan.json").is_file() == kept


@pytest.mark.parametrize("text", ["", "[]", '{"jobs": 1}'])
def test_a_torn_plan_is_written_anew(text: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(text)
    assert united(tmp_path / "plan.json", plan(0)) == plan(0)


def config(out: Path, study: str | None = None) -> DictConfig:
    return OmegaConf.create(
        {"out": str(out), "study": study, "dry_run": False, "hydra": {"sweep": {"dir": str(out)}}}
    )


@pytest.fixture
def failed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The list of failures, empty again."""
    monkeypatch.setattr(study_callback, "FAILED", found := [])
    return found


def test_failed_jobs_are_known_and_told_whatever_their_names(
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


def test_a_report_that_can_not_be_written_is_a_failure(
    tmp_path: Path, failed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    StudyCallback().on_multirun_end(config(tmp_path, "none"))
    assert failed == [f"report of {tmp_path / 'none'}"]
    assert "is not the folder of a study" in capsys.readouterr().err


def test_the_summary_says_why_and_what_to_do() -> None:
    text = summary([Outcome("a", ["lr=-1"], "failed", "Invalid learning rate")])
    assert "failed a (lr=-1): Invalid learning rate" in text
    assert "The same command tries again what failed" in text
