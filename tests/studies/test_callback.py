"""The records and reports of a sweep, without a training."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import lightning  # noqa: F401  # its first import changes the environment
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from facegeo.files.shipped import conf_dir
from facegeo.runs.jobs import Outcome
from facegeo.runs.plan import PLANNED
from facegeo.studies import callback as study_callback
from facegeo.studies.callback import StudyCallback, summary
from facegeo.studies.comparison import compare
from facegeo.studies.facts import commands, unfinished
from facegeo.studies.runs import Study, read_folder
from facegeo.studies.variants import divide


@pytest.fixture
def _hydra() -> Iterator[None]:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield


def sweep(out: Path, *words: str) -> DictConfig:
    """The config of ``facegeo-train -m study=mine WORDS``, as Hydra hands it to callbacks."""
    given = ["study=mine", f"out={out}", *words]
    sys.argv[1:] = ["-m", *given]
    load = GlobalHydra.instance().config_loader().load_configuration
    return load("train", given, RunMode.MULTIRUN)


def begin(out: Path, *words: str) -> None:
    StudyCallback().on_multirun_start(sweep(out, *words))


def left(study: Study) -> list[str]:
    """Commands that finish a study, without what all of them have in common."""
    return [line.split("/out ", 1)[-1] for line in commands(unfinished(compare(study)))]


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _hydra: None) -> Path:
    """The folder of a study named ``mine``."""
    monkeypatch.setattr(sys, "argv", ["facegeo-train"])
    monkeypatch.setattr(study_callback, "BEGUN", [])
    return tmp_path / "out"


def test_every_job_has_a_record_in_its_own_folder(out: Path) -> None:
    begin(out, "experiment=ccnn/tuned", "data.augment.shake_sigma=0.0,0.01", "seed=0,1")
    (study,) = divide([read_folder(out / "mine")])
    assert [run.status for run in study.runs] == ["planned"] * 4
    assert [run.config["seed"] for run in study.runs] == [0, 1, 0, 1]
    assert {Path(run.link).name.rpartition("-")[0] for run in study.runs} == {
        "ccnn-tuned-seed0",
        "ccnn-tuned-seed1",
    }
    assert [(v.name, v.planned) for v in compare(study).variants] == [
        ("shake_sigma=0.0", 2),
        ("shake_sigma=0.01", 2),
    ]


@pytest.mark.parametrize(
    ("commands", "jobs", "finish"),
    [
        ([["seed=0,1,2"], ["seed=0"]], [0, 1, 2], ["seed=0", "seed=0,1,2"]),
        ([["seed=1"], ["seed=0,1"]], [0, 1], ["seed=0,1"]),
        ([["seed=2"], ["seed=0,1"], ["seed=2"]], [2, 0, 1], ["seed=2", "seed=0,1"]),
        ([["seed=0,1"], ["seed=0,1 trainer.enable_progress_bar=false"]], [0, 1], ["again"]),
    ],
    ids=["smaller", "larger", "beside", "other-words"],
)
def test_commands_of_one_study_add_up(
    commands: list[list[str]], jobs: list[int], finish: list[str], out: Path
) -> None:
    for words in commands:
        begin(out, *words[0].split())
    (study,) = divide([read_folder(out / "mine")])
    assert [run.seed for run in study.runs] == jobs
    again = " ".join(commands[-1])
    assert left(study) == [again if one == "again" else one for one in finish]


def test_other_settings_of_an_ablation_are_another_table_and_the_last_comes_first(
    out: Path,
) -> None:
    words = ["ablation=ccnn/shake", "study=mine", "seed=0"]
    for batch in ("", "data.batch_size=7", ""):
        begin(out, *words, *filter(None, [batch]))
    own, other = divide([read_folder(out / "mine")])
    assert [study.name for study in (own, other)] == [
        "mine: as configured",
        "mine: data.batch_size=7",
    ]
    assert left(other) == ["ablation=ccnn/shake study=mine seed=0 data.batch_size=7"]
    assert [len(study.runs) for study in (own, other)] == [2, 2]


def test_a_job_of_two_tables_is_in_both(out: Path) -> None:
    words = ["ablation=ccnn/shake", "study=mine", "seed=0", "data.augment.shake_sigma=0.0"]
    begin(out, *words, "data.batch_size=7,8")
    begin(out, *words, "data.batch_size=7")
    narrow, wide = divide([read_folder(out / "mine")])
    assert [len(study.runs) for study in (narrow, wide)] == [1, 2]


@pytest.mark.parametrize("study", ["../elsewhere", "shared"])
def test_no_record_is_written_outside_the_studies(study: str, out: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        begin(out, "seed=0", f"study={study}")
    assert not out.exists()
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize("dry_run", ["false", "true"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=0,abc"], "seed must be a whole number"),
        (["about=5"], "about must hold keys"),
        (["splits=[]"], "splits=[] measures nothing"),
        (["objective=test/stage1/error_pct"], "a search must not see the test faces"),
        (["data.augment.flip=0.5,3"], "data.augment.flip must be less than or equal to 1, got 3"),
    ],
)
def test_an_invalid_sweep_ends_before_its_first_job(
    words: list[str],
    message: str,
    dry_run: str,
    out: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        begin(out, *words, f"dry_run={dry_run}")
    assert message in capsys.readouterr().err
    assert not list(out.parent.rglob(PLANNED))


@pytest.mark.parametrize(
    "words", [["seed=0", "+task.shake=0.1,1", "model=ccnn,none"], ["model=ccnn,cnn"]]
)
def test_a_sweep_that_hydra_cannot_compose_leaves_no_record(words: list[str], out: Path) -> None:
    begin(out, *words)  # a job reports it
    assert not list(out.parent.rglob(PLANNED))


def test_a_search_that_came_to_its_end_has_no_trials_left(out: Path, failed: list[str]) -> None:
    words = ["ablation=ccnn/window_search", "study=mine"]
    begin(out, *words, "hydra.sweeper.n_trials=5", "data.batch_size=7")
    begin(out, *words)
    trials = [one.trials for study in divide([read_folder(out / "mine")]) for one in study.searches]
    assert trials == [20, 5]
    StudyCallback().on_multirun_end(sweep(out, *words))
    trials = [one.trials for study in divide([read_folder(out / "mine")]) for one in study.searches]
    assert trials == [0, 5]
    assert failed == []


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
    old = json.dumps(Outcome("old", [], "failed", "why").__dict__)
    (tmp_path / "jobs" / "00000.json").write_text(old)
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


def test_a_report_that_cannot_be_written_is_a_failure(
    tmp_path: Path, failed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    StudyCallback().on_multirun_end(config(tmp_path, "none"))
    assert failed == [f"report of {tmp_path / 'none'}"]
    assert "is not the folder of a study" in capsys.readouterr().err


def test_summary_shows_reasons_and_what_to_do() -> None:
    text = summary([Outcome("a", ["lr=-1"], "failed", "Invalid learning rate")])
    assert "failed a (lr=-1): Invalid learning rate" in text
    assert "The same command repeats failed jobs" in text
