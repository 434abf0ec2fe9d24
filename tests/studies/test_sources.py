import json
from collections.abc import Callable
from pathlib import Path

import pytest

from facegeo.errors import UserError
from facegeo.runs.wandb import WandbRun
from facegeo.studies.comparison import compare
from facegeo.studies.report import report_on
from facegeo.studies.sources import find_studies, loose_study

Keep = Callable[..., Path]


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


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no finished run \(.*config\.json is missing"):
        loose_study([tmp_path])


def test_nothing_named_is_refused() -> None:
    with pytest.raises(UserError, match="nothing to report on"):
        find_studies([])


def test_a_server_needs_the_names_of_studies() -> None:
    with pytest.raises(UserError, match="name the studies to read from me/facegeo"):
        find_studies([], wandb="me/facegeo")


@pytest.fixture
def logged(
    keep_run: Keep,
    keep_plan: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A study whose runs W&B kept as well, without a server."""
    monkeypatch.setenv("WANDB_SERVICE", "")  # W&B sets it: taken away again after the test
    monkeypatch.delenv("WANDB_SERVICE")
    keep_plan(*([f"a={a}", f"seed={seed}"] for a in (1, 2) for seed in (0, 1)), command="again")
    about = {"paper": "ccnn.fig4_stage_count", "rows": ["stage1", "stage2"]}
    for a, seed in ((1, 0), (1, 1), (2, 0)):
        errors = {"stage1": a + seed / 3, "stage2": a / 7}
        folder = keep_run(f"{a}{seed}", seed, {"a": a}, about=about, errors=errors)
        parts = ("config", "record", "metrics")
        config, record, metrics = (json.loads((folder / f"{p}.json").read_text()) for p in parts)
        run = WandbRun(folder, "facegeo", mode="offline")
        run.log_hyperparams(config | {"record": record})
        run.close(metrics, record, "done")
    return tmp_path / "study"


@pytest.mark.slow
def test_what_wandb_kept_gives_the_same_report(logged: Path) -> None:
    texts = []
    for studies in (find_studies([str(logged)]), find_studies([], wandb=str(logged))):
        out = report_on(studies, logged / "x")
        texts += [[out.with_suffix(f".{end}").read_text() for end in ("html", "md", "csv", "tex")]]
    assert texts[0] == texts[1]
    assert "incomplete: 3 of 4 runs" in texts[0][0]


@pytest.mark.slow
def test_jobs_that_wandb_never_saw_are_known_from_the_studys_plan(logged: Path) -> None:
    place = logged.parent / "a"
    place.mkdir()
    logged.rename(place / "study")  # as its name has it
    (study,) = find_studies([], wandb=str(logged.parent))
    assert len(study.plan) == 4


@pytest.mark.slow
def test_a_study_that_wandb_does_not_know_is_refused(logged: Path) -> None:
    with pytest.raises(UserError, match="has no run of a study 'other'"):
        find_studies(["other"], wandb=str(logged))
