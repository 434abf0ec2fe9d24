"""facegeo-report: folders before keys, and its mistakes."""

import json
from pathlib import Path

import pytest

from facegeo.cli import report
from facegeo.studies import workspace
from facegeo.studies.runs import Study


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["facegeo-report", *arguments])
    report.main()


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of one run, in a folder whose name needs quoting."""
    folder = tmp_path / "it's, a [study]" / "run"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"seed": 0}')
    metrics = {"test/stage1/error_pct": 1.5, "val/stage1/error_pct": 2.5}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder.parent


def test_a_folder_is_named_without_a_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], study: Path
) -> None:
    run(monkeypatch, "split=val", str(study))
    assert "2.50" in capsys.readouterr().out
    assert (study / "report.html").is_file()


def test_runs_of_no_study_are_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, study: Path
) -> None:
    (study / "run").rename(tmp_path / "run")
    run(monkeypatch, f"runs=[{tmp_path}/run]", f"out={tmp_path}/x")
    assert "1.50" in capsys.readouterr().out
    assert (tmp_path / "x.tex").is_file()


def test_one_run_needs_no_brackets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, study: Path
) -> None:
    (study / "run").rename(tmp_path / "run")
    run(monkeypatch, f"runs={tmp_path}/run", f"out={tmp_path}/x")
    assert (tmp_path / "x.html").is_file()


@pytest.mark.parametrize(
    ("out", "name"),
    [("x.html", "x"), ("x.md", "x"), ("x.csv", "x"), ("x.tex", "x"), ("v1.2", "v1.2"), ("7", "7")],
)
def test_the_name_of_one_of_the_files_will_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, study: Path, out: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, str(study), f"out={out}")
    wanted = {f"{name}.{ending}" for ending in ("html", "md", "csv", "tex")}
    assert {file.name for file in tmp_path.iterdir() if file.is_file()} == wanted


def test_push_saves_workspaces_and_prints_their_addresses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], study: Path
) -> None:
    pushed = []

    def push(studies: list[Study], project: str, entity: str | None) -> list[str]:
        pushed.append((len(studies), project, entity))
        return ["https://wandb.example/view"]

    monkeypatch.setattr(workspace, "push", push)
    run(monkeypatch, str(study), "push=true", "entity=lab")
    assert pushed == [(1, "facegeo", "lab")]
    assert capsys.readouterr().out.endswith("https://wandb.example/view\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("studies=5",), "studies must be a study's folder (a number in quotes), or a list"),
        (("studies=[5]",), "each of studies must be a study's folder (a number in quotes), got 5"),
        (("runs=7",), "runs must be the folder of a finished run (a number in quotes), or"),
        (("x", "wandb=5"), "wandb must be ENTITY/PROJECT (a number in quotes), got 5"),
        (("x", "split=[val]"), "split must be val, test or other data, or null (a number"),
        (("x", "entity=5"), "entity must be a user or team of W&B, or null (a number in quotes)"),
        (("x", "project=null"), "project must be the name of a W&B project"),
        (("x", "push=maybe"), "push must be true or false, got 'maybe'"),
        (("runs=[x]", "push=true"), "push=true with runs="),
        ((), "there is nothing to report on: name folders of studies"),
        (("nowhere",), "nowhere is not the folder of a study"),
        (("runs=[nowhere]",), "nowhere holds no finished run"),
        (("nowhere", "spilt=val"), "there is no key 'spilt'; nearest: split"),
    ],
)
def test_mistakes_end_with_one_message(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, *arguments)
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
