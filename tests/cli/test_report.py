"""facegeo-report: folders before keys, and its mistakes."""

import json
from pathlib import Path

import pytest

from facegeo.cli import report


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
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
    assert message in capsys.readouterr().err
